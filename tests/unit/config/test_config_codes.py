"""The codes of problems, and their explanations."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from adapter.config.codes import CODES

PACKAGE = Path(__file__).parents[3] / "adapter" / "config"


def test_every_code_in_use_is_explained_and_every_explanation_is_used() -> None:
    """The table and the code agree, so that each problem has its page and each page its problem."""
    prefixes = "|".join(sorted({code.split("/")[0] for code in CODES}))
    sources = [path for path in PACKAGE.glob("*.py") if path.name != "codes.py"]
    used = {code for path in sources for code in re.findall(rf'"((?:{prefixes})/[a-z0-9-]+)"', path.read_text())}

    assert used == set(CODES)


@pytest.mark.parametrize("code", CODES)
def test_an_explanation_says_why_and_what_to_do(code: str) -> None:
    """A page has a short title, and whole sentences."""
    info = CODES[code]

    assert re.fullmatch(r"[a-z]+(-[a-z]+)*/[a-z0-9]+(-[a-z0-9]+)*", code)
    assert not info.title.endswith(".")
    assert info.why.endswith(".")
    assert info.fix.endswith(".")
