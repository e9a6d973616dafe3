"""Which queries may be shared, and what is said of those that may not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fusion_traps import TRAPS, Trap
from resource_rig import RULES as USE_RULES
from resource_rig import both, resource_rules_from
from rules_rig import KINDS, catalog_from, custom_plan, external_plan, rulebook_from

from adapter.promql.ast import parse_query
from adapter.promql.template import parse_template
from adapter.rules.fusion import (
    Member,
    NotFusable,
    Shape,
    fusability,
    fusability_of_use,
    member_of,
    shape_of,
    skeleton_of,
)
from adapter.rules.query import Plan
from adapter.rules.resource_plan import UsePlan, plan_nodes, plan_pods
from adapter.rules.rule import Rule

RULES = """
rules:
- seriesQuery: load{namespace!="",pod!=""}
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: QUERY
externalRules:
- seriesQuery: depth{namespace!=""}
  resources: {overrides: {namespace: {resource: namespace}}}
  metricsQuery: QUERY
"""
SUM = "sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)"
SERIES = ['load{namespace="n",pod="p"}', 'depth{namespace="n"}']


@pytest.fixture
def rules(tmp_path: Path) -> tuple[Rule, Rule]:
    """Return a rule for pods and one for external metrics."""
    custom, external = rulebook_from(RULES.replace("QUERY", SUM), tmp_path).rules
    return custom, external


def plan_of(directory: Path, request: str, query: str = SUM) -> Plan:
    """Plan a request for pods."""
    return custom_plan(catalog_from(rulebook_from(RULES.replace("QUERY", query), directory), SERIES), request)


def shape(plan: Plan | UsePlan) -> Shape:
    """Return the shape of a plan that has one."""
    found = shape_of(skeleton_of(plan))
    assert isinstance(found, Shape), found
    return found


@pytest.mark.parametrize("trap", TRAPS, ids=[f"{trap.api} {trap.query}" for trap in TRAPS])
def test_each_query_is_shared_or_there_is_a_reason(rules: tuple[Rule, Rule], trap: Trap) -> None:
    """Only what provably keeps objects apart is shared; for the rest the reason names what stands in the way."""
    custom, external = rules
    rule = replace(external if trap.api == "external" else custom, query=parse_template(trap.query))

    found = fusability(rule, KINDS)

    if trap.reason:
        assert isinstance(found, NotFusable)
        assert trap.reason in found.reason
    else:
        assert isinstance(found, Shape), found
        assert parse_query(found.text('namespace=~"a|b"')) is not None


@pytest.mark.parametrize(
    "requests",
    [
        ("n pods a load", "m pods a load"),
        ("n pods a load", "n pods b,c load"),
        ("n pods pod load", "pod pods namespace load"),
        ("n pods a.b load", "n pods a.b,c.d load"),
        ("n pods a load code=200", "m pods b load code=200"),
        ("n pods a load pod=a", "n pods b load pod=b"),
    ],
)
def test_requests_that_differ_in_namespace_and_names_have_one_shape(tmp_path: Path, requests: tuple[str, str]) -> None:
    """The adapter's own matchers are no part of a shape, whatever the names in them."""
    one, other = (plan_of(tmp_path, request) for request in requests)

    assert shape(one) == shape(other)
    assert hash(shape(one)) == hash(shape(other))


@pytest.mark.parametrize(
    "requests",
    [
        ("n pods a load", "n pods a load code=200"),
        ("n pods a load code=200", "n pods a load code=500"),
        ("n pods a load", "n pods a load code!=200"),
    ],
)
def test_another_metric_selector_is_another_shape(tmp_path: Path, requests: tuple[str, str]) -> None:
    """What a caller selects stays in the query."""
    one, other = (plan_of(tmp_path, request) for request in requests)

    assert shape(one) != shape(other)


def test_what_the_template_writes_itself_is_recognized_by_its_meaning(tmp_path: Path) -> None:
    """A template may write namespace and names by LabelValuesByName: it is shared where it takes just these."""
    query = "sum(load{namespace='<<index .LabelValuesByName `namespace`>>',pod=~'<<.LabelValuesByName.pod>>'}) by (pod)"
    one, other = (plan_of(tmp_path, request, query) for request in ("n pods a,b.c load", "m pods d load"))

    assert shape(one) == shape(other)


