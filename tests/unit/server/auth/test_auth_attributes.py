"""What a request wants to do, as it is put to kube-apiserver."""

from __future__ import annotations

import pytest

from adapter.server.auth import Attributes, attributes_of
from adapter.server.auth.attributes import FieldRequirement

C = "/apis/custom.metrics.k8s.io/v1beta2"
E = "/apis/external.metrics.k8s.io/v1beta1"
M = "/apis/metrics.k8s.io/v1beta1"

# path, query, then: verb, namespace, resource, subresource, name
RESOURCES = [
    (f"{C}/namespaces/ns/pods/*/http_requests", {}, "get", "ns", "pods", "http_requests", "*"),
    (f"{C}/namespaces/ns/pods/*/http_requests/", {}, "get", "ns", "pods", "http_requests", "*"),
    (f"{C}/namespaces/ns/deployments.apps/x/m", {}, "get", "ns", "deployments.apps", "m", "x"),
    (f"{C}/nodes/n1/load1", {}, "get", "", "nodes", "load1", "n1"),
    (f"{C}/namespaces/ns/metrics/queue", {}, "get", "ns", "metrics", "", "queue"),
    (f"{C}/namespaces/ns", {}, "get", "ns", "namespaces", "", "ns"),
    (f"{C}/namespaces/ns/status", {}, "get", "ns", "namespaces", "status", "ns"),
    (f"{C}/namespaces/ns/finalize", {}, "get", "ns", "namespaces", "finalize", "ns"),
    (f"{C}/namespaces/ns/status/x", {}, "get", "ns", "namespaces", "status", "ns"),
    (f"{C}/namespaces/*/metrics/queue", {}, "get", "*", "metrics", "", "queue"),
    (f"{C}/namespaces//pods/x/m", {}, "get", "", "pods", "m", "x"),
    (f"{C}/namespaces", {}, "list", "", "namespaces", "", ""),
    (f"{C}/namespaces/ns/pods/x/m/more", {}, "get", "ns", "pods", "m", "x"),
    (f"{E}/namespaces/ns/queue_len", {}, "list", "ns", "queue_len", "", ""),
    (f"{E}/namespaces/ns/queue_len", {"watch": "1"}, "watch", "ns", "queue_len", "", ""),
    (f"{E}/namespaces/ns/queue_len", {"watch": ""}, "watch", "ns", "queue_len", "", ""),
    (f"{E}/namespaces/ns/queue_len", {"watch": "false"}, "list", "ns", "queue_len", "", ""),
    (f"{E}/namespaces/ns/queue_len", {"watch": "1", "limit": "x"}, "watch", "ns", "queue_len", "", ""),
    (f"{E}/namespaces/ns/queue_len", {"fieldSelector": "metadata.name=x"}, "list", "ns", "queue_len", "", "x"),
    (
        f"{E}/namespaces/ns/queue_len",
        {"fieldSelector": "metadata.name=x", "limit": "x"},
        "list",
        "ns",
        "queue_len",
        "",
        "",
    ),
    (f"{E}/namespaces/ns/queue_len", {"fieldSelector": "metadata.name!=x"}, "list", "ns", "queue_len", "", ""),
    (f"{E}/namespaces/ns/queue_len", {"fieldSelector": "metadata.name=a%2Fb"}, "list", "ns", "queue_len", "", ""),
    (f"{E}/namespaces/ns/queue_len", {"fieldSelector": "metadata.name=.."}, "list", "ns", "queue_len", "", ""),
    (f"{M}/namespaces/ns/pods", {}, "list", "ns", "pods", "", ""),
    (f"{M}/namespaces/ns/pods/p", {}, "get", "ns", "pods", "", "p"),
    (f"{M}/nodes", {}, "list", "", "nodes", "", ""),
    (f"{M}/pods", {}, "list", "", "pods", "", ""),
    (f"{E}/watch/namespaces/ns/queue_len", {}, "watch", "ns", "queue_len", "", ""),
    (f"{E}/watch/namespaces/ns/queue_len/x/sub", {}, "watch", "ns", "queue_len", "sub", "x"),
    (f"{E}/proxy/namespaces/ns/pods/x/m", {}, "proxy", "ns", "pods", "", "x"),
    (f"{E}/watch", {}, "watch", "", "", "", ""),
]


