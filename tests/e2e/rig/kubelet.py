"""Stands in for the kubelets: whatever pod is Pending becomes Running and Ready."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

import httpx

from e2e.rig.cluster import Cluster

_LOOK_SECONDS = 0.2


class Kubelet:
    """A thread that runs pods; use it as a context manager."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kubelet", daemon=True)
        self._started = 0
        self.errors: list[httpx.HTTPError] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(_LOOK_SECONDS):
            try:
                self._look()
            except httpx.HTTPError as error:  # a pod that has gone meanwhile; the next look tells
                self.errors.append(error)

    def _look(self) -> None:
        pending = self._cluster.plane.api.get("/api/v1/pods", params={"fieldSelector": "status.phase=Pending"})
        for pod in pending.raise_for_status().json()["items"]:
            self._started += 1
            address = f"10.1.{self._started // 250}.{self._started % 250 + 1}"
            self._cluster.run_pod(pod["metadata"]["name"], pod["metadata"]["namespace"], address=address)