def test_a_name_that_means_more_as_a_pattern_is_not_recognized(tmp_path: Path) -> None:
    """`b.c` as a regular expression takes `bxc` as well, so it is no matcher for the name."""
    query = "sum(load{namespace='<<index .LabelValuesByName `namespace`>>',pod=~'<<.LabelValuesByName.pod>>'}) by (pod)"

    assert isinstance(shape_of(skeleton_of(plan_of(tmp_path, "n pods b.c load", query))), NotFusable)


def test_a_very_long_list_of_names_has_a_shape(tmp_path: Path) -> None:
    """The tree is read from the skeleton, so its cost does not follow the names."""
    many = plan_of(tmp_path, f"n pods {','.join(f'web-{number}' for number in range(5000))} load")

    assert shape(many) == shape(plan_of(tmp_path, "n pods a load"))
    assert len(skeleton_of(many).text) < 100


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        ({"names": ("",)}, "names nothing"),
        ({"names": ()}, "names nothing"),
        ({"namespace": ""}, "names nothing"),
        ({"namespace_label": "pod"}, "both the object and its namespace"),
        ({"label": "__name__"}, "__name__"),
        ({"label": "", "namespace_label": ""}, "all callers send the same query"),
        ({"promql": "x{a='\x01'}"}, "control characters"),
        ({"promql": "("}, "our parser cannot read"),
        ({"promql": "x+" * 3000 + "x"}, "too long"),
    ],
)
def test_odd_plans_have_no_shape(tmp_path: Path, plan: dict[str, object], reason: str) -> None:
    """What names nothing, or cannot be told apart, is asked by itself."""
    odd = replace(plan_of(tmp_path, "n pods a load"), **plan)  # type: ignore[arg-type]  # the table has right types

    found = shape_of(skeleton_of(odd))

    assert isinstance(found, NotFusable)
    assert reason in found.reason


def test_external_metrics_are_told_by_their_namespace(tmp_path: Path) -> None:
    """For an external metric the namespace is the object; a rule without namespaces has nothing to share."""
    text = RULES.replace("QUERY", "sum(<<.Series>>{<<.LabelMatchers>>})").replace(
        "resources: {overrides: {namespace: {resource: namespace}}}",
        "resources: {NAMESPACED overrides: {namespace: {resource: namespace}}}",
    )
    plans = {
        namespaced: external_plan(
            catalog_from(rulebook_from(text.replace("NAMESPACED", namespaced), tmp_path), SERIES), "n depth"
        )
        for namespaced in ("", "namespaced: false,")
    }

    assert shape(plans[""]).namespace_label == "namespace"
    assert member_of(plans[""]) == Member(namespace="n", names=())
    assert isinstance(shape_of(skeleton_of(plans["namespaced: false,"])), NotFusable)


def test_use_of_pods_and_nodes_has_shapes(tmp_path: Path) -> None:
    """Queries of resource rules are shared across namespaces, and those for nodes at least widened."""
    cpu, _ = both(resource_rules_from(USE_RULES, tmp_path))
    pods = [plan_pods(cpu, namespace=namespace, names=names) for namespace, names in (("n", ("a",)), ("m", ("b", "c")))]
    nodes = plan_nodes(cpu, names=("x",))
    assert pods[0] is not None
    assert pods[1] is not None
    assert nodes is not None

    assert shape(pods[0]) == shape(pods[1])
    assert shape(nodes).namespace_label == ""
    assert pods[1].sketch() == plan_pods(cpu, namespace="m", names=("b",)).promql  # type: ignore[union-attr]  # as above
    assert {what: type(one) for what, one in fusability_of_use(cpu).items()} == {"container": Shape, "node": Shape}


def test_a_hint_says_what_to_write(rules: tuple[Rule, Rule]) -> None:
    """An author reads what would make a rule fusable."""
    _, external = rules
    found = fusability(replace(external, query=parse_template("sum(x{<<.LabelMatchers>>}) or vector(0)")), KINDS)

    assert isinstance(found, NotFusable)
    assert "onEmpty" in found.hint
