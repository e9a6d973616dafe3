"""Requests for cpu and memory: who is asked about, what is sent, and what every kind of failure becomes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from relist_rig import FakeBackend, HandClock, Reports
from resource_rig import RULES, answer, node, pod, resource_rules_from
from rules_rig import KINDS

from adapter.errors import (
    DeadlineExceeded,
    ObjectsUnavailable,
    PartialAnswer,
    PrometheusUnavailable,
    QueryRejected,
    RouteNotFound,
    UpstreamError,
    UseUnknown,
)
from adapter.kube.documents import ObjectMeta
from adapter.kube.selectors import EVERYTHING, Selector, parse_selector
from adapter.promql.model import OtherResult, QueryAnswer
from adapter.rules.resource_rule import ResourceRules
from adapter.runtime.cache import QueryCache
from adapter.runtime.fetching import Fetching
from adapter.runtime.limits import Limits
from adapter.runtime.objects import NoObjects
from adapter.runtime.resource_provider import ResourceProvider

pytestmark = pytest.mark.anyio

PODS = (pod("ns", "a", {"app": "web"}), pod("ns", "b", {"app": "api"}), pod("shop", "a", {"app": "web"}))
NODES = (node("n1", {"zone": "x"}), node("n2"))
TIME = 1_700_000_900.0


class FakeObjects(NoObjects):
    """Running pods and nodes, sorted; nothing else is known."""

    pods: tuple[ObjectMeta, ...] = PODS

    async def running_pods(self, namespace: str, selector: Selector) -> tuple[ObjectMeta, ...]:
        return tuple(one for one in self.pods if namespace in ("", one.namespace) and selector.matches(one.labels))

    async def nodes(self, selector: Selector) -> tuple[ObjectMeta, ...]:
        return tuple(one for one in NODES if selector.matches(one.labels))


class NoReports(Reports):
    """A cache observer too."""

    def cache_hit(self, *, age_seconds: float) -> None: ...
    def cache_miss(self) -> None: ...
    def cache_joined(self) -> None: ...
    def cache_size(self, *, entries: int, bytes_: float) -> None: ...


class Backend(FakeBackend):
    """Refuses queries that are made for several namespaces, but those that a test gives an answer to."""

    async def query(self, promql: str, *, at_seconds: float, deadline_seconds: float) -> QueryAnswer:
        if "namespace=~" in promql or "namespace)" in promql:
            self.answers.setdefault(promql, QueryRejected("one of them is at fault", status=422, kind="execution"))
        return await super().query(promql, at_seconds=at_seconds, deadline_seconds=deadline_seconds)


class Rig:
    """A provider over fakes of its ports; each pod and node that is asked about uses 1 core and 2 bytes."""

    def __init__(self, directory: Path, text: str = RULES, objects: NoObjects | None = None) -> None:
        self.clock = HandClock()
        self.backend = Backend()
        self.reports = NoReports()
        self.rules: ResourceRules | None = resource_rules_from(text, directory)
        self.objects = objects or FakeObjects(KINDS)
        clocks = self.clock.clocks()
        self.cache = QueryCache(max_bytes=10**7, max_entries=1000, clock=clocks.monotonic, observer=self.reports)
        self.provider = ResourceProvider(
            rules=lambda: self.rules,
            objects=self.objects,
            fetching=Fetching(
                backend=self.backend,
                cache=self.cache,
                clocks=clocks,
                observer=self.reports,
                timeout_seconds=5.0,
                limits=Limits(backend="default", clock=clocks.monotonic, observer=self.reports, max_bytes=10**6),
            ),
            clocks=clocks,
            observer=self.reports,
        )
        self.says('{namespace="ns",pod=~"a|b"}', "pod=a", "pod=b")
        self.says('{namespace="ns",pod="a"}', "pod=a")
        self.says('{namespace="ns",pod="b"}', "pod=b")
        self.says('{namespace="shop",pod="a"}', "pod=a")

    def says(self, matchers: str, *labels: str) -> None:
        """Let Prometheus know pods, each with a container x."""
        cpu = answer(*((f"{one},container=x", 1.0) for one in labels), at=TIME)
        memory = answer(*((f"{one},container=x", 2.0) for one in labels), at=TIME - 5.0)
        self.backend.answers[f"sum by (pod,container) (rate(cpu{matchers}[3m]))"] = cpu
        self.backend.answers[f"sum by (pod,container) (mem{matchers})"] = memory

    def nodes_say(self, matchers: str, *names: str) -> None:
        """Let Prometheus know nodes."""
        found = answer(*((f"node={name}", 3.0) for name in names), at=TIME)
        self.backend.answers[f"sum by (node) (rate(node_cpu{matchers}[3m]))"] = found
        self.backend.answers[f"sum by (node) (node_mem{matchers})"] = found

    async def pods(self, namespace: str = "", selector: str = "", name: str = "") -> list[str]:
        """Return the pods that have values, as NAMESPACE/NAME."""
        found = await self.provider.pods(
            namespace, parse_selector(selector), name=name, deadline_seconds=self.clock.now + 9.0
        )
        return [f"{one.namespace}/{one.name}" for one in found]

    async def nodes(self, selector: str = "", name: str = "") -> list[str]:
        """Return the nodes that have values."""
        found = await self.provider.nodes(parse_selector(selector), name=name, deadline_seconds=self.clock.now + 9.0)
        return [one.name for one in found]


ASKED = [
    ("all", ("", "", ""), ["ns/a", "ns/b", "shop/a"], 6),
    ("a namespace", ("ns", "", ""), ["ns/a", "ns/b"], 2),
    ("labels", ("", "app=web", ""), ["ns/a", "shop/a"], 6),
    ("a name everywhere", ("", "", "a"), ["ns/a", "shop/a"], 6),
    ("a name and labels", ("ns", "app=api", "b"), ["ns/b"], 2),
    ("a name that is not there", ("ns", "", "c"), [], 0),
    ("a namespace that is not there", ("absent", "", ""), [], 0),
    ("labels that nobody has", ("", "app=nobody", ""), [], 0),
]


@pytest.mark.parametrize(("name", "request_", "expected", "queries"), ASKED, ids=[row[0] for row in ASKED])
async def test_pods_that_are_asked_about(
    name: str, request_: tuple[str, str, str], expected: list[str], queries: int, tmp_path: Path
) -> None:
    """Pods come by namespace and name; where namespaces cannot share queries, each has one for cpu and one for memory."""
    rig = Rig(tmp_path)

    assert await rig.pods(*request_) == expected
    assert len(rig.backend.queries()) == queries


async def test_namespaces_share_their_queries(tmp_path: Path) -> None:
    """However many namespaces there are, cpu is one query and memory another."""
    rig = Rig(tmp_path)
    for metric, value in (("rate(cpu{}[3m])", 1.0), ("mem{}", 2.0)):
        text = f"sum by (pod, container, namespace) ({metric})"
        text = text.replace("{}", '{namespace=~"ns|shop"}')
        labels = (
            "namespace=ns,pod=a,container=x",
            "namespace=ns,pod=b,container=x",
            "namespace=shop,pod=a,container=x",
        )
        rig.backend.answers[text] = answer(*((one, value) for one in labels), at=TIME)

    assert await rig.pods() == ["ns/a", "ns/b", "shop/a"]
    assert await rig.pods("ns") == ["ns/a", "ns/b"]
    assert len(rig.backend.queries()) == 2


async def test_what_is_told_of_a_pod(tmp_path: Path) -> None:
    """Labels are the object's, the time is that of the earliest sample, the window the file's."""
    rig = Rig(tmp_path)

    [use] = await rig.provider.pods("shop", EVERYTHING, deadline_seconds=rig.clock.now + 9.0)

    assert (use.labels, use.timestamp_seconds, use.window_seconds) == ({"app": "web"}, TIME - 5.0, 180.0)
    assert [(one.name, one.milli) for one in use.containers] == [("x", {"cpu": 1000, "memory": 2000})]
    assert rig.reports.queried == [("resourceRules.cpu", "ok"), ("resourceRules.memory", "ok")]
    assert rig.reports.ages == [rig.clock.clocks().wall() - (TIME - 5.0)]


async def test_nodes_that_are_asked_about(tmp_path: Path) -> None:
    """Nodes come by name, with one query for cpu and one for memory."""
    rig = Rig(tmp_path)
    rig.nodes_say('{node=~"n1|n2"}', "n2", "n1")
    rig.nodes_say('{node="n1"}', "n1")

    assert await rig.nodes() == ["n1", "n2"]
    assert await rig.nodes("zone=x") == ["n1"]
    assert await rig.nodes(name="n1") == ["n1"]
    assert await rig.nodes("zone=y") == []
    assert await rig.nodes(name="n3") == []
    assert len(rig.backend.queries()) == 4


async def test_who_has_no_sample_is_left_out(tmp_path: Path) -> None:
    """A pod or node without samples is absent from a list, and an answer without any is an empty list."""
    rig = Rig(tmp_path)
    rig.says('{namespace="ns",pod=~"a|b"}', "pod=b")

    assert await rig.pods("ns") == ["ns/b"]
    assert await rig.nodes() == []


async def test_the_same_question_is_asked_once(tmp_path: Path) -> None:
    """Requests that come together share their queries, and later ones are answered from the cache for its time."""
    rig = Rig(tmp_path)

    assert await asyncio.gather(*(rig.pods("ns") for _ in range(5))) == [["ns/a", "ns/b"]] * 5
    assert await rig.pods("ns") == ["ns/a", "ns/b"]
    assert len(rig.backend.queries()) == 2
    rig.clock.now += 11.0
    await rig.pods("ns")
    assert len(rig.backend.queries()) == 4


async def test_cpu_and_memory_of_several_namespaces_are_asked_at_the_same_time(tmp_path: Path) -> None:
    """Nobody waits for one query after the other; however many namespaces there are, eight are under way at most."""
    rig = Rig(tmp_path)
    await rig.pods("ns")
    assert rig.backend.most_under_way == 2

    objects = FakeObjects(KINDS)
    objects.pods = tuple(pod(f"ns{number:03}", "a") for number in range(100))
    many = Rig(tmp_path, objects=objects)
    for one in objects.pods:
        many.says(f'{{namespace="{one.namespace}",pod="a"}}', "pod=a")

    assert len(await many.pods()) == 100
    assert many.backend.most_under_way == 8


async def test_thousands_of_pods_are_told_like_a_few(tmp_path: Path) -> None:
    """A long list is decided on a thread, with the same result."""
    objects = FakeObjects(KINDS)
    objects.pods = tuple(pod("ns", f"p{number:04}") for number in range(3000))
    rig = Rig(tmp_path, objects=objects)
    names = [one.name for one in objects.pods]
    rig.says(f'{{namespace="ns",pod=~"{"|".join(names)}"}}', *(f"pod={name}" for name in names))

    assert await rig.pods("ns") == [f"ns/{name}" for name in names]


FAILURES = [
    ("down", PrometheusUnavailable("connection refused", kind="connection"), ""),
    ("refused", QueryRejected("parse error at char 7", status=400, kind="bad_data"), ""),
    ("partial", PartialAnswer(("store is away",)), ""),
    (
        "a matrix",
        QueryAnswer(result=OtherResult(kind="matrix"), evaluated_at_seconds=1.0),
        ": rule resourceRules.memory: the query returns a matrix, not an instant vector",
    ),
]


@pytest.mark.parametrize(("name", "failure", "reason"), FAILURES, ids=[row[0] for row in FAILURES])
async def test_a_failure_is_never_a_short_list(
    name: str, failure: UpstreamError | QueryAnswer, reason: str, tmp_path: Path
) -> None:
    """One namespace whose memory cannot be asked for fails the answer, and is named; its cause goes to the log."""
    rig = Rig(tmp_path)
    rig.backend.answers['sum by (pod,container) (mem{namespace="shop",pod="a"})'] = failure

    with pytest.raises(UseUnknown) as caught:
        await rig.pods()

    assert str(caught.value) == f"unable to fetch metrics of the pods of namespace shop{reason}"
    assert caught.value.__cause__ is not None
    assert await rig.pods("ns") == ["ns/a", "ns/b"]


async def test_a_failure_of_nodes_is_never_an_empty_list(tmp_path: Path) -> None:
    """Nodes whose cpu cannot be asked for are an error that names them."""
    rig = Rig(tmp_path)
    rig.nodes_say('{node=~"n1|n2"}', "n1", "n2")
    rig.backend.down("node_cpu")

    with pytest.raises(UseUnknown, match=r"^unable to fetch metrics of nodes$"):
        await rig.nodes()

    assert ("resourceRules.cpu", "error") in rig.reports.queried


async def test_the_first_failure_ends_the_request(tmp_path: Path) -> None:
    """When Prometheus is away the namespaces that wait are not asked about any more."""
    objects = FakeObjects(KINDS)
    objects.pods = tuple(pod(f"ns{number:03}", "a") for number in range(100))
    rig = Rig(tmp_path, objects=objects)
    rig.backend.down()

    with pytest.raises(UseUnknown, match="of the pods of namespace ns"):
        await rig.pods()

    assert len(rig.backend.queries()) <= 16


async def test_a_query_that_hangs_ends_with_the_deadline(tmp_path: Path) -> None:
    """The deadline of the request ends the wait, and is told as such."""
    rig = Rig(tmp_path)
    rig.backend.gate = asyncio.Event()

    with pytest.raises(DeadlineExceeded):
        await rig.provider.pods("", EVERYTHING, deadline_seconds=rig.clock.now)

    with pytest.raises(DeadlineExceeded):
        await rig.provider.nodes(EVERYTHING, deadline_seconds=rig.clock.now)
    rig.backend.gate.set()
    await rig.cache.close()


async def test_objects_that_are_not_known_are_an_error(tmp_path: Path) -> None:
    """Without pods to ask about there is an error, not an empty list."""
    rig = Rig(tmp_path, objects=NoObjects(KINDS))

    with pytest.raises(ObjectsUnavailable):
        await rig.pods()
    with pytest.raises(ObjectsUnavailable):
        await rig.nodes()


async def test_what_the_rules_do_not_measure_is_empty(tmp_path: Path) -> None:
    """Rules without a node label, or without memory, start and list nothing, as in prometheus-adapter."""
    without_nodes = Rig(tmp_path, RULES.replace(", node: {resource: node}", ""))
    without_memory = Rig(tmp_path, RULES.partition("  memory:")[0] + "  window: 3m")

    assert await without_nodes.pods("ns") == ["ns/a", "ns/b"]
    assert await without_nodes.nodes() == []
    assert await without_memory.pods() == []
    assert await without_memory.nodes() == []
    assert without_memory.backend.asked == []


async def test_rules_that_go_or_change_are_followed(tmp_path: Path) -> None:
    """Each request takes the rules in force; without any there is no such API."""
    rig = Rig(tmp_path)
    rig.rules = resource_rules_from(RULES.replace("window: 3m", "window: 9s"), tmp_path)

    [use] = await rig.provider.pods("shop", EVERYTHING, deadline_seconds=rig.clock.now + 9.0)
    assert use.window_seconds == 9.0

    rig.rules = None
    with pytest.raises(RouteNotFound):
        await rig.pods()
    with pytest.raises(RouteNotFound):
        await rig.nodes()
