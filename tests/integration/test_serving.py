"""The real server over TLS on a loopback port: what reaches it as bytes, and how it ends."""

from __future__ import annotations

import asyncio
import http.client
import io
import signal
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest

from adapter.config.problems import ConfigError
from adapter.rules.answers import CustomAnswer, ExternalAnswer
from adapter.rules.catalog import Catalog
from adapter.rules.requests import CustomMetricRequest, ExternalMetricRequest
from adapter.server.app import build_app
from adapter.server.gateway import Services
from adapter.server.operations import Shutdown
from adapter.server.serve import ServeOptions, open_listener, serve
from adapter.server.tls import TlsOptions, server_tls

pytestmark = pytest.mark.anyio

EXTERNAL = "/apis/external.metrics.k8s.io/v1beta1/namespaces/ns"
LONG = 3600.0  # seconds; longer than any test: what waits for it is ended otherwise


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Run on the loop that the adapter runs on."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a certificate, since a new one for each test would cost more than the test."""
    made = tmp_path_factory.mktemp("certificates")
    server_tls(TlsOptions(cert_dir=str(made)), bind_address="127.0.0.1", clock=time.time)
    return made


@dataclass(frozen=True)
class Groups:
    """Custom and external metrics are installed."""

    custom: bool = True
    external: bool = True
    resource: bool = False


@dataclass
class FakeProvider:
    """Has no values, and takes its time if it is told to."""

    catalog: Catalog = field(default_factory=Catalog)
    groups: Groups = field(default_factory=Groups)
    asked: list[str] = field(default_factory=list)
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    before: Callable[[], Awaitable[object]] | None = None
    finished: int = 0

    async def custom_metric(self, request: CustomMetricRequest, *, deadline_seconds: float) -> CustomAnswer:
        """Answer for objects."""
        await self._story(request.metric)
        return CustomAnswer(metric=request.metric, items=())

    async def external_metric(self, request: ExternalMetricRequest, *, deadline_seconds: float) -> ExternalAnswer:
        """Answer for no object."""
        await self._story(request.metric)
        return ExternalAnswer(metric=request.metric, items=())

    async def _story(self, metric: str) -> None:
        self.asked.append(metric)
        self.entered.set()
        if self.before is not None:
            await self.before()
        self.finished += 1


class NoChecks:
    """Nothing is checked."""

    def checks(self, probe: str) -> tuple[()]:
        """Find nothing."""
        return ()


@dataclass
class Running:
    """A server that runs, and how to reach it."""

    provider: FakeProvider
    shutdown: Shutdown
    port: int
    trusted: Path
    task: asyncio.Task[int]

    async def connect(self, *, alpn: str = "http/1.1") -> Connection:
        """Open a connection as a client that trusts the certificate."""
        context = ssl.create_default_context(cafile=str(self.trusted))
        context.set_alpn_protocols([alpn])
        return Connection(
            *await asyncio.open_connection("127.0.0.1", self.port, ssl=context, server_hostname="localhost")
        )

    async def ask(self, request: bytes) -> Received:
        """Send one request over a connection of its own."""
        async with await self.connect() as connection:
            return await connection.ask(request)


