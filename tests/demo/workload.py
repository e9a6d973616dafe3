"""A small shop that serves its metrics on loopback, and keeps books of what it really did.

`web` pods share HTTP requests, `checkout` pods share checkouts and get slow when they are few, and producers fill a
queue that `worker` pods empty. Time is an argument, and everything follows from the load, which is a function of time.
"""

from __future__ import annotations

import json
import math
import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

NAMESPACE = "shop"
QUEUE = "orders"
APPS = ("web", "checkout", "worker")
BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, math.inf)  # seconds, the upper bounds of checkout_seconds
_CALM = (0.55, 0.27, 0.14, 0.04, 0.0, 0.0)  # shares of the buckets at no load, and at full load
_BUSY = (0.10, 0.20, 0.35, 0.26, 0.08, 0.01)
_CODES = {"200": 0.97, "500": 0.03}
_CHECKOUTS = 0.2  # per web request
_CHECKOUTS_PER_POD = 80.0  # each second; more makes them slow
_ORDERS = 0.5  # messages per web request
_ORDERS_PER_WORKER = 140.0  # each second
_WAITING_AT_FIRST = 700.0  # messages
_WEIGHT_STEP = 0.15  # no two pods get the same share of the load
_STEP_SECONDS = 0.1  # the books are kept at least so finely
_KEPT_SECONDS = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Web requests per second as a function of time: up and down between two values."""

    low: float
    high: float
    period_seconds: float

    def at(self, seconds: float) -> float:
        """Return the load so long after the start."""
        return self.low + (self.high - self.low) * (1 - math.cos(2 * math.pi * seconds / self.period_seconds)) / 2


@dataclass(slots=True, kw_only=True)
class _Pod:
    app: str
    born_seconds: float
    requests: float = 0.0
    checkouts: list[float] = field(default_factory=lambda: [0.0] * len(BUCKETS))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    """The books at one time: how much was done until then."""

    at_seconds: float
    requests: Mapping[str, float]  # by pod
    checkouts: tuple[float, ...]  # by bucket, each without those below it
    depth: float


class Workload:
    """The shop's state and its books; every method may be called from any thread."""

    def __init__(self, *, load: Load, pods: Mapping[str, int], clock: Callable[[], float]) -> None:
        self._load = load
        self._clock = clock
        self._lock = threading.Lock()
        self._started = self._now = clock()
        self._pods: dict[str, _Pod] = {}
        self._made = dict.fromkeys(APPS, 0)
        self._depth = _WAITING_AT_FIRST
        self._checkouts = [0.0] * len(BUCKETS)  # of all pods, also those that are gone
        self._pages: deque[_Page] = deque()
        for app, replicas in pods.items():
            self._scale(app, replicas)
        self._write_page()

    def scale(self, app: str, replicas: int) -> None:
        """Start pods, or end the newest ones."""
        with self._lock:
            self._advance()
            self._scale(app, replicas)

    def pods(self, app: str) -> tuple[str, ...]:
        """Return the names of the running pods of an app, oldest first."""
        with self._lock:
            return self._names(app)

    def load(self) -> float:
        """Return the web requests per second now."""
        return self._load.at(self._clock() - self._started)

    def age_seconds(self, pod: str) -> float:
        """Return how long a pod has been running; 0 if there is none of this name."""
        with self._lock:
            found = self._pods.get(pod)
            return self._clock() - found.born_seconds if found else 0.0

    # ---- what really happened

    def requests_per_second(self, pod: str, *, until_seconds: float, window_seconds: float) -> float:
        """Return a pod's average over a window that ends at that time since 1970."""
        begin, end = self._page(until_seconds - window_seconds), self._page(until_seconds)
        span = end.at_seconds - begin.at_seconds
        return (end.requests.get(pod, 0.0) - begin.requests.get(pod, 0.0)) / span if span else 0.0

    def checkout_quantile(self, share: float, *, until_seconds: float, window_seconds: float) -> float:
        """Return the seconds within which that share of a window's checkouts was done, interpolated in its bucket."""
        begin, end = self._page(until_seconds - window_seconds), self._page(until_seconds)
        counts = [late - early for early, late in zip(begin.checkouts, end.checkouts, strict=True)]
        rank, seen = share * sum(counts), 0.0
        lower = 0.0
        for bound, count in zip(BUCKETS, counts, strict=True):
            if seen + count >= rank and count:
                return lower if math.isinf(bound) else lower + (bound - lower) * (rank - seen) / count
            seen, lower = seen + count, bound
        return math.nan

    def depths(self, *, since_seconds: float, until_seconds: float) -> tuple[float, float]:
        """Return the least and the greatest queue depth of a time span."""
        with self._lock:
            self._advance()
            pages = [page.depth for page in self._pages if since_seconds <= page.at_seconds <= until_seconds]
        return (min(pages), max(pages)) if pages else (math.nan, math.nan)

    # ---- what is scraped

    def targets(self) -> list[dict[str, str]]:
        """Return the labels of each scrape target, as Kubernetes service discovery gives them: pods, and the queue."""
        queue = {"__metrics_path__": "/queue", "namespace": NAMESPACE}
        with self._lock:
            return [*(_target(name, pod.app) for name, pod in self._pods.items() if pod.app in _WRITERS), queue]

    def exposition(self, path: str) -> str | None:
        """Return what a target exposes, in Prometheus' text format; None if there is no such target."""
        with self._lock:
            self._advance()
            if path == "/queue":
                return f'# TYPE queue_messages_ready gauge\nqueue_messages_ready{{queue="{QUEUE}"}} {self._depth:.0f}\n'
            pod = self._pods.get(path.removeprefix("/pods/"))
            return _WRITERS[pod.app](pod) if pod and pod.app in _WRITERS else None

    # ---- inside, with the lock held

    def _names(self, app: str) -> tuple[str, ...]:
        return tuple(name for name, pod in self._pods.items() if pod.app == app)

    def _scale(self, app: str, replicas: int) -> None:
        names = self._names(app)
        for name in names[replicas:]:
            del self._pods[name]
        for _ in range(replicas - len(names)):
            self._made[app] += 1  # a name never comes back, as in a Deployment
            self._pods[f"{app}-{self._made[app]}"] = _Pod(app=app, born_seconds=self._now)

    def _advance(self) -> None:
        """Do the work of the time since the last call, in small steps."""
        now = self._clock()
        while self._now < now:
            step = min(_STEP_SECONDS, now - self._now)
            self._work(step, self._load.at(self._now + step / 2 - self._started))
            self._now += step
            self._write_page()

    def _work(self, seconds: float, load: float) -> None:
        web = [self._pods[name] for name in self._names("web")]
        weights = [1 + _WEIGHT_STEP * index for index in range(len(web))]
        for pod, weight in zip(web, weights, strict=True):
            pod.requests += load * seconds * weight / sum(weights)
        checkout = [self._pods[name] for name in self._names("checkout")]
        for pod in checkout:
            done = load * _CHECKOUTS * seconds / len(checkout)
            strain = min(load * _CHECKOUTS / (len(checkout) * _CHECKOUTS_PER_POD), 1.0)
            for index, (calm, busy) in enumerate(zip(_CALM, _BUSY, strict=True)):
                share = done * (calm + (busy - calm) * strain)
                pod.checkouts[index] += share
                self._checkouts[index] += share
        emptied = len(self._names("worker")) * _ORDERS_PER_WORKER
        self._depth = max(0.0, self._depth + (load * _ORDERS - emptied) * seconds)

    def _write_page(self) -> None:
        self._pages.append(
            _Page(
                at_seconds=self._now,
                requests={name: self._pods[name].requests for name in self._names("web")},
                checkouts=tuple(self._checkouts),
                depth=self._depth,
            )
        )
        while self._now - self._pages[0].at_seconds > _KEPT_SECONDS:
            self._pages.popleft()

    def _page(self, at_seconds: float) -> _Page:
        """Return the last page at that time, or the first there is."""
        with self._lock:
            self._advance()
            times = [page.at_seconds for page in self._pages]
            return self._pages[max(0, bisect_right(times, at_seconds) - 1)]


