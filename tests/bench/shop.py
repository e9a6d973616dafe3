"""A namespace with twenty pods of an application among as many others: what is asked of it, and what is true."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from rig.remote_write import WrittenSeries

from bench.truth import check, custom_list

PODS: Final = 20
NAMESPACE: Final = "shop"
_SERIES_PER_POD = 10  # of one counter, by path
# Prometheus takes no samples that are more than ten minutes ahead.
_BEFORE_SECONDS, _AFTER_SECONDS, _STEP_SECONDS = 300, 570, 15
_RULE = """- seriesQuery: hits_total{{namespace!="",pod!=""}}
  resources: {{overrides: {{namespace: {{resource: namespace}}, pod: {{resource: pod}}}}}}
  name: {{as: {name}}}
  metricsQuery: sum(rate(<<.Series>>{{<<.LabelMatchers>>}}[2m])) by (<<.GroupBy>>)
  cacheTTL: {ttl}
"""
# One metric whose answers are kept, and one whose are not.
RULE_TEXTS: Final = tuple(_RULE.format(name=name, ttl=ttl) for name, ttl in (("warm", "1h"), ("cold", "0")))
RULES: Final = "rules:\n" + "".join(RULE_TEXTS)


def truth() -> dict[str, float]:
    """Return the true requests per second of each pod: none is a whole number, and no two are equal."""
    return {f"web-{number:02}": number + 0.125 for number in range(PODS)}


def is_right(body: bytes) -> None:
    """Do nothing for the right list.

    Raises:
        WrongFigureError: it is another.
    """
    check("a list of 20 pods", custom_list(body), truth())


def list_path(metric: str) -> str:
    """Return the path of the list of a metric of the twenty pods."""
    return f"/apis/custom.metrics.k8s.io/v1beta2/namespaces/{NAMESPACE}/pods/*/{metric}?labelSelector=app%3Dweb"


def query() -> str:
    """Return the PromQL that answers such a list, and nothing else."""
    return f'sum(rate(hits_total{{namespace="{NAMESPACE}",pod=~"{"|".join(truth())}"}}[2m])) by (pod)'


def pods() -> list[tuple[str, str, Mapping[str, str]]]:
    """Return namespace, name and labels of each pod."""
    return [(NAMESPACE, f"{app}-{number:02}", {"app": app}) for number in range(PODS) for app in ("web", "other")]


def series(*, now_seconds: float) -> Iterator[WrittenSeries]:
    """Yield counters of the pods asked for, and of as many others in that namespace and another."""
    begin = int(now_seconds) - _BEFORE_SECONDS
    times = range(begin, begin + _BEFORE_SECONDS + _AFTER_SECONDS, _STEP_SECONDS)
    for number, rate in enumerate(truth().values()):
        samples = [(float(at), rate / _SERIES_PER_POD * (at - begin)) for at in times]
        for app, namespace in (("web", NAMESPACE), ("other", NAMESPACE), ("web", "elsewhere")):
            labels = {"__name__": "hits_total", "namespace": namespace, "pod": f"{app}-{number:02}"}
            for path in range(_SERIES_PER_POD):
                yield WrittenSeries(labels={**labels, "path": f"/{path}"}, samples=samples)
