"""Requests that an application's pods get, as counters that Prometheus scrapes."""

from __future__ import annotations

import time

from e2e.rig.cluster import Cluster
from e2e.rig.series import Samples


class Traffic:
    """Counts so many requests a second, shared evenly among the pods that a selector picks; a source for `Series.follow`.

    Attributes:
        per_second: of all pods together; set it as you like.
    """

    def __init__(self, cluster: Cluster, space: str, selector: str, *, per_second: float) -> None:
        self._cluster = cluster
        self._space = space
        self._selector = selector
        self._counts: dict[str, float] = {}
        self._at = time.monotonic()
        self.per_second = per_second

    def __call__(self) -> Samples:
        """Return the counters as they are now."""
        pods = [one["metadata"]["name"] for one in self._cluster.items("Pod", self._space, selector=self._selector)]
        now = time.monotonic()
        for pod in pods:
            self._counts[pod] = self._counts.get(pod, 0.0) + (now - self._at) * self.per_second / len(pods)
        self._at = now
        return {
            f'http_requests_total{{namespace="{self._space}",pod="{pod}",code="200"}}': self._counts[pod]
            for pod in pods
        }
