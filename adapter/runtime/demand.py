"""Which metrics are in use: those that callers got an answer for within the last hour."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from cachetools import TTLCache

from adapter.rules.catalog import Catalog, CustomKey

# A HPA asks every 15 s, a person or a nightly job may look away for a while.
DEMAND_SECONDS = 3600.0
# Metrics that HPAs of a very large cluster use; of more, those that were asked for longest ago are forgotten first.
_MAX_METRICS = 10_000

Metric = CustomKey | str  # a resource and a metric, or an external metric, as in the catalog


@dataclass(slots=True, kw_only=True)
class Demand:
    """Remembers what was asked for and answered."""

    clock: Callable[[], float]
    _answered: TTLCache[Metric, None] = field(init=False)

    def __post_init__(self) -> None:
        self._answered = TTLCache(maxsize=_MAX_METRICS, ttl=DEMAND_SECONDS, timer=self.clock)

    def note(self, metric: Metric) -> None:
        """Remember that a caller got an answer for a metric."""
        self._answered[metric] = None

    def lost(self, old: Catalog, new: Catalog) -> tuple[str, ...]:
        """Return the metrics in use that one catalog has and the other has not, as discovery names them, sorted."""
        gone = [metric for metric in self._answered if _has(old, metric) and not _has(new, metric)]
        return tuple(sorted(one if isinstance(one, str) else f"{one[0]}/{one[1]}" for one in gone))


def _has(catalog: Catalog, metric: Metric) -> bool:
    return metric in (catalog.by_external if isinstance(metric, str) else catalog.by_custom)
