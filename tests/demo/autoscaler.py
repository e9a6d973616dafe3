"""How many replicas would a HorizontalPodAutoscaler choose? Its documented algorithm, without stabilisation.

https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#algorithm-details
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

TOLERANCE = 0.1  # --horizontal-pod-autoscaler-tolerance
_SUFFIXES = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hpa:
    """An autoscaler with one metric; `target` is per pod for Pods and External, of the whole for Object."""

    name: str
    minimum: int
    maximum: int
    kind: str  # Pods, Object, External
    metric: str
    target: float
    selector: str = ""  # of an external metric, as a query parameter has it


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What an autoscaler chose, and the ratio of usage to target that made it."""

    ratio: float | None  # None: no value, so nothing is changed
    replicas: int


def number(quantity: str) -> float:
    """Return the value of a quantity with a decimal suffix, as metrics have them."""
    factor = _SUFFIXES.get(quantity[-1:])
    return float(quantity) if factor is None else float(quantity[:-1]) * factor


def read_hpas(path: Path) -> tuple[Hpa, ...]:
    """Read autoscaling/v2 manifests."""
    return tuple(_hpa(document) for document in yaml.safe_load_all(path.read_text()))


def _hpa(document: Mapping[str, Any]) -> Hpa:
    spec = document["spec"]
    (metric,) = spec["metrics"]
    source = metric[metric["type"].lower()]
    target = source["target"]
    labels = source["metric"].get("selector", {}).get("matchLabels", {})
    return Hpa(
        name=spec["scaleTargetRef"]["name"],
        minimum=spec["minReplicas"],
        maximum=spec["maxReplicas"],
        kind=metric["type"],
        metric=source["metric"]["name"],
        target=number(str(target.get("averageValue") or target["value"])),
        selector=",".join(f"{key}={value}" for key, value in sorted(labels.items())),
    )


def decide(hpa: Hpa, values: Mapping[str, float], *, pods: frozenset[str]) -> Decision:
    """Return what the autoscaler would choose for these pods; the keys of `values` are pod names for Pods metrics."""
    ratio, wanted = _wanted_for_pods(hpa, values, pods) if hpa.kind == "Pods" else _wanted(hpa, values, len(pods))
    return Decision(ratio=ratio, replicas=min(max(wanted, hpa.minimum), hpa.maximum))


def _wanted(hpa: Hpa, values: Mapping[str, float], current: int) -> tuple[float | None, int]:
    if not values:
        return None, current
    total = sum(values.values())
    ratio = total / hpa.target if hpa.kind == "Object" else total / (hpa.target * current)
    return ratio, current if _tolerated(ratio) else math.ceil(ratio * current)


def _wanted_for_pods(hpa: Hpa, values: Mapping[str, float], pods: frozenset[str]) -> tuple[float | None, int]:
    known = {pod: value for pod, value in values.items() if pod in pods}
    if not known:
        return None, len(pods)
    ratio = sum(known.values()) / (hpa.target * len(known))
    missing = len(pods) - len(known)
    if not missing:
        return ratio, len(pods) if _tolerated(ratio) else math.ceil(ratio * len(pods))
    # A pod without a value counts as idle when there is much to do, and as busy enough when there is little.
    assumed = 0.0 if ratio > 1 else hpa.target
    careful = (sum(known.values()) + missing * assumed) / (hpa.target * len(pods))
    turned = (careful < 1) != (ratio < 1)
    return careful, len(pods) if turned or _tolerated(careful) else math.ceil(careful * len(pods))


def _tolerated(ratio: float) -> bool:
    return 1 - TOLERANCE <= ratio <= 1 + TOLERANCE
