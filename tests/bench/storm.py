"""What do many HPAs cost? Each asks once a period for a metric of its own pods, as the HPA controller does."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from rig.prometheus import PrometheusProcess

from bench import world
from bench.connection import Target
from bench.scene import Bench, Cluster, PrometheusCounts, Server, filled_prometheus, running_adapter
from bench.table import Table
from bench.truth import WrongFigureError, check, custom_list
from bench.usage import callers, cpu_seconds, peak_resident_mib, resident_mib

UNDER_WAY: Final = 50
_TESTS = str(Path(__file__).parents[1])
_LEAD_SECONDS = 1.0  # until the client has started
_AFTER_SECONDS = 60.0  # for the last answers, and to check them all
_FILL_SECONDS_PER_HPA = 0.01
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
    """A period, how many of them are measured after a first one that is not, and how old an answer may be."""

    period_seconds: float = 15.0
    periods: int = 3
    ttls: Sequence[float] = (10.0, 15.0)

    @property
    def seconds(self) -> float:
        """How long a run takes."""
        return (self.periods + 1) * self.period_seconds


QUICK: Final = Pace(period_seconds=2.0, periods=1, ttls=(1.0, 2.0))
FULL: Final = Pace()


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """The processes whose use is measured; a run straight to Prometheus has no adapter and no cluster."""

    prometheus: PrometheusProcess
    adapter: Server | None = None
    cluster: Cluster | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Snapshot:
    prometheus: PrometheusCounts
    adapter_cpu_seconds: float
    memory_mib: float
    peak_mib: float
    counts: Mapping[str, int]
    callers: frozenset[str]

    @classmethod
    def of(cls, watched: Watched) -> _Snapshot:
        adapter = watched.adapter
        return cls(
            prometheus=PrometheusCounts.of(watched.prometheus),
            adapter_cpu_seconds=cpu_seconds(adapter.pid) if adapter else 0.0,
            memory_mib=resident_mib(adapter.pid) if adapter else 0.0,
            peak_mib=peak_resident_mib(adapter.pid) if adapter else 0.0,
            counts=watched.cluster.counts() if watched.cluster else {},
            callers=callers(adapter.port) if adapter else frozenset(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stormed:
    """The figures of a run by column, one for each measured period, and words about how it was asked."""

    row: Mapping[str, Sequence[float]]
    words: str


def storm_tables(bench: Bench) -> list[Table]:
    """Measure each number of HPAs, straight to Prometheus and through the adapter.

    Raises:
        WrongFigureError: an answer is wrong, or there was none.
    """
    pace = QUICK if bench.quick else FULL
    rows: dict[str, Mapping[str, Sequence[float]]] = {}
    base: dict[str, str] = {}
    notes = []
    for count in bench.sizes["hpas"]:
        first = f"{count:,}, a query for each turn"
        for name, stormed in _of_size(bench, count, pace, first):
            rows[name], base[name] = stormed.row, first
            notes.append(f"{name}: {stormed.words}")
    title = (
        f"Storm: HPAs over {world.RULES} rules and {world.NAMESPACES} namespaces, 5 to 20 pods each, each figure per"
        f" period of {pace.period_seconds:g} s; {pace.periods} periods after one that is not measured"
    )
    return [
        Table(
            key="storm",
            title=title,
            head="HPAs",
            columns=COLUMNS,
            rows=rows,
            ratios=RATIOS,
            base=base,
            notes=notes,
        )
    ]


def _of_size(bench: Bench, count: int, pace: Pace, first: str) -> Iterator[tuple[str, Stormed]]:
    seconds = (pace.seconds + _AFTER_SECONDS) * (len(pace.ttls) + 1) + count * _FILL_SECONDS_PER_HPA
    series = world.series(count, now_seconds=time.time(), seconds=seconds)
    with filled_prometheus(bench, f"storm-{count}", series) as prometheus:
        bench.say(f"storm: {first}")
        plain = Target(url=prometheus.url, headers={})
        yield first, run(plain, Watched(prometheus=prometheus), hpas=count, pace=pace, bare=True)
        for ttl in pace.ttls:
            name = f"{count:,}, answers kept {ttl:g} s"
            bench.say(f"storm: {name}")
            with _scene(bench, prometheus, count=count, ttl=ttl) as watched_by:
                target, watched = watched_by
                yield name, run(target, watched, hpas=count, pace=pace, oldest_seconds=ttl)


@contextlib.contextmanager
def _scene(bench: Bench, prometheus: PrometheusProcess, *, count: int, ttl: float) -> Iterator[tuple[Target, Watched]]:
    cluster = Cluster(bench.home / f"cluster-{count}-{ttl:g}", hpas=count)
    flags = [*cluster.flags, f"--cache-ttl={ttl:g}s", "--metrics-relist-interval=10m"]
    with (
        cluster.running(),
        running_adapter(
            bench, f"storm-{count}-{ttl:g}", rules=world.rules(), prometheus_url=prometheus.url, flags=flags
        ) as adapter,
    ):
        target = cluster.caller(adapter.url)
        wait_for_first(adapter, target)
        yield target, Watched(prometheus=prometheus, adapter=adapter, cluster=cluster)


def wait_for_first(adapter: Server, target: Target) -> None:
    """Wait until the first HPA of each half of the rules is answered rightly.

    Raises:
        TimeoutError: it is not.
    """
    for hpa in world.hpas(2):

        def is_right(body: bytes, hpa: world.Hpa = hpa) -> None:
            found = custom_list(body)
            check(hpa.path, found, hpa.truth(min((one.at for one in found.values()), default=0.0)))

        adapter.wait_for(target, hpa.path, is_right)


def run(
    target: Target, watched: Watched, *, hpas: int, pace: Pace, oldest_seconds: float = 0.0, bare: bool = False
) -> Stormed:
    """Let so many HPAs take their turns, and return what that took, each period for itself.

    Raises:
        WrongFigureError: an answer is wrong, or there was none.
    """
    begin_at = time.time() + _LEAD_SECONDS
    spec = {
        "target": asdict(target),
        "hpas": hpas,
        "bare": bare,
        "period_seconds": pace.period_seconds,
        "periods": pace.periods + 1,
        "under_way": UNDER_WAY,
        "oldest_seconds": oldest_seconds,
        "begin_at": begin_at,
    }
    argv = [sys.executable, "-m", "bench.storm_client"]
    with subprocess.Popen(
        argv,
        env={**os.environ, "PYTHONPATH": _TESTS},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        try:
            if child.stdin is None:
                raise AssertionError("started without pipes")
            child.stdin.write(json.dumps(spec))
            child.stdin.close()
            child.stdin = None
            ends = [begin_at + (number + 1) * pace.period_seconds for number in range(pace.periods + 1)]
            snapshots = [_at(end, watched) for end in ends]
            out, said = child.communicate(timeout=pace.seconds + _AFTER_SECONDS)
        finally:
            child.kill()
    if child.returncode:
        raise WrongFigureError(f"the storm's client: {said.strip()[-1000:]}")
    found = json.loads(out)
    if found["errors"]:
        raise WrongFigureError(f"storm of {hpas:,}: {found['errors']} wrong answers: {found['shown']}")
    return Stormed(
        row=_row(snapshots, found["periods"][1:], has_adapter=watched.adapter is not None), words=_words(found)
    )


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


def _words(found: Mapping[str, Any]) -> str:
    periods: Sequence[Mapping[str, float]] = found["periods"]
    latest = max(one["latest"] for one in periods[1:]) * 1000
    return (
        f"{', '.join(found['protocols'])}; {sum(one['opened'] for one in periods):.0f} connections, each with one"
        f" handshake, {sum(one['opened'] for one in periods[1:]):.0f} of them after the first period; a turn began at"
        f" most {latest:.0f} ms late; the client took {found['client_share']:.0%} of a core."
    )
