"""A metric that is asked for and is not in the catalog: which series queries are asked again, and how often."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cachetools import TTLCache

from adapter.errors import PrometheusUnavailable, QueryRejected, UpstreamError
from adapter.rules.catalog import Catalog, may_give
from adapter.rules.discovery import SelectorNeed
from adapter.rules.rule import Api, Rulebook
from adapter.runtime.series_states import SelectorState, States

# A series query is asked again for a missing metric at most this often; an HPA asks every 15 s.
LOOK_UP_SECONDS = 5.0
# A metric that stays away is looked up seldomer, yet after two periods of an HPA: it may come at any time.
LONGEST_LOOK_UP_SECONDS = 30.0
# A missing metric that nobody has asked for since then is forgotten.
_FORGOTTEN_SECONDS = 300.0
# Metrics that HPAs of one cluster name and that do not exist; of more, the oldest are looked up as if they were new.
_MAX_MISSED = 1000


class Owner(Protocol):
    """What a look-up needs of the relist."""

    rulebook: Rulebook
    states: States
    first_done: asyncio.Event

    @property
    def catalog(self) -> Catalog:
        """Return the metrics there are now."""


@dataclass(frozen=True, slots=True)
class _Miss:
    """A metric that was looked up in vain: when it may be looked up again, in seconds of the clock, and the pause."""

    until: float
    pause_seconds: float


@dataclass(slots=True, kw_only=True)
class LookUps:
    """Finds what came after the last relist; callers share the questions. `ask` asks them and renews the catalog."""

    owner: Owner
    ask: Callable[[Sequence[SelectorNeed]], Awaitable[None]]
    clock: Callable[[], float]
    looked_up: Callable[[bool], None]  # whether the metric was found
    _under_way: dict[str, asyncio.Task[None]] = field(default_factory=dict)  # by series query
    _missed: TTLCache[tuple[Api, str], _Miss] = field(init=False)

    def __post_init__(self) -> None:
        self._missed = TTLCache(maxsize=_MAX_MISSED, ttl=_FORGOTTEN_SECONDS, timer=self.clock)

    async def look_up(self, api: Api, metric: str) -> None:
        """Ask again for the series queries that may give a metric, unless that was done a moment ago.

        While the first relist has not ended, it is what callers wait for: whether the metric exists cannot be known
        before.
        """
        states = self._may_have(api, metric)
        if not self.owner.first_done.is_set() and any(state.facts is None for state in states):
            await self.owner.first_done.wait()
            return
        miss = self._missed.get((api, metric))
        if miss is None or self.clock() >= miss.until:
            self._begin(states)
        waited_for = {self._under_way[state.need.query] for state in states if state.need.query in self._under_way}
        if not waited_for:
            return
        # Each is shielded: who leaves does not take the answer from the others.
        await asyncio.gather(*(asyncio.shield(task) for task in waited_for))
        self._note(api, metric)

    def unknown_because_failed(self, api: Api, metric: str) -> UpstreamError | None:
        """Return the error that hides whether a metric exists: of a series query that was never answered.

        A series query that Prometheus refuses has been answered: it is a fault of its rule, which hides nothing.
        """
        for state in self._may_have(api, metric):
            if state.facts is None and not isinstance(state.error, QueryRejected):
                return state.error or PrometheusUnavailable("the series have not been discovered yet", kind="pending")
        return None

    async def close(self) -> None:
        """Cancel what is under way."""
        tasks = set(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _may_have(self, api: Api, metric: str) -> list[SelectorState]:
        """Return the series queries whose rules may give a metric."""
        states = self.owner.states
        only = {query: state.need.parsed.metric for query, state in states.items() if state.need.parsed}
        rules = (rule for rule in self.owner.rulebook.of(api) if may_give(rule, metric, only))
        queries = {query for rule in rules for query in rule.series_queries}
        return [state for query, state in states.items() if query in queries]

    def _begin(self, states: Sequence[SelectorState]) -> None:
        """Begin to ask for what was not asked for a moment ago."""
        oldest = self.clock() - LOOK_UP_SECONDS
        needs = [one.need for one in states if one.asked_at <= oldest and one.need.query not in self._under_way]
        if not needs:
            return
        task = asyncio.ensure_future(self.ask(needs))
        self._under_way.update({need.query: task for need in needs})
        task.add_done_callback(lambda _: self._end(needs))

    def _end(self, needs: Sequence[SelectorNeed]) -> None:
        for need in needs:
            del self._under_way[need.query]

    def _note(self, api: Api, metric: str) -> None:
        """Remember a metric that is not there; each look-up in vain doubles the time to the next."""
        found = self.owner.catalog.has(api, metric)
        self.looked_up(found)
        miss = self._missed.get((api, metric))
        if found:
            self._missed.pop((api, metric), None)
        elif miss is None:
            self._missed[api, metric] = _Miss(self.clock() + LOOK_UP_SECONDS, LOOK_UP_SECONDS)
        elif self.clock() >= miss.until and not self.unknown_because_failed(api, metric):
            pause = min(2 * miss.pause_seconds, LONGEST_LOOK_UP_SECONDS)
            self._missed[api, metric] = _Miss(self.clock() + pause, pause)
