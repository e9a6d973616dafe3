"""The documents on the wire: built from values and selectors, and manifests read from text."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import yaml
from msgspec import Struct

from adapter.errors import UnsupportedSelector
from adapter.kube.manifests import Manifests, ObjectMeta, read_objects
from adapter.kube.quantity import milli_text
from adapter.kube.resources import Kind, Kinds
from adapter.kube.selectors import Op, Requirement, Selector
from adapter.kube.shapes import (
    ApiGroup,
    ApiGroupList,
    ApiResourceList,
    CustomVersion,
    ExternalMetricValue,
    ExternalMetricValueList,
    GroupVersion,
    LabelSelectorDocument,
    MetricIdentifier,
    MetricValueList,
    MetricValueV1beta1,
    MetricValueV1beta2,
    ObjectReference,
    SelectorRequirement,
    StatusDocument,
)

try:
    from yaml import CSafeLoader as SafeLoader  # several times as fast
except ImportError:  # PyYAML can be built without libyaml
    from yaml import SafeLoader  # type: ignore[assignment]  # the same interface, in Python

__all__ = [
    "ApiGroup",
    "ApiGroupList",
    "ApiResourceList",
    "CustomVersion",
    "ExternalItem",
    "ExternalMetricValueList",
    "LabelSelectorDocument",
    "Manifests",
    "MetricItem",
    "MetricValueList",
    "ObjectMeta",
    "ResourceEntry",
    "StatusDocument",
    "api_group",
    "api_group_list",
    "api_resource_list",
    "external_metric_value_list",
    "label_selector_document",
    "metric_value_list",
    "read_manifests",
    "status",
    "timestamp_text",
]


class MetricItem(Struct, frozen=True, kw_only=True, gc=False):
    """One value of one object: `milli` in thousandths, `namespace` empty for cluster-scoped objects.

    The garbage collector looks at none, as at no Sample.
    """

    kind: Kind
    namespace: str
    name: str
    timestamp_seconds: float
    milli: int
    window_seconds: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalItem:
    """One value of no object: `milli` in thousandths; `labels` is None where there can be none, as for a scalar."""

    labels: Mapping[str, str] | None
    timestamp_seconds: float
    milli: int
    window_seconds: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceEntry:
    """One resource, or one metric, of a discovery list."""

    name: str
    namespaced: bool
    kind: str
    verbs: Sequence[str]


def metric_value_list(
    version: CustomVersion, *, metric: str, selector: LabelSelectorDocument | None, items: Iterable[MetricItem]
) -> MetricValueList:
    """Build the answer of custom.metrics.k8s.io; `selector` is the one of the metric, never that of the objects."""
    values = _values_v1beta1 if version == "v1beta1" else _values_v1beta2
    return {
        "kind": "MetricValueList",
        "apiVersion": f"custom.metrics.k8s.io/{version}",
        "metadata": {},
        "items": values(metric, selector, items),
    }


def external_metric_value_list(*, metric: str, items: Iterable[ExternalItem]) -> ExternalMetricValueList:
    """Build the answer of external.metrics.k8s.io; labels are sorted, as Go sorts the keys of maps."""
    return {
        "kind": "ExternalMetricValueList",
        "apiVersion": "external.metrics.k8s.io/v1beta1",
        "metadata": {},
        "items": _external_values(metric, items),
    }


class _TimestampTexts(dict[float, str]):
    """The texts of the times met so far: the values of one list have one or two."""

    def __missing__(self, seconds: float) -> str:
        text = self[seconds] = timestamp_text(seconds)
        return text


# A list may have thousands of values, so these three spell every document out. The window stands in the middle.


def _values_v1beta1(
    metric: str, selector: LabelSelectorDocument | None, items: Iterable[MetricItem]
) -> list[MetricValueV1beta1]:
    timestamps = _TimestampTexts()
    return [
        {
            "describedObject": _described(item),
            "metricName": metric,
            "timestamp": timestamps[item.timestamp_seconds],
            "value": milli_text(item.milli),
            "selector": selector,
        }
        if item.window_seconds is None
        else {
            "describedObject": _described(item),
            "metricName": metric,
            "timestamp": timestamps[item.timestamp_seconds],
            "window": item.window_seconds,
            "value": milli_text(item.milli),
            "selector": selector,
        }
        for item in items
    ]


def _values_v1beta2(
    metric: str, selector: LabelSelectorDocument | None, items: Iterable[MetricItem]
) -> list[MetricValueV1beta2]:
    timestamps = _TimestampTexts()
    identifier: MetricIdentifier = {"name": metric, "selector": selector}
    return [
        {
            "describedObject": _described(item),
            "metric": identifier,
            "timestamp": timestamps[item.timestamp_seconds],
            "value": milli_text(item.milli),
        }
        if item.window_seconds is None
        else {
            "describedObject": _described(item),
            "metric": identifier,
            "timestamp": timestamps[item.timestamp_seconds],
            "windowSeconds": item.window_seconds,
            "value": milli_text(item.milli),
        }
        for item in items
    ]


def _described(item: MetricItem) -> ObjectReference:
    kind = item.kind
    if item.namespace:
        return {"kind": kind.kind, "namespace": item.namespace, "name": item.name, "apiVersion": kind.api_version}
    return {"kind": kind.kind, "name": item.name, "apiVersion": kind.api_version}


def _external_values(metric: str, items: Iterable[ExternalItem]) -> list[ExternalMetricValue]:
    timestamps = _TimestampTexts()
    values: list[ExternalMetricValue] = []
    for item in items:
        labels = None if item.labels is None else dict(sorted(item.labels.items()))
        timestamp, value = timestamps[item.timestamp_seconds], milli_text(item.milli)
        if item.window_seconds is None:
            values.append({"metricName": metric, "metricLabels": labels, "timestamp": timestamp, "value": value})
        else:
            values.append(
                {
                    "metricName": metric,
                    "metricLabels": labels,
                    "timestamp": timestamp,
                    "window": item.window_seconds,
                    "value": value,
                }
            )
    return values


_YEAR_2000, _YEAR_2000_SECONDS = datetime(2000, 1, 1, tzinfo=UTC), 946_684_800
_CYCLE_SECONDS, _CYCLE_YEARS = 12_622_780_800, 400  # after which the Gregorian calendar repeats


def timestamp_text(seconds: float) -> str:
    """Print seconds since 1970 as RFC 3339 in UTC, cut to whole seconds, as meta/v1's Time does; any year will do."""
    cycles, rest = divmod(int(seconds // 1) - _YEAR_2000_SECONDS, _CYCLE_SECONDS)
    moment = _YEAR_2000 + timedelta(seconds=rest)
    year = moment.year + cycles * _CYCLE_YEARS
    return f"{year:0{4 if year >= 0 else 5}d}{moment.isoformat()[4:19]}Z"


_EXACT = (Op.EQUALS, Op.DOUBLE_EQUALS)
_OPERATORS = {
    Op.NOT_EQUALS: "NotIn",  # Kubernetes refuses `!=` here, although this says the same
    Op.IN: "In",
    Op.NOT_IN: "NotIn",
    Op.EXISTS: "Exists",
    Op.NOT_EXISTS: "DoesNotExist",
}


def label_selector_document(selector: Selector) -> LabelSelectorDocument | None:
    """Return a selector as a LabelSelector, None if it selects everything.

    Raises:
        UnsupportedSelector: it compares numbers, which a LabelSelector cannot.
    """
    if not selector:
        return None
    exact = [one for one in selector.requirements if one.op in _EXACT]
    others = [_expression(one) for one in selector.requirements if one.op not in _EXACT]
    document: LabelSelectorDocument = {}
    if exact:
        document["matchLabels"] = {one.key: one.values[0] for one in exact}  # of one key's the last wins, as in Go
    if others:
        document["matchExpressions"] = others
    return document


def _expression(requirement: Requirement) -> SelectorRequirement:
    operator = _OPERATORS.get(requirement.op)
    if operator is None:
        raise UnsupportedSelector(f'"{requirement.op}" isn\'t supported in label selectors: name the values with `in`')
    expression: SelectorRequirement = {"key": requirement.key, "operator": operator}
    if requirement.values:
        expression["values"] = list(requirement.values)
    return expression


def api_resource_list(group_version: str, resources: Iterable[ResourceEntry]) -> ApiResourceList:
    """Build the discovery list of one version of a group."""
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": [
            {
                "name": one.name,
                "singularName": "",
                "namespaced": one.namespaced,
                "kind": one.kind,
                "verbs": list(one.verbs),
            }
            for one in resources
        ],
    }


