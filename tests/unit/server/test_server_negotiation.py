"""Which form an answer has for whom."""

from __future__ import annotations

import pytest
from server_fakes import Ask, FakeProvider

pytestmark = pytest.mark.anyio

LIST = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/ns/pods/*/m"
EXTERNAL = "/apis/external.metrics.k8s.io/v1beta1/namespaces/ns/m"
RESOURCES = "/apis/custom.metrics.k8s.io/v1beta2"
PROTOBUF = "application/vnd.kubernetes.protobuf"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

ACCEPTED = [
    "",
    "*/*",
    "*/*;q=0.1",
    "application/json",
    "application/json, */*",
    "application/json;q=0",  # 0 does not exclude
    "application/json;charset=utf-8",  # unknown parameters are ignored
    "application/json;stream=watch",
    "application/json;pretty=0",
    f"{PROTOBUF}, */*",  # the HPA
    f"{PROTOBUF},application/json",  # kubectl top
    f"{TABLE},{TABLE.replace('v1', 'v1beta1')},application/json",  # kubectl get
    f"{AGGREGATED},application/json",
    "application/yaml, application/json;q=0.1",
    "application/cbor, application/json",
    "text/html, application/xhtml+xml, */*;q=0.8",
    "application/*, application/json",
    "garbage, application/json",
    "application/json/x, application/json",
    " application/json ",
]


@pytest.mark.parametrize("path", [LIST, EXTERNAL, RESOURCES, "/apis", "/apis/custom.metrics.k8s.io"])
@pytest.mark.parametrize("accept", ACCEPTED)
async def test_accepted(ask: Ask, path: str, accept: str) -> None:
    """Whoever accepts JSON, among other things, gets compact JSON under its bare media type."""
    response = await ask(path, accept=accept) if accept else await ask(path)

    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    assert response.content.startswith(b'{"kind":')
    assert response.content.endswith(b"}\n")


NO_PRODUCER = """{
  "kind": "Status",
  "apiVersion": "v1",
  "metadata": {},
  "status": "Failure",
  "message": "406: Not Acceptable\\n\\nAvailable representations: application/json",
  "reason": "NotAcceptable",
  "details": {},
  "code": 406
}"""


@pytest.mark.parametrize("path", [LIST, EXTERNAL, RESOURCES, "/apis", "/version"])
@pytest.mark.parametrize(
    "accept",
    [
        "application/yaml",
        PROTOBUF,
        f"{PROTOBUF};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
        "application/cbor",
        "text/html, text/plain;q=0.5",
        "garbage",
        ";",
    ],
)
async def test_not_produced(ask: Ask, provider: FakeProvider, path: str, accept: str) -> None:
    """Whoever accepts only what we do not produce is told what we do, in JSON for people, before anything is asked."""
    response = await ask(path, accept=accept)

    assert response.status_code == 406
    assert response.text == NO_PRODUCER
    assert response.headers["content-type"] == "application/json"
    assert provider.asked == []


@pytest.mark.parametrize("accept", ["application/*", "*"])
async def test_partly_open_types(ask: Ask, accept: str) -> None:
    """The router knows `*/*` and whole media types, nothing between them."""
    assert (await ask(LIST, accept=accept)).status_code == 406


NOT_CONVERTED = """{
  "kind": "Status",
  "apiVersion": "v1",
  "metadata": {},
  "status": "Failure",
  "message": "only the following media types are accepted: application/json",
  "reason": "NotAcceptable",
  "code": 406
}"""


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        (LIST, TABLE),
        (LIST, "application/json;v=v1"),
        (LIST, "application/json;sv=1"),
        (LIST, "application/json;stream=other"),
        (EXTERNAL, TABLE),
        (RESOURCES, TABLE),
        ("/apis", AGGREGATED),
        ("/apis", f"{AGGREGATED},{AGGREGATED.replace('v2', 'v2beta1')}"),
    ],
)
async def test_not_converted(ask: Ask, provider: FakeProvider, path: str, accept: str) -> None:
    """Whoever wants a conversion that we do not make, and nothing else, is told which media types there are."""
    response = await ask(path, accept=accept)

    assert response.status_code == 406
    assert response.text == NOT_CONVERTED
    assert provider.asked == []


@pytest.mark.parametrize("accept", ["text/html", TABLE, "application/yaml"])
async def test_errors_are_always_told(ask: Ask, accept: str) -> None:
    """An error reaches also those who accept no form of it, as JSON for people and with its own code."""
    response = await ask("/apis/custom.metrics.k8s.io/v1beta2/pods", accept=accept)

    assert response.status_code == 404
    assert response.text.startswith('{\n  "kind": "Status",\n')
    assert not response.text.endswith("\n")


PRETTY = [
    ("", "curl/8.5.0", "", True),
    ("", "Wget/1.21", "", True),
    ("", "Mozilla/5.0 (X11)", "", True),
    ("", "Mozilla/4.0", "", False),
    ("", "kubectl/v1.36", "", False),
    ("", "", "", False),
    ("?pretty", "curl/8.5.0", "", True),
    ("?pretty=", "kubectl", "", False),
    *((f"?pretty={text}", "kubectl", "", True) for text in ("1", "t", "T", "TRUE", "true", "True")),
    *((f"?pretty={text}", "curl/8.5.0", "", False) for text in ("0", "f", "false", "yes", "tRue", "garbage")),
    ("", "kubectl", "application/json;pretty=1", True),
    ("?pretty=0", "kubectl", "application/json;pretty=1", True),
    ("", "kubectl", "application/json;pretty=true", False),
    ("", "kubectl", "application/json;q=0.1;pretty=1, application/json;q=0.2", False),
    ("", "curl/8.5.0", f"{PROTOBUF}, */*", True),
]


@pytest.mark.parametrize("path", [LIST, EXTERNAL, RESOURCES, "/apis", "/apis/custom.metrics.k8s.io/v1beta2/pods"])
@pytest.mark.parametrize(("query", "agent", "accept", "pretty"), PRETTY)
async def test_pretty(ask: Ask, path: str, query: str, agent: str, accept: str, *, pretty: bool) -> None:
    """People get indented JSON: they ask for it, or they come with a tool of people; errors are no exception."""
    headers = {"user_agent": agent, "accept": accept}

    response = await ask(path + query, **{name: value for name, value in headers.items() if value})

    assert response.text.startswith('{\n  "kind": ' if pretty else '{"kind":')
    assert response.text.endswith("}" if pretty else "}\n")
