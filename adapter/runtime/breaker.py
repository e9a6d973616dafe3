"""Stops calls to a backend that hangs; a small question, asked again and again meanwhile, tells when it is back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, Self

from adapter.errors import PrometheusUnavailable

State = Literal["closed", "open", "half-open"]

# What holds up a caller. A server that answers at once, with whatever, needs no protection of this kind.
_HOLD_UPS = frozenset({"timeout", "connection"})


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerSettings:
    """When a breaker opens and how it closes again."""

    # The HPA controller has five workers by default: when all of them were held up once, the sixth is not.
    failures: int = 5
    # Calls stop only when a question that costs nothing has no answer either: else it is the queries that are slow. It
    # has as long as a query, since a server that answers everything just in time is one to be asked.
    probe_seconds: float = 5.0
    first_pause_seconds: float = 0.5
    # With the probe itself, a server that is back is noticed within half of the HPA's period.
    longest_pause_seconds: float = 2.0
    jitter: float = 0.2  # replicas must not probe in step: each pause is up to a fifth shorter or longer
    # A call that had less time than this says nothing about the server when it times out.
    fair_seconds: float = 1.0

    @classmethod
    def of(cls, timeout_seconds: float) -> Self:
        """Return the settings for a server whose queries have so long."""
        usual = cls()
        return cls(
            probe_seconds=min(usual.probe_seconds, timeout_seconds),
            fair_seconds=min(usual.fair_seconds, timeout_seconds / 2),
        )


@dataclass(slots=True, kw_only=True)
class Breaker:
    """Closed: calls pass. Open: they fail at once. Half-open: they fail at once, and a probe is under way.

    `probe` asks the small question with a time limit in seconds, and raises what a call would raise.
    """

    probe: Callable[[float], Awaitable[None]]
    on_change: Callable[[State], None]
    settings: BreakerSettings = field(default_factory=BreakerSettings)
    chance: Callable[[], float] = random.random  # between 0 and 1
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    state: State = "closed"
    consecutive_failures: int = 0
    last_error: str = ""
    _probing: asyncio.Task[None] | None = None

    @contextmanager
    def watch(self, *, seconds: float) -> Iterator[None]:
        """Let a call pass that has `seconds` for itself, and learn from how it ends.

        Raises:
            PrometheusUnavailable: of kind `breaker`; the call is not made.
        """
        self.check()
        try:
            yield
        except PrometheusUnavailable as error:
            if error.kind not in _HOLD_UPS:
                self._answered()
            elif error.kind == "connection" or seconds >= self.settings.fair_seconds:
                self._held_up(str(error))
            raise
        except Exception:  # Prometheus refuses it, or has no such endpoint: it did answer
            self._answered()
            raise
        else:
            self._answered()

    def check(self) -> None:
        """Raise if no call may pass now; one that may need not be made.

        Raises:
            PrometheusUnavailable: of kind `breaker`.
        """
        if self.state != "closed":
            text = f"Prometheus was not asked, it has failed {self.consecutive_failures} times in a row"
            raise PrometheusUnavailable(f"{text}: {self.last_error}", kind="breaker")

    async def close(self) -> None:
        """Stop probing."""
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.gather(self._probing, return_exceptions=True)

    def _answered(self) -> None:
        self.consecutive_failures = 0
        self._change("closed")

    def _held_up(self, error: str) -> None:
        """Count a failure; those of calls that began before the breaker opened change nothing any more."""
        if self.state != "closed":
            return
        self.consecutive_failures += 1
        self.last_error = error
        if self._suspected and self._probing is None:
            self._probing = asyncio.create_task(self._probe_until_it_answers(), name="probe")

    @property
    def _suspected(self) -> bool:
        return self.consecutive_failures >= self.settings.failures

    async def _probe_until_it_answers(self) -> None:
        """Ask the small question: once while calls still pass, and if there is no answer, for as long as none comes."""
        pause = self.settings.first_pause_seconds
        try:
            while self._suspected:  # a late answer of another call ends it too
                error = await self._probe_error()
                if error is None:
                    self._answered()
                elif self._suspected:
                    self.consecutive_failures += 1
                    self.last_error = error
                    self._change("open")
                    await self.sleep(pause * (1 + self.settings.jitter * (2 * self.chance() - 1)))
                    pause = min(self.settings.longest_pause_seconds, 2 * pause)
                    if self._suspected:
                        self._change("half-open")
        finally:
            self._probing = None

    async def _probe_error(self) -> str | None:
        """Return why there was no answer to a probe, None if there was one of whatever kind."""
        try:
            await self.probe(self.settings.probe_seconds)
        except PrometheusUnavailable as error:
            return str(error) if error.kind in _HOLD_UPS else None
        except Exception:  # noqa: BLE001 - as in `watch`: it did answer
            return None
        return None

    def _change(self, state: State) -> None:
        if state != self.state:
            self.state = state
            self.on_change(state)
