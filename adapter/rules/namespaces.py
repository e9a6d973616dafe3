"""Patterns of namespaces, as `allowNamespaces` has them: shell patterns, and the same as a regex of Prometheus."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from string import ascii_lowercase, digits

from adapter.promql.matchers import escape_regex

# What names of namespaces consist of (RFC 1123); `-` stands last, where a class of characters holds it as it is.
_CHARACTERS = ascii_lowercase + digits + "-"
_PART = re.compile(r"\*|\?|\[!?\]?[^]]*\]|.", re.DOTALL)
_NOTHING = r"[^\x00-\x{10FFFF}]"


def namespaces_regex(patterns: Iterable[str]) -> str:
    """Return the regex (RE2, anchored by Prometheus) that matches the namespaces which any of the patterns does."""
    return "|".join("".join(_part(part) for part in _PART.findall(pattern)) for pattern in patterns)


def _part(part: str) -> str:
    match part:
        case "*":
            return ".*"
        case "?":
            return "."
        case _ if len(part) == 1:
            return escape_regex(part)
        case _:
            # The shell's classes have rules of their own for `]`, `!` and ranges: what they mean is asked of fnmatch.
            found = "".join(one for one in _CHARACTERS if fnmatchcase(one, part))
            return f"[{found}]" if found else _NOTHING
