"""Laws of queries: whatever a caller sends, the query has the adapter's matchers and no others."""

from __future__ import annotations

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st
from rules_rig import KINDS, catalog_from, rulebook_from, vector

from adapter.kube.selectors import Op, Requirement, Selector
from adapter.promql.ast import parse_query
from adapter.promql.matchers import MatchOp
from adapter.rules.catalog import Entry
from adapter.rules.query import plan_custom
from adapter.rules.values import object_values

RULE = """
rules:
- seriesQuery: load
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: sum(rate(<<.Series>>{<<.LabelMatchers>>,mine="1"}[2m])) by (<<.GroupBy>>)
"""
# Everything that a URL can carry; lone surrogates cannot be UTF-8.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
LABEL_VALUE = st.from_regex(r"\A([A-Za-z0-9]([-A-Za-z0-9_.]{0,20}[A-Za-z0-9])?)?\Z")


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory) -> Entry:
    """Return a metric of pods."""
    catalog = catalog_from(rulebook_from(RULE, tmp_path_factory.mktemp("rules")), ['load{namespace="n",pod="p"}'])
    return next(one for (resource, _), one in catalog.by_custom.items() if str(resource) == "pods")


def matchers(promql: str) -> list[tuple[str, str, str]]:
    """Return the matchers of the only selector of a query, as the real parser reads them."""
    query = parse_query(promql)
    assert query is not None
    [selection] = query.selectors
    assert selection.selector is not None
    return [(one.name, one.op.value, one.value) for one in selection.selector.matchers]


@given(namespace=TEXT.filter(bool), name=TEXT)
def test_no_name_ends_its_string(entry: Entry, namespace: str, name: str) -> None:
    """Any text as namespace and name is exactly one equality matcher each, read by the real PromQL parser."""
    plan = plan_custom(
        entry, namespace=namespace, names=(name,), metric_selector=Selector(), kinds=KINDS, asked_for="pods"
    )

    assert matchers(plan.promql) == [("namespace", "=", namespace), ("pod", "=", name), ("mine", "=", "1")]


@given(names=st.lists(TEXT, min_size=2, max_size=6, unique=True), other=TEXT)
def test_a_list_of_names_matches_these_names_only(entry: Entry, names: list[str], other: str) -> None:
    """The regular expression of a list takes each of its names and no other text."""
    plan = plan_custom(
        entry, namespace="n", names=tuple(names), metric_selector=Selector(), kinds=KINDS, asked_for="pods"
    )
    [(_, op, pattern)] = [one for one in matchers(plan.promql) if one[0] == "pod"]

    # Prometheus anchors a pattern and lets the dot match everything.
    assert op == MatchOp.MATCHES
    assert all(re2.fullmatch(f"(?s:{pattern})", name) for name in names)
    assert bool(re2.fullmatch(f"(?s:{pattern})", other)) is (other in names)


@given(values=st.lists(LABEL_VALUE, min_size=1, max_size=4), op=st.sampled_from([Op.IN, Op.NOT_IN]))
def test_selector_values_stay_inside_their_matcher(entry: Entry, values: list[str], op: Op) -> None:
    """A metric selector adds one matcher, on its own label, and changes no other."""
    selector = Selector((Requirement("code", op, tuple(values)),))
    plan = plan_custom(entry, namespace="n", names=("p",), metric_selector=selector, kinds=KINDS, asked_for="pods")

    assert [name for name, _, _ in matchers(plan.promql)] == ["code", "namespace", "pod", "mine"]


@given(
    wanted=st.lists(TEXT, min_size=1, max_size=5, unique=True),
    samples=st.lists(st.tuples(TEXT, st.floats(allow_nan=False, allow_infinity=False)), max_size=10),
)
def test_only_objects_asked_for_get_values(entry: Entry, wanted: list[str], samples: list[tuple[str, float]]) -> None:
    """Whatever Prometheus returns, an answer holds the objects asked for that have a sample, and nobody else."""
    plan = plan_custom(
        entry, namespace="n", names=tuple(wanted), metric_selector=Selector(), kinds=KINDS, asked_for="pods"
    )

    decided = object_values(plan, vector(*(({"pod": pod}, value) for pod, value in samples)))

    assert set(decided.values) == {pod for pod, _ in samples} & set(wanted)
