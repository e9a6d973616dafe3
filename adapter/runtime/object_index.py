"""The objects of one reading: found by kind, namespace, name and labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from adapter.kube.documents import ObjectMeta
from adapter.kube.resources import GroupResource, Kind
from adapter.kube.selectors import Op, Selector

_EXACT = frozenset({Op.EQUALS, Op.DOUBLE_EQUALS})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shelf:
    """The objects of one kind in one namespace: by name, sorted, and those that carry each label."""

    objects: Mapping[str, ObjectMeta]
    carriers: Mapping[tuple[str, str], Sequence[ObjectMeta]]

    def picked(self, selector: Selector) -> Iterator[ObjectMeta]:
        """Yield what a selector picks, by name; a label that must be there narrows the search."""
        exact = [(one.key, one.values[0]) for one in selector.requirements if one.op in _EXACT]
        among = min((self.carriers.get(label, ()) for label in exact), key=len, default=self.objects.values())
        if len(exact) == len(selector.requirements) <= 1:
            yield from among
            return
        for one in among:
            if selector.matches(one.labels):
                yield one


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectIndex:
    """All objects of one reading; immutable."""

    shelves: Mapping[GroupResource, Mapping[str, _Shelf]] = field(default_factory=dict)  # by namespace, sorted
    objects: int = 0

    def picked(self, kind: Kind, namespace: str, selector: Selector) -> tuple[ObjectMeta, ...]:
        """Return the objects that a selector picks, by namespace and name; an empty namespace stands for all."""
        return tuple(one for shelf in self._shelves(kind, namespace) for one in shelf.picked(selector))

    def has(self, kind: Kind, namespace: str, name: str) -> bool:
        """Say whether there is an object of this name; an empty namespace stands for all."""
        return any(name in shelf.objects for shelf in self._shelves(kind, namespace))

    def _shelves(self, kind: Kind, namespace: str) -> Iterable[_Shelf]:
        shelves = self.shelves.get(kind.group_resource, {})
        if not namespace:
            return shelves.values()
        return [shelves[namespace]] if namespace in shelves else []


def index_of(objects: Sequence[ObjectMeta]) -> ObjectIndex:
    """Put objects where they are found; of two with one name the later counts."""
    found: dict[Kind, dict[str, dict[str, ObjectMeta]]] = {}
    for one in objects:
        found.setdefault(one.kind, {}).setdefault(one.namespace, {})[one.name] = one
    return ObjectIndex(
        shelves={
            kind.group_resource: {namespace: _shelf_of(named) for namespace, named in sorted(namespaces.items())}
            for kind, namespaces in found.items()
        },
        objects=len(objects),
    )


def _shelf_of(named: Mapping[str, ObjectMeta]) -> _Shelf:
    objects = dict(sorted(named.items()))
    carriers: dict[tuple[str, str], list[ObjectMeta]] = {}
    for one in objects.values():
        for label in one.labels.items():
            carriers.setdefault(label, []).append(one)
    return _Shelf(objects=objects, carriers=carriers)
