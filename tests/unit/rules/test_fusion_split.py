"""How shared queries are written, and how their answers are taken apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from adapter.errors import (
    DeadlineExceeded,
    PartialAnswer,
    PrometheusUnavailable,
    QueryRejected,
    UpstreamError,
)
from adapter.promql.model import QueryAnswer, Sample, Scalar, Vector
from adapter.rules.fusion import (
    FusedQuery,
    Member,
    Shape,
    Split,
    Unsplit,
    asks_separately,
    fused,
    is_for_all,
    split,
)

PODS = Shape(rule="r", pieces=("sum by (pod, ns) (x{", "})"), namespace_label="ns", label="pod", keeps_namespace=False)
NODES = Shape(rule="r", pieces=("x{", "} / y{", "}"), namespace_label="", label="node", keeps_namespace=False)
QUEUES = Shape(rule="r", pieces=("sum by (ns) (x{", "})"), namespace_label="ns", label="", keeps_namespace=False)
RAW = Shape(rule="r", pieces=("x{", "}"), namespace_label="ns", label="", keeps_namespace=True)
LARGE = 16_384


def member(namespace: str, *names: str) -> Member:
    """Return a member in short."""
    return Member(namespace=namespace, names=names)


def answer(*samples: tuple[Mapping[str, str], float]) -> QueryAnswer:
    """Return a vector."""
    found = tuple(Sample(labels=labels, value=value, timestamp_seconds=7.0) for labels, value in samples)
    return QueryAnswer(result=Vector(samples=found), evaluated_at_seconds=7.0)


def parted(query: FusedQuery, given: QueryAnswer, members: Sequence[Member]) -> Mapping[Member, Vector]:
    """Return what members get of a good answer."""
    found = split([(query, given)], members)
    assert isinstance(found, Split), found
    return found.vectors


@pytest.mark.parametrize(
    ("shape", "members", "widened", "promql"),
    [
        (PODS, [member("a", "p")], False, 'sum by (pod, ns) (x{ns="a",pod="p"})'),
        (PODS, [member("a", "p"), member("b", "p")], False, 'sum by (pod, ns) (x{ns=~"a|b",pod="p"})'),
        (PODS, [member("a", "p", "q"), member("a", "q", "o")], False, 'sum by (pod, ns) (x{ns="a",pod=~"o|p|q"})'),
        (PODS, [member("a", "p.1", "q")], False, 'sum by (pod, ns) (x{ns="a",pod=~"p\\\\.1|q"})'),
        (PODS, [member("a", "p"), member("b", "q")], True, 'sum by (pod, ns) (x{ns=~"a|b"})'),
        (NODES, [member("", "n", "m")], False, 'x{node=~"m|n"} / y{node=~"m|n"}'),
        (NODES, [member("", "n")], True, 'x{node!=""} / y{node!=""}'),
        (QUEUES, [member("a"), member("b")], False, 'sum by (ns) (x{ns=~"a|b"})'),
    ],
)
def test_a_shared_query_names_all_that_its_members_ask_for(
    shape: Shape, members: list[Member], *, widened: bool, promql: str
) -> None:
    """Namespaces and names are put together, and names are escaped."""
    [query] = fused(shape, members, max_bytes=LARGE, widened=widened)

    assert query.promql == promql


def test_common_beginnings_of_namespaces_stand_once_where_a_plain_list_is_too_long() -> None:
    """A shorter expression for the namespaces comes before a second query; names, which are many, stay a plain list."""
    members = [member(f"team-shop-{one}", f"web-7d9f-{one}") for one in ("x1", "x2", "y")]

    [plain] = fused(PODS, members, max_bytes=LARGE)
    [short] = fused(PODS, members, max_bytes=len(plain.promql) - 1)

    names = 'pod=~"web-7d9f-x1|web-7d9f-x2|web-7d9f-y"'
    assert plain.promql == f'sum by (pod, ns) (x{{ns=~"team-shop-x1|team-shop-x2|team-shop-y",{names}}})'
    assert short.promql == f'sum by (pod, ns) (x{{ns=~"team-shop-(?:x1|x2|y)",{names}}})'


def test_what_is_of_no_object_is_left_out_of_a_widened_answer() -> None:
    """A widened query brings all there is in its namespaces, and what has no name there is nobody's."""
    asked = member("a", "p")
    samples = [({"ns": "a"}, 1.0), ({"ns": "a", "pod": "p"}, 2.0)]
    [widened] = fused(PODS, [asked], max_bytes=LARGE, widened=True)
    [named] = fused(PODS, [asked], max_bytes=LARGE)

    found = split([(widened, answer(*samples))], [asked])
    assert isinstance(found, Split)
    assert [sample.value for sample in found.vectors[asked].samples] == [2.0]
    assert (found.samples, found.taken) == (2, 1)
    assert isinstance(split([(named, answer(*samples))], [asked]), Unsplit)


