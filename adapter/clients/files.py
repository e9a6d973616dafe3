"""Files that change while the adapter runs: certificates, keys and tokens that somebody rotates."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Generic, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")

# The bundle of all public authorities has 0.2 MiB; nothing that is read here comes near.
_MAX_BYTES: Final = 4 * 1024 * 1024


class FileFaultError(ValueError):
    """A file that can be read but not used; `path` is None for data that came from no file."""

    def __init__(self, path: Path | None, fault: str) -> None:
        super().__init__(f"{path}: {fault}" if path else fault)
        self.path = path
        self.fault = fault


@dataclass(slots=True)
class WatchedFile:
    """A small file that is read again when its time, size or inode is another one."""

    path: Path
    _mark: tuple[int, int, int] | None = None
    _content: bytes = field(default=b"", repr=False)

    def read(self) -> bytes:
        """Return the file's content now.

        Raises:
            OSError: it cannot be read.
            FileFaultError: it is larger than 4 MiB.
        """
        stat = self.path.stat()
        mark = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        if mark != self._mark:
            with self.path.open("rb") as stream:
                content = stream.read(_MAX_BYTES + 1)
            if len(content) > _MAX_BYTES:
                raise FileFaultError(self.path, f"larger than {_MAX_BYTES} bytes")
            self._content, self._mark = content, mark
        return self._content

    def forget(self) -> None:
        """Read the file the next time, whatever its mark says: two writes within one tick of the clock share it."""
        self._mark = None


class LastGood(Generic[T]):
    """A value that is made again whenever it is asked for; while that fails the last good one stays.

    A rotation writes several files one after the other, so a moment of nonsense is normal. The first reading raises.
    """

    def __init__(self, make: Callable[[], T], *, what: str) -> None:
        self._make = make
        self._what = what
        self._value = make()
        self._complaint = ""

    def now(self) -> T:
        """Return the value; a failure is logged once, and again when its text changes."""
        try:
            self._value = self._make()
        except (OSError, ValueError) as error:
            self._complain(str(error))
        else:
            self._complaint = ""
        return self._value

    def _complain(self, complaint: str) -> None:
        if complaint != self._complaint:
            log.warning("%s not renewed, the last good one stays in use: %s", self._what, complaint)
            self._complaint = complaint
