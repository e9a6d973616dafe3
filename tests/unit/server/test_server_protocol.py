"""How long and how much the server reads before a request has begun."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from adapter.server.protocol import HEAD_TIMEOUT_SECONDS, MAX_HEAD_BYTES, PatientProtocol

pytestmark = pytest.mark.anyio

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
KEEP_ALIVE_SECONDS = 90


@dataclass
class Timer:
    """A call that waits until the test makes it."""

    seconds: float
    call: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        """Forget the call."""
        self.cancelled = True


@dataclass
class Loop:
    """The running loop, whose timers the test holds."""

    timers: list[Timer] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def call_later(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Remember a call."""
        self.timers.append(Timer(seconds, call))
        return self.timers[-1]

    def create_task(self, coroutine: asyncio._CoroutineLike[None]) -> asyncio.Task[None]:
        """Start a task."""
        self.tasks.append(asyncio.get_running_loop().create_task(coroutine))
        return self.tasks[-1]

    @property
    def pending(self) -> list[float]:
        """Return the times of the calls that are to come."""
        return [timer.seconds for timer in self.timers if not timer.cancelled]


@dataclass
class Transport:
    """A connection that goes nowhere."""

    written: bytes = b""
    closed: bool = False

    def get_extra_info(self, _name: str) -> None:
        """Know nothing."""

    def is_closing(self) -> bool:
        """Tell whether it has been closed."""
        return self.closed

    def close(self) -> None:
        """Close."""
        self.closed = True

    def write(self, data: bytes) -> None:
        """Keep what is written."""
        self.written += data


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with nothing."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body"})


def connected() -> tuple[PatientProtocol, Loop, Transport]:
    """Return a connection that has just been made."""
    config = uvicorn.Config(
        app,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    loop, transport = Loop(), Transport()
    protocol = PatientProtocol(config=config, server_state=ServerState(), app_state={}, _loop=loop)
    protocol.connection_made(transport)
    return protocol, loop, transport


async def test_silent_client() -> None:
    """A client that says nothing is waited for 32 seconds."""
    _, loop, transport = connected()
    (timer,) = loop.timers

    timer.call()

    assert (timer.seconds, transport.closed) == (HEAD_TIMEOUT_SECONDS, True)


async def test_slow_client() -> None:
    """A client that sends a head byte by byte is not given more time for it."""
    protocol, loop, _ = connected()

    for byte in REQUEST[:-1]:
        protocol.data_received(bytes([byte]))

    assert len(loop.timers) == 1
    assert loop.pending == [HEAD_TIMEOUT_SECONDS]


async def test_request_is_not_limited() -> None:
    """Once the head is there, the request takes what it takes; then the connection may idle for the keep-alive time."""
    protocol, loop, transport = connected()

    protocol.data_received(REQUEST)
    assert loop.pending == []
    await asyncio.gather(*loop.tasks)

    assert loop.pending == [KEEP_ALIVE_SECONDS]
    assert transport.written.startswith(b"HTTP/1.1 200 OK\r\n")


async def test_next_head() -> None:
    """The head of a further request has as much time as that of the first."""
    protocol, loop, transport = connected()
    protocol.data_received(REQUEST)
    await asyncio.gather(*loop.tasks)

    protocol.data_received(REQUEST[:10])

    assert loop.pending == [HEAD_TIMEOUT_SECONDS]
    loop.timers[-1].call()
    assert transport.closed


async def test_client_that_leaves() -> None:
    """A connection that is lost is not waited for."""
    protocol, loop, _ = connected()

    protocol.connection_lost(None)

    assert loop.pending == []


async def test_large_head() -> None:
    """A head of more than 1 MiB is refused while it is still coming, also in one field without an end."""
    protocol, _, transport = connected()

    protocol.data_received(b"GET / HTTP/1.1\r\nX-Large: ")
    for _ in range(MAX_HEAD_BYTES // 4096):
        protocol.data_received(b"a" * 4096)

    assert transport.closed
    assert transport.written.startswith(b"HTTP/1.1 400 Bad Request\r\n")


async def test_many_requests() -> None:
    """The heads of one connection are not added up."""
    protocol, loop, transport = connected()
    request = REQUEST[:-2] + b"X-Filler: " + b"a" * (MAX_HEAD_BYTES // 4) + b"\r\n\r\n"

    for _ in range(8):
        protocol.data_received(request[:20])
        protocol.data_received(request[20:])
        await asyncio.gather(*loop.tasks)

    assert not transport.closed
    assert transport.written.count(b"HTTP/1.1 200 OK\r\n") == 8
