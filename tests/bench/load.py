"""Closed loops: clients that ask again as soon as they are answered, in a process of their own.

python -m bench.load        # a JSON document on standard input, another on standard output
"""

from __future__ import annotations

import base64
import json
import os
import selectors
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.connection import Connection, Target
from bench.truth import WrongFigureError
from bench.usage import cpu_seconds

_TIMEOUT_SECONDS = 120.0
_LEAST_FOR_P99 = 100
_TESTS = str(Path(__file__).parents[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What a loop gave: each different body once, to be checked now that the clock has stopped.

    `cpu_seconds` is that of the processes asked for, by pid, during the loop; `client_share` the client's own share
    of one core: near 1 the client is the limit, and not the server.
    """

    answered: int
    seconds: float
    latencies: Sequence[float]
    bodies: Sequence[bytes]
    client_share: float
    cpu_seconds: Mapping[int, float]
    protocol: str

    @property
    def per_second(self) -> float:
        """Answers per second."""
        return self.answered / self.seconds

    @property
    def p50_ms(self) -> float:
        """The median in milliseconds."""
        return statistics.median(self.latencies) * 1000

    @property
    def p99_ms(self) -> float:
        """The 99th percentile in milliseconds; the greatest where there are few."""
        return percentile_99(self.latencies) * 1000


def percentile_99(values: Sequence[float]) -> float:
    """Return the 99th percentile, the greatest of fewer than a hundred."""
    return statistics.quantiles(values, n=100)[98] if len(values) >= _LEAST_FOR_P99 else max(values)


def closed_loop(
    target: Target,
    requests: Sequence[bytes],
    *,
    clients: int,
    pids: Sequence[int] = (),
    seconds: float = 0.0,
    count: int = 0,
    accepted: Sequence[int] = (200,),
) -> Loaded:
    """Send requests in turn from so many clients, for so many seconds or until so many are answered.

    A first request of each client, with its handshake, is not timed; requests of a `count` are sent once each.

    Raises:
        WrongFigureError: an answer has another status, or the loop failed.
    """
    spec = {
        "target": asdict(target),
        "requests": [base64.b64encode(one).decode() for one in requests],
        "clients": clients,
        "pids": list(pids),
        "seconds": seconds,
        "count": count,
        "accepted": list(accepted),
    }
    found = run_child("bench.load", spec, timeout_seconds=_TIMEOUT_SECONDS + seconds)
    return Loaded(
        answered=found["answered"],
        seconds=found["seconds"],
        latencies=found["latencies"],
        bodies=[base64.b64decode(one) for one in found["bodies"]],
        client_share=found["client_share"],
        cpu_seconds={int(pid): used for pid, used in found["cpu_seconds"].items()},
        protocol=found["protocol"],
    )


def run_child(module: str, spec: Mapping[str, Any], *, timeout_seconds: float) -> dict[str, Any]:
    """Run a module of ours with a document on its standard input, and return what it prints.

    Raises:
        WrongFigureError: it failed; the text is the end of what it said.
    """
    argv = [sys.executable, "-m", module]
    environment = {**os.environ, "PYTHONPATH": _TESTS}
    done = subprocess.run(
        argv,
        input=json.dumps(spec),
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
    )
    if done.returncode:
        raise WrongFigureError(f"{module}: {done.stderr.strip()[-1000:]}")
    found = json.loads(done.stdout)
    if not isinstance(found, dict):
        raise WrongFigureError(f"{module} printed no document")
    return found


# ---- the child


class _Loop:
    """The clients of one process: no threads, so that they cost little."""

    def __init__(self, target: Target, requests: Sequence[bytes], *, clients: int, accepted: Sequence[int]) -> None:
        self._requests = requests
        self._accepted = frozenset(accepted)
        self._next = 0
        context = target.context()
        self.connections = [Connection(target, context) for _ in range(clients)]
        self._selector = selectors.DefaultSelector()
        for one in self.connections:
            self._selector.register(one.socket, selectors.EVENT_READ, one)
        self.latencies: list[float] = []
        self.bodies: Counter[bytes] = Counter()

    def run(self, *, end: float, count: int) -> None:
        """Let all clients ask until a time (of perf_counter) or until so many requests were sent; wait for the last."""
        under_way = 0
        left = count
        for one in self.connections:
            if not count or left:
                self._ask(one)
                left, under_way = left - 1, under_way + 1
        while under_way:
            ready = self._selector.select(_TIMEOUT_SECONDS)
            if not ready:
                raise TimeoutError(f"no answer within {_TIMEOUT_SECONDS:.0f} s")
            for key, _ in ready:
                connection: Connection = key.data
                answer = connection.step()
                if answer is None:
                    continue
                if answer.status not in self._accepted:
                    raise WrongFigureError(f"{answer.status} {answer.body[:300]!r}")
                self.latencies.append(answer.seconds)
                self.bodies[answer.body] += 1
                if left > 0 if count else time.perf_counter() < end:
                    self._ask(connection)
                    left -= 1
                else:
                    under_way -= 1

    def forget(self) -> None:
        """Leave out the latencies until now; what was answered is checked all the same."""
        self.latencies.clear()
        self._next = 0

    def _ask(self, connection: Connection) -> None:
        connection.send(self._requests[self._next % len(self._requests)])
        self._next += 1


def main() -> int:
    """Read what to do, do it, and print what came of it."""
    spec = json.loads(sys.stdin.read())
    requests = [base64.b64decode(one) for one in spec["requests"]]
    loop = _Loop(Target(**spec["target"]), requests, clients=spec["clients"], accepted=spec["accepted"])
    if not spec["count"] or len(requests) == 1:
        loop.run(end=0.0, count=spec["clients"])
        loop.forget()
    before = {pid: cpu_seconds(pid) for pid in spec["pids"]}
    begin, used = time.perf_counter(), time.process_time()
    loop.run(end=begin + spec["seconds"], count=spec["count"])
    seconds = time.perf_counter() - begin
    found = {
        "answered": len(loop.latencies),
        "seconds": seconds,
        "latencies": loop.latencies,
        "bodies": [base64.b64encode(one).decode() for one in loop.bodies] if len(requests) == 1 else [],
        "client_share": (time.process_time() - used) / seconds,
        "cpu_seconds": {pid: cpu_seconds(pid) - before[pid] for pid in before},
        "protocol": loop.connections[0].protocol,
    }
    sys.stdout.write(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
