"""Documents, byte for byte as Kubernetes' API servers write them."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest
from kube_vectors import SELECTORS_AND_MORE, lines

from adapter.kube.documents import (
    CustomVersion,
    ExternalItem,
    MetricItem,
    ResourceEntry,
    api_group,
    api_group_list,
    api_resource_list,
    external_metric_value_list,
    label_selector_document,
    metric_value_list,
    status,
    timestamp_text,
)
from adapter.kube.resources import Kind, kubernetes_kinds
from adapter.kube.selectors import parse_selector

AT_SECONDS = datetime(2026, 11, 20, 11, 34, 56, 789000, tzinfo=UTC).timestamp()
GREGORIAN_CYCLE_SECONDS = 12_622_780_800


def kind(group: str, name: str) -> Kind:
    """Return one of Kubernetes' own kinds."""
    found = kubernetes_kinds().resolve_kind(group, name)
    assert found
    return found


def compact(document: object) -> str:
    """Write a document as it goes over the wire."""
    return json.dumps(document, separators=(",", ":"))


POD = MetricItem(
    kind=kind("", "Pod"), namespace="ns", name="web", timestamp_seconds=AT_SECONDS, milli=1500, window_seconds=None
)
WINDOWED = MetricItem(
    kind=kind("", "Pod"), namespace="ns", name="web", timestamp_seconds=AT_SECONDS, milli=42_000, window_seconds=60
)
NAMESPACE = MetricItem(kind=kind("", "Namespace"), namespace="", name="ns", timestamp_seconds=AT_SECONDS, milli=0)
INGRESS = MetricItem(
    kind=kind("networking.k8s.io", "Ingress"),
    namespace="ns",
    name="shop",
    timestamp_seconds=0,
    milli=10**21,
    window_seconds=0,
)


@pytest.mark.parametrize(
    ("version", "selector", "item", "text"),
    [
        (
            "v1beta1",
            "",
            POD,
            (
                '{"describedObject":{"kind":"Pod","namespace":"ns","name":"web","apiVersion":"/v1"},'
                '"metricName":"http_requests","timestamp":"2026-11-20T11:34:56Z","value":"1500m","selector":null}'
            ),
        ),
        (
            "v1beta1",
            "code=200",
            WINDOWED,
            (
                '{"describedObject":{"kind":"Pod","namespace":"ns","name":"web","apiVersion":"/v1"},'
                '"metricName":"http_requests","timestamp":"2026-11-20T11:34:56Z","window":60,"value":"42",'
                '"selector":{"matchLabels":{"code":"200"}}}'
            ),
        ),
        (
            "v1beta2",
            "",
            WINDOWED,
            (
                '{"describedObject":{"kind":"Pod","namespace":"ns","name":"web","apiVersion":"/v1"},'
                '"metric":{"name":"http_requests","selector":null},'
                '"timestamp":"2026-11-20T11:34:56Z","windowSeconds":60,"value":"42"}'
            ),
        ),
        (
            "v1beta2",
            "code!=200",
            NAMESPACE,
            (
                '{"describedObject":{"kind":"Namespace","name":"ns","apiVersion":"/v1"},"metric":{"name":"http_requests",'
                '"selector":{"matchExpressions":[{"key":"code","operator":"NotIn","values":["200"]}]}},'
                '"timestamp":"2026-11-20T11:34:56Z","value":"0"}'
            ),
        ),
        (
            "v1beta2",
            "",
            INGRESS,
            (
                '{"describedObject":{"kind":"Ingress","namespace":"ns","name":"shop","apiVersion":"networking.k8s.io/v1"},'
                '"metric":{"name":"http_requests","selector":null},'
                '"timestamp":"1970-01-01T00:00:00Z","windowSeconds":0,"value":"9200T"}'
            ),
        ),
    ],
)
def test_writes_values_of_objects(version: CustomVersion, selector: str, item: MetricItem, text: str) -> None:
    """Each version has its own keys in its own order; a window of zero is written, an absent one is not."""
    document = metric_value_list(
        version,
        metric="http_requests",
        selector=label_selector_document(parse_selector(selector)),
        items=[item],
    )

    head = f'{{"kind":"MetricValueList","apiVersion":"custom.metrics.k8s.io/{version}","metadata":{{}},"items":['
    assert compact(document) == f"{head}{text}]}}"