def test_nobody_shares_nothing() -> None:
    """Without members there is no query."""
    assert fused(PODS, [], max_bytes=LARGE) == ()


def test_a_query_that_would_be_too_long_is_divided() -> None:
    """Each object is asked for by exactly one of the queries, and all are short enough."""
    members = [member(f"ns-{at}", *(f"pod-{at}-{number}" for number in range(50))) for at in range(4)]

    queries = fused(PODS, members, max_bytes=300)

    asked = [(part.namespace, name) for query in queries for part in query.parts for name in part.names]
    assert sorted(asked) == sorted((one.namespace, name) for one in members for name in one.names)
    assert all(len(query.promql) <= 300 for query in queries)
    assert [query.concerns(members[0]) for query in queries].count(True) < len(queries)


def test_what_cannot_be_divided_is_asked_as_it_is() -> None:
    """One object, or one namespace without its names, makes a query that may be longer than wished."""
    [query] = fused(PODS, [member("a", "p" * 400)], max_bytes=300)
    widened = fused(PODS, [member("a", "p", "q"), member("b" * 400, "r")], max_bytes=300, widened=True)

    assert "p" * 400 in query.promql
    assert len(widened) == 2


def test_each_member_gets_its_own_samples_as_it_would_alone() -> None:
    """Samples of others are left out, names that two namespaces share do not mix, and the added label is gone."""
    one, other, same = member("a", "p", "q"), member("b", "p"), member("a", "p")
    [query] = fused(PODS, [one, other, same], max_bytes=LARGE)

    found = parted(
        query,
        answer(
            ({"ns": "a", "pod": "q"}, 1.0),
            ({"ns": "b", "pod": "q"}, 2.0),
            ({"ns": "a", "pod": "p"}, 3.0),
            ({"ns": "b", "pod": "p"}, 4.0),
        ),
        [one, other, same],
    )

    assert [(dict(sample.labels), sample.value) for sample in found[one].samples] == [
        ({"pod": "q"}, 1.0),
        ({"pod": "p"}, 3.0),
    ]
    assert [sample.value for sample in found[other].samples] == [4.0]
    assert [sample.value for sample in found[same].samples] == [3.0]


def test_an_object_that_many_ask_for_goes_to_each() -> None:
    """Two thousand lists of pods that have one pod in common get it all, and each its own."""
    members = [member("a", "p", f"q-{number}") for number in range(2000)]
    [query] = fused(PODS, members, max_bytes=LARGE, widened=True)
    samples = [({"ns": "a", "pod": name}, 1.0) for name in ("p", *(f"q-{number}" for number in range(2000)))]

    found = parted(query, answer(*samples), members)

    assert [sample.labels["pod"] for sample in found[members[7]].samples] == ["p", "q-7"]
    assert {len(found[one].samples) for one in members} == {2}


def test_what_another_query_asks_for_is_not_taken_twice() -> None:
    """An object counts in the answer of the query that asks for it, also if a server gives it in another one."""
    members = [member("a", "p", "q"), member("a", "q")]
    queries = fused(PODS, members, max_bytes=1)
    both = answer(({"ns": "a", "pod": "p"}, 1.0), ({"ns": "a", "pod": "q"}, 2.0))
    right = [answer(({"ns": "a", "pod": name}, 1.0)) for name in "pq"]

    good = split(list(zip(queries, right, strict=True)), members)
    bad = split([(query, both) for query in queries], members)

    assert isinstance(good, Split)
    assert [len(good.vectors[one].samples) for one in members] == [2, 1]
    assert isinstance(bad, Unsplit)


