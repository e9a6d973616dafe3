"""The PromQL by which `check` looks for a real object, at all objects, and at how often something is scraped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from adapter.promql.ast import Query, SeriesSelector, parse_series_selector
from adapter.promql.matchers import (
    METRIC_NAME_LABEL,
    LabelMatcher,
    MatchOp,
    is_legacy_label_name,
    is_legacy_metric_name,
    quote,
)
from adapter.promql.model import Sample
from adapter.promql.template import TemplateRunError, TemplateValue
from adapter.rules.catalog import Entry
from adapter.rules.checks.rendering import namespace_label_of
from adapter.rules.checks.subject import Subject
from adapter.rules.query import external_namespace_label
from adapter.rules.rule import Api

# How far to look back for samples of one series: even what is scraped every ten minutes has several then.
INTERVAL_LOOK_BACK_SECONDS = 3600


def count_of(selector: SeriesSelector) -> tuple[str, str]:
    """Return the queries for how many series a selector takes, and of how many metrics."""
    return f"count({selector})", f"count(count by (__name__) ({selector}))"


def one_object(subject: Subject, entry: Entry) -> str:
    """Return the query whose one sample names an object that has series: its namespace and its own label."""
    labels = labels_of_objects(subject, entry)
    selector = _series_of(subject, entry)
    return f"topk(1, count by ({_listed(labels)}) ({_demanding(selector, labels)}))"


def labels_of_objects(subject: Subject, entry: Entry) -> tuple[str, ...]:
    """Return the labels that tell the objects of an entry apart."""
    if subject.rule.api is Api.EXTERNAL:
        label = external_namespace_label(subject.rule, subject.kinds)
        return (label,) if label and subject.rule.namespaced else ()
    namespace = namespace_label_of(subject)
    in_namespaces = entry.kind is not None and entry.kind.namespaced and namespace != entry.label
    return (namespace, entry.label) if namespace and in_namespaces else (entry.label,)


def every_object(subject: Subject, entry: Entry) -> str:
    """Return the query for the object with the most samples, among all of them; empty if it cannot be put as one query.

    The rule's own query is counted, with every object matched and with the namespace added to its grouping.
    """
    rule = subject.rule
    if rule.query is None or rule.api is Api.EXTERNAL or "LabelValuesByName" in rule.query.fields:
        return ""
    labels = labels_of_objects(subject, entry)
    matchers = [str(LabelMatcher(name=label, op=MatchOp.NOT_EQUAL, value="")) for label in labels]
    series = entry.series
    if series and not is_legacy_metric_name(series):
        matchers.insert(0, str(LabelMatcher(name=METRIC_NAME_LABEL, op=MatchOp.EQUAL, value=series)))
        series = ""
    fields: dict[str, TemplateValue] = {
        "Series": series,
        "LabelMatchers": ",".join(matchers),
        "LabelValuesByName": {},
        "GroupBy": _listed(labels),
        "GroupBySlice": [_named(label) for label in labels],
    }
    try:
        return f"topk(1, count by ({_listed(labels)}) ({rule.query.render(fields)}))"
    except TemplateRunError:
        return ""


def one_series(query: Query, metric: str) -> str:
    """Return the query whose one sample has the labels of a much scraped series of a metric in a query."""
    selectors = (one.selector for one in query.selectors if one.selector is not None and one.range_seconds)
    selector = next((one for one in selectors if one.metric == metric), SeriesSelector(metric=metric))
    return f"topk(1, count_over_time({selector}[{INTERVAL_LOOK_BACK_SECONDS}s]))"


def samples_of(metric: str, sample: Sample) -> str:
    """Return the range selector of the one series that a sample came from."""
    matchers = tuple(LabelMatcher(name=name, op=MatchOp.EQUAL, value=value) for name, value in sample.labels.items())
    return f"{SeriesSelector(metric=metric, matchers=matchers)}[{INTERVAL_LOOK_BACK_SECONDS}s]"


def _series_of(subject: Subject, entry: Entry) -> SeriesSelector:
    query = subject.rule.series_queries[0]
    selector = parse_series_selector(query) or SeriesSelector(metric=entry.series)
    if not entry.series or selector.metric == entry.series:
        return selector
    return selector.with_matcher(LabelMatcher(name=METRIC_NAME_LABEL, op=MatchOp.EQUAL, value=entry.series))


def _demanding(selector: SeriesSelector, labels: Iterable[str]) -> SeriesSelector:
    for label in labels:
        if not selector.demands(label):
            selector = selector.with_matcher(LabelMatcher(name=label, op=MatchOp.NOT_EQUAL, value=""))
    return selector


def _listed(labels: Sequence[str]) -> str:
    return ",".join(_named(label) for label in labels)


def _named(label: str) -> str:
    return label if is_legacy_label_name(label) else quote(label)
