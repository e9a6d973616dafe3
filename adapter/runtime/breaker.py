"""Stops calls to a backend that hangs, and lets one through now and then to see whether it is back."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from adapter.errors import PrometheusUnavailable

State = Literal["closed", "open", "half-open"]

# What holds up a caller. A server that answers at once, with whatever, needs no protection of this kind.
_HOLD_UPS = frozenset({"timeout", "connection"})


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerSettings:
    """When a breaker opens and how it closes again."""

    # The HPA controller has five workers by default: when all of them were held up once, the sixth is not.
    failures: int = 5
    first_pause_seconds: float = 1.0
    # One period of the HPA: a server that is back is noticed in the next one.
    longest_pause_seconds: float = 15.0
    jitter: float = 0.2  # replicas must not probe in step: each pause is up to a fifth shorter or longer
    # A call that had less time than this says nothing about the server when it times out.
    fair_seconds: float = 1.0


@dataclass(slots=True, kw_only=True)
class Breaker:
    """Closed: calls pass. Open: they fail at once. Half-open: one call, the probe, is under way and decides."""

    clock: Callable[[], float]
    on_change: Callable[[State], None]
    settings: BreakerSettings = field(default_factory=BreakerSettings)
    chance: Callable[[], float] = random.random  # between 0 and 1
    state: State = "closed"
    consecutive_failures: int = 0
    last_error: str = ""
    _pause: float = 0.0
    _retry_at: float = 0.0

    @contextmanager
    def watch(self, *, seconds: float) -> Iterator[None]:
        """Let a call pass that has `seconds` for itself, and learn from how it ends.

        Raises:
            PrometheusUnavailable: of kind `breaker`; the call is not made.
        """
        probing = self._admit()
        try:
            yield
        except PrometheusUnavailable as error:
            if error.kind not in _HOLD_UPS:
                self._answered()
            elif error.kind == "timeout" and seconds < self.settings.fair_seconds:
                self._undecided(probing=probing)
            else:
                self._held_up(str(error), probing=probing)
            raise
        except Exception:  # Prometheus refuses it, or has no such endpoint: it did answer
            self._answered()
            raise
        except BaseException:
            self._undecided(probing=probing)
            raise
        else:
            self._answered()

    def check(self) -> None:
        """Raise if no call may pass now; one that may need not be made.

        Raises:
            PrometheusUnavailable: of kind `breaker`.
        """
        if self.state == "half-open" or (self.state == "open" and self.clock() < self._retry_at):
            text = f"Prometheus was not asked, it has failed {self.consecutive_failures} times in a row"
            raise PrometheusUnavailable(f"{text}: {self.last_error}", kind="breaker")

    def _admit(self) -> bool:
        """Let a call pass, and say whether it is the probe."""
        self.check()
        if self.state == "closed":
            return False
        self._change("half-open")
        return True

    def _answered(self) -> None:
        self.consecutive_failures = 0
        self._pause = 0.0
        self._change("closed")

    def _held_up(self, error: str, *, probing: bool) -> None:
        """Count a failure; those of calls that began before the breaker opened change nothing any more."""
        if self.state != "closed" and not probing:
            return
        self.consecutive_failures += 1
        self.last_error = error
        if probing or self.consecutive_failures >= self.settings.failures:
            self._open()

    def _open(self) -> None:
        settings = self.settings
        self._pause = min(settings.longest_pause_seconds, self._pause * 2 or settings.first_pause_seconds)
        spread = 1 + settings.jitter * (2 * self.chance() - 1)
        self._retry_at = self.clock() + self._pause * spread
        self._change("open")

    def _undecided(self, *, probing: bool) -> None:
        """Let the next call probe when this one was cancelled, or had no fair chance."""
        if probing and self.state == "half-open":
            self._change("open")

    def _change(self, state: State) -> None:
        if state != self.state:
            self.state = state
            self.on_change(state)
