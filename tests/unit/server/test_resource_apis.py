"""metrics.k8s.io over the wire: documents, lists, tables, and what is refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from server_fakes import NOW, Ask, FakeProvider, Groups

from adapter.errors import PrometheusUnavailable, UpstreamError, UseUnknown
from adapter.kube.resource_metrics import ContainerUse, NodeUse, PodUse
from adapter.kube.selectors import Selector
from adapter.server.gateway import Services

pytestmark = pytest.mark.anyio

AT = 1795174496.789  # 2026-11-20T11:34:56Z
API = "/apis/metrics.k8s.io/v1beta1"
JSON = "application/json"
TABLE = f"{JSON};as=Table;v=v1;g=meta.k8s.io"
KUBECTL = f"{TABLE},{JSON};as=Table;v=v1beta1;g=meta.k8s.io,{JSON}"


def pod(namespace: str, name: str, *containers: ContainerUse, window: float = 60.0, **labels: str) -> PodUse:
    """Write what a pod uses."""
    return PodUse(
        namespace=namespace,
        name=name,
        labels=labels,
        timestamp_seconds=AT,
        window_seconds=window,
        containers=containers or (ContainerUse(name="main", milli={"cpu": 250, "memory": 4194304000}),),
    )


SIDECAR = ContainerUse(name="sidecar", milli={"cpu": 1750, "memory": 10486272000})
MAIN = ContainerUse(name="main", milli={"cpu": 250, "memory": 4194304000})
PODS = (
    pod("shop", "web-0", MAIN, SIDECAR, app="web", tier="gold"),
    pod("shop", "web-1", app="web"),
    pod("zoo", "web-0", window=1.5),
)
NODES = (
    NodeUse(
        name="node-1",
        labels={"zone": "b", "arch": "x"},
        timestamp_seconds=AT,
        window_seconds=10.0,
        milli={"cpu": 2500, "memory": 2147483648000},
    ),
)


@dataclass
class FakeResources:
    """Answers with three pods and a node, and remembers what it was asked."""

    asked: list[tuple[str, ...]] = field(default_factory=list)
    use: Sequence[PodUse] = PODS
    error: UpstreamError | None = None
    before: Callable[[], Awaitable[object]] | None = None

    async def pods(
        self, namespace: str, selector: Selector, *, name: str = "", deadline_seconds: float
    ) -> Sequence[PodUse]:
        self.asked.append(("pods", namespace, str(selector), name))
        assert NOW < deadline_seconds <= NOW + 9.0
        if self.before:
            await self.before()
        if self.error:
            raise self.error
        return tuple(one for one in self.use if namespace in ("", one.namespace) and name in ("", one.name))

    async def nodes(self, selector: Selector, *, name: str = "", deadline_seconds: float) -> Sequence[NodeUse]:
        self.asked.append(("nodes", str(selector), name))
        assert NOW < deadline_seconds <= NOW + 9.0
        return tuple(one for one in NODES if name in ("", one.name))

    async def knows_pod(self, namespace: str, name: str, *, deadline_seconds: float) -> bool:
        return (namespace, name) == ("shop", "silent")

    async def knows_node(self, name: str, *, deadline_seconds: float) -> bool:
        return name == "silent"


@pytest.fixture
def resources() -> FakeResources:
    """Return a provider that has not been asked anything."""
    return FakeResources()


@pytest.fixture
def provider() -> FakeProvider:
    """Return one where resource rules are in force."""
    return FakeProvider(groups=Groups(resource=True))


@pytest.fixture
def services(services: Services, resources: FakeResources) -> Services:
    """Return what the server is handed; a document is made ten seconds after the samples."""
    return replace(services, resources=resources, wall_clock=lambda: AT + 10.0)  # type: ignore[arg-type]  # tuples


META = '"creationTimestamp":"2026-11-20T11:35:06Z"'
WEB_1 = (
    f'"metadata":{{"name":"web-1","namespace":"shop",{META},"labels":{{"app":"web"}}}},'
    '"timestamp":"2026-11-20T11:34:56Z","window":"1m0s",'
    '"containers":[{"name":"main","usage":{"cpu":"250m","memory":"4Mi"}}]'
)
NODE_1 = (
    f'"metadata":{{"name":"node-1",{META},"labels":{{"arch":"x","zone":"b"}}}},'
    '"timestamp":"2026-11-20T11:34:56Z","window":"10s","usage":{"cpu":"2500m","memory":"2Gi"}'
)
DOCUMENTS = [
    ("namespaces/shop/pods/web-1", f'{{"kind":"PodMetrics","apiVersion":"metrics.k8s.io/VERSION",{WEB_1}}}\n'),
    ("nodes/node-1", f'{{"kind":"NodeMetrics","apiVersion":"metrics.k8s.io/VERSION",{NODE_1}}}\n'),
    (
        "nodes",
        f'{{"kind":"NodeMetricsList","apiVersion":"metrics.k8s.io/VERSION","metadata":{{}},"items":[{{{NODE_1}}}]}}\n',
    ),
    (
        "namespaces/shop/pods?fieldSelector=metadata.name%3Dweb-1",
        f'{{"kind":"PodMetricsList","apiVersion":"metrics.k8s.io/VERSION","metadata":{{}},"items":[{{{WEB_1}}}]}}\n',
    ),
    (
        "namespaces/empty/pods",
        '{"kind":"PodMetricsList","apiVersion":"metrics.k8s.io/VERSION","metadata":{},"items":[]}\n',
    ),
]


@pytest.mark.parametrize("version", ["v1beta1", "v1"])
@pytest.mark.parametrize(("path", "body"), DOCUMENTS)
async def test_documents_to_the_byte(ask: Ask, path: str, body: str, version: str) -> None:
    """Both versions are the same document: key by key in the order of Kubernetes' structs, labels sorted."""
    answer = await ask(f"/apis/metrics.k8s.io/{version}/{path}")

    assert (answer.status_code, answer.text) == (200, body.replace("VERSION", version))


