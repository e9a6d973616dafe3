"""Kept HTTP/1.1 connections that never wait, for clients that must cost little and know when each answer came."""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import httptools

_TIMEOUT_SECONDS = 30.0
_CHUNK = 65536
_HTTP1 = "http/1.1"
_LATER = (ssl.SSLWantReadError, BlockingIOError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where to ask, and as whom.

    Attributes:
        certificate, key: files of a client certificate, empty for none.
        protocols: what is offered (ALPN), by default what a Go client offers. This client speaks HTTP/1.1 alone, so a
            server that takes the other offer must be asked with this one only.
    """

    url: str
    certificate: str = ""
    key: str = ""
    headers: Mapping[str, str]
    protocols: Sequence[str] = ("h2", _HTTP1)

    def request(self, path: str, *, method: str = "GET", body: bytes = b"") -> bytes:
        """Return a request as it is sent."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {urlsplit(self.url).netloc}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if body:
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        return "\r\n".join([*lines, "", ""]).encode() + body

    def context(self) -> ssl.SSLContext | None:
        """Return how TLS is spoken, None if it is not; the server's certificate is not looked at."""
        if urlsplit(self.url).scheme != "https":
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(list(self.protocols))
        if self.certificate:
            context.load_cert_chain(self.certificate, self.key)
        return context


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer, and how long it took from the first byte of the request to its own last."""

    status: int
    body: bytes
    seconds: float


class Connection:
    """One connection with at most one request under way; `step` is called when the selector says so.

    The handshake is part of the first request, as it is for any client.
    """

    def __init__(self, target: Target, context: ssl.SSLContext | None) -> None:
        parts = urlsplit(target.url)
        address = (parts.hostname or "", parts.port or 80)
        plain = socket.create_connection(address, timeout=_TIMEOUT_SECONDS)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.setblocking(False)  # noqa: FBT003 - the standard library's
        self.socket: socket.socket = plain
        self._tls: ssl.SSLSocket | None = None
        if context is not None:
            self.socket = self._tls = context.wrap_socket(plain, do_handshake_on_connect=False)
        self._shaken = context is None
        self._out = b""
        self._begin = 0.0
        self._body: list[bytes] = []
        self._complete = False
        self._parser = httptools.HttpResponseParser(self)

    @property
    def protocol(self) -> str:
        """What was agreed on, after the first answer."""
        return (self._tls.selected_alpn_protocol() or f"{_HTTP1}, no ALPN") if self._tls else f"{_HTTP1}, no TLS"

    def send(self, request: bytes) -> None:
        """Begin a request; the selector must wait for reading."""
        self._out, self._begin = request, time.perf_counter()
        self._body, self._complete = [], False
        self._parser = httptools.HttpResponseParser(self)
        with contextlib.suppress(*_LATER):
            self._push()

    def step(self) -> Answer | None:
        """Go on as far as possible, and return the answer when it is complete.

        Raises:
            ConnectionError: the server closed the connection.
            OSError: it cannot be spoken to.
        """
        try:
            self._push()
            while not self._complete:
                received = self.socket.recv(_CHUNK)
                if not received:
                    raise ConnectionError("the server closed the connection")
                self._parser.feed_data(received)
        except _LATER:
            return None
        seconds = time.perf_counter() - self._begin
        return Answer(status=self._parser.get_status_code(), body=b"".join(self._body), seconds=seconds)

    def _push(self) -> None:
        if not self._shaken and self._tls:
            self._tls.do_handshake()
            self._shaken = True
            if self._tls.selected_alpn_protocol() not in {None, _HTTP1}:
                raise ConnectionError("the server speaks HTTP/2, which this client does not")
        if self._out:
            # Requests are small: the kernel takes them whole.
            self.socket.sendall(self._out)
            self._out = b""

    def on_body(self, part: bytes) -> None:
        """Keep a part of the body; called by the parser."""
        self._body.append(part)

    def on_message_complete(self) -> None:
        """Note the end of the answer; called by the parser."""
        self._complete = True

    def close(self) -> None:
        """Close it."""
        self.socket.close()


def ask(target: Target, path: str, *, timeout_seconds: float = _TIMEOUT_SECONDS) -> Answer:
    """Ask once, over a connection of its own, and wait.

    Raises:
        TimeoutError: there was no answer in time.
        OSError: the server cannot be spoken to.
    """
    end = time.monotonic() + timeout_seconds
    connection = Connection(target, target.context())
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(connection.socket, selectors.EVENT_READ)
            connection.send(target.request(path))
            while time.monotonic() < end:
                if selector.select(max(0.0, end - time.monotonic())) and (answer := connection.step()):
                    return answer
        raise TimeoutError(f"{path}: no answer within {timeout_seconds:g} s")
    finally:
        connection.close()
