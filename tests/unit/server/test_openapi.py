"""OpenAPI v2 and v3."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from adapter.server.calls import Answer, Call
from adapter.server.openapi import OpenApi

CUSTOM = ("custom.metrics.k8s.io", "v1beta2")
EXTERNAL = ("external.metrics.k8s.io", "v1beta1")
RESOURCE = ("metrics.k8s.io", "v1beta1")
ALL = (CUSTOM, ("custom.metrics.k8s.io", "v1beta1"), EXTERNAL, ("metrics.k8s.io", "v1"), RESOURCE)


def api(versions: tuple[tuple[str, str], ...] = ALL) -> OpenApi:
    """Return the answers for some versions."""
    return OpenApi(lambda: versions, release="1.2.3")


def ask(path: str, *, of: OpenApi | None = None, **call: Any) -> Answer:
    """Return the answer to a path that has one."""
    answer = (of or api()).answer(Call(path=path, **call))
    assert answer is not None
    return answer


def header(answer: Answer, name: bytes) -> str:
    """Return one header."""
    return dict(answer.headers)[name].decode()


def references(node: object) -> Iterator[str]:
    """Yield every reference of a document."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for one in node:
            yield from references(one)


def test_v2_has_the_paths_of_what_is_installed() -> None:
    """The document names the paths of the versions that are served, and no others."""
    document = orjson.loads(ask("/openapi/v2", of=api((EXTERNAL,))).body)
    assert document["swagger"] == "2.0"
    assert list(document["paths"]) == ["/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/{resource}"]


@pytest.mark.parametrize("path", ["/openapi/v2", *(f"/openapi/v3/apis/{group}/{version}" for group, version in ALL)])
def test_references_lead_somewhere(path: str) -> None:
    """Each reference of a document names a type that the document has."""
    document = orjson.loads(ask(path).body)
    found = set(references(document))
    assert found
    for reference in found:
        node = document
        for key in reference.removeprefix("#/").split("/"):
            node = node[key]
        assert node["description"]


@pytest.mark.parametrize("path", ["/openapi/v2", *(f"/openapi/v3/apis/{group}/{version}" for group, version in ALL)])
def test_parameters_of_paths_are_described(path: str) -> None:
    """Each placeholder of a path is a required parameter of its operation."""
    for route, operations in orjson.loads(ask(path).body)["paths"].items():
        placed = {part[1:-1] for part in route.split("/") if part.startswith("{")}
        described = {one["name"] for one in operations["get"]["parameters"] if one["in"] == "path" and one["required"]}
        assert placed == described


def test_explain_finds_the_kinds() -> None:
    """What `kubectl explain nodes.metrics.k8s.io` looks for is there: the path's action and kind, and the type's."""
    document = orjson.loads(ask("/openapi/v3/apis/metrics.k8s.io/v1beta1").body)
    operation = document["paths"]["/apis/metrics.k8s.io/v1beta1/nodes"]["get"]
    kind = {"group": "metrics.k8s.io", "kind": "NodeMetrics", "version": "v1beta1"}
    assert operation["x-kubernetes-action"] == "list"
    assert operation["x-kubernetes-group-version-kind"] == kind
    assert any(
        kind in schema.get("x-kubernetes-group-version-kind", ())
        for schema in document["components"]["schemas"].values()
    )


def test_custom_kinds_have_their_marker() -> None:
    """The list of custom metrics says of which group, version and kind it is."""
    document = orjson.loads(ask("/openapi/v2").body)
    schema = document["definitions"]["io.k8s.metrics.pkg.apis.custom_metrics.v1beta2.MetricValueList"]
    assert schema["x-kubernetes-group-version-kind"] == [
        {"group": "custom.metrics.k8s.io", "kind": "MetricValueList", "version": "v1beta2"}
    ]


def test_etag_spares_the_second_answer() -> None:
    """Who has the document already gets 304 without a body."""
    first = ask("/openapi/v2")
    again = ask("/openapi/v2", if_none_match=header(first, b"etag"))
    assert (again.status, again.body) == (304, b"")
    assert ask("/openapi/v2", if_none_match='"other"').status == 200


def test_etag_changes_with_the_versions() -> None:
    """Another API makes another document, without a restart."""
    versions = [EXTERNAL]
    answers = OpenApi(lambda: tuple(versions), release="1")
    before = header(ask("/openapi/v2", of=answers), b"etag")
    versions.append(RESOURCE)
    assert header(ask("/openapi/v2", of=answers), b"etag") != before


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("", 200),
        ("*/*", 200),
        ("application/*", 200),
        ("application/json", 200),
        ("application/json;q=0.5, text/html", 200),
        ("application/com.github.proto-openapi.spec.v2@v1.0+protobuf", 406),
        ("text/html", 406),
    ],
)
def test_accept_of_v2(accept: str, status: int) -> None:
    """JSON is there; who wants nothing else than protobuf gets 406 without a body."""
    answer = ask("/openapi/v2", accept=accept)
    assert (answer.status, bool(answer.body)) == (status, status == 200)


def test_v3_root_leads_to_each_version() -> None:
    """The root of v3 names each version's document by its hash, and that address answers for ever."""
    root = orjson.loads(ask("/openapi/v3", accept="text/html").body)
    assert list(root["paths"]) == [f"apis/{group}/{version}" for group, version in ALL]
    for entry in root["paths"].values():
        path, _, query = entry["serverRelativeURL"].partition("?hash=")
        answer = ask(path, parameters={"hash": query})
        assert answer.status == 200
        assert header(answer, b"cache-control") == "public, immutable"


def test_wrong_hash_is_sent_to_the_right_one() -> None:
    """An address with an old hash is sent to the present one."""
    path = "/openapi/v3/apis/metrics.k8s.io/v1beta1"
    answer = ask(path, parameters={"hash": "OLD"})
    assert answer.status == 301
    location, _, digest = header(answer, b"location").partition("?hash=")
    assert location == path
    assert ask(path, parameters={"hash": digest}).status == 200


@pytest.mark.parametrize("path", ["/openapi", "/openapi/v4", "/openapi/v3/apis/apps/v1", "/apis"])
def test_other_paths_are_not_ours(path: str) -> None:
    """A path that names no document is left to others."""
    assert api().answer(Call(path=path)) is None
