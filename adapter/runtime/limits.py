"""What one backend takes in a query, learned from its refusals: how long a text, and of each shape how many objects.

A limit is kept for some minutes and then doubled, step by step, until it is none; each step that fails makes the next
one wait twice as long. Nobody has to configure what a server can say.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from cachetools import LRUCache

from adapter.promql.limits import Limit
from adapter.rules.fusion import Shape

_log = logging.getLogger(__name__)

# Twenty periods of the HorizontalPodAutoscaler with one failed query more than needed.
FIRST_SECONDS: Final = 300.0
LONGEST_SECONDS: Final = 3600.0
# Half of the samples that an answer may have (promql.decode.MAX_SAMPLES), since an object may have several.
MANY_OBJECTS: Final = 10_000
_SHAPES: Final = 2_000


class LimitsObserver(Protocol):
    """What is reported of limits."""

    def limit_changed(self, *, backend: str, kind: str, change: str, limits: int) -> None:
        """Note a limit of a kind (length, data) that was lowered, raised or lifted, and how many there are now."""


@dataclass(slots=True, kw_only=True)
class _Learned:
    """A limit, when (on the monotonic clock) a larger one is tried, and what the server said."""

    most: int
    try_at: float
    wait_seconds: float
    why: str


class Limits:
    """The limits of one backend; bounded, and empty while all is well."""

    def __init__(
        self, *, backend: str, clock: Callable[[], float], observer: LimitsObserver, max_bytes: int = 16_384
    ) -> None:
        self._backend = backend
        self._clock = clock
        self._observer = observer
        self._max_bytes = max_bytes
        self._length: _Learned | None = None
        self._objects: LRUCache[Shape, _Learned] = LRUCache(maxsize=_SHAPES)

    def max_bytes(self) -> int:
        """Return how long a query may be that can be divided."""
        if self._length is not None and self._clock() >= self._length.try_at:
            self._length = self._grown(self._length, self._max_bytes)
            self._report(Limit.LENGTH, "raised" if self._length else "lifted", self._length)
        return self._max_bytes if self._length is None else min(self._max_bytes, self._length.most)

    def max_objects(self, shape: Shape) -> int:
        """Return how many objects a query of a shape may ask for."""
        learned = self._objects.get(shape)
        if learned is None:
            return MANY_OBJECTS
        if self._clock() >= learned.try_at:
            grown = self._grown(learned, MANY_OBJECTS)
            if grown is None:
                del self._objects[shape]
            else:
                self._objects[shape] = learned = grown
            self._report(Limit.DATA, "raised" if grown else "lifted", grown, shape)
            return learned.most if grown else MANY_OBJECTS
        return learned.most

    def learn(self, limit: Limit, shape: Shape, *, most: int, why: str) -> None:
        """Remember a limit that a refusal has shown; `most` is in bytes, or in objects of the shape."""
        before = self._length if limit is Limit.LENGTH else self._objects.get(shape)
        wait = FIRST_SECONDS if before is None else min(LONGEST_SECONDS, 2 * before.wait_seconds)
        learned = _Learned(most=max(1, most), try_at=self._clock() + wait, wait_seconds=wait, why=why)
        if limit is Limit.LENGTH:
            self._length = learned
        else:
            self._objects[shape] = learned
        self._report(limit, "lowered", learned, shape)

    def told(self, shape: Shape) -> Iterator[str]:
        """Yield the limits that queries of a shape are under, for people."""
        if self._length is not None:
            yield f"at most {self._length.most} bytes in a query, since Prometheus said: {self._length.why}"
        if learned := self._objects.get(shape):
            yield f"at most {learned.most} objects in a query, since Prometheus said: {learned.why}"

    def _grown(self, learned: _Learned, enough: int) -> _Learned | None:
        if 2 * learned.most >= enough:
            return None
        wait = learned.wait_seconds
        return _Learned(most=2 * learned.most, try_at=self._clock() + wait, wait_seconds=wait, why=learned.why)

    def _report(self, limit: Limit, change: str, learned: _Learned | None, shape: Shape | None = None) -> None:
        kept = len(self._objects) if limit is Limit.DATA else int(self._length is not None)
        self._observer.limit_changed(backend=self._backend, kind=str(limit), change=change, limits=kept)
        facts = {"backend": self._backend, "change": change, "rule": shape.rule if shape else ""}
        if learned is None:
            _log.info("queries to Prometheus are no longer held to a limit of %s", limit, extra=facts)
        else:
            unit = "bytes" if limit is Limit.LENGTH else "objects"
            _log.info("a query to Prometheus has at most %d %s now: %s", learned.most, unit, learned.why, extra=facts)
