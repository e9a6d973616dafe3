"""What does a list of 20 pods cost? The adapter over TLS, warm and cold, against the bare query it saves or sends."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import httpx
import yaml
from rig.processes import Child, free_port, wait_until
from rig.prometheus import PrometheusFiles, PrometheusProcess
from rig.remote_write import FLAG, WrittenSeries, remote_write

from bench.http import closed_loop, one_by_one
from bench.relists import WrongFigureError
from bench.table import markdown, ratio, spread
from bench.usage import cpu_seconds, peak_resident_mib, resident_mib

PODS = 20
NAMESPACE = "shop"
_SERIES_PER_POD = 10  # of one counter, by path
CLIENTS = (1, 8, 32)
_BASE = "bare"
_NAMES = {"warm": "adapter over TLS, warm", "cold": "adapter over TLS, cold", "bare": "the bare query, no TLS"}
_COMMAND = Path(sys.executable).with_name("tidegauge")
_READY_SECONDS = 30.0
_BEFORE_SECONDS, _AFTER_SECONDS, _STEP_SECONDS = 600, 3000, 15
_RULES = """rules:
- seriesQuery: hits_total{{namespace!="",pod!=""}}
  resources: {{overrides: {{namespace: {{resource: namespace}}, pod: {{resource: pod}}}}}}
  name: {{as: warm}}
  metricsQuery: {query}
  cacheTTL: 1h
- seriesQuery: hits_total{{namespace!="",pod!=""}}
  resources: {{overrides: {{namespace: {{resource: namespace}}, pod: {{resource: pod}}}}}}
  name: {{as: cold}}
  metricsQuery: {query}
  cacheTTL: 0
"""
_QUERY = "sum(rate(<<.Series>>{<<.LabelMatchers>>}[2m])) by (<<.GroupBy>>)"


@dataclass(slots=True)
class Costs:
    """What one way to ask took, a figure per round."""

    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    adapter_ms: list[float] = field(default_factory=list)  # CPU per request, one client
    prometheus_ms: list[float] = field(default_factory=list)
    per_second: dict[int, list[float]] = field(default_factory=lambda: {clients: [] for clients in CLIENTS})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """Where to ask, and how to read the answer as values by pod."""

    url: str
    path: str
    read: Callable[[bytes], dict[str, float]]


def request_tables(
    binaries: Path, home: Path, *, rounds: int, requests: int, seconds: float, say: Callable[[str], None]
) -> str:
    """Measure each way in turn, round by round, and return the tables.

    Raises:
        WrongFigureError: an answer has not exactly the right pods and values.
    """
    with _running(binaries, home) as (adapter, prometheus, ways):
        costs = {name: Costs() for name in ways}
        for number in range(rounds):
            for name, way in ways.items():
                say(f"requests: round {number + 1} of {rounds}, {_NAMES[name]}")
                _measure(way, costs[name], adapter.pid, prometheus.pid, requests=requests, seconds=seconds)
        now, peak = resident_mib(adapter.pid), peak_resident_mib(adapter.pid)
    title = f"A list of {PODS} pods; {rounds} rounds: {requests} requests by one client, then {seconds:g} s of 1, 8, 32"
    table = markdown(title, _HEADERS, [_row(name, costs) for name in costs])
    return f"{table}\nAdapter memory after that: {now:.0f} MiB, peak {peak:.0f} MiB.\n"


_HEADERS = (
    "asked of",
    "p50, ms",
    "",
    "p99, ms",
    "adapter CPU, ms",
    "Prometheus CPU, ms",
    *(f"{clients} client{'s' if clients > 1 else ''}, per s" for clients in CLIENTS),
)


def _row(name: str, costs: dict[str, Costs]) -> list[str]:
    cost = costs[name]
    return [
        _NAMES[name],
        spread(cost.p50_ms),
        ratio(cost.p50_ms, costs[_BASE].p50_ms),
        spread(cost.p99_ms),
        spread(cost.adapter_ms),
        spread(cost.prometheus_ms),
        *(spread(cost.per_second[clients]) for clients in CLIENTS),
    ]


def _measure(way: _Way, cost: Costs, adapter_pid: int, prometheus_pid: int, *, requests: int, seconds: float) -> None:
    before = cpu_seconds(adapter_pid), cpu_seconds(prometheus_pid)
    timed = one_by_one(way.url, way.path, requests=requests)
    cost.adapter_ms.append((cpu_seconds(adapter_pid) - before[0]) / requests * 1000)
    cost.prometheus_ms.append((cpu_seconds(prometheus_pid) - before[1]) / requests * 1000)
    _check(way, timed.bodies)
    cost.p50_ms.append(timed.p50_ms)
    cost.p99_ms.append(timed.p99_ms)
    for clients in CLIENTS:
        per_second, bodies = closed_loop(way.url, way.path, clients=clients, seconds=seconds)
        _check(way, bodies)
        cost.per_second[clients].append(per_second)


def _check(way: _Way, bodies: Iterable[bytes]) -> None:
    truth = {f"web-{number:02}": _rate(number) for number in range(PODS)}
    for body in bodies:
        values = way.read(body)
        if values.keys() != truth.keys() or any(abs(values[pod] - truth[pod]) > 0.0006 for pod in truth):
            raise WrongFigureError(f"{way.path}: got {values}, true is {truth}")


def _rate(number: int) -> float:
    """Return a pod's true requests per second: none is a whole number, and no two are equal."""
    return number + 0.125


