"""`--evaluation-grid`: replicas that ask for the same at about the same time send identical queries."""

from __future__ import annotations

from pathlib import Path

import pytest
from relist_rig import HandClock
from sweep_rig import Rig

from adapter.runtime.moments import Moments

pytestmark = pytest.mark.anyio


async def test_replicas_send_identical_queries(tmp_path: Path) -> None:
    """Two adapters whose callers ask at different moments ask for the same time, in sweeps and one by one."""
    asked: list[tuple[str, tuple[str, ...], tuple[float, ...]]] = []
    for more in ("", "  fuse: never"):
        for late in (0.0, 1.7, 4.9):
            folder = tmp_path / f"{len(asked)}"
            folder.mkdir()
            rig = Rig(folder, more, grid_seconds=5.0)
            rig.fill(3, 1)
            await rig.ask_all(3, "pod0")
            rig.queries()
            rig.clock.now = 1020.0 + late
            await rig.ask_all(3, "pod0")
            asked.append((more, tuple(rig.prometheus.asked), tuple(rig.times())))

    assert len(set(asked)) == 2
    assert [times for _, _, times in asked] == [(1020.0,)] * 3 + [(1020.0,) * 3] * 3


async def test_what_is_new_is_asked_for_at_now(tmp_path: Path) -> None:
    """Objects that nobody asked for before the grid's last point may be younger; their values are those of now."""
    rig = Rig(tmp_path, grid_seconds=5.0)
    rig.fill(2, 2)
    rig.clock.now = 1003.0
    await rig.ask("ns0", "pod0")
    rig.clock.now = 1014.0
    await rig.ask("ns0", "pod0")
    await rig.ask("ns0", "pod0", "pod1")  # a new pod is a new list

    assert rig.times() == [1003.0, 1010.0, 1014.0]


async def test_the_ttl_counts_from_the_evaluation(tmp_path: Path) -> None:
    """An answer evaluated four seconds before it was asked for lives four seconds less, and says its true time."""
    rig = Rig(tmp_path, grid_seconds=5.0)
    rig.fill(1, 1)
    await rig.ask("ns0", "pod0")
    rig.clock.now = 1024.0
    cached = await rig.cached("ns0", "pod0")
    rig.queries()

    assert cached.answer.evaluated_at_seconds == 1_700_000_000.0 + 1020.0
    rig.clock.now = 1029.9
    await rig.ask("ns0", "pod0")
    assert rig.queries() == 0
    rig.clock.now = 1030.1
    await rig.ask("ns0", "pod0")
    assert rig.times() == [1030.0]


async def test_questions_of_age_are_asked_for_the_same_time(tmp_path: Path) -> None:
    """With maxSampleAge both queries are evaluated at the same point of the grid."""
    rig = Rig(tmp_path, "  maxSampleAge: 2m", grid_seconds=5.0)
    rig.fill(2, 1)
    await rig.ask_all(2, "pod0")
    rig.queries()
    rig.clock.now = 1023.0
    await rig.ask_all(2, "pod0")

    assert rig.times() == [1020.0, 1020.0]


@pytest.mark.parametrize("more", ["  cacheTTL: 5s", "  cacheTTL: 0"])
async def test_a_ttl_within_the_grid_is_asked_at_now(more: str, tmp_path: Path) -> None:
    """An answer that is too old as soon as it comes would be asked for again and again."""
    rig = Rig(tmp_path, more, grid_seconds=5.0)
    rig.fill(1, 1)
    await rig.ask("ns0", "pod0")
    rig.clock.now = 1024.0
    await rig.ask("ns0", "pod0")

    assert rig.times() == [1000.0, 1024.0]


def test_a_failed_first_question_is_not_old_enough() -> None:
    """What was asked for the first time after the point is asked at now again, though it had no answer."""
    clock = HandClock()
    moments = Moments(clocks=clock.clocks(), grid_seconds=5.0)
    found = []
    for now in (1011.0, 1012.0, 1014.5, 1015.0, 1016.0):
        clock.now = now
        found.append(moments.of(("up", None, 10.0, 0.0)).at_seconds - 1_700_000_000.0)

    assert found == [1011.0, 1012.0, 1014.5, 1015.0, 1015.0]


def test_without_a_grid_everything_is_asked_at_now() -> None:
    """By default nothing is aligned, and nothing is remembered."""
    clock = HandClock(now=1003.0)
    moments = Moments(clocks=clock.clocks())

    moment = moments.of(("up", None, 10.0, 0.0))

    assert (moment.at_seconds, moment.lag_seconds) == (1_700_001_003.0, 0.0)
