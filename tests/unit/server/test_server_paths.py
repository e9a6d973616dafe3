"""Which path asks for what, and which is refused how."""

from __future__ import annotations

import pytest
from server_fakes import Ask, FakeProvider, Groups

from adapter.rules.requests import ByName, CustomMetricRequest, ExternalMetricRequest

pytestmark = pytest.mark.anyio

CUSTOM = "/apis/custom.metrics.k8s.io"
EXTERNAL = "/apis/external.metrics.k8s.io/v1beta1"
NO_ROUTE = (404, "the server could not find the requested resource")
INVALID_PATH = (400, "invalid request path")


def told(request: CustomMetricRequest | ExternalMetricRequest) -> str:
    """Write what the provider was asked: namespace, resource, object and metric; `-` stands for nothing."""
    if isinstance(request, ExternalMetricRequest):
        return f"{request.namespace} {request.metric}"
    name = request.target.name if isinstance(request.target, ByName) else "<selected>"
    return f"{request.namespace or '-'} {request.resource} {name} {request.metric or '-'}"


CUSTOM_PATHS = [
    # the routes
    ("/namespaces/ns/pods/web/http_requests", "ns pods web http_requests"),
    ("/namespaces/ns/pods/*/http_requests", "ns pods <selected> http_requests"),
    ("/namespaces/ns/pods/%2A/http_requests", "ns pods <selected> http_requests"),
    ("/namespaces/ns/pods//http_requests", "ns pods <selected> http_requests"),
    ("/namespaces/ns/deployments.apps/web/m", "ns deployments.apps web m"),
    ("/namespaces/ns/pods./web/m", "ns pods web m"),
    ("/namespaces/ns/a.b.c/web/m", "ns a.b.c web m"),
    ("/nodes/n1/load1", "- nodes n1 load1"),
    ("/nodes/*/load1", "- nodes <selected> load1"),
    ("/nodes//load1", "- nodes <selected> load1"),
    ("/pods/x/m", "- pods x m"),
    ("/metrics/foo/bar", "- metrics foo bar"),
    # a metric of the namespace itself
    ("/namespaces/ns/metrics/queue", "- namespaces ns queue"),
    ("/namespaces/*/metrics/queue", "- namespaces <selected> queue"),
    ("/namespaces/ns/metrics/a/b", "- namespaces ns a"),
    ("/namespaces/ns/metrics//b", "- namespaces ns -"),
    # what Kubernetes' own sub-resources of namespaces make of a path
    ("/namespaces/ns/status/x/y", "ns namespaces ns status"),
    ("/namespaces/ns/finalize/x/y", "ns namespaces ns finalize"),
    ("/namespaces/ns/status", "ns namespaces ns status"),
    # a trailing slash
    ("/namespaces/ns/pods/web/http_requests/", "ns pods web http_requests"),
    ("/nodes/n1/load1/", "- nodes n1 load1"),
    # escapes
    ("/namespaces/ns/pods/web/a%3Fb", "ns pods web a?b"),
    ("/namespaces/ns/pods/web/a%25b", "ns pods web a%b"),
    ("/namespaces/ns/pods/web/%E2%82%AC", "ns pods web €"),
    ("/namespaces/ns/pods/web/a+b", "ns pods web a+b"),
    ("/namespaces/ns/pods/web/a:b", "ns pods web a:b"),
    ("/namespaces/ns/pods/web/a%20b", "ns pods web a b"),
    ("/namespaces%2Fns%2Fpods/web/m", "ns pods web m"),
    ("/namespaces/NS_bad/pods/web/m", "NS_bad pods web m"),
    ("/namespaces/*/pods/web/m", "* pods web m"),
    # too short
    ("/namespaces/ns/pods", INVALID_PATH),
    ("/namespaces/ns/queue", INVALID_PATH),
    ("/namespaces/ns/metrics", INVALID_PATH),
    ("/namespaces/*/queue", INVALID_PATH),
    ("/namespaces/ns/metrics/", INVALID_PATH),
    # no route
    ("/namespaces", NO_ROUTE),
    ("/namespaces/ns", NO_ROUTE),
    ("/pods", NO_ROUTE),
    ("/pods/x", NO_ROUTE),
    ("/namespaces/ns/pods/x", NO_ROUTE),
    ("/namespaces/ns/pods/x/m/y", NO_ROUTE),
    ("/nodes/n1/load1/more", NO_ROUTE),
    ("//namespaces/ns/pods/x/m", NO_ROUTE),
    ("//x/m", NO_ROUTE),
    ("/namespaces/ns/pods/web/a%2Fb", NO_ROUTE),
    # an empty namespace is nobody's: never all namespaces, never the root
    ("/namespaces//pods/web/m", NO_ROUTE),
    ("/namespaces//pods", NO_ROUTE),
    ("/namespaces//metrics/m", NO_ROUTE),
    # what no name can hold
    ("/namespaces/ns/pods/web/a%00b", INVALID_PATH),
    ("/namespaces/n%00s/pods/web/m", INVALID_PATH),
    ("/namespaces/ns/pods/web/%FF%FE", INVALID_PATH),
]


