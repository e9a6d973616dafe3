"""What a fuzzer sends, byte by byte, and the answers as they come back: nothing is repaired on either way."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from io import BufferedReader
from typing import Final, Literal

PATIENCE_SECONDS: Final = 30.0  # above every deadline of the adapter; who waits so long waits for nothing

# Whose certificate is shown. A forged one is of an authority that nobody trusts; `no tls` does not even begin to.
Caller = Literal["nobody", "master", "proxy", "wrong proxy", "groups", "forged", "no tls"]

_STATUS_LINE: Final = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2}) [\x20-\x7e]*\r\n")
_HEADER: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([\t\x20-\x7e\x80-\xff]*)\r\n")
_MAX_LINE_BYTES: Final = 1 << 16
# What ends a connection whatever came before it on it: a request of its own, or the rest of one that was cut off.
_LAST: Final = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class BrokenAnswerError(Exception):
    """What came back is no complete answer; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request that is HTTP, though it may ask for anything."""

    caller: Caller
    method: str
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""

    def values(self, name: bytes) -> list[bytes]:
        """Return the values of a header, as they are understood."""
        return [value.strip(b" \t") for key, value in self.headers if key.lower() == name]

    @property
    def written(self) -> bytes:
        """The request as it is sent."""
        lines = [b"%s: %s\r\n" % header for header in self.headers]
        if self.body:
            lines.append(b"Content-Length: %d\r\n" % len(self.body))
        head = b"%s %s HTTP/1.1\r\nHost: localhost\r\n" % (self.method.encode(), self.target)
        return b"".join([head, *lines, b"\r\n", self.body])


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """Bytes that need not be HTTP, on a connection of their own."""

    caller: Caller
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer; names of headers are in lower case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        """Return the value of a header that may be there once.

        Raises:
            BrokenAnswerError: it is there more than once.
        """
        found = [value for key, value in self.headers if key == name]
        if len(found) > 1:
            raise BrokenAnswerError(f"{name} is there {len(found)} times")
        return found[0] if found else ""

    @property
    def is_last(self) -> bool:
        """Whether the connection ends with it."""
        return self.header("connection").lower() == "close"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the adapter listens, and how each caller opens a connection."""

    port: int
    contexts: Mapping[Caller, ssl.SSLContext]

    def connect(self, caller: Caller) -> socket.socket:
        """Open a connection."""
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_SECONDS)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if caller == "no tls":
            return plain
        try:
            return self.contexts[caller].wrap_socket(plain, server_hostname="localhost")
        except BaseException:
            plain.close()
            raise


@dataclass(slots=True)
class Client:
    """Keeps one connection for each caller; one thread at a time may use it."""

    address: Address
    _open: dict[Caller, tuple[socket.socket, BufferedReader]] = field(default_factory=dict)

    def ask(self, request: Request) -> Answer:
        """Send a request, and return the answer.

        Raises:
            BrokenAnswerError: no complete answer came.
            OSError: the connection broke, or nothing came in time.
        """
        connection, reader = self._connection(request.caller)
        try:
            connection.sendall(request.written)
            answer = _needed(_read(reader, has_no_body=request.method == "HEAD"))
        except BaseException:
            self._drop(request.caller)
            raise
        # The adapter does not wait for a body, and ends the connection if the answer was there first.
        if answer.is_last or request.body:
            self._drop(request.caller)
        return answer

    def send(self, raw: Raw) -> list[Answer]:
        """Send bytes over a new connection, and return all answers until the other side closes it.

        Raises:
            BrokenAnswerError: what came is no sequence of complete answers.
            OSError: nothing came in time.
        """
        with self.address.connect(raw.caller) as connection, connection.makefile("rb") as reader:
            with suppress(ConnectionError):  # it may be closed before all was sent; what came is there all the same
                connection.sendall(raw.data + _LAST)
            answers: list[Answer] = []
            while answer := _read(reader):
                answers.append(answer)
            return answers

    def is_turned_away(self, raw: Raw) -> bool:
        """Send bytes over a connection that TLS must end, and tell whether it did so without a word of HTTP.

        Raises:
            TimeoutError: it stayed open.
        """
        try:
            with self.address.connect(raw.caller) as connection:
                connection.sendall(raw.data + _LAST)
                return not connection.recv(_MAX_LINE_BYTES).startswith(b"HTTP")
        except (ConnectionError, ssl.SSLError):
            return True

    def close(self) -> None:
        """Close all connections."""
        for caller in list(self._open):
            self._drop(caller)

    def _connection(self, caller: Caller) -> tuple[socket.socket, BufferedReader]:
        if caller not in self._open:
            connection = self.address.connect(caller)
            self._open[caller] = connection, connection.makefile("rb")
        return self._open[caller]

    def _drop(self, caller: Caller) -> None:
        connection, reader = self._open.pop(caller)
        reader.close()
        connection.close()


def _read(reader: BufferedReader, *, has_no_body: bool = False) -> Answer | None:
    """Read one answer; None at the end of the connection."""
    line = reader.readline(_MAX_LINE_BYTES)
    if not line:
        return None
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        raise BrokenAnswerError(f"this is no status line: {line[:100]!r}")
    answer = Answer(status=int(match[1]), headers=tuple(_headers(reader)), body=b"")
    length = answer.header("content-length")
    if answer.header("transfer-encoding") or not length.isdecimal():
        raise BrokenAnswerError(f"the length is not announced: {answer.headers}")
    if has_no_body or answer.status == 304:
        return answer
    body = reader.read(int(length))
    if len(body) < int(length):
        raise BrokenAnswerError(f"{len(body)} of {length} bytes came: {body[-100:]!r}")
    return Answer(status=answer.status, headers=answer.headers, body=body)


def _needed(answer: Answer | None) -> Answer:
    if answer is None:
        raise BrokenAnswerError("the connection was closed without an answer")
    return answer


def _headers(reader: BufferedReader) -> list[tuple[str, str]]:
    found = []
    while (line := reader.readline(_MAX_LINE_BYTES)) != b"\r\n":
        match = _HEADER.fullmatch(line)
        if match is None:
            raise BrokenAnswerError(f"this is no header: {line[:100]!r}")
        found.append((match[1].decode().lower(), match[2].decode("latin-1")))
    return found
