"""Series for the law of fusion: worlds of odd data, each under metric names of its own, all in one Prometheus."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import httpx
from rig.remote_write import WrittenSeries, remote_write

from adapter.errors import QueryRejected
from adapter.promql.decode import decode_query
from adapter.promql.model import QueryAnswer, Result, Vector

NAMESPACES = ("shop", "web", "vault", "web-2")
PODS = ("p-1", "p-2", "p-10", "q.1", "q11")  # a dot that is no escape would take the last one too
STEP_SECONDS = 30
SAMPLES = 30
# What Prometheus writes where a series ends (model/value of its data model).
STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
GAUGES, COUNTERS, BUCKETS, RECORDED, INFO = ("g", "k"), ("c", "d"), "h_bucket", "recorded", "pod_labels"


def series_of_world(world: int, at_seconds: float) -> Iterator[WrittenSeries]:
    """Yield a world's series: labels are missing at random, names collide, some metrics have one namespace only.

    `exported_namespace` is another namespace than `namespace`, and two of these may share one.
    """
    rng = random.Random(f"world {world}")  # noqa: S311 - data for a test
    for metric in (*GAUGES, *COUNTERS):
        only = rng.choice(NAMESPACES) if rng.random() < 0.2 else None
        for namespace, pod, container in product((*NAMESPACES, ""), (*PODS, ""), ("a", "b", "")):
            if rng.random() < 0.6 and only in (None, namespace):
                labels = _labels(f"w{world}_{metric}", namespace, pod, container=container)
                labels |= {"code": rng.choice(["200", "500"])} if rng.random() < 0.7 else {}
                labels |= {"team": f"of {pod}"} if rng.random() < 0.1 else {}
                yield _written(labels, _values(metric, rng), at_seconds)
    for namespace, pod in product(NAMESPACES, PODS):
        counts = sorted(rng.randrange(100) for _ in range(3))
        for le, count in zip(("0.1", "1", "+Inf"), counts, strict=True):
            if rng.random() < 0.9:
                labels = _labels(f"w{world}_{BUCKETS}", namespace, pod, le=le)
                yield _written(labels, [float(count * at) for at in range(SAMPLES)], at_seconds)
    for namespace, pod in product(NAMESPACES, PODS):
        if rng.random() < 0.8:
            labels = _labels(f"w{world}_{INFO}", namespace, pod, label_app=rng.choice(["cart", "desk"]))
            yield _written(labels, [1.0] * SAMPLES, at_seconds)
    for pod in PODS:
        yield _written(_labels(f"w{world}_{RECORDED}", "", pod), _values("g", rng), at_seconds)


def _labels(metric: str, namespace: str, pod: str, **more: str) -> dict[str, str]:
    labels = {"__name__": metric, "namespace": namespace, "pod": pod, "exported_namespace": _exported(namespace, pod)}
    labels |= more
    return {name: value for name, value in labels.items() if value}


def _exported(namespace: str, pod: str) -> str:
    """Return the namespace that a target names itself; none for one in five."""
    number = 2 * (*NAMESPACES, "").index(namespace) + (*PODS, "").index(pod)
    return "" if number % 5 == 4 else NAMESPACES[number % len(NAMESPACES)]


def _written(labels: dict[str, str], values: list[float], at_seconds: float) -> WrittenSeries:
    first = at_seconds - (SAMPLES - 1) * STEP_SECONDS
    return WrittenSeries(labels=labels, samples=[(first + at * STEP_SECONDS, one) for at, one in enumerate(values)])


def _values(metric: str, rng: random.Random) -> list[float]:
    if metric in COUNTERS:
        per_step, reset = rng.choice([0.0, 1.0, 30.0, 1 / 3]), rng.choice([SAMPLES, 20, 28])
        return [per_step * (at % reset) for at in range(SAMPLES)]
    odd = rng.random()
    if odd < 0.06:
        return [math.nan] * SAMPLES
    if odd < 0.12:
        return [rng.choice([math.inf, -math.inf])] * SAMPLES
    if odd < 0.18:
        return [1.0] * (SAMPLES - 2) + [STALE]  # ended
    if odd < 0.22:
        return [1.0] * 8  # not seen for longer than Prometheus looks back
    return [rng.choice([0.0, 1.0, -2.5, 0.1, 0.7, 1e9]) + at % 4 * rng.choice([0.0, 0.3]) for at in range(SAMPLES)]


def fill(url: str, worlds: int, at_seconds: float) -> int:
    """Write worlds that end at an instant, and return how many series they have."""
    return remote_write(url, (one for world in range(worlds) for one in series_of_world(world, at_seconds)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Asks a Prometheus at one instant."""

    client: httpx.Client
    at_seconds: float

    def ask(self, promql: str) -> QueryAnswer | QueryRejected:
        """Return the answer or the rejection."""
        response = self.client.post("/api/v1/query", data={"query": promql, "time": str(self.at_seconds)})
        try:
            answer, partial = decode_query(
                response.content, asked_at_seconds=self.at_seconds, http_status=response.status_code
            )
        except QueryRejected as rejected:
            return rejected
        assert not partial
        return answer


def rows(result: Result) -> list[tuple[str, str]]:
    """Return the samples of a vector as texts that are equal when labels, value and time are."""
    assert isinstance(result, Vector)
    return [
        (str(sorted(sample.labels.items())), f"{sample.value!r} at {sample.timestamp_seconds} {sample.histogram}")
        for sample in result.samples
    ]
