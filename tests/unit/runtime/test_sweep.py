"""What is due together is asked together, and each gets what its own query would have given."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from relist_rig import HandClock

from adapter.config.load import load_rules
from adapter.errors import PrometheusUnavailable, QueryRejected, UpstreamError
from adapter.kube.resources import kubernetes_kinds, parse_group_resource
from adapter.kube.selectors import parse_selector
from adapter.promql.ast import parse_query
from adapter.promql.matchers import MatchOp
from adapter.promql.model import QueryAnswer, Sample, Vector
from adapter.rules.catalog import Entry
from adapter.rules.compile import Terms, compile_rules
from adapter.rules.query import Plan, plan_custom
from adapter.rules.rule import Rule
from adapter.rules.trail import NO_TRAIL
from adapter.runtime.cache import Cached, QueryCache
from adapter.runtime.fetching import Fetching

pytestmark = pytest.mark.anyio

RULES = """
rules:
- id: load
  seriesQuery: load{{namespace!="",pod!=""}}
  resources: {{overrides: {{namespace: {{resource: namespace}}, pod: {{resource: pod}}}}}}
  metricsQuery: sum(<<.Series>>{{<<.LabelMatchers>>}}) by (<<.GroupBy>>)
{more}
"""
KINDS = kubernetes_kinds()


class Prometheus:
    """Evaluates `sum` and `max` of one selector over series that a test sets.

    Attributes:
        asked: every query, in order.
        fails: gives the error of a query, or None.
    """

    def __init__(self) -> None:
        self.series: dict[tuple[str, str], float] = {}
        self.asked: list[str] = []
        self.fails: Callable[[str], UpstreamError | None] = lambda _promql: None
        self.gate = asyncio.Event()
        self.gate.set()
        self.waits = asyncio.Event()  # set once a query waits at the gate

    async def query(self, promql: str, *, at_seconds: float, deadline_seconds: float) -> QueryAnswer:
        self.asked.append(promql)
        if not self.gate.is_set():
            self.waits.set()
        await self.gate.wait()
        if error := self.fails(promql):
            raise error
        query = parse_query(promql)
        by = re.search(r"by \(([^)]*)\)", promql)
        assert query is not None
        assert by is not None
        labels = [one.strip() for one in by[1].split(",")]
        [selection] = query.selectors
        assert selection.selector is not None
        found: dict[tuple[tuple[str, str], ...], float] = defaultdict(float)
        for (namespace, pod), value in self.series.items():
            series = {"namespace": namespace, "pod": pod}
            if all(_takes(one.op, one.value, series.get(one.name, "")) for one in selection.selector.matchers):
                kept = tuple((label, series[label]) for label in labels)
                found[kept] += at_seconds - value if "timestamp" in promql else value
        samples = tuple(
            Sample(labels=dict(key), value=value, timestamp_seconds=at_seconds) for key, value in found.items()
        )
        return QueryAnswer(result=Vector(samples=samples), evaluated_at_seconds=at_seconds)


def _takes(op: MatchOp, wanted: str, value: str) -> bool:
    match op:
        case MatchOp.EQUAL:
            return value == wanted
        case MatchOp.NOT_EQUAL:
            return value != wanted
        case MatchOp.MATCHES:
            return re.fullmatch(wanted, value) is not None
        case MatchOp.NOT_MATCHES:
            return re.fullmatch(wanted, value) is None


class Reports:
    """Keeps what is reported."""

    def __init__(self) -> None:
        self.sweeps: list[tuple[str, int, int]] = []

    def cache_hit(self, *, age_seconds: float) -> None: ...
    def cache_miss(self) -> None: ...
    def cache_joined(self) -> None: ...
    def cache_size(self, *, entries: int, bytes_: float) -> None: ...
    def rule_queried(self, *, rule: str, outcome: str) -> None: ...
    def swept(self, *, outcome: str, queries: int, answers: int) -> None:
        self.sweeps.append((outcome, queries, answers))


class Rig:
    """Requests for the load of pods, each of whose values is a hundred times its namespace's number and its own."""

    def __init__(self, folder: Path, more: str = "", *, max_query_bytes: int = 16_384) -> None:
        path = folder / "rules.yaml"
        path.write_text(RULES.format(more=more))
        loaded = load_rules([str(path)], {})
        rulebook = compile_rules(loaded, Terms(kinds=KINDS)).rulebook
        [self.rule] = rulebook.rules
        self.clock = HandClock()
        self.prometheus = Prometheus()
        self.reports = Reports()
        clocks = self.clock.clocks()
        self.cache = QueryCache(max_bytes=10**7, max_entries=10_000, clock=clocks.monotonic, observer=self.reports)
        self.fetching = Fetching(
            backend=self.prometheus,
            cache=self.cache,
            clocks=clocks,
            observer=self.reports,
            timeout_seconds=5.0,
            max_query_bytes=max_query_bytes,
        )

    def fill(self, namespaces: int, pods: int) -> None:
        """Set series."""
        self.prometheus.series |= {(f"ns{n}", f"pod{p}"): n * 100.0 + p for n in range(namespaces) for p in range(pods)}

    def plan(self, namespace: str, *pods: str) -> Plan:
        """Return the plan of a request."""
        return plan_of(self.rule, namespace, pods)

    async def ask(self, namespace: str, *pods: str) -> Mapping[str, float]:
        """Return the values by pod, and assert that they are of the right namespace."""
        cached = await self.fetching.fetch(self.plan(namespace, *pods), NO_TRAIL)
        found = values_of(cached)
        assert found == {pod: self.prometheus.series[(namespace, pod)] for pod in found}
        return found

    async def ask_all(self, namespaces: int, *pods: str) -> None:
        """Ask for these pods of each namespace, one after the other."""
        for n in range(namespaces):
            assert set(await self.ask(f"ns{n}", *pods)) == set(pods)

    def queries(self) -> int:
        """Return how many queries there were since the last call."""
        asked, self.prometheus.asked = len(self.prometheus.asked), []
        return asked


