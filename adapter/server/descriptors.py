"""Whether the process has file descriptors left.

Without any, each new connection is closed by the loop as soon as it comes, and nobody is told; so we look ourselves.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections.abc import Callable

_log = logging.getLogger("adapter.server")

_LOOK_SECONDS = 1.0
# So many looks in a row find one before we say so: under load one comes free, and is gone, again and again.
CALM_LOOKS = 10

# Opens a file descriptor, and closes it; raises OSError if there is none.
Probe = Callable[[], None]


def probe_of(descriptor: int) -> Probe:
    """Return a probe that makes a second descriptor of one."""

    def probe() -> None:
        os.close(os.dup(descriptor))

    return probe


class DescriptorWatch:
    """Tells once when file descriptors run out, and once when there are some again."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._calm_looks = CALM_LOOKS

    def look(self) -> None:
        """Look once, and log what has changed."""
        try:
            self._probe()
        except OSError as error:
            if error.errno not in {errno.EMFILE, errno.ENFILE}:
                return
            if self._calm_looks >= CALM_LOOKS:
                _log.error("no file descriptors left, new connections are closed: %s", error.strerror)
            self._calm_looks = 0
            return
        self._calm_looks += 1
        if self._calm_looks == CALM_LOOKS:
            _log.info("there are file descriptors again, connections are accepted")

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            self.look()
