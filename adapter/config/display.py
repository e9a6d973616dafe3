"""Text of a file as a terminal may show it: nothing that moves the cursor, and columns that line up."""

from __future__ import annotations

import unicodedata
from typing import Final

from adapter.config.urls import without_passwords

# Control, format (bidirectional overrides among them), surrogate, private and unassigned characters.
_UNSHOWABLE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_COMBINING: Final = frozenset({"Mn", "Me"})
_TAB_WIDTH: Final = 4
_MAX_WIDTH: Final = 140  # columns of a source line; two windows fit on a wide screen
_LEAD: Final = 50  # columns shown before the caret of a long line


def shown(text: str) -> str:
    """Return a text on one line, with everything that a terminal might obey written as an escape."""
    return "".join([_shown_character(character) for character in text])


def excerpt(line: str, start: int, length: int) -> tuple[str, str]:
    """Return a source line, and the line with the caret under `length` characters from `start`, counted from 0."""
    line = without_passwords(line)  # what a pipeline prints is read by many
    first = min(len(line) - len(line.lstrip()), start)
    clipped = max(first, start - _LEAD) if len(line) - first > _MAX_WIDTH else first
    cells = [_shown_character(character) for character in line[clipped : clipped + _MAX_WIDTH]]
    mark = start - clipped
    before = sum(map(_width, cells[:mark]))
    under = sum(map(_width, cells[mark : mark + length])) or 1
    left = "…" if clipped > first else ""
    right = "…" if clipped + _MAX_WIDTH < len(line) else ""
    caret = " " * (before + len(left)) + "^" + "~" * (under - 1)
    return f"{left}{''.join(cells).rstrip()}{right}", caret


def _shown_character(character: str) -> str:
    if character == "\t":
        return " " * _TAB_WIDTH
    if unicodedata.category(character) not in _UNSHOWABLE:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 - the ranges of Python's escapes


def _width(text: str) -> int:
    return sum(_character_width(character) for character in text)


def _character_width(character: str) -> int:
    if unicodedata.category(character) in _COMBINING:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
