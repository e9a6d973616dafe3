"""uvicorn's server, without the parts that belong to the process."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import uvicorn

from adapter.server.protocol import PatientProtocol

# What is cancelled ends at once; nothing that does not may keep the process.
_LETTING_GO_SECONDS = 1.0


class QuietServer(uvicorn.Server):
    """Serves, leaves the signals to others, and waits for nobody for ever."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone: uvicorn would raise them again at its end, and no exit code be 0."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let requests end; who is still served after that is let go before what serves them is closed."""
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            cast("PatientProtocol", connection).abort()
        tasks = set(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_LETTING_GO_SECONDS)

    async def main_loop(self) -> None:
        """Serve until the end; when cancelled, close what is open and wait for nobody."""
        try:
            await super().main_loop()
        except asyncio.CancelledError:
            self.force_exit = True
            await self.shutdown()
            raise