def plan_of(rule: Rule, namespace: str, pods: tuple[str, ...]) -> Plan:
    """Return the plan of a request for pods."""
    kind = KINDS.resolve(parse_group_resource("pods"))
    entry = Entry(metric="load", kind=kind, series="load", label="pod", rule=rule)
    return plan_custom(
        entry, namespace=namespace, names=pods, metric_selector=parse_selector(""), kinds=KINDS, asked_for="pods"
    )


def values_of(cached: Cached) -> dict[str, float]:
    """Return the values of an answer by pod; its samples have no label but that."""
    assert isinstance(cached.answer.result, Vector)
    assert all(set(sample.labels) == {"pod"} for sample in cached.answer.result.samples)
    return {sample.labels["pod"]: sample.value for sample in cached.answer.result.samples}


async def test_many_callers_cost_one_query(tmp_path: Path) -> None:
    """What is new is asked for by itself; a period later everything that was asked for is one query."""
    rig = Rig(tmp_path)
    rig.fill(50, 3)

    await rig.ask_all(50, "pod0", "pod1")
    assert rig.queries() == 50
    for _ in range(4):
        rig.clock.now += 15.0
        await rig.ask_all(50, "pod0", "pod1")
        assert rig.queries() == 1

    assert rig.reports.sweeps == [("ok", 1, 50)] * 4


async def test_requests_that_come_together_share_the_sweep(tmp_path: Path) -> None:
    """While a sweep is under way those that it answers wait for it, and one that leaves stops nobody."""
    rig = Rig(tmp_path)
    rig.fill(10, 2)
    await rig.ask_all(10, "pod0")
    rig.queries()
    rig.clock.now += 15.0
    rig.prometheus.gate.clear()

    asking = [asyncio.create_task(rig.ask(f"ns{n}", "pod0")) for n in range(10)]
    await asyncio.sleep(0)
    asking[0].cancel()
    await asyncio.sleep(0)
    rig.prometheus.gate.set()
    found = await asyncio.gather(*asking[1:])

    assert found == [{"pod0": n * 100.0} for n in range(1, 10)]
    assert rig.queries() == 1


async def test_a_sweep_ends_with_the_cache(tmp_path: Path) -> None:
    """What is under way when the adapter stops is cancelled and awaited."""
    rig = Rig(tmp_path)
    rig.fill(2, 1)
    await rig.ask_all(2, "pod0")
    rig.clock.now += 15.0
    rig.prometheus.gate.clear()
    asking = asyncio.create_task(rig.ask("ns0", "pod0"))
    await rig.prometheus.waits.wait()

    await rig.cache.close()

    with pytest.raises(asyncio.CancelledError):
        await asking
    assert not [task for task in asyncio.all_tasks() if "Sweep" in repr(task.get_coro())]


async def test_what_nobody_asks_for_is_forgotten(tmp_path: Path) -> None:
    """A sweep has only what was asked for within two periods of an autoscaler."""
    rig = Rig(tmp_path)
    rig.fill(3, 1)
    await rig.ask_all(3, "pod0")
    for _ in range(3):
        rig.clock.now += 15.0
        await rig.ask_all(2, "pod0")

    assert [answers for _, _, answers in rig.reports.sweeps] == [3, 3, 2]


async def test_an_absent_object_stays_absent(tmp_path: Path) -> None:
    """A pod without a series has no sample in a shared answer either, and one of the same name elsewhere lends none."""
    rig = Rig(tmp_path)
    rig.fill(2, 2)
    del rig.prometheus.series[("ns0", "pod1")]

    for _ in range(2):
        assert await rig.ask("ns0", "pod0", "pod1") == {"pod0": 0.0}
        assert await rig.ask("ns1", "pod0", "pod1") == {"pod0": 100.0, "pod1": 101.0}
        rig.clock.now += 15.0

    assert rig.reports.sweeps == [("ok", 1, 2)]


