"""Python's garbage collector, out of the way: while a thread makes something large, and of what is kept for long."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

# New objects between two collections of the youngest, and how many of these the older ones wait for. Python's own 700,
# 10, 10 are for programs that keep little: an answer of 6,000 samples brings 24 collections, and every fifth answer one
# of all that is kept. With 125,000 samples kept an answer took 2.6 times the CPU, and the longest collection 0.2 s, in
# which nobody was served. What comes between two collections now takes some 10 MB; most of it has no cycles, and goes
# without any.
_THRESHOLDS = (50_000, 20, 20)


def collect_seldom() -> None:
    """Have what is there now passed over for ever, and what comes looked at seldom: for a program that serves long."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)


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
