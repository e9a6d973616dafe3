"""What a call to kube-apiserver sends, and what every answer is called."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cluster_login import Answer, Cluster, ask, at

from adapter.clients.kubernetes import ClusterOptions, WatchEvent
from adapter.errors import (
    ClusterGone,
    KubernetesConflict,
    KubernetesForbidden,
    KubernetesNotFound,
    KubernetesUnavailable,
    UpstreamError,
)

pytestmark = pytest.mark.anyio

PODS = "/api/v1/namespaces/shop/pods"


def saying(code: int, message: str = "because") -> Answer:
    """Answer with a Status."""
    return lambda _request: httpx2.Response(code, json={"kind": "Status", "message": message, "code": code})


async def test_a_call_sends_what_it_is_given(tmp_path: Path) -> None:
    """Parameters, media types and body arrive, and the answer is its document."""
    cluster = at(tmp_path)
    cluster.answer = lambda _request: httpx2.Response(200, json={"kind": "List"})
    client = cluster.open()

    await ask(client, path=PODS, parameters={"labelSelector": "a in (b, c)"}, accept="application/json;as=Table")
    found = await ask(client, "PATCH", f"{PODS}/web", body={"a": 1}, content_type="application/merge-patch+json")

    first, second = cluster.requests
    assert found == {"kind": "List"}
    assert str(first.url) == "https://kube:6443/api/v1/namespaces/shop/pods?labelSelector=a+in+%28b%2C+c%29"
    assert (first.headers["accept"], first.headers.get("content-type")) == ("application/json;as=Table", None)
    assert first.headers["user-agent"].startswith("tidegauge/")
    assert (second.method, json.loads(second.content)) == ("PATCH", {"a": 1})
    assert second.headers["content-type"] == "application/merge-patch+json"
    assert cluster.told.lines == ["list pods 200", "patch pods 200"]
    await client.close()


TARGETS = [
    ("GET", "/api", "get /api"),
    ("GET", "/apis/apps/v1", "get /apis/apps/v1"),
    ("GET", "/api/v1/namespaces", "list namespaces"),
    ("GET", "/api/v1/namespaces/shop", "get namespaces"),
    ("GET", "/apis/apps/v1/deployments", "list deployments.apps"),
    ("GET", "/apis/apps/v1/namespaces/shop/deployments/web/scale", "get deployments.apps/scale"),
    ("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", "create subjectaccessreviews.authorization.k8s.io"),
    ("PUT", "/api/v1/namespaces/shop/secrets/a", "update secrets"),
    ("DELETE", "/api/v1/namespaces/shop/secrets/a", "delete secrets"),
    ("GET", "/version", "get /version"),
]


@pytest.mark.parametrize(("method", "path", "expected"), TARGETS)
async def test_a_call_is_told_by_verb_and_resource(tmp_path: Path, method: str, path: str, expected: str) -> None:
    """The words are those of a role, so that a refusal can say what to grant, and metrics stay few."""
    cluster = at(tmp_path)

    await ask(cluster.open(), method, path)

    assert cluster.told.lines == [f"{expected} 200"]


REFUSALS: list[tuple[int, type[UpstreamError], str]] = [
    (400, KubernetesUnavailable, "kube-apiserver answered list pods with status 400: because"),
    (401, KubernetesUnavailable, "kube-apiserver does not accept the adapter's credentials (status 401)"),
    (403, KubernetesForbidden, "the adapter may not list pods in namespace shop: grant it to its service account"),
    (404, KubernetesNotFound, "kube-apiserver answered list pods with status 404: because"),
    (409, KubernetesConflict, "kube-apiserver answered list pods with status 409: because"),
    (410, ClusterGone, "kube-apiserver answered list pods with status 410: because"),
    (302, KubernetesUnavailable, "kube-apiserver answered list pods with status 302: because"),
    (429, KubernetesUnavailable, "kube-apiserver answered list pods with status 429: because"),
    (503, KubernetesUnavailable, "kube-apiserver answered list pods with status 503: because"),
]


@pytest.mark.parametrize(("code", "error", "text"), REFUSALS)
async def test_a_refusal_has_a_name(tmp_path: Path, code: int, error: type[UpstreamError], text: str) -> None:
    """Each status becomes one error, with the API server's own words where they help."""
    cluster = at(tmp_path)
    cluster.answer = saying(code)

    with pytest.raises(error) as caught:
        await ask(cluster.open(), path=PODS)

    assert str(caught.value) == text
    assert cluster.told.lines == [f"list pods {code}"]
    assert len(cluster.requests) == 1


