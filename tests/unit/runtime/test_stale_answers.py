"""`staleIfError`: the last answer is told while refreshes fail, for as long as the rule says, with its own time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from relist_rig import HandClock
from sweep_rig import Rig, values_of

from adapter.errors import (
    AdapterError,
    PartialAnswer,
    PrometheusUnavailable,
    QueryRejected,
    QueryTooLarge,
    UnsupportedSelector,
    UnusableResult,
    UpstreamError,
)
from adapter.promql.model import QueryAnswer, Vector
from adapter.rules.trail import NO_TRAIL, Trail
from adapter.runtime.cache import Fetched, QueryCache

pytestmark = pytest.mark.anyio

STALE = "  staleIfError: 15s"
DOWN = PrometheusUnavailable("connection refused", kind="connection")


def fails_with(rig: Rig, error: UpstreamError) -> None:
    """Let every query fail."""
    rig.prometheus.fails = lambda _promql: error


FAILURES = [
    ("down", DOWN),
    ("breaker", PrometheusUnavailable("Prometheus was not asked", kind="breaker")),
    ("slow", PrometheusUnavailable("no answer in time", kind="timeout")),
    ("refused", QueryRejected("vector cannot contain metrics with the same labelset", status=422, kind="execution")),
    ("partial", PartialAnswer(("a store is away",))),
    ("too large", PrometheusUnavailable("more than 20000 samples", kind="too_large")),
]


@pytest.mark.parametrize(("name", "error"), FAILURES, ids=[name for name, _ in FAILURES])
async def test_the_last_answer_is_told_while_refreshes_fail(name: str, error: UpstreamError, tmp_path: Path) -> None:
    """Each request tries first; the answer keeps its time, and ends TTL and staleIfError after its evaluation."""
    rig = Rig(tmp_path, STALE)
    rig.fill(1, 1)
    first = await rig.cached("ns0", "pod0")
    rig.queries()
    fails_with(rig, error)

    rig.clock.now += 24.9
    again = await rig.cached("ns0", "pod0")

    assert rig.queries() >= 1
    assert again.answer.evaluated_at_seconds == first.answer.evaluated_at_seconds
    assert rig.reports.stale == [pytest.approx(24.9)]
    rig.clock.now += 0.2
    with pytest.raises((type(error), QueryTooLarge)):
        await rig.cached("ns0", "pod0")


async def test_without_it_a_failure_is_an_error(tmp_path: Path) -> None:
    """By default nothing is told beyond its TTL, and nothing is kept for it."""
    rig = Rig(tmp_path)
    rig.fill(1, 1)
    await rig.cached("ns0", "pod0")
    fails_with(rig, DOWN)
    rig.clock.now += 10.1

    with pytest.raises(PrometheusUnavailable):
        await rig.cached("ns0", "pod0")
    assert rig.reports.stale == []


async def test_a_refresh_that_works_is_waited_for(tmp_path: Path) -> None:
    """Past the TTL the last answer never comes before the new one, and the new one takes its place."""
    rig = Rig(tmp_path, STALE)
    rig.fill(1, 1)
    await rig.cached("ns0", "pod0")
    rig.clock.now += 11.0
    rig.prometheus.series[("ns0", "pod0")] = 5.0
    rig.prometheus.gate.clear()
    asking = asyncio.create_task(rig.cached("ns0", "pod0"))
    await rig.prometheus.waits.wait()
    assert not asking.done()
    rig.prometheus.gate.set()

    assert values_of(await asking) == {"pod0": 5.0}
    fails_with(rig, DOWN)
    rig.clock.now += 20.0
    assert values_of(await rig.cached("ns0", "pod0")) == {"pod0": 5.0}


async def test_a_failed_sweep_leaves_all_their_last_answers(tmp_path: Path) -> None:
    """Members of a shared query that fails get theirs, and share again when Prometheus is back."""
    rig = Rig(tmp_path, STALE)
    rig.fill(20, 1)
    await rig.ask_all(20, "pod0")
    rig.clock.now += 15.0
    await rig.ask_all(20, "pod0")
    rig.queries()
    fails_with(rig, DOWN)
    rig.clock.now += 15.0

    found = await asyncio.gather(*(rig.ask(f"ns{n}", "pod0") for n in range(20)))

    assert found == [{"pod0": n * 100.0} for n in range(20)]
    assert rig.queries() == 1
    rig.prometheus.fails = lambda _promql: None
    await rig.ask_all(20, "pod0")
    assert rig.queries() == 1


async def test_ages_are_judged_when_the_answer_is_told(tmp_path: Path) -> None:
    """With maxSampleAge a value that was young enough at its evaluation may be too old when it is told again."""
    rig = Rig(tmp_path, "  staleIfError: 1m\n  maxSampleAge: 30s")
    rig.fill(1, 30)  # the fake's samples are as many seconds old as their values
    first = await rig.cached("ns0", "pod5", "pod20")
    fails_with(rig, DOWN)
    rig.clock.now += 20.0

    again = await rig.cached("ns0", "pod5", "pod20")

    assert first.ages is not None
    assert again.ages is not None
    assert (first.ages.too_old("pod20"), first.ages.too_old("pod5")) == ("", "")
    assert again.ages.too_old("pod20") == "its newest sample is 40 s old"
    assert again.ages.too_old("pod5") == ""
    assert again.made is not first.made  # what was decided of the first does not hold for it


CALLERS = [
    ("a caller's fault", UnsupportedSelector("no such label")),
    ("a rule's fault", UnusableResult("the query cannot be read")),
]


@pytest.mark.parametrize(("name", "error"), CALLERS, ids=[name for name, _ in CALLERS])
async def test_other_errors_are_no_failed_refresh(name: str, error: AdapterError, tmp_path: Path) -> None:
    """What says something of the request or the rule is told as it is."""
    rig = Rig(tmp_path, STALE)
    rig.fill(1, 1)
    await rig.cached("ns0", "pod0")
    rig.clock.now += 15.0

    def fail(_promql: str) -> UpstreamError | None:
        raise error

    rig.prometheus.fails = fail
    with pytest.raises(type(error)):
        await rig.cached("ns0", "pod0")


async def test_a_key_that_the_rule_wrote_into_the_query_is_the_callers_fault(tmp_path: Path) -> None:
    """A selector that Prometheus cannot read is refused although there is a last answer to the same query."""
    rig = Rig(tmp_path, STALE)
    rig.fill(1, 1)
    plan = replace(rig.plan("ns0", "pod0"), odd_keys=("a/b",))
    await rig.fetching.fetch(plan, NO_TRAIL)
    rig.clock.now += 15.0
    fails_with(rig, QueryRejected("parse error", status=400, kind="bad_data"))

    with pytest.raises(UnsupportedSelector):
        await rig.fetching.fetch(plan, NO_TRAIL)
    assert rig.reports.stale == []


async def test_explain_says_that_the_answer_is_the_last_one(tmp_path: Path) -> None:
    """The trail has the failure, that the last answer stands for it, and how old that is."""
    rig = Rig(tmp_path, STALE)
    rig.fill(1, 1)
    await rig.cached("ns0", "pod0")
    fails_with(rig, DOWN)
    rig.clock.now += 15.0
    trail = Trail()

    await rig.cached("ns0", "pod0", trail=trail)

    said = {step.name: step for step in trail.steps}
    assert [step.text for step in trail.steps if not step.ok] == ["the query failed: connection refused"]
    assert said["stale"].text == "staleIfError: the last answer is told instead, with its time"
    assert said["answer"].text == "evaluated 15.0 s ago"


class Reports:
    """Keeps the size that is reported."""

    def __init__(self) -> None:
        self.entries = 0

    def cache_hit(self, *, age_seconds: float) -> None: ...
    def cache_miss(self) -> None: ...
    def cache_joined(self) -> None: ...
    def cache_size(self, *, entries: int, bytes_: float) -> None:
        self.entries = entries


async def test_only_what_may_be_told_again_is_kept_longer() -> None:
    """Beyond the TTL the cache holds the answers of rules with staleIfError and no others."""
    clock, reports = HandClock(), Reports()
    cache = QueryCache(max_bytes=100_000, max_entries=100, clock=lambda: clock.now, observer=reports)
    answer = QueryAnswer(result=Vector(samples=()), evaluated_at_seconds=clock.now)
    for number in range(4):
        stale_seconds = 15.0 if number == 0 else 0.0
        cache.put((f"up{number}", None, 10.0, stale_seconds), Fetched(answer=answer), asked_at=clock.now)
    clock.now += 12.0

    cache.put(("other", None, 10.0, 0.0), Fetched(answer=answer), asked_at=clock.now)

    assert reports.entries == 2
    assert not cache.is_fresh(("up0", None, 10.0, 15.0))
    assert cache.last(("up0", None, 10.0, 15.0)) is not None