# ---- what runs


@contextlib.contextmanager
def _running(binaries: Path, home: Path) -> Iterator[tuple[Child, PrometheusProcess, dict[str, _Way]]]:
    files = PrometheusFiles(binaries=binaries, home=home / "request-prometheus")
    with PrometheusProcess.start(files, flags=[FLAG]) as prometheus:
        remote_write(prometheus.url, _series(now_seconds=time.time()))
        rules, objects = home / "request-rules.yaml", home / "request-objects.yaml"
        rules.write_text(_RULES.format(query=_QUERY))
        objects.write_text(yaml.safe_dump_all(_objects()))
        url = f"https://127.0.0.1:{free_port()}"
        argv = [_COMMAND, "--config", rules, "--prometheus-url", prometheus.url, "--objects-file", objects]
        argv += ["--bind-address", "127.0.0.1", "--secure-port", url.rpartition(":")[2]]
        argv += ["--cert-dir", home / "certificates", "--metrics-max-age", "1h", "--metrics-relist-interval", "1h"]
        with Child("the adapter", argv, log=home / "adapter.log") as adapter:
            ways = _ways(url, prometheus.url)
            wait_until("the adapter", lambda: adapter.check_alive() and _is_listed(url), timeout_seconds=_READY_SECONDS)
            yield adapter, prometheus, ways


def _ways(adapter_url: str, prometheus_url: str) -> dict[str, _Way]:
    names = "|".join(f"web-{number:02}" for number in range(PODS))
    query = f'sum(rate(hits_total{{namespace="{NAMESPACE}",pod=~"{names}"}}[2m])) by (pod)'
    return {
        "warm": _Way(url=adapter_url, path=_list_path("warm"), read=_read_list),
        "cold": _Way(url=adapter_url, path=_list_path("cold"), read=_read_list),
        "bare": _Way(url=prometheus_url, path=f"/api/v1/query?query={quote(query)}", read=_read_vector),
    }


def _list_path(metric: str) -> str:
    return f"/apis/custom.metrics.k8s.io/v1beta2/namespaces/{NAMESPACE}/pods/*/{metric}?labelSelector=app%3Dweb"


def _read_list(body: bytes) -> dict[str, float]:
    return {item["describedObject"]["name"]: _number(item["value"]) for item in json.loads(body)["items"]}


def _read_vector(body: bytes) -> dict[str, float]:
    return {item["metric"]["pod"]: float(item["value"][1]) for item in json.loads(body)["data"]["result"]}


def _number(quantity: str) -> float:
    return float(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity)


def _is_listed(url: str) -> bool:
    with httpx.Client(base_url=url, verify=False, timeout=10, trust_env=False) as client:  # noqa: S501 - made for this run
        return all(client.get(_list_path(metric)).status_code == httpx.codes.OK for metric in ("warm", "cold"))


def _series(*, now_seconds: float) -> Iterator[WrittenSeries]:
    """Yield counters of the pods asked for, and of as many others in that namespace and another."""
    begin = int(now_seconds) - _BEFORE_SECONDS
    times = range(begin, begin + _BEFORE_SECONDS + _AFTER_SECONDS, _STEP_SECONDS)
    for number in range(PODS):
        samples = [(float(at), _rate(number) / _SERIES_PER_POD * (at - begin)) for at in times]
        for app, namespace in (("web", NAMESPACE), ("other", NAMESPACE), ("web", "elsewhere")):
            labels = {"__name__": "hits_total", "namespace": namespace, "pod": f"{app}-{number:02}"}
            for path in range(_SERIES_PER_POD):
                yield WrittenSeries(labels={**labels, "path": f"/{path}"}, samples=samples)


def _objects() -> Iterator[dict[str, object]]:
    for number in range(PODS):
        for app in ("web", "other"):
            metadata = {"name": f"{app}-{number:02}", "namespace": NAMESPACE, "labels": {"app": app}}
            yield {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}