FAULTS = [
    ("refused", QueryRejected("multiple matches for labels", status=422, kind="execution")),
    ("too large", PrometheusUnavailable("more than 16 MiB", kind="too_large")),
]


@pytest.mark.parametrize(("name", "error"), FAULTS, ids=[name for name, _ in FAULTS])
async def test_a_shared_query_that_fails_is_asked_for_each(name: str, error: UpstreamError, tmp_path: Path) -> None:
    """All get their answers within the same request, and for a while nothing is shared."""
    rig = Rig(tmp_path)
    rig.fill(5, 2)
    rig.prometheus.fails = lambda promql: error if "=~" in promql else None

    await rig.ask_all(5, "pod0")
    for _ in range(4):
        rig.clock.now += 15.0
        await rig.ask_all(5, "pod0")

    outcomes = [outcome for outcome, _, _ in rig.reports.sweeps]
    assert outcomes == ["separate", "separate"]  # without names, and with them
    rig.prometheus.fails = lambda _: None
    rig.clock.now += 301.0
    await rig.ask_all(5, "pod0")
    rig.queries()
    rig.clock.now += 15.0
    await rig.ask_all(5, "pod0")
    assert rig.queries() == 1


async def test_only_who_fails_alone_gets_the_error(tmp_path: Path) -> None:
    """A namespace at fault makes the shared query fail, and only its own callers see it."""
    rig = Rig(tmp_path)
    rig.fill(3, 1)
    await rig.ask_all(3, "pod0")
    error = QueryRejected("vector cannot contain metrics with the same labelset", status=422, kind="execution")
    rig.prometheus.fails = lambda promql: error if "ns1" in promql else None
    rig.clock.now += 15.0

    assert await rig.ask("ns0", "pod0") == {"pod0": 0.0}
    with pytest.raises(QueryRejected):
        await rig.ask("ns1", "pod0")
    assert await rig.ask("ns2", "pod0") == {"pod0": 200.0}


async def test_a_dead_prometheus_is_an_error_for_all(tmp_path: Path) -> None:
    """Nobody is asked for again when the server as a whole does not answer, and no old value is served."""
    rig = Rig(tmp_path)
    rig.fill(3, 1)
    await rig.ask_all(3, "pod0")
    rig.queries()
    rig.prometheus.fails = lambda _: PrometheusUnavailable("connection refused", kind="connection")
    rig.clock.now += 15.0

    found = await asyncio.gather(*(rig.ask(f"ns{n}", "pod0") for n in range(3)), return_exceptions=True)

    assert all(isinstance(one, PrometheusUnavailable) for one in found)
    assert rig.queries() == 1
    rig.prometheus.fails = lambda _: None
    await rig.ask_all(3, "pod0")
    assert rig.queries() == 1


async def test_names_are_written_where_namespaces_hold_much_more(tmp_path: Path) -> None:
    """A query without names that brings far more than was asked for is followed by one with names."""
    rig = Rig(tmp_path)
    rig.fill(4, 100)
    await rig.ask_all(4, "pod0")
    for _ in range(2):
        rig.clock.now += 15.0
        await rig.ask_all(4, "pod0")

    assert [('pod="pod0"' in promql) for promql in rig.prometheus.asked[-2:]] == [False, True]


async def test_a_long_list_of_names_is_divided(tmp_path: Path) -> None:
    """A query that would be longer than allowed is sent in parts, and the answer is the whole."""
    rig = Rig(tmp_path, max_query_bytes=100)
    rig.fill(1, 100)
    pods = [f"pod{p}" for p in range(100)]

    assert set(await rig.ask("ns0", *pods)) == set(pods)
    assert len(rig.prometheus.asked) > 1
    assert all(len(promql) <= 100 for promql in rig.prometheus.asked)


@pytest.mark.parametrize("more", ["  fuse: never", "  cacheTTL: 0"])
async def test_who_does_not_want_it_is_asked_alone(more: str, tmp_path: Path) -> None:
    """`fuse: never` and a cache that is off leave each request its own query."""
    rig = Rig(tmp_path, more)
    rig.fill(3, 1)
    await rig.ask_all(3, "pod0")
    rig.queries()
    rig.clock.now += 15.0
    await rig.ask_all(3, "pod0")

    assert rig.queries() == 3
    assert rig.reports.sweeps == []


async def test_ages_are_asked_for_together_too(tmp_path: Path) -> None:
    """With maxSampleAge the questions of all members' ages are one query, at the time of the values."""
    rig = Rig(tmp_path, "  maxSampleAge: 2m")
    rig.fill(3, 1)
    await rig.ask_all(3, "pod0")
    assert rig.queries() == 6
    rig.clock.now += 15.0
    cached = [await rig.fetching.fetch(rig.plan(f"ns{n}", "pod0"), NO_TRAIL) for n in range(3)]

    assert rig.queries() == 2
    # The fake's samples are as many seconds old as their values.
    assert [bool(one.ages and one.ages.too_old("pod0")) for one in cached] == [False, False, True]
