"""What is due together is asked together, and each gets what its own query would have given."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sweep_rig import Rig

from adapter.errors import PartialAnswer, PrometheusUnavailable, QueryRejected, UpstreamError
from adapter.rules.trail import NO_TRAIL

pytestmark = pytest.mark.anyio


async def test_many_callers_cost_one_query(tmp_path: Path) -> None:
    """What is new is asked for by itself; a period later everything that was asked for is one query."""
    rig = Rig(tmp_path)
    rig.fill(50, 3)

    await rig.ask_all(50, "pod0", "pod1")
    assert rig.queries() == 50
    for _ in range(4):
        rig.clock.now += 15.0
        await rig.ask_all(50, "pod0", "pod1")
        assert rig.queries() == 1

    assert rig.reports.sweeps == [("ok", 1, 50)] * 4


async def test_requests_that_come_together_share_the_sweep(tmp_path: Path) -> None:
    """While a sweep is under way those that it answers wait for it, and one that leaves stops nobody."""
    rig = Rig(tmp_path)
    rig.fill(10, 2)
    await rig.ask_all(10, "pod0")
    rig.queries()
    rig.clock.now += 15.0
    rig.prometheus.gate.clear()

    asking = [asyncio.create_task(rig.ask(f"ns{n}", "pod0")) for n in range(10)]
    await asyncio.sleep(0)
    asking[0].cancel()
    await asyncio.sleep(0)
    rig.prometheus.gate.set()
    found = await asyncio.gather(*asking[1:])

    assert found == [{"pod0": n * 100.0} for n in range(1, 10)]
    assert rig.queries() == 1


async def test_a_sweep_ends_with_the_cache(tmp_path: Path) -> None:
    """What is under way when the adapter stops is cancelled and awaited."""
    rig = Rig(tmp_path)
    rig.fill(2, 1)
    await rig.ask_all(2, "pod0")
    rig.clock.now += 15.0
    rig.prometheus.gate.clear()
    asking = asyncio.create_task(rig.ask("ns0", "pod0"))
    await rig.prometheus.waits.wait()

    await rig.cache.close()

    with pytest.raises(asyncio.CancelledError):
        await asking
    assert not [task for task in asyncio.all_tasks() if "Sweep" in repr(task.get_coro())]


async def test_what_nobody_asks_for_is_forgotten(tmp_path: Path) -> None:
    """A sweep has only what was asked for within two periods of an autoscaler."""
    rig = Rig(tmp_path)
    rig.fill(3, 1)
    await rig.ask_all(3, "pod0")
    for _ in range(3):
        rig.clock.now += 15.0
        await rig.ask_all(2, "pod0")

    assert [answers for _, _, answers in rig.reports.sweeps] == [3, 3, 2]


async def test_an_absent_object_stays_absent(tmp_path: Path) -> None:
    """A pod without a series has no sample in a shared answer either, and one of the same name elsewhere lends none."""
    rig = Rig(tmp_path)
    rig.fill(2, 2)
    del rig.prometheus.series[("ns0", "pod1")]

    for _ in range(2):
        assert await rig.ask("ns0", "pod0", "pod1") == {"pod0": 0.0}
        assert await rig.ask("ns1", "pod0", "pod1") == {"pod0": 100.0, "pod1": 101.0}
        rig.clock.now += 15.0

    assert rig.reports.sweeps == [("ok", 1, 2)]


FAULTS = [
    ("refused", QueryRejected("multiple matches for labels", status=422, kind="execution")),
    ("partial", PartialAnswer(("a store is away",))),
]


@pytest.mark.parametrize(("name", "error"), FAULTS, ids=[name for name, _ in FAULTS])
async def test_a_shared_query_that_fails_is_asked_for_each(name: str, error: UpstreamError, tmp_path: Path) -> None:
    """All get their answers within the same request, and for a while nothing is shared."""
    rig = Rig(tmp_path)
    rig.fill(5, 2)
    rig.prometheus.fails = lambda promql: error if "=~" in promql else None

    await rig.ask_all(5, "pod0")
    for _ in range(4):
        rig.clock.now += 15.0
        await rig.ask_all(5, "pod0")

    outcomes = [outcome for outcome, _, _ in rig.reports.sweeps]
    assert outcomes == ["separate", "separate"]  # without names, and with them
    rig.prometheus.fails = lambda _: None
    rig.clock.now += 301.0
    await rig.ask_all(5, "pod0")
    rig.queries()
    rig.clock.now += 15.0
    await rig.ask_all(5, "pod0")
    assert rig.queries() == 1


async def test_only_who_fails_alone_gets_the_error(tmp_path: Path) -> None:
    """A namespace at fault makes the shared query fail, and only its own callers see it."""
    rig = Rig(tmp_path)
    rig.fill(3, 1)
    await rig.ask_all(3, "pod0")
    error = QueryRejected("vector cannot contain metrics with the same labelset", status=422, kind="execution")
    rig.prometheus.fails = lambda promql: error if "ns1" in promql else None
    rig.clock.now += 15.0

    assert await rig.ask("ns0", "pod0") == {"pod0": 0.0}
    with pytest.raises(QueryRejected):
        await rig.ask("ns1", "pod0")
    assert await rig.ask("ns2", "pod0") == {"pod0": 200.0}


async def test_a_remark_that_one_namespace_causes_is_told_to_that_one_only(tmp_path: Path) -> None:
    """The server does not say whose data it remarks on, so each is asked for by itself."""
    rig = Rig(tmp_path)
    rig.fill(5, 1)
    await rig.ask_all(5, "pod0")
    remark = "PromQL info: metric might not be a counter"
    rig.prometheus.remarks = lambda promql: (remark,) if "ns3" in promql else ()
    rig.clock.now += 15.0

    told = [(await rig.cached(f"ns{n}", "pod0")).answer.annotations for n in range(5)]

    assert told == [(), (), (), (remark,), ()]
    assert {outcome for outcome, _, _ in rig.reports.sweeps} == {"separate"}


async def test_a_dead_prometheus_is_an_error_for_all(tmp_path: Path) -> None:
    """Nobody is asked for again when the server as a whole does not answer, and no old value is served."""
    rig = Rig(tmp_path)
    rig.fill(3, 1)
    await rig.ask_all(3, "pod0")
    rig.queries()
    rig.prometheus.fails = lambda _: PrometheusUnavailable("connection refused", kind="connection")
    rig.clock.now += 15.0

    found = await asyncio.gather(*(rig.ask(f"ns{n}", "pod0") for n in range(3)), return_exceptions=True)

    assert all(isinstance(one, PrometheusUnavailable) for one in found)
    assert rig.queries() == 1
    rig.prometheus.fails = lambda _: None
    await rig.ask_all(3, "pod0")
    assert rig.queries() == 1


async def test_names_are_written_where_namespaces_hold_much_more(tmp_path: Path) -> None:
    """A query without names that brings far more than was asked for is followed by one with names."""
    rig = Rig(tmp_path)
    rig.fill(4, 100)
    await rig.ask_all(4, "pod0")
    for _ in range(2):
        rig.clock.now += 15.0
        await rig.ask_all(4, "pod0")

    assert [('pod="pod0"' in promql) for promql in rig.prometheus.asked[-2:]] == [False, True]


async def test_a_long_list_of_names_is_divided(tmp_path: Path) -> None:
    """A query that would be longer than allowed is sent in parts, and the answer is the whole."""
    rig = Rig(tmp_path, max_query_bytes=100)
    rig.fill(1, 100)
    pods = [f"pod{p}" for p in range(100)]

    assert set(await rig.ask("ns0", *pods)) == set(pods)
    assert len(rig.prometheus.asked) > 1
    assert all(len(promql) <= 100 for promql in rig.prometheus.asked)


@pytest.mark.parametrize("more", ["  fuse: never", "  cacheTTL: 0"])
async def test_who_does_not_want_it_is_asked_alone(more: str, tmp_path: Path) -> None:
    """`fuse: never` and a cache that is off leave each request its own query."""
    rig = Rig(tmp_path, more)
    rig.fill(3, 1)
    await rig.ask_all(3, "pod0")
    rig.queries()
    rig.clock.now += 15.0
    await rig.ask_all(3, "pod0")

    assert rig.queries() == 3
    assert rig.reports.sweeps == []


async def test_ages_are_asked_for_together_too(tmp_path: Path) -> None:
    """With maxSampleAge the questions of all members' ages are one query, at the time of the values."""
    rig = Rig(tmp_path, "  maxSampleAge: 2m")
    rig.fill(3, 1)
    await rig.ask_all(3, "pod0")
    assert rig.queries() == 6
    rig.clock.now += 15.0
    cached = [await rig.fetching.fetch(rig.plan(f"ns{n}", "pod0"), NO_TRAIL) for n in range(3)]

    assert rig.queries() == 2
    # The fake's samples are as many seconds old as their values.
    assert [bool(one.ages and one.ages.too_old("pod0")) for one in cached] == [False, False, True]
