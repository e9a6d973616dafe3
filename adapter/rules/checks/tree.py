"""A PromQL tree, walked, and which labels its result can have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import promql_parser as promql

COUNTING = frozenset({"count", "group", "count_values"})  # these aggregations do not look at values
_PICKING = frozenset({"topk", "bottomk", "limitk", "limit_ratio"})  # these keep all labels of what they pick
_LABEL_LESS = frozenset({"vector", "scalar", "time", "pi"})

Expr = Any  # the library's node classes share no useful base for a type checker


def children(node: Expr) -> tuple[Expr, ...]:
    """Return the nodes right below one."""
    match node:
        case promql.BinaryExpr():
            return (node.lhs, node.rhs)
        case promql.Call():
            return tuple(node.args)
        case promql.AggregateExpr():
            return (node.expr,) if node.param is None else (node.param, node.expr)
        case promql.MatrixSelector():
            return (node.vector_selector,)
        case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            return (node.expr,)
        case _:
            return ()


def with_ancestors(node: Expr, above: tuple[Expr, ...] = ()) -> Iterator[tuple[Expr, tuple[Expr, ...]]]:
    """Yield each node of a tree with the nodes above it, the root first."""
    yield node, above
    for child in children(node):
        yield from with_ancestors(child, (*above, node))


def metric_name(selector: Expr) -> str:
    """Return the metric name that a vector selector gives, empty if it gives none."""
    if selector.name:
        return str(selector.name)
    matchers = selector.matchers.matchers
    return next((m.value for m in matchers if m.name == "__name__" and m.op == promql.MatchOp.Equal), "")


# ---- labels


def may_keep(node: Expr, label: str) -> bool:
    """Say whether samples of the result can carry a label; False only where the query surely takes it away."""
    match node:
        case promql.VectorSelector() | promql.MatrixSelector():
            return True
        case promql.AggregateExpr():
            return _aggregate_keeps(node, label)
        case promql.BinaryExpr():
            return _binary_keeps(node, label)
        case promql.Call():
            return _call_keeps(node, label)
        case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            return may_keep(node.expr, label)
        case _:
            return False


def _aggregate_keeps(node: Expr, label: str) -> bool:
    operation = str(node.op)
    if operation in _PICKING:
        return may_keep(node.expr, label)
    if operation == "count_values" and getattr(node.param, "val", None) == label:
        return True
    if node.modifier is None:
        return False
    listed = label in node.modifier.labels
    wanted = node.modifier.type == promql.AggModifierType.By
    return listed is wanted and may_keep(node.expr, label)


def _call_keeps(node: Expr, label: str) -> bool:
    name = node.func.name
    if name in _LABEL_LESS:
        return False
    if name in ("label_replace", "label_join") and getattr(node.args[1], "val", None) == label:
        return True
    return any(may_keep(one, label) for one in node.args)


def _binary_keeps(node: Expr, label: str) -> bool:
    left, right = may_keep(node.lhs, label), may_keep(node.rhs, label)
    operation = str(node.op)
    if operation == "or":
        return left or right
    if operation in ("and", "unless"):
        return left
    if is_number(node.lhs):
        return right
    if is_number(node.rhs) or node.modifier is None:
        return left
    return _joined_keeps(node.modifier, label, left=left, right=right)


def _joined_keeps(modifier: Expr, label: str, *, left: bool, right: bool) -> bool:
    if modifier.card == promql.VectorMatchCardinality.ManyToOne:
        return left or label in (modifier.group_labels or ())
    if modifier.card == promql.VectorMatchCardinality.OneToMany:
        return right or label in (modifier.group_labels or ())
    if modifier.matching is None:
        return left
    listed = label in modifier.matching.labels
    return left and listed is (modifier.matching.type == promql.LabelModifierType.Include)


def is_number(node: Expr) -> bool:
    """Say whether a node is a scalar: a number, or a function that gives one."""
    match node:
        case promql.NumberLiteral():
            return True
        case promql.Call():
            return node.func.name in ("scalar", "time", "pi")
        case promql.ParenExpr() | promql.UnaryExpr():
            return is_number(node.expr)
        case promql.BinaryExpr():
            return is_number(node.lhs) and is_number(node.rhs)
        case _:
            return False


def aggregations(node: Expr) -> tuple[Expr, ...]:
    """Return the aggregations of a tree that drop labels."""
    return tuple(
        one for one, _ in with_ancestors(node) if isinstance(one, promql.AggregateExpr) and str(one.op) not in _PICKING
    )
