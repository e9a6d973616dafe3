"""Documents as protobuf, against bytes that Go's API servers wrote."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.kube.protobuf import encode_protobuf, has_protobuf
from adapter.kube.protobuf.wire import varint

REFERENCE = {"kind": "Pod", "namespace": "ns", "name": "web", "apiVersion": "/v1"}
ENVELOPE_END = "1a00 2200"
TIME = "2026-11-20T11:34:56Z"


def custom(version: str, **value: Any) -> dict[str, Any]:
    """Return a list of one value."""
    item = {"describedObject": REFERENCE, "timestamp": TIME, "value": "1500m", **value}
    return {
        "kind": "MetricValueList",
        "apiVersion": f"custom.metrics.k8s.io/{version}",
        "metadata": {},
        "items": [item],
    }


GOLDEN: dict[str, tuple[dict[str, Any], str]] = {
    "a value of v1beta2": (
        custom("v1beta2", metric={"name": "windowed", "selector": None}, windowSeconds=60),
        "6b387300 0a30 0a1d 637573746f6d2e6d6574726963732e6b38732e696f2f76316265746132"
        "120f 4d657472696356616c75654c697374 1246 0a06 0a00 1200 1a00 123c"
        "0a19 0a03 506f64 1202 6e73 1a03 776562 2200 2a03 2f7631 3200 3a00"
        "120a 0a08 77696e646f776564 1a08 08e0e080d806 1000 203c 2a07 0a05 313530306d" + ENVELOPE_END,
    ),
    "a value of v1beta1 with a selector": (
        custom("v1beta1", metricName="windowed", window=60, selector={"matchLabels": {"a": "b"}}),
        "6b387300 0a30 0a1d 637573746f6d2e6d6574726963732e6b38732e696f2f76316265746131"
        "120f 4d657472696356616c75654c697374 124e 0a06 0a00 1200 1a00 1244"
        "0a19 0a03 506f64 1202 6e73 1a03 776562 2200 2a03 2f7631 3200 3a00"
        "1208 77696e646f776564 1a08 08e0e080d806 1000 203c 2a07 0a05 313530306d 3208 0a06 0a01 61 1201 62"
        + ENVELOPE_END,
    ),
    "a status without details": (
        {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": "the server could not find the metric missing for pods",
            "reason": "NotFound",
            "code": 404,
        },
        "6b387300 0a0c 0a02 7631 1206 537461747573 1255 0a06 0a00 1200 1a00 1207 4661696c757265 1a35"
        + b"the server could not find the metric missing for pods".hex()
        + "2208 4e6f74466f756e64 309403"
        + ENVELOPE_END,
    ),
    "a status with empty details": (
        {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": "x",
            "reason": "NotFound",
            "details": {},
            "code": 404,
        },
        "6b387300 0a0c 0a02 7631 1206 537461747573 122d 0a06 0a00 1200 1a00 1207 4661696c757265 1a01 78"
        "2208 4e6f74466f756e64 2a0a 0a00 1200 1a00 2800 3200 309403" + ENVELOPE_END,
    ),
}


@pytest.mark.parametrize(("document", "wire"), GOLDEN.values(), ids=GOLDEN)
def test_bytes_are_those_of_go(document: dict[str, Any], wire: str) -> None:
    """A document is written byte for byte as Go's API servers write it."""
    assert encode_protobuf(document).hex() == wire.replace(" ", "")


def test_external_value() -> None:
    """An external value carries its labels by key, and its quantity as text."""
    document = {
        "kind": "ExternalMetricValueList",
        "apiVersion": "external.metrics.k8s.io/v1beta1",
        "metadata": {},
        "items": [
            {
                "metricName": "queue_len",
                "metricLabels": {"queue": "a", "app": "z"},
                "timestamp": TIME,
                "window": 60,
                "value": "7",
            }
        ],
    }
    item = "0a09 71756575655f6c656e 1208 0a03 617070 1201 7a 120a 0a05 7175657565 1201 61 1a08 08e0e080d806 1000 203c 2a03 0a01 37"
    assert item.replace(" ", "") in encode_protobuf(document).hex()


def test_absent_labels_time_and_window() -> None:
    """A value without labels has no field for them, none for the window, and an empty message for the time."""
    document = {
        "kind": "ExternalMetricValueList",
        "apiVersion": "external.metrics.k8s.io/v1beta1",
        "metadata": {},
        "items": [{"metricName": "q", "metricLabels": None, "timestamp": None, "value": "7"}],
    }
    assert "120a 0a01 71 1a00 2a03 0a01 37".replace(" ", "") in encode_protobuf(document).hex()


def test_pod_metrics() -> None:
    """A pod's usage is a map of quantities for each container, and its window counts nanoseconds."""
    document = {
        "kind": "PodMetrics",
        "apiVersion": "metrics.k8s.io/v1beta1",
        "metadata": {"name": "p", "namespace": "n", "labels": {"a": "b"}},
        "timestamp": TIME,
        "window": "1m0s",
        "containers": [{"name": "c", "usage": {"memory": "4Mi", "cpu": "1m"}}],
    }
    metadata = "0a1d 0a01 70 1200 1a01 6e 2200 2a00 3200 3800 4200 5a06 0a01 61 1201 62".replace(" ", "")
    window = "1a07 08 80b09ffbdf01".replace(" ", "")
    usage = "2222 0a01 63 120c 0a03 637075 1205 0a03 0a01".replace(" ", "")
    wire = encode_protobuf(document).hex()
    assert window[:6] in wire
    assert "08" + varint(60_000_000_000).hex() in wire
    assert wire.index("0a03637075") < wire.index("0a066d656d6f7279")
    assert metadata[4:] in wire
    assert usage[4:10] in wire


def test_verbs_are_a_message_of_their_own() -> None:
    """The verbs of a resource stand in a message, which JSON writes as the list in it."""
    resource = {"name": "pods/m", "singularName": "", "namespaced": True, "kind": "M", "verbs": ["get", "list"]}
    document = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "g/v1", "resources": [resource]}
    wire = "0a06 706f64732f6d 1001 1a01 4d 220b 0a03 676574 0a04 6c697374 3200 4200 4a00 5200"
    assert wire.replace(" ", "") in encode_protobuf(document).hex()


def test_table_has_no_protobuf_form() -> None:
    """A Table, which Kubernetes writes as JSON only, has no protobuf form."""
    assert not has_protobuf({"kind": "Table", "apiVersion": "meta.k8s.io/v1"})


def test_group_list_of_no_version() -> None:
    """A list of groups without apiVersion is v1's."""
    assert has_protobuf({"kind": "APIGroupList", "groups": []})


@given(st.integers(-(2**63), 2**63 - 1))
def test_varint_reads_back(number: int) -> None:
    """A number is read back from its groups of seven bits, also a negative one."""
    groups = varint(number)
    read = sum((byte & 0x7F) << 7 * index for index, byte in enumerate(groups))
    assert (read - 2**64 if read >= 2**63 else read) == number
    assert all(byte & 0x80 for byte in groups[:-1])
    assert not groups[-1] & 0x80
