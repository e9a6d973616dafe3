"""What people read: the same text in a pipe as on a terminal, where it has colour besides."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TextIO

from adapter.config.display import shown
from adapter.promql.matchers import quote

_STYLES = {"title": "1", "good": "32", "bad": "31", "": ""}


class Format(StrEnum):
    """How an answer is written."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """Where a command writes: what was asked for, and what is said besides."""

    out: TextIO
    err: TextIO


def labels_text(labels: Iterable[tuple[str, str]]) -> str:
    """Return labels in braces, as Prometheus prints them."""
    quoted = (f"{name}={quote(value)}" for name, value in sorted(labels))
    return "{" + ", ".join(quoted) + "}"


def number_text(value: float) -> str:
    """Return a number as Prometheus writes it in JSON: the shortest digits, `NaN`, `+Inf`, `-Inf`."""
    special = {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}
    text = repr(float(value))
    return special.get(text) or text.removesuffix(".0")


def age_text(seconds: float) -> str:
    """Return an age as people say it: `3s`, `5m10s`."""
    whole = max(0, round(seconds))
    minutes, rest = divmod(whole, 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def plural(count: int, noun: str) -> str:
    """Return `1 rule`, `2 rules`, `3 queries`."""
    if count == 1:
        return f"1 {noun}"
    return f"{count} {noun[:-1]}ies" if noun.endswith("ry") else f"{count} {noun}s"


class Page:
    """Writes text to one stream; every text is made fit for a terminal on the way."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._coloured = stream.isatty() and not os.environ.get("NO_COLOR")

    def line(self, text: str = "", *, style: str = "", indent: int = 0) -> None:
        """Write one line."""
        self._stream.write(f"{' ' * indent}{self._styled(shown(text), style)}\n" if text else "\n")

    def entry(self, title: str, text: str, *, style: str = "title") -> None:
        """Write a line that begins with a title."""
        self._stream.write(f"{self._styled(shown(title), style)}{shown(text)}".rstrip() + "\n")

    def table(self, headers: Sequence[str], rows: Iterable[Sequence[str]], *, indent: int = 0) -> None:
        """Write a table, each row on one line: a name that is folded cannot be copied."""
        from rich.cells import cell_len  # noqa: PLC0415 - only tables need it

        cells = [[shown(cell) for cell in row] for row in rows]
        widths = [max(map(cell_len, column)) for column in zip(headers, *cells, strict=True)]
        for index, row in enumerate([headers, *cells]):
            padded = (cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True))
            text = (" " * indent + "  ".join(padded)).rstrip()
            self._stream.write(self._styled(text, "" if index else "title") + "\n")

    def _styled(self, text: str, style: str) -> str:
        code = _STYLES[style] if self._coloured else ""
        return f"\x1b[{code}m{text}\x1b[0m" if code else text


def write_json(stream: TextIO, document: object) -> None:
    """Write a document for programs: indented, keys as they come, characters as they are."""
    import json  # noqa: PLC0415 - only --format json needs it

    stream.write(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
