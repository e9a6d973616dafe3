"""The story of a request: who is asked, what is answered, and what every kind of failure becomes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from relist_rig import FakeBackend, HandClock, Reports
from rules_rig import KINDS, rulebook_from

from adapter.errors import (
    DeadlineExceeded,
    Forbidden,
    MetricNotFound,
    ObjectsUnavailable,
    PrometheusUnavailable,
    QueryRejected,
    ReferenceDefect,
    UnsupportedSelector,
    UnusableResult,
)
from adapter.kube.documents import ObjectMeta
from adapter.kube.resources import GroupResource, Kind, Kinds, parse_group_resource
from adapter.kube.selectors import EVERYTHING, Selector, parse_selector
from adapter.promql.model import QueryAnswer, Sample, Vector
from adapter.rules.requests import ByName, BySelector, CustomMetricRequest, ExternalMetricRequest
from adapter.rules.rule import Compat
from adapter.rules.trail import Trail
from adapter.runtime.cache import QueryCache
from adapter.runtime.fetching import Fetching
from adapter.runtime.held import HeldValues
from adapter.runtime.limits import Limits
from adapter.runtime.provider import Provider
from adapter.runtime.relist import Relist, RelistSettings

pytestmark = pytest.mark.anyio

GADGET = Kind(group="example.com", version="v1", kind="Gadget", plural="gadgets", singular="gadget", namespaced=False)
RULES = """
rules:
- id: load
  seriesQuery: 'load{pod!=""}'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}, node: {resource: node}, gadget: {group: example.com, resource: gadget}}}
  metricsQuery: <<.Series>>{<<.LabelMatchers>>}[5m]
  %s
externalRules:
- id: depth
  seriesQuery: depth
  metricsQuery: max_over_time(<<.Series>>{<<.LabelMatchers>>}[1m])
  %s
