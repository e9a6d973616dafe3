"""What callers asked for lately, by the shape of their queries: what the next sweep of a shape has to bring."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Final

from cachetools import LRUCache

from adapter.rules.fusion import Member, Shape
from adapter.rules.query import Plan
from adapter.rules.resource_plan import UsePlan
from adapter.rules.sample_age import AgeQuestions
from adapter.runtime.cache import Fetched, Key

# Two periods of the HorizontalPodAutoscaler (15 s, unless kube-controller-manager is told otherwise) and some lateness.
_DEMAND_SECONDS: Final = 35.0
# What was refused for what may be one request's fault is not shared for so long.
ALONE_SECONDS: Final = 300.0
# A shared query that timed out may only have met a slow moment.
ALONE_AFTER_TIMEOUT_SECONDS: Final = 60.0
# Where nothing was answered at all, alone neither, it was the server: a period of the HPA after that, once somebody is.
_AGAIN_SECONDS: Final = 15.0
# For so long names are written into the query, where one without them failed or brought too much.
NAMED_SECONDS: Final = 600.0
_MEMBERS: Final = 10_000  # of one shape
_MANY: Final = 150  # of one shape: above it newcomers wait for each other
# The next sweep of a large group begins before its answers end, so that nobody waits for it: at the latest so many
# times earlier as the last one took, and before that, by up to so much of the TTL and no more than these seconds, when
# no other group does the same. Groups that began together come apart that way; together each takes as long as all.
_TIMES_AHEAD: Final = 2.0
_SPREAD: Final = 0.2
_SPREAD_SECONDS: Final = 5.0
# What is taken apart at a time takes some milliseconds, in which nobody else is served; more members come in several
# queries.
_MEMBERS_OF_A_QUERY: Final = 1_000


@dataclass(slots=True, kw_only=True)
class Demand:
    """What callers ask for, when they did last, and until when it is not shared, on the monotonic clock."""

    member: Member
    plan: Plan | UsePlan
    key: Key
    asked_at: float
    group: Group | None = field(default=None, compare=False, repr=False)
    alone_until: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The shapes of a plan's query and of the questions of its age, which are asked at the same time."""

    values: Shape
    ages: tuple[Shape, ...] = ()
    questions: AgeQuestions | None = None


@dataclass(slots=True, kw_only=True)
class Group:
    """What is asked for in one shape, and the sweep that is under way, with those whom it answers.

    Those who would have to wait for a turn wait together, and are asked for together when there is one.
    """

    parts: Parts
    demands: LRUCache[Member, Demand] = field(default_factory=lambda: LRUCache(maxsize=_MEMBERS))
    task: asyncio.Task[Mapping[Member, Fetched]] | None = None
    included: frozenset[Member] = frozenset()
    waiting: dict[Member, Demand] = field(default_factory=dict)
    gathering: asyncio.Task[Mapping[Member, Fetched]] | None = None
    swept_at: float = -inf
    ahead_at: float = inf  # from when on the next sweep begins, though all answers are fresh
    newcomers_at: float = 0.0  # from when on newcomers are asked for again
    alone_until: float = 0.0
    named_until: float = 0.0
    _late_at: float = inf  # from when on it begins even if another group's does so too
    _late_until: float = 0.0
    _answered_alone: bool = False
    _again_at: float = inf
    _no_better_alone: bool = False

    @property
    def is_large(self) -> bool:
        """Say whether so many ask that they would be in each other's way."""
        return len(self.demands) >= _MANY

    def swept(self, begun_at: float, ended_at: float, *, ttl_seconds: float, spread: float) -> None:
        """Note a sweep that has brought answers, and tell from it when the next one begins."""
        self.swept_at = begun_at
        self._late_at = begun_at + ttl_seconds - _TIMES_AHEAD * (ended_at - begun_at)
        # What takes most of the TTL would never end.
        ahead = self.is_large and self._late_at > begun_at + ttl_seconds / 2
        self.ahead_at = self._late_at - min(_SPREAD * ttl_seconds, _SPREAD_SECONDS) * spread if ahead else inf

    def is_ahead(self, now: float, *, others: bool) -> bool:
        """Say whether the next sweep begins now, though all answers are fresh; others that do so may be under way."""
        return now >= (max(self.ahead_at, self._late_at) if others else self.ahead_at)

    def is_parted(self, now: float) -> bool:
        """Say whether nothing is shared now."""
        return now < max(self.alone_until, self._late_until)

    def part(self, now: float, *, nothing_worked: bool) -> None:
        """Share nothing for a while: what is refused may be one request's fault, or everybody's."""
        self.alone_until = now + ALONE_SECONDS
        self._again_at = now + _AGAIN_SECONDS if nothing_worked else inf
        self._no_better_alone = False

    def timed_out(self, now: float) -> None:
        """Share nothing for a while: the query may be too slow for being shared."""
        self._late_until, self._answered_alone = now + ALONE_AFTER_TIMEOUT_SECONDS, False

    def tried_alone(self, *, answered: bool, held_up: bool = False) -> None:
        """Learn from how it goes for who asks alone: sharing was not at fault where that fares no better."""
        self._answered_alone |= answered
        if held_up and not self._answered_alone:
            self._late_until = 0.0  # many queries would not help it
        if answered and self._no_better_alone:
            self.alone_until = min(self.alone_until, self._again_at)
        self._no_better_alone = not answered and self._again_at < inf
        if answered:
            self._again_at = inf

    def due(self, own: Demand, now: float) -> list[Demand]:
        """Return what was asked for lately and may be shared, this member's first, and forget the rest."""
        horizon = now - max(_DEMAND_SECONDS, 2 * own.key[2])
        for member in [one.member for one in self.demands.values() if one.asked_at < horizon]:
            del self.demands[member]
        return [own, *(one for one in self.demands.values() if one is not own and now >= one.alone_until)]

    def ended(self, task: asyncio.Task[Mapping[Member, Fetched]]) -> None:
        """Forget a sweep that has ended."""
        self.task, self.included = None, frozenset()
        read(task)

    def gathered(self) -> list[Demand]:
        """Return those who wait, whose turn it is now; who comes later waits for the next one."""
        waiting, self.waiting, self.gathering = list(self.waiting.values()), {}, None
        return waiting


def read(task: asyncio.Task[Mapping[Member, Fetched]]) -> None:
    """Look at how a task ended, so that a failure whose callers have all left is not reported as forgotten."""
    if not task.cancelled():
        task.exception()


def in_turn(due: Sequence[Demand]) -> list[Sequence[Demand]]:
    """Return demands as they are asked together: each namespace's in one place, so that it is asked for once."""
    if len(due) <= _MEMBERS_OF_A_QUERY:
        return [due]
    ordered = sorted(due, key=lambda one: (one.member.namespace, one.member.names))
    return [ordered[at : at + _MEMBERS_OF_A_QUERY] for at in range(0, len(ordered), _MEMBERS_OF_A_QUERY)]