BAD_ANSWERS: list[tuple[str, dict[str, Any]]] = [
    ("no JSON", {"content": b"<html>"}),
    ("no object", {"content": b"[]"}),
    ("an empty body", {"content": b""}),
    ("too much", {"content": b'"' + b"x" * 2000 + b'"'}),
    ("a bomb", {"content": gzip.compress(b" " * 100_000), "headers": {"content-encoding": "gzip"}}),
    ("no gzip", {"content": b"{}", "headers": {"content-encoding": "gzip"}}),
]


@pytest.mark.parametrize(("what", "answer"), BAD_ANSWERS)
async def test_nonsense_is_no_answer(tmp_path: Path, what: str, answer: dict[str, Any]) -> None:
    """An answer that cannot be read is an error, never an empty document."""
    cluster = at(tmp_path)
    cluster.options = ClusterOptions(kubeconfig=cluster.options.kubeconfig, environment={}, max_answer_bytes=1000)
    cluster.answer = lambda _request: httpx2.Response(
        200, stream=_Stream(answer["content"]), headers=answer.get("headers")
    )

    with pytest.raises(KubernetesUnavailable) as caught:
        await ask(cluster.open())

    assert caught.value.kind == "bad_answer"
    assert cluster.told.lines == ["list pods bad_answer"]


