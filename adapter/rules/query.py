"""The PromQL that a request means: one pure function for each API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from adapter.errors import MetricNotFound, UnsupportedSelector
from adapter.kube.resources import Kinds
from adapter.kube.selectors import Op, Selector
from adapter.promql.matchers import MatchOp, escape_regex, is_legacy_label_name
from adapter.promql.template import TemplateRunError
from adapter.rules.catalog import Entry
from adapter.rules.namespaces import namespaces_regex
from adapter.rules.query_parts import Matchers, may_be_written, regex_in_any_quotes, template_fields
from adapter.rules.rule import Compat, Rule

# How prometheus-adapter puts a selector's operator, by operator and whether there are several values.
_MATCH_OPS: Mapping[tuple[Op, bool], MatchOp] = {
    (Op.EQUALS, False): MatchOp.EQUAL,
    (Op.DOUBLE_EQUALS, False): MatchOp.EQUAL,
    (Op.NOT_EQUALS, False): MatchOp.NOT_EQUAL,
    (Op.IN, False): MatchOp.MATCHES,
    (Op.IN, True): MatchOp.MATCHES,
    (Op.NOT_IN, False): MatchOp.NOT_MATCHES,
    (Op.NOT_IN, True): MatchOp.NOT_MATCHES,
    (Op.EXISTS, False): MatchOp.NOT_EQUAL,
    (Op.NOT_EXISTS, False): MatchOp.EQUAL,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One instant query and how to read its answer: `label` holds the objects' names, empty for external metrics."""

    promql: str
    rule: Rule
    series: str
    label: str = ""
    names: tuple[str, ...] = ()
    namespace_label: str = ""  # the label that the adapter compares with `namespace`; empty where it compares none
    namespace: str = ""
    # Gives the same query for one object, which is text enough to tell the window; asked for on a cache miss only.
    sketch: Callable[[], str] = field(default=str, compare=False, repr=False)
    odd_keys: tuple[str, ...] = ()  # keys of the caller's selector that are no label names, and reached the template


def plan_custom(
    entry: Entry, *, namespace: str, names: tuple[str, ...], metric_selector: Selector, kinds: Kinds, asked_for: str
) -> Plan:
    """Return the query for a metric of the named objects; `asked_for` is the resource as the caller wrote it.

    Raises:
        UnsupportedSelector: the metric selector cannot be put to Prometheus.
        MetricNotFound: the rule cannot be rendered for this request; the reason says why.
    """
    rule = entry.rule
    label = entry.label if rule.fixed else _object_label(entry, kinds)
    missing = _Missing(metric=entry.metric, resource=asked_for)

    namespace_label = _namespace_label(entry, kinds, missing) if namespace else ""

    def rendered(names: tuple[str, ...]) -> tuple[str, Matchers]:
        matchers = _selector_matchers(metric_selector, rule)
        if namespace_label:
            matchers.add(namespace_label, MatchOp.EQUAL, namespace)
        matchers.add_names(label, names)
        _check_plain(rule, namespace, names, missing)
        return _render(rule, entry.series, matchers, group_by=label, missing=missing), matchers

    promql, matchers = rendered(names)
    return Plan(
        promql=promql,
        sketch=lambda: promql if len(names) == 1 else rendered(names[:1])[0],
        rule=rule,
        series=entry.series,
        label=label,
        names=names,
        namespace_label=namespace_label,
        namespace=namespace if namespace_label else "",
        odd_keys=tuple(matchers.odd_keys),
    )


def plan_external(entry: Entry, *, namespace: str, selector: Selector, kinds: Kinds) -> Plan:
    """Return the query for an external metric as a caller in a namespace may see it.

    Raises:
        UnsupportedSelector: the selector cannot be put to Prometheus.
        MetricNotFound: the rule cannot be rendered for this request; the reason says why.
    """
    rule = entry.rule
    matchers = _selector_matchers(selector, rule)
    missing = _Missing(metric=entry.metric, resource=external_resource(namespace))
    label = external_namespace_label(rule, kinds)
    if rule.namespaced:
        if not label:
            # Without it every caller would read the series of all namespaces.
            raise missing.because(f"rule {rule.id} maps no label to namespaces")
        matchers.add(label, MatchOp.EQUAL, namespace)
    elif label and rule.policies.allow_namespaces:
        matchers.add(label, MatchOp.MATCHES, namespaces_regex(rule.policies.allow_namespaces))
    _check_plain(rule, namespace, (), missing)
    promql = _render(rule, entry.series, matchers, group_by="", missing=missing)
    own = rule.namespaced  # else all callers send the same
    return Plan(
        promql=promql,
        sketch=lambda: promql,
        rule=rule,
        series=entry.series,
        namespace_label=label if own else "",
        namespace=namespace if own else "",
        odd_keys=tuple(matchers.odd_keys),
    )


