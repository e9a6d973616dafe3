"""Keeps the objects of one resource as kube-apiserver has them: one LIST, and a watch from there on."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from http import HTTPStatus

from adapter.errors import ClusterGone, KubernetesForbidden, KubernetesNotFound, KubernetesUnavailable, UpstreamError
from adapter.interpreter import collection_paused
from adapter.kube.selectors import EVERYTHING
from adapter.runtime.watch.collection import WATCH_ACCEPT, Collection, item_of, pages, version_of
from adapter.runtime.watch.ports import Cluster, Event, Timing, WatchObserver, WatchSettings
from adapter.runtime.watch.store import Store

log = logging.getLogger(__name__)

# Between these two, as client-go: kube-apiserver ends a watch then, so that watches spread over its replicas anew.
_WATCH_SECONDS = (300, 600)
# A watch that was open for this long worked. One that ends at once, again and again, proves nothing.
_SETTLED_SECONDS = 5.0
# How often a LIST begins again because its pages expired under it, before it counts as failed.
_MAX_RESTARTS = 3
# Whoever watches is told to list again at the same moment; up to this long each waits.
_SPREAD_SECONDS = 1.0


class _TooManyError(Exception):
    """There are more objects than may be kept."""


class Reflector:
    """The objects of one resource; `run` is its loop, which ends when nobody has asked for long."""

    def __init__(
        self,
        collection: Collection,
        *,
        cluster: Cluster,
        observer: WatchObserver,
        settings: WatchSettings,
        timing: Timing,
    ) -> None:
        self.collection = collection
        self._cluster = cluster
        self._observer = observer
        self._settings = settings
        self._timing = timing
        self._store: Store | None = None
        self._version = ""  # where the watch goes on; empty to list again
        self._unwatchable = False
        self._why = ""  # it cannot be watched
        self._error: UpstreamError | None = None
        self._failures = 0
        self._decided = asyncio.Event()  # set when the first LIST has ended, one way or another
        self._opened_at: float | None = None  # of the watch that is open now
        self._proved_at = timing.clock()  # when the store was last known to be what kube-apiserver has
        self._used_at = timing.clock()
        self._asked = False
        self._state = ""

    # ---- what requests ask

    async def objects(self) -> Store | None:
        """Return the objects, None if they cannot be watched and must be listed.

        Raises:
            KubernetesUnavailable: they are not known yet, or the watch has been broken for too long.
            UpstreamError: what else the LIST said.
        """
        self._used_at = self._timing.clock()
        if not self._asked:
            self._asked = True
            if self._unwatchable:
                self._tell_unwatchable(logging.WARNING)
        if not self._decided.is_set():
            try:
                async with asyncio.timeout(self._settings.sync_timeout_seconds):
                    await self._decided.wait()
            except TimeoutError as error:
                text = f"{self.collection.name} are still being listed"
                raise KubernetesUnavailable(text, kind="timeout") from error
        if self._unwatchable:
            return None
        if self._store is None:
            raise self._error or KubernetesUnavailable(f"{self.collection.name} are not known", kind="connection")
        if self.stale_seconds > self._settings.stale_seconds:
            text = f"{self.collection.name} have not been heard of for {self.stale_seconds:.0f} s: {self._error}"
            raise KubernetesUnavailable(text, kind="connection") from self._error
        return self._store

    @property
    def syncing(self) -> bool:
        """Say whether the first LIST is still under way."""
        return not self._decided.is_set()

    @property
    def stale_seconds(self) -> float:
        """Return for how long nobody has known whether the objects are still the same."""
        return 0.0 if self._settled else self._timing.clock() - self._proved_at

    @property
    def problem(self) -> str:
        """Say what is wrong now, empty if nothing is."""
        return str(self._error) if self._error is not None else ""

    # ---- the loop

    async def run(self) -> None:
        """List and watch until nobody has asked for long."""
        try:
            while self._timing.clock() - self._used_at < self._settings.unused_seconds:
                await self._timing.sleep(await self._step())
        finally:
            self._change("stopped")
            self._observer.watch_objects(resource=self.collection.name, objects=0)

    async def _step(self) -> float:
        """List if need be, then watch to the end of the watch; return the seconds until the next step."""
        try:
            if not self._version:
                await self._list()
            reason = await self._watch()
        except _TooManyError:
            return self._give_up("too_many", f"more than {self._settings.max_objects} objects")
        except UpstreamError as error:
            return self._failed(error)
        except Exception as error:
            # The loop must outlive any fault of ours: the log names it.
            log.exception("watch failed", extra={"resource": self.collection.name})
            self._version = ""
            fault = KubernetesUnavailable(f"the watch of {self.collection.name} failed", kind="bad_answer")
            fault.__cause__ = error
            return self._ended("error", fault, self._pause())
        self._observer.watch_ended(resource=self.collection.name, reason=reason)
        return 0.0 if self._failures == 0 else self._pause()

    def _failed(self, error: UpstreamError) -> float:
        """Decide how to go on after a failure; return the seconds until then."""
        match error:
            case ClusterGone():
                self._version = ""
                # One that is gone at once would be so again: then it is a failure like any other.
                wait = self._pause() if self._failures else 0.0
                return self._ended("gone", error, wait + self._timing.dice() * _SPREAD_SECONDS)
            case KubernetesForbidden():
                return self._give_up("forbidden", str(error))
            case KubernetesUnavailable(status=HTTPStatus.METHOD_NOT_ALLOWED):
                return self._give_up("unwatchable", str(error))
            case KubernetesNotFound():
                self._store, self._version, self._unwatchable = None, "", False
                return self._ended("not_found", error, self._pause())
            case KubernetesUnavailable(kind=kind):
                return self._ended(kind, error, self._pause())
            case _:
                return self._ended("error", error, self._pause())

    async def _list(self) -> None:
        self._change("syncing" if self._store is None else "broken")
        begin, store, outcome = self._timing.clock(), Store(self.collection.kind), "error"
        try:
            store, version = await self._listed()
            outcome = "ok"
        except _TooManyError:
            outcome = "too_many"
            raise
        except KubernetesForbidden:
            outcome = "forbidden"
            raise
        except ClusterGone:
            outcome = "gone"
            raise
        finally:
            seconds = self._timing.clock() - begin
            self._observer.objects_listed(
                resource=self.collection.name, purpose="sync", outcome=outcome, objects=len(store), seconds=seconds
            )
        self._store, self._version = store, version
        self._unwatchable = False
        self._proved_at = begin  # what happened during the LIST may be missing from it
        self._error = None
        self._observer.watch_objects(resource=self.collection.name, objects=len(store))
        self._decided.set()
        self._change("live")

    async def _listed(self) -> tuple[Store, str]:
        """Return the objects and the version they are of; begins again when the pages expire."""
        # Each page is a hundred thousand short-lived objects. With collections the LIST of a large cluster takes four
        # times as long, and holds everybody up for a tenth of a second now and then.
        with collection_paused():
            for _ in range(_MAX_RESTARTS):
                try:
                    return await self._paged()
                except ClusterGone:
                    await self._timing.sleep(self._timing.dice() * _SPREAD_SECONDS)
            return await self._paged()

    async def _paged(self) -> tuple[Store, str]:
        store, version = Store(self.collection.kind), ""
        found = pages(
            self._cluster,
            self.collection,
            namespace="",
            selector=EVERYTHING,
            timeout_seconds=self._settings.page_timeout_seconds,
        )
        async with aclosing(found):
            async for page in found:
                for one in page.objects:
                    store.put(one)
                if len(store) + page.remaining > self._settings.max_objects:
                    raise _TooManyError
                version = page.version
        if not version:
            text = f"kube-apiserver's list of {self.collection.name} has no resourceVersion"
            raise KubernetesUnavailable(text, kind="bad_answer")
        return store, version

    async def _watch(self) -> str:
        """Follow the events until the watch ends without a failure; return why it did."""
        watch = self._cluster.watch(
            self.collection.path(),
            parameters=self._watch_parameters(),
            accept=WATCH_ACCEPT,
            idle_seconds=self._settings.silence_seconds,
        )
        async with watch as events:
            self._opened_at = self._timing.clock()
            if self._failures <= 1:  # at the first new attempt there is hope; later only events count
                self._error = None
                self._change("live")
            try:
                async for event in events:
                    self._apply(event)
            except KubernetesUnavailable as error:
                if error.kind == "timeout" and self._settled:
                    return "idle"  # some API servers send no bookmarks; TCP itself notices a dead peer
                raise
            finally:
                if self._settled:
                    self._succeeded()
                elif self._failures == 0:
                    self._failures = 1  # it ended at once: not to ask again at once
                self._opened_at = None
        return "ended"

    def _watch_parameters(self) -> dict[str, str]:
        shortest, longest = _WATCH_SECONDS
        return {
            **self.collection.parameters(),
            "watch": "true",
            "resourceVersion": self._version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(round(shortest + self._timing.dice() * (longest - shortest))),
        }

    @property
    def _settled(self) -> bool:
        """Say whether a watch is open, and has been for long enough to be believed."""
        return self._opened_at is not None and self._timing.clock() - self._opened_at >= _SETTLED_SECONDS

    def _apply(self, event: Event) -> None:
        self._observer.watch_event(resource=self.collection.name, type_=event.type)
        store = self._store
        if store is not None and event.type != "BOOKMARK":
            one = item_of(event.object, self.collection)
            if event.type == "DELETED":
                store.drop(*one[:2])
            else:
                store.put(one)
            self._observer.watch_objects(resource=self.collection.name, objects=len(store))
            if len(store) > self._settings.max_objects:
                raise _TooManyError
        self._version = version_of(event.object) or self._version
        self._succeeded()

    # ---- what became of a step

    def _succeeded(self) -> None:
        self._proved_at = self._timing.clock()
        self._failures = 0
        self._error = None
        self._change("live")

    def _ended(self, reason: str, error: UpstreamError, pause_seconds: float) -> float:
        """Note a failure; the objects stay, and grow old."""
        self._observer.watch_ended(resource=self.collection.name, reason=reason)
        if self._error is None and not isinstance(error, ClusterGone):
            log.warning("watch broken: %s", error, extra={"resource": self.collection.name, "reason": reason})
        self._error = error
        self._change("broken")
        self._decided.set()
        return pause_seconds

    def _give_up(self, reason: str, why: str) -> float:
        """Let requests list what they need, and try again much later."""
        first, self._unwatchable, self._why = not self._unwatchable, True, why
        if first:
            # What nobody has asked for yet is nobody's trouble yet.
            self._tell_unwatchable(logging.WARNING if self._asked else logging.INFO)
        self._observer.watch_ended(resource=self.collection.name, reason=reason)
        self._observer.watch_objects(resource=self.collection.name, objects=0)
        self._store, self._version, self._error = None, "", None
        self._decided.set()
        self._change("listing")
        return self._settings.unwatchable_retry_seconds

    def _tell_unwatchable(self, level: int) -> None:
        text = "listed for each request instead of watched: %s"
        log.log(level, text, self._why, extra={"resource": self.collection.name})

    def _pause(self) -> float:
        """Return a longer and longer time, a half of it by chance."""
        full = min(
            self._settings.first_pause_seconds * 2.0 ** min(self._failures, 16), self._settings.longest_pause_seconds
        )
        self._failures += 1
        return full * (0.5 + 0.5 * self._timing.dice())

    def _change(self, state: str) -> None:
        if state != self._state:
            self._state = state
            log.info("watch %s", state, extra={"resource": self.collection.name})
            self._observer.watch_state(resource=self.collection.name, state=state)
