"""A server that does everything wrong, over a real socket: each fault has its error in time, and the next answer heals."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import ssl
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from rig.certificates import Authority, Pair

from adapter.clients.prometheus import EndpointUnsupported, PrometheusClient, open_client
from adapter.clients.transport import PrometheusOptions
from adapter.errors import AdapterError, PrometheusUnavailable, QueryRejected
from adapter.runtime.backends import Backend
from adapter.runtime.breaker import BreakerSettings
from adapter.runtime.clock import Clocks

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import StartPrometheus

pytestmark = pytest.mark.anyio

SHORT = 0.3  # seconds; the deadline where a fault takes all of it
LONG = 20.0  # seconds; the deadline where a fault must show long before
LIMIT = 2_000_000  # bytes of an answer

GOOD = b'{"status":"success","data":{"resultType":"vector","result":[]}}'
NAMES = b'{"status":"success","data":["up"]}'
REJECTED = b'{"status":"error","errorType":"bad_data","error":"parse error"}'
TIMED_OUT = b'{"status":"error","errorType":"timeout","error":"query timed out"}'

Behaviour = Callable[[asyncio.StreamWriter], Awaitable[None]]


def head(status: int = 200, *headers: str, length: int | None = None) -> bytes:
    """Return the head of an answer; without a length it ends with the connection."""
    kind = () if any(one.lower().startswith("content-type") for one in headers) else ("Content-Type: application/json",)
    size = () if length is None else (f"Content-Length: {length}",)
    return "\r\n".join((f"HTTP/1.1 {status} x", *kind, *size, *headers, "", "")).encode()


def says(body: bytes, status: int = 200, *headers: str) -> Behaviour:
    """Answer with a body, whole and correct as HTTP goes."""

    async def behave(writer: asyncio.StreamWriter) -> None:
        writer.write(head(status, *headers, length=len(body)) + body)

    return behave


async def hang(writer: asyncio.StreamWriter) -> None:
    """Accept the request and never answer."""
    await asyncio.Event().wait()


async def stall(writer: asyncio.StreamWriter) -> None:
    """Send half an answer and no more."""
    writer.write(head(length=len(GOOD)) + GOOD[:20])
    await asyncio.Event().wait()


async def drip(writer: asyncio.StreamWriter) -> None:
    """Send a byte now and then, so that no wait for a byte is ever long."""
    writer.write(head(length=LIMIT))
    while not writer.is_closing():
        writer.write(b" ")
        await writer.drain()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 0.02)


async def cut_off(writer: asyncio.StreamWriter) -> None:
    """Promise more than is sent, and close."""
    writer.write(head(length=len(GOOD)) + GOOD[:20])


async def close(writer: asyncio.StreamWriter) -> None:
    """Close without a word."""


async def reset(writer: asyncio.StreamWriter) -> None:
    """Break the connection."""
    writer.transport.abort()


async def flood(writer: asyncio.StreamWriter) -> None:
    """Send 200 MB, as long as somebody takes them."""
    writer.write(head(200, "Connection: close"))
    for _ in range(3200):
        if writer.is_closing():
            return
        writer.write(b" " * 65_536)
        await writer.drain()


def packed(size: int) -> bytes:
    """Return the gzip of many blanks, without making them all at once."""
    packer = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    blanks = b" " * 1_000_000
    return b"".join(packer.compress(blanks) for _ in range(size // len(blanks))) + packer.flush()


@dataclass(slots=True)
class Faulty:
    """A server whose behaviour a test sets."""

    behaviour: Behaviour
    requests: list[bytes] = field(default_factory=list)
    arrivals: asyncio.Queue[None] = field(default_factory=asyncio.Queue)
    url: str = ""
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Behave, request after request, until the connection ends."""
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while not writer.is_closing():
                request = await reader.readuntil(b"\r\n\r\n")
                length = int(request.lower().partition(b"content-length:")[2].partition(b"\r")[0] or 0)
                self.requests.append(request + await reader.readexactly(length))
                self.arrivals.put_nowait(None)
                behaviour = self.behaviour
                await behaviour(writer)
                await writer.drain()
                if behaviour in (cut_off, close, reset, flood):
                    break
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@asynccontextmanager
async def faulty(tls: ssl.SSLContext | None = None, *, port: int = 0) -> AsyncIterator[Faulty]:
    """Run such a server on loopback."""
    server = Faulty(behaviour=says(GOOD))
    listener = await asyncio.start_server(server.serve, "127.0.0.1", port, ssl=tls)
    port = listener.sockets[0].getsockname()[1]
    server.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    try:
        yield server
    finally:
        listener.close()
        for task in server.tasks:
            task.cancel()
        await asyncio.gather(*server.tasks, return_exceptions=True)


