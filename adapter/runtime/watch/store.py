"""The objects of one resource, by namespace and by the labels that selectors use."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from adapter.kube.documents import ObjectMeta
from adapter.kube.selectors import Op, Selector

_EXACT = frozenset({Op.EQUALS, Op.DOUBLE_EQUALS, Op.IN})
# Fewer objects than this are looked through in less time than an index takes to keep.
_WORTH_AN_INDEX = 50
# Label keys that are indexed in one namespace; selectors use a handful.
_MAX_INDEXES = 16


@dataclass(slots=True)
class _Namespace:
    objects: dict[str, ObjectMeta] = field(default_factory=dict)
    by_label: dict[str, dict[str, set[str]]] = field(default_factory=dict)  # key -> value -> names

    def put(self, one: ObjectMeta) -> None:
        self.drop(one.name)
        self.objects[one.name] = one
        for key, names in self.by_label.items():
            if key in one.labels:
                names.setdefault(one.labels[key], set()).add(one.name)

    def drop(self, name: str) -> None:
        old = self.objects.pop(name, None)
        for key, names in self.by_label.items():
            value = old.labels.get(key) if old is not None else None
            if value is not None:
                names[value].discard(name)
                if not names[value]:
                    del names[value]

    def picked(self, selector: Selector) -> list[ObjectMeta]:
        return [one for one in self._candidates(selector) if selector.matches(one.labels)]

    def _candidates(self, selector: Selector) -> Iterable[ObjectMeta]:
        """Return the objects that an index leaves, or all."""
        exact = next((one for one in selector.requirements if one.op in _EXACT), None)
        if exact is None or len(self.objects) < _WORTH_AN_INDEX:
            return self.objects.values()
        index = self._index(exact.key)
        return (self.objects[name] for value in exact.values for name in index.get(value, ()))

    def _index(self, key: str) -> dict[str, set[str]]:
        index = self.by_label.get(key)
        if index is None:
            while len(self.by_label) >= _MAX_INDEXES:
                del self.by_label[next(iter(self.by_label))]
            index = self.by_label[key] = {}
            for name, one in self.objects.items():
                if key in one.labels:
                    index.setdefault(one.labels[key], set()).add(name)
        return index


class Store:
    """What one LIST and the events after it say; edited by its watch alone."""

    def __init__(self) -> None:
        self._namespaces: dict[str, _Namespace] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def put(self, one: ObjectMeta) -> None:
        """Add an object, or change its labels."""
        found = self._namespaces.setdefault(one.namespace, _Namespace())
        self._size -= len(found.objects)
        found.put(one)
        self._size += len(found.objects)

    def drop(self, namespace: str, name: str) -> None:
        """Remove an object, if it is there."""
        found = self._namespaces.get(namespace)
        if found is None:
            return
        self._size -= len(found.objects)
        found.drop(name)
        self._size += len(found.objects)
        if not found.objects:
            del self._namespaces[namespace]

    def has(self, namespace: str, name: str) -> bool:
        """Say whether there is an object of this name; the namespace of a cluster-scoped one is empty."""
        found = self._namespaces.get(namespace)
        return found is not None and name in found.objects

    def picked(self, namespace: str | None, selector: Selector) -> tuple[ObjectMeta, ...]:
        """Return what the selector picks, by namespace and name; None stands for all namespaces."""
        spaces = sorted(self._namespaces) if namespace is None else [namespace]
        found = [self._namespaces[space].picked(selector) for space in spaces if space in self._namespaces]
        return tuple(one for part in found for one in sorted(part, key=lambda one: one.name))
