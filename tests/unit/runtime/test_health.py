"""What probes say: what is wrong is told, and nobody is made unready by it."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapter.config.settings import parse_flags
from adapter.runtime.wiring import open_runtime

pytestmark = pytest.mark.anyio


async def test_problems_of_the_objects_are_counted_and_fail_nothing(tmp_path: Path) -> None:
    """The check says how many problems there are, and none of their texts, which may quote an object."""
    objects = tmp_path / "objects.yaml"
    objects.write_text("{apiVersion: v1, kind: Pod, metadata: {name: secret-name, labels: {a: 1}}}")
    (tmp_path / "rules.yaml").write_text("rules: []\n")
    flags = [
        "--config",
        str(tmp_path / "rules.yaml"),
        "--objects-file",
        str(objects),
        "--prometheus-url=http://[::1]:1",
    ]

    async with open_runtime(parse_flags(flags, {}).settings, environment={}, relisting=False) as runtime:
        checks = {check.name: check for check in runtime.health.checks("readyz")}
        alive = [check.name for check in runtime.health.checks("livez")]

    assert (checks["objects"].ok, checks["objects"].detail) == (True, "problems: 1, see the log")
    assert alive == ["ping", "log"]
