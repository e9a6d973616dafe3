"""The documents of metrics.k8s.io (k8s.io/metrics/pkg/apis/metrics); v1 and v1beta1 are the same but for the name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Literal

from adapter.kube.documents import timestamp_text
from adapter.kube.durations import format_duration
from adapter.kube.quantity import Format, Quantity, milli_text
from adapter.kube.resource_metrics import ContainerUse, NodeUse, PodUse

ResourceVersion = Literal["v1beta1", "v1"]
Document = dict[str, Any]

GROUP = "metrics.k8s.io"
MEMORY = "memory"
_NANOSECONDS = 1_000_000_000
_MOMENTS = 128  # as many different times as an answer has, nearly always


def pod_metrics(version: ResourceVersion, use: PodUse, *, now_seconds: float) -> Document:
    """Return the PodMetrics of one pod; it counts as created when it is told, `now_seconds` since 1970."""
    return {"kind": "PodMetrics", "apiVersion": f"{GROUP}/{version}", **_pod(use, _Times(now_seconds))}


def node_metrics(version: ResourceVersion, use: NodeUse, *, now_seconds: float) -> Document:
    """Return the NodeMetrics of one node."""
    return {"kind": "NodeMetrics", "apiVersion": f"{GROUP}/{version}", **_node(use, _Times(now_seconds))}


def pod_metrics_list(version: ResourceVersion, uses: Iterable[PodUse], *, now_seconds: float) -> Document:
    """Return a PodMetricsList; its items do not say what they are."""
    times = _Times(now_seconds)
    return _list("PodMetricsList", version, [_pod(use, times) for use in uses])


def node_metrics_list(version: ResourceVersion, uses: Iterable[NodeUse], *, now_seconds: float) -> Document:
    """Return a NodeMetricsList."""
    times = _Times(now_seconds)
    return _list("NodeMetricsList", version, [_node(use, times) for use in uses])


def usage_text(resource: str, milli: int) -> str:
    """Return an amount as a quantity: memory counts in 1024s where it is whole, all else in 1000s."""
    return str(Quantity.from_milli(milli, Format.BINARY_SI)) if resource == MEMORY else milli_text(milli)


def _list(kind: str, version: ResourceVersion, items: list[Document]) -> Document:
    return {"kind": kind, "apiVersion": f"{GROUP}/{version}", "metadata": {}, "items": items}


def _pod(use: PodUse, times: _Times) -> Document:
    return {
        "metadata": _metadata({"name": use.name, "namespace": use.namespace}, use.labels, times.now),
        "timestamp": times.moment(use.timestamp_seconds),
        "window": times.window(use.window_seconds),
        "containers": [_container(one) for one in use.containers],
    }


def _container(use: ContainerUse) -> Document:
    return {"name": use.name, "usage": _usage(use.milli)}


def _node(use: NodeUse, times: _Times) -> Document:
    return {
        "metadata": _metadata({"name": use.name}, use.labels, times.now),
        "timestamp": times.moment(use.timestamp_seconds),
        "window": times.window(use.window_seconds),
        "usage": _usage(use.milli),
    }


class _Times:
    """Writes the times of one answer: nearly all its samples are of the same moment."""

    def __init__(self, now_seconds: float) -> None:
        self.now = timestamp_text(now_seconds)
        self.moment = lru_cache(maxsize=_MOMENTS)(timestamp_text)
        self.window = lru_cache(maxsize=1)(_window)


def _window(seconds: float) -> str:
    return format_duration(round(seconds * _NANOSECONDS))


def _metadata(names: Mapping[str, str], labels: Mapping[str, str], now: str) -> Document:
    found: Document = {**names, "creationTimestamp": now}
    if labels:
        found["labels"] = dict(sorted(labels.items()))  # as Go writes a map
    return found


def _usage(milli: Mapping[str, int]) -> dict[str, str]:
    return {resource: usage_text(resource, amount) for resource, amount in sorted(milli.items())}