LISTS = [
    ("pods", ["shop/web-0", "shop/web-1", "zoo/web-0"], ("pods", "", "", "")),
    (
        "namespaces/shop/pods?labelSelector=app%3Dweb&limit=1",
        ["shop/web-0", "shop/web-1"],
        ("pods", "shop", "app=web", ""),
    ),
    ("pods?fieldSelector=metadata.namespace%3Dzoo", ["zoo/web-0"], ("pods", "zoo", "", "")),
    ("namespaces/shop/pods?fieldSelector=metadata.namespace%3Dzoo", [], ("pods", "shop", "", "")),
    ("pods?fieldSelector=metadata.name%3D", [], ("pods", "", "", "")),
    ("nodes?fieldSelector=metadata.namespace%3Dzoo", [], ("nodes", "", "")),
    ("pods?limit=1&continue=x&resourceVersion=0", ["shop/web-0", "shop/web-1", "zoo/web-0"], ("pods", "", "", "")),
    (
        "pods?fieldSelector=metadata.namespace%21%3Dzoo%2Cmetadata.name%3Dweb-0",
        ["shop/web-0"],
        ("pods", "", "", "web-0"),
    ),
    ("pods?fieldSelector=metadata.name%21%3Dweb-0", ["shop/web-1"], ("pods", "", "", "")),
    ("nodes?labelSelector=zone", ["/node-1"], ("nodes", "zone", "")),
    ("nodes?fieldSelector=metadata.name%3Dother", [], ("nodes", "", "other")),
]


@pytest.mark.parametrize(("path", "found", "asked"), LISTS)
async def test_lists(ask: Ask, resources: FakeResources, path: str, found: list[str], asked: tuple[str, ...]) -> None:
    """A label selector is for the provider, a field selector picks among what it answers, a limit does nothing.

    Of a field selector the provider is told what it asks for exactly: other namespaces may be those that fail.
    """
    answer = await ask(f"{API}/{path}")

    items = [one["metadata"] for one in answer.json()["items"]]
    assert [f"{one.get('namespace', '')}/{one['name']}" for one in items] == found
    assert resources.asked == [asked]


MISSING = [
    ("namespaces/shop/pods/nobody", 'pods "nobody" not found', {"name": "nobody", "kind": "pods"}),
    (
        "namespaces/shop/pods/silent",
        'podmetrics.metrics.k8s.io "shop/silent" not found',
        {"name": "shop/silent", "group": "metrics.k8s.io", "kind": "podmetrics"},
    ),
    ("nodes/nobody", 'node "nobody" not found', {"name": "nobody", "kind": "node"}),
    (
        "nodes/silent",
        'nodemetrics.metrics.k8s.io "silent" not found',
        {"name": "silent", "group": "metrics.k8s.io", "kind": "nodemetrics"},
    ),
]


