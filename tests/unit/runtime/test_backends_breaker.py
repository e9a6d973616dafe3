"""When calls to a backend stop, and how they begin again."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

import pytest

from adapter.errors import PrometheusUnavailable, QueryRejected
from adapter.runtime.breaker import Breaker, BreakerSettings

SETTINGS = BreakerSettings(failures=3, first_pause_seconds=1.0, longest_pause_seconds=4.0, jitter=0.5, fair_seconds=1.0)


def end(error: BaseException | None) -> None:
    """End a call."""
    if error is not None:
        raise error


@dataclass(slots=True)
class Bench:
    """A breaker with a clock and a die in our hands."""

    now: float = 0.0
    chance: float = 0.5
    states: list[str] = field(default_factory=list)
    breaker: Breaker = field(init=False)

    def __post_init__(self) -> None:
        self.breaker = Breaker(
            clock=lambda: self.now, on_change=self.states.append, settings=SETTINGS, chance=lambda: self.chance
        )

    def call(self, error: BaseException | None = None, *, seconds: float = 5.0) -> str:
        """Make a call that ends so, and return what became of it."""
        try:
            with self.breaker.watch(seconds=seconds):
                end(error)
        except PrometheusUnavailable as ours:
            return ours.kind
        except BaseException as other:  # noqa: BLE001 - a test says how a call ends
            return type(other).__name__
        return "ok"


def failure(kind: str) -> PrometheusUnavailable:
    """Return an error of a kind."""
    return PrometheusUnavailable(f"it was {kind}", kind=kind)


def opened() -> Bench:
    """Return a bench whose breaker has just opened."""
    bench = Bench()
    for _ in range(3):
        bench.call(failure("timeout"))
    return bench


@pytest.mark.parametrize("kind", ["timeout", "connection"])
def test_it_opens_after_failures_in_a_row(kind: str) -> None:
    """What holds callers up, some times in a row, ends in calls that fail at once and say why."""
    bench = Bench()

    made = [bench.call(failure(kind)) for _ in range(4)]

    assert (made, bench.states) == ([kind, kind, kind, "breaker"], ["open"])
    with pytest.raises(PrometheusUnavailable, match=f"not asked, it has failed 3 times in a row: it was {kind}"):
        bench.breaker.check()


ANSWERS = [
    QueryRejected("parse error", status=400, kind="bad_data"),
    *(failure(kind) for kind in ("status", "bad_answer", "unauthorized", "redirect", "too_large", "unavailable")),
    None,
]


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_of_any_kind_ends_the_row(answer: Exception | None) -> None:
    """A server that answers does not hold anybody up, whatever it says."""
    bench = Bench()

    for error in (failure("timeout"), failure("timeout"), answer, failure("timeout"), failure("timeout")):
        bench.call(error)

    assert (bench.breaker.state, bench.breaker.consecutive_failures) == ("closed", 2)


def test_a_probe_that_succeeds_closes_it() -> None:
    """After the pause one call passes, and its success lets all others pass."""
    bench = opened()

    bench.now = 0.99
    early = bench.call()
    bench.now = 1.0

    assert (early, bench.call(), bench.call()) == ("breaker", "ok", "ok")
    assert bench.states == ["open", "half-open", "closed"]


def test_one_probe_at_a_time() -> None:
    """While the probe is under way all other calls fail at once."""
    bench = opened()
    bench.now = 1.0

    with bench.breaker.watch(seconds=5.0):
        meanwhile = bench.call()

    assert (meanwhile, bench.call()) == ("breaker", "ok")


def test_pauses_grow_to_a_limit() -> None:
    """Each failed probe doubles the pause, up to the longest; a success starts over."""
    bench = opened()
    pauses = []
    for _ in range(4):
        begin = bench.now
        while bench.call(failure("connection")) == "breaker":
            bench.now += 0.25
        pauses.append(bench.now - begin)
    while bench.call() == "breaker":
        bench.now += 0.25

    assert pauses == [1.0, 2.0, 4.0, 4.0]
    for _ in range(3):
        bench.call(failure("timeout"))
    bench.now += 1.0
    assert bench.call() == "ok"


@pytest.mark.parametrize(("chance", "pause"), [(0.0, 0.5), (0.5, 1.0), (1.0, 1.5)])
def test_pauses_differ_between_replicas(chance: float, pause: float) -> None:
    """A pause is up to the jitter shorter or longer."""
    bench = Bench(chance=chance)
    for _ in range(3):
        bench.call(failure("timeout"))

    bench.now = pause - 0.01
    early = bench.call()
    bench.now = pause

    assert (early, bench.call()) == ("breaker", "ok")


UNDECIDED = [(asyncio.CancelledError(), 5.0), (failure("timeout"), 0.5)]


@pytest.mark.parametrize(("error", "seconds"), UNDECIDED)
def test_a_probe_without_a_verdict_leaves_its_place(error: BaseException, seconds: float) -> None:
    """A probe that was cancelled, or had too little time to tell, lets the next call be the probe."""
    bench = opened()
    bench.now = 1.0

    bench.call(error, seconds=seconds)

    assert (bench.breaker.state, bench.call()) == ("open", "ok")


@pytest.mark.parametrize(("error", "seconds"), UNDECIDED)
def test_a_call_without_a_verdict_counts_for_nothing(error: BaseException, seconds: float) -> None:
    """Callers that leave, or come too late, do not open it."""
    bench = Bench()

    for _ in range(9):
        bench.call(error, seconds=seconds)

    assert (bench.breaker.state, bench.breaker.consecutive_failures) == ("closed", 0)


def test_a_late_failure_changes_nothing() -> None:
    """A call that began before it opened, and fails after, makes no pause longer."""
    bench = Bench()

    with contextlib.suppress(PrometheusUnavailable), bench.breaker.watch(seconds=5.0):
        for _ in range(3):
            bench.call(failure("timeout"))
        raise failure("timeout")
    bench.now = 1.0

    assert (bench.breaker.state, bench.breaker.consecutive_failures, bench.call()) == ("open", 3, "ok")


def test_a_late_success_closes_it() -> None:
    """A call that began before it opened, and succeeds after, shows that the server is back."""
    bench = Bench()

    with bench.breaker.watch(seconds=5.0):
        for _ in range(3):
            bench.call(failure("timeout"))

    assert bench.states == ["open", "closed"]
