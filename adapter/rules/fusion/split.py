"""The answer of a shared query, taken apart: to each member what its own query would have given."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from adapter.errors import PartialAnswer, PrometheusUnavailable, QueryRejected, UpstreamError
from adapter.promql.model import QueryAnswer, Sample, Vector
from adapter.rules.fusion.members import Member
from adapter.rules.fusion.queries import FusedQuery


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """What each member gets; `taken` of all samples belong to somebody, which says whether widening is worth it."""

    vectors: Mapping[Member, Vector]
    samples: int
    taken: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsplit:
    """The answers are not what the proof promises, so members are asked for one by one."""

    reason: str


class _StrayError(Exception):
    """A sample belongs to nobody."""


@dataclass(slots=True)
class _Found:
    """Samples that were asked for, in order, and their places by namespace and object ("" where there is none)."""

    samples: list[Sample] = field(default_factory=list)
    places: dict[str, dict[str, list[int]]] = field(default_factory=lambda: defaultdict(dict))


def split(answers: Sequence[tuple[FusedQuery, QueryAnswer]], members: Iterable[Member]) -> Split | Unsplit:
    """Return the samples of each member, in the order of the server and of the queries.

    All queries are of one shape. Samples of a member have the labels that they would have had alone: a namespace label
    that was added is taken out.
    """
    found = _Found()
    seen = 0
    try:
        for query, answer in answers:
            seen += _sort(query, answer, found)
    except _StrayError as stray:
        return Unsplit(reason=str(stray))
    vectors = {member: _of_member(member, found) for member in members}
    return Split(vectors=vectors, samples=seen, taken=len(found.samples))


def _of_member(member: Member, found: _Found) -> Vector:
    by_name = found.places.get(member.namespace, {})
    lists = [by_name[name] for name in member.names or ("",) if name in by_name]
    places = lists[0] if len(lists) == 1 else sorted(chain.from_iterable(lists))
    samples = found.samples
    return Vector(samples=tuple(samples[place] for place in places))


def _sort(query: FusedQuery, answer: QueryAnswer, found: _Found) -> int:
    """Add the samples that somebody asked for, and return how many samples there were."""
    if not isinstance(answer.result, Vector):
        raise _StrayError("the answer is no instant vector")
    shape = query.shape
    namespace_label, label = shape.namespace_label, shape.label
    wanted = {part.namespace: frozenset(part.names) for part in query.parts}
    named = frozenset[str]().union(*wanted.values())
    bare = bool(namespace_label) and not shape.keeps_namespace
    samples, places = found.samples, found.places
    for sample in answer.result.samples:
        labels = sample.labels
        namespace = labels.get(namespace_label, "") if namespace_label else ""
        name = labels.get(label, "") if label else ""
        names = wanted.get(namespace)
        if names is None:
            raise _StrayError(f"a sample has {namespace_label}={namespace!r}, which nobody asked for")
        if label and name not in names:
            if not name or not (query.widened or name in named):
                raise _StrayError(f"a sample has {label}={name!r}, which nobody asked for")
            continue
        by_name = places[namespace]
        if name in by_name:
            by_name[name].append(len(samples))
        else:
            by_name[name] = [len(samples)]
        samples.append(_without(sample, namespace_label) if bare else sample)
    return len(answer.result.samples)


def _without(sample: Sample, label: str) -> Sample:
    labels = {**sample.labels}
    del labels[label]
    return Sample(
        labels=labels,
        value=sample.value,
        timestamp_seconds=sample.timestamp_seconds,
        histogram=sample.histogram,
    )


def asks_separately(error: UpstreamError) -> bool:
    """Say whether a shared query that failed so may succeed for some of its members alone.

    A rejection may be caused by one member (two samples with the same labels, a limit on samples or on the query's
    length), and so may missing data or an answer that is too large. What concerns the server as a whole, as a broken
    connection or a timeout, is not asked again at once.
    """
    if isinstance(error, PrometheusUnavailable):
        return error.kind == "too_large"
    return isinstance(error, (QueryRejected, PartialAnswer))


def is_for_all(answer: QueryAnswer) -> bool:
    """Say whether an answer may be split: a remark of the server may concern one member only, so there is none."""
    return isinstance(answer.result, Vector) and not answer.annotations
