"""Requests as callers would make them, for a rule that nobody has asked yet: what it looks like when it is asked."""

from __future__ import annotations

from adapter.errors import MetricNotFound
from adapter.kube.resources import GroupResource, Kind, Kinds
from adapter.kube.selectors import EVERYTHING, Selector
from adapter.promql.ast import parse_series_selector
from adapter.rules.association import NAMESPACES
from adapter.rules.catalog import Entry
from adapter.rules.query import Plan, plan_custom, plan_external
from adapter.rules.rule import Api, Rule

_PODS = GroupResource(resource="pods")
# Two requests that differ in all they can; names in both forms that a matcher has.
REQUESTS = (("shop", ("cart",)), ("bank", ("desk", "vault")))


def plans_of(rule: Rule, kinds: Kinds, selector: Selector = EVERYTHING) -> tuple[Plan, ...]:
    """Return plans for a rule's requests: for one kind of its objects, in two namespaces, for one name and for two.

    Raises:
        UnsupportedSelector: the selector cannot be put to Prometheus.
        MetricNotFound: the rule cannot be rendered for such requests; the reason says why.
    """
    if rule.api is Api.EXTERNAL:
        return tuple(_external(rule, kinds, namespace, selector) for namespace, _ in REQUESTS)
    kind, label = _object(rule, kinds)
    if kind is None:
        raise MetricNotFound(metric=_metric(rule), resource="", reason="the rule maps no label to a known kind")
    entry = Entry(metric=_metric(rule), kind=kind, series=_series(rule), label=label, rule=rule)
    return tuple(
        plan_custom(
            entry,
            namespace=namespace if kind.namespaced else "",
            names=names,
            metric_selector=selector,
            kinds=kinds,
            asked_for=str(kind.group_resource),
        )
        for namespace, names in REQUESTS
    )


def _external(rule: Rule, kinds: Kinds, namespace: str, selector: Selector) -> Plan:
    entry = Entry(metric=_metric(rule), kind=None, series=_series(rule), label="", rule=rule)
    return plan_external(entry, namespace=namespace, selector=selector, kinds=kinds)


def _object(rule: Rule, kinds: Kinds) -> tuple[Kind | None, str]:
    """Return a kind whose objects a rule serves, and their label: those of overrides first, then pods."""
    if rule.fixed is not None:
        return kinds.resolve(rule.fixed.resource) if rule.fixed.resource else None, rule.fixed.label
    overridden = [resource for _, resource in rule.association.overrides]
    namespaces = kinds.resolve(NAMESPACES)
    found = [kind for one in (*overridden, _PODS, NAMESPACES) if (kind := kinds.resolve(one)) is not None]
    for kind in sorted(found, key=lambda one: one == namespaces):
        label = rule.association.label_of(kind, kinds)
        if label:
            return kind, label
    return None, ""


def _metric(rule: Rule) -> str:
    return rule.fixed.metric if rule.fixed else "metric"


def _series(rule: Rule) -> str:
    """Return a metric that a rule may serve; where its series query names none, one that stands for them."""
    selector = parse_series_selector(rule.series_queries[0]) if rule.series_queries else None
    return (selector.metric if selector else "") or "metric"
