"""May requests of a rule share a query? Told from two requests as callers would make them, without any server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from adapter.errors import MetricNotFound, UnusableResult
from adapter.kube.resources import Kinds
from adapter.rules.examples import REQUESTS, plans_of
from adapter.rules.fusion.shapes import NotFusable, Shape, shape_of
from adapter.rules.fusion.skeletons import skeleton_of
from adapter.rules.query import Plan
from adapter.rules.resource_plan import UsePlan, plan_nodes, plan_pods
from adapter.rules.resource_rule import UseRule
from adapter.rules.rule import Rule


def fusability(rule: Rule, kinds: Kinds) -> Shape | NotFusable:
    """Return the shape that requests of a rule have, or why they are asked by themselves and what would change that."""
    try:
        return _common(plans_of(rule, kinds))
    except MetricNotFound as error:
        return NotFusable(reason=error.reason)


def fusability_of_use(rule: UseRule) -> Mapping[str, Shape | NotFusable]:
    """Return the same of a resource rule's queries, by whether they are for a `container` or a `node`."""
    pods = [partial(plan_pods, rule, namespace=namespace, names=names) for namespace, names in REQUESTS]
    nodes = [partial(plan_nodes, rule, names=names) for _, names in REQUESTS]
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
