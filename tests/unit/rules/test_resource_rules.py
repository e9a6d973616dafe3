"""Resource rules: what a file says, what is asked for it, and what the answers mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pytest
from resource_rig import RULES, answer, both, node, pod, resource_rules_from
from rules_rig import KINDS, compiled_from

from adapter.config.load import load_rules
from adapter.errors import UnusableResult
from adapter.kube.resource_metrics import NodeUse, PodUse
from adapter.promql.model import OtherResult, QueryAnswer, Sample, Scalar, Vector
from adapter.rules.compile import Terms, compile_rules
from adapter.rules.resource_plan import UsePlan, plan_nodes, plan_pods
from adapter.rules.resource_values import measured, node_uses, pod_uses
from adapter.rules.rule import Compat, Rulebook

# ---- what a file says


def test_resource_rules_are_compiled(tmp_path: Path) -> None:
    """Labels come from the overrides, the window from the file, the cache's time from the terms."""
    rules = resource_rules_from(RULES, tmp_path)
    cpu, memory = both(rules)

    assert (rules.window_seconds, rules.cache_ttl_seconds, rules.cut) == (180.0, 10.0, False)
    assert (cpu.id, memory.id) == ("resourceRules.cpu", "resourceRules.memory")
    assert (cpu.namespace_label, cpu.pod_label, cpu.node_label, cpu.container_label) == (
        "namespace",
        "pod",
        "node",
        "container",
    )
    assert (cpu.location.line, memory.location.line) == (4, 10)


LABELS = [
    ("overrides", "overrides: {ns: {resource: namespaces}, p: {resource: Pods}, n: {resource: node}}", "ns p n"),
    ("a template", 'template: "kube_<<.Resource>>"', "kube_namespace kube_pod kube_node"),
    ("an override", 'template: "<<.Resource>>", overrides: {p: {resource: pod}}', "namespace p node"),
    ("the first of two", "overrides: {a: {resource: pod}, b: {resource: pod}}", " a "),
    ("nothing", "", "  "),
]


@pytest.mark.parametrize(("name", "resources", "labels"), LABELS, ids=[row[0] for row in LABELS])
def test_labels_of_objects(name: str, resources: str, labels: str, tmp_path: Path) -> None:
    """Template and overrides name namespaces, pods and nodes as they do for other rules."""
    rules = resource_rules_from(f"resourceRules: {{window: 1m, cpu: {{resources: {{{resources}}}}}}}", tmp_path)

    assert rules.cpu is not None
    assert [rules.cpu.namespace_label, rules.cpu.pod_label, rules.cpu.node_label] == labels.split(" ")


