"""A backend seen from the runtime: turns, deadlines, partial answers, what it can do, and how it is."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx
import pytest
from rig.fake_prometheus import FakePrometheus, answer

from adapter.clients.prometheus import open_client
from adapter.clients.transport import PrometheusOptions
from adapter.errors import PartialAnswer, PrometheusUnavailable, QueryRejected
from adapter.runtime.backends import Backend
from adapter.runtime.breaker import BreakerSettings
from adapter.runtime.clock import Clocks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pytestmark = pytest.mark.anyio

VECTOR = {"status": "success", "data": {"resultType": "vector", "result": []}}
ONE = {"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1, "7"]}]}}
PARTIAL = {**VECTOR, "warnings": ["a store is down"]}
SLOW = {"status": "error", "errorType": "timeout", "error": "query timed out"}
REJECTED = {"status": "error", "errorType": "bad_data", "error": "parse error"}


@dataclass(slots=True)
class Clock:
    """A clock that is turned by hand."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass(slots=True)
class Reports:
    """What the backend reported."""

    states: list[object] = field(default_factory=list)
    partial: list[object] = field(default_factory=list)

    def breaker_changed(self, *, backend: str, state: str) -> None:
        """Remember a state."""
        self.states.append(state)

    def partial_answer(self, *, backend: str, refused: bool) -> None:
        """Remember a partial answer."""
        self.partial.append(refused)