class Outcomes(list[str]):
    """The outcomes that the transport reported."""

    def request_done(self, *, outcome: str, **_: object) -> None:
        """Remember an outcome."""
        self.append(outcome)

    def breaker_changed(self, **_: object) -> None:
        """Take a state of the breaker."""

    def partial_answer(self, **_: object) -> None:
        """Take a partial answer."""


@asynccontextmanager
async def client_of(url: str, **options: object) -> AsyncIterator[PrometheusClient]:
    """Lend a client."""
    asked = {"url": url, "max_answer_bytes": LIMIT, "timeout_seconds": LONG, **options}
    client = open_client(PrometheusOptions(**asked), observer=Outcomes(), clock=time.monotonic)  # type: ignore[arg-type]  # a table's columns
    try:
        yield client
    finally:
        await client.close()


async def ending(call: Awaitable[object]) -> str:
    """Return how a call ends: `ok`, the kind of its error, or the name of its class."""
    try:
        await call
    except PrometheusUnavailable as error:
        return error.kind
    except (AdapterError, EndpointUnsupported) as error:
        return type(error).__name__
    return "ok"


# what the server does, the deadline, how a query ends, how a question for metric names ends
FAULTS: list[tuple[Behaviour, float, str, str]] = [
    (hang, SHORT, "timeout", "timeout"),
    (stall, SHORT, "timeout", "timeout"),
    (drip, SHORT, "timeout", "timeout"),
    (close, LONG, "connection", "connection"),
    (reset, LONG, "connection", "connection"),
    (cut_off, LONG, "connection", "connection"),
    (flood, LONG, "too_large", "too_large"),
    (says(packed(200_000_000), 200, "Content-Encoding: gzip"), LONG, "too_large", "too_large"),
    (says(gzip.compress(GOOD * 99)[:-20], 200, "Content-Encoding: gzip"), LONG, "bad_answer", "bad_answer"),
    (says(GOOD, 200, "Content-Encoding: br"), LONG, "bad_answer", "bad_answer"),
    (says(GOOD[:-5]), LONG, "bad_answer", "bad_answer"),
    (says(b""), LONG, "bad_answer", "bad_answer"),
    (says(b"<html>", 200, "Content-Type: text/html"), LONG, "bad_answer", "bad_answer"),
    (says(b"<html>", 503, "Content-Type: text/html"), LONG, "bad_answer", "bad_answer"),
    (says(GOOD, 200, "Content-Type: application/xml"), LONG, "bad_answer", "bad_answer"),
    (says(b"", 302, "Location: https://sso.example/login"), LONG, "redirect", "redirect"),
    (says(b"", 401), LONG, "unauthorized", "unauthorized"),
    (says(b"", 403), LONG, "unauthorized", "EndpointUnsupported"),
    (says(b"", 404), LONG, "status", "EndpointUnsupported"),
    (says(b"", 413), LONG, "too_long", "too_long"),
    (says(b"", 414), LONG, "too_long", "EndpointUnsupported"),
    (says(b"", 429), LONG, "status", "status"),
    (says(b"", 502), LONG, "status", "status"),
    (says(REJECTED, 400), LONG, "QueryRejected", "QueryRejected"),
    (says(REJECTED, 422), LONG, "QueryRejected", "QueryRejected"),
    (says(TIMED_OUT, 503), LONG, "query_timeout", "query_timeout"),
]


