"""The catalog of metrics, kept current: a loop that never takes away what a failure hides."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from adapter.errors import PrometheusUnavailable, QueryRejected, UpstreamError
from adapter.kube.resources import Kinds
from adapter.rules.catalog import Catalog, Claims, build_catalog, claims_of, contested
from adapter.rules.discovery import SelectorFacts, SelectorNeed, needs_of
from adapter.rules.rule import Api, Rule, Rulebook
from adapter.runtime.clock import Clocks
from adapter.runtime.discover import Discovery, DiscoveryBackend, Failed, Fetched, Outcome

log = logging.getLogger(__name__)

# A metric that is not there is looked up again at most this often; an HPA asks every 15 s.
LOOK_UP_SECONDS = 5.0
# After a relist with a failure the next one comes early: first after this, then twice as long each time.
FIRST_RETRY_SECONDS = 1.0
# More metric names than this take over 10 ms to put together, so a thread does it and requests go on.
NAMES_AT_ONCE = 1000
# Relists of several replicas and clusters must not fall into step: each waits up to a tenth less or more.
JITTER = 0.1


class RelistBackend(DiscoveryBackend, Protocol):
    """What the relist needs of a backend besides discovery."""

    async def series_exist(self) -> bool:
        """Say whether the backend has any series at all."""


class RelistObserver(Protocol):
    """What the relist reports."""

    def relisted(self, *, seconds: float, failed: int, metrics: int, overlaps: int, at_seconds: float) -> None:
        """Note a round of questions that has ended, at which wall-clock second, and what it left."""

    def looked_up(self, *, found: bool) -> None:
        """Note a look-up of a metric that was not in the catalog."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectorState:
    """What is known of one series query: its last good facts, when they came, and the error since, if any."""

    need: SelectorNeed
    facts: SelectorFacts | None = None
    good_at: float | None = None
    asked_at: float = float("-inf")
    error: UpstreamError | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RelistSettings:
    """How often to relist, how far to look back, how much to ask at a time; in seconds and calls."""

    interval_seconds: float
    max_age_seconds: float
    concurrency: int


