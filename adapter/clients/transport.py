"""Calls to one Prometheus: who we say we are, how long they may take, when they are repeated, what a failure is called.

The proxies of the environment are used (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY). Redirects are not followed: a
token must not go to a host that nobody configured.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Protocol, TypeVar
from urllib.parse import urlencode

import httpx

from adapter import __version__
from adapter.clients.address import Address
from adapter.clients.body import Incoming
from adapter.clients.credentials import Credentials, Identity, open_credentials, refusal
from adapter.clients.options import PrometheusOptions, Verb
from adapter.clients.pool import Pool
from adapter.clients.statuses import (
    OTHER_METHOD,
    URL_TOO_LONG,
    EndpointUnsupported,
    StatusError,
    is_readable,
    refused,
)
from adapter.config.names import is_header_name, is_header_value
from adapter.config.urls import url_fault
from adapter.errors import PrometheusUnavailable, QueryRejected
from adapter.promql.matchers import quote

__all__ = ["Call", "EndpointUnsupported", "Observer", "PrometheusOptions", "Transport", "Verb", "open_transport"]

T = TypeVar("T")

log = logging.getLogger(__name__)

# The shortest limit that a common proxy or web application firewall puts on a URL is 2,048 characters.
LONGEST_GET_BYTES: Final = 2000

# One line of the log for each request: more of a query than this helps nobody to recognise it.
_LONGEST_LOGGED_CHARACTERS: Final = 1000

# Over several periods of the HPA, and shorter than the 75 s after which nginx closes an idle connection itself.
_KEEP_ALIVE_SECONDS: Final = 60.0
# Each call looks whether the idle connections still live, which is a call of the system for each.
_IDLE_CONNECTIONS: Final = 6


class Observer(Protocol):
    """What the transport reports, once for each attempt."""

    def request_done(self, *, backend: str, server: str, path: str, outcome: str, seconds: float, bytes_: int) -> None:
        """Note a request: `outcome` is `ok`, `rejected`, `unsupported`, `cancelled`, or the kind of an error.

        `server` is the address without its secrets, `bytes_` counts the body as it came over the wire.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of the HTTP API; `path` is as in its documentation, `unsupported` the statuses that mean "not here"."""

    path: str
    params: tuple[tuple[str, str], ...] = ()
    may_post: bool = True
    max_bytes: int
    compressed: bool = True
    unsupported: frozenset[int] = frozenset()


Reader = Callable[[Incoming], Awaitable[T]]


class Transport:
    """Makes calls within their deadline, and a second attempt where that can help."""

    def __init__(
        self,
        options: PrometheusOptions,
        *,
        credentials: Credentials,
        observer: Observer,
        clock: Callable[[], float],
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        self._options = options
        self._credentials = credentials
        self._observer = observer
        self._clock = clock
        self._transport = transport
        self._address = Address(options.url, options.params)
        self._headers = {compressed: _headers(options, compressed=compressed) for compressed in (False, True)}
        self._pool = Pool(self._http_client, credentials.now().context)
        self._takes_no_post: frozenset[str] = frozenset()  # paths

    @property
    def server(self) -> str:
        """Return the address without its secrets."""
        return self._address.redacted

    async def call(self, call: Call, read: Reader[T], *, timeout_seconds: float) -> T:
        """Return what `read` makes of the answer, within the time that all attempts have together.

        Each call only reads, so it may be repeated: once on a fresh connection, once with credentials that have just
        changed, and once with the other method.

        Raises:
            PrometheusUnavailable: no answer, or one that is no use; `kind` says why.
            EndpointUnsupported: a status that the call lists as such.
            Exception: what `read` raises.
        """
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        chances = {"connection", "identity", "method"}
        method = self._method(call)
        too_long: StatusError | None = None
        while True:
            identity = self._credentials.now()
            try:
                return await self._attempt(call, method, identity, read, deadline)
            except StatusError as error:
                other = self._other_method(call, method, error.status)
                if other is not None and "method" in chances:
                    chances.remove("method")
                    method, too_long = other, error if error.status in URL_TOO_LONG else None
                elif "identity" in chances and self._identity_changed(error.status, identity):
                    chances.remove("identity")
                else:
                    # Where the other method is not taken, what the first one said is what helps.
                    told = too_long if too_long and error.status == HTTPStatus.METHOD_NOT_ALLOWED else error
                    raise told.error from None
            except PrometheusUnavailable as error:
                if error.kind != "connection" or "connection" not in chances:
                    raise
                chances.remove("connection")

    async def close(self) -> None:
        """Close all connections; calls under way fail."""
        await self._pool.close()

    # ---- one attempt

    async def _attempt(self, call: Call, method: Verb, identity: Identity, read: Reader[T], deadline: float) -> T:
        """Make one request and report it; every failure leaves as one of ours."""
        begin = self._clock()
        outcome, waiting_for, received, status = "cancelled", "Prometheus has not answered in time", 0, 0
        limit = asyncio.timeout_at(deadline)
        try:
            async with limit, self._pool.lease(identity.context) as client:
                response = await client.send(self._request(call, method, identity), stream=True)
                status, waiting_for = response.status_code, "Prometheus has not finished its answer in time"
                try:
                    answer = await self._read(call, response, read)
                finally:
                    received = response.num_bytes_downloaded
                    await response.aclose()
            if asyncio.get_running_loop().time() > deadline:  # reading may take long without waiting for anything
                raise TimeoutError  # noqa: TRY301 - as `limit` would have raised it
            outcome = "ok"
        except Exception as error:
            late = limit.expired() or asyncio.get_running_loop().time() > deadline
            ours = self._translated(error, waiting_for if late else "")
            outcome = _outcome(ours)
            if ours is error:
                raise
            raise ours from error
        else:
            return answer
        finally:
            seconds = self._clock() - begin
            self._log(call, method, outcome, status=status, seconds=seconds)
            self._observer.request_done(
                backend=self._options.name,
                server=self.server,
                path=call.path,
                outcome=outcome,
                seconds=seconds,
                bytes_=received,
            )

    def _log(self, call: Call, method: Verb, outcome: str, *, status: int, seconds: float) -> None:
        """Log a request as client-go does, with nothing of the address or the headers that could hold a secret."""
        if log.isEnabledFor(logging.DEBUG):
            asked = f"{call.path}?{urlencode(call.params)}" if call.params else call.path
            if len(asked) > _LONGEST_LOGGED_CHARACTERS:
                asked = asked[:_LONGEST_LOGGED_CHARACTERS] + "..."
            ended = f"{status} {outcome}" if status else outcome
            log.debug(
                "%s %s %s in %.0f milliseconds",
                method,
                asked,
                ended,
                seconds * 1000,
                extra={"backend": self._options.name, "server": self.server},
            )

    async def _read(self, call: Call, response: httpx.Response, read: Reader[T]) -> T:
        status = response.status_code
        if is_readable(status):
            return await read(Incoming(response, max_bytes=call.max_bytes))
        if status in call.unsupported:
            raise StatusError(status, EndpointUnsupported(call.path, status))
        redirected = self._address.redirected(response.headers.get("location", ""))
        raise StatusError(status, refused(status, redirected=redirected))

    def _translated(self, error: Exception, late: str) -> Exception:
        """Return our error for what ended an attempt, `late` if the deadline did; what is ours already stays."""
        if isinstance(error, TimeoutError) and late:
            return PrometheusUnavailable(late, kind="timeout")
        if isinstance(error, (httpx.TransportError, OSError)):
            return PrometheusUnavailable(f"no connection to {self.server}: {_words(error)}", kind="connection")
        return error

    def _request(self, call: Call, method: Verb, identity: Identity) -> httpx.Request:
        query = urlencode(call.params)
        headers = list(self._headers[call.compressed])
        if identity.authorization is not None:
            headers.append(("authorization", identity.authorization))
        extensions = {"sni_hostname": identity.server_name} if identity.server_name else {}
        if method == "GET":
            return httpx.Request("GET", self._address.url(call.path, query), headers=headers, extensions=extensions)
        headers.append(("content-type", "application/x-www-form-urlencoded"))
        url = self._address.url(call.path, "")
        return httpx.Request("POST", url, headers=headers, content=query.encode(), extensions=extensions)

    # ---- second attempts

    def _method(self, call: Call) -> Verb:
        if not call.may_post or call.path in self._takes_no_post:
            return "GET"
        return "POST" if len(urlencode(call.params)) > LONGEST_GET_BYTES else self._options.verb

    def _other_method(self, call: Call, method: Verb, status: int) -> Verb | None:
        """Return the method to try instead, and remember which paths take no POST."""
        if method == "POST" and status == HTTPStatus.METHOD_NOT_ALLOWED:
            self._takes_no_post |= {call.path}
        elif method == "GET" and status in URL_TOO_LONG:
            known = call.path in self._takes_no_post
            self._takes_no_post -= {call.path}  # the next long call asks again: a proxy's rules may have changed
            if known or not call.may_post:
                return None
        return OTHER_METHOD.get((method, status))

    def _identity_changed(self, status: int, identity: Identity) -> bool:
        """Say whether credentials that were refused have been replaced meanwhile, reading all files again."""
        return status == HTTPStatus.UNAUTHORIZED and self._credentials.read_again() != identity

    def _http_client(self, context: ssl.SSLContext) -> httpx.AsyncClient:
        most = self._options.max_connections + 1  # one for the question whether a server lives that all others wait for
        return httpx.AsyncClient(
            verify=context,
            timeout=None,  # noqa: S113 - `call` has one deadline over everything
            limits=httpx.Limits(
                max_connections=most, max_keepalive_connections=_IDLE_CONNECTIONS, keepalive_expiry=_KEEP_ALIVE_SECONDS
            ),
            follow_redirects=False,
            transport=self._transport,
        )


def open_transport(
    options: PrometheusOptions,
    *,
    observer: Observer,
    clock: Callable[[], float],
    transport: httpx.AsyncBaseTransport | None = None,
) -> Transport:
    """Return the transport of a Prometheus; tests hand in an httpx transport that needs no network.

    Raises:
        ConfigError: the address, a header, or a file of the credentials cannot be used.
    """
    _check_options(options)
    # httpx logs the address of each request with its query, which may hold a secret.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    credentials = open_credentials(options)
    try:
        return Transport(options, credentials=credentials, observer=observer, clock=clock, transport=transport)
    except (ImportError, ValueError) as error:  # httpx' words might repeat a proxy's password
        names = "HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY"
        raise refusal(f"the proxies of the environment cannot be used ({names})", options.name) from error


def _check_options(options: PrometheusOptions) -> None:
    fault = url_fault(options.url)
    if fault is not None:
        raise refusal(f"the address of Prometheus cannot be used: {fault}", options.name)
    try:
        Address(options.url, options.params).url("/", "")
    except httpx.InvalidURL as error:
        raise refusal("the address of Prometheus cannot be used: its host is no valid name", options.name) from error
    for name, value in options.headers:
        if not is_header_name(name):
            raise refusal(f"invalid header field name {quote(name[:50])}", options.name)
        if not is_header_value(value):
            raise refusal(f"invalid header field value for {quote(name)}", options.name)


def _headers(options: PrometheusOptions, *, compressed: bool) -> tuple[tuple[str, str], ...]:
    """Return the headers of every call; one that the options name takes the place of ours."""
    ours = (
        ("accept", "application/json"),
        ("accept-encoding", "gzip" if compressed else "identity"),
        ("user-agent", f"tidegauge/{__version__}"),
    )
    theirs = {name.lower() for name, _ in options.headers}
    return (*(header for header in ours if header[0] not in theirs), *options.headers)


def _words(error: BaseException) -> str:
    """Return the system's words for a failure, where httpx says no more than "All connection attempts failed"."""
    words = str(error) or type(error).__name__
    deeper: BaseException | None = error
    while deeper is not None:
        if isinstance(deeper, BaseExceptionGroup):
            deeper = deeper.exceptions[0]
            continue
        if isinstance(deeper, (ssl.SSLError, socket.gaierror)):
            words = str(deeper)
        elif isinstance(deeper, OSError) and deeper.errno:
            words = os.strerror(deeper.errno)  # asyncio says "Connect call failed" for all of them
        deeper = deeper.__cause__ or deeper.__context__
    return words


def _outcome(error: Exception) -> str:
    """Return the word for an outcome; there are few of them, since they label a metric."""
    match error:
        case PrometheusUnavailable(kind=kind):
            return kind
        case QueryRejected():
            return "rejected"
        case StatusError(error=EndpointUnsupported()):
            return "unsupported"
        case StatusError(error=inner):
            return _outcome(inner)
        case _:
            return "error"
