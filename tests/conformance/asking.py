"""The adapter in a world, as it runs but for the network, and a way to ask it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx

from adapter.cli.session import Session
from adapter.clients.prometheus import open_client
from adapter.config.settings import parse_flags
from adapter.runtime.clock import Clocks
from adapter.runtime.wiring import open_runtime
from adapter.server.calls import Answer, read_call
from adapter.server.gateway import Gateway, Services
from conformance.corpus import NOW_SECONDS, World


@dataclass(slots=True, kw_only=True)
class Clock:
    """The time of a case, turned by its steps."""

    seconds: float = NOW_SECONDS

    def clocks(self) -> Clocks:
        """Return both clocks, which go together."""
        return Clocks(monotonic=lambda: self.seconds, wall=lambda: self.seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """An adapter in a world, as it is after its first relist."""

    session: Session
    clock: Clock

    async def ask(self, path: str) -> Answer:
        """Ask for a path through the server's own door."""
        runtime = self.session.runtime
        services = Services(
            provider=runtime.provider,
            health=runtime.health,
            render_metrics=lambda: b"",
            clock=runtime.clocks.monotonic,
            version="test",
        )
        raw, _, query = path.encode().partition(b"?")
        scope = {"method": "GET", "path": "", "raw_path": raw, "query_string": query, "headers": ()}
        scope["server"] = ("127.0.0.1", 6443)
        return await Gateway(services).answer(read_call(scope))


def write_files(world: World, folder: Path) -> Path:
    """Write a world's files into a folder and return it."""
    rules = folder / "rules"
    rules.mkdir(parents=True)
    for name, text in world.rules.items():
        (rules / name).write_text(text, encoding="utf-8")
    (folder / "objects.yaml").write_text(world.objects, encoding="utf-8")
    return folder


@asynccontextmanager
async def open_adapter(
    world: World, folder: Path, *, transport: httpx.AsyncBaseTransport, begin_seconds: float, url: str = "http://prom"
) -> AsyncIterator[Adapter]:
    """Start an adapter in a world whose files lie in a folder, and let it look at the series once."""
    clock = Clock(seconds=begin_seconds)
    flags = [f"--config={folder / 'rules'}", f"--objects-file={folder / 'objects.yaml'}", f"--prometheus-url={url}"]
    settings = parse_flags([*flags, *world.flags], {}).settings
    async with open_runtime(
        settings,
        environment={},
        clocks=clock.clocks(),
        relisting=False,
        open_client_with=partial(open_client, transport=transport),
    ) as runtime:
        await runtime.relist.relist()
        yield Adapter(session=Session(runtime=runtime, settings=settings), clock=clock)
