"""What authentication and authorization need of others: kube-apiserver, and somebody who counts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol


class Cluster(Protocol):
    """Asks kube-apiserver; raises the Kubernetes leaves of UpstreamError."""

    async def request(
        self,
        method: str,
        path: str,
        *,
        parameters: Mapping[str, str] = ...,
        body: Mapping[str, object] | None = None,
        timeout_seconds: float,
    ) -> dict[str, Any]:
        """Return the document of an answer."""


class Event(Protocol):
    """One event of a watch."""

    @property
    def type(self) -> str:
        """Return ADDED, MODIFIED, DELETED or BOOKMARK."""

    @property
    def object(self) -> dict[str, Any]:
        """Return the object after the event."""


class WatchedCluster(Cluster, Protocol):
    """Asks, and watches."""

    def watch(
        self, path: str, *, parameters: Mapping[str, str], accept: str, idle_seconds: float
    ) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """Watch a collection; a silence of `idle_seconds` ends it."""


class AuthObserver(Protocol):
    """What is reported about callers."""

    def authentication(self, *, kind: str, outcome: str) -> None:
        """Note a request: kind front_proxy, client_certificate, token, anonymous; outcome accepted, refused.

        A refused request is noted once, by the first kind of its credentials that was refused.
        """

    def authorization(self, *, kind: str, outcome: str) -> None:
        """Note a decision: kind privileged, path, review; outcome allowed, denied, failed."""

    def review_asked(self, *, kind: str, outcome: str, seconds: float) -> None:
        """Note a review by kube-apiserver: kind token, access; outcome yes, no, failed; how long it took in all."""

    def review_reused(self, *, kind: str, how: str) -> None:
        """Note a review that need not be asked: cached, or joined (one that was under way)."""

    def certificate_verified(self, *, how: str) -> None:
        """Note a look at a client certificate: cached, valid or invalid."""

    def trust_read(self, *, source: str, outcome: str) -> None:
        """Note a reading of whom to trust: source configmap, file; outcome ok, failed."""
