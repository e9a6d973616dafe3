"""Which rule and which series serve which metric: what discovery lists, and the first look-up of every request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from adapter.kube.resources import GroupResource, Kind, Kinds
from adapter.rules.discovery import SelectorFacts
from adapter.rules.rule import Api, Rule, Rulebook

Identity = tuple[str, str, str]  # series query, series name, label


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One series that a rule exposes as a metric of a kind (`kind` is None for external metrics)."""

    metric: str
    kind: Kind | None
    series: str
    label: str  # the label through which the kind is associated; empty for external metrics
    rule: Rule

    @property
    def identity(self) -> Identity:
        """Return what decides whether the entry's series are alive: series query, series name and label."""
        return (self.rule.series_queries[0], self.series, self.label)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedMetric:
    """One line of the custom metrics' discovery list."""

    resource: GroupResource
    namespaced: bool
    metric: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """One metric that several series or rules claim; the last alive one wins, as in prometheus-adapter."""

    winner: Entry
    losers: tuple[Entry, ...]


CustomKey = tuple[GroupResource, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """All metrics there are now; replaced whole at each relist."""

    by_custom: Mapping[CustomKey, Entry] = field(default_factory=dict)
    by_external: Mapping[str, Entry] = field(default_factory=dict)
    resources: Mapping[str, tuple[GroupResource, ...]] = field(default_factory=dict)  # by custom metric
    overlaps: tuple[Overlap, ...] = ()
    custom: tuple[ListedMetric, ...] = ()
    external: tuple[str, ...] = ()

    def custom_entry(self, kind: Kind, metric: str) -> Entry | None:
        """Return what serves a metric of a kind."""
        return self.by_custom.get((kind.group_resource, metric))

    def external_entry(self, metric: str) -> Entry | None:
        """Return what serves an external metric."""
        return self.by_external.get(metric)

    def kinds_with(self, metric: str) -> tuple[GroupResource, ...]:
        """Return the resources on which a metric of this name is served, for hints."""
        return self.resources.get(metric, ())

    def has(self, api: Api, metric: str) -> bool:
        """Say whether an API has a metric of this name, on whatever resource."""
        return metric in (self.by_external if api is Api.EXTERNAL else self.resources)


Claims = Mapping[CustomKey | str, tuple[Entry, ...]]


def claims_of(rulebook: Rulebook, facts: Mapping[str, SelectorFacts], kinds: Kinds) -> Claims:
    """Return all entries that claim each metric, in prometheus-adapter's order: rules as written, series by name."""
    claims: dict[CustomKey | str, tuple[Entry, ...]] = {}
    # Of a hundred thousand metrics nearly all are claimed once, so what tells claims apart is made for the others only.
    several: dict[CustomKey | str, dict[tuple[str, Identity], Entry]] = {}
    resources: dict[Kind, GroupResource] = {}
    for rule in rulebook.rules:
        for entry in _entries(rule, facts, kinds):
            key: CustomKey | str = entry.metric
            if entry.kind is not None:
                resource = resources.get(entry.kind)
                if resource is None:
                    resource = resources[entry.kind] = entry.kind.group_resource
                key = (resource, entry.metric)
            if key not in claims:
                claims[key] = (entry,)
                continue
            if key not in several:
                several[key] = {(one.rule.id, one.identity): one for one in claims[key]}
            several[key][rule.id, entry.identity] = entry
    claims.update({key: tuple(entries.values()) for key, entries in several.items()})
    return claims


def contested(claims: Claims) -> frozenset[Identity]:
    """Return the identities whose life decides who wins: those of metrics claimed by several different ones."""
    found: set[Identity] = set()
    for entries in claims.values():
        if len(entries) > 1:
            identities = {entry.identity for entry in entries}
            found |= identities if len(identities) > 1 else set()
    return frozenset(found)


def build_catalog(claims: Claims, *, dead: frozenset[Identity] = frozenset()) -> Catalog:
    """Return the catalog: of several claims the last one whose series are alive wins, and the others are remembered."""
    by_custom: dict[CustomKey, Entry] = {}
    by_external: dict[str, Entry] = {}
    overlaps: list[Overlap] = []
    for key, entries in claims.items():
        winner = entries[0]
        if len(entries) > 1:
            winner = next((one for one in reversed(entries) if one.identity not in dead), entries[-1])
            overlaps.append(Overlap(winner=winner, losers=tuple(one for one in entries if one is not winner)))
        if isinstance(key, str):
            by_external[key] = winner
        else:
            by_custom[key] = winner
    custom = tuple(_listed(by_custom))
    return Catalog(
        by_custom=by_custom,
        by_external=by_external,
        resources=_resources(custom),
        overlaps=tuple(overlaps),
        custom=custom,
        external=tuple(sorted(by_external)),
    )


def may_give(rule: Rule, metric: str, series: Mapping[str, str]) -> bool:
    """Say whether a rule can give a metric, as far as can be told without asking.

    `series` has the metric name that each series query takes, where it takes one only. Of other rules, what stands
    around the groups of a name, as in `${1}_per_second`, must stand in the metric's name too.
    """
    if rule.fixed is not None:
        return rule.fixed.metric == metric
    only = series.get(rule.series_queries[0], "")
    return _name_of(rule, only) == metric if only else rule.naming.may_give(metric)


def _listed(by_custom: Mapping[CustomKey, Entry]) -> Iterator[ListedMetric]:
    """Sort the discovery list, so that it is the same each time."""
    texts = {resource: str(resource) for resource in {resource for resource, _ in by_custom}}
    found = [(texts[resource], metric, resource, entry.kind) for (resource, metric), entry in by_custom.items()]
    for _, metric, resource, kind in sorted(found, key=lambda one: one[:2]):
        if kind is not None:
            yield ListedMetric(resource=resource, namespaced=kind.namespaced, metric=metric)


def _resources(custom: Iterable[ListedMetric]) -> Mapping[str, tuple[GroupResource, ...]]:
    """Return the resources of each metric, sorted; metrics on the same resources share one tuple."""
    shared: dict[tuple[GroupResource, ...], tuple[GroupResource, ...]] = {}
    found: dict[str, tuple[GroupResource, ...]] = {}
    for one in custom:
        several = (*found.get(one.metric, ()), one.resource)
        found[one.metric] = shared.setdefault(several, several)
    return found


def _entries(rule: Rule, facts: Mapping[str, SelectorFacts], kinds: Kinds) -> Iterator[Entry]:
    """Yield what one rule exposes, in order of series name."""
    if rule.fixed is not None:
        yield from _fixed_entries(rule, facts, kinds)
        return
    found = facts.get(rule.series_queries[0])
    if found is None:
        return
    if rule.api is Api.EXTERNAL:
        yield from _external_entries(rule, found)
        return
    mapped = [(label, rule.association.kind_of(label, kinds)) for label in sorted(found.names_by_label)]
    for series in sorted(found.names):
        name = _name_of(rule, series)
        if name is None:
            continue
        for label, kind in mapped:
            if kind is not None and series in found.with_label(label):
                yield Entry(metric=name, kind=kind, series=series, label=label, rule=rule)


def _external_entries(rule: Rule, found: SelectorFacts) -> Iterator[Entry]:
    for series in sorted(found.names):
        name = _name_of(rule, series)
        if name is not None:
            yield Entry(metric=name, kind=None, series=series, label="", rule=rule)


def _name_of(rule: Rule, series: str) -> str | None:
    if rule.naming.refused_by(series) is not None:
        return None
    return rule.naming.metric_name(series)


def _fixed_entries(rule: Rule, facts: Mapping[str, SelectorFacts], kinds: Kinds) -> Iterator[Entry]:
    """Yield the one entry of a `metrics:` rule, when each of its selectors has a series with the label it needs."""
    fixed = rule.fixed
    if fixed is None:
        return
    label = fixed.label or fixed.namespace_label
    alive = [facts.get(query) for query in rule.series_queries]
    if not all(found and (found.with_label(label) if label else found.names) for found in alive):
        return
    if fixed.resource is None:
        yield Entry(metric=fixed.metric, kind=None, series="", label="", rule=rule)
        return
    kind = kinds.resolve(fixed.resource)
    if kind is not None:
        yield Entry(metric=fixed.metric, kind=kind, series="", label=fixed.label, rule=rule)
