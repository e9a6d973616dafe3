"""What is wrong with an answer makes its time meaningless: errors, and how answers are read."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.protobuf import Message, messages, number, parse, text

_MAGIC = b"k8s\x00"
_SUFFIXES = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "Ki": 1024.0, "Mi": 1024.0**2}
# A value is a quantity in thousandths, rounded.
TOLERANCE = 0.0006


class WrongFigureError(Exception):
    """An answer that was timed is not the right one, so its time means nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A value of a list, and its timestamp in seconds since 1970 (0: it has none)."""

    value: float
    at: float


Readings = Mapping[str, Reading]  # by the name of the pod


def custom_list(body: bytes) -> Readings:
    """Read a MetricValueList of v1beta2, in either media type."""
    return _custom_protobuf(body) if body.startswith(_MAGIC) else _custom_json(body)


def pod_metrics(body: bytes) -> Readings:
    """Read the cpu of each pod's only container of a PodMetricsList, in protobuf."""
    found = {}
    for item in messages(_list_of(body), 2):
        containers = list(messages(item, 4))
        usage = {text(one, 1): text(_first(one, 2), 1) for container in containers for one in messages(container, 2)}
        if len(containers) != 1 or usage.keys() != {"cpu", "memory"}:
            raise WrongFigureError(f"containers {len(containers)}, usage {usage}")
        at = float(number(_first(item, 2), 1))
        found[text(_first(item, 1), 1)] = Reading(value=quantity(usage["cpu"]), at=at)
    return found


def vector(body: bytes) -> Readings:
    """Read the vector that Prometheus answers, by the label `pod`."""
    result = json.loads(body)["data"]["result"]
    return {one["metric"]["pod"]: Reading(value=float(one["value"][1]), at=float(one["value"][0])) for one in result}


def quantity(written: str) -> float:
    """Return the value of a Kubernetes quantity."""
    suffix = next((one for one in ("Ki", "Mi", *_SUFFIXES) if written.endswith(one)), "")
    return float(written.removesuffix(suffix)) * _SUFFIXES.get(suffix, 1.0)


def check(what: str, found: Readings, truth: Mapping[str, float]) -> None:
    """Do nothing if exactly these pods have these values.

    Raises:
        WrongFigureError: they have not.
    """
    missing, foreign = sorted(truth.keys() - found.keys()), sorted(found.keys() - truth.keys())
    wrong = {
        name: (one.value, truth[name])
        for name, one in found.items()
        if name in truth and abs(one.value - truth[name]) > TOLERANCE
    }
    if missing or foreign or wrong:
        sample = dict(sorted(wrong.items())[:3])
        raise WrongFigureError(
            f"{what}: {len(found)} pods where {len(truth)} are; missing {missing[:3]}, foreign {foreign[:3]},"
            f" {len(wrong)} wrong (got, true): {sample}"
        )


def _custom_json(body: bytes) -> Readings:
    return {
        item["describedObject"]["name"]: Reading(value=quantity(item["value"]), at=_seconds(item["timestamp"]))
        for item in json.loads(body)["items"]
    }


def _custom_protobuf(body: bytes) -> Readings:
    found = {}
    for item in messages(_list_of(body), 2):
        name = text(_first(item, 1), 3)
        value = quantity(text(_first(item, 5), 1))
        found[name] = Reading(value=value, at=float(number(_first(item, 3), 1)))
    return found


def _list_of(body: bytes) -> Message:
    """Open the envelope: runtime.Unknown, whose second field is the list (k8s.io/metrics' generated.proto)."""
    return _first(parse(body.removeprefix(_MAGIC)), 2)


def _first(message: Message, field: int) -> Message:
    return next(messages(message, field), {})


def _seconds(stamp: Any) -> float:
    return dt.datetime.fromisoformat(str(stamp)).timestamp()
