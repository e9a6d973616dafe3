"""A large group is asked for again a little before its answers end, so that nobody waits for it."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from sweep_rig import Rig, plan_of

from adapter.errors import PrometheusUnavailable, QueryRejected
from adapter.rules.trail import NO_TRAIL

pytestmark = pytest.mark.anyio


async def _large(folder: Path, namespaces: int = 160, *, spread: float = 0.5) -> Rig:
    """Return a group of so many that has been asked for together 11 s after its first answers."""
    rig = Rig(folder, spread=lambda: spread)
    rig.fill(namespaces, 1)
    await rig.ask_all(namespaces, "pod0")
    rig.clock.now += 11.0
    await rig.ask_all(namespaces, "pod0")
    rig.queries()
    return rig


async def test_nobody_waits_for_the_next_sweep(tmp_path: Path) -> None:
    """What is told within the TTL begins the sweep, and all that comes past the TTL finds answers."""
    rig = await _large(tmp_path)
    rig.clock.now += 8.9
    await rig.ask_all(160, "pod0")
    assert rig.queries() == 0
    rig.clock.now += 0.2  # a spread of 0.5 is a tenth of the TTL of 10 s

    await rig.ask("ns7", "pod0")
    await rig.settled()
    assert rig.queries() == 1

    rig.clock.now += 8.0
    rig.prometheus.gate.clear()  # whoever asked now would wait for ever
    await rig.ask_all(160, "pod0")


async def test_a_small_group_is_not_asked_for_earlier(tmp_path: Path) -> None:
    """Its sweep takes some hundredths of a second, and each of its queries counts."""
    rig = await _large(tmp_path, 20)
    rig.clock.now += 9.9
    await rig.ask_all(20, "pod0")
    await rig.settled()
    assert rig.queries() == 0


async def test_a_sweep_ahead_that_fails_changes_nothing(tmp_path: Path) -> None:
    """Answers within their TTL are told on, and past it the next request asks."""
    rig = await _large(tmp_path)
    rig.prometheus.fails = lambda _promql: PrometheusUnavailable("down", kind="connection")
    rig.clock.now += 9.5
    await rig.ask_all(160, "pod0")
    await rig.settled()
    assert rig.queries() == 1

    rig.prometheus.fails = lambda _promql: None
    rig.clock.now += 1.0
    await rig.ask_all(160, "pod0")
    assert rig.queries() == 1


async def test_a_slow_server_is_asked_sooner_and_a_very_slow_one_not_ahead(tmp_path: Path) -> None:
    """The next sweep begins twice the time before that the last one took; if that is half the TTL, past the TTL."""
    for took, waits, queries in ((1.0, 7.9, 0), (1.0, 8.1, 1), (3.0, 9.9, 0)):
        rig = await _large(tmp_path, spread=0.0)
        rig.clock.now += 10.5
        rig.prometheus.gate.clear()
        asked = asyncio.create_task(rig.ask("ns0", "pod0"))
        await rig.prometheus.waits.wait()
        rig.clock.now += took
        rig.prometheus.gate.set()
        await asked
        rig.queries()

        rig.clock.now += waits - took
        await rig.ask("ns0", "pod0")
        await rig.settled()
        assert rig.queries() == queries, (took, waits)


async def test_groups_take_turns(tmp_path: Path) -> None:
    """While one is asked for ahead another waits for that, until its own answers are about to end."""
    rig = Rig(tmp_path, spread=lambda: 0.5)
    rig.fill(160, 1)

    async def ask(selector: str, namespaces: int = 160) -> None:
        for n in range(namespaces):
            await rig.fetching.fetch(plan_of(rig.rule, f"ns{n}", ("pod0",), selector), NO_TRAIL)

    await ask("")
    await ask("tier!=a")
    rig.clock.now += 11.0
    await ask("")
    rig.prometheus.gate.clear()
    slow = asyncio.create_task(ask("tier!=a", 1))
    await rig.prometheus.waits.wait()
    rig.clock.now += 0.3
    rig.prometheus.gate.set()
    await slow
    rig.queries()

    rig.clock.now += 8.9  # 9.2 s after both began: one was due ahead at 9.0, the other at 8.4 or, at the latest, at 9.4
    rig.prometheus.gate.clear()
    rig.prometheus.waits.clear()
    await ask("", 1)
    await rig.prometheus.waits.wait()
    await ask("tier!=a")
    await rig.settled()
    assert rig.queries() == 1

    rig.clock.now += 0.3
    await ask("tier!=a")
    await rig.settled()
    assert rig.queries() == 1
    rig.prometheus.gate.set()
    await rig.settled()

    rig.clock.now += 9.3
    await ask("", 1)
    await rig.settled()
    await ask("tier!=a", 1)
    await rig.settled()
    assert rig.queries() == 2


async def test_long_lived_answers_are_not_asked_for_minutes_earlier(tmp_path: Path) -> None:
    """Some seconds are enough for groups to come apart."""
    rig = Rig(tmp_path, "  cacheTTL: 10m", spread=lambda: 1.0)
    rig.fill(160, 1)
    await rig.ask_all(160, "pod0")
    rig.clock.now += 601.0
    await rig.ask_all(160, "pod0")
    rig.queries()

    rig.clock.now += 594.0
    await rig.ask("ns0", "pod0")
    await rig.settled()
    assert rig.queries() == 0

    rig.clock.now += 2.0
    await rig.ask("ns0", "pod0")
    await rig.settled()
    assert rig.queries() == 1


async def test_who_is_asked_for_alone_does_not_end_it_for_the_others(tmp_path: Path) -> None:
    """One whose query is refused does not share for a while; told a kept answer, it leaves the sweep to the next."""
    rig = await _large(tmp_path)
    refused = QueryRejected("many-to-many matching not allowed", status=422, kind="execution")
    rig.prometheus.fails = lambda promql: refused if re.search(r"\bns7\b", promql) else None
    rig.clock.now += 10.5
    await rig.ask("ns0", "pod0")
    rig.prometheus.fails = lambda _promql: None
    await rig.ask_all(160, "pod0")  # it is asked for by itself now, and answered
    rig.queries()

    rig.clock.now += 9.5
    await rig.ask("ns7", "pod0")
    await rig.settled()
    assert rig.queries() == 0

    await rig.ask("ns8", "pod0")
    await rig.settled()
    assert rig.queries() == 1