@pytest.mark.parametrize(("path", "message", "details"), MISSING)
async def test_what_is_missing_is_named(ask: Ask, path: str, message: str, details: dict[str, str]) -> None:
    """A pod that is not there is another 404 than one whose use is not known; the words are metrics-server's."""
    answer = await ask(f"{API}/{path}")

    told = answer.json()
    assert (answer.status_code, told["message"], told["reason"]) == (404, message, "NotFound")
    assert told["details"] == details


REFUSED = [
    ("pods?labelSelector=app%20in%20%28web", 400, "unable to parse requirement: found '', expected: ',' or ')'"),
    (
        "pods?fieldSelector=status.phase%3DRunning",
        400,
        '"status.phase" is not a known field selector: only "metadata.name", "metadata.namespace"',
    ),
    ("pods?watch=true", 405, 'watch is not supported on resources of kind "pods.metrics.k8s.io"'),
    ("pods?watch", 405, 'watch is not supported on resources of kind "pods.metrics.k8s.io"'),
    ("pods?limit=abc", 400, 'strconv.ParseInt: parsing "abc": invalid syntax'),
    (
        "nodes?sendInitialEvents=false",
        422,
        'ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list',
    ),
    ("watch/pods", 404, "the server could not find the requested resource"),
    ("nodes?watch=1", 405, 'watch is not supported on resources of kind "nodes.metrics.k8s.io"'),
    ("namespaces/shop/nodes", 404, "the server could not find the requested resource"),
    ("namespaces/shop/pods/web-0/log", 404, "the server could not find the requested resource"),
    ("pods/web-0", 404, "the server could not find the requested resource"),
    ("services", 404, "the server could not find the requested resource"),
    ("namespaces//pods", 404, "the server could not find the requested resource"),
]


@pytest.mark.parametrize(("path", "status", "message"), REFUSED)
async def test_what_is_refused(ask: Ask, path: str, status: int, message: str) -> None:
    """Selectors, watches and paths that mean nothing get Kubernetes' words."""
    answer = await ask(f"{API}/{path}")
    assert (answer.status_code, answer.json()["message"]) == (status, message)


async def test_only_lists_have_list_options(ask: Ask) -> None:
    """What asks for one object reads none of them."""
    assert (await ask(f"{API}/nodes/node-1?watch=true&limit=abc&labelSelector=%28")).status_code == 200


@pytest.mark.parametrize("path", ["nodes", "nodes/node-1", "namespaces/shop/pods/web-0"])
@pytest.mark.parametrize("method", ["POST", "HEAD", "DELETE"])
async def test_only_get_is_allowed(ask: Ask, path: str, method: str) -> None:
    """Use can be read and nothing else."""
    assert (await ask(f"{API}/{path}", method)).status_code == 405


@pytest.mark.parametrize("path", ["pods", "namespaces/shop/pods/web-0"])
async def test_a_hanging_provider_is_given_up(ask: Ask, resources: FakeResources, path: str) -> None:
    """Who does not keep the deadline is not waited for."""
    resources.before = asyncio.Event().wait

    answer = await ask(f"{API}/{path}?timeout=1ms", grace_seconds=0.0)
    assert (answer.status_code, answer.json()["reason"]) == (504, "Timeout")


FAILED: list[tuple[UpstreamError, str]] = [
    (PrometheusUnavailable("down", kind="connection"), "unable to fetch metrics"),
    (UseUnknown(subject="the pods of namespace shop"), "unable to fetch metrics of the pods of namespace shop"),
]


@pytest.mark.parametrize(("error", "words"), FAILED)
async def test_a_failure_is_no_shorter_list(
    ask: Ask, resources: FakeResources, error: UpstreamError, words: str
) -> None:
    """Where the use of some pods cannot be told the answer is a server error, which makes an HPA hold."""
    resources.error = error
    answer = await ask(f"{API}/pods")
    assert (answer.status_code, answer.json()["message"]) == (500, f"Internal error occurred: {words}")


