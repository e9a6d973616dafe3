"""One query for many callers: what is due of a shape is asked together, by what callers asked for lately.

The first request after the TTL refreshes, in one query, everything of its shape that was asked for within two periods
of an autoscaler. What is new is asked for by itself at once and joins the next sweep. Where a shared query fails for a
reason that may concern one member only, all are asked for by themselves, and for a while the shape is not shared.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from cachetools import LRUCache

from adapter.errors import PrometheusUnavailable, UpstreamError
from adapter.promql.ast import range_seconds_of
from adapter.promql.model import QueryAnswer
from adapter.rules.fusion import (
    FusedQuery,
    Member,
    NotFusable,
    Shape,
    Skeleton,
    Split,
    Unsplit,
    asks_separately,
    fused,
    is_for_all,
    member_of,
    shape_of,
    skeleton_of,
    split,
)
from adapter.rules.query import Plan
from adapter.rules.resource_plan import UsePlan
from adapter.rules.sample_age import AgeQuestions, Ages, times_of
from adapter.runtime.cache import Fetched, Key, QueryCache
from adapter.runtime.clock import Clocks

_log = logging.getLogger(__name__)

# Two periods of the HorizontalPodAutoscaler (15 s, unless kube-controller-manager is told otherwise) and some lateness.
_DEMAND_SECONDS: Final = 35.0
# A shape whose shared query failed is not shared for so long; one that timed out may only have met a slow moment.
_ALONE_SECONDS: Final = 300.0
_ALONE_AFTER_TIMEOUT_SECONDS: Final = 60.0
# A query without names may bring so many times what was asked for; beyond that names are cheaper.
_WASTE_AT_MOST: Final = 4.0
_NAMED_SECONDS: Final = 600.0
_SHAPES: Final = 2_000
_MEMBERS: Final = 10_000  # of one shape
_MEMBERS_OF_A_SWEEP: Final = 1_000


class SweepObserver(Protocol):
    """What sweeps report."""

    def swept(self, *, outcome: str, queries: int, answers: int) -> None:
        """Note a sweep: its queries, the answers that it gave, and the outcome: ok, separate, error."""


@dataclass(slots=True, kw_only=True)
class Demand:
    """What callers ask for, and when they did last, on the monotonic clock."""

    member: Member
    plan: Plan | UsePlan
    key: Key
    asked_at: float


@dataclass(slots=True, kw_only=True)
class _Group:
    """What is asked for in one shape."""

    demands: LRUCache[Member, Demand] = field(default_factory=lambda: LRUCache(maxsize=_MEMBERS))
    task: asyncio.Task[Mapping[Member, Fetched] | None] | None = None
    included: frozenset[Member] = frozenset()
    alone_until: float = 0.0
    named_until: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The shapes of a plan's query and of the questions of its age, which are asked at the same time."""

    values: Shape
    ages: tuple[Shape, ...] = ()
    questions: AgeQuestions | None = None


Ask = Callable[[str, str, float], Awaitable[QueryAnswer]]  # a query, its rule, the evaluation time


