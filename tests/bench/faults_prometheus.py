"""A Prometheus behind a front: killed, stopped, emptied, and written to all the while."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import httpx
from rig.processes import Child, free_port, wait_until
from rig.remote_write import FLAG, WrittenSeries, remote_write

from bench import world
from bench.scene import Bench

_TESTS = str(Path(__file__).parents[1])
_READY_SECONDS: Final = 120.0
_CONTROL_SECONDS: Final = 10.0
# Samples lie this far ahead, so that a server which is away for less lacks none when it is back; Prometheus takes ten
# minutes at most.
_AHEAD_SECONDS: Final = 420.0
_BEHIND_SECONDS: Final = 195.0  # a rate looks back two minutes
_OTHERS: Final = 2000  # series of others, that nobody asks for
_OTHERS_PAUSE_SECONDS: Final = 0.5


@dataclass(slots=True, kw_only=True)
class Backend:
    """The server and its front; `url` is what the adapter is given, and stays the same."""

    bench: Bench
    home: Path
    hpas: int
    began_at: float = field(default_factory=time.time)
    _port: int = field(default_factory=free_port)
    _front_port: int = field(default_factory=free_port)
    _control_port: int = field(default_factory=free_port)
    _child: Child | None = None
    _written_until: float = 0.0

    @property
    def url(self) -> str:
        """Where the front is."""
        return f"http://127.0.0.1:{self._front_port}"

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Run the front and a Prometheus that has the series."""
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / "prometheus.yml").write_text("global: {}\n")
        argv: list[str | Path] = [sys.executable, "-m", "bench.faults_front", str(self._front_port)]
        argv.append(str(self._control_port))
        log = self.home / "front.log"
        with Child("the front", argv, log=log, environment={"PYTHONPATH": _TESTS}) as front:
            wait_until(
                "the front",
                lambda: front.check_alive() and self.order(f"upstream {self._port}") == 0,
                timeout_seconds=_READY_SECONDS,
            )
            try:
                self.start()
                self.write()
                yield
            finally:
                self.go_on()
                if self._child is not None:
                    self._child.stop()

    def order(self, line: str) -> int:
        """Tell the front what to do, and return how many requests it has had so far."""
        address = ("127.0.0.1", self._control_port)
        with socket.create_connection(address, timeout=_CONTROL_SECONDS) as control:
            control.sendall(f"{line}\n".encode())
            return int(control.makefile().readline())

    @property
    def asked(self) -> int:
        """How many requests there were so far."""
        return self.order("count")

    def start(self) -> None:
        """Start the server on what is in its folder, and return when it is ready; callers see it start."""
        argv: list[str | Path] = [
            self.bench.binaries / "prometheus",
            f"--config.file={self.home / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.home / 'data'}",
            f"--web.listen-address=127.0.0.1:{self._port}",
            "--log.level=warn",
            FLAG,
        ]
        child = self._child = Child("prometheus", argv, log=self.home / "prometheus.log")
        self.order("pass")
        wait_until("prometheus", lambda: child.check_alive() and self._is_ready(), timeout_seconds=_READY_SECONDS)

    def kill(self, *, empty: bool = False) -> None:
        """Kill the server without a warning; nobody listens then, and connections are reset."""
        self._signal(signal.SIGKILL)
        self.order("refuse")
        if self._child is not None:
            self._child.stop()
        if empty:
            shutil.rmtree(self.home / "data")
            self._written_until = 0.0

    def hold(self) -> None:
        """Stop the server where it is: connections are taken by the kernel, and nothing answers."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on."""
        with contextlib.suppress(ProcessLookupError):
            self._signal(signal.SIGCONT)

    def write(self) -> None:
        """Write the samples that are missing until a few minutes from now."""
        now = time.time()
        after, until = max(self._written_until, now - _BEHIND_SECONDS), now + _AHEAD_SECONDS
        remote_write(self._server, self._series(after, until))
        self._written_until = until

    def write_others(self, seconds: float) -> None:
        """Write new series that nobody asks for, again and again for so long."""
        end = time.monotonic() + seconds
        for number in range(1_000_000):
            if time.monotonic() >= end:
                return
            at = time.time()
            labels = {"__name__": "others", "round": str(number)}
            others = (
                WrittenSeries(labels={**labels, "number": str(one)}, samples=[(at, 1.0)]) for one in range(_OTHERS)
            )
            remote_write(self._server, others)
            time.sleep(_OTHERS_PAUSE_SECONDS)

    def _series(self, after: float, until: float) -> Iterator[WrittenSeries]:
        """Yield the part of the world's samples that lies between two times; a counter goes on as it began."""
        for one in world.series(self.hpas, now_seconds=self.began_at, seconds=until - self.began_at):
            samples = [sample for sample in one.samples if after < sample[0] <= until]
            if samples:
                yield replace(one, samples=samples)

    @property
    def _server(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def _is_ready(self) -> bool:
        answer = httpx.get(f"{self._server}/-/ready", timeout=5, trust_env=False)
        return answer.status_code == httpx.codes.OK

    def _signal(self, number: signal.Signals) -> None:
        if self._child is not None:
            os.kill(self._child.pid, number)
