"""What Python itself is told so that the event loop goes on: when to collect garbage, and where long work is done."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final, TypeVar

T = TypeVar("T")

# New objects between two collections of the youngest, and how many of these the older ones wait for. Python's own 700,
# 10, 10 are for programs that keep little: an answer of 6,000 samples brings 24 collections, and every fifth answer one
# of all that is kept. With 125,000 samples kept an answer took 2.6 times the CPU, and the longest collection 0.2 s, in
# which nobody was served. What comes between two collections now takes some 10 MB; most of it has no cycles, and goes
# without any.
_THRESHOLDS: Final = (50_000, 20, 20)
# While a thread makes something, the event loop waits for the interpreter each time that it has let go of it, which is
# several times a request: in TLS and at the socket. Python's own 5 ms each made the 99th percentile of 10,000
# autoscalers two to five times as long.
_SWITCH_SECONDS: Final = 0.0005

# Python runs one thread at a time: two that make something are not faster than one after the other, and the event loop
# gets a third of the time instead of half of it. With fifteen shared answers at a time everybody waited up to a second.
_ANSWERS: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="answers")
# Ten thousand items take seconds as YAML: answers do not wait behind that.
_DOCUMENTS: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="documents")


def collect_seldom() -> None:
    """Have what is there now passed over for ever, and what comes looked at seldom: for a program that serves long."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)


def switch_often() -> None:
    """Have threads hand the interpreter to each other after half a millisecond: for a program with an event loop."""
    sys.setswitchinterval(_SWITCH_SECONDS)


async def made_aside(make: Callable[[], T]) -> T:
    """Return what a function makes of an answer, on the one thread for that, and collect nothing meanwhile.

    It is for what takes more than some 5 ms of Python and at most some tenths of a second, and waits for nothing.
    """
    return await asyncio.get_running_loop().run_in_executor(_ANSWERS, uncollected, make)


async def written_aside(write: Callable[[], T]) -> T:
    """Return the document that a function writes as `made_aside` does, on a thread for these: it may take seconds."""
    return await asyncio.get_running_loop().run_in_executor(_DOCUMENTS, uncollected, write)


def uncollected(make: Callable[[], T]) -> T:
    """Return what a function makes, and collect nothing meanwhile."""
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
