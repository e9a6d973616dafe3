"""Asks a backend what the series queries of the rules have: label endpoints where they work, series where not."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from adapter.clients.prometheus import EndpointUnsupported, Names, SeriesNames
from adapter.errors import UpstreamError
from adapter.kube.resources import Kinds
from adapter.promql.ast import SeriesSelector
from adapter.promql.matchers import LabelMatcher, MatchOp, escape_regex
from adapter.rules.discovery import (
    SelectorFacts,
    SelectorNeed,
    facts_of_series,
    labels_worth_asking,
    with_label,
)
from adapter.rules.rule import Rule
from adapter.runtime.questions import Answer, Ask, asked, batches_of, is_odd_refusal, is_unsure, upstream


class DiscoveryBackend(Protocol):
    """What discovery needs of a backend; all calls raise UpstreamError leaves or EndpointUnsupported."""

    async def label_endpoints_work(self) -> bool:
        """Say whether the label endpoints respect match[]."""

    async def metric_names(self, *selectors: str, start_seconds: float) -> Names:
        """Return the metric names that any of the selectors takes."""

    async def label_names(self, selector: str, *, start_seconds: float) -> Names:
        """Return the label names of the series that a selector takes."""

    async def series(self, selector: str, *, start_seconds: float) -> SeriesNames:
        """Return the label names of each metric that a selector takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A selector's facts; with warnings they may be incomplete, so they never take a metric away."""

    facts: SelectorFacts
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A selector that could not be asked, and why."""

    error: UpstreamError


Outcome = Fetched | Failed


@dataclass(slots=True, kw_only=True)
class Discovery:
    """One round of questions to one backend, at most `concurrency` at a time."""

    backend: DiscoveryBackend
    rules: Sequence[Rule]
    kinds: Kinds
    start_seconds: float
    concurrency: asyncio.Semaphore

    async def ask(self, needs: Sequence[SelectorNeed]) -> Mapping[str, Outcome]:
        """Return the outcome of each series query; one that fails, fails alone."""
        by_labels = await asked(self.backend.label_endpoints_work(), "whether its label endpoints work")
        if isinstance(by_labels, Exception):
            return {need.query: Failed(error=upstream(by_labels)) for need in needs}
        by_series = [need for need in needs if not by_labels or need.parsed is None]
        series, labels = await asyncio.gather(
            self._all_by_series(by_series), self._all_by_labels([need for need in needs if need not in by_series])
        )
        return {**series, **labels}

    # ---- label endpoints

    async def _all_by_labels(self, needs: Sequence[SelectorNeed]) -> Mapping[str, Outcome]:
        label_names = await self._label_names([need for need in needs if need.label_names])
        asks = {need.query: self._asks(need, label_names.get(need.query)) for need in needs}
        answers = dict(await self._names([ask for found in asks.values() for ask in found.values()]))
        unsure = [need for need in needs if is_unsure(asks[need.query], answers)]
        for need in unsure:
            asks[need.query] = {**asks[need.query], "": _plain(need)}
        answers.update(await self._names([asks[need.query][""] for need in unsure]))
        outcomes: dict[str, Outcome] = {}
        unsupported: list[SelectorNeed] = []
        for need in needs:
            mine = {label: answers[ask] for label, ask in asks[need.query].items()}
            outcome = _assembled(need, mine, label_names.get(need.query))
            if outcome is None:
                unsupported.append(need)
            else:
                outcomes[need.query] = outcome
        return {**outcomes, **await self._all_by_series(unsupported)}

    async def _label_names(self, needs: Sequence[SelectorNeed]) -> Mapping[str, Answer]:
        answers = await asyncio.gather(*(self._label_names_of(need.query) for need in needs))
        return {need.query: answer for need, answer in zip(needs, answers, strict=True)}

    async def _label_names_of(self, query: str) -> Answer:
        async with self.concurrency:
            return await asked(self.backend.label_names(query, start_seconds=self.start_seconds), query)

    def _asks(self, need: SelectorNeed, label_names: Answer | None) -> dict[str, Ask]:
        """Return the questions for one series query, by label; the plain list of names goes by the empty label."""
        parsed = need.parsed
        if parsed is None:
            return {}
        found = label_names.values if isinstance(label_names, Names) else ()
        worth = labels_worth_asking(self.rules, need.query, found, self.kinds)
        asks = {label: Ask(with_label(parsed, label), parsed.metric) for label in need.unanswered(worth)}
        if need.needs_names or not asks:
            asks[""] = _plain(need)
        return asks

    async def _names(self, asks: Iterable[Ask]) -> Mapping[Ask, Answer]:
        """Answer all questions; those for one known metric each share calls, since the names attribute themselves."""
        distinct = tuple(dict.fromkeys(asks))
        batches = batches_of(distinct)
        found: dict[Ask, Answer] = {}
        for answers in await asyncio.gather(*(self._batch(batch) for batch in batches)):
            found.update(answers)
        return found

    async def _batch(self, batch: Sequence[Ask]) -> Mapping[Ask, Answer]:
        async with self.concurrency:
            answer = await self._names_once(batch)
        if len(batch) == 1:
            return {batch[0]: answer}
        if isinstance(answer, Names):
            return {ask: Names(values=answer.values & {ask.metric}, warnings=answer.warnings) for ask in batch}
        # One bad selector must not fail its neighbours: each by itself.
        singles = await asyncio.gather(*(self._batch([ask]) for ask in batch))
        return {ask: one for answers in singles for ask, one in answers.items()}

    async def _names_once(self, batch: Sequence[Ask]) -> Answer:
        selectors = [ask.selector for ask in batch]
        return await asked(
            self.backend.metric_names(*selectors, start_seconds=self.start_seconds), " and ".join(selectors)
        )

    # ---- the series endpoint

    async def _all_by_series(self, needs: Sequence[SelectorNeed]) -> Mapping[str, Outcome]:
        outcomes = await asyncio.gather(*(self._by_series(need.query) for need in needs))
        return {need.query: outcome for need, outcome in zip(needs, outcomes, strict=True)}

    async def _by_series(self, query: str) -> Outcome:
        async with self.concurrency:
            found = await asked(self.backend.series(query, start_seconds=self.start_seconds), query)
        if isinstance(found, Exception):
            return Failed(error=upstream(found))
        return Fetched(facts=facts_of_series(found.labels_by_metric), warnings=found.warnings)

    # ---- who is alive

    async def dead(
        self, contested: Collection[tuple[str, str, str]], needs: Mapping[str, SelectorNeed]
    ) -> frozenset[tuple[str, str, str]]:
        """Return which contested series have no sample since `start_seconds`; what cannot be told counts as alive.

        The label endpoints list a metric as long as its block is in reach, the series endpoint does not.
        """
        by_query: dict[str, set[tuple[str, str, str]]] = {}
        for identity in contested:
            by_query.setdefault(identity[0], set()).add(identity)
        known = [query for query in by_query if query in needs and needs[query].parsed is not None]
        found = await asyncio.gather(*(self._dead_of(needs[query].parsed, by_query[query]) for query in known))
        return frozenset(identity for some in found for identity in some)

    async def _dead_of(
        self, parsed: SeriesSelector | None, identities: set[tuple[str, str, str]]
    ) -> set[tuple[str, str, str]]:
        if parsed is None:
            return set()
        names = "|".join(escape_regex(name) for name in sorted({name for _, name, _ in identities}))
        narrowed = str(parsed.with_matcher(LabelMatcher(name="__name__", op=MatchOp.MATCHES, value=names)))
        outcome = await self._by_series(narrowed)
        if isinstance(outcome, Failed) or outcome.warnings:
            return set()
        facts = outcome.facts
        return {
            identity
            for identity in identities
            if identity[1] not in (facts.with_label(identity[2]) if identity[2] else facts.names)
        }


def _plain(need: SelectorNeed) -> Ask:
    return Ask(need.query, need.parsed.metric if need.parsed is not None else "")


def _assembled(need: SelectorNeed, answers: Mapping[str, Answer], label_names: Answer | None) -> Outcome | None:
    """Put a series query's answers together; None when the server does not offer the label endpoints after all."""
    if any(isinstance(one, Names) for one in answers.values()):
        none = Names(values=frozenset())
        answers = {label: none if is_odd_refusal(label, one) else one for label, one in answers.items()}
    everything = [*answers.values(), *([label_names] if label_names is not None else [])]
    if any(isinstance(one, EndpointUnsupported) for one in everything):
        return None
    failed = next((one for one in everything if isinstance(one, UpstreamError)), None)
    if failed is not None:
        return Failed(error=failed)
    good = {label: one for label, one in answers.items() if isinstance(one, Names)}
    by_label = {label: one.values for label, one in good.items() if label}
    plain = good[""].values if "" in good else frozenset()
    known = label_names.values if isinstance(label_names, Names) else frozenset()
    by_label.update({label: plain for label in need.labels | known if need.demands(label)})
    names = plain.union(*by_label.values())
    warnings = tuple(dict.fromkeys(text for one in everything if isinstance(one, Names) for text in one.warnings))
    return Fetched(facts=SelectorFacts(names=names, names_by_label=by_label), warnings=warnings)
