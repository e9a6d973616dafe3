"""A stand-in for kube-apiserver: what the adapter asks of one, answered as it would, and counted.

    python -m bench.stand_in SPEC

Discovery, the ConfigMap of the front proxy's authorities, pods by LIST (metadata only, in pages; all of them, or those of
a namespace with one value of the label `app`) and WATCH (which stays open and sends bookmarks), TokenReviews, SubjectAccessReviews (all allowed). A hundred thousand pods would take a real
one, with its etcd, minutes to take in and two gigabytes; what the adapter asks and gets is the same.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import orjson
import uvicorn

from bench.world import pods

Scope = Mapping[str, Any]
PodList = Sequence[tuple[str, str, Mapping[str, str]]]
_VERSION = "1000000"
_BOOKMARK_SECONDS = 60.0  # as kube-apiserver
_CONFIG_MAPS = "/api/v1/namespaces/kube-system/configmaps"
_REVIEWS = {
    "/apis/authorization.k8s.io/v1/subjectaccessreviews": ("access reviews", {"allowed": True, "reason": "RBAC"}),
    "/apis/authentication.k8s.io/v1/tokenreviews": (
        "token reviews",
        {"authenticated": True, "user": {"username": "bench"}},
    ),
}
_PODS_OF = "/api/v1/namespaces/{}/pods"
_ALL = ("", "status.phase=Running")  # selectors that pick every pod: all of them run


class StandIn:
    """An ASGI application; `/counts` tells what it was asked."""

    def __init__(self, *, pod_list: PodList, front_proxy: str) -> None:
        self._pods = pod_list
        self._by_app: dict[tuple[str, str], list[tuple[str, str, Mapping[str, str]]]] = {}
        for one in pod_list:
            self._by_app.setdefault((_PODS_OF.format(one[0]), f"app={one[2].get('app', '')}"), []).append(one)
        self._front_proxy = front_proxy
        self._counts: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Answer one request."""
        path = scope["path"]
        parameters = {key: values[0] for key, values in parse_qs(scope["query_string"].decode()).items()}
        if parameters.get("watch") == "true":
            self._counts["watches"] += 1
            await _watch(receive, send, seconds=float(parameters["timeoutSeconds"]), of=path)
            return
        body = await _body(receive) if scope["method"] == "POST" else b""
        status, document = self._answer(path, parameters, body)
        content = orjson.dumps(document)  # four times as fast as json: the adapter's LIST is measured, and not this
        if path.endswith("/pods"):
            self._counts["LIST bytes"] += len(content)
        await send({"type": "http.response.start", "status": status, "headers": _headers(len(content))})
        await send({"type": "http.response.body", "body": content})

    def _answer(self, path: str, parameters: Mapping[str, str], body: bytes) -> tuple[int, Mapping[str, Any]]:
        if path in _REVIEWS:
            name, status = _REVIEWS[path]
            self._counts[name] += 1
            return 201, {**json.loads(body), "status": status}
        if path == "/counts":
            return 200, dict(self._counts)
        document = self._document(path, parameters)
        if document is None:
            self._counts[f"unknown: {path}"] += 1
            failure = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404, "reason": "NotFound"}
            return 404, failure
        return 200, document

    def _document(self, path: str, parameters: Mapping[str, str]) -> Mapping[str, Any] | None:
        match path:
            case "/api" | "/apis":
                return _discovery(core=path == "/api")
            case "/api/v1/pods" if parameters.get("labelSelector", "") + parameters.get("fieldSelector", "") in _ALL:
                return self._page(self._pods, parameters)
            case _ if (chosen := self._by_app.get((path, parameters.get("labelSelector", "")))) is not None:
                return self._page(chosen, parameters)
            case "/api/v1/namespaces/kube-system/configmaps":
                return _list("ConfigMapList", [self._config_map()])
            case "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication":
                return self._config_map()
        return None

    def _page(self, chosen: PodList, parameters: Mapping[str, str]) -> Mapping[str, Any]:
        self._counts["LIST pages"] += 1
        self._counts["LISTs"] += "continue" not in parameters
        limit, begin = int(parameters.get("limit", "0")), int(parameters.get("continue", "0"))
        end = min(begin + limit, len(chosen)) if limit else len(chosen)
        items = [_pod(*one) for one in chosen[begin:end]]
        rest = {"continue": str(end), "remainingItemCount": len(chosen) - end} if end < len(chosen) else {}
        return _list("PartialObjectMetadataList", items, api="meta.k8s.io/v1", **rest)

    def _config_map(self) -> Mapping[str, Any]:
        data = {
            "requestheader-client-ca-file": self._front_proxy,
            "requestheader-allowed-names": '["front-proxy-client"]',
            "requestheader-username-headers": '["X-Remote-User"]',
            "requestheader-group-headers": '["X-Remote-Group"]',
            "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
        }
        metadata = {"name": "extension-apiserver-authentication", "namespace": "kube-system"}
        return {"metadata": {**metadata, "resourceVersion": _VERSION}, "data": data}


