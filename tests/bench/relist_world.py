"""Many series under fifty metric names, and rules that find them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rig.remote_write import WrittenSeries

from bench import shop

METRICS: Final = 50
_NAMESPACES = 20
# Half of the rules demand their labels in the series query, as good ones do; the others must ask for each.
_RULE = """- seriesQuery: '{{__name__=~"^shop_{digit}.*"{demand}}}'
  resources: {{overrides: {{namespace: {{resource: namespace}}, pod: {{resource: pod}}}}}}
  name: {{matches: "^(.*)_total$", as: "${{1}}_per_second"}}
  metricsQuery: sum(rate(<<.Series>>{{<<.LabelMatchers>>}}[2m])) by (<<.GroupBy>>)
"""
_DEMAND = ',namespace!="",pod!=""'
RULES: Final = tuple(
    _RULE.format(digit=digit, demand=_DEMAND if digit % 2 == 0 else "") for digit in range(METRICS // 10)
)


def listed() -> list[str]:
    """Return what discovery lists of these rules, sorted."""
    return sorted(f"{kind}/shop_{metric:02}_per_second" for kind in ("pods", "namespaces") for metric in range(METRICS))


def series(per_metric: int, *, now_seconds: float) -> Iterator[WrittenSeries]:
    """Yield series as wide as those of ordinary pods, eight labels, some 190 bytes each as JSON; and the shop's."""
    samples = ((now_seconds - 15, 1.0), (now_seconds, 2.0))
    for metric in range(METRICS):
        for number in range(per_metric):
            space = number % _NAMESPACES
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
    yield from shop.series(now_seconds=now_seconds)
