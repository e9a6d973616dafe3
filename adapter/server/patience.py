"""How long the server waits for who has the values."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from adapter.errors import DeadlineExceeded

T = TypeVar("T")


async def within(seconds: float, work: Awaitable[T]) -> T:
    """Await work that should have ended by itself a little before; nothing may hang.

    Raises:
        DeadlineExceeded: it has not ended within so many seconds.
    """
    try:
        async with asyncio.timeout(seconds) as edge:
            return await work
    except TimeoutError as error:
        if edge.expired():
            raise DeadlineExceeded("nothing came back within the deadline") from error
        raise
