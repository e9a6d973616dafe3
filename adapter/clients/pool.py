"""HTTP clients, one for each TLS context: a renewed certificate takes effect without breaking calls under way."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class Client(Protocol):
    """What is lent: httpx's client, or that of its successor httpx2."""

    async def aclose(self) -> None:
        """Close all connections."""


C = TypeVar("C", bound=Client)


@dataclass(slots=True)
class _Generation(Generic[C]):
    client: C
    context: ssl.SSLContext
    users: int = 0
    retired: bool = False


class Pool(Generic[C]):
    """Lends the client of the newest TLS context; an older one is closed when its last call has ended."""

    def __init__(self, make: Callable[[ssl.SSLContext], C], context: ssl.SSLContext) -> None:
        self._make = make
        self._newest = _Generation(client=make(context), context=context)

    @asynccontextmanager
    async def lease(self, context: ssl.SSLContext) -> AsyncIterator[C]:
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


async def _close_unused(generation: _Generation[C]) -> None:
    if generation.retired and not generation.users:
        await generation.client.aclose()
