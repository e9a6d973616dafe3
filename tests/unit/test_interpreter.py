"""No garbage is collected while something large is made, one thing at a time, while the event loop goes on."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import weakref

import pytest

from adapter.interpreter import collect_seldom, collection_paused, made_aside, switch_often, written_aside


def test_collection_is_paused_inside_and_goes_on_afterwards() -> None:
    """Also when one pause lies in another, and when what is made fails."""
    with collection_paused():
        with collection_paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()

    with pytest.raises(ValueError, match="no"), collection_paused():
        raise ValueError("no")
    assert gc.isenabled()


class _Ring:
    """What only the collector can free."""

    def __init__(self) -> None:
        self.itself = self


def test_cycles_are_freed_all_the_same() -> None:
    """Collections come seldom for who serves long, and they do come."""
    before = gc.get_threshold()
    try:
        collect_seldom()
        seen = weakref.ref(_Ring())
        kept: list[list[object]] = [[] for _ in range(2 * gc.get_threshold()[0])]

        assert gc.get_threshold() > before
        assert gc.get_freeze_count() > 0
        assert seen() is None
        assert kept
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


@pytest.mark.anyio
async def test_one_thing_is_made_at_a_time_and_the_loop_goes_on() -> None:
    """Several that are made together would share the interpreter, and leave the event loop the less of it."""
    begun, allowed = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def make() -> int:
        loop.call_soon_threadsafe(begun.set)
        allowed.wait(10)
        return threading.get_ident()

    def fail() -> None:
        raise ValueError("no")

    first = asyncio.create_task(made_aside(make))
    await begun.wait()
    second = asyncio.create_task(made_aside(make))  # while the first is under way, so that a free thread would take it
    await asyncio.sleep(0)
    allowed.set()

    assert await first == await second != threading.get_ident()
    with pytest.raises(ValueError, match="no"):
        await made_aside(fail)


@pytest.mark.anyio
async def test_answers_do_not_wait_behind_documents() -> None:
    """A caller may want a document in a form that takes seconds."""
    allowed = threading.Event()
    document = asyncio.create_task(written_aside(lambda: allowed.wait(10)))
    await asyncio.sleep(0)

    assert await made_aside(lambda: "an answer") == "an answer"
    assert not document.done()
    allowed.set()
    assert await document


def test_threads_hand_over_often() -> None:
    """The event loop does not wait for milliseconds each time that it has let go."""
    before = sys.getswitchinterval()
    try:
        switch_often()
        assert sys.getswitchinterval() < before
    finally:
        sys.setswitchinterval(before)
