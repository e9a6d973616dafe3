"""What does a long list cost? 10 to 10,000 pods, of a custom metric and of metrics.k8s.io, against the bare query."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from rig.prometheus import PrometheusProcess
from rig.remote_write import WrittenSeries

from bench.connection import Target
from bench.load import closed_loop
from bench.scene import Bench, Cluster, filled_prometheus, running_adapter
from bench.table import Table
from bench.truth import Readings, check, custom_list, pod_metrics, vector
from bench.usage import peak_resident_mib

_NAMESPACE = "shop"
# Prometheus looks back five minutes, so few samples will do; it takes none that are more than ten minutes ahead.
_BEFORE_SECONDS, _AFTER_SECONDS, _STEP_SECONDS = 240, 570, 240
_RULE = """- seriesQuery: load{namespace!="",pod!=""}
  resources: RESOURCES
  name: {as: NAME}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
  cacheTTL: SECONDS
"""
_RESOURCE_RULE = """  NAME:
    containerQuery: sum(SERIES{<<.LabelMatchers>>}) by (<<.GroupBy>>)
    nodeQuery: sum(SERIES{<<.LabelMatchers>>}) by (<<.GroupBy>>)
    resources: RESOURCES
    containerLabel: container
"""
_RESOURCES = "{overrides: {namespace: {resource: namespace}, pod: {resource: pod}, node: {resource: node}}}"
_COLUMNS = ("p50, ms", "per pod, us", "CPU, ms", "bytes", "peak, MiB")


def _rules() -> str:
    rules = [_RULE.replace("NAME", name).replace("SECONDS", ttl) for name, ttl in (("warm", "1h"), ("cold", "0"))]
    resource_rules = [
        _RESOURCE_RULE.replace("NAME", name).replace("SERIES", series)
        for name, series in (("cpu", "load"), ("memory", "bytes"))
    ]
    parts = ["rules:\n", *rules, "resourceRules:\n  window: 1m\n", *resource_rules]
    return "".join(parts).replace("RESOURCES", _RESOURCES)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """One list of the adapter: its name, its path, and how its values by pod are read."""

    name: str
    path: str
    read: Callable[[bytes], Readings]


_CUSTOM: Final = f"/apis/custom.metrics.k8s.io/v1beta2/namespaces/{_NAMESPACE}/pods/*/"
_PROMQL: Final = f'sum(load{{namespace="{_NAMESPACE}"}}) by (pod)'
_BARE: Final = "the bare query, no TLS"
WAYS: Final = (
    _Way(name="custom metric, warm", path=f"{_CUSTOM}warm", read=custom_list),
    _Way(name="custom metric, cold", path=f"{_CUSTOM}cold", read=custom_list),
    _Way(
        name="metrics.k8s.io, warm",
        path=f"/apis/metrics.k8s.io/v1beta1/namespaces/{_NAMESPACE}/pods",
        read=pod_metrics,
    ),
)


def lists_tables(bench: Bench) -> list[Table]:
    """Measure each list of each size, an adapter process for each, and return the table.

    Raises:
        WrongFigureError: a list has not exactly the right pods and values.
    """
    rounds, requests = (1, 5) if bench.quick else (3, 20)
    rows: dict[str, dict[str, list[float]]] = {}
    for size in bench.sizes["pods"]:
        cluster = Cluster(bench.home / f"cluster-lists-{size}", pods=[(_NAMESPACE, _pod(i), {}) for i in range(size)])
        series = _series(size, now_seconds=time.time())
        with filled_prometheus(bench, f"lists-{size}", series) as prometheus, cluster.running():
            for number in range(rounds):
                bench.say(f"lists: {size:,} pods, round {number + 1} of {rounds}")
                _measure_bare(prometheus, rows.setdefault(_name(size, _BARE), {}), size, requests=requests)
                for way in WAYS:
                    row = rows.setdefault(_name(size, way.name), {})
                    _measure(bench, prometheus, cluster, way, row, size=size, requests=requests)
    ordered = {_name(size, way): rows[_name(size, way)] for way in _ways() for size in bench.sizes["pods"]}
    return [
        Table(
            key="lists",
            title=f"Lists of pods; {rounds} rounds of {requests} requests, a process for each; ratios to the bare query",
            head="list",
            columns=_COLUMNS,
            rows=ordered,
            ratios=("p50, ms", "CPU, ms"),
            base={_name(size, way): _name(size, _BARE) for size in bench.sizes["pods"] for way in _ways()},
        )
    ]


def _name(size: int, way: str) -> str:
    return f"{size:,} pods: {way}"


def _ways() -> Iterator[str]:
    yield _BARE
    yield from (way.name for way in WAYS)


def _measure_bare(prometheus: PrometheusProcess, row: dict[str, list[float]], size: int, *, requests: int) -> None:
    target = Target(url=prometheus.url, headers={})
    _loop(target, f"/api/v1/query?query={quote(_PROMQL)}", vector, prometheus.pid, row, size=size, requests=requests)


def _measure(
    bench: Bench,
    prometheus: PrometheusProcess,
    cluster: Cluster,
    way: _Way,
    row: dict[str, list[float]],
    *,
    size: int,
    requests: int,
) -> None:
    flags = [*cluster.flags, "--cache-ttl=1h", "--metrics-relist-interval=1h"]
    with running_adapter(bench, f"lists-{size}", rules=_rules(), prometheus_url=prometheus.url, flags=flags) as adapter:
        target = cluster.caller(adapter.url)
        adapter.wait_for(target, way.path, lambda body: check(way.path, way.read(body), _truth(size)))
        _loop(target, way.path, way.read, adapter.pid, row, size=size, requests=requests)
        row.setdefault("peak, MiB", []).append(peak_resident_mib(adapter.pid))


def _loop(
    target: Target,
    path: str,
    read: Callable[[bytes], Readings],
    pid: int,
    row: dict[str, list[float]],
    *,
    size: int,
    requests: int,
) -> None:
    loaded = closed_loop(target, [target.request(path)], clients=1, pids=[pid], count=requests)
    truth = _truth(size)
    for body in loaded.bodies:
        check(path, read(body), truth)
    figures = {
        "p50, ms": loaded.p50_ms,
        "per pod, us": loaded.p50_ms * 1000 / size,
        "CPU, ms": loaded.cpu_seconds[pid] / loaded.answered * 1000,
        "bytes": len(loaded.bodies[-1]),
    }
    for column, value in figures.items():
        row.setdefault(column, []).append(value)


def _pod(number: int) -> str:
    return f"web-{number:05}"


def _truth(size: int) -> Mapping[str, float]:
    """Return the pods' values; no two neighbours are equal, and none is a whole number."""
    return {_pod(number): number % 100 + 0.125 for number in range(size)}


def _series(size: int, *, now_seconds: float) -> Iterator[WrittenSeries]:
    begin = int(now_seconds) - _BEFORE_SECONDS
    times = [float(at) for at in range(begin, begin + _BEFORE_SECONDS + _AFTER_SECONDS, _STEP_SECONDS)]
    for number, (pod, load) in enumerate(_truth(size).items()):
        labels = {"namespace": _NAMESPACE, "pod": pod, "container": "main"}
        for name, value in (("load", load), ("bytes", 1024.0 * number)):
            yield WrittenSeries(labels={"__name__": name, **labels}, samples=[(at, value) for at in times])
