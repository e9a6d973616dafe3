"""The files that the adapter's container has, as far as they matter, and the rules among them."""

from __future__ import annotations

import fnmatch
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from adapter.clients.options import PrometheusOptions
from adapter.config.problems import Location
from adapter.config.settings import Settings
from adapter.doctor.documents import texts
from adapter.doctor.facts import Container, Seen, SeenRules, Template, Unknown
from adapter.doctor.mounted import clean, files_of, is_mounted, sources_for
from adapter.doctor.reader import Reader, path_in
from adapter.doctor.reading import decoded
from adapter.kube.resources import Kinds
from adapter.rules.rule import Rulebook
from adapter.runtime.rule_files import Rules, read_rules

Files = Mapping[str, Seen[bytes | None]]

_PLURALS = {"ConfigMap": "configmaps", "Secret": "secrets"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRules:
    """The rules, and how the Prometheus that they are for is reached."""

    seen: SeenRules
    options: PrometheusOptions


async def read_files(
    reader: Reader, namespace: str, container: Container, template: Template, paths: Sequence[str]
) -> Files:
    """Return the files at the paths, and those below them; None for one that its volumes do not give.

    What else a Secret holds, such as a key, is not kept.
    """
    known: dict[tuple[str, str], Seen[Mapping[str, Any] | None]] = {}
    found: dict[str, Seen[bytes | None]] = {}
    for path in dict.fromkeys(paths):
        stem, gave = _stem(path), False
        for source in sources_for(stem, container, template):
            key = (source.volume.source, source.volume.name)
            if key not in known:
                known[key] = await reader.get(path_in(namespace, _PLURALS[key[0]], key[1]))
            document = known[key]
            if isinstance(document, Unknown):
                found[path], gave = document, True
                continue
            for name, content in files_of(source, _data(document, key[0])):
                if _is_meant(name, path):
                    found[name], gave = content, True
        if not gave:
            elsewhere = is_mounted(stem, container) and not sources_for(stem, container, template)
            found[path] = Unknown(reason=f"{path} is in a volume that cannot be looked at") if elsewhere else None
    return found


def _data(document: Mapping[str, Any] | None, kind: str) -> dict[str, bytes]:
    if kind == "Secret":
        return {key: decoded(text) for key, text in texts(document, "data").items()}
    plain = {key: text.encode(errors="replace") for key, text in texts(document, "data").items()}
    return plain | {key: decoded(text) for key, text in texts(document, "binaryData").items()}


def _stem(path: str) -> str:
    """Return a path up to where it becomes a pattern."""
    parts = re.split(r"[*?\[]", path, maxsplit=1)
    return parts[0].rpartition("/")[0] or "/" if len(parts) > 1 else path


def _is_meant(name: str, path: str) -> bool:
    """Say whether a file is what a path names: itself, something below it, or one that its pattern takes."""
    wanted = clean(path)
    return PurePosixPath(name).is_relative_to(wanted) or fnmatch.fnmatchcase(name, wanted)


def rules_of_files(settings: Settings, files: Files, container: Container, kinds: Kinds) -> Seen[ReadRules]:
    """Return the rules as the adapter reads them from its files."""
    missing = []
    for path in settings.config:
        of_path = {name: content for name, content in files.items() if _is_meant(name, path)}
        unknown = next((one for one in of_path.values() if isinstance(one, Unknown)), None)
        if unknown is not None:
            return unknown
        if not any(isinstance(one, bytes) for one in of_path.values()):
            missing.append(path)
    with tempfile.TemporaryDirectory(prefix="tidegauge-doctor-") as folder:
        for name, content in files.items():
            if isinstance(content, bytes) and any(_is_meant(name, path) for path in settings.config):
                _write(Path(folder) / clean(name).lstrip("/"), content)
        there = tuple(f"{folder}{clean(path)}" for path in settings.config if path not in missing)
        read = read_rules(replace(settings, config=there), kinds=kinds, environment=dict(container.env))
        return _read(read, folder, tuple(missing))


def rules_of_paths(settings: Settings, paths: Sequence[str], kinds: Kinds, environment: dict[str, str]) -> ReadRules:
    """Return the rules of files on this machine."""
    read = read_rules(replace(settings, config=tuple(paths)), kinds=kinds, environment=environment)
    return _read(read, "", ())


def _write(path: Path, content: bytes) -> None:
    """Write a file unless odd names make one a folder of the other, or are too long for this machine."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError:
        return


def _read(read: Rules, folder: str, missing: tuple[str, ...]) -> ReadRules:
    def place(location: Location) -> Location:
        return replace(location, file=location.file.removeprefix(folder)) if folder else location

    problems = tuple(
        replace(one, location=place(one.location), message=one.message.replace(folder, "") if folder else one.message)
        for one in read.compiled.problems
        if not (missing and one.code.startswith("file/"))
    )
    rulebook = read.compiled.rulebook
    uses = rulebook.resource_rules
    if uses is not None:
        moved: dict[str, Any] = {name: replace(rule, location=place(rule.location)) for name, rule in uses if rule}
        uses = replace(uses, **moved)
    rules = tuple(replace(rule, location=place(rule.location)) for rule in rulebook.rules)
    whole: Rulebook = replace(rulebook, rules=rules, resource_rules=uses)
    return ReadRules(seen=SeenRules(rulebook=whole, problems=problems, missing=missing), options=read.choice.options)


def paths_wanted(settings: Settings) -> Iterator[str]:
    """Yield the files of the container that are looked at."""
    yield from settings.config
    yield from filter(None, (settings.tls_cert_file, settings.requestheader_client_ca_file))
