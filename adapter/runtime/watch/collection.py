"""One resource of a cluster as it is listed and watched: paths, media types, and what its documents say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from sys import intern
from typing import Any

from adapter.errors import KubernetesUnavailable
from adapter.kube.documents import ObjectMeta
from adapter.kube.resources import Kind
from adapter.kube.selectors import EVERYTHING, Selector
from adapter.runtime.watch.ports import Cluster

# Metadata alone, or whole objects from an aggregated API server that cannot do that. A WATCH wants the single form:
# with the list's it answers 200 and never sends an event.
LIST_ACCEPT = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
WATCH_ACCEPT = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
# What client-go asks for at a time.
_PAGE_OBJECTS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """All objects of a kind, or those that a field selector picks."""

    kind: Kind
    field_selector: str = ""

    @property
    def name(self) -> str:
        """Return what metrics and messages call it."""
        name = str(self.kind.group_resource)
        return f"{name}?{self.field_selector}" if self.field_selector else name

    def path(self, namespace: str = "") -> str:
        """Return the path of the collection, in one namespace or in all."""
        kind = self.kind
        base = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
        return f"{base}/namespaces/{namespace}/{kind.plural}" if namespace else f"{base}/{kind.plural}"

    def parameters(self, selector: Selector = EVERYTHING) -> dict[str, str]:
        """Return what narrows a LIST or a WATCH."""
        found = {"fieldSelector": self.field_selector, "labelSelector": str(selector)}
        return {key: value for key, value in found.items() if value}


# Namespace, name and labels of an object: what is kept of it. Plain, since a large cluster has a hundred thousand.
Item = tuple[str, str, Mapping[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A part of a LIST; `remaining` says how many objects follow, 0 if nobody knows."""

    objects: list[Item]
    version: str
    remaining: int


async def pages(
    cluster: Cluster, collection: Collection, *, namespace: str, selector: Selector, timeout_seconds: float
) -> AsyncGenerator[Page, None]:
    """Yield a LIST page by page, each within the time limit.

    Raises:
        ClusterGone: the rest cannot be had any more: begin again.
        UpstreamError: as the cluster says.
    """
    parameters = {**collection.parameters(selector), "limit": str(_PAGE_OBJECTS)}

    def asked() -> asyncio.Task[dict[str, Any]]:
        path = collection.path(namespace)
        return asyncio.create_task(
            cluster.request(
                "GET", path, parameters=dict(parameters), accept=LIST_ACCEPT, timeout_seconds=timeout_seconds
            )
        )

    answer: asyncio.Task[dict[str, Any]] | None = asked()
    try:
        while answer is not None:
            document, answer = await answer, None
            metadata = document.get("metadata") or {}
            following = metadata.get("continue")
            if following and following == parameters.get("continue"):
                raise _nonsense(collection, "the same page twice")
            if following:
                parameters["continue"] = following
                answer = asked()  # kube-apiserver writes the next page while this one is read
            yield _page(document, metadata, collection)
            await asyncio.sleep(0)  # a page takes milliseconds to read; others may run between two of them
    finally:
        if answer is not None:
            answer.cancel()
            await asyncio.gather(answer, return_exceptions=True)


def item_of(document: Mapping[str, Any], collection: Collection) -> Item:
    """Return what is kept of an object.

    Raises:
        KubernetesUnavailable: it is none.
    """
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(metadata, dict) or not isinstance(name, str) or not name:
        raise _nonsense(collection, "an object without a name")
    labels = metadata.get("labels") or {}
    if not isinstance(labels, dict):
        raise _nonsense(collection, "labels that are no mapping")
    namespace = metadata.get("namespace") or "" if collection.kind.namespaced else ""
    # Thousands of pods have the same few label texts; each is kept once.
    kept = {intern(str(key)): intern(str(value)) for key, value in labels.items()}
    return intern(str(namespace)), name, kept


def object_of(item: Item, collection: Collection) -> ObjectMeta:
    """Return an object as requests see it."""
    namespace, name, labels = item
    return ObjectMeta(kind=collection.kind, namespace=namespace, name=name, labels=labels)


def version_of(document: Mapping[str, Any]) -> str:
    """Return the resource version of an object or a list, empty if it has none."""
    metadata = document.get("metadata")
    version = metadata.get("resourceVersion") if isinstance(metadata, dict) else None
    return version if isinstance(version, str) else ""


def _page(document: Mapping[str, Any], metadata: Mapping[str, Any], collection: Collection) -> Page:
    # Of no objects Go writes null. An answer without the key is no list, and failure is never an empty list.
    items = document.get("items", False)
    if not isinstance(items, list | None):
        raise _nonsense(collection, "no list")
    remaining = metadata.get("remainingItemCount")
    return Page(
        objects=[item_of(one if isinstance(one, dict) else {}, collection) for one in items or ()],
        version=version_of(document),
        remaining=remaining if isinstance(remaining, int) else 0,
    )


def _nonsense(collection: Collection, what: str) -> KubernetesUnavailable:
    return KubernetesUnavailable(f"kube-apiserver's list of {collection.name} has {what}", kind="bad_answer")
