"""The objects of a cluster: watched from the first question on, listed where they cannot be watched."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from adapter.errors import KubernetesNotFound, KubernetesUnavailable
from adapter.kube.documents import ObjectMeta
from adapter.kube.resources import GroupResource, Kind, Kinds
from adapter.kube.selectors import Selector
from adapter.runtime.cluster_kinds import ClusterKinds
from adapter.runtime.watch.collection import Collection
from adapter.runtime.watch.lister import Lister
from adapter.runtime.watch.ports import Cluster, Timing, WatchObserver, WatchSettings
from adapter.runtime.watch.reflector import Reflector

# Metadata has no status, so a watch of its own knows which pods run.
_RUNNING = "status.phase=Running"

_Found = Iterable[tuple[str, str, Mapping[str, str]]]  # namespace, name, labels


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
        settings: WatchSettings | None = None,
    ) -> None:
        self._cluster = cluster
        self._observer = observer
        self._timing = timing
        self._settings = settings or WatchSettings()
        self._kinds = ClusterKinds(cluster=cluster, observer=observer, timing=timing)
        self._lister = Lister(cluster=cluster, observer=observer, settings=self._settings, timing=timing)
        self._watches: dict[Collection, _Watch] = {}

    # ---- kinds

    @property
    def kinds(self) -> Kinds:
        """Return every kind of object that is known now; none before discovery was answered, see `check_kinds`."""
        return self._kinds.kinds

    def check_kinds(self) -> None:
        """Do nothing when the kinds are known.

        Raises:
            UpstreamError: discovery has never been answered, so nobody can say what there is.
        """
        self._kinds.check_known()

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

    async def names(self, kind: Kind, namespace: str, selector: Selector) -> tuple[str, ...]:
        """Return the names of the objects that the selector picks, sorted; `namespace` is empty for all namespaces.

        Raises:
            KubernetesUnavailable: the objects are not known yet, or have not been for too long.
            KubernetesForbidden: they can be neither watched nor listed.
            UpstreamError: what else the cluster says.
        """
        found = await self._picked(Collection(kind=kind), namespace, selector)
        return tuple(sorted({name for _, name, _ in found}))

    async def running_pods(self, namespace: str, selector: Selector) -> tuple[ObjectMeta, ...]:
        """Return the pods in phase Running that the selector picks, by namespace and name; raises what `names` does."""
        return await self._objects("pods", _RUNNING, namespace, selector)

    async def nodes(self, selector: Selector) -> tuple[ObjectMeta, ...]:
        """Return the nodes that the selector picks, by name; raises what `names` does."""
        return await self._objects("nodes", "", "", selector)

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
        found = await self._picked(Collection(kind=kind, field_selector=field_selector), namespace, selector)
        return tuple(ObjectMeta(kind=kind, namespace=space, name=name, labels=labels) for space, name, labels in found)

    async def _picked(self, collection: Collection, namespace: str, selector: Selector) -> _Found:
        if namespace and not collection.kind.namespaced:
            return ()  # nothing of it is in a namespace
        watched = self._watched(collection)
        store = None
        if watched is not None:
            try:
                store = await watched.objects()
            except KubernetesNotFound:
                # The definition is gone, or this version of it: whoever asks next should know, and begin anew.
                self._drop(collection, watched)
                await self._kinds.refresh()
                raise
        if store is not None:
            everywhere = collection.kind.namespaced and not namespace
            return store.picked(None if everywhere else namespace, selector)
        items = await self._lister.items(collection, namespace, selector)
        return sorted(((one.namespace, one.name, one.labels) for one in items), key=lambda one: one[:2])

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
