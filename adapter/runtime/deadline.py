"""One deadline for a whole request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from adapter.errors import DeadlineExceeded
from adapter.runtime.clock import Clocks


@asynccontextmanager
async def until(deadline_seconds: float, clocks: Clocks) -> AsyncIterator[None]:
    """Turn the end of a deadline, in seconds of the monotonic clock, into our error; others' time-outs pass through.

    Raises:
        DeadlineExceeded: the deadline passed inside.
    """
    timeout = asyncio.timeout(max(0.0, deadline_seconds - clocks.monotonic()))
    try:
        async with timeout:
            yield
    except TimeoutError as error:
        if timeout.expired():
            raise DeadlineExceeded("Timeout: request did not complete within the allotted timeout") from error
        raise
