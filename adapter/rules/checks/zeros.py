"""Which divisions of a query can be 0/0."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import promql_parser as promql

from adapter.rules.checks.tree import COUNTING, Expr, children, metric_name, with_ancestors

_COMPARISONS = frozenset({"==", "!=", ">", "<", ">=", "<="})
_NEVER_ZERO = frozenset(
    {"absent", "absent_over_time", "count_over_time", "exp", "present_over_time", "time", "timestamp"}
)
# What a metric that says how large something is calls itself; the size of what exists is not zero.
_CAPACITY = frozenset({"max", "limit", "limits", "capacity", "size", "total", "allocatable", "quota", "cores", "info"})


def zero_by_zero(tree: Expr) -> tuple[Expr, ...]:
    """Return the divisions that can be 0/0, which is NaN; below a comparison there are none, for NaN passes none."""
    return tuple(
        node
        for node, above in with_ancestors(tree)
        if isinstance(node, promql.BinaryExpr)
        and str(node.op) == "/"
        and can_be_zero(node.lhs)
        and can_be_zero(node.rhs)
        and not any(_filters(one) for one in above)
    )


def _filters(node: Expr) -> bool:
    if not isinstance(node, promql.BinaryExpr) or str(node.op) not in _COMPARISONS:
        return False
    return node.modifier is None or not node.modifier.return_bool


def can_be_zero(node: Expr) -> bool:
    """Say whether a value can be zero, as far as the query tells; counters and gauges can, capacities cannot."""
    return next((answer(node) for kind, answer in _BY_NODE.items() if isinstance(node, kind)), True)


def _call_can_be_zero(node: Expr) -> bool:
    name = node.func.name
    if name in _NEVER_ZERO:
        return False
    if name in ("clamp_min", "clamp"):
        return not getattr(node.args[1], "val", 0) > 0
    if name == "vector" or name.endswith("_over_time"):
        return any(can_be_zero(child) for one in node.args for child in (children(one) or (one,)))
    return True


def _either(node: Expr) -> bool:
    return can_be_zero(node.lhs) or can_be_zero(node.rhs)


def _both(node: Expr) -> bool:
    return can_be_zero(node.lhs) and can_be_zero(node.rhs)


def _inner(node: Expr) -> bool:
    return can_be_zero(node.expr)


def _left(node: Expr) -> bool:
    return can_be_zero(node.lhs)


def _compared(node: Expr) -> bool:
    """Say whether zero passes `x > 0` and the like; a `bool` comparison gives zeros."""
    bound = getattr(node.rhs, "val", None)
    if bound is None or not _filters(node):
        return True
    return can_be_zero(node.lhs) and _ZERO_PASSES[str(node.op)](bound)


_ZERO_PASSES: Mapping[str, Callable[[float], bool]] = {
    "==": lambda bound: bound == 0,
    "!=": lambda bound: bound != 0,
    ">": lambda bound: bound < 0,
    ">=": lambda bound: bound <= 0,
    "<": lambda bound: bound > 0,
    "<=": lambda bound: bound >= 0,
}
_ZERO: Mapping[str, Callable[[Expr], bool]] = {
    "+": _both,
    "-": lambda _: True,
    "/": _left,
    "^": _left,
    "and": _left,
    "unless": _left,
    **dict.fromkeys(_COMPARISONS, _compared),
}
_BY_NODE: Mapping[type, Callable[[Expr], bool]] = {
    promql.NumberLiteral: lambda node: bool(node.val == 0),
    promql.VectorSelector: lambda node: metric_name(node).lower().rpartition("_")[2] not in _CAPACITY,
    promql.AggregateExpr: lambda node: str(node.op) not in COUNTING and can_be_zero(node.expr),
    promql.Call: _call_can_be_zero,
    promql.BinaryExpr: lambda node: _ZERO.get(str(node.op), _either)(node),
    promql.ParenExpr: _inner,
    promql.UnaryExpr: _inner,
    promql.SubqueryExpr: _inner,
}
