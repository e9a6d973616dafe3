"""Identical queries share one call and its answer, until the TTL after the evaluation."""

from __future__ import annotations

import asyncio

import pytest

from adapter.promql.model import QueryAnswer, Sample, Vector
from adapter.runtime.cache import Cached, Fetched, QueryCache

pytestmark = pytest.mark.anyio


class Clock:
    """A clock that is turned by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Counts:
    """Counts what the cache reports."""

    def __init__(self) -> None:
        self.hits: list[float] = []
        self.misses = 0
        self.joined = 0
        self.entries = 0

    def cache_hit(self, *, age_seconds: float) -> None:
        self.hits.append(age_seconds)

    def cache_miss(self) -> None:
        self.misses += 1

    def cache_joined(self) -> None:
        self.joined += 1

    def cache_size(self, *, entries: int, bytes_: float) -> None:
        assert bytes_ > 0
        self.entries = entries


class Upstream:
    """A backend whose calls end when the test says so."""

    def __init__(self, answer: QueryAnswer | Exception, *, gated: bool = False) -> None:
        self.answer = answer
        self.calls = 0
        self.gate = asyncio.Event()
        if not gated:
            self.gate.set()

    async def __call__(self) -> Fetched:
        self.calls += 1
        await self.gate.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return Fetched(answer=self.answer, window_seconds=60)


def an_answer(samples: int = 1) -> QueryAnswer:
    """Return an instant vector of some samples."""
    vector = Vector(
        samples=tuple(Sample(labels={"pod": str(n)}, value=1.0, timestamp_seconds=5.0) for n in range(samples))
    )
    return QueryAnswer(result=vector, evaluated_at_seconds=5.0)


@pytest.fixture
def clock() -> Clock:
    """Return the clock of the cache under test."""
    return Clock()


@pytest.fixture
def counts() -> Counts:
    """Return the observer of the cache under test."""
    return Counts()


@pytest.fixture
def cache(clock: Clock, counts: Counts) -> QueryCache:
    """Return a cache of three entries."""
    return QueryCache(max_bytes=100_000, max_entries=3, clock=clock, observer=counts)


async def test_within_the_ttl_a_query_is_asked_once(cache: QueryCache, clock: Clock, counts: Counts) -> None:
    """A second request within the TTL gets the first one's answer, with the age that it has."""
    upstream = Upstream(an_answer())
    await cache.get(("up", None, 10.0, 0.0), upstream)
    clock.now += 9.5

    again = await cache.get(("up", None, 10.0, 0.0), upstream)

    assert upstream.calls == 1
    assert again.window_seconds == 60
    assert counts.hits == [9.5]


async def test_past_the_ttl_a_request_waits_for_the_refresh(cache: QueryCache, clock: Clock) -> None:
    """An answer as old as its TTL is never served: the caller waits for a new one."""
    upstream = Upstream(an_answer())
    await cache.get(("up", None, 10.0, 0.0), upstream)
    clock.now += 10.0

    await cache.get(("up", None, 10.0, 0.0), upstream)

    assert upstream.calls == 2


async def test_the_ttl_counts_from_the_evaluation(cache: QueryCache, clock: Clock) -> None:
    """A slow answer does not live longer: its time began when the query was sent."""
    upstream = Upstream(an_answer(), gated=True)
    asking = asyncio.create_task(cache.get(("up", None, 10.0, 0.0), upstream))
    await asyncio.sleep(0)
    clock.now += 6.0
    upstream.gate.set()
    await asking
    clock.now += 5.0

    await cache.get(("up", None, 10.0, 0.0), upstream)

    assert upstream.calls == 2


async def test_without_a_ttl_nothing_is_kept(cache: QueryCache) -> None:
    """A TTL of 0 turns the cache off."""
    upstream = Upstream(an_answer())

    await cache.get(("up", None, 0.0, 0.0), upstream)
    await cache.get(("up", None, 0.0, 0.0), upstream)

    assert upstream.calls == 2


