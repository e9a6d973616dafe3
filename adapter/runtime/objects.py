"""The objects that selectors pick: names and labels, by kind and namespace."""

from __future__ import annotations

import asyncio
import logging
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from adapter.errors import ObjectsUnavailable
from adapter.kube.documents import Manifests, read_manifests
from adapter.kube.resources import GroupResource, Kind, Kinds
from adapter.kube.selectors import Op, Selector

log = logging.getLogger(__name__)

# How often a request looks whether the file has changed; one stat() a second costs nothing.
_LOOK_SECONDS = 1.0
# The largest file that is read: 64 MiB hold some 100,000 manifests.
_MAX_FILE_BYTES = 64 * 1024 * 1024
_EXACT = frozenset({Op.EQUALS, Op.DOUBLE_EQUALS})

_Mark = tuple[int, int, int]  # time of change, size, inode: what tells one state of a file from another


class Objects(Protocol):
    """What knows the objects: a file now, a watch in a cluster."""

    @property
    def kinds(self) -> Kinds:
        """Return every kind of object that is known now."""

    async def names(self, kind: Kind, namespace: str, selector: Selector) -> tuple[str, ...]:
        """Return the names of the objects that the selector picks, sorted; `namespace` is empty for all namespaces.

        Raises:
            ObjectsUnavailable: the objects of this kind cannot be listed.
        """


class ObjectsObserver(Protocol):
    """What a source of objects reports."""

    def objects_read(self, *, ok: bool, objects: int) -> None:
        """Note that the objects were read again."""


class NoObjects:
    """Stands in when there is neither a cluster nor a file: objects can be asked for by name only."""

    def __init__(self, kinds: Kinds) -> None:
        self.kinds = kinds

    async def names(self, kind: Kind, namespace: str, selector: Selector) -> tuple[str, ...]:  # noqa: ARG002 - the port's shape
        """Raise: nothing is known of any object."""
        log.warning(
            "objects cannot be listed: there is no --objects-file", extra={"resource": str(kind.group_resource)}
        )
        raise ObjectsUnavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shelf:
    """The objects of one kind in one namespace: labels by name, sorted, and the names that carry each label."""

    labels: Mapping[str, Mapping[str, str]]
    carriers: Mapping[tuple[str, str], Sequence[str]]

    def picked(self, selector: Selector) -> Iterator[str]:
        """Yield the names that a selector picks, sorted; a label that must be there narrows the search."""
        if not selector:
            yield from self.labels
            return
        exact = [(one.key, one.values[0]) for one in selector.requirements if one.op in _EXACT]
        among = min((self.carriers.get(label, ()) for label in exact), key=len, default=self.labels)
        for name in among:
            if selector.matches(self.labels[name]):
                yield name


@dataclass(frozen=True, slots=True, kw_only=True)
class _Index:
    """What one reading of the file gave; replaced whole."""

    kinds: Kinds
    added: tuple[Kind, ...] = ()
    shelves: Mapping[GroupResource, Mapping[str, _Shelf]] = field(default_factory=dict)  # by namespace
    objects: int = 0


