"""What does a long list cost? 100, 1,000 and 10,000 pods, of a custom metric and of metrics.k8s.io."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import yaml
from rig.processes import Child, free_port, wait_until
from rig.prometheus import PrometheusFiles, PrometheusProcess
from rig.remote_write import FLAG, WrittenSeries, remote_write

from bench.http import one_by_one
from bench.relists import WrongFigureError
from bench.table import markdown, ratio, spread
from bench.usage import cpu_seconds, peak_resident_mib

SIZES = (100, 1_000, 10_000)
_COMMAND = Path(sys.executable).with_name("tidegauge")
_READY_SECONDS = 60.0
# Prometheus looks back five minutes, so fewer samples than usual will do.
_BEFORE_SECONDS, _AFTER_SECONDS, _STEP_SECONDS = 600, 3000, 240
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
    """One list: its name, its path, and how its values by pod are read."""

    name: str
    path: str
    read: Callable[[bytes], dict[str, str]]


def _custom(body: bytes) -> dict[str, str]:
    return {item["describedObject"]["name"]: item["value"] for item in json.loads(body)["items"]}


def _resource(body: bytes) -> dict[str, str]:
    return {item["metadata"]["name"]: item["containers"][0]["usage"]["cpu"] for item in json.loads(body)["items"]}


_CUSTOM = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/"
WAYS = (
    _Way(name="custom metric, warm", path=f"{_CUSTOM}warm", read=_custom),
    _Way(name="custom metric, cold", path=f"{_CUSTOM}cold", read=_custom),
    _Way(name="metrics.k8s.io, warm", path="/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods", read=_resource),
)


@dataclass(slots=True)
class _Cost:
    p50_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    peak_mib: list[float] = field(default_factory=list)


def lists_table(binaries: Path, home: Path, *, rounds: int, requests: int, say: Callable[[str], None]) -> str:
    """Measure each list of each size, an adapter process for each, and return the table.

    Raises:
        WrongFigureError: a list has not exactly the right pods and values.
    """
    costs = {(way.name, size): _Cost() for way in WAYS for size in SIZES}
    for size in SIZES:
        files = PrometheusFiles(binaries=binaries, home=home / f"lists-{size}")
        with PrometheusProcess.start(files, flags=[FLAG]) as prometheus:
            remote_write(prometheus.url, _series(size, now_seconds=time.time()))
            for number in range(rounds):
                for way in WAYS:
                    say(f"lists: {size:,} pods, round {number + 1} of {rounds}, {way.name}")
                    with _adapter(home / f"lists-{size}", prometheus.url, size, way) as (url, adapter):
                        _measure(url, adapter, way, size, costs[way.name, size], requests=requests)
    rows = [_row(way, size, costs) for way in WAYS for size in SIZES]
    return markdown(f"Lists of pods; {rounds} rounds of {requests} requests, a process for each", _HEADERS, rows)


_HEADERS = ("list", "pods", "p50, ms", "", "per pod, us", "CPU, ms", "peak, MiB")


def _row(way: _Way, size: int, costs: dict[tuple[str, int], _Cost]) -> list[str]:
    cost, least = costs[way.name, size], costs[way.name, SIZES[0]]
    return [
        way.name,
        f"{size:,}",
        spread(cost.p50_ms),
        ratio(cost.p50_ms, least.p50_ms),
        spread([one * 1000 / size for one in cost.p50_ms]),
        spread(cost.cpu_ms),
        spread(cost.peak_mib),
    ]


def _measure(url: str, adapter: Child, way: _Way, size: int, cost: _Cost, *, requests: int) -> None:
    before = cpu_seconds(adapter.pid)
    timed = one_by_one(url, way.path, requests=requests)
    cost.cpu_ms.append((cpu_seconds(adapter.pid) - before) / (requests + 1) * 1000)
    cost.p50_ms.append(timed.p50_ms)
    cost.peak_mib.append(peak_resident_mib(adapter.pid))
    truth = {_pod(number): _value(number) for number in range(size)}
    for body in timed.bodies:
        found = way.read(body)
        if found != truth:
            wrong = sorted(found.items() ^ truth.items())[:5]
            raise WrongFigureError(f"{way.path}: {len(found)} of {size} pods, among them {wrong}")


def _pod(number: int) -> str:
    return f"web-{number:05}"


def _value(number: int) -> str:
    """Return a pod's value as a quantity; no two neighbours are equal, and none is a whole number."""
    return f"{number % 100 * 1000 + 125}m"


@contextlib.contextmanager
def _adapter(home: Path, prometheus_url: str, size: int, way: _Way) -> Iterator[tuple[str, Child]]:
    rules, objects = home / "rules.yaml", home / "objects.yaml"
    if not objects.exists():
        rules.write_text(_rules())
        objects.write_text(yaml.dump_all(_objects(size), Dumper=yaml.CSafeDumper))
    url = f"https://127.0.0.1:{free_port()}"
    argv: list[str | Path] = [_COMMAND, "--config", rules, "--objects-file", objects]
    argv += ["--prometheus-url", prometheus_url, "--cache-ttl", "1h", "--cert-dir", home / "certificates"]
    argv += ["--bind-address", "127.0.0.1", "--secure-port", url.rpartition(":")[2]]
    argv += ["--metrics-max-age", "1h", "--metrics-relist-interval", "1h"]
    with Child("the adapter", argv, log=home / "adapter.log") as adapter:
        wait_until("the adapter", lambda: adapter.check_alive() and _answers(url, way), timeout_seconds=_READY_SECONDS)
        yield url, adapter


def _answers(url: str, way: _Way) -> bool:
    with httpx.Client(base_url=url, verify=False, timeout=30, trust_env=False) as client:  # noqa: S501 - made for this run
        return client.get(way.path).status_code == httpx.codes.OK


def _series(size: int, *, now_seconds: float) -> Iterator[WrittenSeries]:
    begin = int(now_seconds) - _BEFORE_SECONDS
    times = [float(at) for at in range(begin, begin + _BEFORE_SECONDS + _AFTER_SECONDS, _STEP_SECONDS)]
    for number in range(size):
        labels = {"namespace": "shop", "pod": _pod(number), "container": "main"}
        for name, value in (("load", number % 100 + 0.125), ("bytes", 1024.0 * number)):
            yield WrittenSeries(labels={"__name__": name, **labels}, samples=[(at, value) for at in times])


def _objects(size: int) -> Iterator[dict[str, object]]:
    for number in range(size):
        metadata = {"name": _pod(number), "namespace": "shop", "labels": {"app": "web"}}
        yield {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}
