"""What a server's series say about a rule: which there are, with which labels, how many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from adapter.config.problems import Problem
from adapter.kube.resources import Kind
from adapter.promql.matchers import is_legacy_label_name, is_legacy_metric_name
from adapter.rules.catalog import Catalog, Entry
from adapter.rules.checks.rendering import namespace_label_of
from adapter.rules.checks.selector import names_anything
from adapter.rules.checks.subject import Subject, names_namespaces
from adapter.rules.discovery import SelectorFacts
from adapter.rules.query import external_namespace_label
from adapter.rules.rule import Api

# 170 bytes of JSON each (68 MB for 400,000 of them, measured): prometheus-adapter reads 1.7 MB at each relist then.
MANY_SERIES = 10_000
_UTF8_SINCE = 3
_SHOWN = 3


def series_problems(subject: Subject, facts: Mapping[str, SelectorFacts]) -> Iterator[Problem]:
    """Find out why a rule gives no metric, or none of some kind; series queries without facts are left out."""
    known = {query: facts[query] for query in subject.rule.series_queries if query in facts}
    empty = [query for query, found in known.items() if not found.names]
    for query in empty:
        yield subject.place.problem(
            "live/no-series",
            f"no series: {query}",
            _key_of_series(subject),
            hint="compare the name and the labels with those that the server has",
        )
    if empty or len(known) < len(subject.rule.series_queries):
        return
    if subject.rule.fixed is not None:
        yield from _fixed_problems(subject, known)
    else:
        yield from _rule_problems(subject, known[subject.rule.series_queries[0]])


def _key_of_series(subject: Subject) -> str:
    return "query" if subject.rule.fixed else "seriesQuery"


def _fixed_problems(subject: Subject, facts: Mapping[str, SelectorFacts]) -> Iterator[Problem]:
    fixed = subject.rule.fixed
    labels = [label for label in (fixed.label, fixed.namespace_label) if label] if fixed else []
    for query, found in facts.items():
        for label in labels:
            if not found.with_label(label):
                code = "live/no-object-label" if fixed and label == fixed.label else "live/no-namespace-label"
                yield subject.place.problem(
                    code, f'no series of {query} carries the label "{label}"', hint="correct the label's name"
                )


def _rule_problems(subject: Subject, found: SelectorFacts) -> Iterator[Problem]:
    naming = subject.rule.naming
    named = frozenset(
        name for name in found.names if naming.refused_by(name) is None and naming.metric_name(name) is not None
    )
    if not named:
        refusals = [naming.refused_by(name) for name in sorted(found.names)[:_SHOWN]]
        reasons = ", ".join(dict.fromkeys(f"`{one}`" for one in refusals if one))
        yield subject.place.problem(
            "live/nothing-named",
            f"none of {_listed(found.names)} passes {reasons or 'the name mapping'}",
            "seriesQuery",
            hint="correct seriesFilters or name.matches",
        )
    elif subject.rule.api is Api.CUSTOM:
        yield from _label_problems(subject, found, named)
    elif subject.rule.namespaced:
        yield from _external_namespace(subject, found, named)


def _external_namespace(subject: Subject, found: SelectorFacts, named: frozenset[str]) -> Iterator[Problem]:
    label = external_namespace_label(subject.rule, subject.kinds)
    if label and not found.with_label(label) & named:
        yield subject.place.problem(
            "live/no-namespace-label",
            f'no series carries "{label}", so every request finds nothing',
            "resources",
            hint="map the label that holds the namespace, or write resources: {namespaced: false}",
        )


def _label_problems(subject: Subject, found: SelectorFacts, named: frozenset[str]) -> Iterator[Problem]:
    association = subject.rule.association
    carried = {label for label, names in found.names_by_label.items() if names & named}
    kinds = {label: association.kind_of(label, subject.kinds) for label in sorted(carried)}
    mapped = {label: kind for label, kind in kinds.items() if kind is not None}
    if not mapped:
        yield subject.place.problem(
            "live/no-object-label",
            f"no label of {_listed(named)} is mapped to Kubernetes objects",
            "resources",
            hint="map a label that the series carry",
        )
        return
    namespace = namespace_label_of(subject)
    lost = next((kind for kind in mapped.values() if kind.namespaced), None)
    if namespace and namespace not in carried and lost is not None:
        yield subject.place.problem(
            "live/no-namespace-label",
            f'no series carries "{namespace}", so requests for {lost.group_resource} in a namespace find nothing',
            "resources",
            hint="map the label that holds the namespace, for example exported_namespace",
        )
    yield from _absent_labels(subject, carried, mapped)


def _absent_labels(subject: Subject, carried: set[str], mapped: Mapping[str, Kind]) -> Iterator[Problem]:
    for label, resource in subject.rule.association.overrides:
        kind = subject.kinds.resolve(resource)
        if label not in carried and kind and kind not in mapped.values() and not names_namespaces(resource):
            yield subject.place.problem_at_key(
                "live/label-absent",
                f'no series carries "{label}", so there are no metrics of {kind.group_resource}',
                "resources",
                "overrides",
                label,
                hint="correct the label's name, or remove it",
            )


def _listed(names: frozenset[str]) -> str:
    shown = sorted(names)[:_SHOWN]
    rest = len(names) - len(shown)
    return ", ".join(shown) + (f" and {rest} more" if rest > 0 else "")


def many_series(subject: Subject, series: int, metrics: int) -> Iterator[Problem]:
    """Find series queries of no certain metric that take very many series."""
    if series >= MANY_SERIES and subject.selector is not None and not subject.exact_series:
        broad = "names no metric" if names_anything(subject.selector) else "takes metrics by a pattern"
        yield subject.place.problem(
            "live/many-series",
            f"the series query {broad} and takes {series:,} series of {metrics:,} metrics",
            "seriesQuery",
            hint="name the metrics that are needed",
        )


def overlaps(catalog: Catalog, subjects: Sequence[Subject], reported: frozenset[str]) -> Iterator[Problem]:
    """Find metrics that several series claim, by the rule that wins; rules in `reported` overlap by their files."""
    found: dict[str, list[tuple[Entry, Entry]]] = {}
    for overlap in catalog.overlaps:
        winner = overlap.winner
        claims = ((winner, loser) for loser in overlap.losers if _matters(winner, loser, reported))
        found.setdefault(winner.rule.id, []).extend(claims)
    for subject in subjects:
        if mine := found.get(subject.rule.id):
            yield _overlap_problem(subject, mine)


def _matters(winner: Entry, loser: Entry, reported: frozenset[str]) -> bool:
    """Say whether it makes a difference who wins, and whether nobody has said so yet."""
    if winner.rule.id == loser.rule.id:
        return winner.rule.query is not None and "Series" in winner.rule.query.fields
    return winner.rule.id not in reported


def _overlap_problem(subject: Subject, claims: Sequence[tuple[Entry, Entry]]) -> Problem:
    winner, loser = min(claims, key=lambda claim: claim[0].kind is not None and claim[0].kind.plural == "namespaces")
    metrics = {(one.metric, one.kind) for one, _ in claims}
    rules = {one.rule.id for _, one in claims} - {loser.rule.id}
    what = f'the metric "{winner.metric}"{_of_kind(winner)}{_and_more(len(metrics) - 1, "metrics")}'
    others = f"{_source(subject, loser)}{_and_more(len(rules), 'rules')}"
    return subject.place.problem(
        "live/overlap",
        f"{what} is claimed by {winner.series or 'this rule'} and by {others}; this one is served",
        hint="narrow the filters, or rename one of them",
    )


def _source(subject: Subject, entry: Entry) -> str:
    series = entry.series or "the query"
    return f"{series} of rule {entry.rule.id} ({entry.rule.place})" if entry.rule.id != subject.rule.id else series


def _of_kind(entry: Entry) -> str:
    return f" of {entry.kind.group_resource}" if entry.kind else ""


def _and_more(count: int, what: str) -> str:
    return f" (and {count} more {what.removesuffix('s') if count == 1 else what})" if count > 0 else ""


def utf8_names(subject: Subject, version: str | None) -> Iterator[Problem]:
    """Find names that only Prometheus 3 knows, on an older one."""
    major = (version or "").partition(".")[0]
    if not major.isascii() or not major.isdigit() or int(major) >= _UTF8_SINCE:
        return
    rule = subject.rule
    labels = [label for label, _ in rule.association.overrides]
    labels += [one.name for one in subject.selector.matchers] if subject.selector else []
    labels += rule.policies.selector_labels.values()
    odd = [label for label in labels if not is_legacy_label_name(label)]
    if subject.exact_series and not is_legacy_metric_name(subject.exact_series):
        odd.insert(0, subject.exact_series)
    if odd:
        yield subject.place.problem(
            "live/utf8-names",
            f'"{odd[0]}" is a name for Prometheus 3, and the server is version {version}',
            hint="write the name as this server shows it; older ones replace dots and dashes by underscores",
        )
