"""How `check` gets in: requests with our credentials and our TLS context; answers are bounded, and good or an error."""

from __future__ import annotations

import io
import json
import queue
import ssl
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from adapter.clients.credentials import Credentials
from adapter.clients.options import PrometheusOptions
from adapter.errors import DeadlineExceeded, PrometheusUnavailable, QueryRejected, UpstreamError

_CHUNK_BYTES: Final = 65_536
# What a server says that understood the request and refuses it (Prometheus' HTTP API).
_REJECTED: Final = frozenset({400, 422})
# What proxies and older servers answer where a path is not offered, or not in this way.
_UNSUPPORTED: Final = frozenset({403, 404, 405, 414, 501})
# The most text of a server that a message repeats.
_MAX_MESSAGE_CHARACTERS: Final = 300


_Answered = tuple[requests.Response, tuple[str, ...]]


class NotOfferedError(Exception):
    """The server does not offer what was asked for."""


class Login(requests.auth.AuthBase):
    """Puts today's credentials into each request; being there, it keeps requests from looking into ~/.netrc."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Log one request in."""
        header = self._credentials.now().authorization
        if header is not None:
            request.headers["Authorization"] = header
        return request


class Door(HTTPAdapter):
    """Sends requests with our TLS context, reads bounded answers, and turns HTTP errors into ours."""

    def __init__(self, *, credentials: Credentials, options: PrometheusOptions, clock: Callable[[], float]) -> None:
        super().__init__(max_retries=Retry(0, read=False))
        self._credentials = credentials
        self._max_bytes = options.max_answer_bytes
        self._seconds = options.timeout_seconds
        self._clock = clock
        self.warnings: tuple[str, ...] = ()

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Hand our context to urllib3 instead of requests' own choice of authorities."""
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        identity = self._credentials.now()
        pool: dict[str, Any] = {"ssl_context": identity.context, "cert_reqs": identity.context.verify_mode}
        if identity.server_name:
            pool |= {"server_hostname": identity.server_name, "assert_hostname": identity.server_name}
        elif identity.context.verify_mode is ssl.CERT_NONE:
            pool["assert_hostname"] = False
        return host, pool if host["scheme"] == "https" else {}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Leave the connection as it is: the context knows whom to trust."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a request and read the whole answer, which must be good and there in time.

        Sockets limit each wait for a byte, and a server that drips ends none of them. So a thread sends and reads, and
        is left alone with what it has when its time is over: `check` gives up after a few such answers.
        """
        self.warnings = ()
        ended: queue.SimpleQueue[_Answered | BaseException] = queue.SimpleQueue()
        begun = threading.Event()

        def ask() -> None:
            try:
                ended.put(self._answered(request, begun, *args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - raised again where somebody waits for it
                ended.put(error)

        threading.Thread(target=ask, name="ask Prometheus", daemon=True).start()
        try:
            answered = ended.get(timeout=self._seconds)
        except queue.Empty:
            what = "no complete answer" if begun.is_set() else "no answer"
            raise DeadlineExceeded(f"{what} within {self._seconds:g} s") from None
        if isinstance(answered, BaseException):
            raise answered
        response, self.warnings = answered
        return response

    def _answered(
        self, request: requests.PreparedRequest, begun: threading.Event, *args: Any, **kwargs: Any
    ) -> _Answered:
        end = self._clock() + self._seconds
        with super().send(request, *args, **{**kwargs, "stream": True}) as response:
            begun.set()
            body = self._read(response, end)
        if response.status_code != requests.codes.ok:
            raise _error_of(response.status_code, body)
        response.raw = io.BytesIO(body)
        response._content = body  # noqa: SLF001 - requests has no public way to give a response its body
        return response, _warnings_of(body) if b'"warnings"' in body else ()

    def _read(self, response: requests.Response, end: float) -> bytes:
        chunks, size = [], 0
        for chunk in response.iter_content(_CHUNK_BYTES):
            size += len(chunk)
            if size > self._max_bytes:
                raise PrometheusUnavailable(f"the answer has more than {self._max_bytes} bytes", kind="too_large")
            if self._clock() > end:
                raise DeadlineExceeded(f"no complete answer within {self._seconds:g} s")
            chunks.append(chunk)
        return b"".join(chunks)


def _error_of(status: int, body: bytes) -> UpstreamError | NotOfferedError:
    said = _document(body)
    text = short(str(said.get("error") or "")) if said else ""
    if status in _REJECTED:
        return QueryRejected(text or f"HTTP status {status}", status=status, kind=str(said.get("errorType", "")))
    if status == requests.codes.unauthorized:
        return PrometheusUnavailable("the server asks for credentials (HTTP status 401)", kind="status")
    if 300 <= status < 400:  # noqa: PLR2004 - the redirects of HTTP
        return PrometheusUnavailable(
            f"the server redirects (HTTP status {status}), which is not followed", kind="status"
        )
    if said.get("errorType") == "timeout":
        return DeadlineExceeded(text)
    if status in _UNSUPPORTED:
        return NotOfferedError(f"HTTP status {status}")
    return PrometheusUnavailable(f"HTTP status {status}" + (f": {text}" if text else ""), kind="status")


def _document(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except (RecursionError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _warnings_of(body: bytes) -> tuple[str, ...]:
    found = _document(body).get("warnings")
    return tuple(str(one) for one in found) if isinstance(found, list) else ()


def short(text: str) -> str:
    """Return a text on one line, and no more of it than a message should repeat."""
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= _MAX_MESSAGE_CHARACTERS else one_line[: _MAX_MESSAGE_CHARACTERS - 1] + "…"
