"""The answer of a shared query, taken apart: to each member what its own query would have given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

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
    """An answer holds what no member can have asked for."""


@dataclass(frozen=True, slots=True)
class _Several:
    """The lists of members that ask for the same object."""

    lists: list[list[Sample]]

    def append(self, sample: Sample, /) -> None:
        """Give a sample to each."""
        for samples in self.lists:
            samples.append(sample)


# Who takes the samples of an object, by its namespace and its name ("" where there is none).
_Takers = Mapping[tuple[str, str], list[Sample] | _Several]


def split(answers: Sequence[tuple[FusedQuery, QueryAnswer]], members: Iterable[Member]) -> Split | Unsplit:
    """Return the samples of each member, in the order of the server and of the queries.

    All queries are of one shape. Samples of a member have the labels that they would have had alone: a namespace label
    that was added is taken out. The answers are used up: their samples go to the members, and are not copied.
    """
    found: list[tuple[Member, list[Sample]]] = [(member, []) for member in members]
    takers = _takers(found)
    seen = taken = 0
    try:
        for query, answer in answers:
            samples = _samples(answer)
            seen += len(samples)
            taken += _hand_out(query, samples, _of_query(query, takers))
    except _StrayError as stray:
        return Unsplit(reason=str(stray))
    vectors = {member: Vector(samples=tuple(its)) for member, its in found}
    return Split(vectors=vectors, samples=seen, taken=taken)


def _samples(answer: QueryAnswer) -> Sequence[Sample]:
    if not isinstance(answer.result, Vector):
        raise _StrayError("the answer is no instant vector")
    return answer.result.samples


def _takers(found: Iterable[tuple[Member, list[Sample]]]) -> _Takers:
    takers: dict[tuple[str, str], list[Sample] | _Several] = {}
    for member, samples in found:
        for key in _keys(member):
            others = takers.get(key)
            if others is None:
                takers[key] = samples
            elif isinstance(others, _Several):
                others.lists.append(samples)
            else:
                takers[key] = _Several([others, samples])
    return takers


def _of_query(query: FusedQuery, takers: _Takers) -> _Takers:
    """Leave out what a query does not ask for: should it bring that all the same, another one has it as well."""
    if sum(len(part.names) or 1 for part in query.parts) == len(takers):
        return takers
    return {key: takers[key] for part in query.parts for key in _keys(part) if key in takers}


def _keys(member: Member) -> Iterable[tuple[str, str]]:
    namespace = member.namespace
    return [(namespace, name) for name in member.names or ("",)]


def _hand_out(query: FusedQuery, samples: Sequence[Sample], takers: _Takers) -> int:
    """Give samples to those who asked for them, and return how many somebody asked for.

    Raises:
        _StrayError: a sample is of nothing that the query asks for.
    """
    namespace_label, label = query.shape.namespace_label, query.shape.label
    added = "" if query.shape.keeps_namespace else namespace_label
    unwanted = set()
    taken = 0
    # As few steps as there can be for each sample: a large answer has thousands, and nobody else is served meanwhile.
    for sample in samples:
        labels = sample.labels
        key = (labels.get(namespace_label, ""), labels.get(label, ""))
        takes = takers.get(key)
        if takes is None:
            unwanted.add(key)
        else:
            if added:
                labels.pop(added, None)
            takes.append(sample)
            taken += 1
    _check(query, unwanted)
    return taken


def _check(query: FusedQuery, unwanted: Iterable[tuple[str, str]]) -> None:
    """Refuse objects that nobody can have asked for.

    A query that names objects has each of them in all of its namespaces, and a widened one has all there is in them,
    even what is of no object.
    """
    namespaces = {part.namespace for part in query.parts}
    named = {name for part in query.parts for name in part.names}
    for namespace, name in unwanted:
        if namespace not in namespaces:
            raise _StrayError(f"a sample has {query.shape.namespace_label}={namespace!r}, which nobody asked for")
        if not query.widened and name not in named:
            raise _StrayError(f"a sample has {query.shape.label}={name!r}, which nobody asked for")


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
