"""Requests for the load of pods against a Prometheus that evaluates `sum` and `max` of one selector."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

from relist_rig import HandClock

from adapter.config.load import load_rules
from adapter.errors import QueryRejected, UpstreamError
from adapter.kube.resources import kubernetes_kinds, parse_group_resource
from adapter.kube.selectors import parse_selector
from adapter.promql.ast import parse_query
from adapter.promql.matchers import MatchOp
from adapter.promql.model import QueryAnswer, Sample, Vector
from adapter.rules.catalog import Entry
from adapter.rules.compile import Terms, compile_rules
from adapter.rules.query import Plan, plan_custom
from adapter.rules.rule import Rule
from adapter.rules.trail import NO_TRAIL, Trail
from adapter.runtime.cache import Cached, QueryCache
from adapter.runtime.fetching import Fetching
from adapter.runtime.limits import Limits

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
        asked: every query, in order, and the times at which they were evaluated.
        fails: gives the error of a query, or None.
        remarks: gives what the server remarks about a query.
        most_series: how many series it reads for one query, as `--query.max-samples` bounds them.
    """

    def __init__(self) -> None:
        self.series: dict[tuple[str, str], float] = {}
        self.asked: list[str] = []
        self.at: list[float] = []
        self.under_way = 0
        self.most_under_way = 0
        self.fails: Callable[[str], UpstreamError | None] = lambda _promql: None
        self.remarks: Callable[[str], tuple[str, ...]] = lambda _promql: ()
        self.most_series = 1_000_000
        self.gate = asyncio.Event()
        self.gate.set()
        self.stops: Callable[[str], bool] = lambda _promql: True  # which queries the gate is for
        self.waits = asyncio.Event()  # set once a query waits at the gate

    async def query(self, promql: str, *, at_seconds: float, deadline_seconds: float) -> QueryAnswer:
        self.asked.append(promql)
        self.at.append(at_seconds)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            if self.stops(promql) and not self.gate.is_set():
                self.waits.set()
                await self.gate.wait()
        finally:
            self.under_way -= 1
        if error := self.fails(promql):
            raise error
        query = parse_query(promql)
        by = re.search(r"by \(([^)]*)\)", promql)
        assert query is not None
        assert by is not None
        labels = [one.strip() for one in by[1].split(",")]
        [selection] = query.selectors
        assert selection.selector is not None
        read = 0
        found: dict[tuple[tuple[str, str], ...], float] = defaultdict(float)
        for (namespace, pod), value in self.series.items():
            series = {"namespace": namespace, "pod": pod}
            if all(_takes(one.op, one.value, series.get(one.name, "")) for one in selection.selector.matchers):
                read += 1
                kept = tuple((label, series[label]) for label in labels)
                found[kept] += at_seconds - value if "timestamp" in promql else value
        if read > self.most_series:
            text = "query processing would load too many samples into memory in query execution"
            raise QueryRejected(text, status=422, kind="execution")
        samples = tuple(
            Sample(labels=dict(key), value=value, timestamp_seconds=at_seconds) for key, value in found.items()
        )
        return QueryAnswer(
            result=Vector(samples=samples), evaluated_at_seconds=at_seconds, annotations=self.remarks(promql)
        )


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
        self.limits: list[tuple[str, str, int]] = []
        self.stale: list[float] = []

    def cache_hit(self, *, age_seconds: float) -> None: ...
    def cache_miss(self) -> None: ...
    def cache_joined(self) -> None: ...
    def cache_size(self, *, entries: int, bytes_: float) -> None: ...
    def rule_queried(self, *, rule: str, outcome: str) -> None: ...
    def swept(self, *, outcome: str, queries: int, answers: int) -> None:
        self.sweeps.append((outcome, queries, answers))

    def limit_changed(self, *, backend: str, kind: str, change: str, limits: int) -> None:
        self.limits.append((kind, change, limits))

    def stale_told(self, *, rule: str, age_seconds: float) -> None:
        self.stale.append(age_seconds)


