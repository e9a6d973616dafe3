"""Facts about manifests, one by one, so that two charts can be compared."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import yaml

Document: TypeAlias = dict[str, Any]
Facts: TypeAlias = dict[str, dict[str, Any]]  # object -> path -> value

_FOLDER = Path(__file__).parent
_SAME_AS_ABSENT = {"nodeSelector", "affinity", "topologySpreadConstraints", "tolerations"}  # when they are empty
_OF_A_RELEASE = ("helm.sh/chart", "app.kubernetes.io/version")  # labels, each a fact of its own
_UNORDERED = {"verbs", "resources", "apiGroups"}  # lists of RBAC rules


def theirs(name: str) -> Facts:
    """Return what prometheus-adapter's chart 5.3.0 makes of one of its value sets.

    The release is called prometheus-adapter, the namespace monitoring. Other sets than `default` are kept as what differs from it.
    """
    kept = yaml.safe_load((_FOLDER / "theirs" / "facts.yaml").read_text())
    facts: Facts = {thing: dict(paths) for thing, paths in kept["default"].items()}
    for thing, paths in kept.get(name, {}).items():
        if paths is None:
            del facts[thing]
            continue
        own = facts.setdefault(thing, {})
        for path, value in paths.items():
            if value == "(gone)":
                del own[path]
            else:
                own[path] = value
    return facts


def facts_of(documents: Sequence[Document]) -> Facts:
    """Return what manifests say, by `Kind namespace/name` and path; empty scheduling hints say nothing."""
    return {_thing(document): dict(_flat(document)) for document in documents}


def _thing(document: Document) -> str:
    metadata = document["metadata"]
    return f"{document['kind']} " + "/".join(filter(None, (metadata.get("namespace"), metadata["name"])))


def _flat(document: Document) -> Iterator[tuple[str, Any]]:
    for key, value in document.items():
        if key == "kind":
            continue
        if document["kind"] == "ConfigMap" and key == "data":
            for part, rules in yaml.safe_load(value["config.yaml"]).items():
                yield f"config.{part}", json.dumps(rules, sort_keys=True)
        else:
            yield from _walk(key, value)


def _walk(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    last = path.rpartition(".")[2]
    if value is None or (not value and last in _SAME_AS_ABSENT):
        return
    if path in {"metadata.name", "metadata.namespace"}:
        return  # they name the object
    if last == "labels":
        yield path, json.dumps({key: one for key, one in value.items() if key not in _OF_A_RELEASE}, sort_keys=True)
        value = {key: one for key, one in value.items() if key in _OF_A_RELEASE}
    if path == "rules":
        yield path, sorted(json.dumps(_sorted(rule), sort_keys=True) for rule in value)
    elif parts := _parts(last, value):
        for part, one in parts:
            yield from _walk(f"{path}{part}", one)
    else:
        yield path, value


def _parts(name: str, value: Any) -> list[tuple[str, Any]]:
    """Return what is below a value: keys, named items of a list, and containers, the first of which is the adapter."""
    if isinstance(value, Mapping):
        return [(f".{key}", one) for key, one in value.items()]
    if name == "containers":
        return [(f"[{index}]", one) for index, one in enumerate(value)]
    if isinstance(value, list) and all(isinstance(one, Mapping) and "name" in one for one in value):
        return [(f"[{one['name']}]", {key: part for key, part in one.items() if key != "name"}) for one in value]
    return []


def _sorted(rule: Mapping[str, Any]) -> dict[str, Any]:
    return {key: sorted(value) if key in _UNORDERED else value for key, value in rule.items()}
