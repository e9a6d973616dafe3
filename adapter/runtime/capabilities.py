"""Whether a backend's label endpoints can be trusted: proved by asking, and proved again when the backend changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from adapter.clients.prometheus import EndpointUnsupported, Names
from adapter.errors import PrometheusUnavailable, QueryRejected

log = logging.getLogger(__name__)

ANY_SERIES: Final = '{__name__!=""}'
# No metric has this name: colons are for recording rules, and nobody records under ours.
NO_SERIES: Final = '{__name__="tidegauge:matches:nothing"}'

# An upgrade of Prometheus is noticed within this time; a relist has one such cheap question at most.
_VERSION_SECONDS: Final = 300.0

_ANSWERED: Final = "answered"
# What is wrong with one query, or with one answer, says nothing of the server.
_OF_ONE_QUERY: Final = frozenset({"query_timeout", "too_large", "too_long"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    """What was proved, of which version, and after how many changes in the class of errors."""

    works: bool
    version: str | None
    changes: int
    checked_at: float


class LabelEndpoints:
    """Remembers whether the label endpoints respect `match[]`; servers before 2.24 and some proxies ignore it."""

    def __init__(
        self,
        *,
        backend: str,
        metric_names: Callable[[str], Awaitable[Names]],
        version: Callable[[], Awaitable[str | None]],
        clock: Callable[[], float],
    ) -> None:
        self._backend = backend
        self._metric_names = metric_names
        self._version = version
        self._clock = clock
        self._verdict: _Verdict | None = None
        self._lock = asyncio.Lock()
        self._changes = 0
        self._announced: bool | None = None
        self._outcomes: dict[str, str] = {}
        self.version: str | None = None

    def note(self, endpoint: str, outcome: str) -> None:
        """Note how a call of an endpoint ended; another end than before may mean another server at the same address."""
        if outcome != self._outcomes.get(endpoint, _ANSWERED):
            self._changes += 1
        self._outcomes[endpoint] = outcome

    async def work(self) -> bool:
        """Say whether the label endpoints can be used now; callers at the same time share one proof.

        Raises:
            UpstreamError: the backend cannot be asked.
        """
        async with self._lock:
            if self._verdict is None or not await self._still_holds(self._verdict):
                await self._prove()
            return self._verdict is not None and self._verdict.works

    async def _still_holds(self, verdict: _Verdict) -> bool:
        if verdict.changes != self._changes:
            return False
        if self._clock() - verdict.checked_at < _VERSION_SECONDS:
            return True
        self.version = version = await self._version()
        # A server that does not tell its version may be another one by now.
        if version is None or version != verdict.version:
            return False
        self._verdict = _Verdict(works=verdict.works, version=version, changes=self._changes, checked_at=self._clock())
        return True

    async def _prove(self) -> None:
        """Ask for nothing and for everything: only an endpoint that looks at `match[]` tells the two apart.

        A backend without any series proves nothing, so it is asked again the next time.
        """
        self._verdict = None
        self.version = await self._version()
        try:
            nothing = await self._metric_names(NO_SERIES)
            anything = await self._metric_names(ANY_SERIES)
        except (EndpointUnsupported, QueryRejected) as error:
            works, why = False, str(error)
        else:
            works, why = not nothing.values, "they ignore match[]"
            if not (nothing.values or anything.values):
                return
        self._verdict = _Verdict(works=works, version=self.version, changes=self._changes, checked_at=self._clock())
        if works != self._announced:
            self._announced = works
            log.info(
                "label endpoints %s", "in use" if works else f"not in use: {why}", extra={"backend": self._backend}
            )


def outcome_of(error: BaseException | None) -> str:
    """Return the class of an outcome; what a query's own fault is, or our own decision, says nothing of the server."""
    match error:
        case PrometheusUnavailable(kind=kind):
            return _ANSWERED if kind in _OF_ONE_QUERY else kind
        case EndpointUnsupported(status=status):
            return f"unsupported {status}"
        case _:
            return _ANSWERED
