"""Other forms of a document of metrics.k8s.io: the Table that `kubectl get` prints, and metadata alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from adapter.kube.quantity import Format, Quantity
from adapter.kube.resource_documents import MEMORY

MetaVersion = Literal["v1", "v1beta1"]
IncludeObject = Literal["Metadata", "Object", "None"]
Document = dict[str, Any]

GROUP = "meta.k8s.io"
INCLUDED: tuple[IncludeObject, ...] = ("Metadata", "Object", "None")


def table(document: Mapping[str, Any], version: MetaVersion, *, include: IncludeObject = "Metadata") -> Document:
    """Return the Table of a PodMetrics(List) or NodeMetrics(List); a row has name, what is used, and the window.

    The columns are those of the first row (metrics-server, which prometheus-adapter embeds); without rows there are
    none.
    """
    kind, items = _items(document)
    usages = [_usage(item) for item in items]
    if not items:
        return _table(version, columns=None, rows=None)
    resources = sorted(usages[0])
    shown = _shown(version, include, {"kind": kind, "apiVersion": document["apiVersion"]})
    rows = [
        {
            "cells": [
                item["metadata"]["name"],
                *(usage.get(resource, "") for resource in resources),
                item["window"],
            ],
            "object": shown(item),
        }
        for item, usage in zip(items, usages, strict=True)
    ]
    columns = [
        _column("Name", "name", "Name of the resource"),
        *(_column(resource, "quantity") for resource in resources),
        _column("Window", "duration"),
    ]
    return _table(version, columns=columns, rows=rows)


def partial_object(document: Mapping[str, Any], version: MetaVersion) -> Document:
    """Return the PartialObjectMetadata of a document that is no list."""
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": f"{GROUP}/{version}",
        "metadata": document["metadata"],
    }


def partial_object_list(document: Mapping[str, Any], version: MetaVersion) -> Document:
    """Return the PartialObjectMetadataList of a list; each item says what it is."""
    return {
        "kind": "PartialObjectMetadataList",
        "apiVersion": f"{GROUP}/{version}",
        "metadata": document["metadata"],
        "items": [partial_object(item, version) for item in document["items"]],
    }


def _items(document: Mapping[str, Any]) -> tuple[str, Sequence[Mapping[str, Any]]]:
    """Return the kind of a document's items, and the items; one that is no list is its own item."""
    kind = str(document["kind"])
    return (kind.removesuffix("List"), document["items"]) if "items" in document else (kind, [document])


def _usage(item: Mapping[str, Any]) -> Mapping[str, str]:
    """Return what a node uses, or the containers of a pod together."""
    if "usage" in item:
        found: Mapping[str, str] = item["usage"]
        return found
    containers: Iterable[Mapping[str, str]] = [one["usage"] for one in item["containers"]]
    resources = dict.fromkeys(resource for usage in containers for resource in usage)
    return {
        resource: _total(resource, [usage[resource] for usage in containers if resource in usage])
        for resource in resources
    }


def _total(resource: str, amounts: Iterable[str]) -> str:
    form = Format.BINARY_SI if resource == MEMORY else Format.DECIMAL_SI
    return str(Quantity(nano=sum(Quantity.parse(amount).nano for amount in amounts), format=form))


def _shown(
    version: MetaVersion, include: IncludeObject, what: Mapping[str, str]
) -> Callable[[Mapping[str, Any]], Document | None]:
    match include:
        case "None":
            return lambda _item: None
        case "Object":
            return lambda item: {**what, **item}
        case "Metadata":
            return lambda item: partial_object(item, version)


def _column(name: str, form: str, description: str = "") -> Document:
    return {"name": name, "type": "string", "format": form, "description": description, "priority": 0}


def _table(version: MetaVersion, *, columns: list[Document] | None, rows: list[Document] | None) -> Document:
    return {
        "kind": "Table",
        "apiVersion": f"{GROUP}/{version}",
        "metadata": {},
        "columnDefinitions": columns,
        "rows": rows,
    }
