"""One Prometheus as the rest of the runtime sees it: guarded by a breaker, limited in calls, its abilities known."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from adapter.clients.prometheus import EndpointUnsupported, Names, SeriesNames
from adapter.errors import PartialAnswer
from adapter.promql.model import QueryAnswer, Scalar, Vector
from adapter.runtime.breaker import Breaker, BreakerSettings, State
from adapter.runtime.capabilities import ANY_SERIES, LabelEndpoints, outcome_of
from adapter.runtime.clock import Clocks
from adapter.runtime.slow_queries import SlowQueries
from adapter.runtime.turns import Turns

log = logging.getLogger(__name__)

# How far back the questions look that only want to know whether there is anything: a scrape or two.
_LOOK_BACK_SECONDS: Final = 600.0
# The smallest question: it reads no series, so only a server that hangs, or is not there, does not answer it.
_PROBE: Final = "vector(1)"
# A relist may wait for its turn longer than a request, since nobody waits for it.
_DISCOVERY_WAIT_SECONDS: Final = 30.0
# These are our own decisions and say nothing about the server.
_OURS: Final = frozenset({"breaker", "overloaded"})


class Client(Protocol):
    """What a backend needs of its client; see adapter.clients.prometheus."""

    @property
    def max_connections(self) -> int:
        """Return how many calls can be made at a time."""

    @property
    def timeout_seconds(self) -> float:
        """Return how long a call may take."""

    async def query(
        self, promql: str, *, at_seconds: float, timeout_seconds: float | None = None
    ) -> tuple[QueryAnswer, tuple[str, ...]]:
        """Return an instant query's answer and the warnings that data is missing."""

    async def metric_names(self, *selectors: str, start_seconds: float) -> Names:
        """Return the metric names that any of the selectors takes."""

    async def label_names(self, selector: str, *, start_seconds: float) -> Names:
        """Return the label names of the series that a selector takes."""

    async def series(self, selector: str, *, start_seconds: float) -> SeriesNames:
        """Return the label names of each metric that a selector takes."""

    async def build_info(self) -> str | None:
        """Return the server's version."""


