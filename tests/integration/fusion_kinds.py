"""Which kinds of nodes a query has, and which of them may be fused."""

from __future__ import annotations

from collections.abc import Iterator

from adapter.promql.ast import parse_query
from adapter.promql.expressions import (
    Aggregated,
    Called,
    Expression,
    Joined,
    Negated,
    Number,
    Paren,
    Selected,
    Subquery,
    expression_of,
)
from adapter.rules.fusion import allowed

KINDS = frozenset(
    {
        *("number", "selector", "range", "offset", "parentheses", "minus", "subquery"),
        *("by", "without", "on", "ignoring", "group_left", "group_right", "bool", "with a number"),
    }
)


def wanted_kinds() -> frozenset[str]:
    """Return all kinds that may be fused; those with a colon are functions and operators by name."""
    named = {
        *(f"function:{name}" for name in set(allowed.FUNCTIONS) | allowed.NUMBERS),
        *(f"operator:{name}" for name in allowed.ARITHMETIC | allowed.COMPARISONS | allowed.SETS),
        *(f"aggregation:{name}" for name in allowed.AGGREGATIONS),
    }
    return KINDS | named


def kinds_of(promql: str) -> set[str]:
    """Return the kinds of a query's nodes."""
    query = parse_query(promql)
    assert query is not None
    return set(_kinds(expression_of(query)))


def _kinds(node: Expression) -> Iterator[str]:
    match node:
        case Selected():
            yield "range" if node.window else "selector"
            yield "offset" if node.offset else "selector"
        case Called():
            yield f"function:{node.function}"
            for argument in node.arguments:
                yield from _kinds(argument)
        case Aggregated():
            yield f"aggregation:{node.operator}"
            yield "without" if node.grouping and node.grouping.without else "by"
            yield from _kinds(node.inner)
        case Joined():
            yield from _kinds_of_join(node)
        case Paren() | Negated() | Subquery():
            yield _WRAPPERS[type(node)]
            yield from _kinds(node.inner)
        case Number():
            yield "number"


_WRAPPERS = {Paren: "parentheses", Negated: "minus", Subquery: "subquery"}


def _kinds_of_join(node: Joined) -> Iterator[str]:
    yield f"operator:{node.operator}"
    if node.yields_bool:
        yield "bool"
    if node.matching:
        yield "on" if node.matching.on else "ignoring"
    if node.grouped:
        yield f"group_{node.grouped.side}"
    if isinstance(node.left, Number) or isinstance(node.right, Number):
        yield "with a number"
    yield from _kinds(node.left)
    yield from _kinds(node.right)