class FileObjects:
    """Objects from a file of ordinary manifests, read again when it changes; a broken file keeps the last good ones."""

    def __init__(
        self, path: str, *, kinds: Kinds, clock: Callable[[], float], observer: ObjectsObserver | None = None
    ) -> None:
        self._path = Path(path)
        self._base = kinds
        self._clock = clock
        self._observer = observer
        self._index = _Index(kinds=kinds)
        self._read_mark: _Mark | None = None
        self._seen_mark: _Mark | None = None
        self._looked_at = float("-inf")
        self._reading = asyncio.Lock()
        self.problems: tuple[str, ...] = ()

    @property
    def kinds(self) -> Kinds:
        """Return Kubernetes' own kinds and those of the file's CustomResourceDefinitions."""
        return self._index.kinds

    async def names(self, kind: Kind, namespace: str, selector: Selector) -> tuple[str, ...]:
        """Return the names of the file's objects that the selector picks, sorted."""
        await self.refresh()
        shelves = self._index.shelves.get(kind.group_resource, {})
        if namespace or not kind.namespaced:
            shelf = shelves.get(namespace)
            return tuple(shelf.picked(selector)) if shelf else ()
        return tuple(sorted({name for shelf in shelves.values() for name in shelf.picked(selector)}))

    async def refresh(self) -> None:
        """Read the file again if it has changed and is no longer being written; looks at most once a second."""
        now = self._clock()
        if now - self._looked_at < _LOOK_SECONDS or self._reading.locked():
            return
        self._looked_at = now
        async with self._reading:
            mark = self._mark()
            settled, self._seen_mark = mark == self._seen_mark, mark
            if mark is None or mark == self._read_mark or not settled:
                return
            self._read_mark = mark
            # A large file is parsed on a thread: nothing may block the loop for a second.
            await asyncio.to_thread(self.read)
            if self._mark() != mark:
                self._read_mark = None  # it was written meanwhile: what was read may be half of it

    def read(self) -> None:
        """Read the file now; a file that cannot be read keeps what there was, with a log line.

        Raises nothing: `problems` says what was wrong.
        """
        mark = self._mark()
        try:
            manifests = read_manifests(self._text(), self._base)
            self._check_whole(manifests, mark)
        except (OSError, ValueError) as error:
            text = " ".join(str(error).split())
            self.problems = (f"{self._path}: {text}",)
            log.error("objects file not read, the last good objects stay: %s", text)  # noqa: TRY400 - the text says it all
            self._report(ok=False)
            return
        self._take(manifests)

    def load(self) -> None:
        """Read the file for the first time, at the start; a ValueError or OSError says why it cannot be used."""
        # Before it is read: a change that comes while it is read must be seen as one.
        self._read_mark = self._seen_mark = self._mark()
        self._take(read_manifests(self._text(), self._base))

    def _take(self, manifests: Manifests) -> None:
        self._index = _index_of(manifests, self._base, self._index)
        self.problems = manifests.problems
        for problem in manifests.problems:
            log.warning("objects file: %s", problem)
        self._report(ok=True)

    def _check_whole(self, manifests: Manifests, mark: _Mark | None) -> None:
        """Refuse what looks like a file that is being written, while there are good objects."""
        if self._mark() != mark:
            raise ValueError("it changed while it was read")
        if manifests.objects or manifests.kinds or not self._index.objects:
            return
        if manifests.problems:
            raise ValueError(f"no object of it can be used: {manifests.problems[0]}")
        if not self._text().strip():
            raise ValueError("it is empty; write an empty List to take all objects away")

    def _text(self) -> str:
        status = self._path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is not a regular file")  # a pipe or a device has no end, or only one reading
        with self._path.open("rb") as file:
            content = file.read(_MAX_FILE_BYTES + 1)
        if len(content) > _MAX_FILE_BYTES:
            raise ValueError(f"larger than {_MAX_FILE_BYTES} bytes")
        return content.decode("utf-8")

    def _mark(self) -> _Mark | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_size, found.st_ino)

    def _report(self, *, ok: bool) -> None:
        if self._observer is not None:
            self._observer.objects_read(ok=ok, objects=self._index.objects)


def _index_of(manifests: Manifests, base: Kinds, before: _Index) -> _Index:
    found: dict[GroupResource, dict[str, dict[str, Mapping[str, str]]]] = {}
    for one in manifests.objects:
        namespace = one.namespace if one.kind.namespaced else ""
        found.setdefault(one.kind.group_resource, {}).setdefault(namespace, {})[one.name] = one.labels
    # The same table while the definitions are the same: a new one makes the catalog be put together again.
    kinds = before.kinds if manifests.kinds == before.added else base.extended(manifests.kinds)
    return _Index(
        kinds=kinds,
        added=manifests.kinds,
        shelves={
            resource: {namespace: _shelf_of(objects) for namespace, objects in namespaces.items()}
            for resource, namespaces in found.items()
        },
        objects=len(manifests.objects),
    )


def _shelf_of(objects: Mapping[str, Mapping[str, str]]) -> _Shelf:
    labels = dict(sorted(objects.items()))
    carriers: dict[tuple[str, str], list[str]] = {}
    for name, carried in labels.items():
        for label in carried.items():
            carriers.setdefault(label, []).append(name)
    return _Shelf(labels=labels, carriers=carriers)
