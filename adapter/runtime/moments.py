"""When queries are evaluated: now, or at the last point of a grid that all replicas share (`--evaluation-grid`).

Replicas that ask at points of a grid send identical queries, which a front end that caches answers once. What was asked
for the first time after a point is asked at now: its objects may be younger than the point and have no samples there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from cachetools import LRUCache

from adapter.runtime.cache import Key
from adapter.runtime.clock import Clocks

_KNOWN: Final = 20_000  # queries; one more costs a query that a front end has no answer for


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """An evaluation time in seconds since 1970, and how long ago it is."""

    at_seconds: float
    lag_seconds: float = 0.0


@dataclass(slots=True, kw_only=True)
class Moments:
    """Chooses evaluation times; a grid of 0 seconds is none."""

    clocks: Clocks
    grid_seconds: float = 0.0
    _first_asked: LRUCache[Key, float] = field(default_factory=lambda: LRUCache(maxsize=_KNOWN))

    def of(self, key: Key) -> Moment:
        """Return when a query is evaluated."""
        now = self.clocks.wall()
        return self._point(now) if self._is_on_grid(key, now) else Moment(at_seconds=now)

    def fits(self, key: Key, moment: Moment) -> bool:
        """Say whether a query may be evaluated together with others at a moment that was chosen for one of them."""
        if not moment.lag_seconds:
            return True
        first_asked = self._first_asked.setdefault(key, self.clocks.wall())
        return bool(first_asked <= moment.at_seconds)

    def _is_on_grid(self, key: Key, now: float) -> bool:
        # An answer that may live no longer than the grid is wide would be too old when it comes.
        if not 0 < self.grid_seconds < key[2]:
            return False
        return bool(self._first_asked.setdefault(key, now) <= self._point(now).at_seconds)

    def _point(self, now: float) -> Moment:
        at_seconds = now // self.grid_seconds * self.grid_seconds
        return Moment(at_seconds=at_seconds, lag_seconds=now - at_seconds)