class _Stream(httpx2.AsyncByteStream):
    """A body that is not read before somebody asks for it."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content


REPEATS = [
    ("GET", PODS, 2),
    ("POST", "/apis/authentication.k8s.io/v1/tokenreviews", 2),
    ("POST", "/api/v1/namespaces/shop/secrets", 1),
    ("PUT", "/api/v1/namespaces/shop/secrets/a", 1),
]


@pytest.mark.parametrize(("method", "path", "attempts"), REPEATS)
async def test_only_what_changes_nothing_is_repeated(tmp_path: Path, method: str, path: str, attempts: int) -> None:
    """A connection that dies under a call is no failure yet, unless the call may have been done."""
    cluster = at(tmp_path)

    def dead(_request: httpx2.Request) -> httpx2.Response:
        raise httpx2.RemoteProtocolError("Server disconnected without sending a response.")

    cluster.answer = dead
    with pytest.raises(KubernetesUnavailable) as caught:
        await ask(cluster.open(), method, path, body={} if method != "GET" else None)

    assert (caught.value.kind, len(cluster.requests)) == ("connection", attempts)
    assert [line.rpartition(" ")[2] for line in cluster.told.lines] == ["connection"]


@pytest.mark.parametrize("where", ["head", "body"])
async def test_a_call_ends_at_its_deadline(tmp_path: Path, where: str) -> None:
    """Neither a silent server nor a body without an end holds a request."""

    async def hang() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async def handle(_request: httpx2.Request) -> httpx2.Response:
        if where == "head":
            await asyncio.Event().wait()
        return httpx2.Response(200, content=hang())

    cluster = at(tmp_path)
    client = cluster.open()
    client._transport = httpx2.MockTransport(handle)
    with pytest.raises(KubernetesUnavailable) as caught:
        await client.request("GET", PODS, timeout_seconds=0.01)

    assert caught.value.kind == "timeout"
    assert cluster.told.lines == ["list pods timeout"]


# ---- watches


def lines(*documents: object) -> Answer:
    """Answer with events, in chunks that end anywhere."""
    text = b"".join(json.dumps(one).encode() + b"\n" for one in documents)

    async def body() -> AsyncIterator[bytes]:
        for start in range(0, len(text), 7):
            yield text[start : start + 7]

    return lambda _request: httpx2.Response(200, content=body())


async def events(cluster: Cluster) -> list[WatchEvent]:
    """Watch to the end."""
    watch = cluster.open().watch(PODS, parameters={"resourceVersion": "5"}, accept="application/json", idle_seconds=30)
    async with watch as found:
        return [event async for event in found]


async def test_a_watch_gives_events(tmp_path: Path) -> None:
    """Events arrive one by one, however the body is cut into pieces."""
    cluster = at(tmp_path)
    cluster.answer = lines({"type": "ADDED", "object": {"a": 1}}, {"type": "BOOKMARK", "object": {}})

    assert await events(cluster) == [WatchEvent("ADDED", {"a": 1}), WatchEvent("BOOKMARK", {})]
    assert dict(cluster.requests[0].url.params) == {"watch": "true", "resourceVersion": "5"}
    assert cluster.told.lines == ["watch pods 200"]


WATCH_FAILURES: list[tuple[object, type[UpstreamError], str]] = [
    ({"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}}, ClusterGone, "too old"),
    ({"type": "ERROR", "object": {"kind": "Status", "code": 500, "message": "etcd"}}, KubernetesUnavailable, "etcd"),
    ({"type": "ERROR", "object": {}}, KubernetesUnavailable, "status 0"),
    ({"type": "ADDED"}, KubernetesUnavailable, "without an object"),
    ({"type": "MORE", "object": {}}, KubernetesUnavailable, "of the type MORE"),
    ([], KubernetesUnavailable, "without an object"),
]


@pytest.mark.parametrize(("line", "error", "text"), WATCH_FAILURES)
async def test_an_event_may_be_a_failure(tmp_path: Path, line: object, error: type[UpstreamError], text: str) -> None:
    """A good status may be followed by an error, and nonsense is one."""
    cluster = at(tmp_path)
    cluster.answer = lines(line)

    with pytest.raises(error, match=text):
        await events(cluster)


async def test_an_event_without_an_end_is_not_kept(tmp_path: Path) -> None:
    """An event that grows beyond the bound ends the watch."""
    cluster = at(tmp_path)
    cluster.options = ClusterOptions(kubeconfig=cluster.options.kubeconfig, environment={}, max_event_bytes=100)
    cluster.answer = lines({"type": "ADDED", "object": {"a": "x" * 1000}})

    with pytest.raises(KubernetesUnavailable, match="more than 100 bytes"):
        await events(cluster)


async def test_a_silent_watch_ends(tmp_path: Path) -> None:
    """A watch that says nothing for too long is taken for dead."""

    async def hang() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    cluster = at(tmp_path)
    cluster.answer = lambda _request: httpx2.Response(200, content=hang())
    watch = cluster.open().watch(PODS, parameters={}, accept="application/json", idle_seconds=0.01)
    async with watch as found:
        with pytest.raises(KubernetesUnavailable) as caught:
            await anext(found)

    assert caught.value.kind == "timeout"


async def test_a_watch_that_breaks_is_a_failure(tmp_path: Path) -> None:
    """A connection that dies under a watch does not look like its end."""

    async def cut() -> AsyncIterator[bytes]:
        yield b'{"type": "ADDED", "object": {}}\n'
        raise httpx2.ReadError("reset")

    cluster = at(tmp_path)
    cluster.answer = lambda _request: httpx2.Response(200, content=cut())
    with pytest.raises(KubernetesUnavailable) as caught:
        await events(cluster)

    assert caught.value.kind == "connection"


async def test_a_watch_that_may_not_be_is_told_as_such(tmp_path: Path) -> None:
    """The missing permission of a watch is the verb watch."""
    cluster = at(tmp_path)
    cluster.answer = saying(403)

    with pytest.raises(KubernetesForbidden, match="may not watch pods in namespace shop"):
        await events(cluster)


@pytest.mark.parametrize("status", [200, 302, 401, 404, 503])
async def test_an_answer_is_returned_whatever_it_is(status: int, tmp_path: Path) -> None:
    """Whoever wants to know how a path is answered gets the status and the first bytes."""
    cluster = at(tmp_path)
    cluster.answer = lambda _request: httpx2.Response(status, text="0123456789")
    client = cluster.open()

    found = await client.answer(PODS, max_bytes=4, timeout_seconds=5)

    assert found == (status, b"0123")
    assert cluster.told.lines == [f"list pods {status}"]
    await client.close()


async def test_no_answer_is_an_error_here_too(tmp_path: Path) -> None:
    """Where nobody answers, that is said by its name."""
    cluster = at(tmp_path)

    def gone(_request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    cluster.answer = gone
    client = cluster.open()

    with pytest.raises(KubernetesUnavailable, match="no connection to kube-apiserver"):
        await client.answer(PODS, max_bytes=4, timeout_seconds=5)
    await client.close()


@pytest.mark.parametrize("name", ["\x1f", "a\nb", "x" * 70_000])
async def test_a_name_that_no_address_can_hold_is_an_error(name: str, tmp_path: Path) -> None:
    """Names of versions and kinds come from discovery; one that no address can hold fails by its name."""
    cluster = at(tmp_path)
    client = cluster.open()

    with pytest.raises(KubernetesUnavailable, match="of that name") as caught:
        await ask(client, path=f"/api/{name}")

    assert caught.value.kind == "bad_answer"
    await client.close()
