"""`staleIfError` beside the other policies, for each API: absence is not failure, and neither lasts longer for the other."""

from __future__ import annotations

from pathlib import Path

import pytest
from resource_rig import RULES
from test_provider import DEPTH, LOAD, started
from test_resource_provider import TIME
from test_resource_provider import Rig as ResourceRig

from adapter.errors import PrometheusUnavailable, UseUnknown

pytestmark = pytest.mark.anyio

DOWN = PrometheusUnavailable("connection refused", kind="connection")


async def test_to_hold_is_not_to_outlive_a_failure(tmp_path: Path) -> None:
    """`onEmpty: hold` fills what an answer lacks; where there is no answer at all it gives nothing."""
    rig = await started(tmp_path, "onEmpty: hold")
    rig.says(LOAD, a=1.0, b=2.0)
    await rig.custom("ns pods * load")
    rig.clock.now += 11.0
    rig.backend.answers[LOAD] = DOWN

    with pytest.raises(PrometheusUnavailable):
        await rig.custom("ns pods * load")


async def test_a_held_value_ends_by_its_own_time(tmp_path: Path) -> None:
    """What was held in the last answer is held until holdFor after it was seen, also while that answer is told."""
    rig = await started(tmp_path, "onEmpty: hold\n  holdFor: 30s\n  staleIfError: 1m")
    rig.says(LOAD, a=1.0, b=2.0)
    await rig.custom("ns pods * load")
    rig.clock.now += 11.0
    rig.says(LOAD, a=3.0)
    assert await rig.custom("ns pods * load") == {"a": 3000, "b": 2000}
    rig.backend.answers[LOAD] = DOWN

    rig.clock.now += 18.0
    assert await rig.custom("ns pods * load") == {"a": 3000, "b": 2000}
    rig.clock.now += 2.0
    assert await rig.custom("ns pods * load") == {"a": 3000}
    assert rig.items[0].timestamp_seconds == 5.0


async def test_external_metrics_keep_their_last_items(tmp_path: Path) -> None:
    """An external metric is told again, with its time, and then fails."""
    rig = await started(tmp_path, "", "staleIfError: 15s")
    rig.says(DEPTH, q=7.0)
    assert await rig.external("ns depth") == [7000]
    rig.backend.answers[DEPTH] = DOWN

    rig.clock.now += 24.0
    assert await rig.external("ns depth") == [7000]
    rig.clock.now += 2.0
    with pytest.raises(PrometheusUnavailable):
        await rig.external("ns depth")


async def test_cpu_and_memory_keep_their_last_answers(tmp_path: Path) -> None:
    """The file's defaults hold for resource rules: pods and nodes are told again, with their times."""
    rig = ResourceRig(tmp_path, "defaults: {staleIfError: 15s}\n" + RULES)
    rig.nodes_say('{node=~"n1|n2"}', "n1", "n2")
    assert (await rig.pods("ns"), await rig.nodes()) == (["ns/a", "ns/b"], ["n1", "n2"])
    for promql in rig.backend.answers:
        rig.backend.answers[promql] = DOWN

    rig.clock.now += 24.0
    assert (await rig.pods("ns"), await rig.nodes()) == (["ns/a", "ns/b"], ["n1", "n2"])
    assert rig.reports.ages[-1] == rig.clock.clocks().wall() - TIME
    rig.clock.now += 2.0
    with pytest.raises(UseUnknown):
        await rig.pods("ns")
