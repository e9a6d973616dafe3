"""An API server in memory, behind the real client, and time that is turned by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from adapter.clients.kubernetes import ClusterClient, ClusterOptions, open_cluster
from adapter.runtime.cluster_objects import ClusterObjects
from adapter.runtime.watch.ports import Timing, WatchSettings

Document = dict[str, Any]

CRD = {"resource": "widgets", "responseKind": {"kind": "Widget"}, "scope": "Namespaced", "verbs": ["list", "watch"]}


def resource(
    plural: str, kind: str, *, namespaced: bool = True, verbs: tuple[str, ...] = ("get", "list", "watch")
) -> Document:
    """Return a resource of aggregated discovery."""
    return {
        "resource": plural,
        "responseKind": {"group": "", "version": "", "kind": kind},
        "scope": "Namespaced" if namespaced else "Cluster",
        "singularResource": kind.lower(),
        "verbs": list(verbs),
    }


def group(name: str, versions: Mapping[str, list[Document]], *, freshness: str = "Current") -> Document:
    """Return a group of aggregated discovery."""
    listed = [{"version": one, "resources": found, "freshness": freshness} for one, found in versions.items()]
    return {"metadata": {"name": name} if name else {}, "versions": listed}


def discovery(*groups: Document) -> Document:
    """Return an aggregated discovery document."""
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": list(groups),
    }


CORE = discovery(group("", {"v1": [resource("pods", "Pod"), resource("nodes", "Node", namespaced=False)]}))
APPS = group("apps", {"v1": [resource("deployments", "Deployment")]})


def thing(name: str, space: str = "shop", **labels: str) -> Document:
    """Return the metadata of an object; underscores of label keys become dashes."""
    metadata: Document = {"name": name, "resourceVersion": "1"}
    if space:
        metadata["namespace"] = space
    if labels:
        metadata["labels"] = {key.replace("_", "-"): value for key, value in labels.items()}
    return {"metadata": metadata}


def failure(code: int, message: str = "no") -> httpx2.Response:
    """Return a Status."""
    return httpx2.Response(code, json={"kind": "Status", "status": "Failure", "message": message, "code": code})


@dataclass
class HandTime:
    """A clock and pauses that end only when a test turns the clock."""

    now: float = 1000.0
    sleeping: list[tuple[float, asyncio.Future[None]]] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sleeping.append((self.now + seconds, waiting))
        await waiting

    def pass_(self, seconds: float) -> None:
        """Let time pass, and wake whoever has slept long enough."""
        self.now += seconds
        due = [one for one in self.sleeping if one[0] <= self.now]
        self.sleeping = [one for one in self.sleeping if one[0] > self.now]
        for _, waiting in due:
            if not waiting.done():
                waiting.set_result(None)

    def timing(self) -> Timing:
        return Timing(clock=lambda: self.now, sleep=self.sleep, dice=lambda: 1.0)


@dataclass
class Watching:
    """A watch that is open: what is put into it goes to the client; None ends it, an exception breaks it."""

    parameters: Mapping[str, str]
    queue: asyncio.Queue[Document | Exception | None] = field(default_factory=asyncio.Queue)

    def send(self, type_: str, about: Document, version: str = "") -> None:
        if version:
            about = {**about, "metadata": {**about.get("metadata", {}), "resourceVersion": version}}
        self.queue.put_nowait({"type": type_, "object": about})

    def end(self) -> None:
        self.queue.put_nowait(None)

    def cut(self) -> None:
        self.queue.put_nowait(httpx2.ReadError("cut"))

    async def body(self) -> AsyncIterator[bytes]:
        while (one := await self.queue.get()) is not None:
            if isinstance(one, Exception):
                raise one
            yield json.dumps(one).encode() + b"\n"


@dataclass
class ApiServer:
    """Answers discovery, LISTs and watches, and writes down what it was asked."""

    documents: dict[str, Document] = field(default_factory=dict)
    objects: dict[str, list[Document]] = field(default_factory=dict)  # by the path of the collection
    faults: list[Callable[[httpx2.Request], httpx2.Response | None]] = field(default_factory=list)
    watches: list[Watching] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    page_objects: int = 500
    version: str = "100"

    def __post_init__(self) -> None:
        self.documents = {"/api": CORE, "/apis": discovery(APPS)} | self.documents

    def calls(self, verb: str, path: str = "/api/v1/pods") -> int:
        """Return how often a collection was listed or watched."""
        return sum(1 for one in self.asked if one.startswith(f"{verb} {path}?") or one == f"{verb} {path}")

    def fail(self, part: str, answer: httpx2.Response | Exception, *, times: int = 1_000_000) -> Callable[[], None]:
        """Answer requests whose verb and URL hold a text with a failure; return what takes that back."""
        left = [times]

        def fault(request: httpx2.Request) -> httpx2.Response | None:
            if part not in f"{_verb(request)} {request.url.raw_path.decode()}" or not left[0]:
                return None
            left[0] -= 1
            if isinstance(answer, Exception):
                raise answer
            return httpx2.Response(answer.status_code, content=answer.content, headers=answer.headers)

        self.faults.append(fault)
        return lambda: self.faults.remove(fault)

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        query = request.url.query.decode()
        self.asked.append(f"{_verb(request)} {request.url.path}" + (f"?{query}" if query else ""))
        for fault in self.faults:
            if (answer := fault(request)) is not None:
                return answer
        if request.url.path in self.documents:
            return httpx2.Response(200, json=self.documents[request.url.path])
        if request.url.path not in self.objects:
            return failure(404)
        if _verb(request) == "watch":
            assert "as=PartialObjectMetadata;" in request.headers["accept"]
            watching = Watching(dict(request.url.params))
            self.watches.append(watching)
            return httpx2.Response(200, content=watching.body())
        assert "as=PartialObjectMetadataList;" in request.headers["accept"]
        return self._list(request)

    def _list(self, request: httpx2.Request) -> httpx2.Response:
        items = self.objects[request.url.path]
        start = int(request.url.params.get("continue", "0"))
        end = start + min(self.page_objects, int(request.url.params["limit"]))
        metadata: Document = {"resourceVersion": self.version}
        if end < len(items):
            metadata |= {"continue": str(end), "remainingItemCount": len(items) - end}
        return httpx2.Response(200, json={"metadata": metadata, "items": items[start:end] or None})


def _verb(request: httpx2.Request) -> str:
    return "watch" if request.url.params.get("watch") else "list"


@dataclass
class Told:
    """Writes down what is reported."""

    lines: list[str] = field(default_factory=list)
    objects: dict[str, int] = field(default_factory=dict)
    states: list[str] = field(default_factory=list)

    def kubernetes_request_done(self, *, verb: str, resource: str, code: str, seconds: float) -> None:
        self.lines.append(f"request {verb} {resource} {code}")

    def exec_plugin_done(self, *, outcome: str, seconds: float) -> None:
        self.lines.append(f"exec {outcome}")

    def watch_state(self, *, resource: str, state: str) -> None:
        self.states.append(f"{resource} {state}")

    def watch_objects(self, *, resource: str, objects: int) -> None:
        self.objects[resource] = objects

    def watch_event(self, *, resource: str, type_: str) -> None:
        self.lines.append(f"event {resource} {type_}")

    def watch_ended(self, *, resource: str, reason: str) -> None:
        self.lines.append(f"ended {resource} {reason}")

    def objects_listed(self, *, resource: str, purpose: str, outcome: str, objects: int, seconds: float) -> None:
        self.lines.append(f"listed {resource} {purpose} {outcome} {objects}")

    def kinds_read(self, *, outcome: str, kinds: int, failed_groups: int) -> None:
        self.lines.append(f"kinds {outcome} {kinds} {failed_groups}")


def open_client(folder: Path, handler: Callable[..., Any], told: Told, time: HandTime) -> ClusterClient:
    """Return the real client, whose requests go to a function."""
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(
        json.dumps(
            {
                "current-context": "one",
                "contexts": [{"name": "one", "context": {"cluster": "one"}}],
                "clusters": [{"name": "one", "cluster": {"server": "http://kube"}}],
            }
        )
    )
    return open_cluster(
        ClusterOptions(kubeconfig=str(kubeconfig), environment={}),
        observer=told,
        clock=lambda: time.now,
        transport=httpx2.MockTransport(handler),
    )


@dataclass
class Rig:
    """The objects under test and everything around them."""

    server: ApiServer
    objects: ClusterObjects
    time: HandTime
    told: Told

    async def until(self, condition: Callable[[], object]) -> None:
        """Let everybody run until something is so."""
        async with asyncio.timeout(5):
            while not condition():  # noqa: ASYNC110 - no event tells it: the condition is the test's own
                await asyncio.sleep(0)

    async def settle(self) -> None:
        """Let everybody run for as long as anybody wants to."""
        for _ in range(100):
            await asyncio.sleep(0)


@asynccontextmanager
async def cluster(folder: Path, server: ApiServer, settings: WatchSettings | None = None) -> AsyncIterator[Rig]:
    """Open a cluster's objects."""
    time, told = HandTime(), Told()
    client = open_client(folder, server, told, time)
    objects = ClusterObjects(cluster=client, observer=told, timing=time.timing(), settings=settings)
    try:
        yield Rig(server, objects, time, told)
    finally:
        await objects.close()
        await client.close()
