"""The documents of metrics.k8s.io: as JSON, as protobuf, as Tables, and their metadata alone."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from adapter.kube.protobuf import encode_protobuf, has_protobuf
from adapter.kube.resource_documents import node_metrics, node_metrics_list, pod_metrics, pod_metrics_list, usage_text
from adapter.kube.resource_metrics import ContainerUse, NodeUse, PodUse
from adapter.kube.table import partial_object, partial_object_list, table

AT = 1795174496.789  # 2026-11-20T11:34:56Z
NOW = AT + 10.0
APP = ContainerUse(name="app", milli={"memory": 10486272000, "cpu": 1500})
SIDECAR = ContainerUse(name="sidecar", milli={"cpu": 0, "memory": 4194304000})
POD = PodUse(
    namespace="default",
    name="web-a",
    labels={"app": "web-a"},
    timestamp_seconds=AT,
    window_seconds=15.034,
    containers=(APP, SIDECAR),
)
NODE = NodeUse(
    name="node1",
    labels={"kubernetes.io/hostname": "node1"},
    timestamp_seconds=AT,
    window_seconds=10.0,
    milli={"cpu": 2500, "memory": 2 * 1024**3 * 1000},
)

AMOUNTS = [
    ("cpu", 0, "0"),
    ("cpu", 250, "250m"),
    ("cpu", 8000, "8"),
    ("cpu", 32001, "32001m"),
    ("memory", 0, "0"),
    ("memory", 1239000, "1239"),
    ("memory", 3999, "3999m"),
    ("memory", 21500, "21500m"),
    ("memory", 1000000, "1k"),
    ("memory", 999999000, "999999"),
    ("memory", 1048576500, "1048576500m"),
    ("memory", 52428800000, "50Mi"),
    ("memory", 5000000000000, "5000000000"),
    ("memory", 11999999999000, "11999999999"),
]


@pytest.mark.parametrize(("resource", "milli", "text"), AMOUNTS)
def test_amounts_are_printed_as_kubernetes_prints_them(resource: str, milli: int, text: str) -> None:
    """Memory counts in 1024s where it is whole and large enough, and everything else in 1000s."""
    assert usage_text(resource, milli) == text


def test_json_of_pods() -> None:
    """The keys of a pod are in the order of Kubernetes' structs, and the items of a list do not say what they are."""
    assert orjson.dumps(pod_metrics_list("v1beta1", [POD], now_seconds=NOW)).decode() == (
        '{"kind":"PodMetricsList","apiVersion":"metrics.k8s.io/v1beta1","metadata":{},"items":[{"metadata":{"name":'
        '"web-a","namespace":"default","creationTimestamp":"2026-11-20T11:35:06Z","labels":{"app":"web-a"}},"timestamp":'
        '"2026-11-20T11:34:56Z","window":"15.034s","containers":[{"name":"app","usage":{"cpu":"1500m","memory":'
        '"10486272"}},{"name":"sidecar","usage":{"cpu":"0","memory":"4Mi"}}]}]}'
    )


def test_no_labels_are_left_out() -> None:
    """Who has no labels has no key for them, as in Go."""
    bare = NodeUse(name="n", labels={}, timestamp_seconds=AT, window_seconds=60.0, milli={"cpu": 1, "memory": 1})
    assert list(node_metrics("v1", bare, now_seconds=NOW)["metadata"]) == ["name", "creationTimestamp"]


# ---- protobuf, field by field as the generated.proto files number them

TIME = "1208 08e0e080d806 1000"
CREATED = "4208 08eae080d806 1000"
ENVELOPE_END = "1a00 2200"
NO_LIST_META = "0a00 1200 1a00"
NODE_META = f"0a05 {b'node1'.hex()} 1200 1a00 2200 2a00 3200 3800 {CREATED} 5a1f 0a16 {b'kubernetes.io/hostname'.hex()}"
NODE_META += f"1205 {b'node1'.hex()}"
NODE_FIELDS = (
    f"0a3e {NODE_META} {TIME} 1a06 0880c8afa025"
    f"220e 0a03 {b'cpu'.hex()} 1207 0a05 {b'2500m'.hex()} 220f 0a06 {b'memory'.hex()} 1205 0a03 {b'2Gi'.hex()}"
)
POD_META = f"0a05 {b'web-a'.hex()} 1200 1a07 {b'default'.hex()} 2200 2a00 3200 3800 {CREATED}"
POD_META += f"5a0c 0a03 {b'app'.hex()} 1205 {b'web-a'.hex()}"
APP_FIELDS = f"0a03 {b'app'.hex()} 120e 0a03 {b'cpu'.hex()} 1207 0a05 {b'1500m'.hex()}"
APP_FIELDS += f"1214 0a06 {b'memory'.hex()} 120a 0a08 {b'10486272'.hex()}"
SIDECAR_FIELDS = f"0a07 {b'sidecar'.hex()} 120a 0a03 {b'cpu'.hex()} 1203 0a01 30"
SIDECAR_FIELDS += f"120f 0a06 {b'memory'.hex()} 1205 0a03 {b'4Mi'.hex()}"
POD_FIELDS = f"0a32 {POD_META} {TIME} 1a06 08 80c5e28038 222b {APP_FIELDS} 2226 {SIDECAR_FIELDS}"


