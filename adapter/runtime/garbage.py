"""Python's garbage collector, out of the way while a thread makes something large."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


async def made_aside(make: Callable[[], T]) -> T:
    """Return what a function makes, on a thread, and collect nothing meanwhile: for what takes more than some 10 ms."""
    return await asyncio.to_thread(_made, make)


def _made(make: Callable[[], T]) -> T:
    with collection_paused():
        return make()


@contextmanager
def collection_paused() -> Iterator[None]:
    """Let nothing be collected inside.

    A collection stops every thread, the event loop's too, and looks through all that is being made, again and again:
    a second at a time for a file of 20,000 objects. What is made here has no cycles, so there is nothing to find.
    """
    # Where two threads do this at a time, whoever began first ends it for both, which costs a pause and no more.
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
