"""What a cluster must allow for rules: the adapter to list their objects, and callers to read their metrics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from adapter.kube.resources import GroupResource, Kind, Kinds, parse_group_resource
from adapter.promql.ast import parse_series_selector
from adapter.rules.catalog import Entry
from adapter.rules.checks.subject import exact_name
from adapter.rules.rule import Api, Rule, Rulebook

# What a template of labels is taken for if nobody says better: what exporters put labels of into their series.
COMMON_RESOURCES: Final = tuple(
    map(
        parse_group_resource,
        (
            "pods",
            "namespaces",
            "services",
            "nodes",
            "deployments.apps",
            "statefulsets.apps",
            "daemonsets.apps",
            "replicasets.apps",
            "jobs.batch",
        ),
    )
)
_USED: Final = (GroupResource("pods"), GroupResource("nodes"))  # what metrics.k8s.io tells of


class Certainty(StrEnum):
    """How well a resource is known: by its kind, by its group with the plural guessed, or not at all."""

    KNOWN = "known"
    GUESSED = "guessed"
    NAMELESS = "nameless"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectNeed:
    """A resource that has to be listed and watched; `rules` are the names of the rules that need it."""

    resource: GroupResource
    certainty: Certainty
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricRead:
    """The metrics of one rule with their resources, None for an external one.

    `metrics` is None where they depend on the series, or the resources on labels, that nobody was asked about.
    """

    rule: Rule
    metrics: tuple[tuple[GroupResource | None, str], ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known besides the rules: which kinds there are, and what templates of labels stand for.

    `template_resources` is what a person says of templates, None if nobody did; `entries` are the metrics that a
    Prometheus was found to have, None if none was asked; `unanswered` are the series queries that it did not answer.
    """

    kinds: Kinds
    template_resources: tuple[GroupResource, ...] | None = None
    entries: tuple[Entry, ...] | None = None
    unanswered: frozenset[str] = frozenset()

    def has_asked(self, rule: Rule) -> bool:
        """Say whether a Prometheus was asked for the series of a rule, and has answered."""
        return self.entries is not None and self.unanswered.isdisjoint(rule.series_queries)

    def knows_resources(self, rule: Rule) -> bool:
        """Say whether it is known of which resources a rule has metrics; without a template it says so itself."""
        told = rule.association.template is None or self.template_resources is not None
        return told or self.has_asked(rule)


def rule_name(rule: Rule) -> str:
    """Return the id of a rule and where it is written."""
    return f"{rule.id} ({rule.place})"


def object_needs(rulebook: Rulebook, known: Known) -> tuple[ObjectNeed, ...]:
    """Return what the provider may have to list for the rules: the core group first, then by group and resource."""
    found: dict[tuple[GroupResource, Certainty], dict[str, None]] = {}
    for rule in rulebook.of(Api.CUSTOM):
        for one in resources_of(rule, known):
            found.setdefault(one, {})[rule_name(rule)] = None
    if (resource_rules := rulebook.resource_rules) is not None:
        uses = [rule for _, rule in resource_rules if rule is not None]
        for resource in _USED:
            names = found.setdefault((resource, Certainty.KNOWN), {})
            names.update({f"{use.id} ({use.location.file}:{use.location.line})": None for use in uses})
    return tuple(
        ObjectNeed(resource=resource, certainty=certainty, rules=tuple(names))
        for (resource, certainty), names in sorted(found.items(), key=lambda one: (one[0][0].group, one[0][0].resource))
    )


def template_rules(rulebook: Rulebook) -> tuple[Rule, ...]:
    """Return the rules whose labels may name any resource."""
    return tuple(rule for rule in rulebook.of(Api.CUSTOM) if rule.association.template is not None)


