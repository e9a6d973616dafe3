"""One query for many callers: what is due of a shape is asked together, by what callers asked for lately.

The first request after the TTL refreshes, in one query, everything of its shape that was asked for within two periods
of an autoscaler; a large group is asked for again a little before its answers end, one group at a time. What is new is
asked for by itself at once and joins the next sweep; where so much is new that it has to wait for its turn, it is asked
together when the turn comes. A shared query that fails for what may be one member's fault, or for a limit of the
server, is narrowed down (`narrowing`): the others get their answers, and for a while only the one at fault is asked for
by itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf
from random import random
from typing import Final, Protocol

from cachetools import LRUCache

from adapter.errors import PrometheusUnavailable, QueryTooLarge, UpstreamError
from adapter.promql.ast import range_seconds_of
from adapter.promql.limits import limit_of
from adapter.rules.fusion import Member, NotFusable, Shape, Skeleton, member_of, shape_of, skeleton_of
from adapter.rules.query import Plan
from adapter.rules.resource_plan import UsePlan
from adapter.rules.sample_age import AgeQuestions
from adapter.runtime.cache import Fetched, Key, QueryCache
from adapter.runtime.clock import Clocks
from adapter.runtime.limits import Limits
from adapter.runtime.moments import Moment, Moments
from adapter.runtime.parallel import each
from adapter.runtime.shared_queries import Ask, Asking, Brought, brought, fetched
from adapter.runtime.sweep_groups import (
    ALONE_SECONDS,
    NAMED_SECONDS,
    Demand,
    Group,
    Parts,
    in_turn,
    read,
)
from adapter.runtime.turns import Turns

_log = logging.getLogger(__name__)

_SHAPES: Final = 2_000
# So many answers take about a millisecond to keep, in which nobody else is served.
_KEPT_AT_ONCE: Final = 50
# A moment that nobody notices, and a bound of ten queries a second of a shape.
_NEWCOMERS_SECONDS: Final = 0.1
_LATE: Final = frozenset({"timeout", "query_timeout"})
_HELD_UP: Final = frozenset({"timeout", "connection", "breaker"})


class SweepObserver(Protocol):
    """What sweeps report."""

    def swept(self, *, outcome: str, queries: int, answers: int) -> None:
        """Note a sweep: its queries, the answers that it gave, and the outcome: ok, separate, error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """What is told from a query: its shape, or why it has none, and its range in seconds, if it has one."""

    shape: Shape | NotFusable
    window_seconds: int | None


