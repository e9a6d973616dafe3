"""The calls of Prometheus' HTTP API that the adapter makes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from math import ceil
from typing import Final, TypeVar

import httpx
import orjson

from adapter.clients.body import Incoming
from adapter.clients.options import PrometheusOptions
from adapter.clients.series import SeriesNames, SeriesReader
from adapter.clients.statuses import NOT_HERE, EndpointUnsupported
from adapter.clients.transport import Call, Observer, Transport, open_transport
from adapter.errors import PrometheusUnavailable, QueryRejected
from adapter.interpreter import made_aside
from adapter.promql.decode import decode_names, decode_query
from adapter.promql.model import QueryAnswer

__all__ = ["EndpointUnsupported", "Names", "PrometheusClient", "SeriesNames", "open_client"]

T = TypeVar("T")

QUERY_PATH: Final = "/api/v1/query"
SERIES_PATH: Final = "/api/v1/series"
LABELS_PATH: Final = "/api/v1/labels"
METRIC_NAMES_PATH: Final = "/api/v1/label/__name__/values"
BUILD_INFO_PATH: Final = "/api/v1/status/buildinfo"

# So much has some thousand samples, which take over 5 ms to decode; more is done on a thread, and requests go on.
_THREAD_BYTES: Final = 128 * 1024
# 800 bytes for each of the samples that an answer may have (promql.decode.MAX_SAMPLES). Decoding this much holds
# the interpreter for some 0.2 s even on a thread, so no flag allows more.
_MAX_QUERY_BYTES: Final = 16 * 1024 * 1024
# An answer of the series endpoint is never held; 1 GiB, the usual limit times this, are some six million series.
_SERIES_FACTOR: Final = 16
_BUILD_INFO_BYTES: Final = 64 * 1024
_MAX_VERSION_CHARACTERS: Final = 100
_SERVICE_UNAVAILABLE: Final = 503


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Label names or values; with warnings some are missing."""

    values: frozenset[str]
    warnings: tuple[str, ...] = ()


