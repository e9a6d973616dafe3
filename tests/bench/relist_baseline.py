"""What relists are compared to: a client that keeps series whole, and a Prometheus without its label endpoints."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rig.processes import Child, free_port, wait_until
from rig.prometheus import PrometheusProcess

from bench.relist_world import RULES, listed
from bench.scene import PrometheusCounts
from bench.truth import WrongFigureError

_TESTS = str(Path(__file__).parents[1])
_LATER = 3  # relists after the first
_MB = 1e6
Row = dict[str, list[float]]


@contextlib.contextmanager
def front(home: Path, upstream: int, mode: str) -> Iterator[str]:
    """Run a front before the Prometheus on a port (see `bench.front` for the modes), and yield its URL."""
    port = free_port()
    argv = [sys.executable, "-m", "bench.front", str(port), str(upstream), mode]
    log = home / "front.log"
    with Child("the front", argv, log=log, environment={"PYTHONPATH": _TESTS}) as child:
        wait_until("the front", lambda: child.check_alive() and _is_open(port), timeout_seconds=30)
        yield f"http://127.0.0.1:{port}"


def _is_open(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=1):
        return True


def kept_whole(home: Path, prometheus: PrometheusProcess, row: Row) -> None:
    """Let the client relist some times, and add the figures of each to the row.

    Raises:
        WrongFigureError: it did not find exactly the metrics there are.
    """
    rules = home / "kept-whole.yaml"
    rules.write_text("rules:\n" + "".join(RULES))
    argv = [sys.executable, "-m", "bench.kept_whole", prometheus.url, str(rules)]
    begin = time.monotonic()
    with subprocess.Popen(
        argv, env={**os.environ, "PYTHONPATH": _TESTS}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            first = _next(child)
            add(row, "start to listed, s", time.monotonic() - begin)
            for _ in range(_LATER):
                before = PrometheusCounts.of(prometheus)
                line = _next(child)
                now = PrometheusCounts.of(prometheus)
                add(row, "later relist, s", line["seconds"])
                add(row, "its CPU, s", line["cpu_seconds"])
                add(row, "Prometheus CPU, s", now.cpu_seconds - before.cpu_seconds)
                add(row, "calls", now.calls - before.calls)
                add(row, "MB on the wire", (now.wire_bytes - before.wire_bytes) / _MB)
            add(row, "MB plain", first["plain_bytes"] / _MB)
            add(row, "memory, MiB", line["resident_mib"])
            add(row, "peak, MiB", line["peak_mib"])
        finally:
            child.kill()


def _next(child: subprocess.Popen[str]) -> dict[str, Any]:
    """Let the child relist once, and return what it says of it."""
    if child.stdin is None or child.stdout is None:
        raise AssertionError("started without pipes")
    child.stdin.write("\n")
    child.stdin.flush()
    text = child.stdout.readline()
    if not text:
        raise WrongFigureError(f"the client ended with {child.wait()}")
    line: dict[str, Any] = json.loads(text)
    if line["listed"] != listed():
        raise WrongFigureError(f"the client found {line['listed']}")
    return line


def add(row: Row, column: str, value: float) -> None:
    """Add a figure to a row."""
    row.setdefault(column, []).append(value)