"""
SERIES = ['load{namespace="ns",pod="a",node="n",gadget="g"}', "depth{}"]
LOAD = 'load{namespace="ns",pod=~"a|b"}[5m]'
DEPTH = 'max_over_time(depth{namespace="ns"}[1m])'


class FakeObjects:
    """Pods a and b in ns, and what cannot be listed."""

    kinds: Kinds = KINDS.extended([GADGET])
    problems: tuple[str, ...] = ()
    syncing: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.pods = {"a": {"app": "web"}, "b": {"app": "api"}}

    async def synced_kinds(self) -> Kinds:
        return self.kinds

    async def look_up_kind(self, resource: GroupResource) -> Kind | None:
        return self.kinds.resolve(resource)

    async def picked(self, kind: Kind, namespace: str, selector: Selector) -> tuple[ObjectMeta, ...]:
        if kind.plural == "nodes":
            raise ObjectsUnavailable
        labels = self.pods
        if kind.plural == "namespaces":
            labels = {"ns": {}, "other": {}}
        elif namespace != "ns":
            return ()
        found = [ObjectMeta(kind=kind, namespace=namespace, name=name, labels=has) for name, has in labels.items()]
        return tuple(one for one in found if selector.matches(one.labels))

    async def names(self, kind: Kind, namespace: str, selector: Selector) -> tuple[str, ...]:
        return tuple(one.name for one in await self.picked(kind, namespace, selector))

    async def exists(self, kind: Kind, namespace: str, name: str) -> bool:
        return any(one.name == name for one in await self.picked(kind, namespace, EVERYTHING))

    async def running_pods(self, namespace: str, selector: Selector) -> tuple[ObjectMeta, ...]:
        raise ObjectsUnavailable

    async def nodes(self, selector: Selector) -> tuple[ObjectMeta, ...]:
        raise ObjectsUnavailable

    async def close(self) -> None: ...


class NoReports(Reports):
    """A cache observer too."""

    def cache_hit(self, *, age_seconds: float) -> None: ...
    def cache_miss(self) -> None: ...
    def cache_joined(self) -> None: ...
    def cache_size(self, *, entries: int, bytes_: float) -> None: ...


class Rig:
    """A provider over fakes of its ports."""

    def __init__(self, directory: Path, policy: str = "", external: str = "", *, compat: Compat = Compat.FIXED) -> None:
        self.clock = HandClock()
        self.backend = FakeBackend(series_there=list(SERIES))
        self.reports = NoReports()
        clocks = self.clock.clocks()
        self.objects = objects = FakeObjects()
        self.provider = Provider(
            relist=Relist(
                rulebook=rulebook_from(RULES % (policy, external), directory, compat=compat),
                backend=self.backend,
                kinds=objects.synced_kinds,
                settings=RelistSettings(interval_seconds=60.0, max_age_seconds=60.0, concurrency=4),
                clocks=clocks,
                observer=self.reports,
            ),
            objects=objects,
            fetching=Fetching(
                backend=self.backend,
                cache=QueryCache(max_bytes=10**6, max_entries=100, clock=clocks.monotonic, observer=self.reports),
                clocks=clocks,
                observer=self.reports,
                timeout_seconds=5.0,
                limits=Limits(backend="default", clock=clocks.monotonic, observer=self.reports),
            ),
            held_objects=HeldValues(clock=clocks.monotonic),
            held_items=HeldValues(clock=clocks.monotonic),
            clocks=clocks,
            observer=self.reports,
            compat=compat,
        )

    async def custom(self, request: str, trail: Trail | None = None) -> dict[str, int]:
        """Ask `NAMESPACE RESOURCE NAME|* METRIC [LABELS [METRIC LABELS]]` and return thousandths by name."""
        namespace, resource, name, metric, *selectors = request.split(" ")
        selector = parse_selector(selectors[0] if selectors else "")
        asked = CustomMetricRequest(
            namespace="" if namespace == "-" else namespace,
            resource=parse_group_resource(resource),
            target=BySelector(selector=selector) if name == "*" else ByName(name=name),
            metric=metric,
            metric_selector=parse_selector(selectors[1] if len(selectors) > 1 else ""),
        )
        deadline = self.clock.now + 9.0
        answer = await (
            self.provider.custom_metric(asked, deadline_seconds=deadline, trail=trail)
            if trail
            else self.provider.custom_metric(asked, deadline_seconds=deadline)
        )
        self.items = answer.items
        return {item.name: item.milli for item in answer.items}

    async def external(self, request: str) -> list[int]:
        """Ask `NAMESPACE METRIC` and return thousandths."""
        namespace, metric = request.split(" ")
        asked = ExternalMetricRequest(namespace=namespace, metric=metric)
        answer = await self.provider.external_metric(asked, deadline_seconds=self.clock.now + 9.0)
        return [item.milli for item in answer.items]

    def says(self, promql: str, **values: float) -> None:
        """Let Prometheus answer a query with a value by pod."""
        samples = tuple(
            Sample(labels={"pod": pod, "gadget": pod}, value=value, timestamp_seconds=5.0)
            for pod, value in values.items()
        )
        self.backend.answers[promql] = QueryAnswer(result=Vector(samples=samples), evaluated_at_seconds=5.0)


async def started(directory: Path, policy: str = "", external: str = "", *, compat: Compat = Compat.FIXED) -> Rig:
    """Return a rig whose first relist is done."""
    rig = Rig(directory, policy, external, compat=compat)
    await rig.provider.relist.relist()
    return rig


async def test_a_list_has_the_objects_that_have_a_value(tmp_path: Path) -> None:
    """An object without a sample is absent from a list, never zero."""
    rig = await started(tmp_path)
    rig.says(LOAD, a=1.5, c=9.0)

    assert await rig.custom("ns pods * load") == {"a": 1500}
    assert rig.items[0].timestamp_seconds == 5.0
    assert rig.items[0].window_seconds == 300


async def test_a_long_list_is_the_same(tmp_path: Path) -> None:
    """Thousands of objects, which a thread decides on, get what few would, in order; a fault among them is told."""
    rig = await started(tmp_path, "onDuplicates: error")
    names = [f"p{number:04}" for number in range(3000)]
    rig.objects.pods = {name: {"app": "many"} for name in names}
    query = f'load{{namespace="ns",pod=~"{"|".join(names)}"}}[5m]'
    rig.says(query, **dict.fromkeys(reversed(names[1:]), 1.5))

    assert list((await rig.custom("ns pods * load")).items()) == [(name, 1500) for name in names[1:]]

    rig.clock.now += 11.0
    sample = Sample(labels={"pod": "p0001"}, value=1.0, timestamp_seconds=5.0)
    rig.backend.answers[query] = QueryAnswer(result=Vector(samples=(sample, sample)), evaluated_at_seconds=5.0)
    with pytest.raises(UnusableResult, match="2 samples for p0001"):
        await rig.custom("ns pods * load")


async def test_strict_says_no_window(tmp_path: Path) -> None:
    """prometheus-adapter never reports a window for custom metrics."""
    rig = await started(tmp_path, compat=Compat.STRICT)
    rig.says(LOAD, a=1.5)
    await rig.custom("ns pods * load")

    assert rig.items[0].window_seconds is None


async def test_one_query_serves_identical_requests(tmp_path: Path) -> None:
    """Requests at one time and within the TTL cost one query."""
    rig = await started(tmp_path)
    rig.says(LOAD, a=1.0)

    await asyncio.gather(*(rig.custom("ns pods * load") for _ in range(20)))
    rig.clock.now += 9.0
    await rig.custom("ns pods * load")

    assert rig.backend.queries() == [LOAD]


NOT_FOUND = [
    ("ns pods * other", "the server could not find the metric other for pods: no rule gives this metric now"),
    ("ns pod a other", "the server could not find the metric other for pod: no rule gives this metric now"),
    (
        "ns services * load",
        "the server could not find the metric load for services: it is served for gadgets.example.com, namespaces, nodes, pods",
    ),
    ("ns gizmos * load", 'the server could not find the metric load for gizmos: no kind of object is called "gizmos"'),
    ("ns pods * load app=none", "the server could not find the metric load for pods: the selector picks no pods in ns"),
    ("empty pods * load", "the server could not find the metric load for pods: the selector picks no pods in empty"),
    (
        "ns pods a load",
        "the server could not find the metric load for pods a: the query of rule load gives it no value",
    ),
    ("- pods a load", "the server could not find the metric load for pods: pods live in namespaces"),
    ("ns nodes n load", "the server could not find the metric load for nodes: nodes live in no namespace"),
    ("ns nodes * load", "the server could not find the metric load for nodes: nodes live in no namespace"),
    (
        "ns gadgets.example.com * load",
        "the server could not find the metric load for gadgets.example.com: gadgets live in no namespace",
    ),
]


@pytest.mark.parametrize(("request_text", "message"), NOT_FOUND)
async def test_what_is_not_there_is_a_404_with_its_reason(tmp_path: Path, request_text: str, message: str) -> None:
    """The classic text comes first, since people search for it, and the step that failed behind it."""
    rig = await started(tmp_path)

    with pytest.raises(MetricNotFound) as caught:
        await rig.custom(request_text)

    assert str(caught.value) == message


async def test_strict_gives_no_reason(tmp_path: Path) -> None:
    """Under strict the text is prometheus-adapter's, to the letter."""
    rig = await started(tmp_path, compat=Compat.STRICT)

    with pytest.raises(MetricNotFound) as caught:
        await rig.custom("ns pods a load")

    assert str(caught.value) == "the server could not find the metric load for pods a"


