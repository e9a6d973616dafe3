"""What can be wrong with the numbers that a query gives: counters served as they are, rates of gauges, 0/0."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import promql_parser as promql

from adapter.config.problems import Problem
from adapter.rules.checks import tree
from adapter.rules.checks.rendering import QueryView, Rendering
from adapter.rules.checks.subject import Subject, excerpt
from adapter.rules.checks.zeros import zero_by_zero

RATES = frozenset({"rate", "irate", "increase"})
# Functions after which a counter's absolute value no longer matters.
_PAST_COUNTERS = RATES | {
    "absent",
    "absent_over_time",
    "changes",
    "count_over_time",
    "delta",
    "deriv",
    "idelta",
    "present_over_time",
    "resets",
    "timestamp",
}
_GAUGE_ENDINGS = ("_ratio", "_percent", "_percentage", "_celsius", "_info", "_gauge", "_timestamp_seconds")
_COUNTER_ENDINGS = ("_total", "_sum", "_bucket")
# What is measured in these units comes with a sum, so it is a histogram or a summary; other `_count`s may be gauges.
_MEASURED = ("seconds", "milliseconds", "microseconds", "ms", "us", "bytes", "duration", "latency", "time")


def counter_without_rate(view: QueryView) -> Iterator[Problem]:
    """Find counters, by the endings that their names must have, whose value since the start is served."""
    for name in _bare_counters(view.renderings[:1]):
        offset, length = excerpt(view.text, name)
        yield view.place.problem(
            "query/counter-without-rate",
            f'"{_shown(name)}" looks like a counter by its name, and no rate is taken of it:'
            " its value grows until the process restarts",
            hint="write rate(...[5m]), or increase(...[5m]); a gauge should not be called so",
            offset=offset,
            length=length,
        )


def metrics_said(view: QueryView) -> frozenset[str]:
    """Return the metrics of which a problem is known by their names alone."""
    rated = (name for one in view.renderings[:1] for name, above in named_selectors(one) if is_rated(above))
    return frozenset(_bare_counters(view.renderings[:1])) | {name for name in rated if name.endswith(_GAUGE_ENDINGS)}


def rate_of_gauge(view: QueryView) -> Iterator[Problem]:
    """Find rates of what is surely no counter."""
    for rendering in view.renderings[:1]:
        for name, above in named_selectors(rendering):
            if is_rated(above) and name.endswith(_GAUGE_ENDINGS):
                offset, length = excerpt(view.text, name)
                yield view.place.problem(
                    "query/rate-of-gauge",
                    f'"{name}" looks like a gauge by its name; a rate takes each fall of it for a restart',
                    hint="serve it as it is, or use deriv(...) or delta(...)",
                    offset=offset,
                    length=length,
                )


def _bare_counters(renderings: tuple[Rendering, ...]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for rendering in renderings:
        named = [*named_selectors(rendering)]
        names = {name for name, _ in named}
        capacities = _divisors_of_gauges(rendering)
        for name, above in named:
            if _is_counter(name, names) and name not in capacities and not is_past_counters(above):
                found[name] = None
    return tuple(found)


def _is_counter(name: str, beside: set[str]) -> bool:
    if name.endswith(_COUNTER_ENDINGS):
        return True
    base = name.removesuffix("_count")
    return base != name and (base.endswith(_MEASURED) or f"{base}_sum" in beside or f"{base}_bucket" in beside)


def _divisors_of_gauges(rendering: Rendering) -> frozenset[str]:
    """Return the metrics by which a gauge is divided: `memory_used / memory_total` is no use of a counter."""
    found = set()
    for node, _ in tree.with_ancestors(rendering.tree) if rendering.tree is not None else ():
        if isinstance(node, promql.BinaryExpr) and str(node.op) in ("/", "-"):
            left, right = _selector_names(node.lhs), _selector_names(node.rhs)
            if left and not any(name.endswith(_COUNTER_ENDINGS) for name in left):
                found |= {name for name in right if name.endswith("_total")}
    return frozenset(found)


def _selector_names(node: Any) -> set[str]:
    return {tree.metric_name(one) for one, _ in tree.with_ancestors(node) if isinstance(one, promql.VectorSelector)}


def _shown(name: str) -> str:
    return name.replace("tidegauge_series", "<<.Series>>")


def is_past_counters(above: tuple[Any, ...]) -> bool:
    """Say whether something above a selector turns a counter into what may be served."""
    return any(_hides_counter(one) for one in above)


def _hides_counter(node: Any) -> bool:
    if isinstance(node, promql.Call):
        return node.func.name in _PAST_COUNTERS
    return isinstance(node, promql.AggregateExpr) and str(node.op) in tree.COUNTING


def is_rated(above: tuple[Any, ...]) -> bool:
    """Say whether a function for counters stands above a selector."""
    return any(isinstance(one, promql.Call) and one.func.name in RATES for one in above)


def named_selectors(rendering: Rendering) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield the metric name of each selector of a query, and the nodes above the selector."""
    if rendering.tree is None:
        return
    for node, above in tree.with_ancestors(rendering.tree):
        if isinstance(node, promql.VectorSelector):
            yield tree.metric_name(node), above


# ---- 0/0


def division_nan(view: QueryView) -> Iterator[Problem]:
    """Find divisions that are NaN without traffic, where the rule does not say what NaN means."""
    subject = view.subject
    if subject is None or view.what != "custom" or _says_what_nan_is(subject):
        return
    for rendering in view.renderings[:1]:
        for _ in zero_by_zero(rendering.tree)[:1] if rendering.tree is not None else ():
            offset, length = excerpt(view.text, "/") if view.text.count("/") == 1 else (0, None)
            yield view.place.problem(
                "query/division-nan",
                "0/0 is NaN, and NaN is served as 0: without traffic the autoscaler sees no load",
                hint="say what is meant with onNaN: drop or zero, or divide by clamp_min(..., 1)",
                offset=offset,
                length=length,
            )


def _says_what_nan_is(subject: Subject) -> bool:
    defaults = subject.file.model.defaults
    return subject.written.on_nan is not None or (defaults is not None and defaults.on_nan is not None)
