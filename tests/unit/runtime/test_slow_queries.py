"""Which queries are asked seldom, and for how long."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from adapter.errors import PrometheusUnavailable, QueryRejected
from adapter.runtime.slow_queries import PAUSE_SECONDS, TIMEOUTS, SlowQueries


@dataclass(slots=True)
class Bench:
    """The memory of slow queries, with a clock in our hands."""

    now: float = 100.0
    timeout_seconds: float = 5.0
    slow: SlowQueries = field(init=False)

    def __post_init__(self) -> None:
        self.slow = SlowQueries(clock=lambda: self.now, timeout_seconds=self.timeout_seconds)

    def ask(self, promql: str = "slow", ending: Exception | None = None, *, seconds: float = 5.0) -> str:
        """Ask a query that ends so, and return what became of it."""
        try:
            self.slow.admit(promql)
            with self.slow.watch(promql, seconds=seconds):
                if ending is not None:
                    raise ending
        except PrometheusUnavailable as error:
            return error.kind
        except QueryRejected:
            return "rejected"
        return "ok"


def late(kind: str = "timeout") -> PrometheusUnavailable:
    """Return the error of a query without an answer."""
    return PrometheusUnavailable("no answer in time", kind=kind)


def slowed() -> Bench:
    """Return a memory that knows one slow query."""
    bench = Bench()
    for _ in range(TIMEOUTS):
        bench.ask(ending=late())
    return bench


@pytest.mark.parametrize("kind", ["timeout", "query_timeout"])
def test_a_query_that_times_out_again_and_again_is_asked_seldom(kind: str) -> None:
    """After some time-outs in a row one caller in each pause waits for it, the others fail; other queries go on."""
    bench = Bench()

    begun = [bench.ask(ending=late(kind)) for _ in range(TIMEOUTS + 1)]
    other = bench.ask("fast")
    bench.now += PAUSE_SECONDS
    later = [bench.ask(ending=late(kind)) for _ in range(2)]

    assert (begun, other, later) == ([kind] * TIMEOUTS + ["breaker"], "ok", [kind, "breaker"])


def test_one_caller_at_a_time_tries_it() -> None:
    """While one caller waits for a slow query, the others do not."""
    bench = slowed()
    bench.now += PAUSE_SECONDS

    bench.slow.admit("slow")

    assert bench.ask() == "breaker"


def test_the_error_says_why() -> None:
    """The text tells what was not asked, and why."""
    with pytest.raises(PrometheusUnavailable, match=r"the query was not asked, .* not finished it in time 3 times"):
        slowed().slow.admit("slow")


@pytest.mark.parametrize(
    "ending", [None, QueryRejected("no", status=422, kind="execution"), late("bad_answer"), late("too_large")]
)
def test_an_answer_in_time_ends_it(ending: Exception | None) -> None:
    """A query that is answered, with whatever, is slow no more."""
    bench = slowed()
    bench.now += PAUSE_SECONDS

    bench.ask(ending=ending)

    assert [bench.ask(), bench.ask(ending=late()), bench.ask()] == ["ok", "timeout", "ok"]


@pytest.mark.parametrize(("ending", "seconds"), [(late("connection"), 5.0), (late(), 0.5)])
def test_what_says_nothing_about_a_query_changes_nothing(ending: Exception, seconds: float) -> None:
    """A failed connection, or a time-out of a query that had hardly any time, is not the query's."""
    bench = Bench()

    for _ in range(9):
        bench.ask(ending=ending, seconds=seconds)

    assert bench.ask() == "ok"


def test_a_short_time_limit_is_fair_too() -> None:
    """Where queries have half a second, one that had most of it is slow, and one that had a tenth of it is not."""
    bench = Bench(timeout_seconds=0.5)

    for _ in range(9):
        bench.ask("hardly any time", late(), seconds=0.05)
    for _ in range(TIMEOUTS):
        bench.ask("slow", late(), seconds=0.4)

    assert (bench.ask("hardly any time", seconds=0.5), bench.ask("slow", seconds=0.5)) == ("ok", "breaker")


def test_all_is_forgotten_when_it_was_the_server() -> None:
    """A server that was slow as a whole and is back finds every query admitted."""
    bench = slowed()

    bench.slow.forget()

    assert bench.ask() == "ok"


def test_the_memory_is_bounded() -> None:
    """Of ever new slow queries the oldest are forgotten."""
    bench = slowed()

    for number in range(2000):
        bench.ask(f"slow {number}", late())

    assert bench.ask() == "ok"
