"""`make bench`: every figure with the answers checked; nothing fails by the clock."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from e2e.rig.programs import ProgramMissingError
from rig.find_prometheus import NOT_FOUND, PrometheusMissingError, find_prometheus
from rig.processes import ChildEndedError, scratch_folder

from bench.faults import fault_tables
from bench.last import Stamp, keep
from bench.lists import lists_tables
from bench.relists import relist_tables
from bench.requests import request_tables
from bench.scene import Bench
from bench.start import start_tables
from bench.storm import storm_tables
from bench.table import Table
from bench.through import through_tables
from bench.truth import WrongFigureError

PARTS: Mapping[str, Callable[[Bench], list[Table]]] = {
    "start": start_tables,
    "requests": request_tables,
    "lists": lists_tables,
    "relist": relist_tables,
    "storm": storm_tables,
    "faults": fault_tables,
    "through": through_tables,
}
# These run in full when they are asked for by name: one takes a quarter of an hour, the other wants a control plane,
# which Go builds once.
_OPTIONAL = frozenset({"faults", "through"})
_OPTIONAL_IF_QUICK = frozenset({"through"})
_FULL = {
    "series": (10_000, 100_000, 400_000),
    "hpas": (100, 1_000, 10_000),
    "pods": (10, 100, 1_000, 10_000),
    "faults": (1_000,),
    "stale": (0,),
    "through": (1_000,),
}
_SIZES = {
    "series": "how many series, of `relist`",
    "hpas": "how many HPAs, of `storm`",
    "pods": "how many pods, of `lists`",
    "faults": "how many HPAs, of `faults`",
    "stale": "seconds of `--stale-if-error`, of `faults`",
    "through": "how many HPAs, of `through`",
}
_QUICK = {"series": (5_000,), "hpas": (100,), "pods": (300,), "faults": (60,), "stale": (0,), "through": (50,)}


def main(argv: Sequence[str]) -> int:
    """Print the tables; return 1 if an answer was wrong or missing."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"{' '.join(PARTS)}; by default all but {' '.join(sorted(_OPTIONAL))}")
    parser.add_argument("--quick", action="store_true", help="all of it small: for CI, and figures mean nothing")
    for name, numbers in _FULL.items():
        parser.add_argument(f"--{name}", type=int, nargs="+", help=f"{_SIZES[name]}; by default {_numbers(numbers)}")
    options = parser.parse_args(argv)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    signal.signal(signal.SIGTERM, _interrupt)
    defaults = _QUICK if options.quick else _FULL
    sizes = {name: tuple(getattr(options, name) or defaults[name]) for name in defaults}
    left_out = _OPTIONAL_IF_QUICK if options.quick else _OPTIONAL
    parts = options.parts or [name for name in PARTS if name not in left_out]
    try:
        _run(parts, quick=options.quick, sizes=sizes)
    except (PrometheusMissingError, ProgramMissingError) as error:
        return _fail(str(error), NOT_FOUND)
    except WrongFigureError as error:
        return _fail(f"wrong answer: {error}", 1)
    except (ChildEndedError, TimeoutError, OSError) as error:
        return _fail(f"{type(error).__name__}: {error}", 1)
    except KeyboardInterrupt:
        return 130
    return 0


def _run(parts: Sequence[str], *, quick: bool, sizes: Mapping[str, Sequence[int]]) -> None:
    binaries = find_prometheus()
    stamp = Stamp(commit=_commit(), date=f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M}", machine=_machine(binaries))
    _print(f"{stamp.machine}\n{stamp.commit}, {stamp.date}; load average {os.getloadavg()[0]:.2f} before the run\n")
    differences = []
    with scratch_folder("tidegauge-bench-") as home:
        bench = Bench(binaries=binaries, home=home, quick=quick, sizes=sizes)
        for part in parts:
            tables = PARTS[part](bench)
            for table in tables:
                _print(table.text())
            # Each part at once: what a later one meets does not lose it. Figures of wrong answers are not kept.
            if not bench.faults:
                differences.append(keep(tables, stamp, kind="quick" if quick else "full"))
    if not quick:
        _print("\n".join(one for one in differences if one))
    if bench.faults:
        raise WrongFigureError("\n".join(bench.faults))


def _machine(binaries: Path) -> str:
    version = subprocess.run([binaries / "prometheus", "--version"], check=True, capture_output=True, text=True)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    return (
        f"{platform.machine()}, {cores} cores shared by client, adapter and Prometheus, {memory:.0f} GiB;"
        f" {platform.python_implementation()} {platform.python_version()};"
        f" {version.stdout.partition(' (')[0].replace(', version', '')}"
    )


def _commit() -> str:
    """Return the commit, with + if the program's files are not as they are there; empty outside of a clone."""
    root = Path(__file__).resolve().parents[2]

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=root, check=False, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "--", "adapter") else "")


def _numbers(sizes: Sequence[int]) -> str:
    return ", ".join(f"{size:,}" for size in sizes)


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _fail(why: str, code: int) -> int:
    sys.stderr.write(f"{why}\n")
    return code


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