@dataclass(slots=True, kw_only=True)
class Relist:
    """Owns the catalog: replaced whole at each tick, read without a lock."""

    rulebook: Rulebook
    backend: RelistBackend
    kinds: Callable[[], Kinds]
    settings: RelistSettings
    clocks: Clocks
    observer: RelistObserver
    jitter: Callable[[], float] = field(default=lambda: random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311 - spreads load
    catalog: Catalog = field(default_factory=Catalog)
    states: Mapping[str, SelectorState] = field(default_factory=dict)
    first_done: asyncio.Event = field(default_factory=asyncio.Event)
    _dead: frozenset[tuple[str, str, str]] = frozenset()
    _look_up: dict[Api, asyncio.Task[None]] = field(default_factory=dict)
    _burying: asyncio.Task[None] | None = None
    _kinds_used: Kinds | None = None
    _failing: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.states = {need.query: SelectorState(need=need) for need in needs_of(self.rulebook.rules)}

    # ---- the loop

    async def run(self) -> None:
        """Relist for ever: at once, then each interval, sooner after a failure."""
        failures = 0
        due = self.clocks.monotonic()
        while True:
            try:
                if self.clocks.monotonic() >= due:
                    due = self.clocks.monotonic() + self.settings.interval_seconds * self.jitter()
                    await self.relist()
                else:
                    await self._round(self._worth_retrying())
            except Exception:
                # The loop must outlive any fault of ours: the catalog stays, the log names the fault.
                log.exception("relist failed, the catalog stays")
            failures = failures + 1 if self._worth_retrying() else 0
            await asyncio.sleep(self._pause(failures, due))

    def _pause(self, failures: int, due: float) -> float:
        left = max(0.0, due - self.clocks.monotonic())
        if not failures:
            return left
        return min(left, FIRST_RETRY_SECONDS * 2.0 ** min(failures - 1, 16) * self.jitter())

    def _worth_retrying(self) -> list[SelectorNeed]:
        """Return what failed and may do better soon; what Prometheus refuses, it refuses until the rule is changed."""
        return [
            state.need
            for state in self.states.values()
            if state.error is not None and not isinstance(state.error, QueryRejected)
        ]

    async def relist(self) -> None:
        """Ask for every series query once and swap the catalog."""
        try:
            await self._round([state.need for state in self.states.values()])
        finally:
            self.first_done.set()

    async def _round(self, needs: Sequence[SelectorNeed]) -> None:
        begin = self.clocks.monotonic()
        await self._ask(needs, self.rulebook.rules)
        await self._rebuild()
        self._report(self.clocks.monotonic() - begin)

    # ---- a metric that is not there

    async def look_up(self, api: Api, metric: str) -> None:
        """Ask again for the series queries that may give a metric, unless that was done a moment ago.

        All callers of one API share one round of questions. While the first relist has not ended, it is what they wait
        for: whether the metric exists cannot be known before.
        """
        if self._never_answered(api, metric) and not self.first_done.is_set():
            await self.first_done.wait()
            return
        task = self._look_up.get(api)
        if task is None:
            needs = self._worth_asking(api, metric)
            if not needs:
                return
            task = asyncio.create_task(self._ask_again(needs))
            self._look_up[api] = task
            task.add_done_callback(lambda _: self._look_up.pop(api, None))
        await asyncio.shield(task)

    def unknown_because_failed(self, api: Api, metric: str) -> UpstreamError | None:
        """Return the error that hides whether a metric exists: of a series query that was never answered.

        A series query that Prometheus refuses has been answered: it is a fault of its rule, which hides nothing.
        """
        for state in self._never_answered(api, metric):
            if not isinstance(state.error, QueryRejected):
                return state.error or PrometheusUnavailable("the series have not been discovered yet", kind="pending")
        return None

    def _never_answered(self, api: Api, metric: str) -> list[SelectorState]:
        """Return the series queries without an answer that may give a metric."""
        states = (
            self.states[query]
            for rule in self.rulebook.of(api)
            if may_give(rule, metric)
            for query in rule.series_queries
        )
        return [state for state in states if state.facts is None]

    async def close(self) -> None:
        """Cancel look-ups under way."""
        tasks = [*self._look_up.values(), *([self._burying] if self._burying else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _worth_asking(self, api: Api, metric: str) -> list[SelectorNeed]:
        now = self.clocks.monotonic()
        queries = {q for rule in self.rulebook.of(api) if may_give(rule, metric) for q in rule.series_queries}
        states = [self.states[query] for query in self.states if query in queries]
        return [state.need for state in states if now - state.asked_at >= LOOK_UP_SECONDS]

    async def _ask_again(self, needs: Sequence[SelectorNeed]) -> None:
        before = self.catalog
        await self._round(needs)
        self.observer.looked_up(
            found=self.catalog.by_custom != before.by_custom or self.catalog.by_external != before.by_external
        )

    # ---- what both share

    async def _ask(self, needs: Sequence[SelectorNeed], rules: Sequence[Rule]) -> None:
        asked_at = self.clocks.monotonic()
        asked = {need.query: need for need in needs}
        self.states = {
            query: replace(state, asked_at=asked_at) if query in asked else state
            for query, state in self.states.items()
        }
        discovery = self._discovery(rules)
        outcomes = await discovery.ask(needs)
        if await self._everything_vanished(outcomes):
            log.warning("the backend has no series at all; the last good metrics stay until max age")
            self.states = {query: self._expired(state) for query, state in self.states.items()}
            return
        # Other rules may be in force by now: an answer counts only for the question that was asked.
        self.states = {
            query: self._next(state, outcomes.get(query), asked_at) if asked.get(query) == state.need else state
            for query, state in self.states.items()
        }

    def _discovery(self, rules: Sequence[Rule]) -> Discovery:
        return Discovery(
            backend=self.backend,
            rules=rules,
            kinds=self.kinds(),
            start_seconds=self.clocks.wall() - self.settings.max_age_seconds,
            concurrency=asyncio.Semaphore(self.settings.concurrency),
        )

    async def _everything_vanished(self, outcomes: Mapping[str, Outcome]) -> bool:
        """Say whether a selector lost all its series because the backend has none, as after a restart of Prometheus."""
        emptied = any(
            isinstance(outcome, Fetched) and not outcome.facts.names and _has_names(self.states.get(query))
            for query, outcome in outcomes.items()
        )
        if not emptied:
            return False
        try:
            return not await self.backend.series_exist()
        except UpstreamError:
            return True

    def _next(self, state: SelectorState, outcome: Outcome | None, asked_at: float) -> SelectorState:
        match outcome:
            case Fetched(facts=facts, warnings=()):
                return replace(state, facts=facts, good_at=asked_at, error=None, warnings=())
            case Fetched(facts=facts, warnings=warnings):
                merged = facts if state.facts is None else _union(state.facts, facts)
                return replace(state, facts=merged, good_at=asked_at, error=None, warnings=warnings)
            case Failed(error=error):
                return self._expired(replace(state, error=error))
            case None:
                return state

    def _expired(self, state: SelectorState) -> SelectorState:
        """Drop the last good facts of a failing selector when they are older than max age (and than two intervals)."""
        limit = max(self.settings.max_age_seconds, 2 * self.settings.interval_seconds)
        too_old = state.good_at is not None and self.clocks.monotonic() - state.good_at > limit
        return replace(state, facts=None) if too_old else state

    async def _rebuild(self) -> None:
        """Ask which of the series that claim one metric are alive, and swap the catalog."""
        claims = await self._claims()
        disputed = contested(claims)
        if disputed:
            self._dead = await self._buried(disputed)
        await self._swap(claims)

    async def _buried(self, disputed: Collection[tuple[str, str, str]]) -> frozenset[tuple[str, str, str]]:
        needs = {query: state.need for query, state in self.states.items()}
        return await self._discovery(self.rulebook.rules).dead(disputed, needs)

    async def _claims(self) -> Claims:
        self._kinds_used = self.kinds()
        facts = {query: state.facts for query, state in self.states.items() if state.facts is not None}
        if sum(len(one.names) for one in facts.values()) <= NAMES_AT_ONCE:
            return claims_of(self.rulebook, facts, self._kinds_used)
        return await asyncio.to_thread(claims_of, self.rulebook, facts, self._kinds_used)

    async def _swap(self, claims: Claims) -> None:
        if len(claims) <= NAMES_AT_ONCE:
            self.catalog = build_catalog(claims, dead=self._dead)
        else:
            self.catalog = await asyncio.to_thread(build_catalog, claims, dead=self._dead)

    async def follow_kinds(self) -> None:
        """Rebuild the catalog when kinds have come or gone since it was built.

        No request waits for Prometheus here: which series are alive is asked in the background, once for all.
        """
        if self._kinds_used is None or self.kinds() is self._kinds_used:
            return
        claims = await self._claims()
        await self._swap(claims)
        if contested(claims) and self._burying is None:
            self._burying = asyncio.create_task(self._bury())

    async def _bury(self) -> None:
        try:
            await self._rebuild()
        except Exception:
            log.exception("which series are alive could not be told, the catalog stays")
        finally:
            self._burying = None

    def _report(self, seconds: float) -> None:
        failing = frozenset(query for query, state in self.states.items() if state.error is not None)
        for query in sorted(failing - self._failing):
            state = self.states[query]
            kept = "its last good metrics stay" if state.facts is not None else "it has no metrics yet"
            log.warning("series query failed, %s: %s: %s", kept, query, state.error)
        for query in sorted(self._failing - failing):
            log.info("series query answered again: %s", query)
        self._failing = failing
        catalog = self.catalog
        self.observer.relisted(
            seconds=seconds,
            failed=len(failing),
            metrics=len(catalog.by_custom) + len(catalog.by_external),
            overlaps=len(catalog.overlaps),
            at_seconds=self.clocks.wall(),
        )


def _has_names(state: SelectorState | None) -> bool:
    return state is not None and state.facts is not None and bool(state.facts.names)


def _union(old: SelectorFacts, new: SelectorFacts) -> SelectorFacts:
    labels = {*old.names_by_label, *new.names_by_label}
    return SelectorFacts(
        names=old.names | new.names,
        names_by_label={label: old.with_label(label) | new.with_label(label) for label in labels},
    )


def may_give(rule: Rule, metric: str) -> bool:
    """Say whether a rule can give a metric, as far as can be told without asking.

    What stands around the groups of a name, as in `${1}_per_second`, must stand in the metric's name too.
    """
    if rule.fixed is not None:
        return rule.fixed.metric == metric
    return rule.naming.may_give(metric)