class BackendObserver(Protocol):
    """What a backend reports."""

    def breaker_changed(self, *, backend: str, state: State) -> None:
        """Note that a breaker has opened, closed, or lets a probe through."""

    def partial_answer(self, *, backend: str, refused: bool) -> None:
        """Note an answer with data missing, and whether it was refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendState:
    """How a backend is; `last_success_seconds` is since 1970, None before the first success."""

    breaker: State
    consecutive_failures: int
    last_success_seconds: float | None
    last_error: str
    version: str | None


class Backend:
    """One Prometheus; every method raises PrometheusUnavailable at once while the breaker is open."""

    def __init__(
        self,
        *,
        name: str,
        client: Client,
        observer: BackendObserver,
        clocks: Clocks,
        partial_response_allowed: bool = False,
        breaker: BreakerSettings | None = None,
        chance: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.name = name
        self._client = client
        self._observer = observer
        self._clocks = clocks
        self._partial_response_allowed = partial_response_allowed
        self._turns = Turns(client.max_connections)
        self._breaker = Breaker(
            probe=self._probe,
            on_change=self._breaker_changed,
            settings=breaker or BreakerSettings(),
            chance=chance,
            sleep=sleep,
        )
        self._slow_queries = SlowQueries(clock=clocks.monotonic, timeout_seconds=client.timeout_seconds)
        self._label_endpoints = LabelEndpoints(
            backend=name, metric_names=self._recent_metric_names, version=self._version, clock=clocks.monotonic
        )
        self._last_success_seconds: float | None = None
        self._last_error = ""
        self._stopped = False
        observer.breaker_changed(backend=name, state="closed")

    @property
    def state(self) -> BackendState:
        """Return how the backend is now."""
        return BackendState(
            breaker=self._breaker.state,
            consecutive_failures=self._breaker.consecutive_failures,
            last_success_seconds=self._last_success_seconds,
            last_error=self._last_error,
            version=self._label_endpoints.version,
        )

    async def close(self) -> None:
        """Stop what goes on in the background."""
        await self._breaker.close()

    async def query(self, promql: str, *, at_seconds: float, deadline_seconds: float) -> QueryAnswer:
        """Return the answer of an instant query; the deadline is on the monotonic clock, waiting for a turn included.

        Raises:
            QueryRejected: Prometheus understood the query and refuses it.
            PartialAnswer: data is missing from the answer, and the backend does not allow that.
            PrometheusUnavailable: there is no good answer.
        """
        self._slow_queries.admit(promql)
        async with self._turn("query", deadline_seconds - self._clocks.monotonic()) as seconds:
            with self._slow_queries.watch(promql, seconds=seconds):
                answer, warnings = await self._client.query(promql, at_seconds=at_seconds, timeout_seconds=seconds)
        if warnings:
            self._observer.partial_answer(backend=self.name, refused=not self._partial_response_allowed)
            if not self._partial_response_allowed:
                raise PartialAnswer(warnings)
        return answer

    async def metric_names(self, *selectors: str, start_seconds: float) -> Names:
        """Return the names of the metrics that any of the selectors takes.

        Raises:
            EndpointUnsupported: the server does not offer the label endpoints, or not for so long selectors.
            UpstreamError: there is no good answer.
        """
        async with self._turn("metric_names", _DISCOVERY_WAIT_SECONDS):
            return await self._client.metric_names(*selectors, start_seconds=start_seconds)

    async def label_names(self, selector: str, *, start_seconds: float) -> Names:
        """Return the names of the labels of the series that a selector takes; raises what `metric_names` raises."""
        async with self._turn("label_names", _DISCOVERY_WAIT_SECONDS):
            return await self._client.label_names(selector, start_seconds=start_seconds)

    async def series(self, selector: str, *, start_seconds: float) -> SeriesNames:
        """Return the label names of each metric that a selector takes.

        Raises:
            UpstreamError: there is no good answer.
        """
        async with self._turn("series", _DISCOVERY_WAIT_SECONDS):
            return await self._client.series(selector, start_seconds=start_seconds)

    async def label_endpoints_work(self) -> bool:
        """Say whether the label endpoints respect `match[]`: proved once, and again when the server changes.

        Raises:
            UpstreamError: the server cannot be asked.
        """
        return await self._label_endpoints.work()

    async def series_exist(self) -> bool:
        """Say whether the backend has any series at all; one that was just restarted has none.

        Raises:
            UpstreamError: the server cannot be asked.
        """
        try:
            return bool((await self._recent_metric_names(ANY_SERIES)).values)
        except EndpointUnsupported:
            now = self._clocks.monotonic()
            answer = await self.query(
                f"count({ANY_SERIES})",
                at_seconds=self._clocks.wall(),
                deadline_seconds=now + _DISCOVERY_WAIT_SECONDS,
            )
        match answer.result:
            case Vector(samples=samples):
                return bool(samples)
            case Scalar(value=value):
                return value > 0
            case _:
                return True

    # ---- one call

    @asynccontextmanager
    async def _turn(self, endpoint: str, seconds: float) -> AsyncIterator[float]:
        """Wait for a turn and lend it, with the seconds that are left; the breaker and the state learn how it ends."""
        self._breaker.check()
        deadline = self._clocks.monotonic() + seconds
        async with self._turns.taken(seconds=seconds):
            try:
                left = max(0.0, deadline - self._clocks.monotonic())
                with self._breaker.watch(seconds=left):
                    yield left
            except Exception as error:
                self._failed(endpoint, error)
                raise
            else:
                self._last_success_seconds = self._clocks.wall()
                self._label_endpoints.note(endpoint, outcome_of(None))

    def _failed(self, endpoint: str, error: Exception) -> None:
        outcome = outcome_of(error)
        if outcome not in _OURS:
            self._last_error = str(error)
            self._label_endpoints.note(endpoint, outcome)

    def _breaker_changed(self, state: State) -> None:
        if state == "closed":
            self._stopped = False
            self._slow_queries.forget()
            log.info("Prometheus answers again", extra={"backend": self.name})
        elif not self._stopped:
            self._stopped = True
            log.warning(
                "Prometheus is not asked for a while: %s", self._breaker.last_error, extra={"backend": self.name}
            )
        self._observer.breaker_changed(backend=self.name, state=state)

    async def _probe(self, seconds: float) -> None:
        """Ask the smallest question, without waiting for a turn: all turns may be taken by calls that hang."""
        await self._client.query(_PROBE, at_seconds=self._clocks.wall(), timeout_seconds=seconds)

    async def _recent_metric_names(self, selector: str) -> Names:
        return await self.metric_names(selector, start_seconds=self._clocks.wall() - _LOOK_BACK_SECONDS)

    async def _version(self) -> str | None:
        async with self._turn("build_info", _DISCOVERY_WAIT_SECONDS):
            return await self._client.build_info()
