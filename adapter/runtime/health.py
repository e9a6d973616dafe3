"""Whether the adapter is well, by named checks; a dead Prometheus never makes it unready or unlive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from adapter.config.problems import Problem
from adapter.runtime.clock import Clocks
from adapter.runtime.objects import Objects
from adapter.runtime.relist import Relist
from adapter.runtime.reload import line_of

# How long readiness waits for the first relist: a dead Prometheus must not keep a replica out of service.
FIRST_RELIST_SECONDS = 5.0
# How long it waits for the pods that autoscalers will ask for: 125,000 take some 5 s. What cannot be listed is not
# waited for.
FIRST_OBJECTS_SECONDS = 30.0
# Of the problems of a file; the log has them all.
_SHOWN_PROBLEMS = 10


class FollowedRules(Protocol):
    """What health needs of the rules files."""

    @property
    def problems(self) -> Sequence[Problem]:
        """Return why the files as they are now are not in force."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One named check; `detail` is shown when somebody asks verbosely."""

    name: str
    ok: bool
    detail: str = ""


@dataclass(slots=True, kw_only=True)
class Health:
    """Knows the checks of each probe."""

    relist: Relist
    objects: Objects
    rules: FollowedRules
    backend: str
    clocks: Clocks
    started_at: float
    _had_objects: bool = False  # once: a watch that begins later makes nobody unready

    def checks(self, probe: str) -> Sequence[Check]:
        """Return the checks of `livez`, `readyz` or `healthz`, in a fixed order."""
        checks = [Check(name="ping", ok=True), Check(name="log", ok=True)]
        if probe in ("readyz", "healthz"):
            checks.append(self._first_relist())
            checks.append(self._series_queries())
            checks.append(self._objects())
            checks.append(self._rules())
        if probe == "readyz":  # a slow LIST must not fail a liveness probe, for which charts take healthz
            checks.append(self._first_objects())
        return checks

    def _first_relist(self) -> Check:
        waited = self.clocks.monotonic() - self.started_at
        done = self.relist.first_done.is_set()
        detail = "" if done else f"the first relist has not ended after {waited:.1f} s"
        return Check(name=f"first-relist-{self.backend}", ok=done or waited >= FIRST_RELIST_SECONDS, detail=detail)

    def _first_objects(self) -> Check:
        waited = self.clocks.monotonic() - self.started_at
        syncing = self.objects.syncing
        # Before the first relist nobody knows what will be asked for.
        self._had_objects |= waited >= FIRST_OBJECTS_SECONDS or (self.relist.first_done.is_set() and not syncing)
        waiting = bool(syncing) and not self._had_objects
        detail = f"{', '.join(syncing)} are still being listed after {waited:.1f} s" if waiting else ""
        return Check(name="first-objects", ok=not waiting, detail=detail)

    def _series_queries(self) -> Check:
        """Name the failing series queries; they are told, and fail nothing.

        Anybody may read this, so it has the class of an error and never the text that came from Prometheus.
        """
        failing = [(query, state.error) for query, state in self.relist.states.items() if state.error is not None]
        detail = "; ".join(f"{query}: {type(error).__name__}" for query, error in failing)
        return Check(name=f"series-queries-{self.backend}", ok=True, detail=detail)

    def _objects(self) -> Check:
        """Count what is wrong with the objects; the texts, which may quote them, are in the log."""
        found = len(self.objects.problems)
        return Check(name="objects", ok=True, detail=f"problems: {found}, see the log" if found else "")

    def _rules(self) -> Check:
        """Tell why the rules files are not in force; the last good rules serve, so nothing fails.

        Problems quote no value that may be a secret, so anybody may read them.
        """
        found = self.rules.problems
        lines = [line_of(one) for one in found[:_SHOWN_PROBLEMS]]
        more = [f"{len(found) - len(lines)} more"] if len(found) > len(lines) else []
        stay = ["the last good rules are in force"] if found else []
        return Check(name="rules", ok=True, detail="; ".join([*stay, *lines, *more]))
