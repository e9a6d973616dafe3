"""What must be known of objects, and by whom: the port that a file, a watch, and nobody at all stand behind."""

from __future__ import annotations

import logging
from typing import Protocol

from adapter.errors import ObjectsUnavailable
from adapter.kube.documents import ObjectMeta
from adapter.kube.resources import GroupResource, Kind, Kinds
from adapter.kube.selectors import Selector

log = logging.getLogger(__name__)


class Objects(Protocol):
    """What knows the objects: a file, or a watch of a cluster.

    What is known already is answered at once, also while it is read anew. Who asks for what nobody has read yet waits;
    the caller's deadline ends the wait. Failure is never an empty answer: what cannot be told is an UpstreamError.
    """

    @property
    def kinds(self) -> Kinds:
        """Return the kinds that are known now, without waiting."""

    async def synced_kinds(self) -> Kinds:
        """Return all kinds, once they have been read for the first time.

        Raises:
            UpstreamError: they were never read, and cannot be now.
        """

    async def look_up_kind(self, resource: GroupResource) -> Kind | None:
        """Return the kind that a resource means; one that is not known may have come a moment ago, and is asked for.

        Raises:
            UpstreamError: nobody can say whether there is such a kind.
        """

    async def picked(self, kind: Kind, namespace: str, selector: Selector) -> tuple[ObjectMeta, ...]:
        """Return the objects that the selector picks, by namespace and name.

        `namespace` is empty for a kind that has none, and for all namespaces.

        Raises:
            ObjectsUnavailable: the objects of this kind are not known.
            KubernetesForbidden: the adapter's own account may not list them.
            UpstreamError: what else went wrong.
        """

    async def names(self, kind: Kind, namespace: str, selector: Selector) -> tuple[str, ...]:
        """Return the names of what `picked` returns; raises what that does."""

    async def exists(self, kind: Kind, namespace: str, name: str) -> bool:
        """Say whether there is an object of this name; raises what `picked` raises."""

    async def running_pods(self, namespace: str, selector: Selector) -> tuple[ObjectMeta, ...]:
        """Return the running pods that the selector picks, by namespace and name; raises what `picked` does.

        An empty namespace stands for all.
        """

    async def nodes(self, selector: Selector) -> tuple[ObjectMeta, ...]:
        """Return the nodes that the selector picks, by name; raises what `picked` does."""

    @property
    def syncing(self) -> tuple[str, ...]:
        """Return what is being listed for the first time, before anybody has asked for it."""

    @property
    def problems(self) -> tuple[str, ...]:
        """Return what is wrong now, one text each."""

    async def close(self) -> None:
        """End what is under way and wait for it."""


class ObjectsObserver(Protocol):
    """What a source of objects reports."""

    def objects_read(self, *, ok: bool, objects: int) -> None:
        """Note that the objects were read again."""


class NoObjects:
    """Stands in when there is neither a cluster nor a file: objects can be asked for by name only."""

    problems: tuple[str, ...] = ()
    syncing: tuple[str, ...] = ()

    def __init__(self, kinds: Kinds) -> None:
        self.kinds = kinds

    async def synced_kinds(self) -> Kinds:
        """Return the kinds that Kubernetes itself has."""
        return self.kinds

    async def look_up_kind(self, resource: GroupResource) -> Kind | None:
        """Return a kind that Kubernetes itself has."""
        return self.kinds.resolve(resource)

    async def picked(self, kind: Kind, namespace: str, selector: Selector) -> tuple[ObjectMeta, ...]:  # noqa: ARG002 - the port's shape
        """Raise: nothing is known of any object."""
        raise _unknown(str(kind.group_resource))

    async def names(self, kind: Kind, namespace: str, selector: Selector) -> tuple[str, ...]:  # noqa: ARG002 - the port's shape
        """Raise: nothing is known of any object."""
        raise _unknown(str(kind.group_resource))

    async def exists(self, kind: Kind, namespace: str, name: str) -> bool:  # noqa: ARG002 - the port's shape
        """Raise: nothing is known of any object."""
        raise _unknown(str(kind.group_resource))

    async def running_pods(self, namespace: str, selector: Selector) -> tuple[ObjectMeta, ...]:  # noqa: ARG002 - the port's shape
        """Raise: nothing is known of any pod."""
        raise _unknown("pods")

    async def nodes(self, selector: Selector) -> tuple[ObjectMeta, ...]:  # noqa: ARG002 - the port's shape
        """Raise: nothing is known of any node."""
        raise _unknown("nodes")

    async def close(self) -> None:
        """Do nothing: nothing is under way."""


def _unknown(resource: str) -> ObjectsUnavailable:
    log.warning("objects cannot be listed: there is no --objects-file", extra={"resource": resource})
    return ObjectsUnavailable()
