"""Which kinds there are, and what a resource name means."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True, slots=True)
class GroupResource:
    """A resource as people write it: `pods`, `deployments.apps`; plural or singular, the group may be left out."""

    resource: str
    group: str = ""

    def __str__(self) -> str:
        return f"{self.resource}.{self.group}" if self.group else self.resource


def parse_group_resource(text: str) -> GroupResource:
    """Split `deployments.apps` at its first dot."""
    resource, _, group = text.partition(".")
    return GroupResource(resource, group)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of object, in the version that its group prefers."""

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    namespaced: bool

    @property
    def group_resource(self) -> GroupResource:
        """Return the plural name with its group."""
        return GroupResource(self.plural, self.group)

    @property
    def api_version(self) -> str:
        """Return group and version as described objects carry them: `apps/v1`, and `/v1` for core kinds.

        The slash is custom-metrics-apiserver's (helpers.ReferenceFor), and clients have seen it for years.
        """
        return f"{self.group}/{self.version}"


class Kinds:
    """An immutable table of kinds; where two answer to one name, the earlier one wins."""

    __slots__ = ("_by_kind", "_by_name", "_kinds")

    def __init__(self, kinds: Iterable[Kind]) -> None:
        self._kinds = tuple(kinds)
        self._by_kind: dict[tuple[str, str], Kind] = {}
        self._by_name: dict[str, list[Kind]] = {}
        for kind in self._kinds:
            self._by_kind.setdefault((kind.group, kind.kind), kind)
            for name in dict.fromkeys((kind.plural, kind.singular)):
                self._by_name.setdefault(name, []).append(kind)

    def __iter__(self) -> Iterator[Kind]:
        return iter(self._kinds)

    def resolve(self, resource: GroupResource) -> Kind | None:
        """Return the kind that a resource means, as kubectl understands it; short names (`po`) mean nothing.

        Without a group the first kind of that name counts, so `events` are the core group's. A group may be
        abbreviated to how it begins: `ingresses.networking`.
        """
        named = self._by_name.get(resource.resource.lower(), [])
        exact = (kind for kind in named if not resource.group or kind.group == resource.group)
        begun = (kind for kind in named if kind.group.startswith(resource.group))
        return next(exact, None) or next(begun, None)

    def resolve_kind(self, group: str, kind: str) -> Kind | None:
        """Return the kind of this exact name and group."""
        return self._by_kind.get((group, kind))

    def singular_of(self, resource: str) -> str | None:
        """Return the singular of a resource's name, whatever its group; None if no kind has that name."""
        found = self.resolve(GroupResource(resource))
        return found.singular if found else None

    def extended(self, extra: Iterable[Kind]) -> Kinds:
        """Return a table that knows more kinds; those it knows already keep their precedence."""
        return Kinds((*self._kinds, *extra))


def kubernetes_kinds() -> Kinds:
    """Read the kinds that a Kubernetes 1.36 without custom resources lists, core first, then by group priority.

    Only versions that are served without a feature gate, and only kinds that can be listed: no reviews, no bindings.
    """
    text = resources.files(__package__).joinpath("kinds.json").read_text(encoding="utf-8")
    return Kinds(
        Kind(
            group=group["group"],
            version=group["version"],
            kind=entry["kind"],
            plural=entry["plural"],
            singular=entry["singular"],
            namespaced=entry["scope"] == "Namespaced",
        )
        for group in json.loads(text)
        for entry in group["kinds"]
    )
