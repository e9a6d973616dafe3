"""The messages, field by field: the generated.proto files of Kubernetes' API groups, for what is served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from adapter.kube.protobuf.wire import (
    Field,
    duration,
    embedded,
    integer,
    optional,
    optional_integer,
    quantity,
    quantity_map,
    repeated,
    text,
    text_map,
    texts,
    texts_in_a_row,
    time,
    wrapped_texts,
)

Message = Sequence[Field]

# k8s.io/apimachinery/pkg/apis/meta/v1
_LIST_META: Final[Message] = (
    text(1, "selfLink"),
    text(2, "resourceVersion"),
    text(3, "continue"),
    optional_integer(4, "remainingItemCount"),
)
_OBJECT_META: Final[Message] = (
    texts_in_a_row(1, "name", "generateName", "namespace", "selfLink", "uid", "resourceVersion"),
    integer(7, "generation"),
    time(8, "creationTimestamp"),
    text_map(11, "labels"),
    text_map(12, "annotations"),
)
_LABEL_SELECTOR: Final[Message] = (
    text_map(1, "matchLabels"),
    repeated(2, "matchExpressions", (text(1, "key"), text(2, "operator"), texts(3, "values"))),
)
_CAUSE: Final[Message] = (text(1, "reason"), text(2, "message"), text(3, "field"))
_STATUS_DETAILS: Final[Message] = (
    text(1, "name"),
    text(2, "group"),
    text(3, "kind"),
    repeated(4, "causes", _CAUSE),
    integer(5, "retryAfterSeconds"),
    text(6, "uid"),
)
_STATUS: Final[Message] = (
    embedded(1, "metadata", _LIST_META),
    text(2, "status"),
    text(3, "message"),
    text(4, "reason"),
    optional(5, "details", _STATUS_DETAILS),
    integer(6, "code"),
)
_GROUP_VERSION: Final[Message] = (text(1, "groupVersion"), text(2, "version"))
_API_GROUP: Final[Message] = (
    text(1, "name"),
    repeated(2, "versions", _GROUP_VERSION),
    embedded(3, "preferredVersion", _GROUP_VERSION),
    repeated(4, "serverAddressByClientCIDRs", (text(1, "clientCIDR"), text(2, "serverAddress"))),
)
_API_RESOURCE: Final[Message] = (
    text(1, "name"),
    integer(2, "namespaced"),
    text(3, "kind"),
    wrapped_texts(4, "verbs"),
    texts(5, "shortNames"),
    text(6, "singularName"),
    texts(7, "categories"),
    text(8, "group"),
    text(9, "version"),
    text(10, "storageVersionHash"),
)
_PARTIAL_OBJECT: Final[Message] = (embedded(1, "metadata", _OBJECT_META),)

# k8s.io/api/core/v1
# One goes with each value of a list, which may have thousands.
_OBJECT_REFERENCE: Final[Message] = (
    texts_in_a_row(1, "kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"),
)

# k8s.io/metrics/pkg/apis
_CUSTOM_V1BETA1: Final[Message] = (
    embedded(1, "describedObject", _OBJECT_REFERENCE),
    text(2, "metricName"),
    time(3, "timestamp"),
    optional_integer(4, "window"),
    quantity(5, "value"),
    optional(6, "selector", _LABEL_SELECTOR),
)
_CUSTOM_V1BETA2: Final[Message] = (
    embedded(1, "describedObject", _OBJECT_REFERENCE),
    embedded(2, "metric", (text(1, "name"), optional(2, "selector", _LABEL_SELECTOR))),
    time(3, "timestamp"),
    optional_integer(4, "windowSeconds"),
    quantity(5, "value"),
)
_EXTERNAL: Final[Message] = (
    text(1, "metricName"),
    text_map(2, "metricLabels"),
    time(3, "timestamp"),
    optional_integer(4, "window"),
    quantity(5, "value"),
)
_POD_METRICS: Final[Message] = (
    embedded(1, "metadata", _OBJECT_META),
    time(2, "timestamp"),
    duration(3, "window"),
    repeated(4, "containers", (text(1, "name"), quantity_map(2, "usage"))),
)
_NODE_METRICS: Final[Message] = (
    embedded(1, "metadata", _OBJECT_META),
    time(2, "timestamp"),
    duration(3, "window"),
    quantity_map(4, "usage"),
)


def _list_of(item: Message) -> Message:
    return (embedded(1, "metadata", _LIST_META), repeated(2, "items", item))


# By apiVersion and kind. The group documents have no apiVersion of their own in every server; v1 stands for none.
MESSAGES: Final[Mapping[tuple[str, str], Message]] = {
    ("v1", "Status"): _STATUS,
    ("v1", "APIGroup"): _API_GROUP,
    ("v1", "APIGroupList"): (repeated(1, "groups", _API_GROUP),),
    ("v1", "APIResourceList"): (text(1, "groupVersion"), repeated(2, "resources", _API_RESOURCE)),
    ("custom.metrics.k8s.io/v1beta1", "MetricValueList"): _list_of(_CUSTOM_V1BETA1),
    ("custom.metrics.k8s.io/v1beta2", "MetricValueList"): _list_of(_CUSTOM_V1BETA2),
    ("external.metrics.k8s.io/v1beta1", "ExternalMetricValueList"): _list_of(_EXTERNAL),
    **{
        (f"metrics.k8s.io/{version}", kind): shape
        for version in ("v1", "v1beta1")
        for kind, shape in (
            ("PodMetrics", _POD_METRICS),
            ("PodMetricsList", _list_of(_POD_METRICS)),
            ("NodeMetrics", _NODE_METRICS),
            ("NodeMetricsList", _list_of(_NODE_METRICS)),
        )
    },
    ("meta.k8s.io/v1", "PartialObjectMetadata"): _PARTIAL_OBJECT,
    ("meta.k8s.io/v1", "PartialObjectMetadataList"): _list_of(_PARTIAL_OBJECT),
    ("meta.k8s.io/v1beta1", "PartialObjectMetadata"): _PARTIAL_OBJECT,
    # The older version of this list had no metadata at first, which therefore come behind the items.
    ("meta.k8s.io/v1beta1", "PartialObjectMetadataList"): (
        repeated(1, "items", _PARTIAL_OBJECT),
        embedded(2, "metadata", _LIST_META),
    ),
}