@pytest.mark.parametrize(("path", "query", "wanted"), [(row[0], row[1], row[2:]) for row in RESOURCES])
def test_resources(path: str, query: dict[str, str], wanted: tuple[str, ...]) -> None:
    """A path of an API is a verb on a resource, as Kubernetes' API servers read it."""
    found = attributes_of("GET", path, query)

    assert (found.verb, found.namespace, found.resource, found.subresource, found.name) == wanted
    assert (found.resource_request, found.group, found.version) == (True, *path.split("/")[2:4])


@pytest.mark.parametrize(
    "path",
    [
        "/apis/custom.metrics.k8s.io/v1beta1",
        "/apis/g/v/",
        "/openapi/v2",
        "/metrics",
        "/",
        "",
        "//",
        "/api/v1/pods",
        "/x/a/b/c/d",
    ],
)
def test_paths(path: str) -> None:
    """Everything else is a method on a path, which stays as it came."""
    assert attributes_of("GET", path, {"watch": "1"}) == Attributes(verb="get", path=path)


METHODS = [
    ("HEAD", "get", "list", "head"),
    ("POST", "create", "create", "post"),
    ("PUT", "update", "update", "put"),
    ("PATCH", "patch", "patch", "patch"),
    ("DELETE", "delete", "deletecollection", "delete"),
    ("OPTIONS", "", "", "options"),
    ("BREW", "", "", "brew"),
]


@pytest.mark.parametrize(("method", "one", "many", "path"), METHODS)
def test_methods(method: str, one: str, many: str, path: str) -> None:
    """Methods become verbs on objects and on collections; on paths they are themselves."""
    assert attributes_of(method, f"{M}/namespaces/ns/pods/p", {}).verb == one
    assert attributes_of(method, f"{M}/namespaces/ns/pods", {}).verb == many
    assert attributes_of(method, "/metrics", {}).verb == path


def test_selectors() -> None:
    """A list says what it selects by; what a review has no words for is left out."""
    query = {"labelSelector": "a=b,c!=d,e in (g,f),!h,i,j>1", "fieldSelector": "metadata.name=x,metadata.namespace!=y"}

    found = attributes_of("GET", f"{E}/namespaces/ns/m", query)

    assert found.label_requirements == (
        FieldRequirement(key="a", operator="In", values=("b",)),
        FieldRequirement(key="c", operator="NotIn", values=("d",)),
        FieldRequirement(key="e", operator="In", values=("f", "g")),
        FieldRequirement(key="h", operator="DoesNotExist"),
        FieldRequirement(key="i", operator="Exists"),
    )
    assert found.field_requirements == (
        FieldRequirement(key="metadata.name", operator="In", values=("x",)),
        FieldRequirement(key="metadata.namespace", operator="NotIn", values=("y",)),
    )


@pytest.mark.parametrize("path", [f"{C}/namespaces/ns/pods/*/m", "/metrics"])
def test_selectors_of_what_is_no_list(path: str) -> None:
    """Whoever gets one thing selects nothing."""
    found = attributes_of("GET", path, {"labelSelector": "a=b", "fieldSelector": "metadata.name=x"})

    assert (found.label_requirements, found.field_requirements) == ((), ())


def test_selectors_that_cannot_be_read() -> None:
    """A selector that cannot be read is left out by itself; the handler refuses the request."""
    query = {"labelSelector": "a b", "fieldSelector": "metadata.name=x"}

    found = attributes_of("GET", f"{E}/namespaces/ns/m", query)

    assert (found.verb, found.name, found.label_requirements) == ("list", "", ())
    assert len(found.field_requirements) == 1
