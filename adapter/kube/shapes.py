"""The shapes of the documents on the wire, key by key in the order of Kubernetes' structs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict

CustomVersion = Literal["v1beta1", "v1beta2"]


class SelectorRequirement(TypedDict):
    """One entry of `matchExpressions`; `values` is absent where the operator takes none."""

    key: str
    operator: str
    values: NotRequired[list[str]]


class LabelSelectorDocument(TypedDict, total=False):
    """A LabelSelector of meta/v1; what is empty is absent."""

    matchLabels: dict[str, str]
    matchExpressions: list[SelectorRequirement]


class ObjectReference(TypedDict):
    """The object that a value describes; a cluster-scoped one has no namespace."""

    kind: str
    namespace: NotRequired[str]
    name: str
    apiVersion: str


class MetricValueV1beta1(TypedDict):
    """One value of custom.metrics.k8s.io/v1beta1; `window` is in seconds."""

    describedObject: ObjectReference
    metricName: str
    timestamp: str
    window: NotRequired[int]
    value: str
    selector: LabelSelectorDocument | None


class MetricIdentifier(TypedDict):
    """What v1beta2 calls a value's metric."""

    name: str
    selector: LabelSelectorDocument | None


class MetricValueV1beta2(TypedDict):
    """One value of custom.metrics.k8s.io/v1beta2."""

    describedObject: ObjectReference
    metric: MetricIdentifier
    timestamp: str
    windowSeconds: NotRequired[int]
    value: str


class MetricValueList(TypedDict):
    """What custom.metrics.k8s.io answers, for one object too; `metadata` is always empty."""

    kind: str
    apiVersion: str
    metadata: dict[str, str]
    items: list[MetricValueV1beta1] | list[MetricValueV1beta2]


class ExternalMetricValue(TypedDict):
    """One value of external.metrics.k8s.io/v1beta1; `window` is in seconds."""

    metricName: str
    metricLabels: dict[str, str] | None
    timestamp: str
    window: NotRequired[int]
    value: str


class ExternalMetricValueList(TypedDict):
    """What external.metrics.k8s.io answers."""

    kind: str
    apiVersion: str
    metadata: dict[str, str]
    items: list[ExternalMetricValue]


class ApiResource(TypedDict):
    """One line of a discovery list."""

    name: str
    singularName: str
    namespaced: bool
    kind: str
    verbs: list[str]


class ApiResourceList(TypedDict):
    """What a group's version holds."""

    kind: str
    apiVersion: str
    groupVersion: str
    resources: list[ApiResource]


class GroupVersion(TypedDict):
    """A version of a group."""

    groupVersion: str
    version: str


class ApiGroupEntry(TypedDict):
    """A group within the list of groups."""

    name: str
    versions: list[GroupVersion]
    preferredVersion: GroupVersion


class ApiGroup(ApiGroupEntry):
    """A group as a document of its own."""

    kind: str
    apiVersion: str


class ApiGroupList(TypedDict):
    """Every group there is."""

    kind: str
    apiVersion: str
    groups: list[ApiGroupEntry]


class StatusDocument(TypedDict):
    """How an error is told."""

    kind: str
    apiVersion: str
    metadata: dict[str, str]
    status: str
    message: str
    reason: NotRequired[str]
    details: NotRequired[Mapping[str, Any]]
    code: NotRequired[int]
