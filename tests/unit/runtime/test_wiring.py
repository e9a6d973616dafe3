"""What is built from settings and files, before anything is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapter.config.settings import parse_flags
from adapter.runtime.wiring import open_runtime

pytestmark = pytest.mark.anyio

TIMEOUTS = [
    ("", "--prometheus-timeout=3s", 3.0),
    ("backends: {mine: {url: 'http://127.0.0.1:1', timeout: 1s}}", "--prometheus-timeout=3s", 1.0),
    ("backends: {mine: {url: 'http://127.0.0.1:1'}}", "--prometheus-timeout=3s", 3.0),
]


@pytest.mark.parametrize(("backends", "flag", "seconds"), TIMEOUTS)
async def test_queries_take_the_time_limit_of_the_backend_in_force(
    tmp_path: Path, backends: str, flag: str, seconds: float
) -> None:
    """The entry of `backends` that serves says how long a query may take, the flag where it says nothing."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(f"rules: []\n{backends}\n")
    settings = parse_flags(["--config", str(rules), flag], {}).settings

    async with open_runtime(settings, environment={}, relisting=False) as runtime:
        assert runtime.provider.fetching is not None
        assert runtime.provider.fetching.timeout_seconds == seconds
