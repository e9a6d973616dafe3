"""Query results: one call for identical queries, kept until the rule's TTL after the evaluation.

Where a rule says `staleIfError`, its answers are kept for that time more: `last` has them when a refresh fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from cachetools import TLRUCache

from adapter.promql.model import QueryAnswer, Vector
from adapter.rules.sample_age import Ages

T = TypeVar("T")


class CacheObserver(Protocol):
    """What the cache reports."""

    def cache_hit(self, *, age_seconds: float) -> None:
        """Note an answer that was served from the cache, and how old it was."""

    def cache_miss(self) -> None:
        """Note a query that had to be asked."""

    def cache_joined(self) -> None:
        """Note a request that waited for a call which was already under way."""

    def cache_size(self, *, entries: int, bytes_: float) -> None:
        """Note how full the cache is."""


class Demanded(Protocol):
    """What a request leaves behind, so that the next sweep knows that somebody asks."""

    asked_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cached:
    """An answer, what was worked out with it once, and when (on the monotonic clock) it was evaluated."""

    answer: QueryAnswer
    window_seconds: int | None
    ages: Ages | None
    demand: Demanded | None
    evaluated_at: float
    fresh_until: float
    kept_until: float
    size_bytes: int
    made: dict[object, object] = field(default_factory=dict, compare=False, repr=False)  # of it; it goes with it

    def keep(self, plan: object, made: object) -> None:
        """Keep what was made of the answer for a plan, as long as the answer."""
        if len(self.made) >= _MADE_OF_AN_ANSWER:
            self.made.clear()
        self.made[plan] = made


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """An answer, the query's range in seconds where there is one, and how old its values are if a rule asks that.

    It was evaluated `lag_seconds` before it was asked for.
    """

    answer: QueryAnswer
    window_seconds: int | None = None
    ages: Ages | None = None
    demand: Demanded | None = None
    lag_seconds: float = 0.0


Fetch = Callable[[], Awaitable[Fetched]]
# The query, how old its raw samples may be, how long the answer may live, and how long more if the next one fails.
Key = tuple[str, float | None, float, float]

# Different requests may come to the same query, such as by selectors that pick the same pods; callers can make up any
# number of these.
_MADE_OF_AN_ANSWER = 8
# With a TTL of nothing, requests that come together still share one call.
_SAME_MOMENT_SECONDS = 1.0
# What a sample costs in memory, measured with tracemalloc on instant vectors with three to ten labels.
_BYTES_PER_SAMPLE = 600
_BYTES_PER_LABEL = 120
_BYTES_PER_ANSWER = 1000
# A name of 40 characters, a float and their place in a dict.
_BYTES_PER_TIME = 200


class QueryCache:
    """Answers by rendered query, bounded by bytes and by entries; calls under way are shared."""

    def __init__(
        self, *, max_bytes: int, max_entries: int, clock: Callable[[], float], observer: CacheObserver
    ) -> None:
        self._clock = clock
        self._observer = observer
        self._max_entries = max_entries
        self._kept: TLRUCache[Key, Cached] = TLRUCache(
            maxsize=max_bytes,
            ttu=lambda _key, cached, _now: cached.kept_until,
            timer=clock,
            getsizeof=lambda cached: cached.size_bytes,
        )
        self._under_way: dict[Key, asyncio.Task[Cached]] = {}
        self._started: set[asyncio.Task[Any]] = set()

    def has(self, key: Key) -> bool:
        """Say whether there is an answer, or one is on its way."""
        return key in self._under_way or self.is_fresh(key)

    def is_fresh(self, key: Key) -> bool:
        """Say whether there is an answer within its TTL."""
        kept = self._kept.get(key)
        return kept is not None and self._clock() < kept.fresh_until

    def last(self, key: Key) -> Cached | None:
        """Return the last answer, for a request whose refresh failed; it may be as old as the key allows in all."""
        return self._kept.get(key)

    def put(self, key: Key, fetched: Fetched, *, asked_at: float) -> None:
        """Keep an answer that was asked for together with others; `asked_at` is on the monotonic clock."""
        self._keep(key, _cached(key, fetched, asked_at=asked_at))

    async def get(self, key: Key, fetch: Fetch) -> Cached:
        """Return the answer to a query: kept, shared with a call under way, or fetched.

        A caller that is cancelled does not cancel the call, which others may wait for; the call ends by its own
        time-out. Raises what `fetch` raises.
        """
        kept = self._kept.get(key)
        asked_at = self._clock()
        if kept is not None and asked_at < kept.fresh_until:
            self._observer.cache_hit(age_seconds=asked_at - kept.evaluated_at)
            return kept
        ttl_seconds = key[2]
        while (task := self._under_way.get(key)) is not None:
            self._observer.cache_joined()
            shared = await asyncio.shield(task)
            # A slow call may have been evaluated longer ago than an answer may be old for who joined it late.
            if asked_at - shared.evaluated_at < max(ttl_seconds, _SAME_MOMENT_SECONDS):
                return shared
        self._observer.cache_miss()
        task = asyncio.create_task(self._fetch(key, fetch, self._clock()))
        self._under_way[key] = task
        task.add_done_callback(lambda done: self._ended(key, done))
        return await asyncio.shield(task)

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start something that brings answers for many; it ends at the latest with the cache."""
        task = asyncio.create_task(work)
        self._started.add(task)
        task.add_done_callback(self._started.discard)
        return task

    async def close(self) -> None:
        """Cancel what is under way and wait for it."""
        tasks: list[asyncio.Task[Any]] = [*self._under_way.values(), *self._started]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _fetch(self, key: Key, fetch: Fetch, asked_at: float) -> Cached:
        fetched = await fetch()
        if (kept := self._kept.get(key)) is not None and kept.answer is fetched.answer:
            return kept  # a sweep has brought it, and was evaluated at its own time
        cached = _cached(key, fetched, asked_at=asked_at)
        self._keep(key, cached)
        return cached

    def _keep(self, key: Key, cached: Cached) -> None:
        if cached.size_bytes > self._kept.maxsize or cached.kept_until <= self._clock():
            return
        self._kept[key] = cached
        while len(self._kept) > self._max_entries:
            self._kept.popitem()
        self._observer.cache_size(entries=len(self._kept), bytes_=self._kept.currsize)

    def _ended(self, key: Key, task: asyncio.Task[Cached]) -> None:
        del self._under_way[key]
        if not task.cancelled():
            task.exception()  # read, so that a failure whose callers have all left is not reported as forgotten


def _cached(key: Key, fetched: Fetched, *, asked_at: float) -> Cached:
    evaluated_at = asked_at - fetched.lag_seconds
    fresh_until = evaluated_at + key[2]
    return Cached(
        answer=fetched.answer,
        window_seconds=fetched.window_seconds,
        ages=fetched.ages,
        demand=fetched.demand,
        evaluated_at=evaluated_at,
        fresh_until=fresh_until,
        kept_until=fresh_until + key[3],
        size_bytes=_size_bytes(fetched),
    )


def _size_bytes(fetched: Fetched) -> int:
    times = sum(map(len, fetched.ages.times)) * _BYTES_PER_TIME if fetched.ages else 0
    result = fetched.answer.result
    if not isinstance(result, Vector):
        return _BYTES_PER_ANSWER + times
    labels = len(result.samples[0].labels) if result.samples else 0
    return _BYTES_PER_ANSWER + len(result.samples) * (_BYTES_PER_SAMPLE + labels * _BYTES_PER_LABEL) + times
