"""What the samples of an answer are worth: one value for each object asked for, or the reason why there is none."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from adapter.errors import UnexpectedResultType, UnusableResult
from adapter.kube.quantity import MILLI_LIMIT
from adapter.promql.model import OtherResult, QueryAnswer, Sample, Scalar, Vector
from adapter.rules.query import Plan
from adapter.rules.rule import Policies, Rule, Shape

MILLI = 1000  # a quantity on the wire has thousandths at the finest (the HPA reads MilliValue)


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A value in thousandths, when Prometheus evaluated it (seconds since 1970), and the labels it came with."""

    milli: int
    timestamp_seconds: float
    labels: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something a policy decided about one object: `what` is a word for metrics, `detail` a sentence for people."""

    what: str  # duplicates | nan | infinite | empty | held
    name: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """The values of the objects that have one, by name, and what the policies did on the way."""

    values: Mapping[str, Value] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidedExternal:
    """The items of an external metric and what the policies did on the way."""

    values: tuple[Value, ...] = ()
    notes: tuple[Note, ...] = ()


def object_values(plan: Plan, answer: QueryAnswer) -> Decided:
    """Return the value of each object that the plan asked for and the answer has; others are absent, never zero.

    Raises:
        UnusableResult: the answer is of a type that cannot be told apart by object, or the rule's policy refuses it.
    """
    notes: list[Note] = []
    values: dict[str, Value] = {}
    for name, samples in _samples_by_name(plan, answer).items():
        value = _value_of(plan.rule, name, samples, notes)
        if value is not None:
            values[name] = value
    return Decided(values=values, notes=tuple(notes))


def external_values(plan: Plan, answer: QueryAnswer) -> DecidedExternal:
    """Return one item for each sample with a usable value.

    Raises:
        UnexpectedResultType: the answer is a matrix.
        UnusableResult: the answer is neither a vector nor a scalar, or the rule's policy refuses it.
    """
    notes: list[Note] = []
    found: list[tuple[Sample, Mapping[str, str] | None]]
    match answer.result:
        case Vector(samples=samples):
            found = [(sample, sample.labels) for sample in samples]
        case Scalar(value=value, timestamp_seconds=at):
            found = [(Sample(labels={}, value=value, timestamp_seconds=at), None)]
        case OtherResult(kind="matrix"):
            raise UnexpectedResultType
        case OtherResult(kind=kind):
            raise UnusableResult(f"rule {plan.rule.id}: the query returns a {kind}, not an instant vector")
    values = []
    for sample, labels in found:
        number = _number(plan.rule, "", [sample], notes)
        if number is not None:
            at = sample.timestamp_seconds
            values.append(Value(milli=milli_of(number, plan.rule.policies.shape), timestamp_seconds=at, labels=labels))
    return DecidedExternal(values=tuple(values), notes=tuple(notes))


def fixed_value(policies: Policies, at_seconds: float) -> Value:
    """Return the value that `onEmpty: zero` or `onEmpty: NUMBER` gives to what has none; it is not scaled."""
    shape = replace(policies.shape, scale=1.0)
    return Value(milli=milli_of(policies.on_empty.value, shape), timestamp_seconds=at_seconds)


def milli_of(number: float, shape: Shape) -> int:
    """Return a finite number in thousandths: scaled, clamped, rounded, and within what every client can read."""
    number *= shape.scale
    if shape.low is not None:
        number = max(number, shape.low)
    if shape.high is not None:
        number = min(number, shape.high)
    number = _ROUND[shape.round](number)
    if abs(number) >= MILLI_LIMIT / MILLI:
        return int(math.copysign(MILLI_LIMIT, number))
    thousandths = number * MILLI
    return int(thousandths) if shape.cut else round(thousandths)


_ROUND: Mapping[str, Callable[[float], float]] = {
    "none": lambda number: number,
    "nearest": lambda number: float(round(number)) if math.isfinite(number) else number,
    "up": lambda number: float(math.ceil(number)) if math.isfinite(number) else number,
    "down": lambda number: float(math.floor(number)) if math.isfinite(number) else number,
}


def _samples_by_name(plan: Plan, answer: QueryAnswer) -> dict[str, list[Sample]]:
    """Sort the samples to the objects asked for, in the order these were asked for; whatever else came is left out."""
    match answer.result:
        case Vector(samples=samples):
            found: dict[str, list[Sample]] = {name: [] for name in plan.names}
            for sample in samples:
                of_object = found.get(sample.labels.get(plan.label, ""))
                if of_object is not None:
                    of_object.append(sample)
            return {name: of_object for name, of_object in found.items() if of_object}
        case Scalar(value=value, timestamp_seconds=at) if len(plan.names) == 1:
            return {plan.names[0]: [Sample(labels={}, value=value, timestamp_seconds=at)]}
        case Scalar():
            raise UnusableResult(f"rule {plan.rule.id}: the query returns a scalar, which names no object of a list")
        case OtherResult(kind=kind):
            raise UnusableResult(f"rule {plan.rule.id}: the query returns a {kind}, not an instant vector")


def _value_of(rule: Rule, name: str, samples: Sequence[Sample], notes: list[Note]) -> Value | None:
    number = _number(rule, name, samples, notes)
    if number is None:
        return None
    return Value(milli=milli_of(number, rule.policies.shape), timestamp_seconds=samples[0].timestamp_seconds)


def _number(rule: Rule, name: str, samples: Sequence[Sample], notes: list[Note]) -> float | None:
    """Return the finite number of one object's samples, None if the policies leave none."""
    if any(sample.histogram for sample in samples):
        raise UnusableResult(
            f"rule {rule.id}: the query returns a native histogram; take a number from it with"
            " histogram_quantile, histogram_avg, histogram_count or histogram_sum"
        )
    if len(samples) > 1:
        _refuse_or_note_duplicates(rule, name, samples, notes)
    policy = rule.policies.on_duplicates
    if policy in _PICK:
        return _usable(rule, name, _PICK[policy](_in_fixed_order(samples)).value, notes)
    numbers = [one for sample in samples if (one := _usable(rule, name, sample.value, notes)) is not None]
    return _COMBINE[policy](numbers) if numbers else None