@pytest.mark.parametrize(
    ("text", "installed"),
    [("rules: [{seriesQuery: a}]", False), ("resourceRules: {}", True), (RULES, True)],
    ids=["none", "empty", "both"],
)
def test_the_api_is_installed_by_the_section(text: str, installed: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a column of the table
    """`metrics.k8s.io` is there when the file has `resourceRules`, as in prometheus-adapter."""
    assert compiled_from(text, tmp_path).rulebook.resource is installed


def test_defaults_of_the_file_hold_for_resource_rules(tmp_path: Path) -> None:
    """The file's `cacheTTL` counts, and the rules of a backend that is not in force are left out with a warning."""
    cached = resource_rules_from("defaults: {cacheTTL: 3s}\n" + RULES, tmp_path)
    elsewhere = compiled_from("defaults: {backend: other}\n" + RULES, tmp_path)

    assert cached.cache_ttl_seconds == 3.0
    assert elsewhere.rulebook == Rulebook()
    assert [one.code for one in elsewhere.problems] == ["rule/backend-not-in-force"]
    assert elsewhere.problems[0].location.line == 1


FAULTS = [
    ("template/syntax", "cpu: {containerQuery: 'x{<<.LabelMatchers'}"),
    ("template/syntax", "memory: {nodeQuery: '<<end>>'}"),
    ("association/template", "cpu: {resources: {template: x}}"),
    ("association/unknown-resource", "cpu: {resources: {overrides: {x: {resource: nothing}}}}"),
    ("resource-rule/query-missing", "cpu: {nodeQuery: x}"),
    ("resource-rule/window-missing", "cpu: {nodeQuery: x}"),
]


@pytest.mark.parametrize(("code", "text"), FAULTS)
def test_faults_are_named_with_their_place(code: str, text: str, tmp_path: Path) -> None:
    """What is wrong with a resource rule has a code, and a line and column of the file."""
    problems = [one for one in compiled_from(f"resourceRules: {{{text}}}", tmp_path).problems if one.code == code]

    assert problems
    assert problems[0].location.line == 1
    assert problems[0].location.column > 1


def test_two_files_cannot_both_have_resource_rules(tmp_path: Path) -> None:
    """Which file cpu and memory come from is never chance: the second is an error that names the first."""
    paths = []
    for name in ("a.yaml", "b.yaml", "c.yaml"):
        (tmp_path / name).write_text(RULES if name != "b.yaml" else "rules: [{seriesQuery: x}]")
        paths.append(str(tmp_path / name))
    compiled = compile_rules(load_rules(paths, {}), Terms(kinds=KINDS))
    [problem] = [one for one in compiled.problems if one.code == "resource-rule/several"]

    assert compiled.has_errors
    assert (problem.location.file, problem.location.line, problem.location.column) == (paths[2], 2, 1)
    assert problem.message == f"`resourceRules` stand at {paths[0]}:2 already"


# ---- what is asked


def plans_of_pods(text: str, directory: Path, names: Sequence[str], namespace: str = "shop") -> list[str | None]:
    """Return the queries for pods: cpu, memory."""
    plans = [plan_pods(rule, namespace=namespace, names=names) for rule in both(resource_rules_from(text, directory))]
    return [plan.promql if plan else None for plan in plans]


def test_queries_for_pods(tmp_path: Path) -> None:
    """The namespace comes before the pods, and samples are told apart by pod and container."""
    assert plans_of_pods(RULES, tmp_path, ["web-0"]) == [
        'sum by (pod,container) (rate(cpu{namespace="shop",pod="web-0"}[3m]))',
        'sum by (pod,container) (mem{namespace="shop",pod="web-0"})',
    ]
    assert plans_of_pods(RULES, tmp_path, ["api.v2-0", "web-0"]) == [
        'sum by (pod,container) (rate(cpu{namespace="shop",pod=~"api\\\\.v2-0|web-0"}[3m]))',
        'sum by (pod,container) (mem{namespace="shop",pod=~"api\\\\.v2-0|web-0"})',
    ]


def test_queries_for_nodes(tmp_path: Path) -> None:
    """Nodes have no namespace and no containers."""
    plans = [plan_nodes(rule, names=["n-1", "n-2.example"]) for rule in both(resource_rules_from(RULES, tmp_path))]

    assert [plan and plan.promql for plan in plans] == [
        'sum by (node) (rate(node_cpu{node=~"n-1|n-2\\\\.example"}[3m]))',
        'sum by (node) (node_mem{node=~"n-1|n-2\\\\.example"})',
    ]


OWN = [
    ("<<.Series>>|<<.GroupBySlice>>", "|[pod container]"),
    ("<<index .LabelValuesByName `namespace`>>/<<.LabelValuesByName.pod>>", "shop/a[.]b|c"),
    ("<<.LabelMatchers>>", 'namespace="shop",pod=~"a\\\\.b|c"'),
]


@pytest.mark.parametrize(("template", "promql"), OWN)
def test_templates_see_what_those_of_rules_see(template: str, promql: str, tmp_path: Path) -> None:
    """A template has the fields of `metricsQuery`; there is no series."""
    text = RULES.replace("sum by (<<.GroupBy>>) (rate(cpu{<<.LabelMatchers>>}[3m]))", f"'{template}'")

    assert plans_of_pods(text, tmp_path, ["a.b", "c"])[0] == promql


def test_without_a_container_label_pods_are_grouped_by_pod(tmp_path: Path) -> None:
    """A rule that names no container label tells pods apart, and their one container has no name."""
    text = RULES.replace("containerLabel: container", "")
    [plan, _] = [plan_pods(rule, namespace="shop", names=["a"]) for rule in both(resource_rules_from(text, tmp_path))]

    assert plan is not None
    assert plan.promql.startswith("sum by (pod) (")
    assert measured(plan, answer(("pod=a,container=x", 2.0)), cut=False).objects["a"].milli == {"": 2000}


UNMEASURED = [
    ("no query", ("containerQuery: sum by (<<.GroupBy>>) (rate(cpu{<<.LabelMatchers>>}[3m]))", ""), "pods"),
    ("no pod label", (", pod: {resource: pod}", ""), "pods"),
    ("no namespace label", ("namespace: {resource: namespace}, ", ""), "pods"),
    ("no node query", ("nodeQuery: sum by (<<.GroupBy>>) (rate(node_cpu{<<.LabelMatchers>>}[3m]))", ""), "nodes"),
    ("no node label", (", node: {resource: node}", ""), "nodes"),
]


@pytest.mark.parametrize(("name", "change", "lost"), UNMEASURED, ids=[row[0] for row in UNMEASURED])
def test_what_a_rule_does_not_measure_is_not_asked(
    name: str, change: tuple[str, str], lost: str, tmp_path: Path
) -> None:
    """Without query or label there is nothing to ask; never a query that is not narrowed to a namespace or to names."""
    cpu, _ = both(resource_rules_from(RULES.replace(*change), tmp_path))

    pods, nodes = plan_pods(cpu, namespace="shop", names=["a"]), plan_nodes(cpu, names=["n"])

    assert [which for which, plan in (("pods", pods), ("nodes", nodes)) if plan is None] == [lost]
    assert (cpu.measures_pods, cpu.measures_nodes) == (lost != "pods", lost != "nodes")


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("<<index .GroupBySlice 9>>", "index out of range: 9"),
        ("<<.Series>>", "gives an empty query"),
        ("<<index .LabelValuesByName `pod`>>", "cannot be written into PromQL"),
    ],
)
def test_a_template_that_cannot_be_rendered_is_an_error(template: str, said: str, tmp_path: Path) -> None:
    """What prometheus-adapter swallows is said, with the rule and the key."""
    text = RULES.replace("sum by (<<.GroupBy>>) (rate(cpu{<<.LabelMatchers>>}[3m]))", f"'{template}'")

    with pytest.raises(UnusableResult, match=said) as caught:
        plans_of_pods(text, tmp_path, ['a"} or x{y="'])

    assert str(caught.value).startswith("rule resourceRules.cpu: containerQuery")