# ---- tables and metadata


async def test_a_table_of_pods(ask: Ask) -> None:
    """What `kubectl get podmetrics` prints: containers added up, the columns of the first row, metadata beside it."""
    answer = await ask(f"{API}/namespaces/shop/pods", Accept=KUBECTL)

    found = answer.json()
    assert (found["kind"], found["apiVersion"], found["metadata"]) == ("Table", "meta.k8s.io/v1", {})
    assert found["columnDefinitions"] == [
        {"name": "Name", "type": "string", "format": "name", "description": "Name of the resource", "priority": 0},
        {"name": "cpu", "type": "string", "format": "quantity", "description": "", "priority": 0},
        {"name": "memory", "type": "string", "format": "quantity", "description": "", "priority": 0},
        {"name": "Window", "type": "string", "format": "duration", "description": "", "priority": 0},
    ]
    assert [row["cells"] for row in found["rows"]] == [
        ["web-0", "2", "14680576", "1m0s"],
        ["web-1", "250m", "4Mi", "1m0s"],
    ]
    shown = found["rows"][1]["object"]
    assert (shown["kind"], shown["apiVersion"]) == ("PartialObjectMetadata", "meta.k8s.io/v1")
    assert shown["metadata"]["labels"] == {"app": "web"}


@pytest.mark.parametrize("accept", [JSON, TABLE, "application/yaml"])
async def test_a_long_list_is_whole(ask: Ask, resources: FakeResources, accept: str) -> None:
    """What takes long to write is written aside, and is the same."""
    resources.use = [pod("shop", f"web-{number:04d}") for number in range(600)]

    told = yaml.load((await ask(f"{API}/pods", Accept=accept)).content, Loader=yaml.CSafeLoader)
    found = told.get("items") or [row["object"] for row in told["rows"]]
    assert [one["metadata"]["name"] for one in found] == [one.name for one in resources.use]


async def test_a_table_of_one_pod(ask: Ask) -> None:
    """`kubectl get podmetrics web-0` prints a table of one row."""
    answer = await ask(f"{API}/namespaces/shop/pods/web-0", Accept=KUBECTL)
    assert [row["cells"] for row in answer.json()["rows"]] == [["web-0", "2", "14680576", "1m0s"]]


async def test_an_error_for_who_prints_tables(ask: Ask) -> None:
    """An error is no table: kubectl takes it as plain JSON, and who takes tables only gets it for people."""
    body = (await ask(f"{API}/nodes/nobody", Accept=KUBECTL)).text
    assert body.startswith('{"kind":"Status","apiVersion":"v1",')
    assert (await ask(f"{API}/nodes/nobody", Accept=TABLE)).text.startswith('{\n  "kind": "Status",')


async def test_an_empty_table(ask: Ask) -> None:
    """Without rows there are no columns either, and both are null."""
    answer = await ask(f"{API}/namespaces/empty/pods", Accept=TABLE)
    assert answer.text == (
        '{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{},"columnDefinitions":null,"rows":null}\n'
    )


INCLUDED = [
    ("", "PartialObjectMetadata"),
    ("Metadata", "PartialObjectMetadata"),
    ("Object", "NodeMetrics"),
    ("None", None),
]


@pytest.mark.parametrize(("include", "kind"), INCLUDED)
async def test_what_a_row_shows(ask: Ask, include: str, kind: str | None) -> None:
    """`includeObject` says whether a row has metadata, the whole, or nothing; one node is a table of one row."""
    answer = await ask(f"{API}/nodes/node-1?includeObject={include}", Accept=TABLE)

    (row,) = answer.json()["rows"]
    assert row["cells"] == ["node-1", "2500m", "2Gi", "10s"]
    assert (row["object"] and row["object"]["kind"]) == kind


async def test_what_a_row_cannot_show(ask: Ask) -> None:
    """Another word is a 400 that names the four."""
    answer = await ask(f"{API}/nodes?includeObject=Foo", Accept=TABLE)
    told = "Unable to convert to Table as requested: includeObject: Invalid value: "
    told += "\"Foo\": must be 'Metadata', 'Object', 'None', or empty"
    assert (answer.status_code, answer.json()["message"]) == (400, told)


