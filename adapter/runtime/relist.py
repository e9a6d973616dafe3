"""The catalog of metrics, kept current: a loop that never takes away what a failure hides."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from adapter.errors import PrometheusUnavailable, UpstreamError
from adapter.kube.resources import Kinds
from adapter.rules.catalog import Catalog
from adapter.rules.discovery import SelectorNeed
from adapter.rules.rule import Api, Rulebook
from adapter.runtime.catalog_keeper import CatalogKeeper, Draft, Identities, Known
from adapter.runtime.clock import Clocks
from adapter.runtime.discover import Discovery, DiscoveryBackend, Failed, Fetched, Outcome
from adapter.runtime.look_ups import LookUps
from adapter.runtime.rule_reports import RuleReport, rule_reports
from adapter.runtime.series_states import SelectorState, States, facts_of, failing_of, states_of

log = logging.getLogger(__name__)

# After a relist with a failure the next one comes early: first after this, then twice as long each time.
FIRST_RETRY_SECONDS = 1.0
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

    def rules_found(self, reports: Sequence[RuleReport]) -> None:
        """Note what each rule in force has found; those of before count no longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelistSettings:
    """How often to relist, how far to look back, how much to ask at a time; in seconds and calls."""

    interval_seconds: float
    max_age_seconds: float
    concurrency: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Other rules that are ready to serve: what was learned for them, and the catalog that they give."""

    rulebook: Rulebook
    states: States
    kinds: Kinds | None  # None: they could not be had
    draft: Draft
    seconds: float  # how long it took


def _nobody(_rulebook: Rulebook, _catalog: Catalog) -> None:
    """Tell nobody."""


@dataclass(slots=True, kw_only=True)
class Relist:
    """Asks what the series queries have, in a loop and for a metric that is missing."""

    rulebook: Rulebook
    backend: RelistBackend
    kinds: Callable[[], Awaitable[Kinds]]
    settings: RelistSettings
    clocks: Clocks
    observer: RelistObserver
    jitter: Callable[[], float] = field(default=lambda: random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311 - spreads load
    swapped: Callable[[Rulebook, Catalog], None] = _nobody  # told of each catalog that comes into force
    states: States = field(init=False)
    first_done: asyncio.Event = field(default_factory=asyncio.Event)
    _keeper: CatalogKeeper = field(init=False)
    _look_ups: LookUps = field(init=False)
    _failing: frozenset[str] = frozenset()
    _roused: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.states = states_of(self.rulebook.rules)
        self._keeper = CatalogKeeper(
            known=self._known, dead=self._dead, swapped=lambda catalog: self.swapped(self.rulebook, catalog)
        )
        calls = self._calls()  # look-ups that overlap share them
        self._look_ups = LookUps(
            owner=self,
            ask=lambda needs: self._round(needs, calls),
            clock=self.clocks.monotonic,
            looked_up=lambda found: self.observer.looked_up(found=found),
        )

    @property
    def catalog(self) -> Catalog:
        """Return the metrics there are now; replaced whole, so who reads it needs no lock."""
        return self._keeper.catalog

    # ---- the loop

    async def run(self) -> None:
        """Relist for ever: at once, then each interval; what failed sooner, alone."""
        failures = 0
        due = self.clocks.monotonic()
        while True:
            try:
                if self.clocks.monotonic() >= due:
                    due = self.clocks.monotonic() + self.settings.interval_seconds * self.jitter()
                    await self.relist()
                else:
                    await self._round(self._worth_retrying(), self._calls())
            except Exception:
                # The loop must outlive any fault of ours: the catalog stays, the log names the fault.
                log.exception("relist failed, the catalog stays")
            failures = failures + 1 if self._worth_retrying() else 0
            await self._rest(self._pause(failures, due))

    async def _rest(self, seconds: float) -> None:
        """Wait, but not longer than until other rules have left something that is worth asking again."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._roused.wait()
        self._roused.clear()

    def _pause(self, failures: int, due: float) -> float:
        left = max(0.0, due - self.clocks.monotonic())
        if not failures:
            return left
        return min(left, FIRST_RETRY_SECONDS * 2.0 ** min(failures - 1, 16) * self.jitter())

    def _worth_retrying(self) -> list[SelectorNeed]:
        return [state.need for state in self.states.values() if state.worth_retrying]

    async def relist(self) -> None:
        """Ask for every series query once and swap the catalog."""
        try:
            await self._round([state.need for state in self.states.values()], self._calls())
        finally:
            self.first_done.set()

    async def close(self) -> None:
        """Cancel what is under way."""
        await self._look_ups.close()
        await self._keeper.close()

    # ---- kinds that have come or gone

    def follow_kinds(self, kinds: Kinds) -> None:
        """Have the catalog follow the kinds, in the background."""
        self._keeper.follow(kinds)

    async def kinds_followed(self) -> None:
        """Wait until it has followed them; nobody waits for Prometheus here."""
        await self._keeper.followed()

    # ---- a metric that is not there

    async def look_up(self, api: Api, metric: str) -> None:
        """Ask again for the series queries that may give a metric, unless that was done a moment ago."""
        await self._look_ups.look_up(api, metric)

    def unknown_because_failed(self, api: Api, metric: str) -> UpstreamError | None:
        """Return the error that hides whether a metric exists: of a series query that was never answered."""
        return self._look_ups.unknown_because_failed(api, metric)

    # ---- other rules

    async def prepare(self, rulebook: Rulebook, *, limit_seconds: float) -> Prepared:
        """Ask what other rules need and these have not answered, for so long at most; nothing is changed.

        What is not answered in time, or fails, has failed: its metrics come as soon as it is asked again.
        """
        asked_at = self.clocks.monotonic()
        states = self._carried(states_of(rulebook.rules))
        fresh = [state.need for query, state in states.items() if state is not self.states.get(query)]
        kinds: Kinds | None = None
        try:
            async with asyncio.timeout(limit_seconds):
                kinds = await self.kinds()
                outcomes = await self._discovery(kinds, self._calls(), rulebook).ask(fresh) if fresh else {}
        except UpstreamError as error:
            outcomes = {need.query: Failed(error=error) for need in fresh}
        except TimeoutError:
            late = PrometheusUnavailable(f"no answer within {limit_seconds:g} s of a reload", kind="timeout")
            outcomes = {need.query: Failed(error=late) for need in fresh}
        now, limit = self.clocks.monotonic(), self._max_age_seconds
        for query, outcome in outcomes.items():
            asked = replace(states[query], asked_at=asked_at)
            states[query] = asked.after(outcome, asked_at=asked_at, now=now, max_age_seconds=limit)
        return Prepared(
            rulebook=rulebook,
            states=states,
            kinds=kinds,
            draft=await self._draft(rulebook, states, kinds, limit_seconds=limit_seconds),
            seconds=self.clocks.monotonic() - asked_at,
        )

    async def adopt(self, prepared: Prepared) -> None:
        """Put other rules in force, with what was learned meanwhile of the series queries that stay."""

        def swap() -> None:
            self.rulebook, self.states = prepared.rulebook, self._carried(prepared.states)

        def known() -> Known:
            return Known(rulebook=prepared.rulebook, facts=facts_of(self._carried(prepared.states)))

        await self._keeper.replace(known, prepared.kinds, dead=prepared.draft.dead, swap=swap)
        await self._report(prepared.seconds)
        if self._worth_retrying():
            self._roused.set()

    def _carried(self, states: States) -> dict[str, SelectorState]:
        """Return the states with the ones in force where the question is the same.

        Where a series query stays and more is asked about it, its last good facts count until that is answered.
        """
        carried = dict(states)
        for query, state in states.items():
            mine = self.states.get(query)
            if mine is not None and mine.need == state.need:
                carried[query] = mine
            elif mine is not None and state.asked_at == float("-inf"):
                carried[query] = replace(mine, need=state.need)
        return carried

    async def _draft(self, rulebook: Rulebook, states: States, kinds: Kinds | None, *, limit_seconds: float) -> Draft:
        needs = {query: state.need for query, state in states.items()}

        async def dead(identities: Identities, kinds: Kinds) -> Identities:
            try:
                async with asyncio.timeout(limit_seconds):
                    return await self._discovery(kinds, self._calls(), rulebook).dead(identities, needs)
            except TimeoutError:
                return frozenset()  # what cannot be told counts as alive

        return await self._keeper.draft(Known(rulebook=rulebook, facts=facts_of(states)), kinds, dead=dead)

    # ---- what both share

    async def _round(self, needs: Sequence[SelectorNeed], calls: asyncio.Semaphore) -> None:
        begin = self.clocks.monotonic()
        try:
            kinds = await self.kinds()
        except UpstreamError as error:
            failed = Failed(error=error)
            self._note({need.query: failed for need in needs}, needs, asked_at=begin)
        else:
            await self._ask(needs, kinds, calls)
            await self._keeper.renew(kinds)
        await self._report(self.clocks.monotonic() - begin)

    async def _ask(self, needs: Sequence[SelectorNeed], kinds: Kinds, calls: asyncio.Semaphore) -> None:
        asked_at = self.clocks.monotonic()
        asked = {need.query for need in needs}
        self.states = {
            query: replace(state, asked_at=asked_at) if query in asked else state
            for query, state in self.states.items()
        }
        outcomes = await self._discovery(kinds, calls).ask(needs)
        if await self._everything_vanished(outcomes):
            log.warning("the backend has no series at all; the last good metrics stay until max age")
            now, limit = self.clocks.monotonic(), self._max_age_seconds
            self.states = {query: state.expired(now=now, max_age_seconds=limit) for query, state in self.states.items()}
            return
        self._note(outcomes, needs, asked_at=asked_at)

    def _note(self, outcomes: Mapping[str, Outcome], needs: Sequence[SelectorNeed], *, asked_at: float) -> None:
        now, limit = self.clocks.monotonic(), self._max_age_seconds
        asked = {need.query: need for need in needs}
        # Other rules may be in force by now: an answer counts only for the question that was asked.
        self.states = {
            query: state.after(outcomes[query], asked_at=asked_at, now=now, max_age_seconds=limit)
            if query in outcomes and asked.get(query) == state.need
            else state
            for query, state in self.states.items()
        }

    async def _everything_vanished(self, outcomes: Mapping[str, Outcome]) -> bool:
        """Say whether a selector lost all its series because the backend has none, as after a restart of Prometheus."""
        emptied = any(
            isinstance(outcome, Fetched) and not outcome.facts.names and self.states[query].has_names
            for query, outcome in outcomes.items()
            if query in self.states
        )
        if not emptied:
            return False
        try:
            return not await self.backend.series_exist()
        except UpstreamError:
            return True

    def _calls(self) -> asyncio.Semaphore:
        return asyncio.Semaphore(self.settings.concurrency)

    def _discovery(self, kinds: Kinds, calls: asyncio.Semaphore, rulebook: Rulebook | None = None) -> Discovery:
        return Discovery(
            backend=self.backend,
            rules=(rulebook or self.rulebook).rules,
            kinds=kinds,
            start_seconds=self.clocks.wall() - self.settings.max_age_seconds,
            concurrency=calls,
        )

    def _known(self) -> Known:
        return Known(rulebook=self.rulebook, facts=facts_of(self.states))

    async def _dead(self, identities: Identities, kinds: Kinds) -> Identities:
        needs = {query: state.need for query, state in self.states.items()}
        return await self._discovery(kinds, self._calls()).dead(identities, needs)

    @property
    def _max_age_seconds(self) -> float:
        """Return how long the last good facts of a failing series query count: two intervals at the least."""
        return max(self.settings.max_age_seconds, 2 * self.settings.interval_seconds)

    async def _report(self, seconds: float) -> None:
        failing = failing_of(self.states)
        for query in sorted(failing - self._failing):
            state = self.states[query]
            kept = "its last good metrics stay" if state.facts is not None else "it has no metrics yet"
            log.warning("series query failed, %s: %s: %s", kept, query, state.error)
        for query in sorted(self._failing & self.states.keys() - failing):
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
        rules = self.rulebook.rules
        made = asyncio.to_thread(rule_reports, rules, self.states, catalog, self.clocks)
        self.observer.rules_found(await made)
