"""Objects from a file of ordinary manifests, followed when it changes, kept when it breaks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from adapter.interpreter import collection_paused
from adapter.kube.documents import Manifests, ObjectMeta, read_manifests
from adapter.kube.resources import GroupResource, Kind, Kinds
from adapter.kube.selectors import Selector
from adapter.runtime.object_index import ObjectIndex, index_of
from adapter.runtime.objects import ObjectsObserver

log = logging.getLogger(__name__)

# How often a request looks whether the file has changed; one stat() a second costs nothing.
_LOOK_SECONDS = 1.0
# The largest file that is read: 64 MiB hold some 100,000 manifests.
_MAX_FILE_BYTES = 64 * 1024 * 1024

# A manifest that people write has no status, and means a pod that is there.
_RUNNING = frozenset({"", "Running"})

_Mark = tuple[int, ...]  # time of change, size, inode: what tells one state of a file from another
_ABSENT: _Mark = ()
_NEVER: _Mark = (-1,)


class _ChangedError(ValueError):
    """The file was written while it was read, so what was read may be half of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """What one reading of the file gave."""

    manifests: Manifests
    index: ObjectIndex


class FileObjects:
    """Objects from a file; a state of it counts once two looks have found it, and it has not changed while it was read.

    A request that finds the file changed has it read in the background, and is answered from what there was.
    """

    def __init__(
        self, path: str, *, kinds: Kinds, clock: Callable[[], float], observer: ObjectsObserver | None = None
    ) -> None:
        self._path = Path(path)
        self._base = kinds
        self._clock = clock
        self._observer = observer
        self._index = ObjectIndex()
        self._added: tuple[Kind, ...] = ()
        self._read_mark = _NEVER
        self._seen_mark = _NEVER
        self._looked_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None
        self.kinds = kinds
        self.problems: tuple[str, ...] = ()
        self.syncing: tuple[str, ...] = ()

    def load(self) -> None:
        """Read the file for the first time, at the start; a ValueError or OSError says why it cannot be used."""
        # Before it is read: a change that comes while it is read must be seen as one.
        self._read_mark = self._seen_mark = self._mark()
        self._take(self._read())

    async def synced_kinds(self) -> Kinds:
        """Return Kubernetes' own kinds and those of the file's CustomResourceDefinitions."""
        self._look()
        return self.kinds

    async def look_up_kind(self, resource: GroupResource) -> Kind | None:
        """Return one of these kinds."""
        self._look()
        return self.kinds.resolve(resource)

    async def picked(self, kind: Kind, namespace: str, selector: Selector) -> tuple[ObjectMeta, ...]:
        """Return the file's objects that the selector picks."""
        self._look()
        return self._index.picked(kind, namespace, selector)

    async def names(self, kind: Kind, namespace: str, selector: Selector) -> tuple[str, ...]:
        """Return the names of the file's objects that the selector picks."""
        return tuple(one.name for one in await self.picked(kind, namespace, selector))

    async def exists(self, kind: Kind, namespace: str, name: str) -> bool:
        """Say whether the file has an object."""
        self._look()
        return self._index.has(kind, namespace, name)

    async def running_pods(self, namespace: str, selector: Selector) -> tuple[ObjectMeta, ...]:
        """Return the file's pods that the selector picks, but for those whose status tells another phase."""
        pods = await self._picked_of("pods", namespace, selector)
        return tuple(one for one in pods if one.phase in _RUNNING)

    async def nodes(self, selector: Selector) -> tuple[ObjectMeta, ...]:
        """Return the file's nodes that the selector picks."""
        return await self._picked_of("nodes", "", selector)

    async def _picked_of(self, resource: str, namespace: str, selector: Selector) -> tuple[ObjectMeta, ...]:
        kind = await self.look_up_kind(GroupResource(resource))
        return await self.picked(kind, namespace, selector) if kind else ()

    async def close(self) -> None:
        """Wait for a reading under way: a thread cannot be stopped."""
        if self._reading is not None:
            await asyncio.wait([self._reading])

    # ---- following the file

    def _look(self) -> None:
        """Have the file read again if it has changed and is no longer being written; looks at most once a second."""
        now = self._clock()
        if self._reading is not None or now - self._looked_at < _LOOK_SECONDS:
            return
        self._looked_at = now
        mark = self._mark()
        settled, self._seen_mark = mark == self._seen_mark, mark
        if settled and mark != self._read_mark:
            self._read_mark = mark
            self._reading = asyncio.create_task(self._read_again(mark), name="objects file")

    async def _read_again(self, mark: _Mark) -> None:
        try:
            # On a thread: nothing may block the loop for a second.
            reading = await asyncio.to_thread(self._read)
            self._check_whole(reading.manifests, mark)
        except _ChangedError:
            self._read_mark = _NEVER
        except (OSError, ValueError) as error:
            self._fail(" ".join(str(error).split()))
        except Exception as error:
            log.exception("objects file not read by an accident of the adapter's own")
            self._fail(type(error).__name__)
        else:
            self._take(reading)
        finally:
            self._reading = None

    def _check_whole(self, manifests: Manifests, mark: _Mark) -> None:
        """Refuse a file that is being written, and what looks like one while there are good objects."""
        if self._mark() != mark:
            raise _ChangedError
        if manifests.objects or not self._index.objects:
            return
        if manifests.problems:
            raise ValueError(f"no object of it can be used: {manifests.problems[0]}")
        if not manifests.documents:
            raise ValueError("it holds no manifest; write an empty List to take all objects away")

    def _take(self, reading: _Reading) -> None:
        manifests = reading.manifests
        self._index = reading.index
        if manifests.kinds != self._added:
            self._added, self.kinds = manifests.kinds, self._base.extended(manifests.kinds)
        self.problems = manifests.problems
        for problem in manifests.problems:
            log.warning("objects file: %s", problem)
        self._report(ok=True)

    def _fail(self, text: str) -> None:
        self.problems = (f"{self._path} cannot be read, the last good objects stay: {text}",)
        log.error("objects file not read, the last good objects stay: %s", text)
        self._report(ok=False)

    def _report(self, *, ok: bool) -> None:
        if self._observer is not None:
            self._observer.objects_read(ok=ok, objects=self._index.objects)

    # ---- the file itself

    def _read(self) -> _Reading:
        with collection_paused():
            manifests = read_manifests(self._text(), self._base)
        return _Reading(manifests=manifests, index=index_of(manifests.objects))

    def _text(self) -> str:
        # Without waiting: a pipe that nobody writes to would be waited for without an end.
        number = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)
        with contextlib.ExitStack() as stack:
            stack.callback(os.close, number)
            if not stat.S_ISREG(os.fstat(number).st_mode):
                raise ValueError("it is not a regular file")  # a pipe or a device has no end, or only one reading
            file = stack.enter_context(open(number, "rb", closefd=False))
            content = file.read(_MAX_FILE_BYTES + 1)
        if len(content) > _MAX_FILE_BYTES:
            raise ValueError(f"larger than {_MAX_FILE_BYTES} bytes")
        return content.decode("utf-8")

    def _mark(self) -> _Mark:
        try:
            found = self._path.stat()
        except OSError:
            return _ABSENT
        return (found.st_mtime_ns, found.st_size, found.st_ino)
