"""The types of the documents, as JSON schemas by their full names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Schema = dict[str, Any]

_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1"
_QUANTITY: Final = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_TIME: Final = f"{_META}.Time"
_DURATION: Final = f"{_META}.Duration"
_LIST_META: Final = f"{_META}.ListMeta"
_OBJECT_META: Final = f"{_META}.ObjectMeta"
_SELECTOR: Final = f"{_META}.LabelSelector"
_REQUIREMENT: Final = f"{_META}.LabelSelectorRequirement"
_REFERENCE: Final = "io.k8s.api.core.v1.ObjectReference"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a type: the name of another type, or a schema of its own."""

    about: str
    type: str = ""  # the full name of a type
    schema: Mapping[str, Any] | None = None
    required: bool = False


def _text(about: str, *, required: bool = False) -> Field:
    return Field(about=about, schema={"type": "string"}, required=required)


def _seconds(about: str) -> Field:
    return Field(about=about, schema={"type": "integer", "format": "int64"})


def _texts(about: str) -> Field:
    return Field(about=about, schema={"type": "object", "additionalProperties": {"type": "string"}})


def _of(type_: str, about: str, *, required: bool = False) -> Field:
    return Field(about=about, type=type_, required=required)


def _list_of(type_: str, about: str) -> Field:
    return Field(about=about, schema={"type": "array", "items": {"$type": type_}}, required=True)


_API_VERSION: Final = _text("The version of this representation of the object.")
_KIND: Final = _text("The kind of this object.")
_WINDOW: Final = "The seconds over which the value was calculated, absent if it is an instantaneous one."
_TIMESTAMP: Final = "The time at which the metric was produced."
_VALUE: Final = "The value of the metric."

_COMMON: Final[Mapping[str, tuple[str, Mapping[str, Field] | Schema]]] = {
    _QUANTITY: ("A fixed-point number with a decimal or binary suffix, such as 1500m or 64Mi.", {"type": "string"}),
    _TIME: ("A time in RFC 3339, in whole seconds.", {"type": "string", "format": "date-time"}),
    _DURATION: ("A length of time, such as 1m30s.", {"type": "string"}),
    _LIST_META: (
        "What describes a list.",
        {
            "continue": _text("Never set: lists come whole."),
            "remainingItemCount": _seconds("Never set: lists come whole."),
            "resourceVersion": _text("Never set: metrics have no versions."),
            "selfLink": _text("Never set."),
        },
    ),
    _OBJECT_META: (
        "What describes an object.",
        {
            "name": _text("The name of the object."),
            "namespace": _text("The namespace of the object, absent for cluster-scoped ones."),
            "labels": _texts("The labels of the object."),
            "annotations": _texts("Never set."),
            "creationTimestamp": _of(_TIME, "When this representation was made."),
        },
    ),
    _REQUIREMENT: (
        "One condition on a label.",
        {
            "key": _text("The label.", required=True),
            "operator": _text("In, NotIn, Exists or DoesNotExist.", required=True),
            "values": Field(about="The values of In and NotIn.", schema={"type": "array", "items": {"type": "string"}}),
        },
    ),
    _SELECTOR: (
        "Conditions on labels, all of which must hold.",
        {
            "matchLabels": _texts("Labels and their values."),
            "matchExpressions": Field(
                about="Further conditions.", schema={"type": "array", "items": {"$type": _REQUIREMENT}}
            ),
        },
    ),
    _REFERENCE: (
        "Names an object.",
        {
            "kind": _KIND,
            "apiVersion": _API_VERSION,
            "namespace": _text("The namespace of the object, absent for cluster-scoped ones."),
            "name": _text("The name of the object."),
            "uid": _text("Never set."),
            "resourceVersion": _text("Never set."),
            "fieldPath": _text("Never set."),
        },
    ),
}


def _list_fields(item: str) -> Mapping[str, Field]:
    return {
        "apiVersion": _API_VERSION,
        "kind": _KIND,
        "metadata": _of(_LIST_META, "What describes the list.", required=True),
        "items": _list_of(item, "The values."),
    }


def _custom(version: str) -> Mapping[str, tuple[str, Mapping[str, Field] | Schema]]:
    package = f"io.k8s.metrics.pkg.apis.custom_metrics.{version}"
    own: Mapping[str, Field] = (
        {
            "metric": _of(f"{package}.MetricIdentifier", "Names the metric.", required=True),
            "windowSeconds": _seconds(_WINDOW),
        }
        if version == "v1beta2"
        else {
            "metricName": _text("The name of the metric.", required=True),
            "window": _seconds(_WINDOW),
            "selector": _of(_SELECTOR, "The selector of the metric that was asked for.", required=True),
        }
    )
    value: Mapping[str, Field] = {
        "apiVersion": _API_VERSION,
        "kind": _KIND,
        "describedObject": _of(_REFERENCE, "The object that the value describes.", required=True),
        "timestamp": _of(_TIME, _TIMESTAMP, required=True),
        "value": _of(_QUANTITY, _VALUE, required=True),
        **own,
    }
    identifier: Mapping[str, Field] = {
        "name": _text("The name of the metric.", required=True),
        "selector": _of(_SELECTOR, "The selector of the metric that was asked for."),
    }
    named = {f"{package}.MetricIdentifier": ("Names a metric.", identifier)} if version == "v1beta2" else {}
    return {
        **named,
        f"{package}.MetricValue": ("The value of a metric of one object.", value),
        f"{package}.MetricValueList": ("Values of a metric.", _list_fields(f"{package}.MetricValue")),
    }