@pytest.mark.parametrize("version", ["v1beta1", "v1beta2"])
@pytest.mark.parametrize(("path", "outcome"), CUSTOM_PATHS)
async def test_custom_paths(
    ask: Ask, provider: FakeProvider, version: str, path: str, outcome: str | tuple[int, str]
) -> None:
    """A path of the custom metrics asks the provider for exactly this, or is refused with exactly that."""
    response = await ask(f"{CUSTOM}/{version}{path}")

    if isinstance(outcome, str):
        assert response.status_code == 200, response.text
        assert list(map(told, provider.asked)) == [outcome]
    else:
        assert (response.status_code, response.json()["message"]) == outcome
        assert provider.asked == []


EXTERNAL_PATHS = [
    ("/namespaces/ns/queue_len", "ns queue_len"),
    ("/namespaces/ns/queue_len/", "ns queue_len"),
    ("/namespaces/*/m", "* m"),
    ("/namespaces/%2A/m", "* m"),
    ("/namespaces/ns/a%3Ab", "ns a:b"),
    ("/namespaces/ns/a+b", "ns a+b"),
    ("/m", NO_ROUTE),
    ("/namespaces", NO_ROUTE),
    ("/namespaces/ns", NO_ROUTE),
    ("/namespaces/ns/", NO_ROUTE),
    ("/namespaces/ns/m/x", NO_ROUTE),
    ("/watch/namespaces/ns/m", NO_ROUTE),
    ("/namespaces/ns/a%2Fb", NO_ROUTE),
    ("/namespaces//m", NO_ROUTE),
    ("/namespaces/ns/status", NO_ROUTE),
    ("/namespaces/ns/finalize", NO_ROUTE),
    ("/namespaces/ns/a%00b", INVALID_PATH),
    ("/namespaces/ns/%C3%28", INVALID_PATH),
]


@pytest.mark.parametrize(("path", "outcome"), EXTERNAL_PATHS)
async def test_external_paths(ask: Ask, provider: FakeProvider, path: str, outcome: str | tuple[int, str]) -> None:
    """A path of the external metrics asks the provider for exactly this, or is refused with exactly that."""
    response = await ask(EXTERNAL + path)

    if isinstance(outcome, str):
        assert response.status_code == 200, response.text
        assert list(map(told, provider.asked)) == [outcome]
    else:
        assert (response.status_code, response.json()["message"]) == outcome
        assert provider.asked == []