@dataclass(slots=True)
class Bench:
    """A backend in front of a Prometheus without a network."""

    handler: Callable[[httpx.Request], httpx.Response]
    clock: Clock = field(default_factory=Clock)
    reports: Reports = field(default_factory=Reports)
    prometheus: FakePrometheus = field(init=False)

    def __post_init__(self) -> None:
        self.prometheus = FakePrometheus(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        return self.handler(request)  # a test may put another one in its place

    def backend(
        self,
        *,
        partial_response_allowed: bool = False,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        **options: object,
    ) -> Backend:
        """Return the backend."""
        return Backend(
            name="default",
            client=self.prometheus.client(**options),
            observer=self.reports,
            clocks=Clocks(monotonic=self.clock, wall=lambda: 1_700_000_000.0 + self.clock.now),
            partial_response_allowed=partial_response_allowed,
            breaker=BreakerSettings(failures=3, first_pause_seconds=1.0, longest_pause_seconds=4.0, jitter=0.5),
            chance=lambda: 0.5,
            sleep=sleep,
        )

    async def ask(self, backend: Backend, *, seconds: float = 5.0) -> str:
        """Return how a query ends: `ok`, or the kind of its error."""
        try:
            await backend.query("up", at_seconds=1.0, deadline_seconds=self.clock.now + seconds)
        except PrometheusUnavailable as error:
            return error.kind
        except QueryRejected:
            return "rejected"
        return "ok"


def refuse(request: httpx.Request) -> httpx.Response:
    """Answer nothing."""
    raise httpx.ConnectError("refused", request=request)


# ---- deadlines and turns


async def test_a_query_gets_the_time_that_is_left() -> None:
    """The timeout that Prometheus is told is what the caller's deadline leaves, in whole seconds."""
    bench = Bench(lambda _: answer(VECTOR))

    await bench.ask(bench.backend(), seconds=2.5)

    assert bench.prometheus.requests[0].url.params["timeout"] == "3s"


async def test_a_deadline_that_has_passed_asks_nothing() -> None:
    """A request that has waited too long elsewhere does not bother Prometheus."""
    bench = Bench(lambda _: answer(VECTOR))

    assert await bench.ask(bench.backend(), seconds=0) == "overloaded"
    assert bench.prometheus.requests == []


class Gate(httpx.AsyncBaseTransport):
    """Lets requests wait until it is opened."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.arrivals: asyncio.Queue[httpx.Request] = asyncio.Queue()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.arrivals.put_nowait(request)
        await self.opened.wait()
        return answer(VECTOR)


def gated(gate: Gate, *, max_connections: int) -> tuple[Bench, Backend]:
    """Return a backend whose Prometheus answers when the gate is opened."""
    bench = Bench(lambda _: answer(VECTOR))
    options = PrometheusOptions(url="http://prom", max_connections=max_connections)
    client = open_client(options, observer=bench.prometheus.reports, clock=bench.clock, transport=gate)
    clocks = Clocks(monotonic=bench.clock, wall=bench.clock)
    return bench, Backend(name="default", client=client, observer=bench.reports, clocks=clocks)


async def test_calls_wait_for_their_turn() -> None:
    """No more calls are made at a time than there are connections; the others follow."""
    gate = Gate()
    bench, backend = gated(gate, max_connections=2)

    asked = [asyncio.create_task(bench.ask(backend)) for _ in range(5)]
    for _ in range(2):
        await gate.arrivals.get()
    for _ in range(10):
        await asyncio.sleep(0)
    others = gate.arrivals.qsize()
    gate.opened.set()

    assert await asyncio.gather(*asked) == ["ok"] * 5
    assert (others, gate.arrivals.qsize()) == (0, 3)


async def test_waiting_counts_against_the_deadline() -> None:
    """A call that gets no turn in time fails, and leaves the turn to others."""
    gate = Gate()
    bench, backend = gated(gate, max_connections=1)

    first = asyncio.create_task(bench.ask(backend))
    await gate.arrivals.get()
    late = await bench.ask(backend, seconds=0.05)
    gate.opened.set()

    assert (late, await first, await bench.ask(backend)) == ("overloaded", "ok", "ok")
    assert backend.state.consecutive_failures == 0


async def test_a_cancelled_call_gives_its_turn_back() -> None:
    """A caller that leaves, while waiting or while asking, blocks nobody."""
    gate = Gate()
    bench, backend = gated(gate, max_connections=1)

    asking = asyncio.create_task(bench.ask(backend))
    await gate.arrivals.get()
    waiting = asyncio.create_task(bench.ask(backend))
    for task in (waiting, asking):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.gather(asking, waiting, return_exceptions=True)
    gate.opened.set()

    assert await bench.ask(backend) == "ok"


# ---- partial answers


async def test_a_partial_answer_is_refused() -> None:
    """An answer with data missing is an error with the server's words, and the backend counts as well."""
    bench = Bench(lambda _: answer(PARTIAL))
    backend = bench.backend()

    with pytest.raises(PartialAnswer, match="a store is down"):
        await backend.query("up", at_seconds=1.0, deadline_seconds=bench.clock.now + 5)

    assert (bench.reports.partial, backend.state.breaker) == ([True], "closed")


async def test_a_partial_answer_may_be_allowed() -> None:
    """With partialResponse: allow the answer is served, and counted."""
    bench = Bench(lambda _: answer(PARTIAL))

    assert await bench.ask(bench.backend(partial_response_allowed=True)) == "ok"
    assert bench.reports.partial == [False]


# ---- what the label endpoints can do


def labels(*, nothing: object = (), anything: object = ("up",), status: int = 200) -> Callable[..., httpx.Response]:
    """Return a Prometheus by what its label endpoint says of a selector for nothing and of one for everything."""

    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("buildinfo"):
            return answer({"status": "success", "data": {"version": "2.42.0"}})
        selects_nothing = "nothing" in request.url.params["match[]"]
        return answer({"status": "success", "data": list(nothing if selects_nothing else anything)}, status)  # type: ignore[call-overload]  # a table's columns

    return handler


PROOFS = [
    (labels(), True),
    (labels(nothing=["up"]), False),
    (labels(nothing=[], anything=[]), False),
    (labels(status=404), False),
    (labels(status=405), False),
    (labels(status=403), False),
    (labels(status=414), False),
    (lambda request: labels()(request) if "build" in request.url.path else answer(REJECTED, 400), False),
]


@pytest.mark.parametrize(("handler", "works"), PROOFS)
async def test_label_endpoints_are_proved(handler: Callable[..., httpx.Response], *, works: bool) -> None:
    """They work when a selector for nothing finds nothing and one for everything finds something."""
    assert await Bench(handler).backend().label_endpoints_work() == works


@pytest.mark.parametrize("handler", [labels(), labels(nothing=["up"]), labels(status=404)])
async def test_a_proof_is_remembered(handler: Callable[..., httpx.Response]) -> None:
    """What was proved is not asked again."""
    bench = Bench(handler)
    backend = bench.backend()

    first = await backend.label_endpoints_work()
    asked = len(bench.prometheus.requests)
    second = await backend.label_endpoints_work()

    assert (first, len(bench.prometheus.requests)) == (second, asked)
    assert backend.state.version == "2.42.0"


async def test_a_proof_survives_the_other_endpoints() -> None:
    """A server without label endpoints answers others well, which changes nothing about that."""

    def handler(request: httpx.Request) -> httpx.Response:
        if "series" in request.url.path:
            return answer({"status": "success", "data": []})
        return labels(status=404)(request)

    bench = Bench(handler)
    backend = bench.backend()
    await backend.label_endpoints_work()
    await backend.series("up", start_seconds=0)
    asked = len(bench.prometheus.requests)

    assert await backend.label_endpoints_work() is False
    assert len(bench.prometheus.requests) == asked


async def test_an_empty_server_proves_nothing() -> None:
    """A server without any series is asked again, and believed when it has some."""
    bench = Bench(labels(anything=[]))
    backend = bench.backend()

    before = await backend.label_endpoints_work()
    bench.handler = labels()

    assert (before, await backend.label_endpoints_work()) == (False, True)


async def test_callers_share_one_proof() -> None:
    """Callers at the same time cause one round of questions."""
    bench = Bench(labels())
    backend = bench.backend()

    answers = await asyncio.gather(*(backend.label_endpoints_work() for _ in range(10)))

    assert (set(answers), len(bench.prometheus.requests)) == ({True}, 3)


async def test_a_failed_proof_is_an_error() -> None:
    """A server that cannot be asked has proved nothing, neither way."""
    bench = Bench(refuse)
    backend = bench.backend()

    with pytest.raises(PrometheusUnavailable):
        await backend.label_endpoints_work()
    bench.handler = labels()

    assert await backend.label_endpoints_work() is True


async def test_another_version_is_proved_again() -> None:
    """Some minutes later the version is asked, and another one needs another proof."""
    bench = Bench(labels(nothing=["up"]))
    backend = bench.backend()
    before = await backend.label_endpoints_work()

    bench.clock.now += 301
    still = await backend.label_endpoints_work()
    upgraded = labels()
    bench.handler = lambda request: (
        answer({"status": "success", "data": {"version": "3.4.1"}})
        if "build" in request.url.path
        else upgraded(request)
    )
    at_once = await backend.label_endpoints_work()
    bench.clock.now += 301

    assert (before, still, at_once, await backend.label_endpoints_work()) == (False, False, False, True)
    assert backend.state.version == "3.4.1"


async def test_another_class_of_errors_is_proved_again() -> None:
    """A server that answers in another way than before may be another server."""
    bench = Bench(labels(nothing=["up"]))
    backend = bench.backend()
    before = await backend.label_endpoints_work()

    bench.handler = refuse
    await bench.ask(backend)
    bench.handler = labels()

    assert (before, await backend.label_endpoints_work()) == (False, True)


LARGE = {"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1, "7"]}] * 20_001}}


@pytest.mark.parametrize(("document", "status"), [(SLOW, 503), (LARGE, 200)])
async def test_what_is_wrong_with_a_query_needs_no_new_proof(document: object, status: int) -> None:
    """A query that is given up, or brings too much, now and then, says nothing of the label endpoints."""
    bench = Bench(labels())
    backend = bench.backend()
    await backend.label_endpoints_work()
    for handler in (lambda _: answer(document, status), lambda _: answer(VECTOR)):
        bench.handler = handler
        await bench.ask(backend)
    asked = len(bench.prometheus.requests)

    assert (await backend.label_endpoints_work(), len(bench.prometheus.requests)) == (True, asked)


@pytest.mark.parametrize("status", [400, 422])
async def test_a_refused_query_changes_no_proof(status: int) -> None:
    """A query that Prometheus refuses says nothing about its endpoints."""
    bench = Bench(labels())
    backend = bench.backend()
    await backend.label_endpoints_work()
    bench.handler = lambda _: answer(REJECTED, status)
    await bench.ask(backend)
    asked = len(bench.prometheus.requests)

    await backend.label_endpoints_work()

    assert len(bench.prometheus.requests) == asked


EXIST = [
    (labels(), True),
    (labels(anything=[]), False),
    (
        lambda request: answer(
            ONE if request.url.path.endswith("query") else {}, 200 if "query" in request.url.path else 404
        ),
        True,
    ),
    (lambda request: answer(VECTOR, 200 if "query" in request.url.path else 404), False),
]


@pytest.mark.parametrize(("handler", "exist"), EXIST)
async def test_whether_there_are_series_at_all(handler: Callable[..., httpx.Response], *, exist: bool) -> None:
    """The label endpoint tells, and where there is none a count does."""
    assert await Bench(handler).backend().series_exist() == exist


# ---- how it is


async def test_the_state_tells_how_it_is() -> None:
    """The last success, the last error and the failures in a row can be read."""
    bench = Bench(lambda _: answer(VECTOR))
    backend = bench.backend()
    never = backend.state.last_success_seconds

    await bench.ask(backend)
    bench.clock.now += 10
    bench.handler = refuse
    await bench.ask(backend)

    state = backend.state
    assert (never, state.last_success_seconds, state.consecutive_failures) == (None, 1_700_001_000.0, 1)
    assert state.last_error == "no connection to http://prom:9090: refused"


# ---- slow queries and a server that hangs


def hung(request: httpx.Request) -> httpx.Response:
    """Give no answer in time."""
    raise httpx.ReadTimeout("late", request=request)


def slow_but(request: httpx.Request) -> httpx.Response:
    """Answer no query in time, except the smallest and one that is fast."""
    if request.url.params["query"] in ("vector(1)", "fast"):
        return answer(VECTOR)
    return answer(SLOW, 503) if request.url.params["query"] == "given up" else hung(request)


async def kind_of(bench: Bench, backend: Backend, promql: str) -> str:
    """Return how a query ends."""
    try:
        await backend.query(promql, at_seconds=1.0, deadline_seconds=bench.clock.now + 5.0)
    except PrometheusUnavailable as error:
        return error.kind
    return "ok"


async def settle() -> None:
    """Let what goes on in the background come to its next wait."""
    for _ in range(50):
        await asyncio.sleep(0)


@pytest.mark.parametrize(("slow", "kind"), [("slow", "connection"), ("given up", "query_timeout")])
async def test_a_slow_query_stops_no_other(slow: str, kind: str) -> None:
    """However often a query fails, the others are asked, since the smallest question is answered."""
    bench = Bench(slow_but)
    backend = bench.backend()

    ended = [await kind_of(bench, backend, slow) for _ in range(3)]
    await settle()

    assert (ended, await kind_of(bench, backend, "fast")) == ([kind] * 3, "ok")
    assert (bench.reports.states, backend.state.breaker) == (["closed"], "closed")


async def test_a_query_that_is_given_up_again_and_again_is_asked_seldom() -> None:
    """A query that Prometheus itself gives up does not hold up every caller, and is tried again after a pause."""
    bench = Bench(slow_but)
    backend = bench.backend()

    ended = [await kind_of(bench, backend, "given up") for _ in range(4)]
    bench.clock.now += 5.0

    assert (ended, await kind_of(bench, backend, "given up")) == (["query_timeout"] * 3 + ["breaker"], "query_timeout")


async def test_a_server_that_hangs_is_noticed_when_it_is_back() -> None:
    """Nobody's request is needed to find out that a server is back, nor does any wait for it."""
    bench = Bench(refuse)
    pauses: asyncio.Queue[asyncio.Future[None]] = asyncio.Queue()

    async def sleep(_: float) -> None:
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        pauses.put_nowait(over)
        await over

    backend = bench.backend(sleep=sleep)

    before = [await bench.ask(backend) for _ in range(3)]
    pause = await pauses.get()
    stopped = await bench.ask(backend)
    bench.handler = lambda _: answer(VECTOR)
    pause.set_result(None)
    await settle()

    assert (before, stopped, await bench.ask(backend)) == (["connection"] * 3, "breaker", "ok")
    assert bench.prometheus.requests[-2].url.params["query"] == "vector(1)"
    assert bench.reports.states == ["closed", "open", "half-open", "closed"]
