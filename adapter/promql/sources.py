"""Which series a query's values come from, and how old a value is when its series have ages."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import promql_parser

from adapter.promql.ast import Query, children_of, selection_of

# These have a value because there is no series, so no series makes it old.
_OF_ABSENCE = frozenset({"absent", "absent_over_time"})


@dataclass(frozen=True, slots=True)
class Leaf:
    """A selector, by its place in `Sources.selectors`."""

    index: int


@dataclass(frozen=True, slots=True)
class Oldest:
    """A value needs all of these, and is as old as the oldest; of none it is a number of its own, and never old."""

    parts: tuple[Source, ...] = ()


@dataclass(frozen=True, slots=True)
class FirstOf:
    """`or`: the first one if it has a value, else the second one."""

    first: Source
    second: Source


Source = Leaf | Oldest | FirstOf
# The newest raw sample (seconds since 1970) that a selector has for the object in question; None if it has none.
Newest = Callable[[int], float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """A query's selectors as texts without range, offset and `@`, each once, and how its values come from them."""

    selectors: tuple[str, ...]
    tree: Source


def sources_of(query: Query) -> Sources | None:
    """Return where a query's values come from; None if a selector joins matchers by `or`, which cannot be written."""
    selectors: dict[str, int] = {}
    tree = _source(query.tree, selectors)
    return None if tree is None else Sources(selectors=tuple(selectors), tree=tree)


def newest(source: Source, of: Newest) -> float | None:
    """Return the time of the newest raw sample that a value rests on, in seconds since 1970.

    Infinity is a value that rests on none; None is one that some selector has no sample for.
    """
    match source:
        case Leaf(index=index):
            return of(index)
        case FirstOf(first=first, second=second):
            found = newest(first, of)
            return newest(second, of) if found is None else found
        case Oldest(parts=parts):
            times = [newest(part, of) for part in parts]
            known = [one for one in times if one is not None]
            return min(known, default=math.inf) if len(known) == len(times) else None


def _source(node: Any, selectors: dict[str, int]) -> Source | None:
    match node:
        case promql_parser.VectorSelector() | promql_parser.MatrixSelector():
            selection = selection_of(node)
            if selection is None or selection.selector is None:
                return None
            text = str(selection.selector)
            return Leaf(selectors.setdefault(text, len(selectors)))
        case promql_parser.Call() if node.func.name in _OF_ABSENCE:
            return Oldest()
        case promql_parser.BinaryExpr() if str(node.op) == "or":
            first, second = _source(node.lhs, selectors), _source(node.rhs, selectors)
            return None if first is None or second is None else FirstOf(first, second)
        case promql_parser.BinaryExpr() if str(node.op) == "unless":
            return _source(node.lhs, selectors)
        case _:
            return _all_of([_source(child, selectors) for child in children_of(node)])


def _all_of(parts: Sequence[Source | None]) -> Source | None:
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    needed = [part for part in known if part != Oldest()]
    return needed[0] if len(needed) == 1 else Oldest(tuple(needed))
