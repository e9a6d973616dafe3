"""Laws of cpu and memory: what is told depends on the samples alone, and names never leave their matchers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st
from resource_rig import RULES, both, pod, resource_rules_from

from adapter.kube.quantity import MILLI_LIMIT
from adapter.kube.resource_metrics import PodUse
from adapter.promql.ast import parse_query
from adapter.promql.model import QueryAnswer, Sample, Vector
from adapter.rules.resource_plan import plan_pods
from adapter.rules.resource_rule import ResourceRules
from adapter.rules.resource_values import measured, pod_uses

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
PODS = ("a", "b", "c")
CONTAINERS = ("", "x", "y")


@dataclass(frozen=True)
class Said:
    """One sample, as Prometheus may say it."""

    pod: str
    container: str
    value: float
    at_seconds: float


SAID = st.builds(
    Said,
    pod=st.sampled_from((*PODS, "stranger")),
    container=st.sampled_from(CONTAINERS),
    value=st.floats(),
    at_seconds=st.floats(min_value=0.0, max_value=1e9),
)
SAMPLES = st.lists(SAID, max_size=8, unique_by=lambda one: (one.pod, one.container))


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> ResourceRules:
    """Return rules for cpu and memory."""
    return resource_rules_from(RULES, tmp_path_factory.mktemp("rules"))


def used(rules: ResourceRules, cpu: Sequence[Said], memory: Sequence[Said]) -> Mapping[str, PodUse]:
    """Return what the three pods use, by name."""
    objects = {}
    for (name, rule), said in zip(rules, (cpu, memory), strict=True):
        assert rule is not None
        plan = plan_pods(rule, namespace="shop", names=PODS)
        assert plan is not None
        samples = tuple(
            Sample(
                labels={"pod": one.pod, "container": one.container}, value=one.value, timestamp_seconds=one.at_seconds
            )
            for one in said
        )
        objects[name] = measured(
            plan, QueryAnswer(result=Vector(samples=samples), evaluated_at_seconds=0.0), cut=False
        ).objects
    uses = pod_uses([pod("shop", name) for name in PODS], objects, window_seconds=1.0)
    return {one.name: one for one in uses}


@given(cpu=SAMPLES, memory=SAMPLES)
def test_a_pod_is_told_by_its_own_samples(rules: ResourceRules, cpu: list[Said], memory: list[Said]) -> None:
    """A pod is listed if it has both resources and nothing infinite; its containers and its time are those of its samples."""
    found = used(rules, cpu, memory)

    for name in PODS:
        own = [[one for one in said if one.pod == name] for said in (cpu, memory)]
        infinite = any(one.value == float("inf") for said in own for one in said)
        assert (name in found) is (all(own) and not infinite)
    for name, use in found.items():
        mine = [one for one in (*cpu, *memory) if one.pod == name]
        assert [one.name for one in use.containers] == sorted({one.container for one in mine})
        assert use.timestamp_seconds == min(one.at_seconds for one in mine)
        assert all(0 <= milli <= MILLI_LIMIT for one in use.containers for milli in one.milli.values())
        assert all(set(one.milli) == {"cpu", "memory"} for one in use.containers)


@given(cpu=SAMPLES, memory=SAMPLES, data=st.data())
def test_the_order_of_samples_does_not_matter(
    rules: ResourceRules, cpu: list[Said], memory: list[Said], data: st.DataObject
) -> None:
    """Prometheus promises no order, and the answer has one of its own."""
    shuffled = data.draw(st.permutations(cpu)), data.draw(st.permutations(memory))

    assert used(rules, cpu, memory) == used(rules, *shuffled)


@given(namespace=TEXT, names=st.lists(TEXT, min_size=1, max_size=5, unique=True), other=TEXT)
def test_names_stay_in_their_matchers(rules: ResourceRules, namespace: str, names: list[str], other: str) -> None:
    """Whatever the names are, the real PromQL parser finds two matchers, which take these pods of this namespace only."""
    for rule in both(rules):
        plan = plan_pods(rule, namespace=namespace, names=names)
        assert plan is not None
        query = parse_query(plan.promql)
        assert query is not None
        [selection] = query.selectors
        assert selection.selector is not None
        of_namespace, of_pods = selection.selector.matchers
        assert (of_namespace.name, of_namespace.op.value, of_namespace.value) == ("namespace", "=", namespace)
        assert of_pods.name == "pod"
        if len(names) == 1:
            assert (of_pods.op.value, of_pods.value) == ("=", names[0])
        else:
            assert of_pods.op.value == "=~"
            assert all(re2.fullmatch(f"(?s:{of_pods.value})", name) for name in names)
            assert bool(re2.fullmatch(f"(?s:{of_pods.value})", other)) is (other in names)
