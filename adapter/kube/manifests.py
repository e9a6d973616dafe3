"""Which objects, and which new kinds, a heap of manifests holds."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from adapter.kube.labels import key_fault, value_fault
from adapter.kube.resources import Kind, Kinds

Manifest = Mapping[Any, Any]
Placed = tuple[str, Manifest]  # where a manifest stands, for people: `document 2, item 3`

_Read = TypeVar("_Read")

_DEFAULT_NAMESPACE = "default"
_VERSION = re.compile(r"v([0-9]+)(?:(alpha|beta)([0-9]+))?")
_STAGES = {None: 0, "beta": 1, "alpha": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectMeta:
    """What a metrics API must know of an object; `namespace` is empty for cluster-scoped kinds.

    `phase` is `status.phase`, such as Running; empty where a manifest has none, and for objects from a watch.
    """

    kind: Kind
    namespace: str
    name: str
    labels: Mapping[str, str]
    phase: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifests:
    """What was found: objects in order of appearance, the kinds that definitions add, and what cannot be used.

    `documents` counts what was written at all: an empty list is one, an empty file has none.
    """

    documents: int = 0
    objects: tuple[ObjectMeta, ...] = ()
    kinds: tuple[Kind, ...] = ()
    problems: tuple[str, ...] = ()


class _UnusableError(ValueError):
    """Why one manifest is left out."""


def read_objects(documents: Iterable[Any], kinds: Kinds) -> Manifests:
    """Read parsed documents; one that cannot be used becomes a problem text, and the others are read.

    A CustomResourceDefinition makes its kind known for the objects before it, too. Of two manifests of one object the
    later counts, as if they had been applied one after the other.
    """
    problems: list[str] = []
    written = [(number, one) for number, one in enumerate(documents, start=1) if one is not None]
    manifests = list(_manifests(written, problems))
    definitions = [one for one in manifests if _is_definition(one[1])]
    defined = tuple(_read_each(definitions, _defined_kind, problems))
    known = kinds.extended(defined)
    objects = _read_each(manifests, lambda manifest: _object(manifest, known), problems)
    latest = {(one.kind, one.namespace, one.name): one for one in objects}
    return Manifests(documents=len(written), objects=tuple(latest.values()), kinds=defined, problems=tuple(problems))


def _read_each(manifests: Iterable[Placed], read: Callable[[Manifest], _Read], problems: list[str]) -> Iterator[_Read]:
    """Yield what can be read, and write down what cannot."""
    for place, manifest in manifests:
        try:
            yield read(manifest)
        except _UnusableError as fault:
            problems.append(f"{place}: {fault}")


def _manifests(documents: Iterable[tuple[int, Any]], problems: list[str]) -> Iterator[Placed]:
    """Yield every manifest, those in lists one by one."""
    for number, document in documents:
        for place, manifest in _members(f"document {number}", document):
            if isinstance(manifest, Mapping):
                yield place, manifest
            elif manifest is not None:
                problems.append(f"{place}: not an object: apiVersion, kind and metadata are expected")


def _members(place: str, document: Any) -> Iterator[tuple[str, Any]]:
    """Yield the items of a list, or the document itself if it is none."""
    kind = document.get("kind") if isinstance(document, Mapping) else None
    items = document.get("items", ()) if isinstance(kind, str) and kind.endswith("List") else ()
    if not isinstance(items, list | None):
        yield place, document
        return
    for number, item in enumerate(items or (), start=1):
        yield f"{place}, item {number}", _typed(item, document)


def _typed(item: Any, whole: Manifest) -> Any:
    """Return an item with its type: those of a `PodList` carry none, those of a `List` must."""
    kind = whole["kind"].removesuffix("List")
    if not kind or not isinstance(item, Mapping):
        return item
    return {"apiVersion": whole.get("apiVersion"), "kind": kind, **item}


def _is_definition(manifest: Manifest) -> bool:
    group, _, _ = str(manifest.get("apiVersion")).partition("/")
    return (group, manifest.get("kind")) == ("apiextensions.k8s.io", "CustomResourceDefinition")


def _defined_kind(definition: Manifest) -> Kind:
    """Return the kind that a CustomResourceDefinition adds."""
    spec = _mapping(definition, "spec")
    names = _mapping(spec, "names")
    kind = _text(names, "kind")
    return Kind(
        group=_text(spec, "group"),
        version=_preferred_version(spec),
        kind=kind,
        plural=_text(names, "plural"),
        singular=_text(names, "singular") if names.get("singular") else kind.lower(),
        namespaced=_text(spec, "scope") == "Namespaced",
    )


def _preferred_version(spec: Manifest) -> str:
    """Return the served version that discovery puts first, whichever is stored.

    https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/#version-priority
    """
    versions = spec.get("versions")
    listed = versions if isinstance(versions, list) else []
    served = [_text(one, "name") for one in listed if isinstance(one, Mapping) and one.get("served") is True]
    if not served:
        raise _UnusableError("the definition has no served version")
    return min(served, key=_version_order)


def _version_order(name: str) -> tuple[int, int, int, str]:
    """Sort v2, v1, v1beta2, v1beta1, v1alpha1, then everything else by name."""
    match = _VERSION.fullmatch(name)
    if match is None:
        return len(_STAGES), 0, 0, name
    return _STAGES[match[2]], -int(match[1]), -int(match[3] or 0), name


def _object(manifest: Manifest, kinds: Kinds) -> ObjectMeta:
    """Return what the API server would know of an object."""
    api_version, kind_name = _text(manifest, "apiVersion"), _text(manifest, "kind")
    group = api_version.rpartition("/")[0]
    kind = kinds.resolve_kind(group, kind_name)
    if kind is None:
        raise _UnusableError(f"unknown kind {kind_name} in {api_version}; is its CustomResourceDefinition missing?")
    metadata = _mapping(manifest, "metadata")
    if not metadata.get("name") and metadata.get("generateName"):
        raise _UnusableError(f"{kind_name} has only a generateName, and no API server to make a name of it")
    name = _text(metadata, "name")
    namespace = _text(metadata, "namespace") if metadata.get("namespace") else _DEFAULT_NAMESPACE
    try:
        labels = dict(_labels(metadata))
    except _UnusableError as fault:
        raise _UnusableError(f"{kind_name} {name}: {fault}") from fault
    return ObjectMeta(
        kind=kind, namespace=namespace if kind.namespaced else "", name=name, labels=labels, phase=_phase(manifest)
    )


def _phase(manifest: Manifest) -> str:
    """Return the phase that a status tells; people write manifests without one."""
    status = manifest.get("status")
    phase = status.get("phase") if isinstance(status, Mapping) else None
    return phase if isinstance(phase, str) else ""


def _labels(metadata: Manifest) -> Iterator[tuple[str, str]]:
    """Yield the labels, as the API server would accept them: a value that is null is empty."""
    labels = metadata.get("labels") or {}
    if not isinstance(labels, Mapping):
        raise _UnusableError("labels are not a mapping")
    for key, value in labels.items():
        text = "" if value is None else value
        if not isinstance(key, str) or not isinstance(text, str):
            raise _UnusableError(f"label {_shown(key)} is {_shown(value)}, and both must be texts: put them in quotes")
        fault = key_fault(key) or value_fault(text)
        if fault:
            raise _UnusableError(f"label {_shown(key)} is {_shown(value)}: {fault}")
        yield key, text


def _mapping(manifest: Manifest, key: str) -> Manifest:
    value = manifest.get(key)
    if not isinstance(value, Mapping):
        raise _UnusableError(f"{key} is missing" if value is None else f"{key} is not a mapping")
    return value


def _text(manifest: Manifest, key: str) -> str:
    value = manifest.get(key)
    if isinstance(value, str) and value:
        return value
    raise _UnusableError(f"{key} is {_shown(value)}, not a text: put it in quotes" if value else f"{key} is missing")


def _shown(value: Any) -> str:
    """Print a value as it would stand in a manifest, large ones by their sort."""
    if isinstance(value, Mapping | list):
        return "a list" if isinstance(value, list) else "a mapping"
    return json.dumps(value, default=str)
