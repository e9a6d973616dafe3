"""How patient the server is with a connection that does not get to the point, or to its end.

uvicorn bounds neither how long a client may take to send the head of a request nor how large that head may be; the API
servers of Kubernetes bound both.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_TIMEOUT_SECONDS = 32.0  # ReadHeaderTimeout of k8s.io/apiserver
MAX_HEAD_BYTES = 1 << 20  # MaxHeaderBytes of net/http
# How long a client may take to answer that we close its TLS connection: a pooled one that nobody reads never does, and
# the drain would wait for it.
FAREWELL_SECONDS = 0.5


class PatientProtocol(HttpToolsProtocol):
    """HTTP/1.1 over one connection, with limits on the time and the size of each request's head."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._in_head = True
        self._draining = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; a head that is too large ends the connection."""
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self.send_400_response("Request head is too large.")
                return
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Begin to wait for the head of a further request."""
        super().on_message_begin()
        if not self._in_head:
            self._await_head()

    def on_headers_complete(self) -> None:
        """Stop waiting: the head is there."""
        self._stop_waiting()
        self._in_head, self._head_bytes = False, 0
        super().on_headers_complete()

    def shutdown(self) -> None:
        """Close the connection now if it is idle, else after the response that is under way."""
        self._draining = True
        super().shutdown()
        self._part_from_closing()

    def on_response_complete(self) -> None:
        """Go on with the next request, or say goodbye."""
        super().on_response_complete()
        if self._draining:
            self._part_from_closing()

    def _part_from_closing(self) -> None:
        if self.transport.is_closing():
            self.loop.call_later(FAREWELL_SECONDS, self.transport.abort)

    def _await_head(self) -> None:
        self._in_head = True
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_SECONDS, self.timeout_keep_alive_handler)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