@dataclass(slots=True, kw_only=True)
class Sweep:
    """Answers plans that the cache has no answer for.

    Attributes:
        ask: asks the backend, and reports it for the rule.
        limits: what the backend takes in a query.
        turns: those of a rule, which `ask` takes.
        timeout_seconds: what all queries of one plan, or of one sweep, have together.
        spread: gives another number from 0 to 1 each time, by which sweeps come apart.
    """

    ask: Ask
    cache: QueryCache
    clocks: Clocks
    observer: SweepObserver
    limits: Limits
    moments: Moments
    turns: Callable[[str], Turns]
    timeout_seconds: float
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    spread: Callable[[], float] = random
    _ahead: asyncio.Task[Mapping[Member, Fetched]] | None = None
    _queries: LRUCache[Skeleton, _Read] = field(default_factory=lambda: LRUCache(maxsize=_SHAPES))
    _groups: LRUCache[tuple[Parts, float | None, float, float], Group] = field(
        default_factory=lambda: LRUCache(maxsize=_SHAPES)
    )

    def shape(self, plan: Plan | UsePlan) -> Shape | NotFusable:
        """Return the shape of a plan's query, or why it is asked by itself."""
        return self._read(plan).shape

    def _read(self, plan: Plan | UsePlan) -> _Read:
        """Return what is told from a plan's query, once for all that differ in their matchers only."""
        skeleton = skeleton_of(plan)
        found = self._queries.get(skeleton)
        if found is None:
            window_seconds = range_seconds_of(plan.sketch())
            found = self._queries[skeleton] = _Read(shape=shape_of(skeleton), window_seconds=window_seconds)
        return found

    async def fetched(self, plan: Plan | UsePlan, key: Key, questions: AgeQuestions | None) -> Fetched:
        """Return the answer to a plan, from a sweep if others are due as well.

        Raises:
            QueryTooLarge: the backend does not take what this plan alone asks for.
            UpstreamError: another leaf that says what failed.
        """
        parts = self._parts(plan, questions)
        if parts is None or key[2] <= 0:  # what is not kept cannot be brought for others
            return await self._of_one(parts, plan, key, questions)
        now = self.clocks.monotonic()
        group = self._group(parts, key)
        member = member_of(plan)
        known = group.demands.get(member)
        if known is None:
            group.demands[member] = known = Demand(member=member, plan=plan, key=key, asked_at=now, group=group)
            found = await self._gathered(group, known, now) or await self._of_one(parts, plan, key, questions)
            return replace(found, demand=known)
        known.asked_at = now
        shared = await self._shared(group, known, now) or await self._gathered(group, known, now)
        return replace(shared or await self._by_itself(group, parts, plan, key, questions), demand=known)

    def told(self, demand: Demand) -> None:
        """Note that somebody was told a kept answer, and begin the next sweep if it is time, so that nobody waits."""
        demand.asked_at = now = self.clocks.monotonic()
        group = demand.group
        if group is None or now < demand.alone_until or not group.is_ahead(now, others=self._ahead is not None):
            return
        group.ahead_at = inf
        moment = self.moments.of(demand.key)
        if group.task is not None or group.is_parted(now) or moment.lag_seconds:
            return
        due = group.due(demand, now)
        if len(due) > 1:
            self._ahead = self._started(group, due, moment)
            self._ahead.add_done_callback(self._ahead_ended)

    def _ahead_ended(self, task: asyncio.Task[Mapping[Member, Fetched]]) -> None:
        if self._ahead is task:
            self._ahead = None

    async def together(self, plans: Sequence[UsePlan], keys: Sequence[Key]) -> None:
        """Ask in few queries for plans that the cache has no answer for; what fails has to be asked for by itself."""
        now = self.clocks.monotonic()
        demands: dict[Parts, list[Demand]] = {}
        for plan, key in zip(plans, keys, strict=True):
            if not self.cache.has(key) and (parts := self._parts(plan, None)) is not None:
                demand = Demand(member=member_of(plan), plan=plan, key=key, asked_at=now)
                demands.setdefault(parts, []).append(demand)
        works = [partial(self._joined, self._group(parts, due[0].key), due) for parts, due in demands.items()]
        await each(works, len(works))

    async def _joined(self, group: Group, due: Sequence[Demand]) -> None:
        """Bring what is due: by the sweep under way if that has it, else by one more."""
        if group.task is not None:
            await asyncio.shield(group.task)
            due = [one for one in due if not self.cache.has(one.key)]
        now = self.clocks.monotonic()
        if len(due) > 1 and group.task is None and not group.is_parted(now):
            await asyncio.shield(self._started(group, due, self.moments.of(due[0].key)))

    def _parts(self, plan: Plan | UsePlan, questions: AgeQuestions | None) -> Parts | None:
        if not plan.rule.may_share:
            return None
        values = self.shape(plan)
        ages = [self.shape(replace(plan, promql=promql)) for promql in questions.promqls] if questions else []
        if isinstance(values, NotFusable) or any(isinstance(one, NotFusable) for one in ages):
            return None
        return Parts(values=values, ages=tuple(one for one in ages if isinstance(one, Shape)), questions=questions)

    def _group(self, parts: Parts, key: Key) -> Group:
        name = (replace(parts, questions=None), *key[1:])
        group = self._groups.get(name)
        if group is None:
            group = self._groups[name] = Group(parts=parts)
        return group

    # ---- one by one

    async def _by_itself(
        self, group: Group, parts: Parts, plan: Plan | UsePlan, key: Key, questions: AgeQuestions | None
    ) -> Fetched:
        """Ask for one of a group, whose sharing is judged by how that ends."""
        try:
            found = await self._of_one(parts, plan, key, questions)
        except UpstreamError as error:
            held_up = isinstance(error, PrometheusUnavailable) and error.kind in _HELD_UP
            group.tried_alone(answered=False, held_up=held_up)
            raise
        group.tried_alone(answered=True)
        return found

    async def _of_one(
        self, parts: Parts | None, plan: Plan | UsePlan, key: Key, questions: AgeQuestions | None
    ) -> Fetched:
        """Ask for one plan; in several queries where one would be too much for the backend."""
        asking = self._asking(plan, self.moments.of(key))
        if parts is None or self._fits(parts.values, plan):
            try:
                return await self._alone(plan, questions, asking)
            except UpstreamError as error:
                if limit_of(error) is None:
                    raise
                if parts is None or not parts.values.label or len(plan.names) == 1:  # there is nothing to divide
                    raise QueryTooLarge(rule=plan.rule.id) from error
        demand = Demand(member=member_of(plan), plan=plan, key=key, asked_at=0.0)
        found = await brought(parts, [demand], asking, widened=False)
        if demand.member in found.found:
            return found.found[demand.member]
        failure = found.at_fault.get(demand.member)
        if failure is not None and limit_of(failure) is not None:
            raise QueryTooLarge(rule=plan.rule.id) from failure
        if failure is not None:
            raise failure
        return await self._alone(plan, questions, asking)

    async def _alone(self, plan: Plan | UsePlan, questions: AgeQuestions | None, asking: Asking) -> Fetched:
        """Ask for the values and, at the same evaluation time, for their ages."""
        promqls = (plan.promql, *(questions.promqls if questions else ()))
        answer, *others = await each([partial(asking.one, promql) for promql in promqls], len(promqls))
        return fetched(plan, answer, questions, others, asking=asking)

    def _fits(self, shape: Shape, plan: Plan | UsePlan) -> bool:
        if len(plan.names) > self.limits.max_objects(shape):
            return False
        return len(plan.promql.encode()) <= self.limits.max_bytes()

    def _asking(self, plan: Plan | UsePlan, moment: Moment, deadline: float | None = None) -> Asking:
        deadline = self.clocks.monotonic() + self.timeout_seconds if deadline is None else deadline
        return Asking(
            ask=self.ask,
            limits=self.limits,
            rule=plan.rule.id,
            window_seconds=self._read(plan).window_seconds,
            moment=moment,
            deadline=deadline,
        )

    # ---- together

    async def _shared(self, group: Group, own: Demand, now: float) -> Fetched | None:
        """Return a member's answer of the sweep under way or of a new one; None if it has to be asked for by itself."""
        if group.task is None:
            if group.is_parted(now) or now < own.alone_until:
                return None
            if now - group.swept_at < own.key[2] / 2:  # its answer was not kept: a cache that is full would be for none
                return None
            moment = self.moments.of(own.key)
            due = [one for one in group.due(own, now) if self.moments.fits(one.key, moment)]
            if len(due) < 2:  # noqa: PLR2004 - one alone shares with nobody
                return None
            self._started(group, due, moment)
        if group.task is None or own.member not in group.included:
            return None
        return (await asyncio.shield(group.task)).get(own.member)

    async def _gathered(self, group: Group, own: Demand, now: float) -> Fetched | None:
        """Return a member's answer of the query of those who wait for a turn; None if none has to be waited for.

        Newcomers to a large group wait a moment for each other: after a start thousands come within seconds.
        """
        turns = self.turns(own.plan.rule.id)
        if group.is_parted(now) or now < own.alone_until:
            return None
        if not turns.are_taken and now >= group.newcomers_at:
            group.newcomers_at = now + _NEWCOMERS_SECONDS if group.is_large else now
            return None
        group.waiting[own.member] = own
        if group.gathering is None:
            group.gathering = self.cache.start(self._asked_in_turn(group, turns))
            group.gathering.add_done_callback(read)
        return (await asyncio.shield(group.gathering)).get(own.member)

    async def _asked_in_turn(self, group: Group, turns: Turns) -> Mapping[Member, Fetched]:
        now = self.clocks.monotonic()
        deadline = now + self.timeout_seconds
        try:
            await self.sleep(group.newcomers_at - now)
            async with turns.taken(seconds=self.timeout_seconds):
                pass
        finally:
            due = group.gathered()
        group.newcomers_at = self.clocks.monotonic() + _NEWCOMERS_SECONDS if group.is_large else 0.0
        if len(due) < 2:  # noqa: PLR2004 - one alone shares with nobody
            return {}
        return await self._swept(group, due, Moment(at_seconds=self.clocks.wall()), newcomers_until=deadline)

    def _started(self, group: Group, due: Sequence[Demand], moment: Moment) -> asyncio.Task[Mapping[Member, Fetched]]:
        """Start a sweep; nobody who leaves ends it."""
        group.included = frozenset(one.member for one in due)
        task = group.task = self.cache.start(self._swept(group, due, moment))
        task.add_done_callback(group.ended)
        return task

    async def _swept(
        self, group: Group, due: Sequence[Demand], moment: Moment, *, newcomers_until: float | None = None
    ) -> Mapping[Member, Fetched]:
        """Ask for all that is due, and keep the answers; who gets none has to ask alone.

        Newcomers, who have until a time of their own, are few: their names cost less than the rest of their namespaces.
        """
        asked_at = self.clocks.monotonic()
        widened = bool(group.parts.values.label) and asked_at >= group.named_until and newcomers_until is None
        asking = self._asking(due[0].plan, moment, newcomers_until)
        works = [partial(brought, group.parts, some, asking, widened=widened) for some in in_turn(due)]
        try:
            several = await each(works, len(works))
        except UpstreamError as error:
            if isinstance(error, PrometheusUnavailable) and error.kind in _LATE:
                group.timed_out(self.clocks.monotonic())
                _log.info("a query for %d requests timed out: each is asked for by itself for a while", len(due))
            self.observer.swept(outcome="error", queries=len(works), answers=0)
            raise
        found: dict[Member, Fetched] = {}
        for one in several:
            found |= one.found
        await self._keep(due, found, asked_at)
        if found and newcomers_until is None:
            ttl_seconds = due[0].key[2]
            group.swept(asked_at, self.clocks.monotonic(), ttl_seconds=ttl_seconds, spread=self.spread())
        self._learn(group, due, several, of_all=newcomers_until is None)
        outcome = "separate" if any(one.parted for one in several) or not found else "ok"
        self.observer.swept(outcome=outcome, queries=sum(one.queries for one in several), answers=len(found))
        return found

    async def _keep(self, due: Sequence[Demand], found: Mapping[Member, Fetched], asked_at: float) -> None:
        for place, demand in enumerate(due, start=1):
            answer = found.get(demand.member)
            if answer is not None:
                self.cache.put(demand.key, answer, asked_at=asked_at)
            if place % _KEPT_AT_ONCE == 0:
                await asyncio.sleep(0)

    def _learn(self, group: Group, due: Sequence[Demand], several: Sequence[Brought], *, of_all: bool) -> None:
        """Remember what not to share for a while, and whether to write names into the query.

        Of some newcomers only who is at fault is learned; the next sweep shows the rest.
        """
        now = self.clocks.monotonic()
        at_fault = {member for one in several if not one.parted for member in one.at_fault}
        for demand in due:
            if demand.member in at_fault:
                demand.alone_until = now + ALONE_SECONDS
        if of_all and any(one.names_help for one in several):
            group.named_until = now + NAMED_SECONDS
        if of_all and (parted := [one for one in several if one.parted]):
            group.part(now, nothing_worked=all(one.nothing_worked for one in parted))
        for reason in dict.fromkeys(one.reason for one in several if one.reason):
            alone = len(due) if not at_fault else len(at_fault)
            _log.info("of %d requests that share a query %d are asked for by themselves: %s", len(due), alone, reason)
