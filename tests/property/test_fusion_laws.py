"""Laws of shared queries, for any names: lists take these names only, queries divide them, splits lose nothing."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

import re2
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from adapter.promql.ast import parse_query
from adapter.promql.expressions import Paren, expression_of
from adapter.promql.model import QueryAnswer, Sample, Vector
from adapter.promql.printing import text_of
from adapter.rules.fusion import Member, Shape, Split, fused, split
from adapter.rules.fusion.members import any_of
from adapter.rules.query_parts import any_name

SHAPE = Shape(
    rule="r", pieces=("sum by (pod, ns) (x{", "}) / y{", "}"), namespace_label="ns", label="pod", keeps_namespace=False
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
# Names as workloads have them, and such that are each other's beginnings.
NAMES = TEXT | st.from_regex(r"\A(web|web-7d9f)(-[a-c]{1,3}){0,4}\Z") | st.text("ab.|\\", min_size=1, max_size=6)
MEMBERS = st.lists(
    st.builds(
        lambda namespace, names: Member(namespace=namespace, names=tuple(names)),
        st.sampled_from(["a", "b", "b-1", "c.d"]),
        st.lists(NAMES, min_size=1, max_size=12, unique=True),
    ),
    min_size=1,
    max_size=6,
)
LEAVES = st.sampled_from(
    ["x", 'x{a="b\\"c\\\\d\\n"}', '{__name__=~"x|y",a!="é"}', "x offset -1m", "sum(x)", "x{a!~'b'}"]
)
OPERATORS = st.sampled_from(
    [
        "+",
        "-",
        "*",
        "/",
        "^",
        "%",
        "atan2",
        "and",
        "or",
        "unless",
        "> bool",
        "== on (a)",
        "/ ignoring (b)",
        "* on (a) group_left (c)",
    ]
)
WRAPPINGS = st.sampled_from(
    [
        *(
            "-{}",
            "({})",
            "sum by (a) ({})",
            "max({}) without (b, c)",
            "abs({})",
            "clamp({}, -1, 2)",
            "2 ^ {}",
            "{} * -1.5",
        ),
        *("max_over_time(({})[5m:1m] offset 1m)", "rate(x[90s])", "{} > 3", "1 - {}"),
    ]
)
QUERIES = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds(lambda how, one: how.replace("{}", one), WRAPPINGS, inner)
        | st.builds(lambda left, how, right: f"{left} {how} {right}", inner, OPERATORS, inner)
    ),
    max_leaves=8,
)


def bare(node: Any) -> Any:
    """Return a tree without its parentheses."""
    if isinstance(node, Paren):
        return bare(node.inner)
    if isinstance(node, tuple):
        return tuple(map(bare, node))
    if not is_dataclass(node) or isinstance(node, type):
        return node
    return replace(node, **{one.name: bare(getattr(node, one.name)) for one in fields(node)})


@settings(deadline=None)
@given(names=st.lists(NAMES, min_size=1, max_size=30, unique=True), other=NAMES)
def test_a_list_of_names_takes_these_and_no_other(names: list[str], other: str) -> None:
    """Whatever the names are, an expression means their list, with common beginnings taken out or not."""
    for pattern in (any_of(sorted(names)), any_name(names)):
        # Prometheus anchors a pattern and lets the dot match everything.
        assert all(re2.fullmatch(f"(?s:{pattern})", name) for name in names)
        assert bool(re2.fullmatch(f"(?s:{pattern})", other)) is (other in names)


@settings(deadline=None)
@given(members=MEMBERS, max_bytes=st.integers(1, 400), widened=st.booleans())
def test_queries_are_short_enough_and_have_each_object_once(
    members: list[Member], max_bytes: int, *, widened: bool
) -> None:
    """Divided queries ask for what the members ask for, and only what cannot be divided is too long."""
    queries = fused(SHAPE, members, max_bytes=max_bytes, widened=widened)

    asked = [(part.namespace, name) for query in queries for part in query.parts for name in part.names]
    assert sorted(asked) == sorted({(one.namespace, name) for one in members for name in one.names})
    for query in queries:
        assert parse_query(query.promql) is not None
        whole = len(query.parts) == 1 and (widened or len(query.parts[0].names) == 1)
        assert whole or len(query.promql.encode()) <= max_bytes


@settings(deadline=None)
@given(members=MEMBERS, max_bytes=st.integers(1, 400), widened=st.booleans(), data=st.data())
def test_each_member_gets_the_samples_of_its_objects(
    members: list[Member], max_bytes: int, *, widened: bool, data: st.DataObject
) -> None:
    """For a server that has some of the objects, a member gets exactly these, in whatever queries they were."""
    objects = sorted({(one.namespace, name) for one in members for name in one.names})
    known = data.draw(st.lists(st.sampled_from(objects), unique=True))
    queries = fused(SHAPE, members, max_bytes=max_bytes, widened=widened)

    answers = []
    for query in queries:
        asked = {(part.namespace, name) for part in query.parts for name in part.names}
        found = tuple(
            Sample(labels={"ns": namespace, "pod": name}, value=1.0, timestamp_seconds=7.0)
            for namespace, name in known
            if (namespace, name) in asked
        )
        answers.append((query, QueryAnswer(result=Vector(samples=found), evaluated_at_seconds=7.0)))
    parted = split(answers, members)

    assert isinstance(parted, Split)
    for member in members:
        got = [dict(sample.labels) for sample in parted.vectors[member].samples]
        wanted = [{"pod": name} for namespace, name in known if namespace == member.namespace and name in member.names]
        assert sorted(map(str, got)) == sorted(map(str, wanted))


@settings(deadline=None, max_examples=300)
@given(QUERIES)
def test_a_query_prints_as_what_it_was_read_as(text: str) -> None:
    """Any query, printed and read again, is the same tree; only parentheses are added."""
    query = parse_query(text)
    assume(query is not None)
    assert query is not None

    again = parse_query(text_of(expression_of(query)))

    assert again is not None
    assert bare(expression_of(again)) == bare(expression_of(query))
