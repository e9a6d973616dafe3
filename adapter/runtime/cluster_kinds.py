"""The kinds of objects that a cluster has, from API discovery: read once, and again when one is missed."""

from __future__ import annotations

import asyncio
import logging

from adapter.errors import KubernetesNotFound, KubernetesUnavailable, UpstreamError
from adapter.kube.resources import GroupResource, Kind, Kinds
from adapter.runtime.watch.discovery import (
    ACCEPT,
    Found,
    GroupVersion,
    is_aggregated,
    legacy_versions,
    merged,
    read_aggregated,
    read_legacy,
)
from adapter.runtime.watch.ports import Cluster, Timing, WatchObserver

log = logging.getLogger(__name__)

# Each of the calls; the aggregator itself gives an extension server 5 s, so this is the longest that is of use.
_TIMEOUT_SECONDS = 5.0
# A kind that is missed is looked for again at most this often: two calls, which take a millisecond or two each.
_LOOK_UP_SECONDS = 2.0
# Without a miss kinds are read again this often: a rule's template may mean one that nobody has asked for yet.
_INTERVAL_SECONDS = 300.0
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 10.0
# Legacy discovery is one call per group and version; a cluster full of definitions has a hundred.
_AT_ONCE = 8


class ClusterKinds:
    """Knows the kinds; `kinds` is replaced whole, and only when something has changed.

    Until discovery is answered it is `base`, by which nothing may be answered: it is for checks of rules.
    """

    def __init__(self, *, cluster: Cluster, observer: WatchObserver, timing: Timing, base: Kinds | None = None) -> None:
        self._cluster = cluster
        self._observer = observer
        self._timing = timing
        self.kinds = base or Kinds(())
        self._found: Found = {}
        self._error: UpstreamError | None = KubernetesUnavailable("API discovery has not ended yet", kind="connection")
        self._complaint = ""
        self._known = False
        self._unanswered: tuple[GroupVersion, ...] = ()
        self._read_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    @property
    def problem(self) -> str:
        """Say what is wrong with discovery now, empty if nothing is."""
        if self._error is not None:
            return str(self._error)
        names = ", ".join(f"{one.group}/{one.version}" for one in self._unanswered)
        return f"discovery of {names} fails" if names else ""

    async def synced(self) -> Kinds:
        """Return the kinds, once discovery was answered.

        Raises:
            UpstreamError: it never was, and is not now.
        """
        if not self._known:
            await self.refresh()
        if not self._known and self._error is not None:
            raise self._error
        return self.kinds

    async def look_up(self, resource: GroupResource) -> Kind | None:
        """Return the kind that a resource means; one that is not known is looked for again, once for all callers.

        Raises:
            UpstreamError: discovery, or that of the resource's group, fails, so nobody can say.
        """
        found = (await self.synced()).resolve(resource)
        if found is None:
            await self.refresh()
            found = self.kinds.resolve(resource)
        if found is None:
            hidden = [one for one in self._unanswered if resource.group and one.group.startswith(resource.group)]
            if hidden:
                raise KubernetesUnavailable(f"discovery of the API group {hidden[0].group} fails", kind="status")
        return found

    async def refresh(self) -> None:
        """Read discovery again, unless that was done a moment ago; a failure leaves what is known."""
        pause_seconds = _FIRST_PAUSE_SECONDS if self._error is not None else _LOOK_UP_SECONDS
        if self._reading is None and self._timing.clock() - self._read_at >= pause_seconds:
            self._reading = asyncio.create_task(self._read())
            self._reading.add_done_callback(self._ended)
        if self._reading is not None:
            await asyncio.shield(self._reading)

    async def run(self) -> None:
        """Read discovery at once, soon again after a failure, and now and then."""
        failures = 0
        while True:
            await self.refresh()
            failures = failures + 1 if self._error is not None else 0
            full = min(_FIRST_PAUSE_SECONDS * 2.0**failures, _LONGEST_PAUSE_SECONDS) if failures else _INTERVAL_SECONDS
            await self._timing.sleep(full * (0.5 + 0.5 * self._timing.dice()))

    async def close(self) -> None:
        """End a reading that is under way."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    def _ended(self, _task: asyncio.Task[None]) -> None:
        self._reading = None

    async def _read(self) -> None:
        self._read_at = self._timing.clock()
        try:
            self._take(await self._discovered())
        except UpstreamError as error:
            if str(error) != self._complaint:
                log.warning("API discovery failed: %s", error)
            self._failed(error)
        except Exception as error:
            # The loop, and whoever waits for the kinds, must outlive any fault of ours: the log names it.
            log.exception("API discovery failed")
            fault = KubernetesUnavailable("API discovery failed", kind="bad_answer")
            fault.__cause__ = error
            self._failed(fault)

    def _failed(self, error: UpstreamError) -> None:
        self._error, self._complaint = error, str(error)
        self._observer.kinds_read(outcome="failed", kinds=len(list(self.kinds)), failed_groups=0)

    def _take(self, found: Found) -> None:
        kinds = merged(found, self._found)
        unanswered = tuple(where for where, kinds_now in found.items() if kinds_now is None)
        if unanswered and unanswered != self._unanswered:
            log.warning("API groups without an answer: %s", [one.path for one in unanswered])
        self._found = {where: self._found.get(where) if now is None else now for where, now in found.items()}
        self._unanswered, self._error, self._complaint, self._known = unanswered, None, "", True
        if kinds != list(self.kinds):
            self.kinds = Kinds(kinds)
            log.info("kinds of objects updated", extra={"kinds": len(kinds)})
        self._observer.kinds_read(
            outcome="partial" if unanswered else "ok", kinds=len(kinds), failed_groups=len(unanswered)
        )

    async def _discovered(self) -> Found:
        core, groups = await asyncio.gather(self._document("/api", ACCEPT), self._document("/apis", ACCEPT))
        found: Found = {}
        for document in (core, groups):
            if is_aggregated(document):
                found |= read_aggregated(document)
        wanted = legacy_versions(*({} if is_aggregated(document) else document for document in (core, groups)))
        turns = asyncio.Semaphore(_AT_ONCE)
        legacy = await asyncio.gather(*(self._legacy(where, turns) for where in wanted))
        found |= dict(zip(wanted, legacy, strict=True))
        if not any(found.values()):
            raise KubernetesUnavailable("kube-apiserver's discovery names no kind at all", kind="bad_answer")
        return dict(sorted(found.items(), key=lambda one: one[0].group != ""))  # the core group goes first

    async def _legacy(self, where: GroupVersion, turns: asyncio.Semaphore) -> tuple[Kind, ...] | None:
        try:
            async with turns:
                return read_legacy(where, await self._document(where.path, "application/json"))
        except KubernetesNotFound:
            return ()  # removed since the groups were listed
        except UpstreamError:
            return None

    async def _document(self, path: str, accept: str) -> dict[str, object]:
        return await self._cluster.request("GET", path, accept=accept, timeout_seconds=_TIMEOUT_SECONDS)