async def test_identical_queries_share_the_call_under_way(cache: QueryCache, counts: Counts) -> None:
    """A hundred requests for one query at one time cost one call."""
    upstream = Upstream(an_answer(), gated=True)
    asking = [asyncio.create_task(cache.get(("up", None, 10.0, 0.0), upstream)) for _ in range(100)]
    await asyncio.sleep(0)
    upstream.gate.set()

    answers = await asyncio.gather(*asking)

    assert upstream.calls == 1
    assert counts.joined == 99
    assert len({id(one) for one in answers}) == 1


async def test_who_joins_late_gets_nothing_older_than_the_ttl(cache: QueryCache, clock: Clock) -> None:
    """A call that has gone on for longer than the TTL when a request joins it does not answer that request."""
    upstream = Upstream(an_answer(), gated=True)
    first = asyncio.create_task(cache.get(("up", None, 2.0, 0.0), upstream))
    await asyncio.sleep(0)
    clock.now += 3.0
    late = [asyncio.create_task(cache.get(("up", None, 2.0, 0.0), upstream)) for _ in range(3)]
    await asyncio.sleep(0)
    upstream.gate.set()

    answers = await asyncio.gather(first, *late)

    assert upstream.calls == 2
    assert [one.evaluated_at - answers[0].evaluated_at for one in answers] == [0.0, 3.0, 3.0, 3.0]


async def test_a_caller_that_leaves_does_not_cancel_the_others(cache: QueryCache) -> None:
    """The call goes on when the caller that began it is cancelled."""
    upstream = Upstream(an_answer(), gated=True)
    first = asyncio.create_task(cache.get(("up", None, 10.0, 0.0), upstream))
    second = asyncio.create_task(cache.get(("up", None, 10.0, 0.0), upstream))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    upstream.gate.set()

    answer = await second

    assert isinstance(answer, Cached)
    assert upstream.calls == 1


async def test_a_failure_reaches_all_who_wait_and_is_not_kept(cache: QueryCache) -> None:
    """Every waiting caller gets the error, and the next one asks again."""
    upstream = Upstream(ValueError("down"), gated=True)
    asking = [asyncio.create_task(cache.get(("up", None, 10.0, 0.0), upstream)) for _ in range(2)]
    await asyncio.sleep(0)
    upstream.gate.set()
    failures = await asyncio.gather(*asking, return_exceptions=True)
    upstream.answer = an_answer()

    healed = await cache.get(("up", None, 10.0, 0.0), upstream)

    assert [type(one) for one in failures] == [ValueError, ValueError]
    assert healed.answer == an_answer()


async def test_the_number_of_entries_is_bounded(cache: QueryCache, counts: Counts) -> None:
    """However many queries there are, no more than the bound are kept."""
    for number in range(10):
        await cache.get((f"up{number}", None, 10.0, 0.0), Upstream(an_answer()))

    assert counts.entries == 3


async def test_an_answer_larger_than_the_cache_is_served_and_not_kept(cache: QueryCache) -> None:
    """A huge answer reaches its caller without throwing everything else out."""
    small, huge = Upstream(an_answer()), Upstream(an_answer(1000))
    await cache.get(("small", None, 10.0, 0.0), small)

    await cache.get(("huge", None, 10.0, 0.0), huge)
    await cache.get(("small", None, 10.0, 0.0), small)

    assert (small.calls, huge.calls) == (1, 1)


async def test_closing_cancels_what_is_under_way(cache: QueryCache) -> None:
    """Nothing is left running when the cache is closed."""
    asking = asyncio.create_task(cache.get(("up", None, 10.0, 0.0), Upstream(an_answer(), gated=True)))
    await asyncio.sleep(0)

    await cache.close()

    assert isinstance((await asyncio.gather(asking, return_exceptions=True))[0], asyncio.CancelledError)
