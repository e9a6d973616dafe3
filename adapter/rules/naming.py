"""Which series a rule takes, and what it calls them in the API."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import re2

# What Go's Regexp.Expand takes for a name after `$`: as many letters, digits and underscores as there are.
_REFERENCE = re.compile(r"\$(?:\$|(?P<plain>\w+)|\{(?P<braced>\w+)\})?")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled RE2 pattern that is searched for, never anchored (as Go's MatchString)."""

    text: str
    compiled: Any  # google-re2 ships no types

    def found_in(self, text: str) -> bool:
        """Say whether the pattern occurs in `text`."""
        return self.compiled.search(text) is not None

    @property
    def groups(self) -> int:
        """Count the capture groups."""
        return int(self.compiled.groups)


def compile_pattern(text: str) -> Pattern:
    """Compile an RE2 pattern, with RE2's own message as a ValueError if it is wrong."""
    options = re2.Options()
    options.log_errors = False
    try:
        return Pattern(text, re2.compile(text, options))
    except re2.error as error:
        reason = error.args[0] if error.args else error
        message = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(message) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class NameFilter:
    """One series filter: the name must hold the pattern, or must not."""

    pattern: Pattern
    wanted: bool

    def passes(self, name: str) -> bool:
        """Say whether a series of this name passes."""
        return self.pattern.found_in(name) is self.wanted

    def __str__(self) -> str:
        return f"{'is' if self.wanted else 'isNot'}: {self.pattern.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """The filters of a rule and its mapping from series names to API names."""

    filters: tuple[NameFilter, ...] = ()
    matches: Pattern
    expansion: str

    def refused_by(self, name: str) -> NameFilter | None:
        """Return the first filter that refuses a series of this name, None if all pass (they are ANDed)."""
        return next((one for one in self.filters if not one.passes(name)), None)

    def metric_name(self, series: str) -> str | None:
        """Return the API name of a series: the expansion alone, None if the pattern is not in it."""
        match = self.matches.compiled.search(series)
        return None if match is None else expand(self.expansion, match)

    def may_give(self, metric: str) -> bool:
        """Say whether some series can get this API name: what stands around the groups stands in it, in order."""
        first, *others = _literals(self.expansion)
        if not others:
            return metric == first
        *middle, last = others
        position, end = len(first), len(metric) - len(last)
        if position > end or not metric.startswith(first) or not metric.endswith(last):
            return False
        for part in middle:
            found = metric.find(part, position, end)
            if found < 0:
                return False
            position = found + len(part)
        return True


def expand(template: str, match: Any) -> str:
    """Expand `$1`, `${1}` and `${name}` as Go's Regexp.Expand does: an unknown group is empty, `$$` is a dollar sign.

    `$1_x` is the group named `1_x`, so it is empty: `${1}_x` is what people mean.
    """
    return _REFERENCE.sub(_resolver(match), template)


def references(template: str) -> tuple[str, ...]:
    """Return the group names and numbers that an expansion refers to, in order."""
    found = (match["plain"] or match["braced"] for match in _REFERENCE.finditer(template))
    return tuple(name for name in found if name)


def _literals(template: str) -> list[str]:
    """Return what stands before, between and behind the references of an expansion."""
    parts, end = [""], 0
    for match in _REFERENCE.finditer(template):
        parts[-1] += template[end : match.start()]
        end = match.end()
        if match["plain"] or match["braced"]:
            parts.append("")
        else:
            parts[-1] += "$"
    parts[-1] += template[end:]
    return parts


def _resolver(match: Any) -> Callable[[re.Match[str]], str]:
    def replacement(reference: re.Match[str]) -> str:
        name = reference["plain"] or reference["braced"]
        if name is None:
            return "$"  # `$$`, or a dollar sign that begins no reference
        index = _group_number(name)
        if index is None:
            return str(match.group(name) or "") if name in match.re.groupindex else ""
        return str(match.group(index) or "") if index <= match.re.groups else ""

    return replacement


def _group_number(name: str) -> int | None:
    """Read a group number; with leading zeros it is a name, as in Go."""
    if not (name.isascii() and name.isdigit()) or (name[0] == "0" and len(name) > 1):
        return None
    return int(name)


def default_expansion(matches: Pattern) -> str | None:
    """Return what `as` is when it is left out: all without groups, the group when there is one, else None."""
    return {0: "$0", 1: "$1"}.get(matches.groups)