# ---- what the answers mean


def used(directory: Path, cpu: QueryAnswer, memory: QueryAnswer, *, compat: Compat = Compat.FIXED) -> list[PodUse]:
    """Return what the pods a and b of shop use."""
    rules = resource_rules_from(RULES, directory, compat=compat)
    pods = [pod("shop", "a", {"app": "web"}), pod("shop", "b")]
    objects = {}
    for (name, rule), one in zip(rules, (cpu, memory), strict=True):
        assert rule is not None
        plan = plan_pods(rule, namespace="shop", names=["a", "b"])
        assert plan is not None
        objects[name] = measured(plan, one, cut=rules.cut).objects
    return list(pod_uses(pods, objects, window_seconds=rules.window_seconds))


def test_pods_with_their_containers(tmp_path: Path) -> None:
    """A pod has its labels, its containers by name, the window of the file, and the earliest sample's time."""
    cpu = answer(("pod=a,container=y", 0.25), ("pod=a,container=x", 1.5), at=1010.0)
    memory = answer(("pod=a,container=x", 1024.0), ("pod=a,container=y", 40.0625), at=1007.0)

    [use] = used(tmp_path, cpu, memory)

    assert (use.namespace, use.name, use.labels, use.timestamp_seconds, use.window_seconds) == (
        "shop",
        "a",
        {"app": "web"},
        1007.0,
        180.0,
    )
    assert [(one.name, one.milli) for one in use.containers] == [
        ("x", {"cpu": 1500, "memory": 1_024_000}),
        ("y", {"cpu": 250, "memory": 40_062}),
    ]


A = "pod=a,container=x"
INCOMPLETE: list[tuple[str, list[tuple[str, float]], list[tuple[str, float]], dict[str, dict[str, dict[str, int]]]]] = [
    ("nothing", [], [], {}),
    ("no memory", [(A, 1.0)], [], {}),
    ("no cpu", [], [(A, 1.0)], {}),
    ("another pod's memory", [(A, 1.0)], [("pod=b,container=x", 1.0)], {}),
    (
        "a container without memory",
        [(A, 1.0), ("pod=a,container=y", 2.0)],
        [(A, 3.0)],
        {"a": {"x": {"cpu": 1000, "memory": 3000}, "y": {"cpu": 2000, "memory": 0}}},
    ),
    (
        "containers that have nothing in common",
        [(A, 1.0)],
        [("pod=a,container=y", 2.0)],
        {"a": {"x": {"cpu": 1000, "memory": 0}, "y": {"cpu": 0, "memory": 2000}}},
    ),
    ("no container", [("pod=a", 1.0)], [("pod=a", 2.0)], {"a": {"": {"cpu": 1000, "memory": 2000}}}),
    ("pods nobody asked for", [("pod=c,container=x", 1.0)], [("pod=c,container=x", 1.0)], {}),
    ("samples of no pod", [("container=x", 1.0)], [("", 1.0)], {}),
    ("NaN", [(A, math.nan)], [(A, 1.0)], {"a": {"x": {"cpu": 0, "memory": 1000}}}),
    ("below zero", [(A, -1.0)], [(A, -math.inf)], {"a": {"x": {"cpu": 0, "memory": 0}}}),
    ("infinite", [(A, 1.0), ("pod=b,container=x", 1.0)], [(A, math.inf), ("pod=b,container=x", 2.0)],
     {"b": {"x": {"cpu": 1000, "memory": 2000}}}),
    ("one infinite container", [(A, 1.0), ("pod=a,container=y", math.inf)], [(A, 1.0)], {}),
    ("huge", [(A, 1e300)], [(A, 1e300)], {"a": {"x": {"cpu": 9_200_000_000_000_000_000, "memory": 9_200_000_000_000_000_000}}}),
    ("duplicates", [(A + ",i=2", 2.0), (A + ",i=1", 1.0)], [(A, 1.0)], {"a": {"x": {"cpu": 2000, "memory": 1000}}}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "cpu", "memory", "expected"), INCOMPLETE, ids=[row[0] for row in INCOMPLETE])
