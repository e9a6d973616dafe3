"""A query as a tree of our own types, which can be taken apart, changed and printed again.

The parser's own tree can be read, but most of its nodes cannot be built, and its printer does not escape what stands in
quotes. So the tree is read into these types once; `printing` writes them as PromQL.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import promql_parser

from adapter.promql.ast import Query, selector_of
from adapter.promql.matchers import LabelMatcher

# Each level of a tree costs a few frames of Python's stack, which holds a thousand; people write a tenth of this.
MAX_DEPTH = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A number."""

    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """A selector where it stands; `more` is text that its braces hold beside the matchers."""

    metric: str
    matchers: tuple[LabelMatcher, ...]
    window: timedelta | None = None
    offset: timedelta = timedelta(0)
    more: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paren:
    """Parentheses; they are kept, since a few functions look at what their argument is."""

    inner: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Negated:
    """A unary minus."""

    inner: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """A call of a function."""

    function: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """The labels of an aggregation: those it keeps, or those it takes away."""

    labels: tuple[str, ...]
    without: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregated:
    """An aggregation of one argument; `grouping` is None where nothing says how."""

    operator: str
    grouping: Grouping | None
    inner: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """Which labels two vectors are matched by: these (`on`), or all but these (`ignoring`)."""

    labels: tuple[str, ...]
    on: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouped:
    """`group_left` or `group_right`: the side with many samples, and the labels it gets from the other."""

    side: str  # left | right
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """An operator between two operands."""

    operator: str
    left: Expression
    right: Expression
    yields_bool: bool = False
    matching: Matching | None = None
    grouped: Grouped | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subquery:
    """A subquery; `step` is None where the server's own one counts."""

    inner: Expression
    window: timedelta
    step: timedelta | None
    offset: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Strange:
    """What has no type here; `what` names it for people."""

    what: str


Expression = (
    Number | Selected | Paren | Negated | Called | Aggregated | Joined | Subquery | Strange
)  # fmt: skip


def expression_of(query: Query) -> Expression:
    """Return a query's tree; parts that have no type here are `Strange`."""
    return _read(query.tree, 0)


def _read(node: Any, depth: int) -> Expression:
    if depth > MAX_DEPTH:
        return Strange(what=f"more than {MAX_DEPTH} levels of parentheses, calls and operators")
    read = _READERS.get(type(node))
    return Strange(what=f"a {type(node).__name__}") if read is None else read(node, depth + 1)


def _number(node: Any, _depth: int) -> Expression:
    return Number(value=node.val)


def _instant(node: Any, _depth: int) -> Expression:
    return _selected(node, None)


def _ranged(node: Any, _depth: int) -> Expression:
    return _selected(node.vector_selector, node.range)


def _selected(node: Any, window: timedelta | None) -> Expression:
    if node.at is not None:
        return Strange(what="@, a time of its own")
    selector = selector_of(node)
    if selector is None:
        return Strange(what="`or` between matchers")
    offset = node.offset or timedelta(0)
    return Selected(metric=selector.metric, matchers=selector.matchers, window=window, offset=offset)


def _paren(node: Any, depth: int) -> Expression:
    return Paren(inner=_read(node.expr, depth))


def _negated(node: Any, depth: int) -> Expression:
    return Negated(inner=_read(node.expr, depth))


def _called(node: Any, depth: int) -> Expression:
    return Called(function=node.func.name, arguments=tuple(_read(one, depth) for one in node.args))


def _aggregated(node: Any, depth: int) -> Expression:
    operator = str(node.op)
    if node.param is not None:
        return Strange(what=f"{operator}()")
    modifier, grouping = node.modifier, None
    if modifier is not None:
        without = modifier.type == promql_parser.AggModifierType.Without
        grouping = Grouping(labels=tuple(modifier.labels), without=without)
    return Aggregated(operator=operator, grouping=grouping, inner=_read(node.expr, depth))


def _joined(node: Any, depth: int) -> Expression:
    modifier = node.modifier
    left, right = _read(node.lhs, depth), _read(node.rhs, depth)
    if modifier is None:
        return Joined(operator=str(node.op), left=left, right=right)
    if modifier.fill_values.lhs is not None or modifier.fill_values.rhs is not None:
        return Strange(what="fill")
    side = _SIDES.get(str(modifier.card))
    return Joined(
        operator=str(node.op),
        left=left,
        right=right,
        yields_bool=modifier.return_bool,
        matching=_matching(modifier.matching),
        grouped=Grouped(side=side, labels=tuple(modifier.group_labels or ())) if side else None,
    )


_SIDES = {"VectorMatchCardinality.ManyToOne": "left", "VectorMatchCardinality.OneToMany": "right"}


def _matching(modifier: Any) -> Matching | None:
    if modifier is None:
        return None
    return Matching(labels=tuple(modifier.labels), on=modifier.type == promql_parser.LabelModifierType.Include)


def _subquery(node: Any, depth: int) -> Expression:
    if node.at is not None:
        return Strange(what="@, a time of its own")
    offset = node.offset or timedelta(0)
    return Subquery(inner=_read(node.expr, depth), window=node.range, step=node.step, offset=offset)


_READERS: Mapping[type, Callable[[Any, int], Expression]] = {
    promql_parser.NumberLiteral: _number,
    promql_parser.VectorSelector: _instant,
    promql_parser.MatrixSelector: _ranged,
    promql_parser.ParenExpr: _paren,
    promql_parser.UnaryExpr: _negated,
    promql_parser.Call: _called,
    promql_parser.AggregateExpr: _aggregated,
    promql_parser.BinaryExpr: _joined,
    promql_parser.SubqueryExpr: _subquery,
}
