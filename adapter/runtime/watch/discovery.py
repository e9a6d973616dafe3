"""What kube-apiserver's discovery documents say of kinds: pure reading, aggregated form and legacy form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from adapter.kube.resources import Kind

# One document for all groups where the server has it (1.26 and later), and the list of groups elsewhere.
ACCEPT = ",".join(
    [
        *(
            f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
            for version in ("v2", "v2beta1")
        ),
        "application/json",
    ]
)
# Our own groups hold metrics, which are no objects. To ask for them would be to wait for ourselves.
_OURS = frozenset({"custom.metrics.k8s.io", "external.metrics.k8s.io", "metrics.k8s.io"})


@dataclass(frozen=True, slots=True)
class GroupVersion:
    """A group, empty for the core one, in one version."""

    group: str
    version: str

    @property
    def path(self) -> str:
        """Return where the legacy form is."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"


# Group versions in the server's order, which is that of their priority, a group's preferred version first; with None
# for kinds that nobody can tell at the moment.
Found = dict[GroupVersion, tuple[Kind, ...] | None]


def is_aggregated(document: Mapping[str, Any]) -> bool:
    """Say whether a document holds the resources too, and not only the names of groups."""
    return document.get("kind") == "APIGroupDiscoveryList"


def read_aggregated(document: Mapping[str, Any]) -> Found:
    """Read an APIGroupDiscoveryList; a group whose server does not answer is stale, and may have lost its resources."""
    found: Found = {}
    for item in _mappings(document.get("items")):
        metadata = item.get("metadata")
        group = _text(metadata, "name") if isinstance(metadata, dict) else ""
        for version in _mappings(item.get("versions")):
            where = GroupVersion(group, _text(version, "version"))
            kinds = tuple(_aggregated_kinds(where, version))
            if group not in _OURS:
                found[where] = None if version.get("freshness") == "Stale" and not kinds else kinds
    return found


def legacy_versions(core: Mapping[str, Any], groups: Mapping[str, Any]) -> list[GroupVersion]:
    """Return the group versions that the documents of `/api` and `/apis` name, in the order of their priority."""
    versions = core.get("versions")
    found = [GroupVersion("", str(one)) for one in (versions if isinstance(versions, list) else ())]
    for group in _mappings(groups.get("groups")):
        name = _text(group, "name")
        preferred = group.get("preferredVersion")
        listed = [*_mappings([preferred]), *_mappings(group.get("versions"))]
        if name not in _OURS:
            found += [GroupVersion(name, _text(one, "version")) for one in listed]
    return list(dict.fromkeys(found))


def read_legacy(where: GroupVersion, document: Mapping[str, Any]) -> tuple[Kind, ...]:
    """Read an APIResourceList."""
    return tuple(
        _kind(
            where,
            kind=_text(one, "kind"),
            plural=_text(one, "name"),
            singular=_text(one, "singularName"),
            namespaced=one.get("namespaced") is True,
        )
        for one in _mappings(document.get("resources"))
        if _is_listed(one) and "/" not in _text(one, "name")
    )


def merged(found: Found, before: Found) -> list[Kind]:
    """Return the kinds in order, each in the first version that has it; what cannot be told now is as it was before."""
    kinds: dict[tuple[str, str], Kind] = {}
    for where, now in found.items():
        for kind in (before.get(where) or ()) if now is None else now:
            kinds.setdefault((kind.group, kind.plural), kind)
    return list(kinds.values())


def _aggregated_kinds(where: GroupVersion, version: Mapping[str, Any]) -> Iterator[Kind]:
    for one in _mappings(version.get("resources")):
        response = one.get("responseKind")
        kind = _text(response, "kind") if isinstance(response, dict) else ""
        if _is_listed(one) and kind:
            yield _kind(
                where,
                kind=kind,
                plural=_text(one, "resource"),
                singular=_text(one, "singularResource"),
                namespaced=one.get("scope") == "Namespaced",
            )


def _kind(where: GroupVersion, *, kind: str, plural: str, singular: str, namespaced: bool) -> Kind:
    return Kind(
        group=where.group,
        version=where.version,
        kind=kind,
        plural=plural,
        singular=singular or kind.lower(),  # older servers leave it out, and mean this
        namespaced=namespaced,
    )


def _is_listed(resource: Mapping[str, Any]) -> bool:
    """Say whether there are objects of it to list: of reviews and bindings there are none."""
    verbs = resource.get("verbs")
    return isinstance(verbs, list) and "list" in verbs


def _mappings(value: Any) -> Iterable[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _text(mapping: Mapping[str, Any], key: str) -> str:
    value = mapping.get(key)
    return value if isinstance(value, str) else ""