def external_resource(namespace: str) -> str:
    """Return the group-resource that prometheus-adapter names in a 404 of an external metric."""
    return "namespaces" if namespace == "default" else ""


def external_namespace_label(rule: Rule, kinds: Kinds) -> str:
    """Return the label that holds the namespace of an external metric's series.

    A rule without `resources` gets `namespace`: prometheus-adapter answers 500 there for ever.
    """
    if rule.fixed is not None:
        return rule.fixed.namespace_label
    if rule.association.is_empty:
        return "namespace" if rule.namespaced else ""
    return rule.association.namespace_label(kinds) or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Missing:
    """What a 404 about this request names."""

    metric: str
    resource: str

    def because(self, reason: str) -> MetricNotFound:
        return MetricNotFound(metric=self.metric, resource=self.resource, reason=reason)


def _object_label(entry: Entry, kinds: Kinds) -> str:
    """Return the label to group by: with several labels for one kind, the one that the rule gives outward."""
    outward = entry.rule.association.label_of(entry.kind, kinds) if entry.kind else None
    return outward or entry.label


def _namespace_label(entry: Entry, kinds: Kinds, missing: _Missing) -> str:
    """Return the label that keeps namespaces apart; empty for what is in none, and maps none."""
    rule = entry.rule
    label = rule.fixed.namespace_label if rule.fixed else rule.association.namespace_label(kinds)
    if not label and (entry.kind is None or entry.kind.namespaced):
        # Without it the answer would mix the objects of all namespaces that share a name.
        raise missing.because(f"rule {rule.id} maps no label to namespaces")
    return label or ""


def _selector_matchers(selector: Selector, rule: Rule) -> Matchers:
    matchers = Matchers()
    for requirement in selector.requirements:
        op = _MATCH_OPS.get((requirement.op, len(requirement.values) > 1))
        if op is None:
            raise UnsupportedSelector(
                f'metric selector "{requirement.key}": Prometheus labels cannot be compared by "{requirement.op}";'
                " use =, !=, in, notin, exists or !exists"
            )
        several = len(requirement.values) > 1
        escaped = several and rule.compat is Compat.FIXED
        value = "|".join(escape_regex(one) if escaped else one for one in requirement.values)
        shown = "|".join(regex_in_any_quotes(one) for one in requirement.values) if escaped else value
        label = rule.policies.selector_labels.get(requirement.key, requirement.key)
        if is_legacy_label_name(label) or requirement.key in rule.policies.selector_labels:
            matchers.add(label, op, value, shown=shown)
        else:
            _add_odd_key(matchers, requirement.key, shown, rule)
    return matchers


def _add_odd_key(matchers: Matchers, key: str, shown: str, rule: Rule) -> None:
    """Take a key that is no label name as far as a template can: by LabelValuesByName, never as a matcher.

    A query without <<.LabelMatchers>> ignores all selectors, this one too, as with prometheus-adapter.
    """
    if rule.query is not None and "LabelMatchers" in rule.query.fields:
        raise odd_key(key, rule)
    matchers.values[key] = shown
    matchers.odd_keys.append(key)


def odd_key(key: str, rule: Rule) -> UnsupportedSelector:
    """Return the error for a selector's key that is no label name; it says what to write."""
    return UnsupportedSelector(
        f'metric selector key "{key}" is no Prometheus label name; map it in rule {rule.id}'
        f' with selectorLabels: {{"{key}": LABEL}}'
    )


def _check_plain(rule: Rule, namespace: str, names: tuple[str, ...], missing: _Missing) -> None:
    """Refuse what a caller names if the template would put it into PromQL itself, and it is no mere name there."""
    if rule.query is not None and not may_be_written(rule.query, namespace, names):
        raise missing.because("no object can have this name")


def _render(rule: Rule, series: str, matchers: Matchers, *, group_by: str, missing: _Missing) -> str:
    if rule.query is None:
        raise missing.because(f"rule {rule.id} has no metricsQuery")
    try:
        promql = rule.query.render(template_fields(series, matchers, (group_by,) if group_by else ()))
    except TemplateRunError as error:
        raise missing.because(f"rule {rule.id}: metricsQuery: {error}") from error
    if not promql.strip():
        raise missing.because(f"rule {rule.id}: metricsQuery gives an empty query")
    return promql
