"""What pods and nodes use, by the samples of the answers for cpu and for memory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from adapter.errors import UnusableResult
from adapter.kube.documents import ObjectMeta
from adapter.kube.resource_metrics import ContainerUse, NodeUse, PodUse
from adapter.promql.model import OtherResult, QueryAnswer, Sample, Scalar, Vector
from adapter.rules.resource_plan import UsePlan
from adapter.rules.rule import Shape
from adapter.rules.values import Note, milli_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one answer says of one object: thousandths by container (a node's by ""), and its earliest sample."""

    milli: Mapping[str, int]
    timestamp_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What one answer says: objects by name, and what was decided about samples on the way."""

    objects: Mapping[str, Measured]
    notes: tuple[Note, ...] = ()


def measured(plan: UsePlan, answer: QueryAnswer, *, cut: bool) -> Measurement:
    """Return what the objects asked for use; who has no sample is absent.

    NaN and negative numbers are 0, as in prometheus-adapter. An object with an infinite sample is left out: without
    that sample its sum would be too low, and no quantity is infinite.

    Raises:
        UnusableResult: the answer is of a type that cannot be told apart by object.
    """
    notes: list[Note] = []
    shape = Shape(cut=cut)
    objects: dict[str, Measured] = {}
    for name, containers in _samples(plan, answer).items():
        numbers = {one: _number(plan, name, samples, notes) for one, samples in containers.items()}
        milli = {one: milli_of(number, shape) for one, number in numbers.items() if number is not None}
        if len(milli) == len(numbers):
            earliest = min(sample.timestamp_seconds for samples in containers.values() for sample in samples)
            objects[name] = Measured(milli=milli, timestamp_seconds=earliest)
    return Measurement(objects=objects, notes=tuple(notes))


def pod_uses(
    pods: Iterable[ObjectMeta], by_resource: Mapping[str, Mapping[str, Measured]], *, window_seconds: float
) -> tuple[PodUse, ...]:
    """Return what pods of one namespace use, in their order; who lacks cpu or memory is left out.

    Of a container that has a sample of only one of them the other is 0, as in prometheus-adapter: its pod has both.
    """
    found = []
    for pod in pods:
        of_pod = {resource: objects[pod.name] for resource, objects in by_resource.items() if pod.name in objects}
        if len(of_pod) < len(by_resource):
            continue
        names = sorted({name for one in of_pod.values() for name in one.milli})
        use = PodUse(
            namespace=pod.namespace,
            name=pod.name,
            labels=pod.labels,
            timestamp_seconds=min(one.timestamp_seconds for one in of_pod.values()),
            window_seconds=window_seconds,
            containers=tuple(
                ContainerUse(name=name, milli={resource: one.milli.get(name, 0) for resource, one in of_pod.items()})
                for name in names
            ),
        )
        found.append(use)
    return tuple(found)


def node_uses(
    nodes: Iterable[ObjectMeta], by_resource: Mapping[str, Mapping[str, Measured]], *, window_seconds: float
) -> tuple[NodeUse, ...]:
    """Return what nodes use, in their order; who lacks cpu or memory is left out."""
    found = []
    for node in nodes:
        of_node = {resource: objects[node.name] for resource, objects in by_resource.items() if node.name in objects}
        if len(of_node) == len(by_resource):
            use = NodeUse(
                name=node.name,
                labels=node.labels,
                timestamp_seconds=min(one.timestamp_seconds for one in of_node.values()),
                window_seconds=window_seconds,
                milli={resource: one.milli[""] for resource, one in of_node.items()},
            )
            found.append(use)
    return tuple(found)


def _samples(plan: UsePlan, answer: QueryAnswer) -> Mapping[str, Mapping[str, Sequence[Sample]]]:
    """Sort samples to the objects asked for and to their containers; whatever else came is left out."""
    match answer.result:
        case Vector(samples=samples):
            wanted = frozenset(plan.names)
            found: dict[str, dict[str, list[Sample]]] = {}
            for sample in samples:
                name = sample.labels.get(plan.label, "")
                if name in wanted:
                    container = sample.labels.get(plan.container_label, "") if plan.container_label else ""
                    found.setdefault(name, {}).setdefault(container, []).append(sample)
            return found
        case Scalar():
            raise UnusableResult(f"rule {plan.rule.id}: the query returns a scalar, which names no pod and no node")
        case OtherResult(kind=kind):
            raise UnusableResult(f"rule {plan.rule.id}: the query returns a {kind}, not an instant vector")


def _number(plan: UsePlan, name: str, samples: Sequence[Sample], notes: list[Note]) -> float | None:
    """Return a finite number that is not negative, None if it is infinite."""
    sample = samples[0]
    if len(samples) == 1 and not sample.histogram and 0.0 <= sample.value < math.inf:
        return sample.value  # nearly all of them
    if any(sample.histogram for sample in samples):
        raise UnusableResult(f"rule {plan.rule.id}: the query returns a native histogram, which is no number")
    if len(samples) > 1:
        # The last in an order that does not depend on the server, as where a rule says nothing of duplicates.
        sample = max(samples, key=lambda one: sorted(one.labels.items()))
        notes.append(Note(what="duplicates", name=name, detail=f"{len(samples)} samples; the last one counts"))
    if math.isnan(sample.value):
        notes.append(Note(what="nan", name=name, detail="the sample is NaN, which counts as 0"))
        return 0.0
    if sample.value == math.inf:
        notes.append(Note(what="infinite", name=name, detail="the sample is infinite, so nothing is told of it"))
        return None
    return max(sample.value, 0.0)