def _target(name: str, app: str) -> dict[str, str]:
    return {"__metrics_path__": f"/pods/{name}", "namespace": NAMESPACE, "deployment": app, "pod": name}


def _web_text(pod: _Pod) -> str:
    lines = [f'http_requests_total{{code="{code}"}} {int(pod.requests * share)}' for code, share in _CODES.items()]
    return "\n".join(["# TYPE http_requests_total counter", *lines, ""])


def _checkout_text(pod: _Pod) -> str:
    lines, total = [], 0
    for bound, count in zip(BUCKETS, pod.checkouts, strict=True):
        total += int(count)
        lines.append(f'checkout_seconds_bucket{{le="{"+Inf" if math.isinf(bound) else bound}"}} {total}')
    return "\n".join(["# TYPE checkout_seconds histogram", *lines, f"checkout_seconds_count {total}", ""])


_WRITERS = {"web": _web_text, "checkout": _checkout_text}  # workers expose nothing of their own


class MetricsServer:
    """Serves a workload's targets and metrics on a free port of 127.0.0.1; use it as a context manager."""

    def __init__(self, workload: Workload) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(workload))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="workload", daemon=True)
        self.address = f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(workload: Workload) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # Prometheus keeps its connections

        def do_GET(self) -> None:
            if self.path == "/targets":
                address = self.headers["Host"]
                groups = [{"targets": [address], "labels": labels} for labels in workload.targets()]
                self._answer("application/json", json.dumps(groups))
            elif text := workload.exposition(self.path):
                self._answer("text/plain; version=0.0.4", text)
            else:
                self.send_error(404)

        def _answer(self, kind: str, text: str) -> None:
            body = text.encode()
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing: a line per scrape helps nobody."""

    return Handler
