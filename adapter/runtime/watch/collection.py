"""One resource of a cluster as it is listed and watched: paths, media types, and what its documents say."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A part of a LIST; `remaining` says how many objects follow, 0 if nobody knows."""

    objects: list[ObjectMeta]
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
    while True:
        document = await cluster.request(
            "GET",
            collection.path(namespace),
            parameters=parameters,
            accept=LIST_ACCEPT,
            timeout_seconds=timeout_seconds,
        )
        metadata = document.get("metadata") or {}
        yield _page(document, metadata, collection)
        following = metadata.get("continue")
        if not following:
            return
        if following == parameters.get("continue"):
            raise _nonsense(collection, "the same page twice")
        parameters["continue"] = following
        await asyncio.sleep(0)  # a page takes milliseconds to read; others may run between two of them


def object_of(document: Mapping[str, Any], collection: Collection) -> ObjectMeta:
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
    return ObjectMeta(
        kind=collection.kind,
        namespace=sys.intern(str(namespace)),
        name=name,
        # Thousands of pods have the same few label texts; each is kept once.
        labels={sys.intern(str(key)): sys.intern(str(value)) for key, value in labels.items()},
    )


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
        objects=[object_of(one if isinstance(one, dict) else {}, collection) for one in items or ()],
        version=version_of(document),
        remaining=remaining if isinstance(remaining, int) else 0,
    )


def _nonsense(collection: Collection, what: str) -> KubernetesUnavailable:
    return KubernetesUnavailable(f"kube-apiserver's list of {collection.name} has {what}", kind="bad_answer")
