"""A real Prometheus on loopback, filled with the series a test needs."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import httpx

from rig.processes import Child, ChildEndedError, free_port, wait_until

STEP_SECONDS = 15
SPAN_SECONDS = 3600  # samples lie from an hour before now to an hour after, so that slow machines find them too
OLD_SECONDS = 1200  # samples of `old` series end so long before now; Prometheus looks back 300 s
_EARLIER_SECONDS = 9000  # counters count since so long before their first sample
_READY_SECONDS = 30.0
_BACKFILL_SECONDS = 120.0
_PORT_TRIES = 3
_NO_RULES = "global: {}\n"


def openmetrics_text(series: Iterable[str], *, now_seconds: float) -> str:
    """Return samples around `now_seconds` (since 1970) of series written as `name{labels} shape value`.

    Shapes: `gauge V`; `counter PER_SECOND`, which has that rate at every instant; `old V`, a gauge that ended 20
    minutes ago. V may be NaN, +Inf, -Inf.

    Raises:
        ValueError: a line has another shape.
    """
    middle = int(now_seconds) // STEP_SECONDS * STEP_SECONDS
    lines = [line for text in series for line in _samples(text, middle)]
    return "\n".join([*lines, "# EOF", ""])


def _samples(text: str, middle: int) -> Iterator[str]:
    name, shape, value = text.rsplit(" ", 2)
    first = middle - SPAN_SECONDS
    if shape not in {"gauge", "counter", "old"}:
        raise ValueError(f"{text}: no such shape: {shape}")
    last = middle - OLD_SECONDS if shape == "old" else middle + SPAN_SECONDS
    for at in range(first, last + 1, STEP_SECONDS):
        counted = f"{float(value) * (at - first + _EARLIER_SECONDS)!r}" if shape == "counter" else value
        yield f"{name} {counted} {at}"


def backfill(binaries: Path, data: Path, series: Sequence[str], *, now_seconds: float, scratch: Path) -> None:
    """Write series (see `openmetrics_text`) into the data folder of a Prometheus that is not running.

    Raises:
        ValueError: promtool refuses them.
    """
    data.mkdir(parents=True, exist_ok=True)
    if not series:
        return
    text = scratch / "series.txt"
    text.write_text(openmetrics_text(series, now_seconds=now_seconds))
    argv = [binaries / "promtool", "tsdb", "create-blocks-from", "openmetrics", "--quiet", text, data]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=_BACKFILL_SECONDS)
    text.unlink()
    if done.returncode:
        raise ValueError(f"promtool: {done.stderr.strip()[-500:]}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusFiles:
    """Where a Prometheus lives: its binaries, and a folder of its own for configuration, data and log."""

    binaries: Path
    home: Path

    @property
    def data(self) -> Path:
        """The folder of the time-series database."""
        return self.home / "data"


class PrometheusProcess:
    """A running Prometheus; `url` is its base URL. Use it as a context manager, or call `stop`."""

    def __init__(self, *, child: Child, port: int) -> None:
        self._child = child
        self.url = f"http://127.0.0.1:{port}"

    @classmethod
    def start(
        cls,
        files: PrometheusFiles,
        *,
        series: Sequence[str] = (),
        now_seconds: float | None = None,
        config: str = _NO_RULES,
        flags: Sequence[str] = (),
    ) -> Self:
        """Fill it with series (see `openmetrics_text`) around now, start it, and return when it is ready.

        Raises:
            ValueError: the series cannot be read.
            ChildEndedError: it ended, as for a bad configuration.
            TimeoutError: it was not ready within half a minute.
        """
        files.home.mkdir(parents=True, exist_ok=True)
        now = time.time() if now_seconds is None else now_seconds
        backfill(files.binaries, files.data, series, now_seconds=now, scratch=files.home)
        (files.home / "prometheus.yml").write_text(config)
        for left in reversed(range(_PORT_TRIES)):
            try:
                return cls._start_once(files, flags)
            except ChildEndedError as error:
                if not left or "address already in use" not in str(error):
                    raise
        raise AssertionError("unreachable")

    @classmethod
    def _start_once(cls, files: PrometheusFiles, flags: Sequence[str]) -> Self:
        port = free_port()
        argv = [
            files.binaries / "prometheus",
            f"--config.file={files.home / 'prometheus.yml'}",
            f"--storage.tsdb.path={files.data}",
            "--storage.tsdb.retention.time=100y",  # else it deletes data of a fixed past date
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=warn",
            *flags,
        ]
        child = Child("prometheus", argv, log=files.home / "prometheus.log")
        try:
            wait_until("prometheus", lambda: child.check_alive() and _is_ready(port), timeout_seconds=_READY_SECONDS)
        except BaseException:
            child.stop()
            raise
        return cls(child=child, port=port)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    def check_alive(self) -> bool:
        """Return True while it runs.

        Raises:
            ChildEndedError: it has ended.
        """
        return self._child.check_alive()

    def stop(self) -> None:
        """End it."""
        self._child.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class StartPrometheus(Protocol):
    """The fixture `prometheus`: start a server that ends with the test; `openmetrics_text` says how series look."""

    def __call__(self, series: Sequence[str] = (), *, now_seconds: float | None = None) -> str:
        """Return its base URL."""


def _is_ready(port: int) -> bool:
    return httpx.get(f"http://127.0.0.1:{port}/-/ready", timeout=5, trust_env=False).status_code == httpx.codes.OK
