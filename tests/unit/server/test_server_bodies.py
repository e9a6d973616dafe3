"""The bytes of an answer."""

from __future__ import annotations

import asyncio
import logging

import pytest
from server_fakes import AUDIT_ID, EVALUATED_AT, POD, Ask, FakeProvider

from adapter.kube.documents import ExternalItem, MetricItem

pytestmark = pytest.mark.anyio

CUSTOM = "/apis/custom.metrics.k8s.io"
POD_PATH = "/namespaces/ns/pods/web/http_requests"
EXTERNAL = "/apis/external.metrics.k8s.io/v1beta1/namespaces/ns"

LIST = '{{"kind":"{}","apiVersion":"{}","metadata":{{}},"items":[{{{}}}]}}\n'
WEB = '"describedObject":{"kind":"Pod","namespace":"ns","name":"web","apiVersion":"/v1"}'
TIME = '"timestamp":"2026-11-20T11:34:56Z"'
LABELS = '"metricLabels":{"app":"z","queue":"a"}'
NOT_200 = '{"matchExpressions":[{"key":"code","operator":"NotIn","values":["200"]}]}'
BODIES = [
    (f"v1beta1{POD_PATH}", f'{WEB},"metricName":"http_requests",{TIME},"value":"1500m","selector":null'),
    (
        f"v1beta1{POD_PATH}?metricLabelSelector=code%3D200",
        f'{WEB},"metricName":"http_requests",{TIME},"value":"1500m","selector":{{"matchLabels":{{"code":"200"}}}}',
    ),
    (
        f"v1beta2{POD_PATH}?labelSelector=app%3Dweb",
        f'{WEB},"metric":{{"name":"http_requests","selector":null}},{TIME},"value":"1500m"',
    ),
    (
        f"v1beta2{POD_PATH}?metricLabelSelector=code%21%3D200",
        f'{WEB},"metric":{{"name":"http_requests","selector":{NOT_200}}},{TIME},"value":"1500m"',
    ),
]


@pytest.mark.parametrize(("path", "item"), BODIES)
async def test_custom_bodies(ask: Ask, path: str, item: str) -> None:
    """A list of objects' values is Kubernetes' own, byte for byte, and ends with one newline."""
    response = await ask(f"{CUSTOM}/{path}")

    version = f"custom.metrics.k8s.io/{path.partition('/')[0]}"
    assert response.text == LIST.format("MetricValueList", version, item)


async def test_external_body(ask: Ask) -> None:
    """So is a list of external values."""
    response = await ask(f"{EXTERNAL}/queue_len")

    item = f'"metricName":"queue_len",{LABELS},{TIME},"window":60,"value":"7"'
    assert response.text == LIST.format("ExternalMetricValueList", "external.metrics.k8s.io/v1beta1", item)


@pytest.mark.parametrize(
    ("path", "kind"),
    [(f"{CUSTOM}/v1beta1{POD_PATH}", "MetricValueList"), (f"{EXTERNAL}/m", "ExternalMetricValueList")],
)
async def test_empty_lists(ask: Ask, provider: FakeProvider, path: str, kind: str) -> None:
    """A list without values is an empty list, never null."""
    provider.custom_items, provider.external_items = (), ()

    response = await ask(path)

    assert response.status_code == 200
    assert response.content.startswith(f'{{"kind":"{kind}",'.encode())
    assert response.content.endswith(b'"metadata":{},"items":[]}\n')


async def test_headers(ask: Ask) -> None:
    """Every answer says how long it is, of what type, that it is private, and under which id it can be found."""
    response = await ask(f"{CUSTOM}/v1beta1{POD_PATH}")

    assert dict(response.headers) == {
        "audit-id": AUDIT_ID,
        "cache-control": "no-cache, private",
        "content-type": "application/json",
        "content-length": str(len(response.content)),
    }


@pytest.mark.parametrize("path", ["/healthz", "/nothing", "/apis", f"{CUSTOM}/v1beta1/pods"])
async def test_audit_id_is_echoed(ask: Ask, path: str) -> None:
    """The audit id of kube-apiserver is repeated, so that its log and ours can be read side by side."""
    response = await ask(path, audit_id="from-kas")

    assert response.headers["audit-id"] == "from-kas"


async def test_long_audit_id(ask: Ask) -> None:
    """Of an audit id that is none of kube-apiserver's only the beginning is repeated."""
    response = await ask("/livez", audit_id="x" * 100_000)

    assert response.headers["audit-id"] == "x" * 64


async def test_html_is_escaped(ask: Ask, provider: FakeProvider) -> None:
    """What could be HTML or end a script is escaped as Go's encoder does; all other text stays as it is."""
    labels = {"a<b": "x>y&z", "uni": "é€😀", "line": "\u2028\u2029", "quote": '"\\\n\t\u0001'}
    provider.external_items = (
        ExternalItem(labels=labels, timestamp_seconds=EVALUATED_AT, milli=0, window_seconds=None),
    )

    response = await ask(f"{EXTERNAL}/m")

    expected = (
        r'"metricLabels":{"a\u003cb":"x\u003ey\u0026z","line":"\u2028\u2029","quote":"\"\\\n\t\u0001","uni":"é€😀"}'
    )
    assert expected in response.text


PRETTY_BODY = """{
  "kind": "MetricValueList",
  "apiVersion": "custom.metrics.k8s.io/v1beta2",
  "metadata": {},
  "items": [
    {
      "describedObject": {
        "kind": "Pod",
        "namespace": "ns",
        "name": "web",
        "apiVersion": "/v1"
      },
      "metric": {
        "name": "a\\u003cb",
        "selector": null
      },
      "timestamp": "2026-11-20T11:34:56Z",
      "windowSeconds": 0,
      "value": "-500m"
    }
  ]
}"""


async def test_pretty(ask: Ask, provider: FakeProvider) -> None:
    """The form for people is indented by two, has the same keys in the same order, and no newline at its end."""
    provider.custom_items = (
        MetricItem(kind=POD, namespace="ns", name="web", timestamp_seconds=EVALUATED_AT, milli=-500, window_seconds=0),
    )

    response = await ask(f"{CUSTOM}/v1beta2/namespaces/ns/pods/web/a%3Cb?pretty=1")

    assert response.text == PRETTY_BODY


async def test_hanging_provider(ask: Ask, provider: FakeProvider, caplog: pytest.LogCaptureFixture) -> None:
    """A provider that does not keep its deadline is given up, and the answer is a Status without Retry-After."""
    provider.before = asyncio.Event().wait

    response = await ask(f"{CUSTOM}/v1beta1{POD_PATH}?timeout=1ms", grace_seconds=0.0)

    assert response.status_code == 504
    assert response.content == (
        b'{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Timeout: request did not'
        b' complete within the allotted timeout","reason":"Timeout","details":{},"code":504}\n'
    )
    assert "retry-after" not in response.headers
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


async def test_own_timeout_of_the_provider(ask: Ask, provider: FakeProvider) -> None:
    """A TimeoutError that is not the deadline's is a bug like any other."""
    provider.error = TimeoutError("something else")

    assert (await ask(f"{EXTERNAL}/m")).status_code == 500
