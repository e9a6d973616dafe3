"""What a server's answers say about a rule's query: its windows, its types, its samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import promql_parser as promql

from adapter.config.problems import Problem
from adapter.promql.ast import Query
from adapter.promql.model import Sample
from adapter.rules.checks import tree
from adapter.rules.checks.query import object_label_lost
from adapter.rules.checks.rendering import QueryView
from adapter.rules.checks.subject import excerpt, shown_query
from adapter.rules.checks.values import is_past_counters, is_rated
from adapter.rules.query import Plan

# A rate needs two samples; with four intervals one failed scrape leaves no hole (Prometheus' own advice).
FEWEST_INTERVALS = 2
GOOD_INTERVALS = 4
_NEED_TWO_SAMPLES = frozenset({"rate", "irate", "increase", "delta", "idelta", "deriv", "predict_linear"})
_COUNTERS = frozenset({"counter", "histogram", "summary"})
_GAUGES = frozenset({"gauge", "info", "stateset"})
_PARTS = ("_bucket", "_count", "_sum", "_total")


@dataclass(frozen=True, slots=True)
class Window:
    """A range of a query that must hold two samples: of which metric, and how long in seconds."""

    metric: str
    seconds: float


def windows_of(query: Query) -> tuple[Window, ...]:
    """Return the ranges of a query whose functions need two samples; of selectors that name a metric."""
    found = []
    for node, above in tree.with_ancestors(query.tree):
        if isinstance(node, promql.MatrixSelector) and any(map(_needs_two, above[-1:])):
            found.append(Window(tree.metric_name(node.vector_selector), node.range.total_seconds()))
    return tuple(dict.fromkeys(one for one in found if one.metric))


def _needs_two(node: tree.Expr) -> bool:
    return isinstance(node, promql.Call) and node.func.name in _NEED_TWO_SAMPLES


def interval_of(times: Sequence[float]) -> float | None:
    """Return the seconds between two scrapes, as most samples of one series tell; None for too few samples."""
    gaps = [later - earlier for earlier, later in pairwise(times)]
    return round(median(gaps), 3) if gaps else None


def window_problems(view: QueryView, windows: Sequence[Window], intervals: Mapping[str, float]) -> Iterator[Problem]:
    """Find ranges that hold too few samples, given the seconds between the samples of each metric."""
    for window in windows:
        interval = intervals.get(window.metric)
        if not interval or window.seconds >= GOOD_INTERVALS * interval:
            continue
        short = window.seconds < FEWEST_INTERVALS * interval
        offset, length = excerpt(view.text, f"[{_duration(window.seconds)}]")
        yield view.place.problem(
            "window/short" if short else "window/tight",
            f"a range of {_duration(window.seconds)} over {window.metric}, which has a sample every {interval:g} s, "
            + ("often holds less than two" if short else "has a hole when one scrape fails"),
            hint=f"write at least [{_duration(GOOD_INTERVALS * interval)}]",
            offset=offset,
            length=length,
        )


def _duration(seconds: float) -> str:
    whole = max(1, round(seconds))
    return f"{whole // 60}m" if whole % 60 == 0 else f"{whole}s"


# ---- types


def metrics_of(query: Query) -> tuple[str, ...]:
    """Return the metrics that a query names, in its order."""
    nodes = (node for node, _ in tree.with_ancestors(query.tree) if isinstance(node, promql.VectorSelector))
    return tuple(dict.fromkeys(name for node in nodes if (name := tree.metric_name(node))))


def names_with_a_type(metric: str) -> tuple[str, ...]:
    """Return the names under which a server may keep the type of a metric: histograms have one for all their parts."""
    return (metric, *(metric.removesuffix(part) for part in _PARTS if metric.endswith(part)))


def type_problems(
    view: QueryView, query: Query, types: Mapping[str, frozenset[str]], said: frozenset[str]
) -> Iterator[Problem]:
    """Find counters without rate and rates of gauges by their real types; metrics in `said` are known already."""
    found: dict[tuple[str, str], None] = {}
    for node, above in tree.with_ancestors(query.tree):
        if isinstance(node, promql.VectorSelector):
            name = tree.metric_name(node)
            kinds = types.get(name, frozenset()) if name not in said else frozenset()
            if kinds and kinds <= _COUNTERS and not is_past_counters(above):
                found["query/counter-without-rate", name] = None
            elif kinds and kinds <= _GAUGES and is_rated(above):
                found["query/rate-of-gauge", name] = None
    for code, name in found:
        offset, length = excerpt(view.text, name)
        kind = "/".join(sorted(types[name]))
        message = f'"{name}" is a {kind}, says the server, and {_TYPE_MESSAGES[code]}'
        yield view.place.problem(code, message, hint=_TYPE_HINTS[code], offset=offset, length=length)


_TYPE_MESSAGES = {
    "query/counter-without-rate": "no rate is taken of it",
    "query/rate-of-gauge": "a rate of it takes each fall for a restart",
}
_TYPE_HINTS = {
    "query/counter-without-rate": "write rate(...[5m]), or increase(...[5m])",
    "query/rate-of-gauge": "serve it as it is, or use deriv(...) or delta(...)",
}


# ---- samples


def sample_problems(view: QueryView, plan: Plan, samples: Sequence[Sample]) -> Iterator[Problem]:
    """Find out why a query for one object that has series gives it no value, or several."""
    if any(one.histogram for one in samples):
        yield view.place.problem(
            "live/histogram",
            "the query returns a native histogram, which is no number",
            hint="take one from it: histogram_quantile, histogram_avg, histogram_count, histogram_sum",
        )
    elif not samples:
        whose = f'{plan.label}="{plan.names[0]}"' if plan.names else plan.series or "it"
        yield view.place.problem(
            "live/no-value",
            f"there are series for {whose}, and the query returns nothing: {shown_query(plan.promql)}",
            hint="look at the range, at the matchers, and at what is joined",
        )
    elif plan.label:
        mine = [one for one in samples if one.labels.get(plan.label) == plan.names[0]]
        if not mine and not any(object_label_lost(view)):
            yield view.place.problem(
                "live/result-without-label",
                f'no sample of the result says {plan.label}="{plan.names[0]}": {shown_query(plan.promql)}',
                hint="group by (<<.GroupBy>>)",
            )
        elif len(mine) > 1 and several_are_unsaid(view):
            yield several_samples(view, len(mine), plan.names[0], _differing(mine))


def nothing_now(view: QueryView, series: str) -> Iterator[Problem]:
    """Return the problem of series that were there a while ago, and are gone."""
    yield view.place.problem(
        "live/no-value",
        f"the server knows series of {series}, and none of them has a sample now",
        hint="the targets may be gone, or not be scraped any more",
    )


def several_are_unsaid(view: QueryView) -> bool:
    """Say whether several samples for one object are left to the default, or refused."""
    if view.subject is None:
        return True
    defaults = view.subject.file.model.defaults
    said = view.subject.written.on_duplicates or (defaults.on_duplicates if defaults else None)
    return said in (None, "error")


def several_samples(view: QueryView, count: int, whose: str, labels: Sequence[str] = ()) -> Problem:
    """Return the problem of an object that has several samples, which differ in these labels."""
    differ = f", which differ in {', '.join(labels)}" if labels else ""
    refused = view.subject is not None and view.subject.rule.policies.on_duplicates == "error"
    return view.place.problem(
        "live/several-samples",
        f"the query returns {count} samples for {whose}{differ}; "
        + ("`onDuplicates: error` refuses them" if refused else "the last of them is served"),
        hint="aggregate: sum(...) by (<<.GroupBy>>), or set onDuplicates",
    )


def _differing(samples: Sequence[Sample]) -> tuple[str, ...]:
    names = sorted({name for one in samples for name in one.labels})
    return tuple(name for name in names if len({one.labels.get(name) for one in samples}) > 1)
