"""Several works at a time, of which the first failure ends the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


async def each(works: Sequence[Callable[[], Awaitable[T]]], at_once: int) -> list[T]:
    """Return what all works give, so many at a time; the first failure ends the others and is raised."""
    if len(works) == 1:
        return [await works[0]()]
    room = asyncio.Semaphore(at_once)

    async def admitted(work: Callable[[], Awaitable[T]]) -> T:
        async with room:
            return await work()

    failure: BaseException
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(admitted(work)) for work in works]
    except BaseExceptionGroup as failures:
        failure = failures.exceptions[0]
    else:
        return [task.result() for task in tasks]
    raise failure  # by itself: its cause is what went wrong, and the group says nothing more
