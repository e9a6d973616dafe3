"""What do callers see when Prometheus fails? The storm goes on while it is killed, hung, slowed, cut short and emptied."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from rig.processes import free_port

from bench import world
from bench.connection import Target
from bench.faults_client import Turned
from bench.faults_judge import COLUMNS, Judged, Rules, Span, judged
from bench.faults_prometheus import Backend
from bench.faults_script import FAULTS, NO_PLANE, Fault, Plane, Stage
from bench.faults_watch import Look, Watch
from bench.scene import Bench, Cluster, Server, running_adapter
from bench.storm_run import UNDER_WAY, wait_for_first
from bench.table import Table
from bench.truth import WrongFigureError

_TESTS = str(Path(__file__).parents[1])
_AFTER_SECONDS: Final = 60.0  # for the last answers, and to read them all
_REQUEST_SECONDS: Final = 9.0  # --request-timeout
_GRACE_SECONDS: Final = 1.5  # of a busy machine
# Memory after all faults that is more than this times that before them is a leak.
_MOST_MEMORY: Final = 1.5
_MORE_FILES: Final = 25  # connections to Prometheus and kube-apiserver come and go; 20 to Prometheus are kept at most
# What none of our own log lines says; the first is of Python, the second of a request that met a bug.
_BUGS: Final = ("Traceback", "unexpected error", "never retrieved", "never awaited")
_SHOWN: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pace:
    """How long everything takes, in seconds; `flags` are the adapter's."""

    period: float
    warm: float
    quiet: float
    recovery: float
    look: float
    ttl: float
    flags: Sequence[str]


