"""The PromQL that asks for the use of pods and of nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from adapter.errors import UnusableResult
from adapter.promql.matchers import MatchOp
from adapter.promql.template import Template, TemplateRunError
from adapter.rules.query_parts import Matchers, may_be_written, template_fields
from adapter.rules.resource_rule import UseRule


@dataclass(frozen=True, slots=True, kw_only=True)
class UsePlan:
    """One instant query and how to read its answer."""

    promql: str
    rule: UseRule
    label: str  # holds the objects' names
    names: tuple[str, ...]
    container_label: str = ""  # holds the containers' names; empty for nodes, and where a rule names none
    namespace_label: str = ""  # holds the pods' namespace; empty for nodes
    namespace: str = ""
    # Gives the same query for one object.
    sketch: Callable[[], str] = field(default=str, compare=False, repr=False)


def plan_pods(rule: UseRule, *, namespace: str, names: Sequence[str]) -> UsePlan | None:
    """Return the query for pods of one namespace, None if the rule measures no pods.

    Raises:
        UnusableResult: the template cannot be rendered.
    """
    if rule.container_query is None or not rule.measures_pods:
        return None
    template = rule.container_query
    if not may_be_written(template, namespace, names):
        raise UnusableResult(f"rule {rule.id}: containerQuery: a pod has a name that cannot be written into PromQL")
    group_by = [label for label in (rule.pod_label, rule.container_label) if label]

    def rendered(names: Sequence[str]) -> str:
        matchers = Matchers()
        matchers.add(rule.namespace_label, MatchOp.EQUAL, namespace)
        matchers.add_names(rule.pod_label, names)
        return _rendered(rule, "containerQuery", template, matchers, group_by)

    return UsePlan(
        promql=rendered(names),
        rule=rule,
        label=rule.pod_label,
        names=tuple(names),
        container_label=rule.container_label,
        namespace_label=rule.namespace_label,
        namespace=namespace,
        sketch=lambda: rendered(names[:1]),
    )


def plan_nodes(rule: UseRule, *, names: Sequence[str]) -> UsePlan | None:
    """Return the query for nodes, None if the rule measures no nodes.

    Raises:
        UnusableResult: the template cannot be rendered.
    """
    if rule.node_query is None or not rule.measures_nodes:
        return None
    template = rule.node_query
    if not may_be_written(template, "", names):
        raise UnusableResult(f"rule {rule.id}: nodeQuery: a node has a name that cannot be written into PromQL")

    def rendered(names: Sequence[str]) -> str:
        matchers = Matchers()
        matchers.add_names(rule.node_label, names)
        return _rendered(rule, "nodeQuery", template, matchers, [rule.node_label])

    return UsePlan(
        promql=rendered(names),
        rule=rule,
        label=rule.node_label,
        names=tuple(names),
        sketch=lambda: rendered(names[:1]),
    )


def _rendered(rule: UseRule, key: str, template: Template, matchers: Matchers, group_by: Sequence[str]) -> str:
    try:
        promql = template.render(template_fields("", matchers, group_by))
    except TemplateRunError as error:
        raise UnusableResult(f"rule {rule.id}: {key}: {error}") from error
    if not promql.strip():
        raise UnusableResult(f"rule {rule.id}: {key} gives an empty query")
    return promql
