"""Where in a file a value stands, down to a character inside it."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from adapter.config.problems import Location
from adapter.config.tree import Mark, Node, Scalar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from adapter.config.document import Path, Place

# What ends a line for YAML 1.1, and so for the marks of its parser.
_BREAK: Final = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_BLANKS: Final = re.compile("[ \t\n\r\x85\u2028\u2029]+")
_ESCAPE_DIGITS: Final = {"x": 2, "u": 4, "U": 8}
_ESCAPES: Final = dict(zip('0abt\tnvfre "/\\N_LP', '\0\a\b\t\t\n\v\f\r\x1b "/\\\x85\xa0\u2028\u2029', strict=True))


def split_lines(text: str) -> list[str]:
    """Return the lines of a text without their ends, as YAML counts them."""
    return _BREAK.split(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The text of a file, and where each path of its data stands in it; a path is made of keys and list indexes."""

    file: str
    text: str = field(repr=False)
    places: Mapping[Path, Place] = field(default_factory=dict, repr=False, compare=False)
    _lines: list[str] = field(init=False, repr=False, compare=False)
    _starts: list[int] = field(init=False, repr=False, compare=False)  # the index in `text` at which each line begins

    def __post_init__(self) -> None:
        ends = [match.end() for match in _BREAK.finditer(self.text)]
        object.__setattr__(self, "_lines", split_lines(self.text))
        object.__setattr__(self, "_starts", [0, *ends])

    def locate(self, path: Path, *, offset: int = 0, length: int | None = None) -> Location:
        """Return the place of a path's value, or of the nearest value around it that exists.

        `offset` and `length` count characters of a scalar's text; they are ignored for anything else.
        """
        place = self.places.get(path)
        while place is None and path:
            path, offset, length = path[:-1], 0, None
            place = self.places.get(path)
        return self.locate_node(place.value, offset=offset, length=length) if place else Location(file=self.file)

    def locate_key(self, path: Path) -> Location:
        """Return the place of a path's key, or of its value where it has none."""
        place = self.places.get(path)
        return self.locate_node(place.key) if place and place.key else self.locate(path)

    def locate_mark(self, mark: Mark, *, length: int = 1) -> Location:
        """Return a mark of the parser as a location."""
        return Location(file=self.file, line=mark.line + 1, column=mark.column + 1, length=length)

    def locate_node(self, node: Node, *, offset: int = 0, length: int | None = None) -> Location:
        """Return the place of a node, or of some characters of its text."""
        if not isinstance(node, Scalar) or (offset == 0 and length is None):
            return self._from(node.start, node.end)
        where = self._place_in(node, offset)
        if length is None:
            return self._from(where, node.end if node.style not in tuple("|>") else self._end_of_line(where))
        last = self._place_in(node, offset + max(length, 1) - 1)
        return self._from(where, Mark(line=last.line, column=last.column + 1))

    def _from(self, start: Mark, end: Mark) -> Location:
        last = end if end.line == start.line else self._end_of_line(start)
        return self.locate_mark(start, length=max(1, last.column - start.column))

    def _end_of_line(self, mark: Mark) -> Mark:
        return Mark(line=mark.line, column=len(self._line(mark.line).rstrip()))

    def _line(self, number: int) -> str:
        return self._lines[number] if number < len(self._lines) else ""

    # ---- inside a scalar

    def _place_in(self, node: Scalar, offset: int) -> Mark:
        """Return where the character at `offset` of a scalar's text is written; at its end, where it would be."""
        if node.style == "|":
            return self._in_literal(node, offset)
        if node.style == ">":
            return self._in_folded(node, offset)
        begin, end = self._index(node.start), self._index(node.end)
        inset = 1 if node.style else 0
        written = list(_written(self.text[begin + inset : end - inset], node.style))
        if "".join(character for character, _ in written) != node.text:
            return node.start  # a spelling that we do not follow: better no offset than a wrong one
        if offset < len(written):
            return self._mark(begin + inset + written[offset][1])
        return self._mark(end - inset)

    def _in_literal(self, node: Scalar, offset: int) -> Mark:
        before = node.text[:offset].split("\n")
        number = node.start.line + len(before)
        text = node.text.split("\n")[len(before) - 1]
        line = self._line(number)
        return Mark(line=number, column=len(line) - len(text) + len(before[-1]) if line.endswith(text) else 0)

    def _in_folded(self, node: Scalar, offset: int) -> Mark:
        """Count the characters that folding keeps: it only ever changes blanks."""
        wanted = len("".join(node.text[:offset].split()))
        number, last = node.start.line + 1, node.start
        while number < len(self._lines):
            for match in re.finditer(r"\S", self._lines[number]):
                if wanted == 0:
                    at_blank = offset >= len(node.text) or node.text[offset].isspace()
                    return last if at_blank else Mark(line=number, column=match.start())
                wanted -= 1
                last = Mark(line=number, column=match.start() + 1)
            number += 1
        return last

    def _index(self, mark: Mark) -> int:
        return self._starts[mark.line] + mark.column if mark.line < len(self._starts) else len(self.text)

    def _mark(self, index: int) -> Mark:
        line = bisect_right(self._starts, index) - 1
        return Mark(line=line, column=index - self._starts[line])


def _written(raw: str, style: str) -> Iterator[tuple[str, int]]:
    """Yield each character of a plain or quoted scalar's text with the index in `raw` at which it is written."""
    index = 0
    while index < len(raw):
        if blanks := _BLANKS.match(raw, index):
            folded = _folded(blanks.group())
            yield from zip(folded, accumulate([1] * len(folded), initial=index), strict=False)
            index = blanks.end()
        elif style == '"' and raw[index] == "\\":
            text, used = _escaped(raw, index)
            yield from ((character, index) for character in text)
            index += used
        else:
            yield raw[index], index
            index += 2 if style == "'" and raw[index] == "'" else 1


def _folded(blanks: str) -> str:
    breaks = len(_BREAK.findall(blanks))
    return blanks if breaks == 0 else "\n" * (breaks - 1) or " "


def _escaped(raw: str, index: int) -> tuple[str, int]:
    """Return what a backslash of a double-quoted scalar stands for, and how many characters it takes."""
    if blanks := _BLANKS.match(raw, index + 1):
        if _BREAK.search(blanks.group()):
            return "", 1 + len(blanks.group())  # an escaped line end joins two lines
        return raw[index + 1], 2
    letter = raw[index + 1 : index + 2]
    digits = _ESCAPE_DIGITS.get(letter, 0)
    if digits:
        return chr(int(raw[index + 2 : index + 2 + digits], 16)), 2 + digits
    return _ESCAPES.get(letter, letter), 2