FORMS = [
    (f"{JSON};as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", "pods", "PartialObjectMetadataList meta.k8s.io/v1"),
    (
        f"{JSON};as=PartialObjectMetadata;v=v1beta1;g=meta.k8s.io",
        "nodes/node-1",
        "PartialObjectMetadata meta.k8s.io/v1beta1",
    ),
    (f"{JSON};as=Table;v=v1beta1;g=meta.k8s.io", "pods", "Table meta.k8s.io/v1beta1"),
    (f"{JSON};as=Table;v=v1;g=example.com,{JSON}", "pods", "PodMetricsList metrics.k8s.io/v1beta1"),
    (
        "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,*/*",
        "pods",
        "PodMetricsList metrics.k8s.io/v1beta1",
    ),
]


@pytest.mark.parametrize(("accept", "path", "what"), FORMS)
async def test_other_forms(ask: Ask, accept: str, path: str, what: str) -> None:
    """The first clause that can be given is given: a conversion of ours, else the document."""
    found = (await ask(f"{API}/{path}", Accept=accept)).json()
    assert f"{found['kind']} {found['apiVersion']}" == what


@pytest.mark.parametrize("path", ["pods", "nodes/node-1"])
async def test_metadata_as_protobuf(ask: Ask, path: str) -> None:
    """What the clients of metadata ask for: of a list its list."""
    kind = "PartialObjectMetadata" if "/" in path else "PartialObjectMetadataList"
    accept = ",".join(f"{form};as={kind};g=meta.k8s.io;v=v1" for form in ("application/vnd.kubernetes.protobuf", JSON))
    answer = await ask(f"{API}/{path}", Accept=f"{accept},{JSON}")

    assert answer.headers["content-type"] == "application/vnd.kubernetes.protobuf"
    assert f"\x0a\x0emeta.k8s.io/v1\x12{chr(len(kind))}{kind}".encode() in answer.content


async def test_a_table_as_yaml(ask: Ask) -> None:
    """A Table has a form as YAML too, and none as protobuf."""
    answer = await ask(f"{API}/nodes", Accept=TABLE.replace(JSON, "application/yaml"))
    assert answer.headers["content-type"] == "application/yaml"
    assert yaml.safe_load(answer.content)["rows"][0]["cells"] == ["node-1", "2500m", "2Gi", "10s"]


@pytest.mark.parametrize(
    ("path", "streams"), [("pods", True), ("namespaces/shop/pods", True), ("nodes/node-1", False), ("", False)]
)
async def test_media_types_that_are_listed(ask: Ask, path: str, *, streams: bool) -> None:
    """A refusal lists what there is: streams, too, for a list, as the API machinery says of every list."""
    answer = await ask(f"{API}/{path}", Accept="application/cbor")
    listed = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
    if streams:
        listed += ", application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"
    told = f"406: Not Acceptable\n\nAvailable representations: {listed}"
    assert (answer.status_code, answer.json()["message"]) == (406, told)


UNACCEPTABLE = [
    (f"application/vnd.kubernetes.protobuf;{TABLE.partition(';')[2]}", "pods"),
    (TABLE, ""),
    (f"{JSON};as=PartialObjectMetadata;v=v1;g=meta.k8s.io", "pods"),
    (f"{JSON};as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", "nodes/node-1"),
    (f"{JSON};as=Table;v=v9;g=meta.k8s.io", "pods"),
]


@pytest.mark.parametrize(("accept", "path"), UNACCEPTABLE)
async def test_forms_that_are_not_to_be_had(ask: Ask, resources: FakeResources, accept: str, path: str) -> None:
    """Who takes nothing else gets 406, before anybody is asked."""
    assert (await ask(f"{API}/{path}", Accept=accept)).status_code == 406
    assert resources.asked == []


async def test_protobuf(ask: Ask) -> None:
    """What the HPA asks for: an Unknown of the list's type, whose items have the names and amounts in them."""
    answer = await ask(f"{API}/namespaces/shop/pods", Accept="application/vnd.kubernetes.protobuf, */*")

    assert answer.headers["content-type"] == "application/vnd.kubernetes.protobuf"
    assert answer.content.startswith(b"k8s\x00\x0a\x28\x0a\x16metrics.k8s.io/v1beta1\x12\x0ePodMetricsList")
    for text in (b"web-0", b"sidecar", b"1750m", b"10486272"):
        assert text in answer.content


