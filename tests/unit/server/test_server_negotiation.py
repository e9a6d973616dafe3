"""Which form an answer has for whom."""

from __future__ import annotations

import pytest
import yaml
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
    f"{TABLE},{TABLE.replace('v1', 'v1beta1')},application/json",  # kubectl get
    f"{AGGREGATED.replace('v=v2', 'v=v3')},application/json",
    "application/json, application/yaml;q=0.1",
    f"application/json;q=0.5, {PROTOBUF};q=0.4",
    ",".join(["text/html"] * 60 + ["*/*"]),
    "application/cbor, application/json",
    "text/html, application/xhtml+xml, */*;q=0.8",
    "application/*, application/json",
    f"application/*, {PROTOBUF}",
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


PROTOBUF_ACCEPTED = [
    PROTOBUF,
    f"{PROTOBUF}, */*",  # the HPA
    f"{PROTOBUF},application/json",  # kubectl top, the VPA
    f"application/json;q=0.5, {PROTOBUF}",
    f"{PROTOBUF};stream=watch",
    f"{TABLE}, {PROTOBUF}",
]


@pytest.mark.parametrize("path", [LIST, EXTERNAL, RESOURCES, "/apis", "/apis/custom.metrics.k8s.io"])
@pytest.mark.parametrize("accept", PROTOBUF_ACCEPTED)
async def test_protobuf(ask: Ask, path: str, accept: str) -> None:
    """Whoever prefers protobuf gets it, in Kubernetes' envelope."""
    response = await ask(path, accept=accept)

    assert (response.status_code, response.headers["content-type"]) == (200, PROTOBUF)
    assert response.content.startswith(b"k8s\x00")


@pytest.mark.parametrize("path", [LIST, EXTERNAL, RESOURCES, "/apis", "/apis/custom.metrics.k8s.io"])
@pytest.mark.parametrize("accept", ["application/yaml", "application/yaml, application/json;q=0.1"])
async def test_yaml(ask: Ask, path: str, accept: str) -> None:
    """Whoever prefers YAML gets the document of JSON as YAML."""
    response = await ask(path, accept=accept)
    as_json = await ask(path)

    assert (response.status_code, response.headers["content-type"]) == (200, "application/yaml")
    assert yaml.safe_load(response.content) == as_json.json()


@pytest.mark.parametrize(
    ("accept", "start"), [("application/yaml", b"apiVersion: v1\ncode: 404\n"), (PROTOBUF, b"k8s\0")]
)
async def test_errors_are_negotiated(ask: Ask, accept: str, start: bytes) -> None:
    """An error comes in the form that its caller prefers."""
    response = await ask("/apis/custom.metrics.k8s.io/v1beta2/pods", accept=accept)

    assert (response.status_code, response.headers["content-type"]) == (404, accept)
    assert response.content.startswith(start)


@pytest.mark.parametrize(
    "accept",
    [
        AGGREGATED,
        f"{AGGREGATED},application/json",
        f"{AGGREGATED},{AGGREGATED.replace('v2', 'v2beta1')},application/json",
        "application/json;as=APIGroupDiscoveryList;v=v2;g=apidiscovery.k8s.io",
    ],
)
async def test_aggregated_discovery(ask: Ask, accept: str) -> None:
    """Whoever asks for it gets all groups in one document, once: its ETag spares the next answer."""
    response = await ask("/apis", accept=accept)

    assert response.headers["content-type"] == AGGREGATED
    assert response.headers["cache-control"] == "public"
    names = [item["metadata"]["name"] for item in response.json()["items"]]
    assert names == ["custom.metrics.k8s.io", "external.metrics.k8s.io"]
    again = await ask("/apis", accept=accept, if_none_match=response.headers["etag"])
    assert (again.status_code, again.content) == (304, b"")


async def test_openapi_is_served(ask: Ask) -> None:
    """Both versions of OpenAPI describe what is installed."""
    root = (await ask("/openapi/v3")).json()
    assert "apis/custom.metrics.k8s.io/v1beta2" in root["paths"]
    assert (await ask(root["paths"]["apis/external.metrics.k8s.io/v1beta1"]["serverRelativeURL"])).status_code == 200
    assert (await ask("/openapi/v2", "POST")).json()["swagger"] == "2.0"
    assert (await ask("/openapi/v3/apis/apps/v1")).status_code == 404


def no_producer(available: str) -> str:
    """Return the router's refusal."""
    return f"""{{
  "kind": "Status",
  "apiVersion": "v1",
  "metadata": {{}},
  "status": "Failure",
  "message": "406: Not Acceptable\\n\\nAvailable representations: {available}",
  "reason": "NotAcceptable",
  "details": {{}},
  "code": 406
}}"""


THREE = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
STREAMS = ", application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"


@pytest.mark.parametrize(
    ("path", "available"),
    [
        (LIST, THREE + STREAMS),
        (EXTERNAL, THREE + STREAMS),
        (RESOURCES, THREE),
        ("/apis", THREE),
        ("/version", "application/json"),
    ],
)
@pytest.mark.parametrize(
    "accept",
    [
        "application/cbor",
        "text/html, text/plain;q=0.5",
        "garbage",
        ";",
    ],
)
async def test_not_produced(ask: Ask, provider: FakeProvider, path: str, available: str, accept: str) -> None:
    """Whoever accepts only what we do not produce is told what we do, in JSON for people, before anything is asked."""
    response = await ask(path, accept=accept)

    assert response.status_code == 406
    assert response.text == no_producer(available)
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
  "message": "only the following media types are accepted: application/json, application/yaml, \
application/vnd.kubernetes.protobuf",
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
        (LIST, f"{PROTOBUF};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"),
        ("/apis", AGGREGATED.replace("v2", "v2beta1")),
        (RESOURCES, AGGREGATED),
    ],
)
async def test_not_converted(ask: Ask, provider: FakeProvider, path: str, accept: str) -> None:
    """Whoever wants a conversion that we do not make, and nothing else, is told which media types there are."""
    response = await ask(path, accept=accept)

    assert response.status_code == 406
    assert response.text == NOT_CONVERTED
    assert provider.asked == []


@pytest.mark.parametrize("accept", ["text/html", TABLE, ",".join(["text/html"] * 64 + ["*/*"])])
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
]


@pytest.mark.parametrize("path", [LIST, EXTERNAL, RESOURCES, "/apis", "/apis/custom.metrics.k8s.io/v1beta2/pods"])
@pytest.mark.parametrize(("query", "agent", "accept", "pretty"), PRETTY)
async def test_pretty(ask: Ask, path: str, query: str, agent: str, accept: str, *, pretty: bool) -> None:
    """People get indented JSON: they ask for it, or they come with a tool of people; errors are no exception."""
    headers = {"user_agent": agent, "accept": accept}

    response = await ask(path + query, **{name: value for name, value in headers.items() if value})

    assert response.text.startswith('{\n  "kind": ' if pretty else '{"kind":')
    assert response.text.endswith("}" if pretty else "}\n")
