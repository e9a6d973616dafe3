"""What of a file is not shown to those who read a report: the values of `backends`, where credentials stand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

MASK: Final = "***"

_KEY: Final = re.compile(r"""(?P<indent>\s*)(["']?)backends\2\s*:""")
_WORD: Final = re.compile(r"""(?P<key>[\s-]*(["']?)(?P<name>\w[\w.-]*)\2\s*:(?=\s|$))(?P<blank>\s*)(?P<value>.*)""")
_LEAD: Final = re.compile(r"[\s-]*")
# Names of backends, and what opens a block, tell nothing.
_HARMLESS: Final = re.compile(r"[\w.-]*|#.*")


def shown_line(lines: Sequence[str], number: int) -> str:
    """Return a line of a file, counted from 0, with what may be a secret masked.

    It goes by the shape of the lines alone, since a file that is reported may not be YAML; in doubt it masks.
    """
    line = lines[number]
    if lines and _is_flow(lines):
        return MASK if any("backends" in one for one in lines) else line
    return _masked(line) if number in set(_secret_lines(lines)) else line


def _is_flow(lines: Sequence[str]) -> bool:
    first = next((line.strip() for line in lines if line.strip() and not line.lstrip().startswith(("#", "---"))), "")
    return first.startswith(("{", "["))


def _secret_lines(lines: Sequence[str]) -> Iterator[int]:
    """Yield the lines of `backends` blocks: what follows the key and is indented further, or begins with a dash."""
    indent: int | None = None
    for number, line in enumerate(lines):
        bare = line.lstrip()
        depth = len(line) - len(bare)
        if indent is not None and bare and depth <= indent and not bare.startswith(("-", "#")):
            indent = None
        if (match := _KEY.match(line)) is not None and indent is None:
            indent = len(match["indent"])
            yield number
        elif indent is not None:
            yield number


def _masked(line: str) -> str:
    match = _WORD.fullmatch(line)
    if match is None:
        lead = _LEAD.match(line)
        start = lead.end() if lead else 0
        return line[:start] + MASK if line[start:] else line
    value = match["value"]
    if not value or value.startswith("#") or (match["name"] == "name" and _HARMLESS.fullmatch(value)):
        return line
    return match["key"] + match["blank"] + MASK
