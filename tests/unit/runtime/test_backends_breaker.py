"""When calls to a backend stop, and how they begin again."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from adapter.errors import PrometheusUnavailable, QueryRejected
from adapter.runtime.breaker import Breaker, BreakerSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

SETTINGS = BreakerSettings(failures=3, first_pause_seconds=1.0, longest_pause_seconds=4.0, jitter=0.5, fair_seconds=1.0)


def end(error: BaseException | None) -> None:
    """End a call."""
    if error is not None:
        raise error


@dataclass(slots=True)
class Bench:
    """A breaker whose probes and pauses end when a test says so."""

    chance: float = 0.5
    states: list[str] = field(default_factory=list)
    probes: asyncio.Queue[asyncio.Future[None]] = field(default_factory=asyncio.Queue)
    pauses: asyncio.Queue[tuple[float, asyncio.Future[None]]] = field(default_factory=asyncio.Queue)
    breaker: Breaker = field(init=False)

    def __post_init__(self) -> None:
        self.breaker = Breaker(
            probe=self._probe,
            on_change=self.states.append,
            settings=SETTINGS,
            chance=lambda: self.chance,
            sleep=self._sleep,
        )

    async def _probe(self, seconds: float) -> None:
        assert seconds == SETTINGS.probe_seconds
        verdict: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.probes.put_nowait(verdict)
        await verdict

    async def _sleep(self, seconds: float) -> None:
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.pauses.put_nowait((seconds, over))
        await over

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

    async def probe(self, error: Exception | None = None) -> None:
        """Let the probe that is under way, or about to be, end so."""
        verdict = await self.probes.get()
        if error is None:
            verdict.set_result(None)
        else:
            verdict.set_exception(error)
        await settle()

    async def pause(self) -> float:
        """Let the pause that goes on, or is about to, be over, and return how long it was to be."""
        seconds, over = await self.pauses.get()
        over.set_result(None)
        await settle()
        return seconds


async def settle() -> None:
    """Let the breaker do what it can do now."""
    for _ in range(5):
        await asyncio.sleep(0)


def failure(kind: str) -> PrometheusUnavailable:
    """Return an error of a kind."""
    return PrometheusUnavailable(f"it was {kind}", kind=kind)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """A breaker that is closed."""
    bench = Bench()
    yield bench
    await bench.breaker.close()


async def stop(bench: Bench) -> None:
    """Let the breaker open."""
    for _ in range(3):
        bench.call(failure("timeout"))
    await bench.probe(failure("timeout"))


@pytest.mark.parametrize("kind", ["timeout", "connection"])
async def test_it_opens_after_failures_in_a_row(bench: Bench, kind: str) -> None:
    """What holds callers up, some times in a row and for a probe too, ends in calls that fail at once and say why."""
    made = [bench.call(failure(kind)) for _ in range(3)]
    await bench.probe(failure(kind))

    assert (made, bench.call(), bench.states) == ([kind] * 3, "breaker", ["open"])
    with pytest.raises(PrometheusUnavailable, match=f"not asked, it has failed 4 times in a row: it was {kind}"):
        bench.breaker.check()


ANSWERS = [
    QueryRejected("parse error", status=400, kind="bad_data"),
    *(
        failure(kind)
        for kind in ("status", "bad_answer", "unauthorized", "redirect", "too_large", "unavailable", "query_timeout")
    ),
    None,
]


@pytest.mark.parametrize("answer", ANSWERS)
async def test_an_answer_of_any_kind_ends_the_row(bench: Bench, answer: Exception | None) -> None:
    """A server that answers lives, whatever it says, and be it that a query took too long."""
    for error in (failure("timeout"), failure("timeout"), answer, failure("timeout"), failure("timeout")):
        bench.call(error)

    assert (bench.breaker.state, bench.breaker.consecutive_failures) == ("closed", 2)
    assert bench.probes.empty()


@pytest.mark.parametrize("answer", ANSWERS)
async def test_slow_queries_do_not_open_it(bench: Bench, answer: Exception | None) -> None:
    """Where each query times out and a probe is answered, it is the queries that are slow: no other call stops."""
    for _ in range(3):
        bench.call(failure("timeout"))
        bench.call(failure("timeout"))
        bench.call(failure("timeout"))
        await settle()
        meanwhile = bench.call(failure("timeout"))
        await bench.probe(answer)
        assert (meanwhile, bench.call(failure("timeout"))) == ("timeout", "timeout")
        bench.call()

    assert (bench.states, bench.breaker.state) == ([], "closed")


async def test_a_probe_that_succeeds_closes_it(bench: Bench) -> None:
    """After the pause a probe is made without waiting for a caller, and its success lets all calls pass."""
    await stop(bench)

    early = bench.call()
    await bench.pause()
    meanwhile = bench.call()
    await bench.probe()

    assert (early, meanwhile, bench.call(), bench.call()) == ("breaker", "breaker", "ok", "ok")
    assert bench.states == ["open", "half-open", "closed"]


async def test_one_probe_at_a_time(bench: Bench) -> None:
    """However many calls fail, there is never more than one probe."""
    for _ in range(9):
        bench.call(failure("timeout"))
        await settle()

    assert bench.probes.qsize() == 1


async def test_pauses_grow_to_a_limit(bench: Bench) -> None:
    """Each failed probe doubles the pause, up to the longest; a success starts over."""
    await stop(bench)
    pauses = []
    for _ in range(4):
        pauses.append(await bench.pause())
        await bench.probe(failure("connection"))
    await bench.pause()
    await bench.probe()
    await stop(bench)

    assert (pauses, await bench.pause()) == ([1.0, 2.0, 4.0, 4.0], 1.0)


@pytest.mark.parametrize(("chance", "pause"), [(0.0, 0.5), (0.5, 1.0), (1.0, 1.5)])
async def test_pauses_differ_between_replicas(bench: Bench, chance: float, pause: float) -> None:
    """A pause is up to the jitter shorter or longer."""
    bench.chance = chance
    await stop(bench)

    assert await bench.pause() == pause


def test_a_server_that_is_back_is_noticed_soon() -> None:
    """A probe that hangs when the server comes back, the longest pause and its jitter take less than half a period of an HPA."""
    usual = BreakerSettings()

    assert usual.probe_seconds + usual.longest_pause_seconds * (1 + usual.jitter) < 7.5


@pytest.mark.parametrize(("timeout", "probe", "fair"), [(30.0, 5.0, 1.0), (5.0, 5.0, 1.0), (1.0, 1.0, 0.5)])
def test_a_server_is_called_hung_by_the_time_that_its_queries_have(timeout: float, probe: float, fair: float) -> None:
    """One that answers everything just in time is not, and with a short limit a call that had all of it tells something."""
    found = BreakerSettings.of(timeout)

    assert (found.probe_seconds, found.fair_seconds) == (probe, fair)


@pytest.mark.parametrize(("error", "seconds"), [(asyncio.CancelledError(), 5.0), (failure("timeout"), 0.5)])
async def test_a_call_without_a_verdict_counts_for_nothing(bench: Bench, error: BaseException, seconds: float) -> None:
    """Callers that leave, or come too late, do not open it."""
    for _ in range(9):
        bench.call(error, seconds=seconds)

    assert (bench.breaker.state, bench.breaker.consecutive_failures) == ("closed", 0)


async def test_a_late_failure_changes_nothing(bench: Bench) -> None:
    """A call that began before it opened, and fails after, makes nothing worse."""
    with contextlib.suppress(PrometheusUnavailable), bench.breaker.watch(seconds=5.0):
        await stop(bench)
        raise failure("timeout")

    assert (bench.breaker.state, bench.breaker.consecutive_failures) == ("open", 4)


@pytest.mark.parametrize("while_probing", [False, True])
async def test_a_late_success_closes_it(bench: Bench, while_probing: bool) -> None:  # noqa: FBT001 - a table's column
    """A call that began before it opened, and succeeds after, shows that the server is back; probes end."""
    with bench.breaker.watch(seconds=5.0):
        await stop(bench)
        if while_probing:
            await bench.pause()
    if while_probing:
        await bench.probe(failure("timeout"))
    else:
        await bench.pause()

    assert (bench.states[0], bench.states[-1], bench.probes.empty()) == ("open", "closed", True)
    assert bench.call() == "ok"


async def test_closing_ends_the_probes(bench: Bench) -> None:
    """Nothing goes on in the background once the owner has closed it."""
    await stop(bench)

    await bench.breaker.close()

    assert bench.pauses.get_nowait()[1].cancelled()
