"""The volumes of a pod as folders of this machine, kept as a kubelet keeps them: whole versions behind one link."""

from __future__ import annotations

import base64
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rig.sandbox import Mount

from e2e.rig.cluster import Cluster
from e2e.rig.objects import Document

Files = Mapping[str, bytes]

_EMPTY = "emptyDir"


class VolumeMissingError(Exception):
    """A volume cannot be made yet, as when its ConfigMap is not there; a kubelet waits then."""


class Volumes:
    """What the volumes of one pod hold, on disk."""

    def __init__(self, cluster: Cluster, pod: Document, folder: Path) -> None:
        self._cluster = cluster
        self._space = pod["metadata"]["namespace"]
        self._pod = pod
        self._folder = folder
        self._volumes: Mapping[str, Document] = {one["name"]: one for one in pod["spec"].get("volumes") or ()}
        self._shown: dict[str, Files] = {}
        self._tokens: dict[str, bytes] = {}
        self._versions = itertools.count(1)

    def refresh(self) -> None:
        """Write what has changed in the cluster.

        Raises:
            VolumeMissingError: an object that a volume shows is not there.
        """
        for name, volume in self._volumes.items():
            place = self._folder / name
            if _EMPTY in volume:
                place.mkdir(parents=True, exist_ok=True)
                place.chmod(0o777)
                continue
            files = dict(self._files(volume))
            if self._shown.get(name) != files:
                self._write(place, files)
                self._shown[name] = files

    def mounts(self, container: Document) -> Sequence[Mount]:
        """Return where a container sees them, an outer folder first."""
        wanted = sorted(container.get("volumeMounts") or (), key=lambda one: str(one["mountPath"]))
        return [
            Mount(
                source=self._folder / one["name"] / one.get("subPath", ""),
                target=str(one["mountPath"]).rstrip("/"),
                writable=_EMPTY in self._volumes[one["name"]] and not one.get("readOnly", False),
            )
            for one in wanted
        ]

    def _files(self, volume: Document) -> Iterator[tuple[str, bytes]]:
        sources = volume["projected"]["sources"] if "projected" in volume else [volume]
        for source in sources:
            yield from self._of_source(source)

    def _of_source(self, source: Document) -> Iterator[tuple[str, bytes]]:
        match source:
            case {"configMap": wanted}:
                yield from self._of_object("ConfigMap", wanted, wanted["name"])
            case {"secret": wanted}:
                yield from self._of_object("Secret", wanted, wanted.get("secretName") or wanted["name"])
            case {"serviceAccountToken": wanted}:
                yield wanted["path"], self._token(wanted["path"])
            case {"downwardAPI": {"items": items}}:
                for item in items:
                    yield item["path"], field_of(self._pod, item["fieldRef"]["fieldPath"]).encode()
            case _:
                raise ValueError(f"the rig knows no volume of this kind: {sorted(source)}")

    def _of_object(self, kind: str, wanted: Document, name: str) -> Iterator[tuple[str, bytes]]:
        found = self._cluster.get(kind, name, self._space)
        if found is None:
            if wanted.get("optional"):
                return
            raise VolumeMissingError(f"{kind} {self._space}/{name} not found")
        held = {key: text.encode() for key, text in (found.get("data") or {}).items()}
        if kind == "Secret":
            held = {key: base64.b64decode(text) for key, text in held.items()}
        if not (items := wanted.get("items")):
            yield from held.items()
            return
        for item in items:
            if item["key"] not in held:
                raise VolumeMissingError(f"{kind} {self._space}/{name} has no key {item['key']}")
            yield item["path"], held[item["key"]]

    def _token(self, path: str) -> bytes:
        if path not in self._tokens:
            account = self._pod["spec"]["serviceAccountName"]
            self._tokens[path] = self._cluster.token(account, self._space).encode()
        return self._tokens[path]

    def _write(self, place: Path, files: Files) -> None:
        version = place / f"..{next(self._versions)}"
        version.mkdir(parents=True)
        for name, content in files.items():
            (version / name).parent.mkdir(parents=True, exist_ok=True)
            (version / name).write_bytes(content)
        new = place / "..new"
        new.symlink_to(version.name)
        new.replace(place / "..data")
        for name in {name.split("/")[0] for name in files}:
            if not (place / name).is_symlink():
                (place / name).symlink_to(os.path.join("..data", name))  # noqa: PTH118 - a relative link's text


def field_of(pod: Document, path: str) -> str:
    """Return a field of a pod that the downward API names, such as metadata.namespace."""
    found: Any = pod
    for key in path.split("."):
        found = found[key]
    return str(found)
