"""The objects of one resource: names and labels, by namespace and by the labels that selectors use."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from adapter.kube.selectors import Op, Selector

Labels = Mapping[str, str]

_EXACT = frozenset({Op.EQUALS, Op.DOUBLE_EQUALS, Op.IN})
# Fewer objects than this are looked through in less time than an index takes to keep.
_WORTH_AN_INDEX = 50
# Label keys that are indexed in one namespace; selectors use a handful.
_MAX_INDEXES = 16


@dataclass(slots=True)
class _Namespace:
    objects: dict[str, Labels] = field(default_factory=dict)
    by_label: dict[str, dict[str, set[str]]] = field(default_factory=dict)  # key -> value -> names

    def put(self, name: str, labels: Labels) -> None:
        self.drop(name)
        self.objects[name] = labels
        for key, names in self.by_label.items():
            if key in labels:
                names.setdefault(labels[key], set()).add(name)

    def drop(self, name: str) -> None:
        old = self.objects.pop(name, None)
        for key, names in self.by_label.items():
            if old is not None and key in old:
                names[old[key]].discard(name)
                if not names[old[key]]:
                    del names[old[key]]

    def picked(self, selector: Selector) -> Iterator[tuple[str, Labels]]:
        for name in self._candidates(selector):
            labels = self.objects[name]
            if selector.matches(labels):
                yield name, labels

    def _candidates(self, selector: Selector) -> list[str]:
        """Return the names that an index leaves, or all."""
        exact = next((one for one in selector.requirements if one.op in _EXACT), None)
        if exact is None or len(self.objects) < _WORTH_AN_INDEX:
            return list(self.objects)
        index = self._index(exact.key)
        return [name for value in exact.values for name in index.get(value, ())]

    def _index(self, key: str) -> dict[str, set[str]]:
        index = self.by_label.get(key)
        if index is None:
            while len(self.by_label) >= _MAX_INDEXES:
                del self.by_label[next(iter(self.by_label))]
            index = self.by_label[key] = {}
            for name, labels in self.objects.items():
                if key in labels:
                    index.setdefault(labels[key], set()).add(name)
        return index


class Store:
    """What one LIST and the events after it say; edited by its watch alone."""

    def __init__(self) -> None:
        self._namespaces: dict[str, _Namespace] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def put(self, namespace: str, name: str, labels: Labels) -> None:
        """Add an object, or change its labels; the namespace of a cluster-scoped one is empty."""
        found = self._namespaces.setdefault(namespace, _Namespace())
        self._size -= len(found.objects)
        # Thousands of pods have the same few label texts; each is kept once.
        found.put(name, {sys.intern(key): sys.intern(value) for key, value in labels.items()})
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

    def picked(self, namespace: str | None, selector: Selector) -> list[tuple[str, str, Labels]]:
        """Return namespace, name and labels of what the selector picks, sorted; None stands for all namespaces."""
        spaces = self._namespaces if namespace is None else (namespace,)
        return sorted(
            (
                (space, name, labels)
                for space in spaces
                if (found := self._namespaces.get(space)) is not None
                for name, labels in found.picked(selector)
            ),
            key=lambda one: one[:2],
        )
