"""`make bench`: every figure with the answers checked; nothing fails by the clock."""

from __future__ import annotations

import argparse
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rig.find_prometheus import NOT_FOUND, PrometheusMissingError, find_prometheus
from rig.processes import scratch_folder

from bench.lists import lists_table
from bench.relists import WrongFigureError, relist_table
from bench.requests import request_tables

_PARTS = ("requests", "lists", "relist")


def main(argv: Sequence[str]) -> int:
    """Print the tables; return 1 if an answer was wrong."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"{' '.join(_PARTS)}; all by default")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and less data")
    parser.add_argument("--series", type=int, help="for the relist; 100,000 by default, 20,000 when quick")
    options = parser.parse_args(argv)
    if unknown := set(options.parts) - set(_PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    signal.signal(signal.SIGTERM, _interrupt)
    console = Console(highlight=False, soft_wrap=True, stderr=True)
    try:
        _run(console, options.parts or _PARTS, quick=options.quick, series=options.series)
    except PrometheusMissingError as error:
        console.print(str(error), markup=False)
        return NOT_FOUND
    except WrongFigureError as error:
        console.print(f"wrong answer: {error}", markup=False)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _run(console: Console, parts: Sequence[str], *, quick: bool, series: int | None) -> None:
    def say(line: str) -> None:
        console.print(line, markup=False)

    binaries = find_prometheus()
    rounds = 2 if quick else 5
    _print(_machine(binaries))
    with scratch_folder("tidegauge-bench-") as home:
        if "requests" in parts:
            requests, seconds = (100, 0.5) if quick else (500, 2.0)
            _print(request_tables(binaries, home, rounds=rounds, requests=requests, seconds=seconds, say=say))
        if "lists" in parts:
            rounds_of_lists, requests = (1, 5) if quick else (3, 20)
            _print(lists_table(binaries, home, rounds=rounds_of_lists, requests=requests, say=say))
        if "relist" in parts:
            size = series or (20_000 if quick else 100_000)
            _print(relist_table(binaries, home, series=size, rounds=rounds, relists=3 if quick else 4, say=say))


def _machine(binaries: Path) -> str:
    version = subprocess.run([binaries / "prometheus", "--version"], check=True, capture_output=True, text=True)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    return (
        f"{platform.machine()}, {cores} cores shared by client, adapter and Prometheus, {memory:.0f} GiB;"
        f" {platform.python_implementation()} {platform.python_version()};"
        f" {version.stdout.partition(' (')[0].replace(', version', '')}\n"
    )


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
