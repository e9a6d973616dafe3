"""Does the bench's judge see each promise that is broken, and no other?"""

from __future__ import annotations

import pytest
from bench.faults_client import Turned
from bench.faults_judge import Rules, Span, judged

RULES = Rules(oldest=10, slowest=10.5, recovery=15)
BEGIN, END = 1000.0, 1020.0
MAY_FAIL = Span(name="hung", begin=BEGIN, end=END, may_fail=True)
MUST_NOT_FAIL = Span(name="slow", begin=BEGIN, end=END, may_fail=False)
EMPTY = Span(name="empty", begin=BEGIN, end=END, may_fail=True, absent=True)
SPARED = Span(name="names count on", begin=BEGIN, end=END, may_fail=True, spared=10)


def answered(begun: float, *, age: float = 3, missing: int = 0, wrong: str = "", seconds: float = 0.1) -> Turned:
    """Return a turn that got a list."""
    oldest = begun + seconds - age
    return Turned(hpa=1, begun=begun, seconds=seconds, status=200, oldest=oldest, missing=missing, wrong=wrong)


def failed(begun: float, status: int = 500, *, seconds: float = 0.1) -> Turned:
    """Return a turn that got an error."""
    return Turned(hpa=1, begun=begun, seconds=seconds, status=status, said="no")


TURNS = {
    "a right answer": (MAY_FAIL, answered(1001), False),
    "a wrong value": (MAY_FAIL, answered(1001, wrong="1 is not 2"), True),
    "an old value": (MAY_FAIL, answered(1001, age=13), True),
    "an old value of an answer that took long": (MAY_FAIL, answered(1001, age=13, seconds=4), False),
    "a value of the future": (MAY_FAIL, answered(1001, age=-2), True),
    "missing pods where a failure is": (MAY_FAIL, answered(1001, missing=1), True),
    "missing pods where series are missing": (EMPTY, answered(1001, missing=1), False),
    "missing pods long after": (EMPTY, answered(1036, missing=1), True),
    "an error meanwhile": (MAY_FAIL, failed(1001), False),
    "an error of a request that met the begin": (MAY_FAIL, failed(996, seconds=5), False),
    "an error before": (MAY_FAIL, failed(990), True),
    "an error while it recovers": (MAY_FAIL, failed(1034), False),
    "an error when it should have recovered": (MAY_FAIL, failed(1036), True),
    "an error where none may be": (MUST_NOT_FAIL, failed(1001), True),
    "an error while names still count": (SPARED, failed(1005), True),
    "an error when they no longer do": (SPARED, failed(1011), False),
    "an answer that takes long": (MAY_FAIL, failed(1001, seconds=11), True),
    "a metric that is not there": (MAY_FAIL, failed(1001, 404), True),
    "a metric that truly is not there": (EMPTY, failed(1001, 404), False),
    "a refusal": (MAY_FAIL, failed(1001, 429), True),
    "no answer at all": (MAY_FAIL, failed(1001, 0), True),
}


@pytest.mark.parametrize(("span", "turn", "is_wrong"), TURNS.values(), ids=TURNS)
def test_what_breaks_a_promise(span: Span, turn: Turned, *, is_wrong: bool) -> None:
    """Errors are excused by a fault that is there, or was a moment ago; wrong, old and missing values are not."""
    assert bool(judged(span, [turn], RULES).faults) is is_wrong


def test_recovery_is_counted_from_the_end_to_the_last_failure() -> None:
    """The figure is the time after the fault until the last answer that was no right one."""
    turns = [failed(1001), failed(1021, seconds=0.5), answered(1022), failed(1023, seconds=0.5), answered(1030)]

    row = judged(MAY_FAIL, turns, RULES).row

    assert (row["recovery, s"], row["after its end"], row["errors"]) == ([3.5], [2], [3])


@pytest.mark.parametrize(
    ("turn", "is_noticed"), [(answered(1001), False), (failed(1001), True), (answered(1001, missing=1), True)]
)
def test_a_fault_that_nobody_noticed_proves_nothing(turn: Turned, *, is_noticed: bool) -> None:
    """Where requests must have failed or lacked a pod, all of them right means that the bench did nothing."""
    span = Span(name="hung", begin=BEGIN, end=END, may_fail=True, must_fail=True, absent=True)

    assert judged(span, [turn], RULES).faults == ([] if is_noticed else ["hung: nobody noticed it"])