def _external() -> Mapping[str, tuple[str, Mapping[str, Field] | Schema]]:
    package = "io.k8s.metrics.pkg.apis.external_metrics.v1beta1"
    value: Mapping[str, Field] = {
        "apiVersion": _API_VERSION,
        "kind": _KIND,
        "metricName": _text("The name of the metric.", required=True),
        "metricLabels": _texts("The labels of the value."),
        "timestamp": _of(_TIME, _TIMESTAMP, required=True),
        "window": _seconds(_WINDOW),
        "value": _of(_QUANTITY, _VALUE, required=True),
    }
    return {
        f"{package}.ExternalMetricValue": ("One value of a metric of no object.", value),
        f"{package}.ExternalMetricValueList": (
            "Values of a metric of no object.",
            _list_fields(f"{package}.ExternalMetricValue"),
        ),
    }


def _resource(version: str) -> Mapping[str, tuple[str, Mapping[str, Field] | Schema]]:
    package = f"io.k8s.metrics.pkg.apis.metrics.{version}"
    usage = Field(
        about="The usage of cpu, in cores, and of memory, in bytes.",
        schema={"type": "object", "additionalProperties": {"$type": _QUANTITY}},
        required=True,
    )
    head: Mapping[str, Field] = {
        "apiVersion": _API_VERSION,
        "kind": _KIND,
        "metadata": _of(_OBJECT_META, "The object that is described."),
        "timestamp": _of(_TIME, _TIMESTAMP, required=True),
        "window": _of(_DURATION, "The time over which the usage was calculated.", required=True),
    }
    containers = _list_of(f"{package}.ContainerMetrics", "The usage of each container.")
    container: Mapping[str, Field] = {"name": _text("The name of the container.", required=True), "usage": usage}
    return {
        f"{package}.ContainerMetrics": ("The usage of one container.", container),
        f"{package}.PodMetrics": ("The usage of one pod.", {**head, "containers": containers}),
        f"{package}.PodMetricsList": ("The usage of pods.", _list_fields(f"{package}.PodMetrics")),
        f"{package}.NodeMetrics": ("The usage of one node.", {**head, "usage": usage}),
        f"{package}.NodeMetricsList": ("The usage of nodes.", _list_fields(f"{package}.NodeMetrics")),
    }


_OF_GROUPS: Final = {
    ("custom.metrics.k8s.io", "v1beta1"): _custom("v1beta1"),
    ("custom.metrics.k8s.io", "v1beta2"): _custom("v1beta2"),
    ("external.metrics.k8s.io", "v1beta1"): _external(),
    ("metrics.k8s.io", "v1"): _resource("v1"),
    ("metrics.k8s.io", "v1beta1"): _resource("v1beta1"),
}


def type_name(group: str, version: str, kind: str) -> str:
    """Return the full name of a kind of a group's version."""
    return next(name for name in _OF_GROUPS[group, version] if name.endswith(f".{kind}"))


def schemas(versions: Sequence[tuple[str, str]], *, prefix: str) -> dict[str, Schema]:
    """Return the types of some (group, version) pairs and what they refer to; references begin with `prefix`."""
    found = {name: _schema(about, shape, prefix) for name, (about, shape) in _COMMON.items()}
    for group, version in versions:
        for name, (about, shape) in _OF_GROUPS[group, version].items():
            found[name] = _schema(about, shape, prefix)
            kind = name.rpartition(".")[2]
            if "apiVersion" in found[name].get("properties", {}):
                marker = {"group": group, "kind": kind, "version": version}
                found[name]["x-kubernetes-group-version-kind"] = [marker]
    return dict(sorted(found.items()))


def _schema(about: str, shape: Mapping[str, Any], prefix: str) -> Schema:
    fields = {name: field for name, field in sorted(shape.items()) if isinstance(field, Field)}
    if not fields:
        return {"description": about, **shape}
    required = [name for name, field in fields.items() if field.required]
    return {
        "description": about,
        "type": "object",
        **({"required": required} if required else {}),
        "properties": {name: _property(field, prefix) for name, field in fields.items()},
    }


def _property(field: Field, prefix: str) -> Schema:
    if not field.type:
        return {"description": field.about, **_resolved(field.schema or {}, prefix)}
    reference = _reference(field.type, prefix)
    # What stands beside a $ref does not count in OpenAPI 3.0; allOf is how Kubernetes itself gives it a description.
    return (
        {"description": field.about, "allOf": [reference]}
        if prefix.startswith("#/components")
        else {
            "description": field.about,
            **reference,
        }
    )


def _resolved(schema: Mapping[str, Any], prefix: str) -> Schema:
    return {
        key: _reference(value["$type"], prefix) if isinstance(value, dict) and "$type" in value else value
        for key, value in schema.items()
    }


def _reference(name: str, prefix: str) -> Schema:
    return {"$ref": f"{prefix}{name}"}
