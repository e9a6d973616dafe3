"""The recorded answers of Kubernetes' own libraries, line by line."""

from __future__ import annotations

from pathlib import Path

_VECTORS = Path(__file__).parents[2] / "vectors"
SELECTORS_AND_MORE = "selectors-durations-times.txt"


def lines(file: str, word: str = "") -> list[str]:
    """Return the lines of a file, or those that begin with a word."""
    text = (_VECTORS / file).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if not word or line.split(" ", 1)[0] == word]
