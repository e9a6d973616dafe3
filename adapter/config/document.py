"""From a YAML tree to plain data: merge keys, aliases and duplicates settled, and the node behind each path kept."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from adapter.config.tree import MAX_DEPTH, MAX_NODES, Mapping, Node, Scalar, Sequence, Tree, UnreadableYamlError
from adapter.config.words import Word, resolve

Path = tuple[str | int, ...]

_BINARY_TAGS: Final = {"!!binary", "tag:yaml.org,2002:binary"}
_MERGE_TAGS: Final = {"!!merge", "tag:yaml.org,2002:merge"}
_WANT_MAP: Final = "map merge requires map or sequence of maps as the value"  # the words of yaml.v2


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The nodes of one path; a list's item has no key."""

    key: Node | None
    value: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something wrong at a path; at its key or at a node of its own if so said, else at its value."""

    code: str
    message: str
    path: Path
    hint: str = ""
    at: Node | None = None
    at_key: bool = False
    offset: int = 0  # characters into the value's text
    length: int | None = None
    relies_on: tuple[Path, ...] = ()  # if one of these cannot be read, nothing can be said


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A file as data: dicts, lists, `Word`s and None; `places` says where each path stands."""

    data: object
    places: dict[Path, Place]
    faults: tuple[Fault, ...]


# Gives a scalar's final text and its faults; the path says whether there is anything to do.
Expand = Callable[[Path, str], tuple[str, tuple[Fault, ...]]]


def read_document(tree: Tree, *, expand: Expand) -> Document:
    """Return the data of a tree as yaml.v2 would decode it, with every duplicate and every odd key as a fault.

    Raises:
        UnreadableYamlError: Its aliases expand beyond the bounds of adapter.config.tree.
    """
    reader = _Reader(expand=expand)
    data = None if tree.root is None else reader.value(tree.root, (), None)
    return Document(data=data, places=reader.places, faults=tuple(reader.faults))


@dataclass(slots=True, kw_only=True)
class _Reader:
    expand: Expand
    places: dict[Path, Place] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    _count: int = 0
    _merging: int = 0  # how many merges are under way: a chain of them is as deep as any other nesting

    def value(self, node: Node, path: Path, key: Node | None) -> object:
        self._spend(node, path)
        self.places[path] = Place(key=key, value=node)
        if isinstance(node, Scalar):
            return self._scalar(node, path)
        if isinstance(node, Sequence):
            return [self.value(item, (*path, index), None) for index, item in enumerate(node.items)]
        data: dict[str, object] = {}
        self._fill(data, node, path)
        return data

    def _spend(self, node: Node, path: Path, *, cost: int = 1) -> None:
        self._count += cost
        if self._count > MAX_NODES:
            message = f"more than {MAX_NODES} values once the aliases are expanded"
            raise UnreadableYamlError("yaml/too-large", message, node.start)
        if len(path) + self._merging > MAX_DEPTH:
            message = f"nested deeper than {MAX_DEPTH} levels once the aliases are expanded"
            raise UnreadableYamlError("yaml/too-deep", message, node.start)

    def _scalar(self, node: Scalar, path: Path) -> Word | None:
        if node.tag in _BINARY_TAGS:
            return self._binary(node, path)
        text, faults = self.expand(path, node.text)
        self.faults.extend(faults)
        return resolve(text, style=node.style, tag=node.tag)

    def _binary(self, node: Scalar, path: Path) -> Word | None:
        try:
            return Word(base64.b64decode(node.text, validate=False).decode(), plain=False)
        except (binascii.Error, UnicodeDecodeError):
            message = "!!binary value contains invalid base64 data"
            self.faults.append(Fault(code="yaml/binary", message=message, at=node, path=path))
            return None

    def _fill(self, data: dict[str, object], node: Mapping, path: Path) -> None:
        """Put a mapping's entries into `data`, in order, as yaml.v2 fills a struct: what comes later wins."""
        own: dict[str, Node] = {}
        for key, value in node.entries:
            if _is_merge(key):
                self._merge(data, key, value, path, own)
            elif not isinstance(key, Scalar):
                self.faults.append(Fault(code="schema/key-type", message="a key must be text", at=key, path=path))
            elif (first := own.setdefault(key.text, key)) is not key:
                hint = f"it is given first on line {first.start.line + 1}; keep one of them"
                message = f'key "{key.text}" already set'
                self.faults.append(
                    Fault(code="schema/duplicate-key", message=message, at=key, path=(*path, key.text), hint=hint)
                )
            else:
                self._put(data, key, value, (*path, key.text))

    def _put(self, data: dict[str, object], key: Scalar, value: Node, path: Path) -> None:
        merged = data.get(key.text)
        if isinstance(merged, dict) and isinstance(value, Mapping):  # yaml.v2 does not empty what a merge has filled
            self._spend(value, path)
            self.places[path] = Place(key=key, value=value)
            self._fill(merged, value, path)
        else:
            data[key.text] = self.value(value, path, key)

    def _merge(self, data: dict[str, object], key: Node, value: Node, path: Path, own: dict[str, Node]) -> None:
        mappings = list(reversed(value.items)) if isinstance(value, Sequence) else [value]
        before = {name: data.get(name) for name in own}
        self._merging += 1
        for mapping in mappings:
            self._spend(mapping, path, cost=1 + len(own))
            if isinstance(mapping, Mapping):
                self._fill(data, mapping, path)
            else:
                self.faults.append(Fault(code="yaml/merge", message=_WANT_MAP, at=mapping, path=path))
        self._merging -= 1
        if overridden := sorted(name for name in own if data.get(name) is not before[name]):
            message = f'"<<" stands after "{overridden[0]}" and overrides it'
            hint = "put << first; what comes later wins"
            self.faults.append(Fault(code="yaml/merge-order", message=message, at=key, path=path, hint=hint))


def _is_merge(key: Node) -> bool:
    return isinstance(key, Scalar) and key.text == "<<" and (key.tag in _MERGE_TAGS or not (key.style or key.tag))