def test_what_samples_are_worth(
    name: str,
    cpu: list[tuple[str, float]],
    memory: list[tuple[str, float]],
    expected: dict[str, dict[str, dict[str, int]]],
    tmp_path: Path,
) -> None:
    """A pod needs a sample of cpu and one of memory; a container of it with one of them has 0 of the other."""
    found = used(tmp_path, answer(*cpu), answer(*memory))

    assert {use.name: {one.name: dict(one.milli) for one in use.containers} for use in found} == expected


@pytest.mark.parametrize(("compat", "milli"), [(Compat.FIXED, 2000), (Compat.STRICT, 1999)])
def test_thousandths_are_rounded_or_cut(compat: Compat, milli: int, tmp_path: Path) -> None:
    """A finer number is rounded to the nearest thousandth, and cut under strict as in prometheus-adapter."""
    [use] = used(tmp_path, answer((A, 1.9999)), answer((A, 1.9999)), compat=compat)

    assert [dict(one.milli) for one in use.containers] == [{"cpu": milli, "memory": milli}]


def node_plan(directory: Path) -> UsePlan:
    """Return the query for cpu of the nodes n and m."""
    plan = plan_nodes(both(resource_rules_from(RULES, directory))[0], names=["m", "n"])
    assert plan is not None
    return plan


def test_nodes_need_cpu_and_memory(tmp_path: Path) -> None:
    """A node that lacks one of the two is left out."""
    plan = node_plan(tmp_path)
    cpu = measured(plan, answer(("node=n", 2.0), ("node=m", 1.0), ("node=other", 1.0), at=9.0), cut=False)
    memory = measured(plan, answer(("node=n", math.nan), at=8.0), cut=False)

    uses = node_uses(
        [node("m"), node("n", {"a": "b"})], {"cpu": cpu.objects, "memory": memory.objects}, window_seconds=1.0
    )

    assert uses == (
        NodeUse(name="n", labels={"a": "b"}, timestamp_seconds=8.0, window_seconds=1.0, milli={"cpu": 2000, "memory": 0}),
    )  # fmt: skip


def test_what_was_decided_is_told(tmp_path: Path) -> None:
    """NaN, infinite samples and duplicates are noted for the adapter's own metrics."""
    samples = answer(("node=n", math.nan), ("node=m", math.inf), ("node=m,i=1", math.inf))

    notes = measured(node_plan(tmp_path), samples, cut=False).notes

    assert [(one.what, one.name) for one in notes] == [("nan", "n"), ("duplicates", "m"), ("infinite", "m")]


HISTOGRAM = Sample(labels={"node": "n"}, value=math.nan, timestamp_seconds=1.0, histogram=True)


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (Scalar(value=1.0, timestamp_seconds=1.0), "returns a scalar"),
        (OtherResult(kind="matrix"), "returns a matrix, not an instant vector"),
        (Vector(samples=(HISTOGRAM,)), "returns a native histogram"),
    ],
    ids=["scalar", "matrix", "histogram"],
)
def test_a_result_of_another_type_is_an_error(result: Scalar | OtherResult | Vector, said: str, tmp_path: Path) -> None:
    """What cannot be told apart by node is never an empty list."""
    with pytest.raises(UnusableResult, match=said):
        measured(node_plan(tmp_path), QueryAnswer(result=result, evaluated_at_seconds=1.0), cut=False)
