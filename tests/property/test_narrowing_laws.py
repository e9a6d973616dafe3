"""Laws of narrowing: whatever a server refuses, each object is answered once or its failure is known, in few queries."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from adapter.errors import QueryRejected
from adapter.promql.limits import Limit
from adapter.promql.model import QueryAnswer, Vector
from adapter.rules.fusion import Member, Shape
from adapter.runtime.limits import Limits
from adapter.runtime.narrowing import Narrowing

OBJECTS = Shape(rule="r", pieces=("sum(a{", "})"), namespace_label="namespace", label="pod", keeps_namespace=False)
NAMESPACES = Shape(rule="r", pieces=("sum(a{", "})"), namespace_label="namespace", label="", keeps_namespace=False)
MANY = QueryRejected("query processing would load too many samples into memory", status=422, kind="execution")
FAULT = QueryRejected("vector cannot contain metrics with the same labelset", status=422, kind="execution")
Object = tuple[str, str]

names = st.sets(st.integers(0, 30).map("p{}".format), min_size=1, max_size=12).map(lambda found: tuple(sorted(found)))
requests = st.lists(st.tuples(st.integers(0, 40).map("ns{}".format), names), min_size=1, max_size=60)


class Silent:
    """Hears nothing."""

    def limit_changed(self, *, backend: str, kind: str, change: str, limits: int) -> None: ...


def narrowed(
    shape: Shape,
    members: list[Member],
    refuses: Callable[[set[Object]], QueryRejected | None],
    *,
    widened: bool = False,
    learned: int | None = None,
) -> Narrowing:
    """Ask for members of a server that refuses some sets of objects; of its limits something may be known."""
    limits = Limits(backend="b", clock=lambda: 0.0, observer=Silent(), max_bytes=1000)
    if learned is not None:
        limits.learn(Limit.DATA, shape, most=learned, why="too many samples")

    async def ask(promql: str) -> QueryAnswer:
        error = refuses(asked_for(promql))
        if error is not None:
            raise error
        return QueryAnswer(result=Vector(samples=()), evaluated_at_seconds=0.0)

    narrowing = Narrowing(ask=ask, limits=limits, shape=shape)
    asyncio.run(narrowing.of(members, widened=widened))
    return narrowing


def asked_for(promql: str) -> set[Object]:
    """Return the objects that a query names; without names, one for each namespace."""
    found = {label: values.split("|") for label, values in re.findall(r'(\w+)=~?"([^"]*)"', promql)}
    return {(namespace, name) for namespace in found["namespace"] for name in found.get("pod", [""])}


def objects_of(members: list[Member], shape: Shape) -> set[Object]:
    """Return the objects that members ask for."""
    return {(one.namespace, name) for one in members for name in (one.names if shape.label else ("",))}


def of(narrowing: Narrowing, *, failed: bool) -> Counter[Object]:
    """Return how often each object is in an answer, or in a failure."""
    queries = [one.query for one in narrowing.failures] if failed else [query for query, _ in narrowing.answered]
    return Counter((part.namespace, name) for query in queries for part in query.parts for name in part.names or ("",))


def members_of(found: list[tuple[str, tuple[str, ...]]], shape: Shape) -> list[Member]:
    """Return members as requests make them."""
    return [Member(namespace=namespace, names=some if shape.label else ()) for namespace, some in found]


@settings(max_examples=150, deadline=None)
@given(
    found=requests,
    shape=st.sampled_from([OBJECTS, NAMESPACES]),
    widened=st.booleans(),
    learned=st.none() | st.integers(1, 20),
    at_fault=st.sets(st.integers(0, 40), max_size=3),
)
def test_each_object_is_answered_once_or_failed(
    *,
    found: list[tuple[str, tuple[str, ...]]],
    shape: Shape,
    widened: bool,
    learned: int | None,
    at_fault: set[int],
) -> None:
    """Some namespaces are refused in whatever company; nobody is answered twice, or forgotten."""
    members = members_of(found, shape)
    bad = {f"ns{number}" for number in at_fault}

    def refuses(objects: set[Object]) -> QueryRejected | None:
        return FAULT if any(namespace in bad for namespace, _ in objects) else None

    narrowing = narrowed(shape, members, refuses, widened=widened, learned=learned)

    answered, failed = of(narrowing, failed=False), of(narrowing, failed=True)
    assert set(answered) | set(failed) == objects_of(members, shape)
    assert not set(answered) & set(failed)
    assert all(count == 1 for count in answered.values())
    assert not {one for one, _ in answered} & bad


@settings(max_examples=150, deadline=None)
@given(requests, st.sampled_from([OBJECTS, NAMESPACES]), st.integers(1, 300))
def test_a_limit_that_one_object_passes_is_passed_by_all(
    found: list[tuple[str, tuple[str, ...]]], shape: Shape, most: int
) -> None:
    """However little the server takes at a time, everybody is answered, in about as many queries as that needs."""
    members = members_of(found, shape)
    wanted = objects_of(members, shape)

    def refuses(objects: set[Object]) -> QueryRejected | None:
        return MANY if len(objects & wanted) > most else None

    narrowing = narrowed(shape, members, refuses)

    assert of(narrowing, failed=False) == Counter(wanted)
    assert not narrowing.failures
    # Each query has at least a quarter of what would have passed; one more for each half that did not.
    needed = -(-len(wanted) // most)
    assert narrowing.queries <= 8 * needed + 2 * len(wanted).bit_length() + 4


@settings(max_examples=100, deadline=None)
@given(requests, st.sampled_from([OBJECTS, NAMESPACES]))
def test_what_fails_for_all_ends_soon(found: list[tuple[str, tuple[str, ...]]], shape: Shape) -> None:
    """A server that refuses everything is not asked for every part."""
    members = members_of(found, shape)

    narrowing = narrowed(shape, members, lambda _: FAULT, widened=True)

    assert set(of(narrowing, failed=True)) == objects_of(members, shape)
    # The text is divided at 1,000 bytes before anything is known, so that many are asked for at the same time.
    assert narrowing.queries <= 2 * len(objects_of(members, shape)).bit_length() + 12