class PrometheusClient:
    """One Prometheus; every method raises PrometheusUnavailable when there is no good answer in time."""

    def __init__(self, transport: Transport, options: PrometheusOptions) -> None:
        self._transport = transport
        self._options = options

    @property
    def server(self) -> str:
        """Return the server's address without its secrets."""
        return self._transport.server

    @property
    def max_connections(self) -> int:
        """Return how many calls the connections are enough for at a time."""
        return self._options.max_connections

    @property
    def timeout_seconds(self) -> float:
        """Return how long a call may take, but that to the series endpoint."""
        return self._options.timeout_seconds

    async def close(self) -> None:
        """Close all connections; calls under way fail."""
        await self._transport.close()

    async def query(
        self, promql: str, *, at_seconds: float, timeout_seconds: float | None = None
    ) -> tuple[QueryAnswer, tuple[str, ...]]:
        """Return the answer of an instant query evaluated at a time, and the warnings that data is missing from it.

        Raises:
            QueryRejected: Prometheus understood the query and refuses it.
        """
        timeout = self._options.timeout_seconds if timeout_seconds is None else timeout_seconds
        params = (("query", promql), ("time", _seconds(at_seconds)), ("timeout", _duration(timeout)))

        async def read(incoming: Incoming) -> tuple[QueryAnswer, tuple[str, ...]]:
            body, status = await incoming.body(), incoming.status
            return await _decoded(body, lambda: decode_query(body, asked_at_seconds=at_seconds, http_status=status))

        # Not compressed: for 20 samples gzip costs Prometheus 0.4 ms of CPU, twice as much as the query itself.
        most = min(self._options.max_answer_bytes, _MAX_QUERY_BYTES)
        call = Call(path=QUERY_PATH, params=params, max_bytes=most, compressed=False)
        return await self._call(call, read, timeout)

    async def metric_names(self, *selectors: str, start_seconds: float) -> Names:
        """Return the names of the metrics that any of the selectors takes; always by GET, the only method there.

        Raises:
            QueryRejected: Prometheus cannot read a selector.
            EndpointUnsupported: the server does not offer the endpoint, or the selectors are too long for it.
        """
        params = _selection(selectors, start_seconds)
        call = self._bounded(METRIC_NAMES_PATH, params, may_post=False, unsupported=NOT_HERE)
        return await self._call(call, _read_names, self._options.timeout_seconds)

    async def label_names(self, selector: str, *, start_seconds: float) -> Names:
        """Return the names of the labels of all series that a selector takes.

        Raises:
            QueryRejected: Prometheus cannot read the selector.
            EndpointUnsupported: the server does not offer the endpoint.
        """
        call = self._bounded(LABELS_PATH, _selection([selector], start_seconds), unsupported=NOT_HERE)
        return await self._call(call, _read_names, self._options.timeout_seconds)

    async def series(self, selector: str, *, start_seconds: float) -> SeriesNames:
        """Return the label names of each metric that a selector takes, from a list of all series that is never held.

        Raises:
            QueryRejected: Prometheus cannot read the selector.
        """
        call = Call(
            path=SERIES_PATH,
            params=_selection([selector], start_seconds),
            max_bytes=self._options.max_answer_bytes * _SERIES_FACTOR,
        )
        return await self._call(call, _read_series, self._options.series_timeout_seconds)

    async def build_info(self) -> str | None:
        """Return the server's version, None when it does not tell."""
        call = Call(path=BUILD_INFO_PATH, may_post=False, max_bytes=_BUILD_INFO_BYTES)
        try:
            return await self._call(call, _read_version, self._options.timeout_seconds)
        except PrometheusUnavailable as error:
            if error.kind in ("connection", "timeout"):
                raise
            return None
        except QueryRejected:
            return None

    async def _call(self, call: Call, read: Callable[[Incoming], Awaitable[T]], timeout_seconds: float) -> T:
        async def read_unless_unavailable(incoming: Incoming) -> T:
            try:
                return await read(incoming)
            except QueryRejected as error:
                if incoming.status != _SERVICE_UNAVAILABLE:
                    raise
                # A server that is starting or overloaded says nothing about the query. One that gave the query up
                # lives: that is another thing than no answer in time.
                kind = "query_timeout" if error.kind == "timeout" else "unavailable"
                raise PrometheusUnavailable(str(error), kind=kind) from error

        return await self._transport.call(call, read_unless_unavailable, timeout_seconds=timeout_seconds)

    def _bounded(
        self,
        path: str,
        params: tuple[tuple[str, str], ...],
        *,
        may_post: bool = True,
        unsupported: frozenset[int] = frozenset(),
    ) -> Call:
        return Call(
            path=path,
            params=params,
            may_post=may_post,
            max_bytes=self._options.max_answer_bytes,
            unsupported=unsupported,
        )


def open_client(
    options: PrometheusOptions,
    *,
    observer: Observer,
    clock: Callable[[], float],
    transport: httpx.AsyncBaseTransport | None = None,
) -> PrometheusClient:
    """Return a client; `clock` measures durations in seconds, tests hand in an httpx transport without a network.

    Raises:
        ConfigError: the address, a header, or a file of the credentials cannot be used.
    """
    return PrometheusClient(open_transport(options, observer=observer, clock=clock, transport=transport), options)


def _selection(selectors: Iterable[str], start_seconds: float) -> tuple[tuple[str, str], ...]:
    return (*(("match[]", selector) for selector in selectors), ("start", _seconds(start_seconds)))


def _seconds(seconds: float) -> str:
    """Return a time as Prometheus keeps it, in whole milliseconds."""
    return f"{seconds:.3f}"


def _duration(seconds: float) -> str:
    """Return a Prometheus duration in whole seconds: the same for all who have about as long, as the query may be."""
    return f"{max(1, ceil(seconds))}s"


async def _decoded(body: bytes, decode: Callable[[], T]) -> T:
    return await made_aside(decode) if len(body) > _THREAD_BYTES else decode()


async def _read_names(incoming: Incoming) -> Names:
    body, status = await incoming.body(), incoming.status
    values, warnings = await _decoded(body, lambda: decode_names(body, http_status=status))
    return Names(values=values, warnings=warnings)


async def _read_series(incoming: Incoming) -> SeriesNames:
    reader = SeriesReader()
    async for piece in incoming.slices():
        reader.feed(piece)
    return reader.finish(http_status=incoming.status)


async def _read_version(incoming: Incoming) -> str | None:
    try:
        document = orjson.loads(await incoming.body())
    except orjson.JSONDecodeError:
        return None
    data = document.get("data") if isinstance(document, dict) else None
    version = data.get("version") if isinstance(data, dict) else None
    return version[:_MAX_VERSION_CHARACTERS] if isinstance(version, str) and version else None