async def test_strict_cannot_write_an_inequality(tmp_path: Path) -> None:
    """Under strict a value selected by `!=` is prometheus-adapter's error; nothing to write is no error there."""
    rig = await started(tmp_path, compat=Compat.STRICT)
    fixed = await started(tmp_path)
    query = 'load{code!="200",namespace="ns",pod="a"}[5m]'
    with pytest.raises(MetricNotFound):
        await rig.custom("ns pods a load  code!=200")
    for one in (rig, fixed):
        one.says(query, a=1.0)
        one.clock.now += 11.0

    with pytest.raises(ReferenceDefect, match='"!=" is not a valid label selector operator'):
        await rig.custom("ns pods a load  code!=200")
    assert await fixed.custom("ns pods a load  code!=200") == {"a": 1000}


@pytest.mark.parametrize("path", ["ns gadgets.example.com g load", "- gadgets.example.com g load"])
async def test_a_cluster_scoped_kind_is_served_under_both_paths(tmp_path: Path, path: str) -> None:
    """The HPA asks for cluster-scoped objects under its own namespace; others ask at the root."""
    rig = await started(tmp_path)
    namespace = 'namespace="ns",' if path.startswith("ns") else ""
    rig.says(f'load{{{namespace}gadget="g"}}[5m]', g=2.0)

    assert await rig.custom(path) == {"g": 2000}


EMPTY = [
    ("onEmpty: omit", {}),
    ("onEmpty: zero", {"a": 0, "b": 0}),
    ("onEmpty: 7", {"a": 7000, "b": 7000}),
]