def test_answers_may_be_fewer_than_members() -> None:
    """Members whose query has failed get nothing of the others' answers."""
    one, other = member("a", "p"), member("b", "p")
    [query] = fused(PODS, [one], max_bytes=LARGE)

    found = parted(query, answer(({"ns": "a", "pod": "p"}, 1.0)), [one, other])

    assert [len(found[each].samples) for each in (one, other)] == [1, 0]


def test_a_label_that_the_query_has_by_itself_stays() -> None:
    """A sample has the namespace label if the member's own query gives it."""
    [query] = fused(RAW, [member("a"), member("b")], max_bytes=LARGE)

    found = parted(query, answer(({"ns": "a", "q": "1"}, 1.0)), [member("a"), member("b")])

    assert found[member("a")].samples[0].labels == {"ns": "a", "q": "1"}
    assert found[member("b")].samples == ()


def test_answers_of_several_queries_are_put_together() -> None:
    """A member whose names were divided gets the samples of all its queries."""
    asking = member("a", "p", "q")
    queries = fused(PODS, [asking], max_bytes=1)
    answers = [answer(({"ns": "a", "pod": name}, 1.0)) for name in ("p", "q")]

    found = split(list(zip(queries, answers, strict=True)), [asking])

    assert isinstance(found, Split)
    assert [sample.labels["pod"] for sample in found.vectors[asking].samples] == ["p", "q"]
    assert (found.samples, found.taken) == (2, 2)


def test_what_a_widened_answer_holds_beside_is_counted() -> None:
    """Whether widening is worth it is seen from how many samples somebody asked for."""
    [query] = fused(PODS, [member("a", "p")], max_bytes=LARGE, widened=True)

    found = split([(query, answer(*(({"ns": "a", "pod": name}, 1.0) for name in "pqrs")))], [member("a", "p")])

    assert isinstance(found, Split)
    assert (found.samples, found.taken) == (4, 1)


@pytest.mark.parametrize(
    "labels",
    [{"pod": "p"}, {"ns": "c", "pod": "p"}, {"ns": "a"}, {"ns": "a", "pod": "z"}],
    ids=str,
)
def test_a_sample_that_belongs_to_nobody_splits_nothing(labels: dict[str, str]) -> None:
    """A server that answers otherwise than the proof says is not believed."""
    [query] = fused(PODS, [member("a", "p")], max_bytes=LARGE)

    assert isinstance(split([(query, answer((labels, 1.0)))], [member("a", "p")]), Unsplit)


def test_only_vectors_are_split() -> None:
    """A number belongs to no member."""
    [query] = fused(PODS, [member("a", "p")], max_bytes=LARGE)
    number = QueryAnswer(result=Scalar(value=1.0, timestamp_seconds=7.0), evaluated_at_seconds=7.0)

    assert isinstance(split([(query, number)], [member("a", "p")]), Unsplit)
    assert not is_for_all(number)


def test_a_remark_of_the_server_may_concern_one_member_only() -> None:
    """An answer with annotations is not for all of its members."""
    good = answer(({"ns": "a", "pod": "p"}, 1.0))
    noted = QueryAnswer(result=good.result, evaluated_at_seconds=7.0, annotations=("PromQL warning: bucket",))

    assert is_for_all(good)
    assert not is_for_all(noted)


@pytest.mark.parametrize(
    ("error", "separately"),
    [
        (QueryRejected("vector cannot contain metrics with the same labelset", status=422, kind="execution"), True),
        (QueryRejected("too long query", status=422, kind="422"), True),
        (PartialAnswer(("a store is down",)), True),
        (PrometheusUnavailable("too many samples", kind="too_large"), True),
        (PrometheusUnavailable("no answer in time", kind="timeout"), False),
        (PrometheusUnavailable("connection refused", kind="connect"), False),
        (DeadlineExceeded(), False),
    ],
    ids=str,
)
def test_errors_that_one_member_may_have_caused_are_asked_again(error: UpstreamError, *, separately: bool) -> None:
    """What concerns the whole server is not asked again at once."""
    assert asks_separately(error) is separately
