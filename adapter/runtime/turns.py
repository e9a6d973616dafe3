"""Turns: so many at a time, and whoever does not get one in time hears so."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from adapter.errors import PrometheusUnavailable


class Turns:
    """Lends a number of turns, in the order in which they are asked for."""

    def __init__(self, count: int) -> None:
        self._free = asyncio.Semaphore(count)

    @property
    def are_taken(self) -> bool:
        """Say whether whoever asks now has to wait."""
        return self._free.locked()

    @asynccontextmanager
    async def taken(self, *, seconds: float) -> AsyncIterator[None]:
        """Wait for a turn, at most so long, and lend it.

        Raises:
            PrometheusUnavailable: of kind `overloaded`; there was none in time.
        """
        await self._wait(seconds)
        try:
            yield
        finally:
            self._free.release()

    async def _wait(self, seconds: float) -> None:
        if seconds > 0:
            if not self._free.locked():
                await self._free.acquire()
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._free.acquire()
                    return
        raise PrometheusUnavailable("no turn for this call to Prometheus in time", kind="overloaded")
