"""A request for cpu and memory that comes again: what may be told again, and what has to be made anew."""

from __future__ import annotations

from pathlib import Path

import pytest
from resource_rig import RULES, pod, resource_rules_from
from test_resource_provider import Rig

from adapter.kube.resource_metrics import NodeUse, PodUse
from adapter.kube.selectors import EVERYTHING, parse_selector
from adapter.rules.trail import Trail

pytestmark = pytest.mark.anyio

PLENTY = 9.0  # seconds


async def pods(rig: Rig, selector: str = "") -> tuple[PodUse, ...]:
    """Return what the pods of one namespace use, itself."""
    return await rig.provider.pods("ns", parse_selector(selector), deadline_seconds=rig.clock.now + PLENTY)


async def nodes(rig: Rig) -> tuple[NodeUse, ...]:
    """Return what the nodes use, itself."""
    return await rig.provider.nodes(EVERYTHING, deadline_seconds=rig.clock.now + PLENTY)


async def test_the_same_request_within_the_ttl_gets_the_same_uses(tmp_path: Path) -> None:
    """What was made of both answers is not made twice, for pods and for nodes."""
    rig = Rig(tmp_path)
    rig.nodes_say('{node=~"n1|n2"}', "n1", "n2")

    assert [one is two for one, two in zip(await pods(rig), await pods(rig), strict=True)] == [True, True]
    assert [one is two for one, two in zip(await nodes(rig), await nodes(rig), strict=True)] == [True, True]
    assert len(rig.reports.ages) == 4


async def test_new_answers_are_told(tmp_path: Path) -> None:
    """After the TTL the uses are those of the next answers."""
    rig = Rig(tmp_path)
    await pods(rig)
    rig.clock.now += 61.0
    rig.says('{namespace="ns",pod=~"a|b"}', "pod=b")

    assert [one.name for one in await pods(rig)] == ["b"]


async def test_labels_and_pods_that_change_are_seen_at_once(tmp_path: Path) -> None:
    """Objects are looked up each time, since their labels are a part of what is told."""
    rig = Rig(tmp_path)
    before = [dict(one.labels) for one in await pods(rig)]
    rig.objects.pods = (pod("ns", "a", {"app": "other"}), pod("ns", "b", {"app": "api"}))
    relabelled = [dict(one.labels) for one in await pods(rig)]
    rig.objects.pods = (pod("ns", "b", {"app": "api"}),)
    fewer = [one.name for one in await pods(rig)]

    assert before == [{"app": "web"}, {"app": "api"}]
    assert relabelled == [{"app": "other"}, {"app": "api"}]
    assert fewer == ["b"]


async def test_rules_that_change_are_followed_at_once(tmp_path: Path) -> None:
    """Rules that are read again make new plans, and the window that they name is told."""
    rig = Rig(tmp_path)
    windows = [one.window_seconds for one in await pods(rig)]
    rig.rules = resource_rules_from(RULES.replace("window: 3m", "window: 5m"), tmp_path)

    assert windows == [180.0, 180.0]
    assert [one.window_seconds for one in await pods(rig)] == [300.0, 300.0]


async def test_policies_are_counted_each_time(tmp_path: Path) -> None:
    """What was decided about samples counts for each request that is told it."""
    rig = Rig(tmp_path)
    rig.says('{namespace="ns",pod=~"a|b"}', "pod=a", "pod=b", "pod=b")
    for _ in range(3):
        await pods(rig)

    assert [what for _, what in rig.reports.policies] == ["duplicates", "duplicates"] * 3


async def test_who_wants_a_trail_walks_the_whole_way(tmp_path: Path) -> None:
    """`explain` says for how many objects there were samples, also of answers that are told again."""
    rig = Rig(tmp_path)
    await pods(rig)
    trail = Trail()
    await rig.provider.pods("ns", EVERYTHING, deadline_seconds=rig.clock.now + PLENTY, trail=trail)

    assert [step.text for step in trail.steps if step.text.startswith("samples")] == ["samples for 2 of 2"] * 2