def resources_of(rule: Rule, known: Known) -> Iterator[tuple[GroupResource, Certainty]]:
    """Yield the resources that a rule for custom metrics has metrics of, as far as that is known."""
    if rule.fixed is not None:
        written = [rule.fixed.resource] if rule.fixed.resource else []
    else:
        written = [resource for _, resource in rule.association.overrides]
    if rule.association.template is not None:
        written += known.template_resources or ()
        if not known.knows_resources(rule):
            yield from ((one, Certainty.KNOWN) for one in _common_of(rule, known.kinds))
    for resource in written:
        yield full_resource(resource, known.kinds)
    for entry in known.entries or ():
        if entry.rule is rule and entry.kind is not None:
            yield entry.kind.group_resource, Certainty.KNOWN


def full_resource(resource: GroupResource, kinds: Kinds) -> tuple[GroupResource, Certainty]:
    """Return the plural with its group that a resource means; of an unknown kind the most likely plural."""
    kind = kinds.resolve(resource)
    if kind is not None:
        return kind.group_resource, Certainty.KNOWN
    guessed = GroupResource(_plural(resource.resource.lower()), resource.group)
    return guessed, Certainty.GUESSED if resource.group else Certainty.NAMELESS


def metric_reads(rulebook: Rulebook, known: Known) -> tuple[MetricRead, ...]:
    """Return the metrics of each rule, in order."""
    return tuple(MetricRead(rule=rule, metrics=_metrics_of(rule, known)) for rule in rulebook.rules)


def metric_names(rule: Rule) -> tuple[str, ...] | None:
    """Return the names that a rule gives, None if they depend on the series there are."""
    if rule.fixed is not None:
        return (rule.fixed.metric,)
    parsed = parse_series_selector(rule.series_queries[0])
    series = exact_name(parsed) if parsed else ""
    if series:
        name = None if rule.naming.refused_by(series) else rule.naming.metric_name(series)
        return (name,) if name else ()
    return None if "$" in rule.naming.expansion else (rule.naming.expansion,)


def _metrics_of(rule: Rule, known: Known) -> tuple[tuple[GroupResource | None, str], ...] | None:
    names = metric_names(rule)
    if names is None and not known.has_asked(rule):
        return None
    if rule.api is Api.CUSTOM and not known.knows_resources(rule):
        return None
    resources = _resources_for_reading(rule, known)
    metrics = dict.fromkeys((resource, name) for name in names or () for resource in resources)
    for entry in known.entries or ():
        if entry.rule is rule:
            metrics[entry.kind.group_resource if entry.kind else None, entry.metric] = None
    return tuple(one for one in metrics if _can_be_asked_for(one[1]))


def _resources_for_reading(rule: Rule, known: Known) -> Sequence[GroupResource | None]:
    if rule.api is Api.EXTERNAL:
        return [None]
    found = dict.fromkeys(one for one, certainty in resources_of(rule, known) if certainty is not Certainty.NAMELESS)
    return list(found)


def _can_be_asked_for(metric: str) -> bool:
    """Say whether a path can name a metric."""
    return bool(metric) and "/" not in metric


def _common_of(rule: Rule, kinds: Kinds) -> Iterator[GroupResource]:
    """Yield the common resources that the rule's template has a label for."""
    for resource in COMMON_RESOURCES:
        kind = kinds.resolve(resource)
        if kind is not None and _is_named(rule, kind, kinds):
            yield kind.group_resource


def _is_named(rule: Rule, kind: Kind, kinds: Kinds) -> bool:
    label = rule.association.label_of(kind, kinds)
    return label is not None and rule.association.kind_of(label, kinds) == kind


def _plural(resource: str) -> str:
    """Guess a plural, as those who define kinds do: `gateways`, `policies`, `classes`; `...s` is one already."""
    if resource.endswith(("ss", "x", "ch", "sh")):
        return f"{resource}es"
    if resource.endswith("s"):
        return resource
    return f"{resource[:-1]}ies" if resource[-1:] == "y" and resource[-2:-1] not in set("aeiou") else f"{resource}s"
