"""What a server has for the series queries of rules, learned as discovery learns it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from adapter.cli.live_asking import Asking
from adapter.clients.inspection import NotOfferedError
from adapter.errors import QueryRejected
from adapter.kube.resources import Kinds
from adapter.rules.checks import discovered, questions
from adapter.rules.checks.subject import Place, Subject
from adapter.rules.codes import CODES
from adapter.rules.discovery import (
    SelectorFacts,
    SelectorNeed,
    facts_of_series,
    labels_worth_asking,
    needs_of,
    with_label,
)
from adapter.rules.query import external_namespace_label
from adapter.rules.rule import Api, Rule

# A selector that no series can pass: a server that answers it with names does not read match[].
_IMPOSSIBLE: Final = '{__name__="tidegauge:no:such:series"}'


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveDiscovery:
    """One round of questions about the series queries of all rules."""

    asking: Asking
    subjects: Sequence[Subject]
    kinds: Kinds

    def facts(self, progress: Callable[[str], None]) -> Mapping[str, SelectorFacts]:
        """Return what each series query has; what the server refuses or does not answer is reported and left out."""
        by_labels = self._label_endpoints_work()
        found: dict[str, SelectorFacts] = {}
        for need in needs_of(subject.rule for subject in self.subjects):
            subject = next(one for one in self.subjects if need.query in one.rule.series_queries)
            progress(subject.rule.id)
            facts = self._facts(subject, need, by_labels=by_labels)
            if facts is not None:
                found[need.query] = facts
                self._count(subject, need)
        return found

    def _facts(self, subject: Subject, need: SelectorNeed, *, by_labels: bool) -> SelectorFacts | None:
        place = _place_of_series(subject)
        ask = self._by_labels if by_labels else self._by_series
        try:
            return self.asking.tried(place, lambda: ask(need))
        except QueryRejected as error:
            message = f"the server says: {error}"
            self.asking.problems.append(place.problem("live/selector-rejected", message, hint="correct the selector"))
            return None

    def _label_endpoints_work(self) -> bool:
        try:
            reason = "it returns names that the selector does not take" if self._proof() else ""
        except (NotOfferedError, QueryRejected) as error:
            reason = str(error)
        if reason:
            message = f"the label endpoints take no selectors ({reason}), so discovery reads whole series"
            self.asking.say_of_server("live/label-endpoints", message, CODES["live/label-endpoints"].fix)
        return not reason

    def _proof(self) -> frozenset[str] | None:
        return self.asking.tried(None, lambda: self._names(_IMPOSSIBLE))

    def _by_labels(self, need: SelectorNeed) -> SelectorFacts:
        names = self._names(need.query)
        if need.parsed is None:
            return SelectorFacts(names=names)
        labels = need.labels | self._namespace_labels(need.query)
        if need.label_names and names:
            found = self.asking.connection.label_names(need.query, start_seconds=self.asking.start_seconds)
            rules = [subject.rule for subject in self.subjects]
            labels |= labels_worth_asking(rules, need.query, found, self.kinds)
        by_label = {
            label: names if need.demands(label) or not names else self._names(with_label(need.parsed, label))
            for label in sorted(labels)
        }
        return SelectorFacts(names=names, names_by_label=by_label)

    def _namespace_labels(self, query: str) -> frozenset[str]:
        """Return the labels that narrow a series query to namespaces; discovery itself need not ask for them."""
        rules = (subject.rule for subject in self.subjects if query in subject.rule.series_queries)
        return frozenset(label for rule in rules if (label := self._namespace_label(rule)))

    def _namespace_label(self, rule: Rule) -> str:
        if rule.api is Api.EXTERNAL:
            return external_namespace_label(rule, self.kinds)
        if rule.fixed is not None:
            return rule.fixed.namespace_label
        return rule.association.namespace_label(self.kinds) or ""

    def _names(self, selector: str) -> frozenset[str]:
        return self.asking.connection.metric_names(selector, start_seconds=self.asking.start_seconds)

    def _by_series(self, need: SelectorNeed) -> SelectorFacts:
        asking = self.asking
        found = asking.connection.labels_by_metric(
            need.query, start_seconds=asking.start_seconds, end_seconds=asking.at_seconds
        )
        return facts_of_series(found)

    def _count(self, subject: Subject, need: SelectorNeed) -> None:
        if need.parsed is None or subject.exact_series or subject.rule.fixed is not None:
            return
        series, metrics = (self.asking.number(subject.place, promql) for promql in questions.count_of(need.parsed))
        self.asking.problems.extend(discovered.many_series(subject, series, metrics))


def _place_of_series(subject: Subject) -> Place:
    key = "query" if subject.rule.fixed else "seriesQuery"
    return Place(source=subject.place.source, path=(*subject.place.path, key), rule_id=subject.rule.id)
