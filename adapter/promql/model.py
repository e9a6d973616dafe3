"""What Prometheus answers, as types."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import Struct


class Sample(Struct, kw_only=True, gc=False):
    """One sample of an instant vector: its labels, its value, and the evaluation time in seconds since 1970.

    Answers have thousands, and a cache has a hundred thousand: the garbage collector looks at none of them, since they
    refer to nothing but texts. Looking at all took 0.2 s every ten seconds, in which nobody was served.
    """

    labels: dict[str, str]
    value: float
    timestamp_seconds: float
    histogram: bool = False  # a native histogram: `value` is NaN then


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """An instant vector, in the server's order."""

    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalar:
    """A scalar and its evaluation time in seconds since 1970."""

    value: float
    timestamp_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherResult:
    """A result that no metrics API can serve: `matrix` or `string`."""

    kind: str


Result = Vector | Scalar | OtherResult


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryAnswer:
    """A good answer: the result, when it was evaluated, and the annotations (never the partial-answer warnings)."""

    result: Result
    evaluated_at_seconds: float
    annotations: tuple[str, ...] = ()