@pytest.mark.parametrize("version", ["v1beta1", "v1beta2"])
def test_writes_an_empty_list(version: CustomVersion) -> None:
    """No values are an empty list, never null."""
    document = metric_value_list(version, metric="m", selector=None, items=[])

    assert document["items"] == []


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (
            ExternalItem(
                labels={"queue": "a", "app": "z"}, timestamp_seconds=AT_SECONDS, milli=7000, window_seconds=60
            ),
            (
                '{"metricName":"queue_len","metricLabels":{"app":"z","queue":"a"},"timestamp":"2026-11-20T11:34:56Z",'
                '"window":60,"value":"7"}'
            ),
        ),
        (
            ExternalItem(labels=None, timestamp_seconds=AT_SECONDS, milli=-1),
            '{"metricName":"queue_len","metricLabels":null,"timestamp":"2026-11-20T11:34:56Z","value":"-1m"}',
        ),
        (
            ExternalItem(labels={}, timestamp_seconds=AT_SECONDS, milli=7000),
            '{"metricName":"queue_len","metricLabels":{},"timestamp":"2026-11-20T11:34:56Z","value":"7"}',
        ),
    ],
)
def test_writes_external_values(item: ExternalItem, text: str) -> None:
    """Labels are sorted; none at all is null, and different from an empty set."""
    document = external_metric_value_list(metric="queue_len", items=[item])

    head = '{"kind":"ExternalMetricValueList","apiVersion":"external.metrics.k8s.io/v1beta1","metadata":{},"items":['
    assert compact(document) == f"{head}{text}]}}"


def test_writes_discovery_lists() -> None:
    """A discovery list has an empty singular name for each resource."""
    entry = ResourceEntry(name="pods/http_requests", namespaced=True, kind="MetricValueList", verbs=("get",))

    document = api_resource_list("custom.metrics.k8s.io/v1beta2", [entry])

    assert compact(document) == (
        '{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"custom.metrics.k8s.io/v1beta2","resources":'
        '[{"name":"pods/http_requests","singularName":"","namespaced":true,"kind":"MetricValueList","verbs":["get"]}]}'
    )


def test_writes_groups() -> None:
    """The first version is preferred, and in the list of groups no group repeats its type."""
    group = api_group("custom.metrics.k8s.io", ["v1beta2", "v1beta1"])

    entry = (
        '"name":"custom.metrics.k8s.io","versions":['
        '{"groupVersion":"custom.metrics.k8s.io/v1beta2","version":"v1beta2"},'
        '{"groupVersion":"custom.metrics.k8s.io/v1beta1","version":"v1beta1"}],'
        '"preferredVersion":{"groupVersion":"custom.metrics.k8s.io/v1beta2","version":"v1beta2"}}'
    )
    assert compact(group) == f'{{"kind":"APIGroup","apiVersion":"v1",{entry}'
    assert compact(api_group_list([group])) == f'{{"kind":"APIGroupList","apiVersion":"v1","groups":[{{{entry}]}}'


def test_writes_a_status() -> None:
    """Reason and details are left out where there are none; details that are empty are written."""
    bare = status(code=500, message="boom")
    full = status(code=404, reason="NotFound", message="no route", details={})

    head = '{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure"'
    assert compact(bare) == f'{head},"message":"boom","code":500}}'
    assert compact(full) == f'{head},"message":"no route","reason":"NotFound","details":{{}},"code":404}}'


@pytest.mark.parametrize("line", lines(SELECTORS_AND_MORE, "TIME"))
def test_prints_times(line: str) -> None:
    """Times of any year print as meta/v1 Time does; only the zero time, which Go writes as null, is spelt out."""
    match = re.fullmatch(
        r"TIME (-?\d+)-(\d\d)-(\d\d) (\d\d:\d\d:\d\d)(?:\.(\d+))? ([+-]\d{4}) \S+ -> (null|\"\S+\") <nil> qp=\S*", line
    )
    assert match, line
    cycles, year = divmod(int(match[1]) - 2000, 400)
    moment = datetime.strptime(f"{2000 + year}-{match[2]}-{match[3]} {match[4]} {match[6]}", "%Y-%m-%d %H:%M:%S %z")
    seconds = moment.timestamp() + cycles * GREGORIAN_CYCLE_SECONDS + float(f"0.{match[5] or 0}")

    assert timestamp_text(seconds) == (json.loads(match[7]) or "0001-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-0.5, "1969-12-31T23:59:59Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (253_402_300_799.5, "9999-12-31T23:59:59Z"),
        (253_402_300_800, "10000-01-01T00:00:00Z"),
        (-62_167_219_201, "-0001-12-31T23:59:59Z"),
    ],
)
def test_cuts_times_to_seconds(seconds: float, text: str) -> None:
    """The second that is running is printed, before 1970 as well."""
    assert timestamp_text(seconds) == text
