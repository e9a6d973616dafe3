"""A kubeconfig, a kube-apiserver that answers what a test says, and what was asked of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from adapter.clients.kubernetes import ClusterClient, ClusterOptions, open_cluster

Answer = Callable[[httpx2.Request], httpx2.Response]


def kubeconfig(folder: Path, *, cluster: Mapping[str, Any] | None = None, user: Mapping[str, Any] | None = None) -> str:
    """Write a kubeconfig of one context and return its path."""
    document = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "one", "user": "me"}}],
        "clusters": [{"name": "one", "cluster": {"server": "https://kube:6443", **(cluster or {})}}],
        "users": [{"name": "me", "user": dict(user or {})}],
    }
    path = folder / "kubeconfig"
    path.write_text(json.dumps(document))
    return str(path)


@dataclass
class Told:
    """Writes down what is reported."""

    lines: list[str] = field(default_factory=list)

    def kubernetes_request_done(self, *, verb: str, resource: str, code: str, seconds: float) -> None:
        self.lines.append(f"{verb} {resource} {code}")

    def exec_plugin_done(self, *, outcome: str, seconds: float) -> None:
        self.lines.append(f"exec {outcome}")


@dataclass
class Cluster:
    """The client under test, and what a server got from it."""

    options: ClusterOptions
    answer: Answer = lambda _request: httpx2.Response(200, json={})
    now: float = 1000.0
    requests: list[httpx2.Request] = field(default_factory=list)
    told: Told = field(default_factory=Told)

    def open(self) -> ClusterClient:
        return open_cluster(
            self.options,
            observer=self.told,
            clock=lambda: self.now,
            wall=lambda: self.now,
            transport=httpx2.MockTransport(self._handle),
        )

    def header(self, name: str) -> list[str | None]:
        """Return a header of every request."""
        return [request.headers.get(name) for request in self.requests]

    def _handle(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        return self.answer(request)


def at(folder: Path, *, environment: Mapping[str, str] | None = None, **sections: Mapping[str, Any]) -> Cluster:
    """Return a cluster that a kubeconfig leads to."""
    path = kubeconfig(folder, **sections)
    return Cluster(ClusterOptions(kubeconfig=path, environment=dict(environment or {}), exec_timeout_seconds=30))


async def ask(client: ClusterClient, method: str = "GET", path: str = "/api/v1/pods", **more: Any) -> dict[str, Any]:
    """Ask for something."""
    return await client.request(method, path, timeout_seconds=30, **more)
