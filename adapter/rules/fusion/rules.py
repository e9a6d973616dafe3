"""May requests of a rule share a query? Told from two requests as callers would make them, without any server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from adapter.errors import MetricNotFound, UnusableResult
from adapter.kube.resources import GroupResource, Kind, Kinds
from adapter.kube.selectors import EVERYTHING
from adapter.promql.ast import parse_series_selector
from adapter.rules.association import NAMESPACES
from adapter.rules.catalog import Entry
from adapter.rules.fusion.shapes import NotFusable, Shape, shape_of
from adapter.rules.fusion.skeletons import skeleton_of
from adapter.rules.query import Plan, plan_custom, plan_external
from adapter.rules.resource_plan import UsePlan, plan_nodes, plan_pods
from adapter.rules.resource_rule import UseRule
from adapter.rules.rule import Api, Rule

_PODS = GroupResource(resource="pods")
# Two requests that differ in all they can; names in both forms that a matcher has.
_REQUESTS = (("shop", ("cart",)), ("bank", ("desk", "vault")))


def fusability(rule: Rule, kinds: Kinds) -> Shape | NotFusable:
    """Return the shape that requests of a rule have, or why they are asked by themselves and what would change that."""
    try:
        if rule.api is Api.EXTERNAL:
            return _common([_external(rule, kinds, namespace) for namespace, _ in _REQUESTS])
        kind, label = _object(rule, kinds)
        if kind is None:
            return NotFusable(reason="the rule maps no label to a known kind")
        return _common([_custom(rule, kinds, kind=kind, label=label, request=request) for request in _REQUESTS])
    except MetricNotFound as error:
        return NotFusable(reason=error.reason)


def fusability_of_use(rule: UseRule) -> Mapping[str, Shape | NotFusable]:
    """Return the same of a resource rule's queries, by whether they are for a `container` or a `node`."""
    pods = [partial(plan_pods, rule, namespace=namespace, names=names) for namespace, names in _REQUESTS]
    nodes = [partial(plan_nodes, rule, names=names) for _, names in _REQUESTS]
    found = {"container": _of_use(pods), "node": _of_use(nodes)}
    return {what: one for what, one in found.items() if one is not None}


def _of_use(requests: Sequence[Callable[[], UsePlan | None]]) -> Shape | NotFusable | None:
    try:
        plans = [plan for request in requests if (plan := request()) is not None]
    except UnusableResult as error:
        return NotFusable(reason=str(error))
    return _common(plans) if plans else None


def _common(plans: Sequence[Plan] | Sequence[UsePlan]) -> Shape | NotFusable:
    if len({plan.promql for plan in plans}) == 1:
        return NotFusable(reason="all callers send the same query, so there is nothing to put together")
    shapes = [shape_of(skeleton_of(plan)) for plan in plans]
    first = shapes[0]
    if isinstance(first, NotFusable) or all(shape == first for shape in shapes):
        return first
    return NotFusable(
        reason="the template writes another query for another namespace or other names",
        hint="write <<.LabelMatchers>> for the matchers, and no conditions on them",
    )


def _external(rule: Rule, kinds: Kinds, namespace: str) -> Plan:
    entry = Entry(metric=_metric(rule), kind=None, series=_series(rule), label="", rule=rule)
    return plan_external(entry, namespace=namespace, selector=EVERYTHING, kinds=kinds)


def _custom(rule: Rule, kinds: Kinds, *, kind: Kind, label: str, request: tuple[str, tuple[str, ...]]) -> Plan:
    namespace, names = request
    entry = Entry(metric=_metric(rule), kind=kind, series=_series(rule), label=label, rule=rule)
    return plan_custom(
        entry,
        namespace=namespace if kind.namespaced else "",
        names=names,
        metric_selector=EVERYTHING,
        kinds=kinds,
        asked_for=str(kind.group_resource),
    )


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