@pytest.mark.parametrize(("behaviour", "deadline", "query", "names"), FAULTS)
async def test_each_fault_has_its_error_and_heals(
    behaviour: Behaviour, deadline: float, query: str, names: str
) -> None:
    """Each fault ends in its error, in time; the same client gets the next good answer."""
    async with faulty() as server, client_of(server.url, timeout_seconds=deadline) as client:
        server.behaviour = behaviour
        async with asyncio.timeout(2 * LONG):
            faults = (
                await ending(client.query("up", at_seconds=1.0, timeout_seconds=deadline)),
                await ending(client.metric_names("up", start_seconds=1.0)),
            )
        server.behaviour = says(GOOD)
        healed = await ending(client.query("up", at_seconds=1.0, timeout_seconds=LONG))
        server.behaviour = says(NAMES)

        assert (*faults, healed, await ending(client.metric_names("up", start_seconds=1.0))) == (
            query,
            names,
            "ok",
            "ok",
        )


SERIES_FAULTS: list[tuple[Behaviour, str]] = [
    (hang, "timeout"),
    (stall, "timeout"),
    (cut_off, "connection"),
    (says(b'{"status":"success","data":[{"__name__":"a"},'), "bad_answer"),
    (says(REJECTED, 422), "QueryRejected"),
    (says(REJECTED), "QueryRejected"),
    (says(b"", 404), "status"),
]


@pytest.mark.parametrize(("behaviour", "error"), SERIES_FAULTS)
async def test_a_list_of_series_is_whole_or_an_error(behaviour: Behaviour, error: str) -> None:
    """A list of series that does not come to its end is never a shorter list."""
    seconds = SHORT if error == "timeout" else LONG
    async with faulty() as server, client_of(server.url, series_timeout_seconds=seconds) as client:
        server.behaviour = behaviour

        assert await ending(client.series("a", start_seconds=1.0)) == error


async def test_a_long_list_of_series_lets_others_run() -> None:
    """While 20 MB of series are read, other work goes on all the time."""
    rows = b",".join(b'{"__name__":"m%d","pod":"pod-%d"}' % (number % 50, number) for number in range(600_000))
    passes = 0

    async def others() -> None:
        nonlocal passes
        while True:
            passes += 1
            await asyncio.sleep(0)

    async with faulty() as server, client_of(server.url, max_answer_bytes=LIMIT) as client:
        server.behaviour = says(b'{"status":"success","data":[' + rows + b"]}")
        other = asyncio.create_task(others())
        found = await client.series("a", start_seconds=1.0)
        other.cancel()

    assert len(found.labels_by_metric) == 50
    assert passes > len(rows) / 65_536  # at least once for each slice


async def test_a_server_that_is_away_comes_back() -> None:
    """Nobody listens: an error at once; somebody listens again: an answer."""
    async with faulty() as server:
        url = server.url
    async with client_of(url) as client:
        with pytest.raises(PrometheusUnavailable, match=rf"no connection to {url}: Connection refused"):
            await client.query("up", at_seconds=1.0)
        async with faulty(port=int(url.rpartition(":")[2])):
            assert await ending(client.query("up", at_seconds=1.0)) == "ok"


async def test_an_idle_connection_that_was_closed_is_no_error() -> None:
    """The server closes after each answer, so the next request meets a dead connection, and is made again."""
    async with faulty() as server, client_of(server.url) as client:
        first = await ending(client.query("up", at_seconds=1.0))
        for task in server.tasks:
            task.cancel()
        await asyncio.gather(*server.tasks, return_exceptions=True)

        assert (first, await ending(client.query("up", at_seconds=1.0))) == ("ok", "ok")


