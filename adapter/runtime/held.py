"""Last good values, for rules that hold them through a gap (`onEmpty: hold`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from cachetools import TLRUCache

V = TypeVar("V")

# A held value is one object of one metric; ten thousand pods on five metrics fit, at some 300 bytes each.
MAX_HELD = 50_000


class HeldValues(Generic[V]):
    """The last good value by key, each until its rule's `holdFor` after it was seen."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._kept: TLRUCache[tuple[str, ...], tuple[V, float]] = TLRUCache(
            maxsize=MAX_HELD, ttu=lambda _key, kept, now: now + kept[1], timer=clock
        )

    def keep(self, key: tuple[str, ...], value: V, hold_seconds: float, *, age_seconds: float = 0.0) -> None:
        """Remember a value for some seconds from when it was evaluated, which is so long ago."""
        self._kept[key] = (value, hold_seconds - age_seconds)

    def last(self, key: tuple[str, ...]) -> V | None:
        """Return the last good value, None when there is none or it is too old."""
        kept = self._kept.get(key)
        return None if kept is None else kept[0]
