"""Series that a test sets, and a Prometheus that scrapes them each second and can be ended, hung and started again."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from rig.processes import Child, free_port, wait_until

from e2e.rig.network import Place

SCRAPE_SECONDS = 1
_PORT = 9090  # Prometheus' own default
_READY_SECONDS = 30.0
_CONFIG = """
global: {{scrape_interval: {seconds}s, scrape_timeout: {seconds}s}}
scrape_configs:
- job_name: e2e
  honor_labels: true
  static_configs: [{{targets: ["{address}"]}}]
"""

Samples = Mapping[str, float]


class Series:
    """Gauges, written as `name{label="value"}`, on a free port, of loopback or another address; use it as a context manager.

    A source is called at each scrape, for series that follow the cluster, such as one for each pod.
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._fixed: dict[str, float] = {}
        self._sources: list[Callable[[], Samples]] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer((host, 0), _handler(self._text))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="series", daemon=True)
        self.address = f"{host}:{self._server.server_port}"

    def set(self, samples: Samples) -> None:
        """Set gauges; others stay."""
        with self._lock:
            self._fixed |= samples

    def remove(self, *names: str) -> None:
        """Let gauges end."""
        with self._lock:
            for name in names:
                self._fixed.pop(name, None)

    def follow(self, source: Callable[[], Samples]) -> None:
        """Add a source; it is called from another thread."""
        with self._lock:
            self._sources.append(source)

    def clear(self) -> None:
        """Let everything end."""
        with self._lock:
            self._fixed.clear()
            self._sources.clear()

    def _text(self) -> str:
        with self._lock:
            samples, sources = dict(self._fixed), tuple(self._sources)
        for source in sources:
            samples |= source()
        return "".join(f"{name} {value!r}\n" for name, value in sorted(samples.items()))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(text: Callable[[], str]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = text().encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing: a line per scrape helps nobody."""

    return Handler


class ScrapingPrometheus:
    """A Prometheus that keeps its address over restarts; use it as a context manager.

    With a place in the network of pods it is there, on its usual port; else on a free one of loopback.
    """

    def __init__(self, binaries: Path, folder: Path, *, target: str, place: Place | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._program = binaries / "prometheus"
        self._folder = folder
        (folder / "prometheus.yml").write_text(_CONFIG.format(seconds=SCRAPE_SECONDS, address=target))
        self._address = f"{place.address}:{_PORT}" if place else f"127.0.0.1:{free_port()}"
        self._prefix = place.enter() if place else ()
        self.url = f"http://{self._address}"
        self.log = folder / "prometheus.log"
        self._child: Child | None = None

    def start(self) -> None:
        """Start it, and return when it answers; it has not scraped yet.

        Raises:
            ChildEndedError: it ended.
            TimeoutError: it was not ready in time.
        """
        argv: list[str | Path] = [
            *self._prefix,
            self._program,
            f"--config.file={self._folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            f"--web.listen-address={self._address}",
            "--log.level=warn",
        ]
        child = self._child = Child("prometheus", argv, log=self.log)
        wait_until("prometheus", lambda: child.check_alive() and self._is_ready(), timeout_seconds=_READY_SECONDS)

    def kill(self, *, forget: bool = False) -> None:
        """End it at once, also when it hangs; if it is to forget, its data go too."""
        if self._child:
            self._signal(signal.SIGKILL)
            self._child.stop()
            self._child = None
        if forget:
            shutil.rmtree(self._folder / "data", ignore_errors=True)

    def hang(self) -> None:
        """Let it take connections and never answer."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """End a hang."""
        self._signal(signal.SIGCONT)

    def values(self, query: str) -> list[float]:
        """Return the values of an instant query, sorted."""
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": query}, timeout=10, trust_env=False)
        return sorted(float(item["value"][1]) for item in answer.raise_for_status().json()["data"]["result"])

    def wait_for(self, query: str, *, timeout_seconds: float = 20.0) -> list[float]:
        """Wait until an instant query has a result, and return its values.

        Raises:
            TimeoutError: it has none in time.
        """
        return wait_until(query, lambda: self.values(query), timeout_seconds=timeout_seconds)

    def _is_ready(self) -> bool:
        return httpx.get(f"{self.url}/-/ready", timeout=5, trust_env=False).is_success

    def _signal(self, number: signal.Signals) -> None:
        if self._child:
            os.kill(self._child.pid, number)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
