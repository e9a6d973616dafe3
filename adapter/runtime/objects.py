"""The objects that selectors pick: names and labels, by kind and namespace."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from adapter.errors import ObjectsUnavailable
from adapter.kube.documents import Manifests, read_manifests
from adapter.kube.resources import GroupResource, Kind, Kinds
from adapter.kube.selectors import Selector

log = logging.getLogger(__name__)

# How often a request looks whether the file has changed; one stat() a second costs nothing.
_LOOK_SECONDS = 1.0
# The largest file that is read: 64 MiB hold some 100,000 manifests.
_MAX_FILE_BYTES = 64 * 1024 * 1024


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
class _Index:
    """What one reading of the file gave; replaced whole."""

    kinds: Kinds
    labels: Mapping[tuple[GroupResource, str], Mapping[str, Mapping[str, str]]] = field(default_factory=dict)
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
        self._seen: tuple[int, int, int] | None = None
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
        if namespace or not kind.namespaced:
            found = self._index.labels.get((kind.group_resource, namespace), {})
            return tuple(name for name, labels in found.items() if selector.matches(labels))
        everywhere = [found for (resource, _), found in self._index.labels.items() if resource == kind.group_resource]
        return tuple(
            sorted({name for found in everywhere for name, labels in found.items() if selector.matches(labels)})
        )

    async def refresh(self) -> None:
        """Read the file again if it has changed; looks at most once a second."""
        now = self._clock()
        if now - self._looked_at < _LOOK_SECONDS:
            return
        self._looked_at = now
        async with self._reading:
            mark = self._mark()
            if mark is None or mark == self._seen:
                return
            self._seen = mark
            # A large file is parsed on a thread: nothing may block the loop for a second.
            await asyncio.to_thread(self.read)

    def read(self) -> None:
        """Read the file now; a file that cannot be read keeps what there was, with a log line.

        Raises nothing: `problems` says what was wrong.
        """
        try:
            manifests = read_manifests(self._text(), self._base)
        except (OSError, ValueError) as error:
            text = " ".join(str(error).split())
            self.problems = (f"{self._path}: {text}",)
            log.error("objects file not read, the last good objects stay: %s", text)  # noqa: TRY400 - the text says it all
            self._report(ok=False)
            return
        self._index = _index_of(manifests, self._base)
        self.problems = manifests.problems
        for problem in manifests.problems:
            log.warning("objects file: %s", problem)
        self._report(ok=True)

    def _text(self) -> str:
        if self._path.stat().st_size > _MAX_FILE_BYTES:
            raise ValueError(f"larger than {_MAX_FILE_BYTES} bytes")
        return self._path.read_text(encoding="utf-8")

    def _mark(self) -> tuple[int, int, int] | None:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return (stat.st_mtime_ns, stat.st_size, stat.st_ino)

    def load(self) -> None:
        """Read the file for the first time, at the start; a ValueError or OSError says why it cannot be used."""
        manifests = read_manifests(self._text(), self._base)
        self._seen = self._mark()
        self._index = _index_of(manifests, self._base)
        self.problems = manifests.problems
        for problem in manifests.problems:
            log.warning("objects file: %s", problem)
        self._report(ok=True)

    def _report(self, *, ok: bool) -> None:
        if self._observer is not None:
            self._observer.objects_read(ok=ok, objects=self._index.objects)


def _index_of(manifests: Manifests, base: Kinds) -> _Index:
    found: dict[tuple[GroupResource, str], dict[str, Mapping[str, str]]] = {}
    for one in manifests.objects:
        namespace = one.namespace if one.kind.namespaced else ""
        found.setdefault((one.kind.group_resource, namespace), {})[one.name] = one.labels
    return _Index(
        kinds=base.extended(manifests.kinds),
        labels={key: dict(sorted(objects.items())) for key, objects in found.items()},
        objects=len(manifests.objects),
    )