def _list(kind: str, items: Sequence[Mapping[str, Any]], *, api: str = "v1", **metadata: Any) -> Mapping[str, Any]:
    return {"kind": kind, "apiVersion": api, "metadata": {"resourceVersion": _VERSION, **metadata}, "items": items}


def _pod(namespace: str, name: str, labels: Mapping[str, str]) -> Mapping[str, Any]:
    """Return a pod's metadata, about as long as a real one's: who owns it, and who wrote which field when."""
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": name[:-5], "uid": "1b9d6bcd-bbfd-4b2d-9b5d"}
    owner |= {"controller": "true", "blockOwnerDeletion": "true"}
    managed: list[Mapping[str, Any]] = [
        {
            "manager": manager,
            "operation": "Update",
            "apiVersion": "v1",
            "time": "2026-01-01T00:00:00Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:metadata": {f"f:{part}": {} for part in ("labels", "ownerReferences", "generateName")}},
        }
        for manager in ("kube-controller-manager", "kubelet")
    ]
    metadata = {
        "name": name,
        "generateName": name[:-4],
        "namespace": namespace,
        "uid": "6ec0bd7f-11c0-43da-975e-2a8ad9ebae0b",
        "resourceVersion": _VERSION,
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": labels,
        "ownerReferences": [owner],
        "managedFields": managed,
    }
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}


def _discovery(*, core: bool) -> Mapping[str, Any]:
    """Return the aggregated form: the core group, or one other."""
    kinds = {"pods": "Pod", "services": "Service"} if core else {"deployments": "Deployment"}
    resources = [_resource(plural, kind, scope="Namespaced") for plural, kind in kinds.items()]
    if core:
        resources += [_resource(*one, scope="Cluster") for one in (("namespaces", "Namespace"), ("nodes", "Node"))]
    version = {"version": "v1", "freshness": "Current", "resources": resources}
    group = {"metadata": {} if core else {"name": "apps"}, "versions": [version]}
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": [group]}


def _resource(plural: str, kind: str, *, scope: str) -> Mapping[str, Any]:
    named = {"resource": plural, "singularResource": kind.lower(), "scope": scope, "verbs": ["get", "list", "watch"]}
    return {**named, "responseKind": {"group": "", "version": "", "kind": kind}}


async def _watch(receive: Any, send: Any, *, seconds: float, of: str) -> None:
    """Send bookmarks until the time is up or the caller is gone."""
    kind, api = ("ConfigMap", "v1") if of == _CONFIG_MAPS else ("PartialObjectMetadata", "meta.k8s.io/v1")
    bookmark = {"kind": kind, "apiVersion": api, "metadata": {"resourceVersion": _VERSION}}
    line = json.dumps({"type": "BOOKMARK", "object": bookmark}).encode() + b"\n"
    await send({"type": "http.response.start", "status": 200, "headers": _headers(None)})
    await _body(receive)
    gone = asyncio.ensure_future(receive())
    end = asyncio.get_running_loop().time() + seconds
    while not gone.done() and asyncio.get_running_loop().time() < end:
        await send({"type": "http.response.body", "body": line, "more_body": True})
        await asyncio.wait([gone], timeout=_BOOKMARK_SECONDS)
    gone.cancel()
    await send({"type": "http.response.body", "body": b""})


async def _body(receive: Any) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def _headers(length: int | None) -> list[tuple[bytes, bytes]]:
    headers = [(b"content-type", b"application/json")]
    return headers if length is None else [*headers, (b"content-length", str(length).encode())]


def main() -> int:
    """Serve until the end."""
    spec = json.loads(Path(sys.argv[1]).read_text())
    app = StandIn(pod_list=[*spec["pods"], *pods(spec["hpas"])], front_proxy=spec["front_proxy"])
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=spec["port"],
        ssl_certfile=spec["certificate"],
        ssl_keyfile=spec["key"],
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_keep_alive=90,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