STATUS_PATHS = [
    "/apis/custom.metrics.k8s.io/v1beta3",
    "/apis/custom.metrics.k8s.io/v1beta3/namespaces/ns/pods/web/m",
    "/apis/custom.metrics.k8s.io/v1",
    "/apis/external.metrics.k8s.io/v1beta2",
    "/apis/external.metrics.k8s.io/v1beta2/namespaces/ns/m",
    "/apis/custom.metrics.k8s.io//v1beta1",
]
INDEX_PATHS = [
    "/apis/unknown.example.com",
    "/apis/unknown.example.com/v1/namespaces/ns/pods",
    "/apis/metrics.k8s.io",
    "/apis/metrics.k8s.io/v1beta1/pods",
    "/apis/custom.metrics.k8s.iox/v1beta1",
    "/apis//custom.metrics.k8s.io",
    "/apisx",
    "/api",
    "/api/v1",
    "//apis",
    "/openapi/v1",
    "/openapi/v3/apis/custom.metrics.k8s.io",
    "/openapi/v3/apis/apps/v1",
    "/nothing",
    "/docs",
    "/openapi.json",
    "/flagz",
    "/metrics/",
    "/livez/",
    "/readyz/nothing",
    "/a%00b%FF",
]


@pytest.mark.parametrize("path", STATUS_PATHS)
async def test_unknown_versions(ask: Ask, path: str) -> None:
    """An unknown version of a group that is installed is a Status."""
    response = await ask(path)

    assert (response.status_code, response.json()["message"]) == NO_ROUTE
    assert response.json()["details"] == {}


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
@pytest.mark.parametrize("path", INDEX_PATHS)
async def test_unknown_paths(ask: Ask, path: str, method: str) -> None:
    """Any other unknown path, unknown groups among them, gets the index of paths, whatever the method."""
    response = await ask(path, method)

    assert response.status_code == 404
    assert (await ask("/nothing")).headers["content-length"] == response.headers["content-length"]
    if method != "HEAD":
        assert "/apis/custom.metrics.k8s.io/v1beta2" in response.json()["paths"]


@pytest.mark.parametrize(
    ("groups", "missing", "there"),
    [
        (Groups(custom=False), CUSTOM + "/v1beta1", EXTERNAL),
        (Groups(external=False), EXTERNAL, CUSTOM + "/v1beta1"),
    ],
)
async def test_groups_that_are_not_installed(
    ask: Ask, provider: FakeProvider, groups: Groups, missing: str, there: str
) -> None:
    """A group without rules is an unknown path, in all that stands below it, and no index names it."""
    provider.groups = groups

    assert (await ask(there)).status_code == 200
    for path in (missing, missing + "/namespaces/ns/metrics/m", missing.rpartition("/")[0]):
        response = await ask(path)
        assert response.status_code == 404
        assert not [known for known in response.json()["paths"] if known.startswith(missing)]


NOT_ALLOWED = (
    b'{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"the server does not allow this'
    b' method on the requested resource","reason":"MethodNotAllowed","details":{},"code":405}\n'
)
RESOURCE_PATHS = [
    "/apis",
    "/apis/custom.metrics.k8s.io",
    "/apis/custom.metrics.k8s.io/v1beta1",
    "/apis/custom.metrics.k8s.io/v1beta1/namespaces/ns/pods/*/m",
    "/apis/custom.metrics.k8s.io/v1beta1/namespaces/ns/pods",
    "/apis/external.metrics.k8s.io/v1beta1/namespaces/ns/m",
    "/version",
]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", RESOURCE_PATHS)
async def test_methods(ask: Ask, provider: FakeProvider, path: str, method: str) -> None:
    """The APIs can only be read: any other method is a 405, which names no method that would do."""
    response = await ask(path, method)

    assert response.status_code == 405
    assert response.headers["content-length"] == str(len(NOT_ALLOWED))
    assert response.content == (b"" if method == "HEAD" else NOT_ALLOWED)
    assert "allow" not in response.headers
    assert provider.asked == []


async def test_unknown_routes_come_before_methods(ask: Ask) -> None:
    """A path without a route is a 404 for every method."""
    assert (await ask(CUSTOM + "/v1beta1/pods", "DELETE")).status_code == 404


@pytest.mark.parametrize("path", ["/", "/index.html", "/healthz", "/livez", "/readyz", "/metrics"])
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
async def test_methods_of_operations(ask: Ask, path: str, method: str) -> None:
    """Paths that are no API ignore the method."""
    assert (await ask(path, method)).status_code == 200
