"""A request that comes again: what may be told again, and what has to be decided anew."""

from __future__ import annotations

from pathlib import Path

import pytest
from rules_rig import rulebook_from
from test_provider import LOAD, RULES, Rig, started

from adapter.kube.resources import GroupResource
from adapter.kube.selectors import EVERYTHING, parse_selector
from adapter.rules.answers import CustomAnswer, ExternalAnswer
from adapter.rules.requests import BySelector, CustomMetricRequest, ExternalMetricRequest
from adapter.rules.trail import Trail

pytestmark = pytest.mark.anyio


async def answer(rig: Rig, selector: str = "") -> CustomAnswer:
    """Return the answer to a list of pods itself."""
    asked = CustomMetricRequest(
        namespace="ns",
        resource=GroupResource("pods"),
        target=BySelector(selector=parse_selector(selector)),
        metric="load",
        metric_selector=EVERYTHING,
    )
    return await rig.provider.custom_metric(asked, deadline_seconds=rig.clock.now + 9.0)


async def depth(rig: Rig) -> ExternalAnswer:
    """Return the answer about an external metric itself."""
    asked = ExternalMetricRequest(namespace="ns", metric="depth")
    return await rig.provider.external_metric(asked, deadline_seconds=rig.clock.now + 9.0)


async def test_the_same_request_within_the_ttl_gets_the_same_answer(tmp_path: Path) -> None:
    """What was made of one answer of Prometheus is not made twice, for lists and for external metrics."""
    rig = await started(tmp_path)
    rig.says(LOAD, a=1.5)

    assert await answer(rig) is await answer(rig)
    assert await depth(rig) is await depth(rig)


async def test_a_new_answer_of_prometheus_is_decided_anew(tmp_path: Path) -> None:
    """After the TTL the values are those of the next query."""
    rig = await started(tmp_path)
    rig.says(LOAD, a=1.5)
    await rig.custom("ns pods * load")
    rig.says(LOAD, a=2.5)
    rig.clock.now += 11.0

    assert await rig.custom("ns pods * load") == {"a": 2500}


async def test_pods_that_come_and_go_are_seen_at_once(tmp_path: Path) -> None:
    """Which objects are asked about is looked up each time, whatever is still kept of Prometheus' answers."""
    rig = await started(tmp_path)
    rig.says(LOAD, a=1.0, b=2.0)
    rig.says('load{namespace="ns",pod="a"}[5m]', a=1.0)
    before = await rig.custom("ns pods * load")
    b = rig.objects.pods.pop("b")
    without = await rig.custom("ns pods * load")
    rig.objects.pods["b"] = b
    after = await rig.custom("ns pods * load")

    assert (before, without, after) == ({"a": 1000, "b": 2000}, {"a": 1000}, {"a": 1000, "b": 2000})


async def test_selectors_that_pick_the_same_pods_keep_their_own_answers(tmp_path: Path) -> None:
    """However many requests come to one query, few answers are kept of it, and each is right."""
    rig = await started(tmp_path)
    rig.says(LOAD, a=1.0, b=2.0)
    answers = [await answer(rig, f"app!=x{number}") for number in range(20)]

    assert rig.backend.queries() == [LOAD]
    assert all([(item.name, item.milli) for item in one.items] == [("a", 1000), ("b", 2000)] for one in answers)
    assert await answer(rig, "app!=x19") is answers[19]
    assert await answer(rig, "app!=x0") is not answers[0]


async def test_policies_are_counted_each_time(tmp_path: Path) -> None:
    """What a policy decided about an answer counts for each request that is told it, and so does its age."""
    rig = await started(tmp_path, "onEmpty: zero", "onEmpty: omit")
    rig.says(LOAD, a=1.0)
    for _ in range(3):
        await rig.custom("ns pods * load")
        await rig.external("ns depth")

    assert rig.reports.policies == [("load", "filled"), ("depth", "empty")] * 3
    assert len(rig.reports.ages) == 3


async def test_a_held_value_ends_in_time(tmp_path: Path) -> None:
    """A rule that holds values is decided anew each time, since what is held ends while an answer is kept."""
    rig = await started(tmp_path, "onEmpty: hold\n  holdFor: 20s\n  cacheTTL: 1m")
    rig.says(LOAD, a=1.0, b=2.0)
    await rig.custom("ns pods * load")
    rig.says('load{namespace="ns",pod="a"}[5m]')
    b = rig.objects.pods.pop("b")
    held = await rig.custom("ns pods * load")
    rig.clock.now += 21.0
    later = await rig.custom("ns pods * load")
    rig.objects.pods["b"] = b

    assert (held, later) == ({"a": 1000}, {})


async def test_who_wants_a_trail_walks_the_whole_way(tmp_path: Path) -> None:
    """`explain` shows each step of an answer that is told again."""
    rig = await started(tmp_path, "onEmpty: zero")
    rig.says(LOAD, a=1.0)
    await rig.custom("ns pods * load")
    trail = Trail()
    await rig.custom("ns pods * load", trail)

    assert [step.text for step in trail.steps if step.name == "value"] == ["b: no usable sample (filled)"]


async def test_a_changed_rule_makes_a_new_plan(tmp_path: Path) -> None:
    """Rules that are read again, and say something else, are asked at once."""
    rig = await started(tmp_path)
    rig.says(LOAD, a=1.0)
    await rig.custom("ns pods * load")
    other = LOAD.replace("5m", "7m")
    rig.says(other, a=3.0)
    rulebook = rulebook_from((RULES % ("", "")).replace("5m", "7m"), tmp_path)
    await rig.provider.relist.adopt(await rig.provider.relist.prepare(rulebook, limit_seconds=9.0))

    assert await rig.custom("ns pods * load") == {"a": 3000}