_FULL: Final = _Pace(period=15, warm=45, quiet=30, recovery=15, look=1, ttl=10, flags=["--metrics-relist-interval=20s"])
_QUICK: Final = _Pace(
    period=1.5,
    warm=2,
    quiet=4,  # the longest pause between two probes of the breaker, and a probe
    recovery=4,
    look=0.5,
    ttl=1,
    flags=["--metrics-relist-interval=3s", "--prometheus-timeout=1500ms"],
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    """All that runs."""

    bench: Bench
    home: Path
    pace: _Pace
    hpas: int
    stage: Stage
    adapter: Server
    target: Target
    metrics_port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """What was done, and what came of it."""

    spans: Sequence[Span]
    turns: Sequence[Turned]
    before: Look
    looks: Sequence[Look]
    after: Look
    problems: Sequence[str]


def fault_tables(bench: Bench) -> list[Table]:
    """Let HPAs ask while one thing after another goes wrong, and return what they saw of each.

    Raises:
        WrongFigureError: the client failed; broken promises become faults of the bench.
    """
    return [_table(bench, _QUICK if bench.quick else _FULL, stale) for stale in bench.sizes["stale"]]


def _table(bench: Bench, pace: _Pace, stale: int) -> Table:
    rules = Rules(oldest=pace.ttl + stale, slowest=_REQUEST_SECONDS + _GRACE_SECONDS, recovery=pace.recovery)
    with _scene(bench, pace, stale) as scene:
        faults = [one for one in FAULTS if not bench.quick or one.quick_seconds]
        spared = max(0.0, stale - _GRACE_SECONDS)
        runs = [_run(scene, scene.target, faults, spared=spared)]
        if not bench.quick:
            runs.append(_run(scene, _master(scene.target), [NO_PLANE], spared=spared))
        rows, notes = {}, []
        for run in runs:
            for name, one in _judged(run, rules).items():
                rows[name] = one.row
                bench.faults.extend(f"faults: {text}" for text in one.faults)
                notes.extend(_words(name, one))
            bench.faults.extend(f"faults: {text}" for text in _adapter_faults(run))
        bench.faults.extend(f"faults: {text}" for text in _log_faults(scene.adapter))
        notes.append(_of_adapter(runs[0], scene.adapter))
        title = (
            f"Faults: {scene.hpas:,} HPAs over {world.RULES} rules and {world.NAMESPACES} namespaces, a turn each"
            f" {pace.period:g} s; {pace.quiet:g} s of quiet after each fault; answers kept {pace.ttl:g} s,"
            f" and told for {stale} s more while refreshes fail"
        )
    key = f"faults-{stale}" if stale else "faults"
    return Table(key=key, title=title, head="Prometheus", columns=COLUMNS, rows=rows, notes=notes)


def _master(target: Target) -> Target:
    """Return a caller of whom kube-apiserver is not asked."""
    return replace(target, headers={**target.headers, "X-Remote-Group": "system:masters"})


@contextlib.contextmanager
def _scene(bench: Bench, pace: _Pace, stale: int) -> Iterator[_Scene]:
    hpas = bench.sizes["faults"][0]
    home, metrics_port = bench.home / f"faults-{stale}", free_port()
    home.mkdir()
    backend = Backend(bench=bench, home=home / "prometheus", hpas=hpas)
    cluster = Cluster(home / "cluster", hpas=hpas)
    plane = Plane(cluster=cluster)
    flags = [
        *cluster.flags,
        *pace.flags,
        f"--cache-ttl={pace.ttl:g}s",
        f"--metrics-bind-address=127.0.0.1:{metrics_port}",
    ]
    if stale:
        flags.append(f"--stale-if-error={stale}s")
    with (
        backend.running(),
        plane.running(),
        running_adapter(
            bench, f"faults-{stale}", rules=world.rules(), prometheus_url=backend.url, flags=flags
        ) as adapter,
    ):
        target = cluster.caller(adapter.url)
        wait_for_first(adapter, target)
        yield _Scene(
            bench=bench,
            home=home,
            pace=pace,
            hpas=hpas,
            stage=Stage(backend=backend, plane=plane),
            adapter=adapter,
            target=target,
            metrics_port=metrics_port,
        )


def _run(scene: _Scene, target: Target, faults: Sequence[Fault], *, spared: float) -> _Run:
    """Let the HPAs take their turns while all faults are struck, one after another."""
    pace, spans, problems = scene.pace, [], []
    watch = Watch(
        adapter=scene.adapter, target=_master(target), metrics_port=scene.metrics_port, every_seconds=pace.look
    )
    before = watch.look()
    backend = scene.stage.backend
    with _client(scene, target) as written, watch:
        begin, calls = time.time(), backend.asked
        time.sleep(pace.warm)
        spans.append(
            Span(name="nothing yet", begin=begin, end=begin, may_fail=False, calls_after=backend.asked - calls)
        )
        for fault in faults:
            scene.bench.say(f"faults: {fault.name}")
            backend.write()
            span = _struck(scene, fault, spared)
            if fault.opens and not _opened(watch.looks, span):
                problems.append(f"{fault.name}: the breaker did not open")
            calls = backend.asked
            time.sleep(pace.quiet)
            spans.append(replace(span, calls_after=backend.asked - calls))
            scene.adapter.child.check_alive()
            if watch.looks[-1].breaker != ("closed",):
                problems.append(f"{fault.name}: the breaker is {watch.looks[-1].breaker} after the quiet time")
    turns = [Turned(**json.loads(line)) for line in written.read_text().splitlines()]
    return _Run(
        spans=spans,
        turns=turns,
        before=before,
        looks=watch.looks,
        after=watch.look(),
        problems=[*problems, *watch.problems],
    )


def _struck(scene: _Scene, fault: Fault, spared: float) -> Span:
    backend = scene.stage.backend
    begin, calls = time.time(), backend.asked
    fault.strike(scene.stage, fault.quick_seconds if scene.bench.quick else fault.seconds)
    end, spared = time.time(), spared if fault.spared is None else fault.spared
    return Span(
        name=fault.name,
        begin=begin,
        end=end,
        may_fail=fault.fails != "never",
        absent=fault.absent,
        must_fail=fault.fails == "must" and spared < end - begin,
        spared=spared,
        calls=backend.asked - calls,
    )


@contextlib.contextmanager
def _client(scene: _Scene, target: Target) -> Iterator[Path]:
    """Run the HPAs until the block ends; the file has what came of their turns afterwards.

    Raises:
        WrongFigureError: the client failed.
    """
    home = scene.home
    number = next(one for one in itertools.count() if not (home / f"turns-{one}").exists())
    out, end = home / f"turns-{number}", home / f"end-{number}"
    out.touch()
    spec = {
        "target": asdict(target),
        "hpas": scene.hpas,
        "period_seconds": scene.pace.period,
        "under_way": UNDER_WAY,
        "out": str(out),
        "end": str(end),
    }
    argv = [sys.executable, "-m", "bench.faults_client"]
    environment = {**os.environ, "PYTHONPATH": _TESTS}
    with subprocess.Popen(argv, env=environment, text=True, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        try:
            if child.stdin is None:
                raise AssertionError("started without pipes")
            child.stdin.write(json.dumps(spec))
            child.stdin.close()
            child.stdin = None
            yield out
            end.touch()
            _, said = child.communicate(timeout=scene.pace.period + _AFTER_SECONDS)
        finally:
            child.kill()
    if child.returncode:
        raise WrongFigureError(f"the client of the faults: {said.strip()[-1000:]}")


def _opened(looks: Sequence[Look], span: Span) -> bool:
    return any(one.breaker in {("open",), ("half-open",)} for one in looks if span.begin <= one.at <= span.end)


# ---- what came of it


def _judged(run: _Run, rules: Rules) -> Mapping[str, Judged]:
    """Return how each fault went: a turn belongs to the last fault that had begun when it ended."""
    begins = [*(one.begin for one in run.spans[1:]), float("inf")]
    found = {}
    last = float("-inf")
    for span, begin in zip(run.spans, begins, strict=True):
        found[span.name] = judged(span, [one for one in run.turns if last < one.ended <= begin], rules)
        last = begin
    return found


def _words(name: str, one: Judged) -> list[str]:
    common = sorted(one.said.items(), key=lambda item: -item[1])[:_SHOWN]
    return [f"{name}: {', '.join(f'{count} times {said}' for said, count in common)}"] if common else []


def _adapter_faults(run: _Run) -> Iterator[str]:
    """Yield what the adapter itself shows that must not be."""
    yield from run.problems[:_SHOWN]
    listed = run.before.listed
    begin = run.spans[0].begin
    for one in [look for look in run.looks if look.listed != listed][:_SHOWN]:
        gone = sorted((listed or set()) - (one.listed or set()))
        yield f"discovery lacks {len(gone)} metrics such as {gone[:_SHOWN]} {one.at - begin:.0f} s after the begin"
    for one in [look for look in run.looks if len(look.breaker) != 1][:_SHOWN]:
        yield f"the breaker is in {len(one.breaker)} states at once: {one.breaker}"
    counted = {code: now - run.before.answered.get(code, 0.0) for code, now in run.after.answered.items()}
    seen = Counter(str(one.status) for one in run.turns if one.status > 0)
    seen["200"] += sum(one.listed is not None for one in (run.before, *run.looks))  # discovery is counted too
    if {code: count for code, count in counted.items() if count} != dict(seen):
        yield f"the adapter counts answers {counted}, callers {dict(seen)}"
    warm, end = _warm(run), run.looks[-1]
    if end.memory_mib > _MOST_MEMORY * warm.memory_mib:
        yield f"memory grew from {warm.memory_mib:.0f} MiB to {end.memory_mib:.0f} MiB"
    if end.files > warm.files + _MORE_FILES:
        yield f"open files grew from {warm.files} to {end.files}"


def _warm(run: _Run) -> Look:
    """Return the last look before the first fault."""
    return [one for one in run.looks if one.at < run.spans[1].begin][-1]


def _log_faults(adapter: Server) -> Iterator[str]:
    lines = adapter.child.log.read_text(errors="replace").splitlines()
    for bug in _BUGS:
        if found := [number for number, line in enumerate(lines) if bug in line]:
            first = found[0]
            yield f"the log has {bug!r} {len(found)} times, at first:\n" + "\n".join(
                lines[max(0, first - 3) : first + 20]
            )


def _of_adapter(run: _Run, adapter: Server) -> str:
    warm, end = _warm(run), run.looks[-1]
    memory = [one.memory_mib for one in run.looks]
    lines = len(adapter.child.log.read_text(errors="replace").splitlines())
    return (
        f"The adapter before the first fault and after the last: memory {warm.memory_mib:.0f} and {end.memory_mib:.0f} MiB"
        f" ({end.memory_mib / warm.memory_mib:.2f}x; median {statistics.median(memory):.0f}, most {max(memory):.0f}),"
        f" open files {warm.files} and {end.files}, threads {warm.threads} and {end.threads};"
        f" {lines:,} lines of log."
    )
