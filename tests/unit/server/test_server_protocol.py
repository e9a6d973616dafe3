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
    HEAD_TIMEOUT_SECONDS,
    MAX_BODY_BYTES,
    MAX_HEAD_BYTES,
    MAX_PIPELINED,
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

    def abort(self) -> None:
        """Close without a word."""
        self.closed = True

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


async def test_too_many_pipelined_requests() -> None:
    """A client that sends request after request and reads no answer is refused."""
    protocol, _, transport = connected()

    protocol.data_received(REQUEST * (MAX_PIPELINED + 2))

    assert transport.closed
