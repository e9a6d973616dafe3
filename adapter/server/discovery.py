"""Which groups, versions and resources there are: always answered from memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import orjson

from adapter.errors import RouteNotFound
from adapter.kube.documents import ApiGroup, ResourceEntry, api_group, api_group_list, api_resource_list
from adapter.rules.catalog import Catalog
from adapter.server.aggregated import AGGREGATED, Groups, aggregated_answer
from adapter.server.calls import Answer, Call
from adapter.server.negotiation import AS_IT_IS, COMPACT, Conversion, encode, negotiate, produce, respond

CUSTOM = "custom.metrics.k8s.io"
EXTERNAL = "external.metrics.k8s.io"
RESOURCE = "metrics.k8s.io"

# The first one is the preferred one. prometheus-adapter hides v1beta2 here although it serves it.
VERSIONS: Mapping[str, tuple[str, ...]] = {
    CUSTOM: ("v1beta2", "v1beta1"),
    EXTERNAL: ("v1beta1",),
    RESOURCE: ("v1beta1", "v1"),
}

_VERBS = ("get",)
_RESOURCES = (
    ResourceEntry(name="nodes", namespaced=False, kind="NodeMetrics", verbs=("get", "list")),
    ResourceEntry(name="pods", namespaced=True, kind="PodMetrics", verbs=("get", "list")),
)


class InstalledGroups(Protocol):
    """Which APIs have rules."""

    @property
    def custom(self) -> bool: ...  # noqa: D102 - the class says it
    @property
    def external(self) -> bool: ...  # noqa: D102 - the class says it
    @property
    def resource(self) -> bool: ...  # noqa: D102 - the class says it


class Listed(Protocol):
    """Who knows all metrics; the catalog is replaced whole when it changes, never edited."""

    @property
    def catalog(self) -> Catalog: ...  # noqa: D102 - the class says it
    @property
    def groups(self) -> InstalledGroups: ...  # noqa: D102 - the class says it


@dataclass(frozen=True, slots=True, kw_only=True)
class _Encoded:
    """The lists of one catalog, by `group/version`, as they go over the wire."""

    catalog: Catalog
    bodies: Mapping[str, bytes]


class Discovery:
    """Answers `/apis` and what stands below it down to the versions."""

    def __init__(self, provider: Listed) -> None:
        self._provider = provider
        self._encoded: _Encoded | None = None  # of the catalog seen last, replaced whole

    def installed(self) -> tuple[str, ...]:
        """Return the groups that are served, in order."""
        groups = self._provider.groups
        found = {CUSTOM: groups.custom, EXTERNAL: groups.external, RESOURCE: groups.resource}
        return tuple(name for name, is_there in found.items() if is_there)

    def versions(self) -> Sequence[tuple[str, str]]:
        """Return the versions of the groups that are served, each as (group, version)."""
        return [(group, version) for group in self.installed() for version in VERSIONS[group]]

    def paths(self) -> Sequence[str]:
        """Return the paths of all discovery documents."""
        groups = self.installed()
        versions = [f"/apis/{group}/{version}" for group in groups for version in VERSIONS[group]]
        return ["/apis", *(f"/apis/{group}" for group in groups), *versions]

    async def group_list(self, call: Call) -> Answer:
        """Answer `/apis`: the classic list, or every group in one document for who asks for that."""
        form = negotiate(call, convertible=_is_aggregated)
        if form.conversion != AS_IT_IS:
            return aggregated_answer(call, self._aggregated())
        document = api_group_list(_group(name) for name in self.installed())
        address = {"clientCIDR": "0.0.0.0/0", "serverAddress": f":{call.port}"}
        groups = [{**group, "serverAddressByClientCIDRs": [address]} for group in document["groups"]]
        return respond({**document, "groups": groups}, form)

    async def group(self, call: Call, group: str) -> Answer:
        """Answer `/apis/{group}`."""
        return respond(_group(group), negotiate(call))

    async def resource_list(self, call: Call, group: str, version: str) -> Answer:
        """Answer `/apis/{group}/{version}`, which is also what kube-apiserver probes for availability."""
        form = negotiate(call)
        body = self._bodies()[f"{group}/{version}"]
        if form == COMPACT:
            return Answer(body=body)
        document = orjson.loads(body)
        return await produce(document, form, items=len(document["resources"]))

    def _aggregated(self) -> Groups:
        listed = {RESOURCE: _RESOURCES}
        return {group: dict.fromkeys(VERSIONS[group], listed.get(group, ())) for group in self.installed()}

    def _bodies(self) -> Mapping[str, bytes]:
        catalog, encoded = self._provider.catalog, self._encoded
        if encoded is None or encoded.catalog is not catalog:
            encoded = self._encoded = _Encoded(catalog=catalog, bodies=_encode_all(catalog))
        return encoded.bodies


def _group(name: str) -> ApiGroup:
    return api_group(name, VERSIONS[name])


def _is_aggregated(conversion: Conversion) -> bool:
    return conversion == AGGREGATED


def _encode_all(catalog: Catalog) -> Mapping[str, bytes]:
    entries = {
        CUSTOM: list(_custom_entries(catalog)),
        EXTERNAL: list(_external_entries(catalog)),
        RESOURCE: list(_RESOURCES),
    }
    return {
        f"{group}/{version}": encode(api_resource_list(f"{group}/{version}", entries[group]))
        for group, versions in VERSIONS.items()
        for version in versions
    }


def _custom_entries(catalog: Catalog) -> Iterator[ResourceEntry]:
    """Yield the metrics, or one placeholder: older clients complain of an API that lists nothing, on every call.

    The placeholders are those of the Go library (custom-metrics-apiserver, issue 146).
    """
    for metric in catalog.custom:
        yield _custom_entry(f"{metric.resource}/{metric.metric}", namespaced=metric.namespaced)
    if not catalog.custom:
        yield _custom_entry("/custommetrics", namespaced=False)


def _custom_entry(name: str, *, namespaced: bool) -> ResourceEntry:
    return ResourceEntry(name=name, namespaced=namespaced, kind="MetricValueList", verbs=_VERBS)


def _external_entries(catalog: Catalog) -> Iterator[ResourceEntry]:
    for name in catalog.external or ("externalmetrics",):
        yield ResourceEntry(name=name, namespaced=True, kind="ExternalMetricValueList", verbs=_VERBS)


def check_version(group: str, version: str) -> None:
    """Refuse a version that a group does not have."""
    if version not in VERSIONS[group]:
        raise RouteNotFound
