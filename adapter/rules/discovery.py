"""What a relist must learn, and what the answers mean: which metric names a rule has, with which labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from adapter.kube.resources import Kinds
from adapter.promql.ast import SeriesSelector, parse_series_selector
from adapter.promql.matchers import LabelMatcher, MatchOp
from adapter.rules.rule import Api, Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectorFacts:
    """What one series query has: `names_by_label` holds the metric names whose series carry that label."""

    names: frozenset[str] = frozenset()
    names_by_label: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def with_label(self, label: str) -> frozenset[str]:
        """Return the metric names that carry a label."""
        return self.names_by_label.get(label, frozenset())


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectorNeed:
    """What must be learned of one series query: its names, these labels, and (templates) which labels there are."""

    query: str
    parsed: SeriesSelector | None
    labels: frozenset[str]
    names: bool
    label_names: bool
    templates: frozenset[str] = frozenset()  # what of these label names is worth asking depends on them

    def unanswered(self, label_names: Iterable[str]) -> tuple[str, ...]:
        """Return the labels that need a call of their own, given the label names that the selector was found to have.

        A label that the series query itself demands needs none: one call for the names serves all of those.
        """
        wanted = self.labels | frozenset(label_names)
        return tuple(sorted(one for one in wanted if not self.demands(one)))

    def demands(self, label: str) -> bool:
        """Say whether the series query only takes series that carry the label."""
        return self.parsed is not None and self.parsed.demands(label)

    @property
    def needs_names(self) -> bool:
        """Say whether the plain list of names is needed."""
        return self.names or self.label_names or any(self.demands(label) for label in self.labels)


def needs_of(rules: Iterable[Rule]) -> tuple[SelectorNeed, ...]:
    """Return what must be asked for the rules, each distinct series query once, in order of first appearance."""
    labels: dict[str, set[str]] = {}
    names: set[str] = set()
    templates: dict[str, set[str]] = {}
    for rule in rules:
        for query in rule.series_queries:
            labels.setdefault(query, set()).update(_labels_of(rule))
            if rule.api is Api.EXTERNAL:
                names.add(query)
            elif rule.association.template is not None:
                templates.setdefault(query, set()).add(rule.association.template.reverse.compiled.pattern)
    return tuple(
        SelectorNeed(
            query=query,
            parsed=parse_series_selector(query),
            labels=frozenset(wanted),
            names=query in names,
            label_names=query in templates,
            templates=frozenset(templates.get(query, ())),
        )
        for query, wanted in labels.items()
    )


def _labels_of(rule: Rule) -> Iterable[str]:
    """Return the labels whose presence decides what a rule serves."""
    if rule.fixed is not None:
        return [
            label for label in (rule.fixed.label, rule.fixed.namespace_label if not rule.fixed.label else "") if label
        ]
    if rule.api is Api.EXTERNAL:
        return []
    return [label for label, _ in rule.association.overrides]


def labels_worth_asking(rules: Iterable[Rule], query: str, label_names: Iterable[str], kinds: Kinds) -> frozenset[str]:
    """Return which of a series query's label names stand for a kind by some rule's template."""
    templates = [rule.association for rule in rules if query in rule.series_queries and rule.association.template]
    return frozenset(label for label in label_names if any(one.kind_of(label, kinds) for one in templates))


def with_label(selector: SeriesSelector, label: str) -> str:
    """Return the text of a selector that takes only the series carrying a label."""
    return str(selector.with_matcher(LabelMatcher(name=label, op=MatchOp.NOT_EQUAL, value="")))


def facts_of_series(labels_by_metric: Mapping[str, frozenset[str]]) -> SelectorFacts:
    """Return the facts that an answer of the series endpoint holds."""
    by_label: dict[str, set[str]] = {}
    for metric, labels in labels_by_metric.items():
        for label in labels:
            by_label.setdefault(label, set()).add(metric)
    return SelectorFacts(
        names=frozenset(labels_by_metric),
        names_by_label={label: frozenset(metrics) for label, metrics in by_label.items()},
    )
