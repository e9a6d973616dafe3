"""What the tests of resource rules share: rules, pods and nodes, samples in one line."""

from __future__ import annotations

from collections.abc import Mapping

from rules_rig import KINDS, rulebook_from

from adapter.kube.documents import ObjectMeta
from adapter.kube.resources import GroupResource, Kind
from adapter.promql.model import QueryAnswer, Sample, Vector
from adapter.rules.resource_rule import ResourceRules, UseRule
from adapter.rules.rule import Compat

RULES = """
resourceRules:
  cpu:
    containerQuery: sum by (<<.GroupBy>>) (rate(cpu{<<.LabelMatchers>>}[3m]))
    nodeQuery: sum by (<<.GroupBy>>) (rate(node_cpu{<<.LabelMatchers>>}[3m]))
    resources: &labels
      overrides: {namespace: {resource: namespace}, pod: {resource: pod}, node: {resource: node}}
    containerLabel: container
  memory:
    containerQuery: sum by (<<.GroupBy>>) (mem{<<.LabelMatchers>>})
    nodeQuery: sum by (<<.GroupBy>>) (node_mem{<<.LabelMatchers>>})
    resources: *labels
    containerLabel: container
  window: 3m
"""


def resource_rules_from(text: str, directory: object, *, compat: Compat = Compat.FIXED) -> ResourceRules:
    """Compile a rules file that has resource rules and no error."""
    rules = rulebook_from(text, directory, compat=compat).resource_rules
    assert rules is not None
    return rules


def both(rules: ResourceRules) -> tuple[UseRule, UseRule]:
    """Return the rules for cpu and memory of a file that has both."""
    assert rules.cpu is not None
    assert rules.memory is not None
    return rules.cpu, rules.memory


def kind_of(resource: str) -> Kind:
    """Return one of Kubernetes' own kinds."""
    kind = KINDS.resolve(GroupResource(resource))
    assert kind is not None
    return kind


def pod(namespace: str, name: str, labels: Mapping[str, str] | None = None) -> ObjectMeta:
    """Return a running pod."""
    return ObjectMeta(kind=kind_of("pods"), namespace=namespace, name=name, labels=labels or {})


def node(name: str, labels: Mapping[str, str] | None = None) -> ObjectMeta:
    """Return a node."""
    return ObjectMeta(kind=kind_of("nodes"), namespace="", name=name, labels=labels or {})


def answer(*samples: tuple[str, float], at: float = 1000.0) -> QueryAnswer:
    """Return samples from texts like `pod=web-0,container=app`, evaluated at a time in seconds since 1970."""
    found = tuple(
        Sample(labels=dict(one.split("=", 1) for one in labels.split(",") if one), value=value, timestamp_seconds=at)
        for labels, value in samples
    )
    return QueryAnswer(result=Vector(samples=found), evaluated_at_seconds=at)
