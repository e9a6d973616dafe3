"""What sweeps owe to those who are not in them: new callers, callers who leave, other rules, other lists."""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import replace
from pathlib import Path

import pytest
from sweep_rig import Rig, plan_of, values_of

from adapter.errors import PartialAnswer, PrometheusUnavailable, QueryRejected
from adapter.promql.template import parse_template
from adapter.rules.resource_plan import UsePlan
from adapter.rules.trail import NO_TRAIL

pytestmark = pytest.mark.anyio


def shared(promql: str) -> bool:
    """Say whether a query is for several namespaces."""
    return "namespace=~" in promql


async def a_hanging_sweep(rig: Rig, namespaces: int) -> list[asyncio.Task[object]]:
    """Let all be due, start a sweep that hangs, and return who waits for it."""
    rig.fill(namespaces + 1, 1)
    await rig.ask_all(namespaces, "pod0")
    rig.queries()
    rig.clock.now += 15.0
    rig.prometheus.gate.clear()
    rig.prometheus.stops = shared
    waiting: list[asyncio.Task[object]] = [asyncio.create_task(rig.ask(f"ns{n}", "pod0")) for n in range(namespaces)]
    await rig.prometheus.waits.wait()
    return waiting


async def test_who_is_new_does_not_wait_for_a_sweep(tmp_path: Path) -> None:
    """While a sweep hangs, what nobody asked for before is asked for at once, and comes with the next one."""
    rig = Rig(tmp_path)
    waiting = await a_hanging_sweep(rig, 5)

    assert await rig.ask("ns5", "pod0") == {"pod0": 500.0}
    assert not any(one.done() for one in waiting)
    rig.prometheus.gate.set()
    await asyncio.gather(*waiting)
    rig.queries()
    rig.clock.now += 15.0
    await rig.ask_all(6, "pod0")
    assert rig.queries() == 1


async def test_who_started_a_sweep_may_leave(tmp_path: Path) -> None:
    """The caller whose request began a sweep, and all others but one, leave; the last one gets its answer."""
    rig = Rig(tmp_path)
    waiting = await a_hanging_sweep(rig, 5)
    for one in waiting[:-1]:
        one.cancel()
    await asyncio.gather(*waiting[:-1], return_exceptions=True)

    rig.prometheus.gate.set()

    assert await waiting[-1] == {"pod0": 400.0}
    await rig.ask_all(5, "pod0")  # and so do those who come back
    assert rig.queries() == 1


async def test_a_slow_rule_holds_up_no_other(tmp_path: Path) -> None:
    """While all queries of one rule hang, in sweeps and alone, another rule's are answered."""
    rig = Rig(tmp_path)
    other = replace(rig.rule, id="peak", query=parse_template("max(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)"))
    waiting = await a_hanging_sweep(rig, 30)
    rig.prometheus.stops = lambda promql: promql.startswith("sum")
    waiting += [asyncio.create_task(rig.ask("ns30", f"pod{n}")) for n in range(100)]
    for _ in range(10):
        await asyncio.sleep(0)

    for _ in range(2):
        for n in range(30):
            cached = await rig.fetching.fetch(plan_of(other, f"ns{n}", ("pod0",)), NO_TRAIL)
            assert values_of(cached) == {"pod0": n * 100.0}
        rig.clock.now += 15.0
    assert not any(one.done() for one in waiting)
    rig.prometheus.gate.set()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_question_that_fails_ends_those_beside_it(tmp_path: Path) -> None:
    """When the question of ages fails, the values are no longer waited for, and nothing goes on in the background."""
    rig = Rig(tmp_path, "  maxSampleAge: 2m")
    rig.fill(1, 1)
    down = PrometheusUnavailable("connection refused", kind="connection")
    rig.prometheus.fails = lambda promql: down if "timestamp" in promql else None
    rig.prometheus.stops = lambda promql: "timestamp" not in promql
    rig.prometheus.gate.clear()

    with pytest.raises(PrometheusUnavailable):
        await rig.ask("ns0", "pod0")

    assert rig.prometheus.under_way == 0


