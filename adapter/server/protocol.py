"""How patient the server is with a connection that does not get to the point, or to its end.

uvicorn bounds neither how long a client may take to send the head of a request nor how large that head may be; the API
servers of Kubernetes bound both. No path reads a body, so what follows a head is skipped, up to a bound of its own.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from adapter.kube.documents import status
from adapter.server.auth import PeerCertificate
from adapter.server.negotiation import encode

HEAD_TIMEOUT_SECONDS = 32.0  # ReadHeaderTimeout of k8s.io/apiserver
MAX_HEAD_BYTES = 1 << 20  # MaxHeaderBytes of net/http
# Bodies and trailers are skipped; a client that sends more of them than net/http would skip after an answer is cut off.
MAX_BODY_BYTES = 256 * 1024
# Requests of one connection that wait for the answer to the first: kube-apiserver's client sends one at a time.
MAX_PIPELINED = 32
# How long a client may take to read an answer, and to read it while the server drains: the first is what kube-apiserver
# itself allows a request, the second fits into the drain.
READ_TIMEOUT_SECONDS = 60.0
DRAIN_READ_TIMEOUT_SECONDS = 5.0
# How long a client that has read all may take to answer that we close its TLS connection: a pooled one that nobody
# reads never does, and the drain would wait for it.
FAREWELL_SECONDS = 0.5

_BAD_REQUEST, _HEAD_TOO_LARGE = 400, 431


class PatientProtocol(PeerCertificate, HttpToolsProtocol):
    """HTTP/1.1 over one connection, with limits on the time and the size of each request."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_timer: asyncio.TimerHandle | None = None
        self._read_bytes = 0  # of the head, or of what follows it
        self._in_head = True
        self._is_read = True  # the request that is answered now, to its end
        self._is_deaf = False  # nothing that comes is read any more
        self._draining = False
        self._read_timer: asyncio.TimerHandle | None = None
        self._farewell_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        for timer in (self._read_timer, self._farewell_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; a request that is too large ends the connection."""
        if self._is_deaf or self.transport.is_closing():
            return  # what was refused is not read on
        if not self._in_head and self._is_idle():
            self._await_head()  # blank lines may precede a request, but they do not keep a connection open
        self._read_bytes += len(data)
        if self._in_head and self._read_bytes > MAX_HEAD_BYTES:
            self._refuse(_HEAD_TOO_LARGE, f"the head of the request is larger than {MAX_HEAD_BYTES} bytes")
            return
        if not self._in_head and self._read_bytes > MAX_BODY_BYTES:
            self.transport.abort()
            return
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Begin to wait for the head of a further request."""
        super().on_message_begin()
        if not self._in_head:
            self._await_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field of the head; trailers, which come after a body, are no part of it."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Stop waiting: the head is there."""
        self._stop_waiting()
        self._in_head, self._read_bytes, self._is_read = False, 0, False
        if len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError("too many requests wait for their answers")  # the parser stops, and uvicorn refuses
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Skip a part of a body."""

    def on_message_complete(self) -> None:
        """Note that the request was read to its end."""
        self._is_read, self._read_bytes = True, 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be understood."""
        self._refuse(_BAD_REQUEST, msg)

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection on which no request came, or not all of one."""
        super().timeout_keep_alive_handler()
        self._part_from_closing()

    def pause_writing(self) -> None:
        """Begin to wait for a client that does not read what was written."""
        super().pause_writing()
        self._await_reader()

    def resume_writing(self) -> None:
        """Stop waiting for a client that reads."""
        if self._read_timer is not None:
            self._read_timer.cancel()
        super().resume_writing()

    def shutdown(self) -> None:
        """Close the connection now if it is idle, else after the response that is under way."""
        self._draining = True
        super().shutdown()
        if self.flow.write_paused:
            self._await_reader()
        self._part_from_closing()

    def abort(self) -> None:
        """Close the connection without waiting for anything."""
        self.transport.abort()

    def on_response_complete(self) -> None:
        """Go on with the next request, or say goodbye: also to a client that has not sent all of the last one."""
        if not self._is_read and not self.pipeline:
            self.transport.close()
        super().on_response_complete()
        if self._draining or self.transport.is_closing():
            self._part_from_closing()

    def _unsupported_upgrade_warning(self) -> None:
        """Answer as if no other protocol had been asked for, and close, since the parser reads no further."""
        self._is_deaf = True
        self.cycle.keep_alive = False

    def _refuse(self, code: int, message: str) -> None:
        """Answer with a Status, and close; if answers to earlier requests are due, let these be the last."""
        if self.transport.is_closing():
            return
        self._stop_waiting()
        self._is_deaf = True
        if not self._is_idle():
            self.cycle.keep_alive = False
            return
        body = encode(status(code=code, reason="BadRequest" if code == _BAD_REQUEST else "", message=message))
        head = (
            b"content-type: application/json\r\n"
            b"content-length: %d\r\n"
            b"connection: close\r\n\r\n" % len(body)
        )  # fmt: skip
        self.transport.write(STATUS_LINE[code] + head + body)
        self.transport.close()
        self._part_from_closing()

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _await_reader(self) -> None:
        if self._read_timer is not None:
            self._read_timer.cancel()
        self._read_timer = self.loop.call_later(self._patience_seconds, self.transport.abort)

    @property
    def _patience_seconds(self) -> float:
        return DRAIN_READ_TIMEOUT_SECONDS if self._draining else READ_TIMEOUT_SECONDS

    def _part_from_closing(self) -> None:
        if self.transport.is_closing():
            self._part(self._patience_seconds)

    def _part(self, patience_seconds: float) -> None:
        """Look soon whether a connection that is being closed has anything left to write; if not, it is cut off."""
        if self._farewell_timer is not None:
            self._farewell_timer.cancel()

        def look() -> None:
            if self.transport.get_write_buffer_size() and patience_seconds > 0:
                self._part(patience_seconds - FAREWELL_SECONDS)
            else:
                self.transport.abort()

        self._farewell_timer = self.loop.call_later(FAREWELL_SECONDS, look)

    def _await_head(self) -> None:
        self._stop_waiting()
        self._in_head = True
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_SECONDS, self.timeout_keep_alive_handler)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