async def test_a_caller_that_leaves_leaves_nothing_behind() -> None:
    """Cancelled calls give their connections back: many more of them than there are connections."""
    async with faulty() as server, client_of(server.url, max_connections=2) as client:
        server.behaviour = hang
        for _ in range(6):
            call = asyncio.create_task(client.query("up", at_seconds=1.0))
            await server.arrivals.get()
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
        server.behaviour = says(GOOD)

        assert await ending(client.query("up", at_seconds=1.0)) == "ok"


async def test_a_hung_server_is_asked_no_more_until_it_is_back() -> None:
    """After some time-outs calls fail at once; a probe that is answered lets all pass again."""
    settings = BreakerSettings(
        failures=2, probe_seconds=0.1, first_pause_seconds=0.01, longest_pause_seconds=0.01, fair_seconds=0.05
    )
    async with faulty() as server, client_of(server.url) as client:
        states: asyncio.Queue[str] = asyncio.Queue()
        observer = Outcomes()
        observer.breaker_changed = lambda state, **_: states.put_nowait(state)  # type: ignore[method-assign]  # to wait for
        backend = Backend(name="default", client=client, observer=observer, clocks=Clocks(), breaker=settings)

        async def ask(seconds: float) -> str:
            deadline = time.monotonic() + seconds
            return await ending(backend.query("up", at_seconds=1.0, deadline_seconds=deadline))

        async def until(state: str) -> None:
            async with asyncio.timeout(LONG):
                while await states.get() != state:
                    pass

        await until("closed")
        server.behaviour = hang
        hung = [await ask(0.1) for _ in range(2)]
        await until("open")
        hung += [await ask(LONG) for _ in range(2)]
        server.behaviour = says(GOOD)
        await until("closed")

        assert hung == ["timeout", "timeout", "breaker", "breaker"]
        assert (await ask(LONG), backend.state.breaker) == ("ok", "closed")
        await backend.close()


async def test_a_probe_needs_no_turn() -> None:
    """While every turn is taken by a query that hangs, the smallest question is asked and shows that the server lives."""
    settings = BreakerSettings(failures=1, fair_seconds=0.05)
    async with faulty() as server, client_of(server.url, max_connections=2) as client:

        async def answer_probes(writer: asyncio.StreamWriter) -> None:
            await (says(GOOD) if b"vector%281%29" in server.requests[-1] else hang)(writer)

        server.behaviour = answer_probes
        backend = Backend(name="default", client=client, observer=Outcomes(), clocks=Clocks(), breaker=settings)

        def ask(seconds: float) -> asyncio.Task[object]:
            return asyncio.create_task(backend.query("up", at_seconds=1.0, deadline_seconds=time.monotonic() + seconds))

        hanging = [ask(LONG), ask(0.1), ask(LONG)]
        async with asyncio.timeout(LONG):
            assert await ending(hanging.pop(1)) == "timeout"
            for _ in range(4):  # three queries and the probe
                await server.arrivals.get()
            while backend.state.consecutive_failures:  # noqa: ASYNC110 - nothing tells that a row of failures has ended
                await asyncio.sleep(0)

        assert backend.state.breaker == "closed"
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)
        await backend.close()


# ---- TLS


