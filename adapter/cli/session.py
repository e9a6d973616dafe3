"""An adapter for the length of one command: the rules, the objects and Prometheus, asked once what there is."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from adapter.cli.flags import read_settings
from adapter.cli.output import Streams
from adapter.config.settings import Settings
from adapter.runtime.wiring import Runtime, open_runtime

T = TypeVar("T")

# Shorter than this nobody waits; longer, and people ask themselves whether anything happens.
_QUIET_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """An open runtime and the settings that it was opened with."""

    runtime: Runtime
    settings: Settings


@asynccontextmanager
async def open_session(flags: Sequence[str], streams: Streams) -> AsyncIterator[Session]:
    """Open everything that serving needs, without its loops.

    Raises:
        ConfigError: the flags, the rules or the objects have an error.
    """
    settings = read_settings(flags, streams)
    async with open_runtime(settings, environment=dict(os.environ), relisting=False) as runtime:
        yield Session(runtime=runtime, settings=settings)


async def discover(session: Session, streams: Streams) -> None:
    """Ask Prometheus once what there is."""
    await with_spinner(session.runtime.relist.relist(), "asking Prometheus which series there are", streams)


async def with_spinner(work: Coroutine[object, object, T], text: str, streams: Streams) -> T:
    """Await some work; a terminal shows that it goes on when it takes more than a moment."""
    task = asyncio.ensure_future(work)
    try:
        if streams.err.isatty():
            await asyncio.wait({task}, timeout=_QUIET_SECONDS)
        if task.done() or not streams.err.isatty():
            return await task
        from rich.console import Console  # noqa: PLC0415 - only slow answers on terminals need it

        with Console(file=streams.err).status(f"{text} …"):
            return await task
    finally:
        task.cancel()