class Rig:
    """Requests for the load of pods, each of whose values is a hundred times its namespace's number and its own."""

    def __init__(
        self,
        folder: Path,
        more: str = "",
        *,
        max_query_bytes: int = 16_384,
        grid_seconds: float = 0.0,
        timeout_seconds: float = 5.0,
        cache_entries: int = 10_000,
        spread: Callable[[], float] = lambda: 0.5,
    ) -> None:
        path = folder / "rules.yaml"
        path.write_text(RULES.format(more=more))
        loaded = load_rules([str(path)], {})
        rulebook = compile_rules(loaded, Terms(kinds=KINDS)).rulebook
        [self.rule] = rulebook.rules
        self.clock = HandClock()
        self.prometheus = Prometheus()
        self.reports = Reports()
        clocks = self.clock.clocks()
        self.cache = QueryCache(
            max_bytes=10**7, max_entries=cache_entries, clock=clocks.monotonic, observer=self.reports
        )
        self.slept: list[float] = []
        self.fetching = Fetching(
            backend=self.prometheus,
            cache=self.cache,
            clocks=clocks,
            observer=self.reports,
            timeout_seconds=timeout_seconds,
            limits=Limits(backend="default", clock=clocks.monotonic, observer=self.reports, max_bytes=max_query_bytes),
            evaluation_grid_seconds=grid_seconds,
            sleep=self.sleep,
            spread=spread,
        )

    async def sleep(self, seconds: float) -> None:
        """Let others have their turn; time goes on when a test says so."""
        self.slept.append(seconds)
        await asyncio.sleep(0)

    def fill(self, namespaces: int, pods: int) -> None:
        """Set series."""
        self.prometheus.series |= {(f"ns{n}", f"pod{p}"): n * 100.0 + p for n in range(namespaces) for p in range(pods)}

    def plan(self, namespace: str, *pods: str) -> Plan:
        """Return the plan of a request."""
        return plan_of(self.rule, namespace, pods)

    async def ask(self, namespace: str, *pods: str) -> Mapping[str, float]:
        """Return the values by pod, and assert that they are of the right namespace."""
        cached = await self.cached(namespace, *pods)
        found = values_of(cached)
        assert found == {pod: self.prometheus.series[(namespace, pod)] for pod in found}
        return found

    async def cached(self, namespace: str, *pods: str, trail: Trail = NO_TRAIL) -> Cached:
        """Return the answer as it is kept."""
        return await self.fetching.fetch(self.plan(namespace, *pods), trail)

    async def ask_all(self, namespaces: int, *pods: str) -> None:
        """Ask for these pods of each namespace, one after the other."""
        for n in range(namespaces):
            assert set(await self.ask(f"ns{n}", *pods)) == set(pods)

    async def settled(self) -> None:
        """Let what was begun in the background go on until it ends or waits."""
        for _ in range(100):
            await asyncio.sleep(0)

    def queries(self) -> int:
        """Return how many queries there were since the last call."""
        asked, self.prometheus.asked, self.prometheus.at = len(self.prometheus.asked), [], []
        return asked

    def times(self) -> list[float]:
        """Return when they were evaluated, on the clock of the test."""
        return [at - 1_700_000_000.0 for at in self.prometheus.at]


def plan_of(rule: Rule, namespace: str, pods: tuple[str, ...], selector: str = "") -> Plan:
    """Return the plan of a request for pods, with a metric selector."""
    kind = KINDS.resolve(parse_group_resource("pods"))
    entry = Entry(metric="load", kind=kind, series="load", label="pod", rule=rule)
    return plan_custom(
        entry, namespace=namespace, names=pods, metric_selector=parse_selector(selector), kinds=KINDS, asked_for="pods"
    )


def values_of(cached: Cached) -> dict[str, float]:
    """Return the values of an answer by pod; its samples have no label but that."""
    assert isinstance(cached.answer.result, Vector)
    assert all(set(sample.labels) == {"pod"} for sample in cached.answer.result.samples)
    return {sample.labels["pod"]: sample.value for sample in cached.answer.result.samples}
