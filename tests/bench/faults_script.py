"""What is done to Prometheus and kube-apiserver, one thing after another, and whether requests may fail meanwhile."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from rig.processes import Child

from bench.faults_prometheus import Backend
from bench.scene import Cluster

# How long the server stands still of each second while it stutters.
_STANDING_SECONDS: Final = 0.9
_SECOND: Final = 1.0


@dataclass(slots=True, kw_only=True)
class Plane:
    """The stand-in for kube-apiserver, which can be killed and started again where it was."""

    cluster: Cluster
    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _child: Child | None = None

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Run it."""
        with self._stack:
            self.start()
            yield

    def start(self) -> None:
        """Start it, and return when it answers."""
        self._child = self._stack.enter_context(self.cluster.running())

    def kill(self) -> None:
        """Kill it without a warning."""
        if self._child is not None:
            os.kill(self._child.pid, signal.SIGKILL)
            self._child.stop()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What can be struck."""

    backend: Backend
    plane: Plane


Strike = Callable[[Stage, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that goes wrong.

    Attributes:
        strike: does it for so many seconds and cures it; when it returns, all is well again.
        seconds: how long; `quick_seconds` in a quick run, 0 to leave it out there.
        fails: whether requests fail meanwhile: `must`, else it was no fault; `may`; or `never`.
        absent: whether series are truly not there for a while.
        opens: whether the breaker must have opened by its end.
        spared: for so many seconds requests are answered nevertheless; None: for as long as old answers may be told.
    """

    name: str
    strike: Strike
    seconds: float
    quick_seconds: float = 0.0
    fails: Literal["must", "may", "never"] = "must"
    absent: bool = False
    opens: bool = False
    spared: float | None = None


def _killed(stage: Stage, seconds: float) -> None:
    stage.backend.kill()
    time.sleep(seconds)
    stage.backend.start()


def _emptied(stage: Stage, seconds: float) -> None:
    """Lose all data: for so long there are no series, then they are written anew."""
    stage.backend.kill(empty=True)
    stage.backend.start()
    time.sleep(seconds)
    stage.backend.write()


def _hung(stage: Stage, seconds: float) -> None:
    stage.backend.hold()
    time.sleep(seconds)
    stage.backend.go_on()


def _stutters(stage: Stage, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        _hung(stage, _STANDING_SECONDS)
        time.sleep(_SECOND - _STANDING_SECONDS)


def _no_plane(stage: Stage, seconds: float) -> None:
    stage.plane.kill()
    time.sleep(seconds)
    stage.plane.start()


def _busy(stage: Stage, seconds: float) -> None:
    stage.backend.write_others(seconds)


def _front(order: str) -> Strike:
    """Return what has the front answer in a way."""

    def strike(stage: Stage, seconds: float) -> None:
        stage.backend.order(order)
        time.sleep(seconds)
        stage.backend.order("pass")

    return strike


FAULTS: Final = (
    Fault(name="killed, and started on its data", strike=_killed, seconds=15, quick_seconds=1),
    Fault(name="hung (SIGSTOP)", strike=_hung, seconds=20, quick_seconds=6, opens=True),
    Fault(name="answers 3 s late", strike=_front("delay 3"), seconds=20, fails="never"),
    Fault(name="answers in drips", strike=_front("drip 0.25"), seconds=20),
    Fault(name="stands still 0.9 s of each second", strike=_stutters, seconds=20, fails="may"),
    Fault(name="refuses connections", strike=_front("refuse"), seconds=15),
    Fault(name="resets in mid-answer", strike=_front("reset"), seconds=15),
    Fault(name="half answers", strike=_front("half"), seconds=15, quick_seconds=1.5),
    Fault(name="500, 502, 503, 429", strike=_front("status"), seconds=15, quick_seconds=1.5),
    Fault(name="success with something else", strike=_front("page"), seconds=15),
    Fault(name="half the series, and a warning", strike=_front("warned"), seconds=15),
    Fault(name="started without its data", strike=_emptied, seconds=20, quick_seconds=2, absent=True),
    Fault(name="takes in series all the while", strike=_busy, seconds=15, fails="never"),
    Fault(name="kube-apiserver killed", strike=_no_plane, seconds=20, spared=0),
)
# For a caller of whom kube-apiserver is not asked: the names of pods count for another minute.
NO_PLANE: Final = Fault(name="kube-apiserver killed, caller in system:masters", strike=_no_plane, seconds=90, spared=60)
