"""How long and how much the server reads before a request has begun."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from adapter.server.protocol import (
    DRAIN_READ_TIMEOUT_SECONDS,
    FAREWELL_SECONDS,
    HEAD_TIMEOUT_SECONDS,
    MAX_BODY_BYTES,
    MAX_HEAD_BYTES,
    MAX_PIPELINED,
    READ_TIMEOUT_SECONDS,
    PatientProtocol,
)

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

    def fire(self) -> None:
        """Make the call."""
        self.cancelled = True
        self.call()


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
    aborted: bool = False
    unread: int = 0

    def get_extra_info(self, _name: str) -> None:
        """Know nothing."""

    def is_closing(self) -> bool:
        """Tell whether it has been closed."""
        return self.closed

    def close(self) -> None:
        """Close."""
        self.closed = True

    def abort(self) -> None:
        """Close without a word."""
        self.closed = self.aborted = True

    def get_write_buffer_size(self) -> int:
        """Return how many bytes the client has not taken yet."""
        return self.unread

    def pause_reading(self) -> None:
        """Read no more for now."""

    def resume_reading(self) -> None:
        """Read on."""

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
    protocol.connection_made(cast("asyncio.Transport", transport))
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
    assert transport.written.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert b'"message":"the head of the request is larger than 1048576 bytes","code":431}' in transport.written


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


async def test_what_is_no_http_gets_a_status() -> None:
    """Bytes that are no request are refused with a Status."""
    protocol, _, transport = connected()

    protocol.data_received(b"HELLO\r\n\r\n")

    assert transport.closed
    assert transport.written.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b'"reason":"BadRequest","code":400}' in transport.written


CHUNKED = b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"


async def test_trailers_are_no_headers() -> None:
    """What comes after a body in the form of headers is not among them."""
    protocol, loop, transport = connected()

    protocol.data_received(CHUNKED + b"1\r\na\r\n0\r\nX-Remote-User: admin\r\n\r\n")
    await asyncio.gather(*loop.tasks)

    assert [name for name, _ in protocol.headers] == [b"host", b"transfer-encoding"]
    assert not transport.closed


@pytest.mark.parametrize("piece", [b"1\r\na\r\n", b"0\r\nX: " + b"y" * 4096, b"y" * 4096], ids=["body", "field", "end"])
async def test_endless_request(piece: bytes) -> None:
    """A body, or trailers, without an end are cut off."""
    protocol, _, transport = connected()
    protocol.data_received(CHUNKED)
    if piece.startswith(b"y"):
        protocol.data_received(b"0\r\nX: ")

    for _ in range(MAX_BODY_BYTES // len(piece) + 1):
        protocol.data_received(piece)

    assert transport.closed


async def test_answered_before_the_body_came() -> None:
    """A client that has its answer and has not sent all of its request is not waited for."""
    protocol, loop, transport = connected()

    protocol.data_received(REQUEST[:-2] + b"Content-Length: 10\r\n\r\nhalf")
    await asyncio.gather(*loop.tasks)

    assert transport.written.startswith(b"HTTP/1.1 200 OK\r\n")
    assert transport.closed


async def test_pipelined_requests_are_answered() -> None:
    """Requests that come together are answered one after the other."""
    protocol, loop, transport = connected()

    protocol.data_received(REQUEST * 5)
    while loop.tasks:
        await loop.tasks.pop(0)

    assert transport.written.count(b"HTTP/1.1 200 OK\r\n") == 5
    assert not transport.closed


async def answered(loop: Loop) -> None:
    """Return once every request has its answer."""
    while loop.tasks:
        await loop.tasks.pop(0)


async def test_too_many_pipelined_requests() -> None:
    """A client that sends request after request and reads no answer is served so many, and then no more."""
    protocol, loop, transport = connected()

    protocol.data_received(REQUEST * (MAX_PIPELINED + 2))
    protocol.data_received(REQUEST)
    await answered(loop)

    assert transport.written.count(b"HTTP/1.1 200 OK\r\n") == MAX_PIPELINED + 1
    assert transport.closed


async def test_nonsense_after_a_request() -> None:
    """What cannot be understood ends the connection, and takes no answer away that is due before."""
    protocol, loop, transport = connected()

    protocol.data_received(REQUEST + b"HELLO\r\n\r\n")
    assert (transport.written, transport.closed) == (b"", False)
    await answered(loop)

    assert transport.written.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"connection: close\r\n" in transport.written
    assert transport.closed


async def test_upgrade(caplog: pytest.LogCaptureFixture) -> None:
    """Who asks for another protocol is answered in this one, and nothing is logged; it is the last answer."""
    protocol, loop, transport = connected()

    protocol.data_received(REQUEST[:-2] + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    protocol.data_received(b"\x81\x00")
    await answered(loop)

    assert transport.written.startswith(b"HTTP/1.1 200 OK\r\n")
    assert transport.closed
    assert caplog.messages == []


async def test_blank_lines() -> None:
    """Blank lines between requests keep no connection open: they are the beginning of a head."""
    protocol, loop, transport = connected()
    protocol.data_received(REQUEST)
    await answered(loop)

    for _ in range(3):
        protocol.data_received(b"\r\n")

    assert loop.pending == [HEAD_TIMEOUT_SECONDS]
    protocol.data_received(REQUEST)
    await answered(loop)
    assert loop.pending == [KEEP_ALIVE_SECONDS]
    assert not transport.closed


async def test_client_that_does_not_read() -> None:
    """A client that does not read its answer is cut off after a minute; one that does is not."""
    protocol, loop, transport = connected()
    protocol.pause_writing()
    protocol.resume_writing()
    assert READ_TIMEOUT_SECONDS not in loop.pending

    protocol.pause_writing()
    loop.timers[-1].fire()

    assert loop.timers[-1].seconds == READ_TIMEOUT_SECONDS
    assert transport.aborted


async def test_client_that_does_not_read_while_the_server_drains() -> None:
    """While the server drains, a client has only seconds to read."""
    protocol, loop, transport = connected()
    protocol.data_received(REQUEST)
    protocol.pause_writing()

    protocol.shutdown()
    assert not transport.closed
    assert loop.pending == [DRAIN_READ_TIMEOUT_SECONDS]
    loop.timers[-1].fire()

    assert transport.aborted
    protocol.connection_lost(None)
    await answered(loop)


async def test_farewell() -> None:
    """A connection that is closed is cut off soon, but not before the client has taken what was written."""
    protocol, loop, transport = connected()
    protocol.data_received(REQUEST)
    await answered(loop)
    transport.unread = 1

    protocol.shutdown()
    assert loop.timers[-1].seconds == FAREWELL_SECONDS
    loop.timers[-1].fire()
    assert (transport.closed, transport.aborted) == (True, False)
    transport.unread = 0
    loop.timers[-1].fire()

    assert transport.aborted


async def test_endless_farewell() -> None:
    """A client that takes nothing more is not waited for without end."""
    protocol, loop, transport = connected()
    transport.unread = 1

    protocol.shutdown()
    waited = 0.0
    while not transport.aborted:
        waited += loop.timers[-1].seconds
        loop.timers[-1].fire()

    assert waited == DRAIN_READ_TIMEOUT_SECONDS + FAREWELL_SECONDS
