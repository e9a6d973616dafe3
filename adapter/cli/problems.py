"""Problems of files as text, each with the line that it is about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from adapter.config.load import Loaded
from adapter.config.problems import Problem
from adapter.config.report import problem_text

# Larger files have no line that a caret would help to find.
_MAX_BYTES = 8 * 1024 * 1024


def write_problems(problems: Iterable[Problem], stream: TextIO, *, loaded: Loaded | None = None) -> None:
    """Write problems in the order of their places, each with its source line where the file can be read."""
    texts = _texts(loaded)
    for problem in in_order(problems):
        file = problem.location.file
        if file not in texts:
            texts[file] = _read(file) if problem.location.line else None
        stream.write(problem_text(problem, texts[file]) + "\n")


def in_order(problems: Iterable[Problem]) -> Sequence[Problem]:
    """Return problems file by file, as the files first appear, and in the order of their lines."""
    found = tuple(dict.fromkeys(problems))
    files = {file: index for index, file in enumerate(dict.fromkeys(one.location.file for one in found))}
    return sorted(found, key=lambda one: (files[one.location.file], one.location.line, one.location.column))


def _texts(loaded: Loaded | None) -> dict[str, str | None]:
    files = loaded.files if loaded else ()
    texts: Mapping[str, str] = {one.source.file: one.source.text for one in files}
    return {**texts}


def _read(file: str) -> str | None:
    """Return the text of a file that was refused as a whole, None if it cannot be shown."""
    path = Path(file)
    try:
        return path.read_text(encoding="utf-8") if path.stat().st_size <= _MAX_BYTES else None
    except (OSError, ValueError):
        return None