def api_group(name: str, versions: Sequence[str]) -> ApiGroup:
    """Build the discovery document of a group; the first version is the preferred one."""
    entries: list[GroupVersion] = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"kind": "APIGroup", "apiVersion": "v1", "name": name, "versions": entries, "preferredVersion": entries[0]}


def api_group_list(groups: Iterable[ApiGroup]) -> ApiGroupList:
    """Build the list of groups, whose entries carry no type of their own."""
    return {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [
            {"name": one["name"], "versions": one["versions"], "preferredVersion": one["preferredVersion"]}
            for one in groups
        ],
    }


def status(*, code: int, message: str, reason: str = "", details: Mapping[str, Any] | None = None) -> StatusDocument:
    """Build the Status of a failure: no reason and no details are left out, details that are empty are written."""
    document: StatusDocument = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
    }
    if reason:
        document["reason"] = reason
    if details is not None:
        document["details"] = details
    document["code"] = code
    return document


class _ManifestLoader(SafeLoader):
    """Reads YAML as kubectl does: what looks like a date is a text."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own attribute, which nobody changes
        first: [resolver for resolver in resolvers if resolver[0] != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in SafeLoader.yaml_implicit_resolvers.items()
    }


# Where a tag and its text disagree (`!!bool x`), PyYAML lets Python's own errors through.
_YAML_ERRORS = (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, RecursionError)
_DEEPEST = 500  # schemas in definitions nest some fifty levels; libyaml overflows its stack somewhere above 20,000


def read_manifests(text: str, kinds: Kinds) -> Manifests:
    """Read YAML documents, or one of JSON, of objects and lists of objects; what cannot be used is told in `problems`.

    Raises:
        ValueError: the text is not YAML.
    """
    if text.lstrip().startswith("{"):
        # What kubectl writes with -o json is read fifty times as fast as JSON; a flow mapping of YAML is no JSON.
        with contextlib.suppress(orjson.JSONDecodeError):
            return read_objects([orjson.loads(text)], kinds)
    try:
        _check_depth(text)
        documents = list(yaml.load_all(text, Loader=_ManifestLoader))
    except _YAML_ERRORS as error:
        raise ValueError(f"this is not YAML: {error}") from error
    return read_objects(documents, kinds)


def _check_depth(text: str) -> None:
    """Refuse what is nested too deeply, before anything recurses."""
    depth = 0
    for event in yaml.parse(text, Loader=SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEEPEST:
            raise ValueError(f"nested more than {_DEEPEST} levels deep")
