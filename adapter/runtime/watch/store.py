"""The objects of one resource, by namespace and by the labels that selectors use."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from adapter.kube.documents import ObjectMeta
from adapter.kube.resources import Kind
from adapter.kube.selectors import Op, Selector
from adapter.runtime.watch.collection import Item

_EXACT = frozenset({Op.EQUALS, Op.DOUBLE_EQUALS, Op.IN})
# Fewer objects than this are looked through in less time than an index takes to keep.
_WORTH_AN_INDEX = 50
# Label keys that are indexed in one namespace; selectors use a handful.
_MAX_INDEXES = 16
# What selectors picked in one namespace is kept until something changes there: of so many selectors, and of all of them
# together so many times the namespace's objects, which are eight bytes each. A selector of an autoscaler is small; a
# text may have a hundred thousand characters.
_MAX_PICKS = 1000
_MAX_PICKED = 4
_MAX_KEPT_VALUES = 8


@dataclass(slots=True)
class _Namespace:
    """The objects of one namespace, as plain dicts of text.

    The garbage collector does not follow those, so a hundred thousand pods add next to nothing to its rounds.
    """

    labels: dict[str, Mapping[str, str]] = field(default_factory=dict)  # by name
    by_label: dict[str, dict[str, list[str]]] = field(default_factory=dict)  # key -> value -> names, sorted
    picks: dict[Selector, tuple[str, ...]] = field(default_factory=dict)  # what selectors picked since the last change
    picked_names: int = 0  # in all picks

    def put(self, name: str, labels: Mapping[str, str]) -> None:
        old = self.labels.get(name)
        if old == labels:  # most events tell of a status
            return
        if old is not None:
            self._leave(name, old)
        self.labels[name] = labels
        self._forget()
        for key, names in self.by_label.items():
            if key in labels:
                insort(names.setdefault(labels[key], []), name)

    def drop(self, name: str) -> None:
        old = self.labels.pop(name, None)
        if old is not None:
            self._forget()
            self._leave(name, old)

    def picked(self, selector: Selector) -> tuple[str, ...]:
        """Return the names that a selector picks, sorted."""
        found = self.picks.get(selector)
        if found is None:
            found = tuple(self._matching(selector))
            if sum(len(one.values) for one in selector.requirements) <= _MAX_KEPT_VALUES:
                self._keep(selector, found)
        return found

    def _keep(self, selector: Selector, names: tuple[str, ...]) -> None:
        if len(self.picks) >= _MAX_PICKS or self.picked_names + len(names) > _MAX_PICKED * len(self.labels):
            self._forget()
        self.picks[selector] = names
        self.picked_names += len(names)

    def _forget(self) -> None:
        self.picks.clear()
        self.picked_names = 0

    def _matching(self, selector: Selector) -> Sequence[str]:
        labels = self.labels
        found = [name for name in self._candidates(selector) if selector.matches(labels[name])]
        found.sort()
        return found

    def _candidates(self, selector: Selector) -> Iterable[str]:
        """Return the objects that an index leaves, or all."""
        exact = next((one for one in selector.requirements if one.op in _EXACT), None)
        if exact is None or len(self.labels) < _WORTH_AN_INDEX:
            return self.labels
        index = self._index(exact.key)
        return (name for value in exact.values for name in index.get(value, ()))

    def _index(self, key: str) -> dict[str, list[str]]:
        index = self.by_label.get(key)
        if index is None:
            while len(self.by_label) >= _MAX_INDEXES:
                del self.by_label[next(iter(self.by_label))]
            index = self.by_label[key] = {}
            for name in sorted(self.labels):
                labels = self.labels[name]
                if key in labels:
                    index.setdefault(labels[key], []).append(name)
        return index

    def _leave(self, name: str, labels: Mapping[str, str]) -> None:
        """Take an object out of the indexes."""
        for key, names in self.by_label.items():
            if key in labels:
                sharing = names[labels[key]]
                del sharing[bisect_left(sharing, name)]
                if not sharing:
                    del names[labels[key]]


class Store:
    """What one LIST and the events after it say; edited by its watch alone.

    An object takes about 170 bytes (125,000 pods of 10,000 Deployments: 21 MB), since those that come one after another
    with the same labels, as the pods of a Deployment do, share them.
    """

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._namespaces: dict[str, _Namespace] = {}
        self._size = 0
        self._last: Mapping[str, str] = {}

    def __len__(self) -> int:
        return self._size

    def put(self, one: Item) -> None:
        """Add an object, or change its labels."""
        namespace, name, labels = one
        if labels == self._last:
            labels = self._last
        else:
            self._last = labels
        found = self._namespaces.get(namespace)
        if found is None:
            found = self._namespaces[namespace] = _Namespace()
        self._size -= len(found.labels)
        found.put(name, labels)
        self._size += len(found.labels)

    def drop(self, namespace: str, name: str) -> None:
        """Remove an object, if it is there."""
        found = self._namespaces.get(namespace)
        if found is None:
            return
        self._size -= len(found.labels)
        found.drop(name)
        self._size += len(found.labels)
        if not found.labels:
            del self._namespaces[namespace]

    def has(self, namespace: str, name: str) -> bool:
        """Say whether there is an object of this name; the namespace of a cluster-scoped one is empty."""
        found = self._namespaces.get(namespace)
        return found is not None and name in found.labels

    def names(self, namespace: str | None, selector: Selector) -> tuple[str, ...]:
        """Return the names that the selector picks, by namespace and name; None stands for all namespaces.

        Of one namespace it is the same tuple as before until something has changed there.
        """
        if namespace is None:
            return tuple(name for _, found in self._spaces(None) for name in found.picked(selector))
        found = self._namespaces.get(namespace)
        return () if found is None else found.picked(selector)

    def picked(self, namespace: str | None, selector: Selector) -> tuple[ObjectMeta, ...]:
        """Return what the selector picks, by namespace and name; None stands for all namespaces."""
        return tuple(
            ObjectMeta(kind=self._kind, namespace=space, name=name, labels=found.labels[name])
            for space, found in self._spaces(namespace)
            for name in found.picked(selector)
        )

    def _spaces(self, namespace: str | None) -> Iterator[tuple[str, _Namespace]]:
        for space in sorted(self._namespaces) if namespace is None else (namespace,):
            found = self._namespaces.get(space)
            if found is not None:
                yield space, found
