"""Each bad file of `cases`, and what is said about it: the text lies beside it in NAME.txt."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapter.config.load import load_rules
from adapter.config.report import problem_text

CASES = Path(__file__).parent / "cases"


def report(path: Path) -> str:
    """Return what a terminal shows about a file, with its bare name."""
    loaded = load_rules([str(path)], {"HOME": "/root"})
    source = path.read_bytes().decode()
    return "".join(problem_text(one, source) + "\n" for one in loaded.problems).replace(f"{CASES}/", "")


@pytest.mark.parametrize("case", sorted(CASES.glob("*.yaml")), ids=lambda path: path.stem)
def test_says_what_is_wrong_and_where(case: Path) -> None:
    """A bad file gives exactly these problems, each with its line, its caret and its hint."""
    assert report(case) == case.with_suffix(".txt").read_text(encoding="utf-8")


def test_every_case_has_its_text() -> None:
    """No case lies there without being compared, and no text without a case."""
    assert {path.stem for path in CASES.glob("*.txt")} == {path.stem for path in CASES.glob("*.yaml")}
