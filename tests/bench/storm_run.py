"""A run of a storm: a client process that asks, and what it took of everybody, period by period."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self

from rig.prometheus import PrometheusProcess

from bench import world
from bench.connection import Target
from bench.scene import PrometheusCounts, Server
from bench.truth import WrongFigureError, check, custom_list
from bench.usage import callers, cpu_seconds, peak_resident_mib, resident_mib

UNDER_WAY: Final = 50
_LOOK_SECONDS = 0.25
_TESTS = str(Path(__file__).parents[1])
_LEAD_SECONDS = 1.0  # until the client has started
AFTER_SECONDS = 60.0  # for the last answers, and to check them all
COLUMNS: Final = (
    "queries",
    "Prometheus CPU, s",
    "adapter CPU, s",
    "LISTs",
    "reviews",
    "p50, ms",
    "p99, ms",
    "max, ms",
    "lost turns",
    "memory, MiB",
    "peak, MiB",
)
RATIOS: Final = ("queries", "Prometheus CPU, s", "p50, ms")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """A period, how many of them are measured after some that are not, and how old an answer may be."""

    period_seconds: float = 15.0
    # Ten thousand new HPAs at a time take longer than one period to be answered once.
    settling: int = 2
    periods: int = 3
    ttls: Sequence[float] = (10.0, 15.0)

    @property
    def seconds(self) -> float:
        """How long a run takes."""
        return (self.settling + self.periods) * self.period_seconds


class Counted(Protocol):
    """A cluster that counts what the adapter asks of it."""

    def counts(self) -> Mapping[str, int]:
        """Return how many `LISTs`, `access reviews` and `token reviews` there were so far."""


class _Callers:
    """Looks, while it is open, at who has connections to a port: one that lives shorter than a look is not seen."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.seen: frozenset[str] = callers(port) if port else frozenset()
        self._before = self.seen

    @property
    def words(self) -> str:
        """Say how many there were, empty where nobody was looked at."""
        new = len(self.seen - self._before)
        return f"the adapter had {len(self.seen)} connections, {new} of them new; " if self._port else ""

    def __enter__(self) -> Self:
        if self._port:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()

    def _look(self) -> None:
        while not self._end.wait(_LOOK_SECONDS):
            self.seen |= callers(self._port)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """The processes whose use is measured; a run straight to Prometheus has no adapter and no cluster."""

    prometheus: PrometheusProcess
    adapter: Server | None = None
    cluster: Counted | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Snapshot:
    prometheus: PrometheusCounts
    adapter_cpu_seconds: float
    memory_mib: float
    peak_mib: float
    counts: Mapping[str, int]

    @classmethod
    def of(cls, watched: Watched) -> _Snapshot:
        adapter = watched.adapter
        if adapter:
            adapter.child.check_alive()
        return cls(
            prometheus=PrometheusCounts.of(watched.prometheus),
            adapter_cpu_seconds=cpu_seconds(adapter.pid) if adapter else 0.0,
            memory_mib=resident_mib(adapter.pid) if adapter else 0.0,
            peak_mib=peak_resident_mib(adapter.pid) if adapter else 0.0,
            counts=watched.cluster.counts() if watched.cluster else {},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stormed:
    """The figures of a run by column, one for each measured period, and words about how it was asked.

    `fault` says what was wrong with answers, with the end of the adapter's log; it is empty if all were right.
    """

    row: Mapping[str, Sequence[float]]
    words: str
    fault: str = ""


def wait_for_first(adapter: Server, target: Target) -> None:
    """Wait until the adapter is ready, as a Service does, and then until an HPA of each rule is answered rightly.

    Raises:
        TimeoutError: one is not.
    """
    adapter.wait_for(target, "/readyz")
    by_rule = {hpa.rule: hpa for hpa in world.hpas(world.RULES)}
    for hpa in by_rule.values():

        def is_right(body: bytes, hpa: world.Hpa = hpa) -> None:
            found = custom_list(body)
            check(hpa.path, found, hpa.truth(min((one.at for one in found.values()), default=0.0)))

        adapter.wait_for(target, hpa.path, is_right)


def run(
    target: Target, watched: Watched, *, hpas: int, pace: Pace, oldest_seconds: float = 0.0, bare: bool = False
) -> Stormed:
    """Let so many HPAs take their turns, and return what that took, each period for itself.

    Raises:
        WrongFigureError: the client failed.
    """
    begin_at = time.time() + _LEAD_SECONDS
    spec = {
        "target": asdict(target),
        "hpas": hpas,
        "bare": bare,
        "period_seconds": pace.period_seconds,
        "periods": pace.settling + pace.periods,
        "under_way": UNDER_WAY,
        "oldest_seconds": oldest_seconds,
        "begin_at": begin_at,
    }
    argv = [sys.executable, "-m", "bench.storm_client"]
    seen = _Callers(watched.adapter.port if watched.adapter else 0)
    pipe, environment = subprocess.PIPE, {**os.environ, "PYTHONPATH": _TESTS}
    with seen, subprocess.Popen(argv, env=environment, text=True, stdin=pipe, stdout=pipe, stderr=pipe) as child:
        try:
            if child.stdin is None:
                raise AssertionError("started without pipes")
            child.stdin.write(json.dumps(spec))
            child.stdin.close()
            child.stdin = None
            ends = [begin_at + (number + pace.settling) * pace.period_seconds for number in range(pace.periods + 1)]
            snapshots = [_at(end, watched) for end in ends]
            out, said = child.communicate(timeout=pace.seconds + AFTER_SECONDS)
        finally:
            child.kill()
    if child.returncode:
        raise WrongFigureError(f"the storm's client: {said.strip()[-1000:]}")
    found = json.loads(out)
    row = _row(snapshots, found["periods"][pace.settling :], has_adapter=watched.adapter is not None)
    return Stormed(row=row, words=_words(found, seen, pace.settling), fault=_fault(found, hpas, watched.adapter))


def _fault(found: Mapping[str, Any], hpas: int, adapter: Server | None) -> str:
    if not found["errors"]:
        return ""
    log = f"; the adapter's log ends:\n{adapter.child.log_end()}" if adapter else ""
    return f"storm of {hpas:,}: {found['errors']} wrong answers, such as {found['shown']}{log}"


def _at(end: float, watched: Watched) -> _Snapshot:
    time.sleep(max(0.0, end - time.time()))
    return _Snapshot.of(watched)


def _row(
    snapshots: Sequence[_Snapshot], periods: Sequence[Mapping[str, float]], *, has_adapter: bool
) -> Mapping[str, Sequence[float]]:
    pairs = list(itertools.pairwise(snapshots))
    row: dict[str, Sequence[float]] = {
        "queries": [now.prometheus.queries - before.prometheus.queries for before, now in pairs],
        "Prometheus CPU, s": [now.prometheus.cpu_seconds - before.prometheus.cpu_seconds for before, now in pairs],
        "p50, ms": [one["p50"] * 1000 for one in periods],
        "p99, ms": [one["p99"] * 1000 for one in periods],
        "max, ms": [one["max"] * 1000 for one in periods],
        "lost turns": [one["lost"] for one in periods],
    }
    if has_adapter:
        row |= {
            "adapter CPU, s": [now.adapter_cpu_seconds - before.adapter_cpu_seconds for before, now in pairs],
            "LISTs": [_grown("LISTs", before, now) for before, now in pairs],
            "reviews": [
                _grown("access reviews", before, now) + _grown("token reviews", before, now) for before, now in pairs
            ],
            "memory, MiB": [now.memory_mib for _, now in pairs],
            "peak, MiB": [snapshots[-1].peak_mib],
        }
    return row


def _grown(name: str, before: _Snapshot, now: _Snapshot) -> float:
    return now.counts.get(name, 0) - before.counts.get(name, 0)


def _words(found: Mapping[str, Any], seen: _Callers, settling: int) -> str:
    periods: Sequence[Mapping[str, float]] = found["periods"]
    measured = periods[settling:]
    before = "; ".join(
        f"in period {number}, which is not measured, {one['lost']:.0f} turns were lost and the 99th percentile was"
        f" {one['p99'] * 1000:.0f} ms"
        for number, one in enumerate(periods[:settling], start=1)
    )
    return (
        f"{', '.join(found['protocols'])}; {sum(one['opened'] for one in periods):.0f} connections, each with one"
        f" handshake, {sum(one['opened'] for one in periods[1:]):.0f} of them after the first period; a turn began at"
        f" most {max(one['latest'] for one in measured) * 1000:.0f} ms late; {before}; {seen.words}the client took"
        f" {found['client_share']:.0%} of a core."
    )