@pytest.mark.parametrize(("policy", "expected"), EMPTY)
async def test_what_an_object_without_a_value_gets(tmp_path: Path, policy: str, expected: dict[str, int]) -> None:
    """Each object of a list without a sample gets what its rule says."""
    rig = await started(tmp_path, policy)

    assert await rig.custom("ns pods * load") == expected


async def test_on_empty_error_needs_one_value(tmp_path: Path) -> None:
    """A list with no value at all is a 404 then; one value is enough."""
    rig = await started(tmp_path, "onEmpty: error")
    with pytest.raises(MetricNotFound):
        await rig.custom("ns pods * load")
    rig.says(LOAD, a=1.0)
    rig.clock.now += 11.0

    assert await rig.custom("ns pods * load") == {"a": 1000}


async def test_hold_repeats_the_last_good_value_for_a_while(tmp_path: Path) -> None:
    """A gap shorter than holdFor is bridged, with the old timestamp; a longer one is a gap."""
    rig = await started(tmp_path, "onEmpty: hold\n  holdFor: 1m")
    rig.says(LOAD, a=1.0, b=2.0)
    await rig.custom("ns pods * load")
    rig.says(LOAD, b=3.0)
    rig.clock.now += 30.0
    held = await rig.custom("ns pods * load")
    timestamps = [item.timestamp_seconds for item in rig.items]
    rig.clock.now += 31.0

    after = await rig.custom("ns pods * load")

    assert held == {"a": 1000, "b": 3000}
    assert timestamps == [5.0, 5.0]
    assert after == {"b": 3000}
    assert ("load", "held") in rig.reports.policies


async def test_a_hold_counts_from_the_evaluation(tmp_path: Path) -> None:
    """A value that comes from the cache is not held longer for it."""
    rig = await started(tmp_path, "onEmpty: hold\n  holdFor: 1m")
    rig.says(LOAD, a=1.0, b=2.0)
    await rig.custom("ns pods * load")
    rig.clock.now += 9.0
    await rig.custom("ns pods * load")  # from the cache
    rig.says(LOAD, b=3.0)
    rig.clock.now += 52.0

    assert await rig.custom("ns pods * load") == {"b": 3000}


EXTERNAL_EMPTY = [("onEmpty: omit", []), ("onEmpty: zero", [0]), ("onEmpty: 2.5", [2500])]


@pytest.mark.parametrize(("policy", "expected"), EXTERNAL_EMPTY)
async def test_an_external_metric_without_a_sample(tmp_path: Path, policy: str, expected: list[int]) -> None:
    """The same policies hold for external metrics, with one item without labels."""
    rig = await started(tmp_path, "", policy)

    assert await rig.external("ns depth") == expected


async def test_an_external_metric_holds_and_refuses(tmp_path: Path) -> None:
    """The last good items are repeated for a while; onEmpty: error is a 404."""
    rig = await started(tmp_path, "", "onEmpty: hold")
    rig.says(DEPTH, a=1.0)
    await rig.external("ns depth")
    rig.says(DEPTH)
    rig.clock.now += 20.0
    refusing = await started(tmp_path, "", "onEmpty: error")

    assert await rig.external("ns depth") == [1000]
    with pytest.raises(MetricNotFound, match=r"^the server could not find the metric depth for : the query"):
        await refusing.external("ns depth")


@pytest.mark.parametrize(("namespace", "resource"), [("ns", ""), ("default", "namespaces")])
async def test_an_unknown_external_metric_has_the_classic_text(tmp_path: Path, namespace: str, resource: str) -> None:
    """The group-resource of the text is prometheus-adapter's, odd as it is."""
    rig = await started(tmp_path)

    with pytest.raises(MetricNotFound, match=f"^the server could not find the metric nothing for {resource}: no rule"):
        await rig.external(f"{namespace} nothing")


async def test_a_failed_query_is_an_error(tmp_path: Path) -> None:
    """A failed query is never an empty list."""
    rig = await started(tmp_path)
    rig.backend.answers[LOAD] = PrometheusUnavailable("down", kind="connection")

    with pytest.raises(PrometheusUnavailable):
        await rig.custom("ns pods * load")


async def test_failed_discovery_is_not_absence(tmp_path: Path) -> None:
    """Before discovery has ever answered, a metric is not called unknown."""
    rig = Rig(tmp_path)
    rig.backend.down()
    await rig.provider.relist.relist()

    with pytest.raises(PrometheusUnavailable):
        await rig.custom("ns pods * load")
    with pytest.raises(PrometheusUnavailable):
        await rig.external("ns depth")


