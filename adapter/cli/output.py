"""What people read: the same text in a pipe as on a terminal, where it has colour besides."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TextIO

from adapter.config.display import shown

_STYLES = {"title": "1", "good": "32", "bad": "31", "dim": "2", "": ""}
# Wider than any line, so that nothing is folded where a program reads along.
_UNFOLDED = 1_000_000


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
    quoted = (f'{name}="{value}"' for name, value in sorted(labels))
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
        self._coloured = stream.isatty() and "NO_COLOR" not in os.environ

    def line(self, text: str = "", *, style: str = "", indent: int = 0) -> None:
        """Write one line."""
        self._stream.write(f"{' ' * indent}{self._styled(shown(text), style)}\n" if text else "\n")

    def entry(self, title: str, text: str, *, style: str = "title") -> None:
        """Write a line that begins with a title."""
        self._stream.write(f"{self._styled(shown(title), style)}{shown(text)}".rstrip() + "\n")

    def text(self, text: str) -> None:
        """Write several lines that are fit for a terminal already, each as it is."""
        self._stream.write(text if text.endswith("\n") else f"{text}\n")

    def table(self, headers: Sequence[str], rows: Iterable[Sequence[str]], *, indent: int = 0) -> None:
        """Write a table; a terminal folds cells that are too long for it, a pipe gets each row on one line."""
        from rich.console import Console  # noqa: PLC0415 - 50 ms that only tables cost
        from rich.table import Table  # noqa: PLC0415 - the same
        from rich.text import Text  # noqa: PLC0415 - the same

        drawn = Table(box=None, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for header in headers:
            drawn.add_column(header, overflow="fold")
        for row in rows:
            drawn.add_row(*(Text(shown(cell)) for cell in row))
        page = io.StringIO()
        width = _terminal_width() if self._stream.isatty() else _UNFOLDED
        console = Console(
            file=page,
            width=max(width - indent, 20),
            force_terminal=self._coloured,
            color_system="standard" if self._coloured else None,
            legacy_windows=False,
        )
        console.print(drawn)
        for line in page.getvalue().splitlines():
            self._stream.write(f"{' ' * indent}{line.rstrip()}".rstrip() + "\n")

    def _styled(self, text: str, style: str) -> str:
        code = _STYLES[style] if self._coloured else ""
        return f"\x1b[{code}m{text}\x1b[0m" if code else text


def _terminal_width() -> int:
    import shutil  # noqa: PLC0415 - only tables on terminals need it

    return shutil.get_terminal_size().columns


def write_json(stream: TextIO, document: object) -> None:
    """Write a document for programs: indented, keys as they come, characters as they are."""
    import json  # noqa: PLC0415 - only --format json needs it

    stream.write(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
