"""The credentials of an exec plugin, asked for when they are needed and kept until they expire."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from adapter.clients.kubernetes.exec_plugin import ExecCredential, ExecPluginError

log = logging.getLogger(__name__)

# A credential is renewed this long before it expires, so that it does not do so on its way.
_EARLY_SECONDS: Final = 10.0
# However short-lived its credentials are, and however often it fails, a plugin is run at most this often.
_PAUSE_SECONDS: Final = 5.0


@dataclass(slots=True)
class _Run:
    task: asyncio.Task[ExecCredential]
    began_at: float


class ExecLogin:
    """Runs a plugin once for all who wait for it; `run` runs it, raising ExecPluginError.

    `report` is told the outcome and the seconds of each run.
    """

    def __init__(
        self,
        run: Callable[[], Awaitable[ExecCredential]],
        *,
        monotonic: Callable[[], float],
        wall: Callable[[], float],
        report: Callable[[str, float], None],
    ) -> None:
        self._run = run
        self._monotonic = monotonic
        self._wall = wall
        self._report = report
        self._last: _Run | None = None
        self._refused: ExecCredential | None = None

    async def credential(self) -> ExecCredential:
        """Return credentials that are valid now.

        Raises:
            ExecPluginError: the plugin gives none.
        """
        last = self._last
        if last is None or (last.task.done() and not self._still_counts(last)):
            last = self._last = _Run(asyncio.create_task(self._reported()), self._monotonic())
            last.task.add_done_callback(_look_at)  # whoever waited may be gone when it fails
        return await asyncio.shield(last.task)

    def refuse(self, credential: ExecCredential) -> None:
        """Do not give this credential again: kube-apiserver did not accept it."""
        self._refused = credential

    async def close(self) -> None:
        """End a run that is under way."""
        if self._last is not None and not self._last.task.done():
            self._last.task.cancel()
            await asyncio.wait([self._last.task])

    def _still_counts(self, run: _Run) -> bool:
        """Say whether what a run gave, or its failure, is still the answer."""
        if self._monotonic() - run.began_at < _PAUSE_SECONDS:
            return True
        if run.task.cancelled() or run.task.exception() is not None:
            return False
        found = run.task.result()
        if found is self._refused:
            return False
        return found.expires_at is None or self._wall() < found.expires_at - _EARLY_SECONDS

    async def _reported(self) -> ExecCredential:
        begin, outcome = self._monotonic(), "failed"
        try:
            credential = await self._run()
            outcome = "ok"
        except ExecPluginError as error:
            outcome = error.outcome
            log.warning("no credentials for kube-apiserver: %s", error)
            raise
        finally:
            self._report(outcome, self._monotonic() - begin)
        return credential


def _look_at(task: asyncio.Task[ExecCredential]) -> None:
    if not task.cancelled():
        task.exception()
