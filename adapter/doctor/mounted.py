"""Which files a container has: from its mounts and the ConfigMaps and Secrets behind them, by path."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from adapter.doctor.facts import Container, Mount, Template, Volume


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A mount, and one of the things that its volume is made of."""

    mount: Mount
    volume: Volume


def sources_for(path: str, container: Container, template: Template) -> tuple[Source, ...]:
    """Return what gives the file at a path, or the files below it; a volume of another sort gives nothing."""
    wanted = clean(path)
    near = [one for one in container.mounts if _meet(wanted, clean(one.path))]
    return tuple(
        Source(mount=mount, volume=volume)
        for mount in near
        for volume in template.volumes.get(mount.volume, ())
        if volume.source in ("ConfigMap", "Secret") and volume.name
    )


def is_mounted(path: str, container: Container) -> bool:
    """Say whether some volume, of whatever sort, is where a path leads."""
    wanted = PurePosixPath(clean(path))
    return any(wanted.is_relative_to(clean(one.path)) for one in container.mounts)


def files_of(source: Source, data: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """Yield the files that a mount makes of the keys of a ConfigMap or a Secret, with their paths."""
    mount, keys = source.mount, source.volume.keys or {key: key for key in data}
    for path, key in keys.items():
        if key not in data:
            continue
        if not mount.sub_path:
            yield clean(f"{mount.path}/{path}"), data[key]
        elif clean(mount.sub_path) == clean(path):
            yield clean(mount.path), data[key]
        elif PurePosixPath(clean(path)).is_relative_to(clean(mount.sub_path)):
            below = PurePosixPath(clean(path)).relative_to(clean(mount.sub_path))
            yield clean(f"{mount.path}/{below}"), data[key]


def clean(path: str) -> str:
    """Return a path from the root, without any step upwards, so that it stays where it is put."""
    return posixpath.normpath("/" + path.replace("\0", "").lstrip("/"))


def _meet(one: str, other: str) -> bool:
    return PurePosixPath(one).is_relative_to(other) or PurePosixPath(other).is_relative_to(one)
