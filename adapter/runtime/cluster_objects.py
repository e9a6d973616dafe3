"""The objects of a cluster: watched from the first question on, listed where they cannot be watched."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

from adapter.errors import KubernetesNotFound, KubernetesUnavailable
from adapter.kube.documents import ObjectMeta
from adapter.kube.resources import GroupResource, Kind, Kinds
from adapter.kube.selectors import EVERYTHING, Selector
from adapter.runtime.cluster_kinds import ClusterKinds
from adapter.runtime.watch.collection import Collection
from adapter.runtime.watch.lister import Lister
from adapter.runtime.watch.ports import Cluster, Timing, WatchObserver, WatchSettings
from adapter.runtime.watch.reflector import Reflector
from adapter.runtime.watch.store import Store

# Metadata has no status, so a watch of its own knows which pods run.
_RUNNING = "status.phase=Running"
_PODS = GroupResource("pods")

# An RFC 1123 label, which a namespace's name must be.
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@dataclass(slots=True)
class _Watch:
    reflector: Reflector
    task: asyncio.Task[None]


class ClusterObjects:
    """Implements the port `Objects` for a cluster; `run` keeps the kinds current, each watch runs by itself."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        observer: WatchObserver,
        timing: Timing,
        base: Kinds | None = None,
        settings: WatchSettings | None = None,
    ) -> None:
        self._cluster = cluster
        self._observer = observer
        self._timing = timing
        self._settings = settings or WatchSettings()
        self._kinds = ClusterKinds(cluster=cluster, observer=observer, timing=timing, base=base)
        self._lister = Lister(cluster=cluster, observer=observer, settings=self._settings, timing=timing)
        self._watches: dict[Collection, _Watch] = {}
        self._expected: dict[Collection, Reflector] = {}  # watches that were begun before anybody asked

    # ---- kinds

    @property
    def kinds(self) -> Kinds:
        """Return every kind of object that is known now; before the first answer those of `base`."""
        return self._kinds.kinds

    async def synced_kinds(self) -> Kinds:
        """Return all kinds, once they have been read for the first time.

        Raises:
            UpstreamError: they were never read, and cannot be now.
        """
        return await self._kinds.synced()

    async def refresh_kinds(self) -> None:
        """Read API discovery again, unless that was done a moment ago; a failure leaves what is known."""
        await self._kinds.refresh()

    async def look_up_kind(self, resource: GroupResource) -> Kind | None:
        """Return the kind that a resource means, asking the cluster again if it is not known.

        Raises:
            UpstreamError: nobody can say whether there is such a kind.
        """
        return await self._kinds.look_up(resource)

    async def run(self) -> None:
        """Keep the kinds current for ever."""
        await self._kinds.run()

    # ---- objects

    async def picked(self, kind: Kind, namespace: str, selector: Selector) -> tuple[ObjectMeta, ...]:
        """Return the objects that the selector picks, by namespace and name.

        `namespace` is empty for a kind that has none, and for all namespaces.

        Raises:
            KubernetesUnavailable: the objects are not known yet, or have not been for too long.
            KubernetesForbidden: they can be neither watched nor listed.
            UpstreamError: what else the cluster says.
        """
        return await self._picked(Collection(kind=kind), namespace, selector)

    async def names(self, kind: Kind, namespace: str, selector: Selector) -> tuple[str, ...]:
        """Return the names of what `picked` returns; raises what that does."""
        if not _is_possible(kind, namespace):
            return ()
        collection = Collection(kind=kind)
        store = await self._stored(collection)
        if store is not None:
            return store.names(None if kind.namespaced and not namespace else namespace, selector)
        return tuple(one.name for one in await self._lister.objects(collection, namespace, selector))

    async def exists(self, kind: Kind, namespace: str, name: str) -> bool:
        """Say whether there is an object of this name; raises what `picked` raises."""
        if not _is_possible(kind, namespace):
            return False
        store = await self._stored(Collection(kind=kind))
        if store is not None:
            return store.has(namespace, name)
        one = Collection(kind=kind, field_selector=f"metadata.name={_escaped(name)}")
        return bool(await self._lister.objects(one, namespace, EVERYTHING))

    async def running_pods(self, namespace: str, selector: Selector) -> tuple[ObjectMeta, ...]:
        """Return the running pods that the selector picks, by namespace and name; raises what `picked` does."""
        return await self._objects("pods", _RUNNING, namespace, selector)

    async def nodes(self, selector: Selector) -> tuple[ObjectMeta, ...]:
        """Return the nodes that the selector picks, by name; raises what `picked` does."""
        return await self._objects("nodes", "", "", selector)

    def expect_pods(self, *, running: bool) -> None:
        """Begin the watch of pods, or of running ones, unless that was done once: it ends when nobody asks for long."""
        kind = self._kinds.kinds.resolve(_PODS)
        if kind is None:
            return
        collection = Collection(kind=kind, field_selector=_RUNNING if running else "")
        if collection not in self._expected and (reflector := self._watched(collection)) is not None:
            self._expected[collection] = reflector

    @property
    def syncing(self) -> tuple[str, ...]:
        """Return what is being listed for the first time, before anybody has asked for it."""
        return tuple(collection.name for collection, one in self._expected.items() if one.syncing)

    @property
    def problems(self) -> tuple[str, ...]:
        """Return what is wrong now, for health and logs: one text for discovery, one for each watch."""
        texts = [self._kinds.problem]
        texts += [watch.reflector.problem for watch in self._watches.values() if not watch.task.done()]
        return tuple(text for text in texts if text)

    async def close(self) -> None:
        """End every watch and every call."""
        tasks = [watch.task for watch in self._watches.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._watches.clear()
        await self._lister.close()
        await self._kinds.close()

    async def _objects(
        self, resource: str, field_selector: str, namespace: str, selector: Selector
    ) -> tuple[ObjectMeta, ...]:
        kind = await self._kinds.look_up(GroupResource(resource))
        if kind is None:
            raise KubernetesUnavailable(f"kube-apiserver's discovery does not name {resource}", kind="bad_answer")
        return await self._picked(Collection(kind=kind, field_selector=field_selector), namespace, selector)

    async def _picked(self, collection: Collection, namespace: str, selector: Selector) -> tuple[ObjectMeta, ...]:
        if not _is_possible(collection.kind, namespace):
            return ()
        store = await self._stored(collection)
        if store is not None:
            everywhere = collection.kind.namespaced and not namespace
            return store.picked(None if everywhere else namespace, selector)
        return await self._lister.objects(collection, namespace, selector)

    async def _stored(self, collection: Collection) -> Store | None:
        """Return the watched objects, None if they have to be listed."""
        watched = self._watched(collection)
        if watched is None:
            return None
        try:
            return await watched.objects()
        except KubernetesNotFound:
            # The definition is gone, or this version of it: whoever asks next should know, and begin anew.
            self._drop(collection, watched)
            await self._kinds.refresh()
            raise

    def _drop(self, collection: Collection, reflector: Reflector) -> None:
        watch = self._watches.get(collection)
        if watch is not None and watch.reflector is reflector:
            del self._watches[collection]
            watch.task.cancel()

    def _watched(self, collection: Collection) -> Reflector | None:
        """Return the watch of a collection, started if there is none; None if there are too many."""
        watch = self._watches.get(collection)
        if watch is not None and not watch.task.done():
            return watch.reflector
        self._watches = {of: one for of, one in self._watches.items() if not one.task.done()}
        if len(self._watches) >= self._settings.max_watches:
            return None
        reflector = Reflector(
            collection,
            cluster=self._cluster,
            observer=self._observer,
            settings=self._settings,
            timing=self._timing,
        )
        task = asyncio.create_task(reflector.run(), name=f"watch {collection.name}")
        self._watches[collection] = _Watch(reflector, task)
        return reflector


def _is_possible(kind: Kind, namespace: str) -> bool:
    """Say whether there can be objects: callers name namespaces, and may name what none is called."""
    return not namespace or (kind.namespaced and _NAMESPACE.fullmatch(namespace) is not None)


def _escaped(value: str) -> str:
    """Write a value into a field selector, as apimachinery's fields.EscapeValue."""
    return re.sub(r"([\\,=])", r"\\\1", value)