async def test_objects_that_cannot_be_listed_are_an_error(tmp_path: Path) -> None:
    """Nobody may read an empty list where the objects are not known."""
    rig = await started(tmp_path)

    with pytest.raises(ObjectsUnavailable):
        await rig.custom("- nodes * load")


async def test_a_hung_backend_ends_with_the_deadline(tmp_path: Path) -> None:
    """A request ends at its deadline, and the query goes on for whoever else waits."""
    rig = await started(tmp_path)
    rig.backend.gate = asyncio.Event()
    asked = ExternalMetricRequest(namespace="ns", metric="depth")

    with pytest.raises(DeadlineExceeded):
        await rig.provider.external_metric(asked, deadline_seconds=rig.clock.now + 0.05)

    assert rig.backend.under_way == 1
    await rig.provider.fetching.cache.close()


async def test_only_allowed_namespaces_are_served(tmp_path: Path) -> None:
    """A rule's fence is enforced whatever the caller selects, by name and by list."""
    rig = await started(tmp_path, "allowNamespaces: [shop, 'n?']", "allowNamespaces: [shop]")
    rig.says('load{namespace="ns"}[5m]')

    with pytest.raises(Forbidden, match='rule load does not serve the namespace "other"'):
        await rig.custom("other pods a load")
    with pytest.raises(Forbidden):
        await rig.custom("- namespaces other load")
    with pytest.raises(Forbidden):
        await rig.external("ns depth")
    with pytest.raises(Forbidden):
        await rig.custom("- nodes n1 load")
    await rig.custom("- namespaces * load")
    assert rig.backend.queries() == ['load{namespace="ns"}[5m]']
    assert sorted(rig.reports.refused) == [("depth", "namespace"), *[("load", "namespace")] * 3]


async def test_what_a_rule_asks_is_counted(tmp_path: Path) -> None:
    """Queries are counted by rule and outcome, those that the cache answers are not; so is what a rule cannot serve."""
    rig = await started(tmp_path)
    rig.says(LOAD, a=1.0)
    await rig.custom("ns pods * load")
    await rig.custom("ns pods * load")
    await rig.external("ns depth")
    rig.backend.down("b")
    with pytest.raises(PrometheusUnavailable):
        await rig.custom("ns pods b load")
    with pytest.raises(UnsupportedSelector):
        await rig.custom("ns pods b load  code>5")

    assert rig.reports.queried == [("load", "ok"), ("depth", "empty"), ("load", "error")]
    assert rig.reports.refused == [("load", "selector")]


async def test_a_rejected_query_with_an_odd_key_is_the_callers(tmp_path: Path) -> None:
    """A selector key that a template wrote into the query is a 400, not our failure."""
    rig = await started(tmp_path)
    text = RULES.replace("<<.Series>>{<<.LabelMatchers>>}[5m]", "x<<range $k, $v := .LabelValuesByName>>,<<$k>><<end>>")
    rig.provider.relist.rulebook = rulebook_from(text % ("", ""), tmp_path)
    await rig.provider.relist.relist()
    rig.backend.answers["x,a.b/c,namespace,pod"] = QueryRejected("parse error", status=400, kind="bad_data")

    with pytest.raises(UnsupportedSelector, match="selectorLabels"):
        await rig.custom("ns pods a load  a.b/c=d")


async def test_the_trail_says_why(tmp_path: Path) -> None:
    """Each step of an answer, and of a missing one, is written down."""
    rig = await started(tmp_path)
    rig.says(LOAD, a=1.0)
    trail, missing = Trail(), Trail()

    await rig.custom("ns pods * load", trail)
    with pytest.raises(MetricNotFound):
        await rig.custom("ns pods * other", missing)

    assert [step.name for step in trail.steps] == ["kind", "rule", "objects", "query", "sharing", "answer", "value"]
    assert trail.steps[3].facts["promql"] == LOAD
    assert trail.steps[-1].facts["object"] == "b"
    assert [(step.name, step.ok) for step in missing.steps] == [("kind", True), ("rule", False)]


async def test_freshness_is_reported(tmp_path: Path) -> None:
    """The age of the oldest value served is a metric."""
    rig = await started(tmp_path)
    rig.says(LOAD, a=1.0)
    await rig.custom("ns pods * load")

    assert rig.reports.ages == [rig.clock.clocks().wall() - 5.0]
