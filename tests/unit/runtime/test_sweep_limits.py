"""A shared query that is too much is divided until it passes, and the smaller size is kept for a while."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from sweep_rig import Rig, plan_of

from adapter.errors import PrometheusUnavailable, QueryRejected, QueryTooLarge, UpstreamError
from adapter.rules.trail import NO_TRAIL, Trail

pytestmark = pytest.mark.anyio

TOO_LONG = QueryRejected("too long query; got 27614 bytes; mustn't exceed 2048", status=422, kind="422")
FAULT = QueryRejected("vector cannot contain metrics with the same labelset", status=422, kind="execution")


async def a_period(rig: Rig, namespaces: int) -> int:
    """Let a period pass, ask for all, and return how many queries that cost."""
    rig.queries()
    rig.clock.now += 15.0
    await rig.ask_all(namespaces, "pod0")
    return rig.queries()


async def test_a_limit_on_data_costs_its_logarithm_once(tmp_path: Path) -> None:
    """Five hundred requests of which 40 fit into a query cost some more queries once, and then as many as need be."""
    rig = Rig(tmp_path)
    rig.fill(500, 1)
    rig.prometheus.most_series = 40
    await rig.ask_all(500, "pod0")

    # Without names, with them, 250, 125, 63: refused. 32 pass, and so do the others in as many.
    assert await a_period(rig, 500) == 5 + 16
    assert await a_period(rig, 500) == 16
    assert rig.reports.limits == [("data", "lowered", 1)]
    assert rig.reports.sweeps == [("ok", 21, 500), ("ok", 16, 500)]


async def test_a_limit_is_tried_again_and_forgotten(tmp_path: Path) -> None:
    """When the server takes more again, some minutes later one query is enough."""
    rig = Rig(tmp_path)
    rig.fill(60, 1)
    rig.prometheus.most_series = 40
    await rig.ask_all(60, "pod0")
    assert await a_period(rig, 60) == 4  # without names, with them, and two halves
    rig.prometheus.most_series = 1000

    costs = [await a_period(rig, 60) for _ in range(40)]

    assert (costs[0], costs[-1]) == (2, 1)
    assert set(costs) == {1, 2}
    assert rig.reports.limits[:2] == [("data", "lowered", 1), ("data", "raised", 1)]


LENGTHS = [
    ("a refusal", TOO_LONG),
    ("a status", PrometheusUnavailable("bad_response: unknown response code 414", kind="too_long")),
]


@pytest.mark.parametrize(("name", "error"), LENGTHS, ids=[name for name, _ in LENGTHS])
async def test_a_limit_on_the_length_is_kept_for_all_queries(name: str, error: UpstreamError, tmp_path: Path) -> None:
    """A query that the server calls too long is sent in shorter ones, and so are those of other requests."""
    rig = Rig(tmp_path)
    rig.fill(400, 1)
    rig.fill(1, 300)
    rig.prometheus.fails = lambda promql: error if len(promql) > 1000 else None
    await rig.ask_all(400, "pod0")

    assert await a_period(rig, 400) < 12
    assert await a_period(rig, 400) < 9
    assert rig.reports.limits == [("length", "lowered", 1)]
    pods = [f"pod{number}" for number in range(300)]
    assert set(await rig.ask("ns0", *pods)) == set(pods)
    assert all(len(promql) <= 1000 for promql in rig.prometheus.asked)


async def test_a_long_list_of_one_request_is_divided(tmp_path: Path) -> None:
    """One request for more pods than the server reads at once is answered whole, and in no more queries than needed."""
    rig = Rig(tmp_path)
    rig.fill(1, 100)
    rig.prometheus.most_series = 30
    pods = [f"pod{number}" for number in range(100)]

    assert set(await rig.ask("ns0", *pods)) == set(pods)
    assert rig.queries() == 2 + 1 + 4  # by itself, as one, and 50 are refused; 25 pass
    rig.clock.now += 15.0
    assert set(await rig.ask("ns0", *pods)) == set(pods)
    assert rig.queries() == 4


async def test_what_cannot_be_divided_is_an_error_that_says_so(tmp_path: Path) -> None:
    """One object that is too much by itself fails alone, in our words; nobody else pays for it."""
    rig = Rig(tmp_path)
    rig.fill(40, 1)
    many = QueryRejected("query processing would load too many samples into memory", status=422, kind="execution")
    rig.prometheus.fails = lambda promql: many if "ns7" in promql else None
    for n in range(40):
        if n != 7:
            await rig.ask(f"ns{n}", "pod0")
    with pytest.raises(QueryTooLarge, match="the query of rule load is beyond a limit of Prometheus") as caught:
        await rig.ask("ns7", "pod0")
    assert caught.value.__cause__ is many

    for period in range(3):
        rig.queries()
        rig.clock.now += 15.0
        for n in range(40):
            if n != 7:
                await rig.ask(f"ns{n}", "pod0")
        with pytest.raises(QueryTooLarge):
            await rig.ask("ns7", "pod0")
        assert rig.queries() == (15 if period == 0 else 2)  # found among forty, and then known
    assert rig.reports.limits == []


async def test_who_is_at_fault_is_found_and_the_others_go_on_sharing(tmp_path: Path) -> None:
    """Among a thousand requests one that Prometheus refuses costs some twenty queries, and not a thousand."""
    rig = Rig(tmp_path)
    rig.fill(1000, 1)
    rig.prometheus.fails = lambda promql: FAULT if re.search(r"\bns500\b", promql) else None
    plans = [plan_of(rig.rule, f"ns{n}", ("pod0",)) for n in range(1000)]

    async def a_round() -> int:
        rig.queries()
        rig.clock.now += 15.0
        found = await asyncio.gather(*(rig.fetching.fetch(one, NO_TRAIL) for one in plans), return_exceptions=True)
        assert [n for n, one in enumerate(found) if isinstance(one, BaseException)] == [500]
        return rig.queries()

    assert await a_round() <= 1000  # all are new; whoever has to wait is asked for with others
    costs = [await a_round() for _ in range(5)]

    assert max(costs[:2]) < 30
    assert costs[2:] == [2, 2, 2]  # one for all others, one for the one at fault


async def test_what_fails_for_all_is_given_up_soon(tmp_path: Path) -> None:
    """When every part of a shared query fails too, nobody goes on dividing: each asks alone, for a while."""
    rig = Rig(tmp_path)
    rig.fill(200, 1)
    rig.prometheus.fails = lambda promql: FAULT if "namespace)" in promql else None  # what is made for many
    await rig.ask_all(200, "pod0")

    assert 200 < await a_period(rig, 200) < 200 + 15
    assert await a_period(rig, 200) < 200 + 15
    assert await a_period(rig, 200) == 200
    assert {outcome for outcome, _, _ in rig.reports.sweeps} == {"separate"}


async def test_separate_queries_leave_room_for_others(tmp_path: Path) -> None:
    """However many requests of a rule ask alone, only so many are under way: another rule's find a connection."""
    rig = Rig(tmp_path, "  fuse: never")
    rig.fill(100, 1)
    rig.prometheus.gate.clear()
    asking = [asyncio.create_task(rig.ask(f"ns{n}", "pod0")) for n in range(100)]
    await rig.prometheus.waits.wait()

    assert rig.prometheus.most_under_way <= rig.fetching.queries_of_a_rule
    rig.prometheus.gate.set()
    await asyncio.gather(*asking)
    assert rig.prometheus.most_under_way == rig.fetching.queries_of_a_rule
    assert rig.queries() == 100


async def test_explain_says_what_is_known_of_limits(tmp_path: Path) -> None:
    """Under "Sharing" stands how much a query may have, and what the server said."""
    rig = Rig(tmp_path)
    rig.fill(20, 1)
    rig.prometheus.most_series = 10
    await rig.ask_all(20, "pod0")
    await a_period(rig, 20)
    trail = Trail()

    await rig.cached("ns0", "pod0", trail=trail)

    said = [step.text for step in trail.steps if step.name == "sharing"]
    assert said[1].startswith("at most 10 objects in a query, since Prometheus said: query processing would load")


async def test_many_members_are_several_queries(tmp_path: Path) -> None:
    """More members than are taken apart at a time are asked for together all the same, each namespace in one query."""
    rig = Rig(tmp_path)
    rig.fill(2500, 1)
    await rig.ask_all(2500, "pod0")

    assert await a_period(rig, 2500) < 10
    assert [(outcome, answers) for outcome, _, answers in rig.reports.sweeps] == [("ok", 2500)]