@pytest.mark.parametrize("kind", ["timeout", "query_timeout"])
async def test_a_shared_query_that_is_too_slow_is_not_sent_again_at_once(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever gives it up, we or the server: for a minute each is asked for by itself, then it is tried again."""
    caplog.set_level(logging.INFO)
    rig = Rig(tmp_path)
    rig.fill(5, 1)
    await rig.ask_all(5, "pod0")
    late = PrometheusUnavailable("too slow", kind=kind)
    rig.prometheus.fails = lambda promql: late if shared(promql) else None
    rig.clock.now += 15.0
    with pytest.raises(PrometheusUnavailable):
        await rig.ask("ns0", "pod0")
    rig.queries()
    assert "a query for 5 requests timed out" in caplog.text

    await rig.ask_all(5, "pod0")
    assert rig.queries() == 5
    rig.prometheus.fails = lambda _promql: None
    for _ in range(4):
        rig.clock.now += 15.0
        rig.queries()
        await rig.ask_all(5, "pod0")
    assert rig.queries() == 1


@pytest.mark.parametrize("kind", ["timeout", "connection", "breaker"])
async def test_a_server_that_hung_is_not_asked_for_each_of_them(kind: str, tmp_path: Path) -> None:
    """Who asks alone after a shared query that timed out, and fares no better, has them share again: it was the server."""
    rig = Rig(tmp_path)
    rig.fill(5, 1)
    await rig.ask_all(5, "pod0")
    rig.clock.now += 15.0
    failures = [PrometheusUnavailable("no answer", kind=one) for one in ("timeout", kind)]
    rig.prometheus.fails = lambda _promql: failures.pop(0) if failures else None
    for n in range(2):
        with pytest.raises(PrometheusUnavailable):
            await rig.ask(f"ns{n}", "pod0")
    rig.queries()

    await rig.ask_all(5, "pod0")

    assert rig.queries() == 1


async def test_one_that_is_slow_by_itself_does_not_have_them_share_again(tmp_path: Path) -> None:
    """Once somebody was answered alone, the failure of another is its own."""
    rig = Rig(tmp_path)
    rig.fill(5, 1)
    await rig.ask_all(5, "pod0")
    late = PrometheusUnavailable("no answer", kind="timeout")
    rig.prometheus.fails = lambda promql: late if shared(promql) or "ns1" in promql else None
    rig.clock.now += 15.0
    with pytest.raises(PrometheusUnavailable):
        await rig.ask("ns0", "pod0")
    await rig.ask("ns0", "pod0")
    with pytest.raises(PrometheusUnavailable):
        await rig.ask("ns1", "pod0")
    rig.queries()

    for n in (2, 3, 4):
        await rig.ask(f"ns{n}", "pod0")

    assert rig.queries() == 3


async def test_a_server_without_any_good_answer_is_not_asked_for_each_of_them_long_after(tmp_path: Path) -> None:
    """While it is ill each asks alone; once somebody is answered, and a period is over, they share again."""
    rig = Rig(tmp_path)
    rig.fill(50, 1)
    await rig.ask_all(50, "pod0")
    rig.prometheus.fails = lambda _promql: PartialAnswer(("a store is away",))
    rig.clock.now += 15.0
    for n in range(50):
        with pytest.raises(PartialAnswer):
            await rig.ask(f"ns{n}", "pod0")
    rig.queries()
    rig.prometheus.fails = lambda _promql: None
    await rig.ask_all(50, "pod0")
    at_first = rig.queries()
    rig.clock.now += 15.0

    await rig.ask_all(50, "pod0")

    assert (at_first, rig.queries()) == (50, 1)


async def use_plans(rig: Rig, namespaces: int) -> list[UsePlan]:
    """Return plans as a list of all namespaces makes them."""
    rig.fill(namespaces, 1)
    found = []
    for n in range(namespaces):
        plan = rig.plan(f"ns{n}", "pod0")
        found.append(
            UsePlan(
                rule=plan.rule,  # type: ignore[arg-type]  # a rule of its kind has the id and `may_share` that count
                promql=plan.promql,
                label=plan.label,
                namespace_label=plan.namespace_label,
                namespace=plan.namespace,
                names=plan.names,
            )
        )
    return found


async def test_lists_that_come_together_share_their_queries(tmp_path: Path) -> None:
    """Two lists of all namespaces at the same time cost one query, and one that leaves does not end the other's."""
    rig = Rig(tmp_path)
    plans = await use_plans(rig, 20)
    rig.prometheus.gate.clear()
    lists = [asyncio.create_task(rig.fetching.fetch_uses(plans, ttl_seconds=10.0)) for _ in range(3)]
    await rig.prometheus.waits.wait()
    lists[0].cancel()
    rig.prometheus.gate.set()
    await asyncio.gather(*lists[1:])

    for plan in plans:
        await rig.fetching.fetch_use(plan, ttl_seconds=10.0)
    assert rig.queries() == 1


async def test_a_list_that_is_refused_is_asked_for_by_namespace(tmp_path: Path) -> None:
    """Where a few namespaces cannot be asked together, each has its answer from a query of its own."""
    rig = Rig(tmp_path)
    plans = await use_plans(rig, 3)
    fault = QueryRejected("vector cannot contain metrics with the same labelset", status=422, kind="execution")
    rig.prometheus.fails = lambda promql: fault if shared(promql) else None

    await rig.fetching.fetch_uses(plans, ttl_seconds=10.0)

    assert rig.queries() == 1
    for plan in plans:
        await rig.fetching.fetch_use(plan, ttl_seconds=10.0)
    assert rig.queries() == 3


async def test_much_that_is_new_is_asked_for_together_when_its_turn_comes(tmp_path: Path) -> None:
    """After a start thousands ask for the first time: some at once, the others together and not one after the other."""
    rig = Rig(tmp_path)
    rig.fill(300, 1)
    rig.prometheus.gate.clear()
    asking = [asyncio.create_task(rig.ask(f"ns{n}", "pod0")) for n in range(300)]
    await rig.prometheus.waits.wait()
    rig.prometheus.gate.set()

    assert await asyncio.gather(*asking) == [{"pod0": n * 100.0} for n in range(300)]
    assert rig.queries() == rig.fetching.queries_of_a_rule + 1


async def test_who_waits_for_a_turn_may_leave(tmp_path: Path) -> None:
    """Those who wait together are independent: one leaves, one is at fault, the others are answered."""
    rig = Rig(tmp_path)
    rig.fill(40, 1)
    fault = QueryRejected("vector cannot contain metrics with the same labelset", status=422, kind="execution")
    rig.prometheus.fails = lambda promql: fault if re.search(r"\bns39\b", promql) else None
    rig.prometheus.gate.clear()
    asking = [asyncio.create_task(rig.ask(f"ns{n}", "pod0")) for n in range(40)]
    await rig.prometheus.waits.wait()
    asking[20].cancel()
    rig.prometheus.gate.set()
    found = await asyncio.gather(*asking, return_exceptions=True)

    assert [n for n, one in enumerate(found) if isinstance(one, BaseException)] == [20, 39]
    assert found[39] is fault
    assert rig.queries() < 30


async def test_a_turn_that_does_not_come_is_an_error_for_all_who_wait(tmp_path: Path) -> None:
    """Who waits for a turn for as long as a query may take hears so, and nothing is left behind."""
    rig = Rig(tmp_path, timeout_seconds=0.05)
    rig.fill(20, 1)
    rig.prometheus.gate.clear()
    asking = [asyncio.create_task(rig.ask(f"ns{n}", "pod0")) for n in range(20)]
    late = asking[rig.fetching.queries_of_a_rule :]

    found = await asyncio.gather(*late, return_exceptions=True)

    assert {one.kind for one in found if isinstance(one, PrometheusUnavailable)} == {"overloaded"}
    assert len(found) == 10
    rig.prometheus.gate.set()
    await asyncio.gather(*asking, return_exceptions=True)
    assert await rig.ask("ns19", "pod0") == {"pod0": 1900.0}


async def test_answers_that_the_cache_has_no_room_for_cost_no_sweep_each(tmp_path: Path) -> None:
    """Where more is asked for than is kept, whoever misses soon after a sweep is asked for alone."""
    rig = Rig(tmp_path, cache_entries=10)
    rig.fill(50, 1)
    await rig.ask_all(50, "pod0")
    rig.queries()
    rig.clock.now += 15.0

    await rig.ask_all(50, "pod0")

    assert rig.queries() <= 51
    assert len(rig.reports.sweeps) == 1


async def test_newcomers_to_a_large_group_are_asked_for_together(tmp_path: Path) -> None:
    """After a start thousands come at once: one is asked for, and those who come within a moment wait for each other."""
    rig = Rig(tmp_path)
    rig.fill(400, 2)
    await rig.ask_all(200, "pod0")
    rig.queries()
    rig.slept.clear()
    rig.clock.now += 1.0
    found = await asyncio.gather(*(rig.ask(f"ns{n}", "pod1") for n in range(200, 300)))

    assert [list(one.values()) for one in found] == [[n * 100.0 + 1] for n in range(200, 300)]
    assert rig.slept == [pytest.approx(0.1)]
    assert rig.queries() <= 4  # one alone, and the names of the others in a few of the longest queries
    assert not any("pod0" in promql for promql in rig.prometheus.asked)


async def test_newcomers_name_what_they_want(tmp_path: Path) -> None:
    """Few newcomers of large namespaces bring nothing that nobody asked for, and the next sweep needs no names."""
    rig = Rig(tmp_path)
    rig.fill(210, 30)
    await rig.ask_all(200, "pod0")
    rig.clock.now += 1.0
    rig.prometheus.asked.clear()
    await asyncio.gather(*(rig.ask(f"ns{n}", "pod0") for n in range(200, 210)))
    assert all("pod0" in promql for promql in rig.prometheus.asked)

    rig.clock.now += 15.0
    rig.queries()
    await rig.ask("ns3", "pod0")
    assert "pod0" not in rig.prometheus.asked[0]
