"""Queries that Prometheus does not finish in time: each is asked seldom, so that it holds up few callers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from cachetools import LRUCache

from adapter.errors import PrometheusUnavailable

# One slow answer may be chance, and a second its echo.
TIMEOUTS: Final = 3
# A third of the HPA's period: of many HPAs that want it, one in this time waits for the time-out and holds one of the
# controller's five workers. A query that is fast again is noticed in the next period.
PAUSE_SECONDS: Final = 5.0
# A query that had less time than this, and less than half of what queries have, says nothing about itself when it times
# out.
_FAIR_SECONDS: Final = 1.0
# Only queries that are slow now are remembered; more of them than this means that the whole server is slow.
_MAX_QUERIES: Final = 1000

_LATE: Final = frozenset({"timeout", "query_timeout"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slow:
    """How often in a row a query has timed out, and when (on the monotonic clock) it may be asked again."""

    timeouts: int
    ask_at: float


class SlowQueries:
    """Remembers, by the query's text, which queries time out; bounded, and empty while all is well.

    `timeout_seconds` is what a query has if it is alone.
    """

    def __init__(self, *, clock: Callable[[], float], timeout_seconds: float) -> None:
        self._clock = clock
        self._fair_seconds = min(_FAIR_SECONDS, timeout_seconds / 2)
        self._slow: LRUCache[str, _Slow] = LRUCache(maxsize=_MAX_QUERIES)

    def admit(self, promql: str) -> None:
        """Raise if a query may not be asked now.

        Raises:
            PrometheusUnavailable: of kind `breaker`.
        """
        slow = self._slow.get(promql)
        if slow is None or slow.timeouts < TIMEOUTS:
            return
        if self._clock() < slow.ask_at:
            text = f"the query was not asked, Prometheus has not finished it in time {slow.timeouts} times in a row"
            raise PrometheusUnavailable(text, kind="breaker")
        self._slow[promql] = _Slow(timeouts=slow.timeouts, ask_at=self._clock() + PAUSE_SECONDS)

    @contextmanager
    def watch(self, promql: str, *, seconds: float) -> Iterator[None]:
        """Learn from how a query ends that has `seconds` for itself."""
        try:
            yield
        except PrometheusUnavailable as error:
            if error.kind in _LATE:
                if seconds >= self._fair_seconds:
                    self._late(promql)
            elif error.kind != "connection":  # which says nothing about the query
                self._slow.pop(promql, None)
            raise
        except Exception:
            self._slow.pop(promql, None)
            raise
        else:
            self._slow.pop(promql, None)

    def forget(self) -> None:
        """Forget all: it was the server that was slow."""
        self._slow.clear()

    def _late(self, promql: str) -> None:
        before = self._slow.get(promql)
        timeouts = 1 if before is None else before.timeouts + 1
        self._slow[promql] = _Slow(timeouts=timeouts, ask_at=self._clock() + PAUSE_SECONDS)