_PICK: Mapping[str, Callable[[Sequence[Sample]], Sample]] = {
    "first": lambda samples: samples[0],
    "last": lambda samples: samples[-1],
    "error": lambda samples: samples[-1],  # several samples never get here
}
_COMBINE: Mapping[str, Callable[[Sequence[float]], float]] = {
    "sum": math.fsum,
    "max": max,
    "min": min,
    "avg": lambda numbers: math.fsum(numbers) / len(numbers),
}


def _in_fixed_order(samples: Iterable[Sample]) -> Sequence[Sample]:
    """Sort samples by their labels, so that first and last are the same whatever the server's order was."""
    ordered = list(samples)
    return sorted(ordered, key=lambda sample: sorted(sample.labels.items())) if len(ordered) > 1 else ordered


def _refuse_or_note_duplicates(rule: Rule, name: str, samples: Sequence[Sample], notes: list[Note]) -> None:
    policy = rule.policies.on_duplicates
    if policy == "error":
        raise UnusableResult(f"rule {rule.id}: the query returns {len(samples)} samples for {name}")
    notes.append(Note(what="duplicates", name=name, detail=f"{len(samples)} samples; onDuplicates: {policy} decides"))


def _usable(rule: Rule, name: str, number: float, notes: list[Note]) -> float | None:
    """Apply the rule's policy for NaN; infinities never become a quantity."""
    if math.isnan(number):
        policy = rule.policies.on_nan
        notes.append(Note(what="nan", name=name, detail=f"the sample is NaN; onNaN: {policy} decides"))
        if policy == "error":
            raise UnusableResult(f"rule {rule.id}: the query returns NaN" + (f" for {name}" if name else ""))
        return 0.0 if policy == "zero" else None
    if math.isinf(number):
        notes.append(Note(what="infinite", name=name, detail="the sample is infinite and is left out"))
        return None
    return number
