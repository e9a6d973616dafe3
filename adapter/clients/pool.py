"""HTTP clients, one for each TLS context: a renewed certificate takes effect without breaking calls under way."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx


@dataclass(slots=True)
class _Generation:
    client: httpx.AsyncClient
    context: ssl.SSLContext
    users: int = 0
    retired: bool = False


class Pool:
    """Lends the client of the newest TLS context; an older one is closed when its last call has ended."""

    def __init__(self, make: Callable[[ssl.SSLContext], httpx.AsyncClient], context: ssl.SSLContext) -> None:
        self._make = make
        self._newest = _Generation(client=make(context), context=context)

    @asynccontextmanager
    async def lease(self, context: ssl.SSLContext) -> AsyncIterator[httpx.AsyncClient]:
        """Lend the client of a TLS context for one call."""
        if self._newest.context is not context:
            old, self._newest = self._newest, _Generation(client=self._make(context), context=context)
            old.retired = True
            await _close_unused(old)
        mine = self._newest
        mine.users += 1
        try:
            yield mine.client
        finally:
            mine.users -= 1
            await _close_unused(mine)

    async def close(self) -> None:
        """Close the newest client; calls under way fail."""
        await self._newest.client.aclose()


async def _close_unused(generation: _Generation) -> None:
    if generation.retired and not generation.users:
        await generation.client.aclose()
