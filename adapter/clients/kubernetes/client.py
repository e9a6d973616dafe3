"""Calls to kube-apiserver: within their deadline, with credentials of this moment, and every failure by its name."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlencode

import httpx2
import orjson

from adapter import __version__
from adapter.clients.kubernetes.access import Access
from adapter.clients.kubernetes.credentials import ClusterCredentials, Identity
from adapter.clients.kubernetes.events import WatchEvent, events_of
from adapter.clients.kubernetes.exec_plugin import ExecPluginError
from adapter.clients.kubernetes.failures import bad_answer, failure_of, message_of
from adapter.clients.kubernetes.options import ClusterObserver, ClusterOptions
from adapter.clients.kubernetes.target import Target, target_of
from adapter.clients.pool import Pool
from adapter.errors import KubernetesUnavailable

log = logging.getLogger(__name__)

# Shorter than the 90 s after which kube-apiserver closes an idle connection itself.
_KEEP_ALIVE_SECONDS: Final = 60.0
# Each call looks whether the idle connections still live, which is a call of the system for each; the autoscaler's five
# workers, and some others, need no more.
_IDLE_CONNECTIONS: Final = 8
# A peer that has vanished without a word is noticed after 15 + 3 * 5 s, as client-go does with its pings: a watch
# that nothing happens in looks just like a dead one.
_PROBES: Final = (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
# More than this takes over 5 ms to parse, so a thread does it and requests go on.
_PARSED_AT_ONCE_BYTES: Final = 1024 * 1024
# A refusal is a Status, or a page of a proxy.
_MAX_REFUSAL_BYTES: Final = 64 * 1024


@dataclass(slots=True, kw_only=True)
class _Call:
    """One call, and what became of it: `code` is what the observer is told."""

    method: str
    url: str
    headers: Mapping[str, str]
    content: bytes | None
    target: Target
    begun_at: float
    deadline: float  # by the event loop's clock
    code: str = "error"

    @property
    def repeatable(self) -> bool:
        """Say whether sending it twice does what sending it once does: it reads, or asks for a review."""
        return self.method == "GET" or self.target.resource.partition(".")[0].endswith("reviews")


class ClusterClient:
    """The one connection to kube-apiserver."""

    def __init__(
        self,
        options: ClusterOptions,
        *,
        access: Access,
        credentials: ClusterCredentials,
        observer: ClusterObserver,
        clock: Callable[[], float],
        transport: httpx2.AsyncBaseTransport | None,
    ) -> None:
        self._options = options
        self._access = access
        self._credentials = credentials
        self._observer = observer
        self._clock = clock
        self._transport = transport
        self._pool: Pool[httpx2.AsyncClient] | None = None

    @property
    def server(self) -> str:
        """Return the address of kube-apiserver."""
        return self._access.server

    async def request(
        self,
        method: str,
        path: str,
        *,
        parameters: Mapping[str, str] = MappingProxyType({}),
        body: Mapping[str, object] | None = None,
        accept: str = "application/json",
        content_type: str = "application/json",
        timeout_seconds: float,
    ) -> dict[str, Any]:
        """Return the document of an answer.

        What only reads is tried once more on a fresh connection, and everything with credentials that have changed.

        Raises:
            KubernetesForbidden: our account may not do this (403).
            KubernetesNotFound: there is no such object, or no such API (404).
            KubernetesConflict: another writer was faster (409).
            ClusterGone: a list cannot go on (410).
            KubernetesUnavailable: no answer, or one that is no use; `kind` says why.
        """
        headers = {"Accept": accept, "Accept-Encoding": "gzip"}
        if body is not None:
            headers["Content-Type"] = content_type
        call = self._call(method, path, parameters, headers, body=body, timeout_seconds=timeout_seconds)
        async with AsyncExitStack() as stack:
            with self._reported(call):
                response = await self._opened(call, stack)
                content = await _content(response, call, self._options.max_answer_bytes)
                return await _document(content, call.target)

    async def answer(
        self, path: str, *, parameters: Mapping[str, str] = MappingProxyType({}), max_bytes: int, timeout_seconds: float
    ) -> tuple[int, bytes]:
        """Return the status and the first bytes of whatever a path is answered with, good or not.

        Raises:
            KubernetesUnavailable: no answer.
        """
        headers = {"Accept": "application/json, */*;q=0.5", "Accept-Encoding": "gzip"}
        call = self._call("GET", path, parameters, headers, body=None, timeout_seconds=timeout_seconds)
        async with AsyncExitStack() as stack:
            with self._reported(call):
                async with asyncio.timeout_at(call.deadline):
                    response = await self._sent(call, await self._credentials.now(), stack)
                    call.code = str(response.status_code)
                    return response.status_code, await _beginning(response, max_bytes)

    @asynccontextmanager
    async def watch(
        self, path: str, *, parameters: Mapping[str, str], accept: str = "application/json", idle_seconds: float
    ) -> AsyncIterator[AsyncIterator[WatchEvent]]:
        """Watch a collection from `resourceVersion` on; a silence of `idle_seconds` ends it.

        Raises:
            UpstreamError: as `request` does; the iterator raises ClusterGone and KubernetesUnavailable.
        """
        headers = {"Accept": accept, "Accept-Encoding": "identity"}
        asked = {"watch": "true", **parameters}
        call = self._call("GET", path, asked, headers, body=None, timeout_seconds=self._options.timeout_seconds)
        async with AsyncExitStack() as stack:
            with self._reported(call):
                response = await self._opened(call, stack)
            events = events_of(
                response, call.target, idle_seconds=idle_seconds, max_event_bytes=self._options.max_event_bytes
            )
            yield await stack.enter_async_context(aclosing(events))

    async def close(self) -> None:
        """Close all connections; calls and watches under way fail."""
        if self._pool is not None:
            await self._pool.close()
        await self._credentials.close()

    # ---- one call

    def _call(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str],
        headers: Mapping[str, str],
        *,
        body: Mapping[str, object] | None,
        timeout_seconds: float,
    ) -> _Call:
        query = f"?{urlencode(parameters)}" if parameters else ""
        return _Call(
            method=method,
            url=f"{self._access.server}{path}{query}",
            headers={**headers, "User-Agent": f"tidegauge/{__version__}"},
            content=None if body is None else orjson.dumps(body),
            target=target_of(method, path, parameters),
            begun_at=self._clock(),
            deadline=asyncio.get_running_loop().time() + timeout_seconds,
        )

    @contextmanager
    def _reported(self, call: _Call) -> Iterator[None]:
        """Tell the observer and the log how a call ended, and call every failure by one of our names."""
        try:
            yield
        except asyncio.CancelledError:
            call.code = "cancelled"
            raise
        except TimeoutError as error:
            call.code = "timeout"
            text = f"kube-apiserver has not answered {call.target.verb} {call.target.resource} in time"
            raise KubernetesUnavailable(text, kind="timeout") from error
        except ExecPluginError as error:
            call.code = "connection"
            raise KubernetesUnavailable(str(error), kind="connection") from error
        except httpx2.InvalidURL as error:
            # Paths are made of names that kube-apiserver gave, of versions and kinds for example.
            call.code = "error"
            text = f"kube-apiserver cannot be asked to {call.target.verb} something of that name: {error}"
            raise KubernetesUnavailable(text, kind="bad_answer") from error
        except httpx2.DecodingError as error:
            call.code = "bad_answer"
            raise bad_answer("a body that cannot be decompressed", call.target) from error
        except (httpx2.TransportError, OSError) as error:
            call.code = "connection"
            text = f"no connection to kube-apiserver at {self.server}: {_words(error)}"
            raise KubernetesUnavailable(text, kind="connection") from error
        except KubernetesUnavailable as error:
            call.code = call.code if error.status is not None else error.kind
            raise
        finally:
            seconds = self._clock() - call.begun_at
            log.debug("%s %s %s in %.0f milliseconds", call.method, call.url, call.code, seconds * 1000)
            self._observer.kubernetes_request_done(
                verb=call.target.verb, resource=call.target.resource, code=call.code, seconds=seconds
            )

    async def _opened(self, call: _Call, stack: AsyncExitStack) -> httpx2.Response:
        """Return an answer whose status is good and whose body is not read yet; `stack` will close it."""
        chances = {"identity", "connection"} if call.repeatable else {"identity"}
        async with asyncio.timeout_at(call.deadline):
            identity = await self._credentials.now()
            while True:
                try:
                    response = await self._sent(call, identity, stack)
                except (httpx2.TransportError, OSError):
                    if "connection" not in chances:
                        raise
                    chances.remove("connection")
                    continue
                call.code = str(response.status_code)
                if response.is_success:
                    return response
                if response.status_code == HTTPStatus.UNAUTHORIZED and "identity" in chances:
                    chances.remove("identity")
                    other = await self._credentials.after_refusal(identity)
                    if other is not None:
                        identity = other
                        continue
                raise failure_of(
                    response.status_code, message_of(await _beginning(response, _MAX_REFUSAL_BYTES)), call.target
                )

    async def _sent(self, call: _Call, identity: Identity, stack: AsyncExitStack) -> httpx2.Response:
        if self._pool is None:
            self._pool = Pool(self._http_client, identity.context)
        client = await stack.enter_async_context(self._pool.lease(identity.context))
        extensions = {"sni_hostname": self._access.server_name} if self._access.server_name else {}
        headers = [*call.headers.items(), *identity.headers]
        request = httpx2.Request(call.method, call.url, headers=headers, content=call.content, extensions=extensions)
        response = await client.send(request, stream=True, follow_redirects=False)
        stack.push_async_callback(response.aclose)
        return response

    def _http_client(self, context: ssl.SSLContext) -> httpx2.AsyncClient:
        limits = httpx2.Limits(
            max_connections=self._options.max_connections,
            max_keepalive_connections=_IDLE_CONNECTIONS,
            keepalive_expiry=_KEEP_ALIVE_SECONDS,
        )
        # Every call has a deadline of its own, and a watch is silent for as long as nothing happens.
        return httpx2.AsyncClient(
            timeout=None,
            trust_env=False,
            transport=self._transport
            or httpx2.AsyncHTTPTransport(
                verify=context, trust_env=False, limits=limits, proxy=self._access.proxy, socket_options=_probes()
            ),
        )


async def _content(response: httpx2.Response, call: _Call, max_bytes: int) -> bytes:
    async with asyncio.timeout_at(call.deadline):
        content = bytearray()
        async for piece in response.aiter_bytes():
            content += piece
            if len(content) > max_bytes:
                raise bad_answer(f"more than {max_bytes} bytes", call.target)
    return bytes(content)


async def _beginning(response: httpx2.Response, max_bytes: int) -> bytes:
    """Return the first bytes of an answer."""
    content = b""
    async for piece in response.aiter_bytes():
        content += piece
        if len(content) > max_bytes:
            break
    return content[:max_bytes]


async def _document(content: bytes, target: Target) -> dict[str, Any]:
    try:
        document = (
            orjson.loads(content)
            if len(content) <= _PARSED_AT_ONCE_BYTES
            else await asyncio.to_thread(orjson.loads, content)
        )
    except orjson.JSONDecodeError as error:
        raise bad_answer("something that is no JSON", target) from error
    if not isinstance(document, dict):
        raise bad_answer("JSON that is no object", target)
    return document


def _probes() -> list[tuple[int, int, int]]:
    """Return the options of a socket that notices a dead peer; systems name them differently, or not at all."""
    known = [(getattr(socket, name), seconds) for name, seconds in _PROBES if hasattr(socket, name)]
    keep_alive = (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return [keep_alive, *((socket.IPPROTO_TCP, option, seconds) for option, seconds in known)]


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__