@dataclass
class Received:
    """One response."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


@dataclass
class Connection:
    """One connection of a client."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()
        with suppress(OSError):  # the other side may have ended it first
            await self.writer.wait_closed()

    async def ask(self, request: bytes) -> Received:
        """Send a request and read its response."""
        self.writer.write(request)
        await self.writer.drain()
        return await self.receive(is_head=request.startswith(b"HEAD "))

    async def receive(self, *, is_head: bool = False) -> Received:
        """Read one response."""
        status_line, _, head = (await self.reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")
        headers = http.client.parse_headers(io.BytesIO(head))
        length = 0 if is_head else int(headers["content-length"])
        return Received(int(status_line.split()[1]), headers, await self.reader.readexactly(length))


@asynccontextmanager
async def running(
    folder: Path, *, shutdown_delay_seconds: float = 0.0, drain_seconds: int = 5
) -> AsyncIterator[Running]:
    """Run the server until the block ends."""
    provider, shutdown = FakeProvider(), Shutdown()
    options = ServeOptions(
        port=0,
        tls=TlsOptions(cert_dir=str(folder)),
        shutdown_delay_seconds=shutdown_delay_seconds,
        drain_seconds=drain_seconds,
    )
    services = Services(
        provider=provider,
        health=NoChecks(),
        render_metrics=lambda: b"",
        clock=asyncio.get_running_loop().time,
        version="0.1.0",
        request_timeout_seconds=LONG,
        shutdown=shutdown,
    )
    listener = open_listener(options)
    port = listener.getsockname()[1]
    serving = serve(build_app(services), options, shutdown=shutdown, clock=time.time, listener=listener)
    task = asyncio.create_task(serving)
    try:
        yield Running(provider, shutdown, port, folder / "apiserver.crt", task)
    finally:
        shutdown.begin()
        if shutdown_delay_seconds:
            task.cancel()
        await asyncio.wait([task])


def get(path: str, *headers: str, method: str = "GET") -> bytes:
    """Write a request."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


async def test_request_over_tls(folder: Path) -> None:
    """A client that trusts the certificate that was made talks HTTP/1.1 over TLS, several times over one connection."""
    async with running(folder) as server, await server.connect() as connection:
        first = await connection.ask(get("/apis"))
        second = await connection.ask(get(f"{EXTERNAL}/m", "Audit-ID: from-kas", "Accept-Encoding: gzip"))

        session = connection.writer.get_extra_info("ssl_object")
        assert (session.version(), session.selected_alpn_protocol()) == ("TLSv1.3", "http/1.1")

    assert (first.status, second.status) == (200, 200)
    assert second.headers["audit-id"] == "from-kas"
    assert second.headers["date"].endswith(" GMT")
    assert second.headers["server"] is None
    assert second.headers["connection"] is None
    assert second.body.startswith(b'{"kind":"ExternalMetricValueList"')


async def test_http2_is_not_offered(folder: Path) -> None:
    """A client that offers HTTP/2 is answered without it, so it speaks HTTP/1.1."""
    async with running(folder) as server, await server.connect(alpn="h2") as connection:
        assert connection.writer.get_extra_info("ssl_object").selected_alpn_protocol() is None
        assert (await connection.ask(get("/livez"))).status == 200


async def test_server_is_not_reachable_in_the_clear(folder: Path) -> None:
    """Bytes that are no TLS end their connection and nothing else."""
    async with running(folder) as server:
        for garbage in (b"GET /livez HTTP/1.1\r\n\r\n", bytes(range(256)) * 100, b"\x16\x03\x01\xff\xff" + b"x" * 200):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            async with Connection(reader, writer):
                writer.write(garbage)
                with suppress(OSError):
                    assert b"HTTP" not in await reader.read()

        assert (await server.ask(get("/livez"))).status == 200


GARBAGE = [
    b"\x00\x01\x02\r\n\r\n",
    b"GET\r\n\r\n",
    b"FOO / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nBad Header\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX-A: a\x00b\r\n\r\n",
    b"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET /apis/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda garbage: repr(garbage[:24]))
async def test_garbage_inside_tls(folder: Path, garbage: bytes) -> None:
    """What is no HTTP is a 400 and the end of its connection; the server goes on."""
    async with running(folder) as server:
        async with await server.connect() as connection:
            received = await connection.ask(garbage)
            assert await connection.reader.read() == b""

        assert received.status == 400
        assert (await server.ask(get("/livez"))).status == 200


async def test_large_head(folder: Path) -> None:
    """A head of more than 1 MiB is a 431 and the end of its connection; the server goes on."""
    async with running(folder) as server:
        async with await server.connect() as connection:
            received = await connection.ask(b"GET / HTTP/1.1\r\nX-Large: " + b"a" * 2_000_000 + b"\r\n\r\n")
            assert await connection.reader.read() == b""

        assert (received.status, received.body[-12:]) == (431, b'"code":431}\n')
        assert (await server.ask(get("/livez"))).status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"])
async def test_methods(folder: Path, method: str) -> None:
    """Other methods are refused as everywhere, and the connection can go on being used."""
    async with running(folder) as server, await server.connect() as connection:
        refused = await connection.ask(get(f"{EXTERNAL}/m", method=method))
        probed = await connection.ask(get("/livez", method=method))
        after = await connection.ask(get("/livez"))

        assert server.provider.asked == []
    assert refused.status == 405
    assert int(refused.headers["content-length"]) > 100
    assert refused.headers["allow"] is None
    assert (probed.status, after.status) == (200, 200)


async def test_tunnels(folder: Path) -> None:
    """Nobody is tunnelled anywhere: CONNECT and upgrades are requests like any other."""
    async with running(folder) as server:
        connected = await server.ask(b"CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n")
        upgraded = await server.ask(get("/livez", "Connection: upgrade", "Upgrade: websocket"))
        old = await server.ask(b"GET /livez HTTP/1.0\r\n\r\n")

    assert connected.status in {400, 404}
    assert (upgraded.status, upgraded.body) == (200, b"ok")
    assert (old.status, old.headers["connection"]) == (200, "close")


async def test_bodies_are_ignored(folder: Path) -> None:
    """A body is neither read nor waited for."""
    async with running(folder) as server, await server.connect() as connection:
        with_body = await connection.ask(get(f"{EXTERNAL}/m", "Content-Length: 5") + b"hello")
        after = await connection.ask(get("/livez"))
        promised = await connection.ask(get(f"{EXTERNAL}/m", "Content-Length: 1000000"))

    assert (with_body.status, after.status, promised.status) == (200, 200, 200)


PATHS = [
    (f"{EXTERNAL}/a%3Ab", 200, ["a:b"]),
    (f"{EXTERNAL}/a+b", 200, ["a+b"]),
    (f"{EXTERNAL}/%E2%82%AC", 200, ["€"]),
    (f"{EXTERNAL}/..", 200, [".."]),
    (f"{EXTERNAL}/a%zz", 200, ["a%zz"]),
    (f"{EXTERNAL}/a%", 200, ["a%"]),
    (f"{EXTERNAL}/a%2Fb", 404, []),
    (f"{EXTERNAL}/a%00b", 400, []),
    (f"{EXTERNAL}/%FF%FE", 400, []),
    (f"{EXTERNAL}/%C3%28", 400, []),
    ("/apis/external.metrics.k8s.io/v1beta1/namespaces//m", 404, []),
    ("//apis", 404, []),
    ("/..//../etc/passwd", 404, []),
    ("/%00", 404, []),
    ("*", 404, []),
    ("/livez?%00&%FF=%zz;&&==", 200, []),
    ("https://elsewhere.example/livez", 200, []),
]


@pytest.mark.parametrize(("path", "status", "asked"), PATHS)
async def test_strange_paths(folder: Path, path: str, status: int, asked: list[str]) -> None:
    """Whatever stands in a path is text: it is answered, and nothing of it is lost or invented on the way."""
    async with running(folder) as server:
        received = await server.ask(get(path))

        assert received.status == status
        assert server.provider.asked == asked


@pytest.mark.parametrize(
    ("size", "status"), [(60_000, 200), (65_000, 200), (70_000, 400), (900_000, 400), (3_000_000, 431)]
)
async def test_long_queries(folder: Path, size: int, status: int) -> None:
    """A query of almost 64 KiB is read to its end, and a longer one is refused, however long it is."""
    values = ",".join(f"v{number:06}" for number in range(size // 8))

    async with running(folder) as server, await server.connect() as connection:
        received = await connection.ask(get(f"{EXTERNAL}/m?labelSelector=a+in+({values})"))

    assert received.status == status


async def test_requests_sent_at_once(folder: Path) -> None:
    """Requests that are sent without waiting are answered in their order."""
    async with running(folder) as server, await server.connect() as connection:
        connection.writer.write(b"".join(get(f"{EXTERNAL}/m{number}") for number in range(20)))
        statuses = [(await connection.receive()).status for _ in range(20)]

        assert server.provider.asked == [f"m{number}" for number in range(20)]
    assert statuses == [200] * 20


async def test_client_that_leaves(folder: Path) -> None:
    """A client that leaves takes nothing with it: what it asked for is finished."""
    async with running(folder) as server:
        release = asyncio.Event()
        server.provider.before = release.wait
        async with await server.connect() as connection:
            connection.writer.write(get(f"{EXTERNAL}/m"))
            await server.provider.entered.wait()

        release.set()
        server.provider.before = None
        assert (await server.ask(get(f"{EXTERNAL}/other"))).status == 200

        assert server.provider.finished == 2


async def test_sigterm_drains(folder: Path) -> None:
    """On SIGTERM a request that is under way gets its answer, idle connections end, and the exit code is 0."""
    async with running(folder) as server, await server.connect() as idle, await server.connect() as busy:
        release = asyncio.Event()
        server.provider.before = release.wait
        await idle.ask(get("/livez"))
        busy.writer.write(get(f"{EXTERNAL}/m"))
        await server.provider.entered.wait()

        signal.raise_signal(signal.SIGTERM)
        assert await idle.reader.read() == b""
        release.set()
        received = await busy.receive()

        assert received.status == 200
        assert received.headers["connection"] == "close"
        assert await server.task == 0
        with pytest.raises(OSError, match=r"refused|reset|Connect call failed"):
            await server.connect()


def pooled_connection(port: int, trusted: Path) -> ssl.SSLSocket:
    """Return a connection after one request, kept as HTTP clients keep theirs: open, and read by nobody."""
    context = ssl.create_default_context(cafile=str(trusted))
    connection = context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost")
    connection.sendall(get("/version"))
    assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    return connection


async def test_a_pooled_connection_does_not_hold_up_the_end(folder: Path) -> None:
    """A client that never answers the goodbye of its idle TLS connection is left, long before the drain's limit."""
    async with running(folder, drain_seconds=60) as server:
        with await asyncio.to_thread(pooled_connection, server.port, server.trusted):
            server.shutdown.begin()

            async with asyncio.timeout(20):
                code = await server.task

    assert code == 0


async def test_readiness_fails_before_the_end(folder: Path) -> None:
    """After SIGTERM requests are still taken for the delay, while readiness says that they should go elsewhere."""
    async with running(folder, shutdown_delay_seconds=LONG) as server:
        assert (await server.ask(get("/readyz"))).status == 200
        signal.raise_signal(signal.SIGTERM)
        await server.shutdown.wait()

        ready = await server.ask(get("/readyz"))
        assert (ready.status, ready.body) == (500, b"[-]shutdown failed: reason withheld\nreadyz check failed\n")
        assert (await server.ask(get("/livez"))).status == 200
        assert (await server.ask(get(f"{EXTERNAL}/m"))).status == 200


async def test_second_signal(folder: Path) -> None:
    """A second signal does not wait for anybody, and the exit code says so."""
    async with running(folder, shutdown_delay_seconds=LONG) as server, await server.connect() as busy:
        server.provider.before = asyncio.Event().wait
        busy.writer.write(get(f"{EXTERNAL}/m"))
        await server.provider.entered.wait()

        signal.raise_signal(signal.SIGTERM)
        await server.shutdown.wait()
        signal.raise_signal(signal.SIGINT)

        assert await server.task == 1


async def test_signals_are_given_back(folder: Path) -> None:
    """After the end signals mean what they meant before."""
    before = signal.getsignal(signal.SIGTERM)

    async with running(folder) as server:
        server.shutdown.begin()
        assert await server.task == 0

    assert signal.getsignal(signal.SIGTERM) == before


async def test_listener_of_all_interfaces(folder: Path) -> None:
    """A socket that others can reach is refused, whoever opened it."""
    listener = socket.create_server(("0.0.0.0", 0))  # noqa: S104 - it is refused
    options = ServeOptions(tls=TlsOptions(cert_dir=str(folder)))

    with pytest.raises(ConfigError):
        await serve(build_app, options, shutdown=Shutdown(), clock=time.time, listener=listener)

    assert listener.fileno() == -1