@dataclass(slots=True, kw_only=True)
class Sweep:
    """Answers plans that the cache has no answer for.

    Attributes:
        ask: asks the backend, and reports it for the rule.
        max_bytes: the longest query that is sent, if it can be divided.
    """

    ask: Ask
    cache: QueryCache
    clocks: Clocks
    observer: SweepObserver
    max_bytes: int
    _shapes: LRUCache[Skeleton, Shape | NotFusable] = field(default_factory=lambda: LRUCache(maxsize=_SHAPES))
    _groups: LRUCache[tuple[Parts, float | None, float], _Group] = field(
        default_factory=lambda: LRUCache(maxsize=_SHAPES)
    )

    def shape(self, plan: Plan | UsePlan) -> Shape | NotFusable:
        """Return the shape of a plan's query, or why it is asked by itself."""
        skeleton = skeleton_of(plan)
        found = self._shapes.get(skeleton)
        if found is None:
            found = self._shapes[skeleton] = shape_of(skeleton)
        return found

    async def fetched(self, plan: Plan | UsePlan, key: Key, questions: AgeQuestions | None) -> Fetched:
        """Return the answer to a plan, from a sweep if others are due as well; raises UpstreamError leaves."""
        parts = self._parts(plan, questions)
        if parts is None:
            return await self._alone(plan, questions)
        if key[2] <= 0:  # what is not kept cannot be brought for others
            return await self._of_one(parts, plan, questions)
        now = self.clocks.monotonic()
        group = self._group(parts, key)
        member = member_of(plan)
        known = group.demands.get(member)
        if known is None:
            group.demands[member] = known = Demand(member=member, plan=plan, key=key, asked_at=now)
            return replace(await self._of_one(parts, plan, questions), demand=known)
        known.asked_at = now
        shared = await self._shared(group, parts, known, now)
        return replace(shared or await self._of_one(parts, plan, questions), demand=known)

    async def together(self, plans: Sequence[UsePlan], keys: Sequence[Key]) -> None:
        """Ask in few queries for plans that the cache has no answer for; what fails has to be asked for by itself."""
        groups: dict[Parts, list[Demand]] = {}
        now = self.clocks.monotonic()
        for plan, key in zip(plans, keys, strict=True):
            if not self.cache.has(key) and (parts := self._parts(plan, None)) is not None:
                groups.setdefault(parts, []).append(Demand(member=member_of(plan), plan=plan, key=key, asked_at=now))
        for parts, demands in groups.items():
            if len(demands) > 1:
                group = self._group(parts, demands[0].key)
                if now >= group.alone_until:
                    await self._swept(group, parts, demands)

    def _parts(self, plan: Plan | UsePlan, questions: AgeQuestions | None) -> Parts | None:
        if not plan.rule.may_share:
            return None
        values = self.shape(plan)
        ages = [self.shape(replace(plan, promql=promql)) for promql in questions.promqls] if questions else []
        if isinstance(values, NotFusable) or any(isinstance(one, NotFusable) for one in ages):
            return None
        return Parts(values=values, ages=tuple(one for one in ages if isinstance(one, Shape)), questions=questions)

    def _group(self, parts: Parts, key: Key) -> _Group:
        name = (replace(parts, questions=None), key[1], key[2])
        group = self._groups.get(name)
        if group is None:
            group = self._groups[name] = _Group()
        return group

    # ---- one by one

    async def _of_one(self, parts: Parts, plan: Plan | UsePlan, questions: AgeQuestions | None) -> Fetched:
        """Ask for one member; in several queries where one would be too long."""
        if len(plan.promql.encode()) <= self.max_bytes:
            return await self._alone(plan, questions)
        demand = Demand(member=member_of(plan), plan=plan, key=("", None, 0.0), asked_at=0.0)
        found = await self._asked(parts, [demand], widened=False)
        return await self._alone(plan, questions) if isinstance(found, Unsplit) else found[demand.member]

    async def _alone(self, plan: Plan | UsePlan, questions: AgeQuestions | None) -> Fetched:
        """Ask for the values and, at the same evaluation time, for their ages."""
        at_seconds = self.clocks.wall()
        promqls = (plan.promql, *(questions.promqls if questions else ()))
        answer, *others = await asyncio.gather(*(self.ask(one, plan.rule.id, at_seconds) for one in promqls))
        return _fetched(plan, answer, questions, others)

    # ---- together

    async def _shared(self, group: _Group, parts: Parts, own: Demand, now: float) -> Fetched | None:
        """Return a member's answer of the sweep under way or of a new one; None if it has to be asked for by itself."""
        if group.task is not None and own.member in group.included:
            found = await asyncio.shield(group.task)
            return found.get(own.member) if found else None
        if now < group.alone_until or group.task is not None:
            return None
        due = self._due(group, own, now)
        if len(due) < 2:  # noqa: PLR2004 - one alone shares with nobody
            return None
        group.included = frozenset(one.member for one in due)
        task = group.task = self.cache.start(self._swept(group, parts, due))
        task.add_done_callback(lambda done: _ended(group, done))
        found = await asyncio.shield(task)
        return found.get(own.member) if found else None

    def _due(self, group: _Group, own: Demand, now: float) -> Sequence[Demand]:
        """Return what was asked for lately, and forget the rest."""
        horizon = now - max(_DEMAND_SECONDS, 2 * own.key[2])
        for member in [one.member for one in group.demands.values() if one.asked_at < horizon]:
            del group.demands[member]
        lately = sorted(group.demands.values(), key=lambda one: one.asked_at, reverse=True)
        return [own, *(one for one in lately if one is not own)][:_MEMBERS_OF_A_SWEEP]

    async def _swept(self, group: _Group, parts: Parts, due: Sequence[Demand]) -> Mapping[Member, Fetched] | None:
        """Ask for all that is due, and keep the answers; None if each has to be asked for by itself."""
        evaluated_at = self.clocks.monotonic()
        widened = evaluated_at >= group.named_until
        try:
            found = await self._asked(parts, due, widened=widened, group=group)
        except UpstreamError as error:
            if not asks_separately(error):
                if isinstance(error, PrometheusUnavailable) and error.kind == "timeout":
                    group.alone_until = self.clocks.monotonic() + _ALONE_AFTER_TIMEOUT_SECONDS
                self.observer.swept(outcome="error", queries=1, answers=0)
                raise
            found = Unsplit(reason=str(error))
        if isinstance(found, Unsplit):
            self._part(group, due, found.reason, widened=widened)
            return None
        for one in due:
            self.cache.put(one.key, replace(found[one.member], demand=one), evaluated_at=evaluated_at)
        return found

    def _part(self, group: _Group, due: Sequence[Demand], reason: str, *, widened: bool) -> None:
        """Remember not to share for a while, or, if names were left out, to name them the next time."""
        now = self.clocks.monotonic()
        if widened and now >= group.named_until:
            group.named_until = now + _NAMED_SECONDS
        else:
            group.alone_until = now + _ALONE_SECONDS
        _log.info("a query that %d requests share is asked for each of them: %s", len(due), reason)
        self.observer.swept(outcome="separate", queries=1, answers=0)

    async def _asked(
        self, parts: Parts, due: Sequence[Demand], *, widened: bool, group: _Group | None = None
    ) -> Mapping[Member, Fetched] | Unsplit:
        """Ask for the values of members, and for their ages, all at one evaluation time."""
        at_seconds = self.clocks.wall()
        members = [one.member for one in due]
        rule = due[0].plan.rule.id
        shapes = (parts.values, *parts.ages)
        sets = [fused(shape, members, max_bytes=self.max_bytes, widened=widened) for shape in shapes]
        asked = [query for queries in sets for query in queries]
        answers = await asyncio.gather(*(self.ask(query.promql, rule, at_seconds) for query in asked))
        if not all(map(is_for_all, answers)):
            return Unsplit(reason="the server remarks something, which may concern one of them only")
        by_query = dict(zip(map(id, asked), answers, strict=True))
        found = [_split(queries, by_query, members) for queries in sets]
        for one in found:
            if isinstance(one, Unsplit):
                return one
        values, *ages = [one for one in found if not isinstance(one, Unsplit)]
        if group is not None and widened and values.samples > _WASTE_AT_MOST * max(1, values.taken):
            group.named_until = self.clocks.monotonic() + _NAMED_SECONDS
        self.observer.swept(outcome="ok", queries=len(asked), answers=len(due))
        return {
            one.member: _fetched(
                one.plan,
                replace(answers[0], result=values.vectors[one.member]),
                parts.questions,
                [replace(answers[0], result=age.vectors[one.member]) for age in ages],
            )
            for one in due
        }


def _split(
    queries: Sequence[FusedQuery], answers: Mapping[int, QueryAnswer], members: Sequence[Member]
) -> Split | Unsplit:
    return split([(query, answers[id(query)]) for query in queries], members)


def _fetched(
    plan: Plan | UsePlan, answer: QueryAnswer, questions: AgeQuestions | None, others: Sequence[QueryAnswer]
) -> Fetched:
    ages = None
    if questions is not None and isinstance(plan, Plan) and plan.rule.policies.max_sample_age_seconds is not None:
        ages = Ages(
            questions=questions,
            times=tuple(times_of(one.result, questions.label) for one in others),
            evaluated_at_seconds=answer.evaluated_at_seconds,
            max_age_seconds=plan.rule.policies.max_sample_age_seconds,
        )
    return Fetched(answer=answer, window_seconds=range_seconds_of(plan.sketch()), ages=ages)


def _ended(group: _Group, task: asyncio.Task[Mapping[Member, Fetched] | None]) -> None:
    group.task, group.included = None, frozenset()
    if not task.cancelled():
        task.exception()  # read, so that a failure whose callers have all left is not reported as forgotten
