"""What each command prints, and how it ends."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from transcript import read_transcript

if TYPE_CHECKING:
    from conftest import Shell

CASES = sorted(Path(__file__).with_name("cases").glob("*.txt"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_transcript(path: Path, shell: Shell) -> None:
    """A command prints and ends as its transcript says; each file of cases/ tells a story of its own."""
    case = read_transcript(path.read_text())

    outcome = shell.run(case)

    assert outcome.out == case.out
    assert outcome.err == case.err
    assert outcome.code == case.code
