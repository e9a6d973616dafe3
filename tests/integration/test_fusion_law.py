"""The law of fusion, on a real Prometheus: a shared query, split, gives each request what its own query gives.

Each kind of node that may be fused gets as many cases, of which it is a part. TIDEGAUGE_FUSION_CASES=100 runs the long
form, with so many cases of each kind (9,700 in all, five minutes), and asks that each kind was fused and compared at
least 50 times, and half as often in a query that gave somebody samples. Without it some 480 cases run, the same ones each time.
"""

from __future__ import annotations

import math
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest
from fusion_cases import AnyPlan, Case, Rules, cases
from fusion_kinds import kinds_of, wanted_kinds
from fusion_traps import TRAPS, Trap
from fusion_world import NAMESPACES, Asking, fill, rows
from hypothesis import HealthCheck, given, settings
from rig.prometheus import PrometheusFiles, PrometheusProcess
from rig.remote_write import FLAG, WrittenSeries, remote_write
from rules_rig import rulebook_from

from adapter.errors import QueryRejected
from adapter.promql.model import QueryAnswer
from adapter.rules.fusion import (
    FusedQuery,
    Shape,
    Split,
    asks_separately,
    fused,
    is_for_all,
    member_of,
    shape_of,
    skeleton_of,
    split,
)
from adapter.rules.rule import Rulebook

