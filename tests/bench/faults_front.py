"""A front before Prometheus that can fail in the ways a network, a proxy and a server do.

    python -m bench.faults_front PORT CONTROL_PORT

It listens on PORT once it is told of a server. A line to CONTROL_PORT says what to do from now on, with requests on open
connections too: `upstream PORT`, or a way of `WAYS` with its number; back comes how many requests there were so far.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httptools

_HOST: Final = "127.0.0.1"
_CHUNK: Final = 65536
_DRIP_BYTES: Final = 256
_STATUSES: Final = ("500 Internal Server Error", "502 Bad Gateway", "503 Service Unavailable", "429 Too Many Requests")
# What a proxy may say in Prometheus' place with a status that means success.
_PAGES: Final = (
    b"<html><body>Please log in</body></html>",
    b"",
    b'{"status":"success"}',
    b'{"status":"success","data":null}',
    b"[]",
)
_LENGTH: Final = b"content-length:"
_COMPRESSED: Final = b"accept-encoding:"
_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER with no time: closing sends a reset


@dataclass(slots=True)
class _Response:
    """Reads one response of Prometheus: as it came, and its body by itself; called by the parser."""

    raw: bytearray = field(default_factory=bytearray)
    body: bytearray = field(default_factory=bytearray)
    complete: bool = False

    def on_body(self, part: bytes) -> None:
        """Keep a part of the body."""
        self.body += part

    def on_message_complete(self) -> None:
        """Note the end."""
        self.complete = True


class _ResetError(Exception):
    """The connection is to be reset."""


class Front:
    """Passes requests on, and answers back in the way that is set."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._upstream = 0
        self._way, self._number = "pass", 0.0
        self._requests = 0
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one line of orders."""
        word, _, number = (await reader.readline()).decode().strip().partition(" ")
        if word == "upstream":
            self._upstream = int(number)
        elif word in WAYS:
            self._way, self._number = word, float(number or 0)
        elif word != "count":
            raise ValueError(word)
        await self._listen(wanted=bool(self._upstream) and self._way != "refuse")
        writer.write(f"{self._requests}\n".encode())
        await writer.drain()
        writer.close()

    async def _listen(self, *, wanted: bool) -> None:
        if wanted and self._server is None:
            self._server = await asyncio.start_server(self.serve, _HOST, self._port)
        elif not wanted and self._server is not None:
            self._server.close()
            self._server = None
            for one in list(self._open):
                _reset(one)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until either side closes it."""
        self._open.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self._requests += 1
                request = _plain(head) + await reader.readexactly(_body_length(head))
                await self._answer(request, reader, writer)
        except (asyncio.IncompleteReadError, OSError):
            pass
        except _ResetError:
            _reset(writer)
        finally:
            self._open.discard(writer)
            writer.close()

    async def _answer(self, request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asking = asyncio.ensure_future(self._fetched(request))
        gone = asyncio.ensure_future(reader.read(1))  # a caller sends nothing before it has an answer, so it has left
        try:
            await asyncio.wait([asking, gone], return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                raise _ResetError
            response = asking.result()
            gone.cancel()
            await asyncio.wait([gone])
            way, number = WAYS[self._way], self._number
            await way(_Answering(response=response, writer=writer, number=number, round=self._requests))
        finally:
            for one in (asking, gone):
                one.cancel()

    async def _fetched(self, request: bytes) -> _Response:
        """Return Prometheus' answer; whatever happens to it there happens to the caller's connection."""
        response = _Response()
        try:
            reader, writer = await asyncio.open_connection(_HOST, self._upstream)
        except OSError as error:
            raise _ResetError from error
        parser = httptools.HttpResponseParser(response)
        try:
            writer.write(request)
            await writer.drain()
            while not response.complete:
                part = await reader.read(_CHUNK)
                if not part:
                    raise _ResetError
                response.raw += part
                parser.feed_data(part)
        except OSError as error:
            raise _ResetError from error
        finally:
            writer.close()
        return response


# ---- ways to answer


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answering:
    """An answer on its way: `number` is the way's own, `round` grows with each request."""

    response: _Response
    writer: asyncio.StreamWriter
    number: float
    round: int

    async def send(self, content: bytes) -> None:
        """Send so much."""
        self.writer.write(content)
        await self.writer.drain()

    async def send_document(self, body: bytes, status: str = "200 OK", header: str = "") -> None:
        """Send a whole answer."""
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{header}\r\n"
        await self.send(head.encode() + body)


async def _pass(answering: _Answering) -> None:
    await answering.send(bytes(answering.response.raw))


async def _delay(answering: _Answering) -> None:
    """Hold an answer back for so many seconds."""
    await asyncio.sleep(answering.number)
    await _pass(answering)


async def _drip(answering: _Answering) -> None:
    """Send an answer in small pieces with so many seconds between them."""
    raw = bytes(answering.response.raw)
    for begin in range(0, len(raw), _DRIP_BYTES):
        await answering.send(raw[begin : begin + _DRIP_BYTES])
        await asyncio.sleep(answering.number)


async def _half_then_reset(answering: _Answering) -> None:
    raw = bytes(answering.response.raw)
    await answering.send(raw[: len(raw) // 2])
    raise _ResetError


async def _half(answering: _Answering) -> None:
    """Send half an answer: in turn with a close where more was promised, and in a frame that looks whole."""
    if answering.round % 2:
        body = bytes(answering.response.body)
        await answering.send_document(body[: len(body) // 2])
        return
    raw = bytes(answering.response.raw)
    await answering.send(raw[: len(raw) // 2])
    raise ConnectionError  # which closes it


async def _status(answering: _Answering) -> None:
    """Answer with the statuses of servers and proxies in trouble, in turn."""
    status = _STATUSES[answering.round % len(_STATUSES)]
    await answering.send_document(b"<html>no</html>", status, "Retry-After: 30\r\n")


async def _page(answering: _Answering) -> None:
    """Answer with success and something that is no answer, in turn."""
    await answering.send_document(_PAGES[answering.round % len(_PAGES)])


async def _warned(answering: _Answering) -> None:
    """Leave out half of what an answer lists, and warn of it, as Thanos does when a store is away."""
    document = json.loads(answering.response.body)
    data = document.get("data")
    listed: Any = data.get("result") if isinstance(data, dict) else data
    if isinstance(listed, list):
        del listed[len(listed) // 2 :]
    document["warnings"] = ["no store matched for this query"]
    await answering.send_document(json.dumps(document).encode())


async def _refuse(_answering: _Answering) -> None:
    raise _ResetError


WAYS: Final[Mapping[str, Callable[[_Answering], Awaitable[None]]]] = {
    "pass": _pass,
    "delay": _delay,
    "drip": _drip,
    "reset": _half_then_reset,
    "half": _half,
    "status": _status,
    "page": _page,
    "warned": _warned,
    "refuse": _refuse,
}


def _reset(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


def _plain(head: bytes) -> bytes:
    """Return a request's head that asks for an answer which is not compressed, so that it can be changed."""
    return b"\r\n".join(line for line in head.split(b"\r\n") if not line.lower().startswith(_COMPRESSED))


def _body_length(head: bytes) -> int:
    lines = head.split(b"\r\n")
    return next((int(line.partition(b":")[2]) for line in lines if line.lower().startswith(_LENGTH)), 0)


async def _main(port: int, control_port: int) -> None:
    async with await asyncio.start_server(Front(port).control, _HOST, control_port) as server:
        await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main(int(sys.argv[1]), int(sys.argv[2])))
