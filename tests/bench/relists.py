"""What does it cost to learn the metric names of 100,000 series? Label endpoints against the series endpoint."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from rig.prometheus import PrometheusFiles, PrometheusProcess
from rig.remote_write import FLAG, WrittenSeries, remote_write

from bench.table import markdown, ratio, spread
from bench.usage import cpu_seconds

METRICS = 50
NAMESPACES = 20
VARIANTS = {
    "labels": "label endpoints",
    "series": "series endpoint, streamed",
    "plain": "series endpoint, kept whole",
}
_BASE = "labels"
_CHILD_SECONDS = 300.0
# Half of the rules demand their labels in the series query, as good ones do; the others must ask for each.
_RULE = """- seriesQuery: '{{__name__=~"^shop_{digit}.*"{demand}}}'
  resources: {{overrides: {{namespace: {{resource: namespace}}, pod: {{resource: pod}}}}}}
  name: {{matches: "^(.*)_total$", as: "${{1}}_per_second"}}
  metricsQuery: sum(rate(<<.Series>>{{<<.LabelMatchers>>}}[2m])) by (<<.GroupBy>>)
"""


class WrongFigureError(Exception):
    """An answer that was timed is not the right one, so its time means nothing."""


@dataclass(slots=True)
class Costs:
    """What one variant took, a figure per round."""

    start_seconds: list[float] = field(default_factory=list)  # process start to all names known
    later_seconds: list[float] = field(default_factory=list)
    adapter_cpu_seconds: list[float] = field(default_factory=list)
    prometheus_cpu_seconds: list[float] = field(default_factory=list)
    calls: list[float] = field(default_factory=list)
    wire_kb: list[float] = field(default_factory=list)
    start_mib: list[float] = field(default_factory=list)
    peak_mib: list[float] = field(default_factory=list)


def relist_table(
    binaries: Path, home: Path, *, series: int, rounds: int, relists: int, say: Callable[[str], None]
) -> str:
    """Measure each variant `rounds` times, `relists` in each, and return the table.

    Raises:
        WrongFigureError: a variant did not find exactly the metrics there are.
    """
    rules = home / "relist-rules.yaml"
    rules.write_text("rules:\n" + "".join(_rules()))
    files = PrometheusFiles(binaries=binaries, home=home / "relist-prometheus")
    costs = {variant: Costs() for variant in VARIANTS}
    with PrometheusProcess.start(files, flags=[FLAG]) as prometheus:
        begin = time.monotonic()
        sent = remote_write(prometheus.url, _series(series // METRICS, now_seconds=time.time()))
        say(f"relist: {sent:,} series written in {time.monotonic() - begin:.1f} s")
        for number in range(rounds):
            for variant, cost in costs.items():
                say(f"relist: round {number + 1} of {rounds}, {VARIANTS[variant]}")
                _measure(variant, prometheus, rules, relists=relists, cost=cost)
    title = f"Relist, {series:,} series under {METRICS} metric names, {len(_rules())} rules; {rounds} rounds"
    return markdown(title, _HEADERS, [_row(variant, costs) for variant in costs])


_HEADERS = (
    "asked by",
    "start to listed, s",
    "",
    "later relist, s",
    "",
    "its CPU, s",
    "Prometheus CPU, s",
    "calls",
    "kB on the wire",
    "memory at rest, MiB",
    "peak, MiB",
)


def _row(variant: str, costs: dict[str, Costs]) -> list[str]:
    cost, base = costs[variant], costs[_BASE]
    return [
        VARIANTS[variant],
        spread(cost.start_seconds),
        ratio(cost.start_seconds, base.start_seconds),
        spread(cost.later_seconds),
        ratio(cost.later_seconds, base.later_seconds),
        spread(cost.adapter_cpu_seconds),
        spread(cost.prometheus_cpu_seconds),
        spread(cost.calls[:1]),
        spread(cost.wire_kb[:1]),
        spread(cost.start_mib),
        spread(cost.peak_mib),
    ]


def _rules() -> list[str]:
    demands = [',namespace!="",pod!=""' if digit % 2 == 0 else "" for digit in range(METRICS // 10)]
    return [_RULE.format(digit=digit, demand=demand) for digit, demand in enumerate(demands)]


def _series(per_metric: int, *, now_seconds: float) -> Iterator[WrittenSeries]:
    """Yield series as wide as those of ordinary pods: eight labels, some 190 bytes each as JSON."""
    samples = ((now_seconds - 15, 1.0), (now_seconds, 2.0))
    for metric in range(METRICS):
        for number in range(per_metric):
            space = number % NAMESPACES
            labels = {
                "__name__": f"shop_{metric:02}_total",
                "namespace": f"team-{space:02}",
                "pod": f"web-6d4b75cb6d-{number:05}",
                "container": "app",
                "endpoint": "metrics",
                "instance": f"10.0.{space}.{number % 250}:8080",
                "job": "kubernetes-pods",
                "node": f"node-{number % 30:02}",
            }
            yield WrittenSeries(labels=labels, samples=samples)


def _truth() -> list[str]:
    return sorted(f"{kind}/shop_{metric:02}_per_second" for kind in ("pods", "namespaces") for metric in range(METRICS))


def _measure(variant: str, prometheus: PrometheusProcess, rules: Path, *, relists: int, cost: Costs) -> None:
    argv = [sys.executable, "-m", "bench.relist_child", variant, prometheus.url, str(rules), str(relists)]
    tests = str(Path(__file__).parents[1])
    begin = time.perf_counter()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(argv, env={**os.environ, "PYTHONPATH": tests}, **pipes) as child:
        try:
            before = _counters(prometheus)
            for number, line in enumerate(_lines(child, relists)):
                now = _counters(prometheus)
                if line["listed"] != _truth():
                    raise WrongFigureError(f"{variant}: listed {line['listed']}, there are {_truth()}")
                if number == 0:
                    cost.start_seconds.append(time.perf_counter() - begin)
                    cost.start_mib.append(float(line["resident_mib"]))
                else:
                    cost.later_seconds.append(float(line["seconds"]))
                    cost.adapter_cpu_seconds.append(float(line["cpu_seconds"]))
                    cost.prometheus_cpu_seconds.append(now[0] - before[0])
                    cost.calls.append(now[1] - before[1])
                    cost.wire_kb.append((now[2] - before[2]) / 1000)
                before = now
            cost.peak_mib.append(float(line["peak_mib"]))
        finally:
            child.kill()


def _lines(child: subprocess.Popen[str], count: int) -> Iterator[dict[str, Any]]:
    """Yield what each relist gave; the next one begins when this is asked for it."""
    if child.stdin is None or child.stdout is None:
        raise AssertionError("started without pipes")
    for _ in range(count):
        child.stdin.write("\n")
        child.stdin.flush()
        text = child.stdout.readline()
        if not text:
            raise WrongFigureError(f"the child ended with {child.wait(_CHILD_SECONDS)}")
        yield json.loads(text)


def _counters(prometheus: PrometheusProcess) -> tuple[float, float, float]:
    """Return Prometheus' CPU seconds, and how many API calls it has answered with how many bytes on the wire."""
    text = httpx.get(f"{prometheus.url}/metrics", timeout=10, trust_env=False).text
    cpu = cpu_seconds(prometheus.pid)
    return cpu, _total(text, "prometheus_http_requests_total"), _total(text, "prometheus_http_response_size_bytes_sum")


def _total(exposition: str, metric: str) -> float:
    lines: Sequence[str] = exposition.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f"{metric}{{") and "/api/" in line)
