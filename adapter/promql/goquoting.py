"""How Go writes a character between quotes: strconv's AppendQuote, whose tables are those of Unicode 15.0."""

from __future__ import annotations

from bisect import bisect_right

_SHORT_ESCAPES = {
    "\a": "\\a",
    "\b": "\\b",
    "\t": "\\t",
    "\n": "\\n",
    "\v": "\\v",
    "\f": "\\f",
    "\r": "\\r",
    "\\": "\\\\",
}
_LONG_ESCAPES = ((0x7F, "\\x{:02x}"), (0xFFFF, "\\u{:04x}"), (0x10FFFF, "\\U{:08x}"))  # up to this code point, so

# Both languages call a character printable by its Unicode category, so they differ only where their Unicode versions
# do. Python 3.11 has 14.0; 15.0 added these characters: each line is a first code point, and the first one behind.
# fmt: off
_ADDED_IN_15_0 = (
    0x0CF3, 0x0CF4,
    0x0ECE, 0x0ECF,
    0x10EFD, 0x10F00,
    0x1123F, 0x11242,
    0x11B00, 0x11B0A,
    0x11F00, 0x11F11,
    0x11F12, 0x11F3B,
    0x11F3E, 0x11F5A,
    0x1342F, 0x13430,
    0x13440, 0x13456,
    0x1B132, 0x1B133,
    0x1B155, 0x1B156,
    0x1D2C0, 0x1D2D4,
    0x1DF25, 0x1DF2B,
    0x1E030, 0x1E06E,
    0x1E08F, 0x1E090,
    0x1E4D0, 0x1E4FA,
    0x1F6DC, 0x1F6DD,
    0x1F774, 0x1F777,
    0x1F77B, 0x1F780,
    0x1F7D9, 0x1F7DA,
    0x1FA75, 0x1FA78,
    0x1FA87, 0x1FA89,
    0x1FAAD, 0x1FAB0,
    0x1FABB, 0x1FABE,
    0x1FABF, 0x1FAC0,
    0x1FACE, 0x1FAD0,
    0x1FADA, 0x1FADC,
    0x1FAE8, 0x1FAE9,
    0x1FAF7, 0x1FAF9,
    0x2B739, 0x2B73A,
    0x31350, 0x323B0,
)
# fmt: on
# Python 3.13 has 15.1, which added these. What still later versions added is written raw there and escaped by Go;
# Prometheus reads both alike.
_ADDED_IN_15_1 = (0x2FFC, 0x3000, 0x31EF, 0x31F0, 0x2EBF0, 0x2EE5E)


def quoted_char(char: str, *, delimiter: str, ascii_only: bool = False) -> str:
    """Return one character as Go writes it between two `delimiter`s (%q, or %+q where `ascii_only`)."""
    if char == delimiter:
        return "\\" + char
    if escape := _SHORT_ESCAPES.get(char):
        return escape
    if is_printable(char) and (char.isascii() or not ascii_only):
        return char
    return next(form.format(ord(char)) for last, form in _LONG_ESCAPES if ord(char) <= last)


def is_printable(char: str) -> bool:
    """Tell whether Go's %q takes this one character for printable."""
    if char.isprintable():
        return not _within(char, _ADDED_IN_15_1)
    return _within(char, _ADDED_IN_15_0)


def _within(char: str, edges: tuple[int, ...]) -> bool:
    return bisect_right(edges, ord(char)) % 2 == 1