def envelope(api_version: str, kind: str, content: str) -> str:
    """Write the message that goes around every document, in hex; lengths are below 128."""
    what = f"0a{len(api_version):02x}{api_version.encode().hex()} 12{len(kind):02x}{kind.encode().hex()}"
    return f"6b387300 0a{size(what)} {what} 12{size(content)} {content} {ENVELOPE_END}".replace(" ", "")


def size(content: str) -> str:
    """Return the length of some hex as protobuf writes it."""
    length = len(content.replace(" ", "")) // 2
    return f"{length:02x}" if length < 0x80 else f"{length & 0x7F | 0x80:02x}{length >> 7:02x}"


NODES = node_metrics_list("v1beta1", [NODE], now_seconds=NOW)
PROTOBUF: dict[str, tuple[dict[str, Any], str]] = {
    "a node": (
        node_metrics("v1", NODE, now_seconds=NOW),
        envelope("metrics.k8s.io/v1", "NodeMetrics", NODE_FIELDS),
    ),
    "a list of nodes": (
        NODES,
        envelope("metrics.k8s.io/v1beta1", "NodeMetricsList", f"0a06 {NO_LIST_META} 1273 {NODE_FIELDS}"),
    ),
    "a pod": (
        pod_metrics("v1beta1", POD, now_seconds=NOW),
        envelope("metrics.k8s.io/v1beta1", "PodMetrics", POD_FIELDS),
    ),
    "an empty list of pods": (
        pod_metrics_list("v1beta1", [], now_seconds=NOW),
        envelope("metrics.k8s.io/v1beta1", "PodMetricsList", f"0a06 {NO_LIST_META}"),
    ),
    "metadata": (
        partial_object(node_metrics("v1", NODE, now_seconds=NOW), "v1"),
        envelope("meta.k8s.io/v1", "PartialObjectMetadata", f"0a3e {NODE_META}"),
    ),
    "a list of metadata": (
        partial_object_list(NODES, "v1"),
        envelope("meta.k8s.io/v1", "PartialObjectMetadataList", f"0a06 {NO_LIST_META} 1240 0a3e {NODE_META}"),
    ),
    "a list of metadata in its older version, whose fields have other numbers": (
        partial_object_list(NODES, "v1beta1"),
        envelope("meta.k8s.io/v1beta1", "PartialObjectMetadataList", f"0a40 0a3e {NODE_META} 1206 {NO_LIST_META}"),
    ),
}


@pytest.mark.parametrize(("document", "wire"), PROTOBUF.values(), ids=PROTOBUF)
def test_protobuf(document: dict[str, Any], wire: str) -> None:
    """A document is written byte for byte as Go's API servers write it."""
    assert encode_protobuf(document).hex() == wire


# ---- tables


def test_a_table_to_the_byte() -> None:
    """The table of one node is the one that the API machinery writes."""
    assert orjson.dumps(table(NODES, "v1")).decode() == (
        '{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{},"columnDefinitions":[{"name":"Name","type":"string",'
        '"format":"name","description":"Name of the resource","priority":0},{"name":"cpu","type":"string","format":'
        '"quantity","description":"","priority":0},{"name":"memory","type":"string","format":"quantity","description":"",'
        '"priority":0},{"name":"Window","type":"string","format":"duration","description":"","priority":0}],"rows":['
        '{"cells":["node1","2500m","2Gi","10s"],"object":{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1",'
        '"metadata":{"name":"node1","creationTimestamp":"2026-11-20T11:35:06Z","labels":{"kubernetes.io/hostname":'
        '"node1"}}}}]}'
    )
    assert not has_protobuf(table(NODES, "v1"))


SUMS: list[tuple[list[tuple[int, int]], list[str]]] = [
    ([(1500, 10486272000), (0, 4194304000)], ["1500m", "14680576"]),
    ([(250, 0), (750, 52428800000)], ["1", "50Mi"]),
    ([(1, 500), (1, 500)], ["2m", "1"]),
    ([(0, 0), (0, 0)], ["0", "0"]),
]


@pytest.mark.parametrize(("containers", "cells"), SUMS)
def test_containers_are_added_up(containers: list[tuple[int, int]], cells: list[str]) -> None:
    """A row of a pod has the sum of its containers, exact, and written as a quantity is."""
    uses = tuple(
        ContainerUse(name=str(n), milli={"cpu": cpu, "memory": ram}) for n, (cpu, ram) in enumerate(containers)
    )
    use = PodUse(namespace="n", name="p", labels={}, timestamp_seconds=AT, window_seconds=60.0, containers=uses)
    (row,) = table(pod_metrics("v1beta1", use, now_seconds=NOW), "v1")["rows"]
    assert row["cells"] == ["p", *cells, "1m0s"]


def test_a_whole_object_in_a_row_says_what_it_is() -> None:
    """An item of a list has no kind of its own, and gets one where it stands alone."""
    (row,) = table(NODES, "v1beta1", include="Object")["rows"]
    assert row["object"] == node_metrics("v1beta1", NODE, now_seconds=NOW)
    assert list(row["object"])[:2] == ["kind", "apiVersion"]
