"""What a backend was seen to take is kept for a while, and then tried to be more."""

from __future__ import annotations

import pytest
from relist_rig import HandClock

from adapter.promql.limits import Limit
from adapter.rules.fusion import Shape
from adapter.runtime.limits import FIRST_SECONDS, LONGEST_SECONDS, MANY_OBJECTS, Limits

SHAPE = Shape(rule="load", pieces=("sum(load{", "})"), namespace_label="namespace", label="pod", keeps_namespace=False)
OTHER = Shape(rule="idle", pieces=("sum(idle{", "})"), namespace_label="namespace", label="pod", keeps_namespace=False)


class Rig:
    """Limits, and what they report."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.changes: list[tuple[str, str, int]] = []
        self.limits = Limits(backend="b", clock=lambda: self.clock.now, observer=self, max_bytes=16_000)

    def limit_changed(self, *, backend: str, kind: str, change: str, limits: int) -> None:
        self.changes.append((kind, change, limits))

    def bytes_after(self, seconds: float) -> int:
        """Return the longest query some time later."""
        self.clock.now += seconds
        return self.limits.max_bytes()

    def objects_after(self, seconds: float) -> int:
        """Return the most objects some time later."""
        self.clock.now += seconds
        return self.limits.max_objects(SHAPE)


def test_a_length_is_of_all_queries_and_data_of_one_shape() -> None:
    """A URL that is too long is so for every rule; what a query reads depends on its series."""
    rig = Rig()
    rig.limits.learn(Limit.LENGTH, SHAPE, most=4000, why="414")
    rig.limits.learn(Limit.DATA, SHAPE, most=60, why="too many samples")

    assert rig.limits.max_bytes() == 4000
    assert (rig.limits.max_objects(SHAPE), rig.limits.max_objects(OTHER)) == (60, MANY_OBJECTS)
    assert rig.changes == [("length", "lowered", 1), ("data", "lowered", 1)]
    assert len(list(rig.limits.told(SHAPE))) == 2
    assert len(list(rig.limits.told(OTHER))) == 1


def test_a_limit_is_raised_step_by_step_until_it_is_none() -> None:
    """After some minutes twice as much is tried, and so on; what is as much as ever wanted is forgotten."""
    rig = Rig()
    rig.limits.learn(Limit.LENGTH, SHAPE, most=3000, why="414")

    found = [rig.bytes_after(FIRST_SECONDS - 1), *(rig.bytes_after(FIRST_SECONDS) for _ in range(4))]

    assert found == [3000, 6000, 12_000, 16_000, 16_000]
    assert [change for _, change, _ in rig.changes] == ["lowered", "raised", "raised", "lifted"]
    assert rig.changes[-1] == ("length", "lifted", 0)


def test_a_try_that_fails_is_not_repeated_soon() -> None:
    """Each time that more fails again, it is tried after twice as long, up to an hour."""
    rig = Rig()
    rig.limits.learn(Limit.DATA, SHAPE, most=60, why="too many samples")
    waits = []
    for _ in range(6):
        waited = 0.0
        while rig.objects_after(0.0) == 60:
            rig.clock.now += 50.0
            waited += 50.0
        waits.append(waited)
        rig.limits.learn(Limit.DATA, SHAPE, most=60, why="too many samples")

    assert waits == [300.0, 600.0, 1200.0, 2400.0, 3600.0, LONGEST_SECONDS]


@pytest.mark.parametrize("most", [0, -5])
def test_one_object_may_always_be_asked_for(most: int) -> None:
    """No refusal leads to queries that ask for nothing."""
    rig = Rig()
    rig.limits.learn(Limit.DATA, SHAPE, most=most, why="too many samples")

    assert rig.limits.max_objects(SHAPE) == 1