# ---- discovery


@pytest.mark.parametrize("version", ["v1beta1", "v1"])
async def test_discovery_lists_both_versions(ask: Ask, version: str) -> None:
    """The group has both, v1beta1 preferred; each lists pods and nodes with `get` and `list`."""
    group = (await ask("/apis/metrics.k8s.io")).json()
    listed = (await ask(f"/apis/metrics.k8s.io/{version}")).text

    assert [one["version"] for one in group["versions"]] == ["v1beta1", "v1"]
    assert group["preferredVersion"]["version"] == "v1beta1"
    assert listed == (
        f'{{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"metrics.k8s.io/{version}","resources":['
        '{"name":"nodes","singularName":"","namespaced":false,"kind":"NodeMetrics","verbs":["get","list"]},'
        '{"name":"pods","singularName":"","namespaced":true,"kind":"PodMetrics","verbs":["get","list"]}]}\n'
    )


async def test_aggregated_discovery_has_the_resources(ask: Ask) -> None:
    """Kubectl finds `podmetrics` through it, so pods and nodes are in it, other than metrics."""
    accept = f"{JSON};g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    document = json.loads((await ask("/apis", Accept=accept)).content)

    versions = {one["metadata"]["name"]: one["versions"] for one in document["items"]}["metrics.k8s.io"]
    assert [one["version"] for one in versions] == ["v1beta1", "v1"]
    found = [
        (one["resource"], one["scope"], one["responseKind"]["kind"], one["verbs"]) for one in versions[0]["resources"]
    ]
    assert found == [
        ("nodes", "Cluster", "NodeMetrics", ["get", "list"]),
        ("pods", "Namespaced", "PodMetrics", ["get", "list"]),
    ]


async def test_without_resource_rules_there_is_no_such_group(ask: Ask, provider: FakeProvider) -> None:
    """Nothing is promised that no rule measures."""
    provider.groups = Groups(resource=False)
    assert (await ask(f"{API}/pods")).status_code == 404
    assert "metrics.k8s.io" not in {one["name"] for one in (await ask("/apis")).json()["groups"]}


@pytest.mark.parametrize("name", ["%00", "a%FF", quote("\ufffd")])
async def test_names_that_are_none(ask: Ask, name: str) -> None:
    """What is no text is an error of the caller."""
    assert (await ask(f"{API}/namespaces/shop/pods/{name}")).status_code in {400, 404}


# ---- OpenAPI


def undescribed(value: object, schema: Mapping[str, Any], schemas: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Yield where a document has what its schema does not describe, or lacks what the schema requires."""
    while "$ref" in schema or "allOf" in schema:
        (schema,) = schema.get("allOf") or [schemas[schema["$ref"].rpartition("/")[2]]]
    if isinstance(value, dict):
        known: Mapping[str, Any] = schema.get("properties") or dict.fromkeys(value, schema["additionalProperties"])
        yield from (f"{path}.{key}" for key in value.keys() - known.keys())
        yield from (f"{path}.{key} is required" for key in schema.get("required", ()) if key not in value)
        for key in value.keys() & known.keys():
            yield from undescribed(value[key], known[key], schemas, f"{path}.{key}")
    elif isinstance(value, list):
        for one in value:
            yield from undescribed(one, schema["items"], schemas, f"{path}[]")
    elif not ("oneOf" in schema or schema.get("type") == "string"):
        yield path


@pytest.mark.parametrize("version", ["v1beta1", "v1"])
@pytest.mark.parametrize("path", ["pods", "nodes", "namespaces/shop/pods/web-0", "nodes/node-1"])
async def test_openapi_describes_the_documents(ask: Ask, path: str, version: str) -> None:
    """What `kubectl explain` says of a document is what it has."""
    schemas = (await ask(f"/openapi/v3/apis/metrics.k8s.io/{version}")).json()["components"]["schemas"]
    document = (await ask(f"/apis/metrics.k8s.io/{version}/{path}")).json()

    (schema,) = (schema for name, schema in schemas.items() if name.endswith(f".{version}.{document['kind']}"))
    assert list(undescribed(document, schema, schemas)) == []