@dataclass(frozen=True, slots=True)
class Keys:
    """Files for both sides."""

    directory: Path
    authority: Authority

    def write(self, name: str, content: bytes) -> str:
        """Put a file in its place at once, and return its path."""
        path = self.directory / name
        new = path.with_suffix(".new")
        new.write_bytes(content)
        new.rename(path)
        return str(path)

    def pair(self, name: str, pair: Pair) -> tuple[str, str]:
        """Write a certificate and its key."""
        return self.write(f"{name}.pem", pair.certificate), self.write(f"{name}.key", pair.key)

    def server(self, *, name: str = "localhost", clients: Authority | None = None) -> ssl.SSLContext:
        """Return the context of a server, which may ask for client certificates of an authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.pair("server", self.authority.issue(name)))
        if clients is not None:
            context.load_verify_locations(cadata=clients.pem.decode())
            context.verify_mode = ssl.CERT_REQUIRED
        return context


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    """A directory and an authority, whose certificate is in ca.pem."""
    keys = Keys(tmp_path, Authority("test authority"))
    keys.write("ca.pem", keys.authority.pem)
    return keys


async def test_an_authority_is_needed_and_enough(keys: Keys) -> None:
    """With the CA file the server is trusted, without it it is not, and the error says so."""
    async with faulty(keys.server()) as server:
        async with client_of(server.url) as client:
            with pytest.raises(PrometheusUnavailable, match="certificate verify failed"):
                await client.query("up", at_seconds=1.0)
        async with client_of(server.url, ca_file=str(keys.directory / "ca.pem")) as client:
            assert await ending(client.query("up", at_seconds=1.0)) == "ok"


async def test_the_service_account_has_an_authority_and_a_token(keys: Keys) -> None:
    """In a cluster the service account's CA and token are used together."""
    keys.write("ca.crt", keys.authority.pem)
    keys.write("token", b"from-account\n")
    options = {"auth_incluster": True, "service_account_directory": str(keys.directory)}

    async with faulty(keys.server()) as server, client_of(server.url, **options) as client:
        assert await ending(client.query("up", at_seconds=1.0)) == "ok"
        assert b"authorization: bearer from-account\r\n" in server.requests[0].lower()


async def test_a_client_certificate_works_with_an_authority(keys: Keys) -> None:
    """A server that asks for a client certificate gets it, with a CA file beside it and a token too."""
    certificate, key = keys.pair("client", keys.authority.issue("me"))
    token = keys.write("token", b"t")
    options = {"client_cert_file": certificate, "client_key_file": key, "token_file": token}

    async with faulty(keys.server(clients=keys.authority)) as server:
        async with client_of(server.url, ca_file=str(keys.directory / "ca.pem"), **options) as client:
            assert await ending(client.query("up", at_seconds=1.0)) == "ok"
            assert b"bearer t\r\n" in server.requests[0].lower()
        async with client_of(server.url, ca_file=str(keys.directory / "ca.pem")) as client:
            assert await ending(client.query("up", at_seconds=1.0)) == "connection"