CASES = int(os.environ.get("TIDEGAUGE_FUSION_CASES", "0"))
LONG = CASES > 0
DEFAULT_CASES = 5
WORLDS = 24 if LONG else 6
OFTEN = 50
REPEATS = 20
SETTINGS = settings(
    max_examples=CASES or DEFAULT_CASES,
    derandomize=not LONG,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
RULES = """
rules:
- &pods
  seriesQuery: load
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: <<.Series>>{<<.LabelMatchers>>}
- <<: *pods
  resources: {overrides: {exported_namespace: {resource: namespace}, pod: {resource: pod}}}
externalRules:
- &queues
  seriesQuery: load
  resources: {overrides: {namespace: {resource: namespace}}}
  metricsQuery: <<.Series>>{<<.LabelMatchers>>}
- <<: *queues
  resources: {overrides: {exported_namespace: {resource: namespace}}}
"""


@pytest.fixture(scope="module")
def asking(prometheus_binaries: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    """A Prometheus with all worlds in its head, asked at one instant."""
    files = PrometheusFiles(binaries=prometheus_binaries, home=tmp_path_factory.mktemp("fusion"))
    at_seconds = float(int(time.time()) - 5)
    with (
        PrometheusProcess.start(files, flags=[FLAG]) as process,
        httpx.Client(base_url=process.url, trust_env=False, timeout=30.0) as client,
    ):
        assert fill(process.url, WORLDS, at_seconds) > 100 * WORLDS
        yield Asking(client=client, at_seconds=at_seconds)


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Rules:
    """Return the rules whose queries the cases exchange."""
    rulebook: Rulebook = rulebook_from(RULES, tmp_path_factory.mktemp("rules"))
    pods, exported_pods, external, exported_external = rulebook.rules
    return Rules(pods=pods, exported_pods=exported_pods, external=external, exported_external=exported_external)


TRAP_REQUESTS = (
    *((namespace, ("p-1", "p-2")) for namespace in NAMESPACES),
    ("shop", ("q.1",)),
    ("web", ("q.1", "p-10")),
)


def by_shape(plans: Sequence[AnyPlan]) -> dict[Shape, list[AnyPlan]]:
    """Put together the plans that may share a query."""
    found: dict[Shape, list[AnyPlan]] = {}
    for plan in plans:
        shape = shape_of(skeleton_of(plan))
        if isinstance(shape, Shape):
            found.setdefault(shape, []).append(plan)
    return found


def ways_of(shape: Shape, plans: Sequence[AnyPlan]) -> Iterator[tuple[str, tuple[FusedQuery, ...]]]:
    """Yield the forms in which plans can be asked together."""
    members = [member_of(plan) for plan in plans]
    yield "united", fused(shape, members, max_bytes=16_384)
    if shape.label:
        yield "widened", fused(shape, members, max_bytes=16_384, widened=True)
    whole = len(fused(shape, members, max_bytes=16_384)[0].promql)
    yield "divided", fused(shape, members, max_bytes=whole - 10)


def differences(asking: Asking, shape: Shape, plans: Sequence[AnyPlan], counts: Counter[str]) -> list[str]:
    """Return what a shared query gives that separate ones do not; nothing, if the law holds."""
    alone = {member_of(plan): (plan.promql, asking.ask(plan.promql)) for plan in plans}
    found = []
    for way, queries in ways_of(shape, plans):
        answers = [(query, asking.ask(query.promql)) for query in queries]
        good = [(query, answer) for query, answer in answers if isinstance(answer, QueryAnswer) and is_for_all(answer)]
        if len(good) < len(answers):
            counts["rejected"] += 1
            continue
        parted = split(good, alone)
        if not isinstance(parted, Split):
            found.append(f"{way}: {parted}")
            continue
        counts[way] += 1
        for member, (promql, answer) in alone.items():
            if isinstance(answer, QueryRejected):
                # An operator without samples on one side does not look at the other, so a part may not meet the fault.
                counts["answered in parts"] += way == "divided"
                found += [] if way == "divided" else [f"{way}: {member} alone: {answer}"]
                continue
            own, share = sorted(rows(answer.result)), sorted(rows(parted.vectors[member]))
            counts["compared"] += 1
            counts["with samples"] += bool(own)
            if own != share and not is_given_alone(asking, promql, share, counts):
                found.append(f"{way}: {queries[0].promql}\n{member}\n  alone  {own}\n  shared {share}")
    return found


def is_given_alone(asking: Asking, promql: str, share: list[tuple[str, str]], counts: Counter[str]) -> bool:
    """Say whether a query gives these samples at another time, or all but the last digits of their values.

    Prometheus gives the samples of subqueries and of histogram_quantile in another order each time, so what is summed
    up from them differs a little each time; what is compared or rounded after that differs by more.
    """
    if not kinds_of(promql) & {"subquery", "function:histogram_quantile"}:
        return False
    counts["unsteady"] += 1
    given = [
        sorted(rows(answer.result)) for _ in range(REPEATS) if isinstance(answer := asking.ask(promql), QueryAnswer)
    ]
    seen = {row for answer in given for row in answer}
    alike = all([labels for labels, _ in share] == [labels for labels, _ in answer] for answer in given)
    return alike and all(row in seen or any(are_close(row, other) for other in seen) for row in share)


def are_close(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Say whether two samples have the same labels, and values that differ in the last digits only."""
    numbers = [float(value.partition(" ")[0]) for _, value in (one, other)]
    return one[0] == other[0] and math.isclose(*numbers, rel_tol=1e-9, abs_tol=1e-12)


def test_a_shared_query_gives_what_separate_queries_give(asking: Asking, rules: Rules) -> None:
    """For generated rules, data and requests: united, widened and divided queries give each request its own answer.

    At least half of the cases are fused, and what may be fused is met.
    """
    counts: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    fruitful: Counter[str] = Counter()

    def law(case: Case) -> None:
        plans = rules.plans(case)
        shapes = by_shape(plans)
        counts["cases"] += 1
        counts["fused"] += any(len(sharing) > 1 for sharing in shapes.values())
        for shape, sharing in shapes.items():
            compared, fruits = counts["compared"], counts["with samples"]
            found = differences(asking, shape, sharing, counts)
            assert not found, "\n".join([str(case), *found])
            its_kinds = kinds_of(sharing[0].promql)
            kinds.update(its_kinds if counts["compared"] > compared else ())
            fruitful.update(its_kinds if counts["with samples"] > fruits else ())

    for kind in sorted(wanted_kinds()):
        SETTINGS(given(case=cases(WORLDS, kind))(law))()

    print(dict(counts), sorted((count, fruitful[kind], kind) for kind, count in kinds.items()))  # noqa: T201 - figures for people, with -s

    assert counts["cases"] >= (2000 if LONG else 100)
    assert counts["fused"] >= counts["cases"] / 2
    assert counts["unsteady"] <= counts["cases"] / 50
    assert counts["answered in parts"] <= counts["cases"] / 500
    assert not LONG or not {kind for kind in wanted_kinds() if kinds[kind] < OFTEN or fruitful[kind] < OFTEN / 2}


@pytest.mark.parametrize("trap", TRAPS, ids=[f"{trap.api} {trap.query}" for trap in TRAPS])
def test_each_trap_is_equal_or_not_shared(asking: Asking, rules: Rules, trap: Trap) -> None:
    """What looks as if it could be shared is asked alone, and what is shared is equal, in several worlds."""
    custom = trap.api == "custom"
    requests = TRAP_REQUESTS if custom else tuple((namespace, ()) for namespace in NAMESPACES)
    counts: Counter[str] = Counter()
    for world in range(WORLDS):
        case = Case(api=trap.api, template=trap.query, world=world, requests=requests)
        plans = rules.plans(case)
        shapes = by_shape(plans)
        counts["shared"] += len(shapes) == 1
        for shape, sharing in shapes.items():
            assert not differences(asking, shape, sharing, counts)

    assert counts["shared"] == (0 if trap.reason else WORLDS)


def test_a_query_that_one_member_breaks_is_asked_separately(asking: Asking, rules: Rules) -> None:
    """A rule on two metrics fails in the namespace that has both; shared it fails, and only that member fails alone."""
    at = asking.at_seconds
    broken = [("w0_both_one", "shop"), ("w0_both_two", "shop"), ("w0_both_one", "web")]
    remote_write(
        str(asking.client.base_url),
        [
            WrittenSeries(
                labels={"__name__": metric, "namespace": namespace, "pod": "p-1"},
                samples=[(at - 60.0, 1.0), (at - 30.0, 2.0), (at, 3.0)],
            )
            for metric, namespace in broken
        ],
    )
    template = 'rate({__name__=~"W_both_.*",<<.LabelMatchers>>}[5m])'
    requests = (("shop", ("p-1",)), ("web", ("p-1",)))
    plans = rules.plans(Case(api="custom", template=template, world=0, requests=requests))
    [(shape, _)] = by_shape(plans).items()

    [query] = fused(shape, [member_of(plan) for plan in plans], max_bytes=16_384)
    shared, alone = asking.ask(query.promql), [asking.ask(plan.promql) for plan in plans]

    assert isinstance(shared, QueryRejected)
    assert asks_separately(shared)
    assert [type(answer) for answer in alone] == [QueryRejected, QueryAnswer]
