"""How every command is run: its streams, its logs, its event loop."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, Final

from adapter.cli.flags import set_up_logs
from adapter.cli.output import Streams

# Modules whose log lines say what some commands say by themselves, and better.
SERVER: Final = "adapter.server"
RELIST: Final = "adapter.runtime.relist"
OBJECTS: Final = "adapter.runtime.objects"


def streams() -> Streams:
    """Return the streams of this process."""
    return Streams(out=sys.stdout, err=sys.stderr)


def option_value(text: str | None) -> str | None:
    """Return the value of a short option; kubectl takes `-l=app=web` as well as `-l app=web`."""
    return text.removeprefix("=") if text is not None else None


def run(work: Coroutine[Any, Any, int], streams: Streams, *told: str) -> int:
    """Run a command to its end; of the modules `told` only the worst is logged."""
    set_up_logs(streams, told=told)
    return asyncio.run(work)
