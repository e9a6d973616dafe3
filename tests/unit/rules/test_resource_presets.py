"""The resource rules that we ship: without a problem, and read by the labels that their comments name."""

from __future__ import annotations

from pathlib import Path

import pytest
from resource_rig import answer, both, node, pod
from rules_rig import KINDS

from adapter.config.load import load_rules
from adapter.promql.ast import parse_query
from adapter.rules.checks import static_problems
from adapter.rules.compile import Compiled, Terms, compile_rules
from adapter.rules.resource_plan import UsePlan, plan_nodes, plan_pods
from adapter.rules.resource_rule import ResourceRules
from adapter.rules.resource_values import measured, node_uses, pod_uses

FOLDER = Path(__file__).parents[3] / "config"
# Windows containers are known by an id: what is asked of them is narrowed by a join only.
ALONE = {"windows": [("query/not-shared", f"resourceRules.{use}") for use in ("cpu", "memory")]}
PRESETS = {path.stem.removeprefix("resource-"): path for path in sorted(FOLDER.glob("resource-*.yaml"))}


def compiled_preset(name: str) -> tuple[Compiled, ResourceRules]:
    """Compile one of the files."""
    compiled = compile_rules(load_rules([str(PRESETS[name])], {}), Terms(kinds=KINDS))
    rules = compiled.rulebook.resource_rules
    assert rules is not None
    return compiled, rules


def plans(rules: ResourceRules) -> tuple[list[UsePlan], list[UsePlan]]:
    """Return the queries for two pods and for two nodes: cpu and memory of each."""
    pods = [plan_pods(rule, namespace="shop", names=["web-0", "web-1"]) for rule in both(rules)]
    nodes = [plan_nodes(rule, names=["n1", "n2"]) for rule in both(rules)]
    return [one for one in pods if one], [one for one in nodes if one]


def test_there_is_a_preset_for_each_layout() -> None:
    """The layouts that people meet, a file each."""
    assert list(PRESETS) == ["cadvisor", "k3s", "kubelet", "node-exporter", "windows"]


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_has_no_problem(name: str) -> None:
    """`tidegauge check` says nothing about what we ship; but for the series that name no pod, which cannot be helped."""
    compiled, _ = compiled_preset(name)
    loaded = load_rules([str(PRESETS[name])], {})

    found = static_problems(compiled.rulebook, loaded, KINDS)

    assert compiled.problems == ()
    assert [(one.code, one.rule) for one in found] == ALONE.get(name, [])


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_asks_for_what_is_asked_only(name: str) -> None:
    """Each query can be read as PromQL, and is narrowed to the pods of the namespace or to the nodes."""
    of_pods, of_nodes = plans(compiled_preset(name)[1])

    assert (len(of_pods), len(of_nodes)) == (2, 2)
    for plan in (*of_pods, *of_nodes):
        query = parse_query(plan.promql)
        assert query is not None, plan.promql
        selectors = [one.selector for one in query.selectors if one.selector]
        narrowed = [{str(one) for one in selector.matchers} for selector in selectors]
        names = "|".join(plan.names)
        wanted = {f'{plan.label}=~"{names}"', *(['namespace="shop"'] if plan in of_pods else [])}
        # Series of windows-exporter name containers by their id, so what they are joined with is narrowed.
        assert all(wanted <= one or 'container_id!=""' in one for one in narrowed), plan.promql
        assert any(wanted <= one for one in narrowed)


@pytest.mark.parametrize("name", PRESETS)
def test_what_comes_back_is_read(name: str) -> None:
    """Samples with the labels that a preset groups by become pods with containers, and nodes."""
    _, rules = compiled_preset(name)
    of_pods, of_nodes = plans(rules)
    label = of_nodes[0].label
    cpu = measured(of_pods[0], answer(("pod=web-0,container=app", 0.5)), cut=rules.cut)
    memory = measured(of_pods[1], answer(("pod=web-0,container=app", 1024.0)), cut=rules.cut)
    node_cpu = measured(of_nodes[0], answer((f"{label}=n1", 2.0)), cut=rules.cut)
    node_memory = measured(of_nodes[1], answer((f"{label}=n1", 4096.0)), cut=rules.cut)

    pods = pod_uses(
        [pod("shop", "web-0"), pod("shop", "web-1")],
        {"cpu": cpu.objects, "memory": memory.objects},
        window_seconds=rules.window_seconds,
    )
    nodes = node_uses(
        [node("n1"), node("n2")],
        {"cpu": node_cpu.objects, "memory": node_memory.objects},
        window_seconds=rules.window_seconds,
    )

    assert [(one.name, [(part.name, part.milli) for part in one.containers]) for one in pods] == [
        ("web-0", [("app", {"cpu": 500, "memory": 1_024_000})])
    ]
    assert [(one.name, one.milli, one.window_seconds) for one in nodes] == [
        ("n1", {"cpu": 2000, "memory": 4_096_000}, 180.0)
    ]


@pytest.mark.parametrize("name", PRESETS)
def test_the_window_is_the_range_of_the_queries(name: str) -> None:
    """What is reported as the window is what the rates are taken over."""
    _, rules = compiled_preset(name)
    of_pods, of_nodes = plans(rules)

    assert rules.window_seconds == 180.0
    assert all("[3m]" in plan.promql for plan in (of_pods[0], of_nodes[0]))
