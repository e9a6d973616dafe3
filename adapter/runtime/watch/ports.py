"""What a watch needs of others: kube-apiserver, somebody who counts, and numbers to go by."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol


class Event(Protocol):
    """One event of a watch."""

    @property
    def type(self) -> str:
        """Return ADDED, MODIFIED, DELETED or BOOKMARK."""

    @property
    def object(self) -> dict[str, Any]:
        """Return the object after the event."""


class Cluster(Protocol):
    """Asks kube-apiserver; raises the Kubernetes leaves of UpstreamError."""

    async def request(
        self, method: str, path: str, *, parameters: Mapping[str, str] = ..., accept: str = ..., timeout_seconds: float
    ) -> dict[str, Any]:
        """Return the document of an answer."""

    def watch(
        self, path: str, *, parameters: Mapping[str, str], accept: str, idle_seconds: float
    ) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """Watch a collection; a silence of `idle_seconds` ends it."""


class WatchObserver(Protocol):
    """What is reported about watches; `resource` is `pods`, `deployments.apps`, `pods?status.phase=Running`."""

    def watch_state(self, *, resource: str, state: str) -> None:
        """Note a change of state: syncing, live, broken, listing (instead of watching), stopped."""

    def watch_objects(self, *, resource: str, objects: int) -> None:
        """Note how many objects are known now."""

    def watch_event(self, *, resource: str, type_: str) -> None:
        """Note an event: ADDED, MODIFIED, DELETED, BOOKMARK."""

    def watch_ended(self, *, resource: str, reason: str) -> None:
        """Note why a watch ended: ended (by the server, as usual), idle, gone, forbidden, or an error's kind."""

    def objects_listed(self, *, resource: str, purpose: str, outcome: str, objects: int, seconds: float) -> None:
        """Note a LIST, all its pages: purpose sync or request; outcome ok, gone, forbidden, too_many, error."""

    def kinds_read(self, *, outcome: str, kinds: int, failed_groups: int) -> None:
        """Note a reading of API discovery: outcome ok, partial, failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchSettings:
    """How much to keep, how long to wait; in objects and seconds."""

    # Kubernetes is made for clusters of at most 150,000 pods. Name and labels of an object take 170 bytes here (pods of
    # Deployments: resident memory, CPython 3.11), so all of them 25 MB; twice that where cpu and memory are served too.
    max_objects: int = 150_000
    # A backend's answer has at most 20,000 samples, so a LIST for one request need not have more.
    max_listed_objects: int = 20_000
    max_watches: int = 64
    # prometheus-adapter's answers were as old as a LIST takes; this is below the HPA's period of 15 s.
    listed_ttl_seconds: float = 5.0
    # The names of a watch that broke are used this long: a new pod is missed, which an HPA takes for a pod without
    # a metric, and a deleted one has no series. After that an error lets the HPA hold.
    stale_seconds: float = 60.0
    # A request waits this long for a first LIST, below the deadline of a whole request.
    sync_timeout_seconds: float = 5.0
    page_timeout_seconds: float = 10.0
    # kube-apiserver sends a bookmark a minute, so two of them are missing.
    silence_seconds: float = 130.0
    unused_seconds: float = 3600.0
    # What cannot be watched, or is too large, may be otherwise later.
    unwatchable_retry_seconds: float = 300.0
    first_pause_seconds: float = 0.5
    longest_pause_seconds: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The clock, the pauses and the dice, handed in so that tests own them; `dice` gives numbers from 0 to 1."""

    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    dice: Callable[[], float] = random.random