async def test_a_client_certificate_works_with_the_system_s_authorities(
    keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client certificate needs no CA file: the system's authorities are trusted."""
    monkeypatch.setenv("SSL_CERT_FILE", str(keys.directory / "ca.pem"))
    certificate, key = keys.pair("client", keys.authority.issue("me"))
    options = {"client_cert_file": certificate, "client_key_file": key}

    async with faulty(keys.server(clients=keys.authority)) as server, client_of(server.url, **options) as client:
        assert await ending(client.query("up", at_seconds=1.0)) == "ok"


async def test_a_kubeconfig_names_another_server_name(keys: Keys) -> None:
    """tls-server-name is the name that the certificate must have."""
    text = (
        "current-context: x\ncontexts: [{name: x, context: {cluster: c}}]\n"
        "clusters: [{name: c, cluster: {certificate-authority: ca.pem, tls-server-name: %s}}]"
    )
    ends = []
    async with faulty(keys.server(name="prom.example")) as server:
        for name in (b"prom.example", b"other.example"):
            config = keys.write("kube", text.encode() % name)
            async with client_of(server.url, auth_config=config) as client:
                ends.append(await ending(client.query("up", at_seconds=1.0)))

    assert ends == ["ok", "connection"]


async def test_a_renewed_authority_is_trusted_without_a_restart(keys: Keys) -> None:
    """The server gets a certificate of another authority: as soon as the CA file has that, calls work again."""
    other = Keys(keys.directory, Authority("another authority"))
    ca_file = str(keys.directory / "ca.pem")
    async with faulty(other.server()) as server, client_of(server.url, ca_file=ca_file) as client:
        before = await ending(client.query("up", at_seconds=1.0))
        keys.write("ca.pem", other.authority.pem)

        assert (before, await ending(client.query("up", at_seconds=1.0))) == ("connection", "ok")


async def test_a_renewed_client_certificate_breaks_no_call(keys: Keys) -> None:
    """A call that is under way when the certificate changes gets its answer; the next call has the new certificate."""
    certificate, key = keys.pair("client", keys.authority.issue("me"))
    options = {"client_cert_file": certificate, "client_key_file": key, "ca_file": str(keys.directory / "ca.pem")}
    go, seen = asyncio.Event(), []

    async def answer_later(writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peercert")
        seen.append(peer["subject"][0][0][1])
        if len(seen) == 1:
            await go.wait()
        await says(GOOD)(writer)

    async with faulty(keys.server(clients=keys.authority)) as server, client_of(server.url, **options) as client:
        server.behaviour = answer_later
        under_way = asyncio.create_task(ending(client.query("up", at_seconds=1.0)))
        await server.arrivals.get()
        keys.pair("client", keys.authority.issue("me again"))
        second = await ending(client.query("up", at_seconds=1.0))
        go.set()

        assert (second, await under_way, seen) == ("ok", "ok", ["me", "me again"])


async def test_old_tls_is_refused(keys: Keys) -> None:
    """A server that knows nothing newer than TLS 1.1 gets no connection."""
    context = keys.server()
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    options = {"ca_file": str(keys.directory / "ca.pem")}

    async with faulty(context) as server, client_of(server.url, **options) as client:
        assert await ending(client.query("up", at_seconds=1.0)) == "connection"


async def test_the_environment_s_proxy_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP_PROXY gets the request, unless NO_PROXY names the host."""
    async with faulty() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        async with client_of("http://prom.invalid:9090") as client:
            through = await ending(client.query("up", at_seconds=1.0))
        monkeypatch.setenv("NO_PROXY", "prom.invalid")
        async with client_of("http://prom.invalid:9090") as client:
            past = await ending(client.query("up", at_seconds=1.0, timeout_seconds=LONG))

    assert (through, past) == ("ok", "connection")
    assert proxy.requests[0].startswith(b"GET http://prom.invalid:9090/api/v1/query?")


# ---- a real one


async def test_a_real_prometheus_understands_every_call(prometheus: StartPrometheus) -> None:
    """Prometheus takes our parameters by GET and by POST, and says of names, labels and series what it has."""
    now = 1_700_000_000.0
    url = prometheus(['up{job="a"} gauge 1', 'hits_total{pod="x"} counter 2'], now_seconds=now)
    told = []
    for verb in ("GET", "POST"):
        async with client_of(url, verb=verb) as client:
            answer, warnings = await client.query("up", at_seconds=now, timeout_seconds=4.7501)
            found = await client.metric_names('{pod!=""}', '{job="a"}', start_seconds=now - 600)
            known = await client.label_names('{pod!=""}', start_seconds=now - 600)
            every = await client.series('{__name__!=""}', start_seconds=now - 600)
            with pytest.raises(QueryRejected, match="parse error"):
                await client.query("up{", at_seconds=now)
            told.append((answer.evaluated_at_seconds, warnings, found.values, known.values, every.labels_by_metric))

    names, labels = frozenset({"up", "hits_total"}), frozenset({"__name__", "pod"})
    series = {"up": frozenset({"__name__", "job"}), "hits_total": labels}
    assert told == [(now, (), names, labels, series)] * 2


async def test_a_real_prometheus_is_proved(prometheus: StartPrometheus) -> None:
    """The label endpoints of a real Prometheus prove themselves, and its version is known."""
    clocks = Clocks()
    async with client_of(prometheus(["up gauge 1"])) as client:
        backend = Backend(name="default", client=client, observer=Outcomes(), clocks=clocks)

        assert (await backend.label_endpoints_work(), await backend.series_exist()) == (True, True)
        assert (backend.state.version or "").startswith(("2.", "3."))
