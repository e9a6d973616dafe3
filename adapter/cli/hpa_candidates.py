"""Which types of metric of an autoscaler a name can be, from the rules and from what a Prometheus has for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from adapter.cli.manifest_format import MetricKind
from adapter.cli.rules_looked_at import LookedAt
from adapter.kube.resources import GroupResource
from adapter.rules.association import NAMESPACES
from adapter.rules.catalog import may_give
from adapter.rules.permissions import Certainty, Known, metric_names, resources_of
from adapter.rules.rule import Api, Rule

PODS = GroupResource("pods")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A rule that gives the metric: of which resource, None if external, and whether that is sure.

    `any_resource` says that the rule's template of labels may name every other resource, too.
    """

    rule: Rule
    resource: GroupResource | None
    sure: bool = True
    any_resource: bool = False

    @property
    def kinds(self) -> tuple[MetricKind, ...]:
        """Return which types of metric it can be."""
        if self.rule.api is Api.EXTERNAL:
            return (MetricKind.EXTERNAL,)
        if self.any_resource or self.resource == PODS:
            return (MetricKind.PODS, MetricKind.OBJECT)
        return (MetricKind.OBJECT,)


def candidates(metric: str, looked: LookedAt) -> tuple[Candidate, ...]:
    """Return every rule and resource that give a metric, the sure ones first."""
    found = list(_served(metric, looked) if looked.entries else ()) or list(_by_rules(metric, looked))
    return tuple(sorted(found, key=lambda one: not one.sure))


def known_names(looked: LookedAt) -> tuple[str, ...]:
    """Return the names that can be told, sorted."""
    names = {entry.metric for entry in looked.entries or ()}
    names.update(name for rule in looked.rulebook.rules for name in metric_names(rule) or ())
    return tuple(sorted(name for name in names if name))


def _served(metric: str, looked: LookedAt) -> Iterator[Candidate]:
    for entry in looked.entries or ():
        if entry.metric == metric:
            yield Candidate(rule=entry.rule, resource=entry.kind.group_resource if entry.kind else None)


def _by_rules(metric: str, looked: LookedAt) -> Iterator[Candidate]:
    asked = looked.entries is not None
    for rule in looked.rulebook.rules:
        names = metric_names(rule)
        if metric not in names if names is not None else not may_give(rule, metric, {}):
            continue
        sure = names is not None and not asked
        if rule.api is Api.EXTERNAL:
            yield Candidate(rule=rule, resource=None, sure=sure)
            continue
        if rule.association.template is not None:
            yield Candidate(rule=rule, resource=None, sure=False, any_resource=True)
        for resource, certainty in resources_of(rule, Known(kinds=looked.kinds, template_resources=())):
            if certainty is not Certainty.NAMELESS:
                yield Candidate(rule=rule, resource=resource, sure=sure)


def resource_names(found: Iterable[Candidate]) -> Sequence[str]:
    """Return the resources of candidates, once each; namespaces, which nearly every rule maps, come last."""
    resources = [one.resource for one in found if one.resource is not None]
    return list(dict.fromkeys(map(str, sorted(resources, key=lambda one: one == NAMESPACES))))
