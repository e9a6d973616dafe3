"""What a path of the custom and external metrics APIs asks for, and the document that answers it.

Paths are matched after percent-decoding, so `%2F` is one more segment, as in Kubernetes' API servers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar, cast

from cachetools import LRUCache

from adapter.errors import InvalidPath, RouteNotFound
from adapter.kube.documents import (
    CustomVersion,
    LabelSelectorDocument,
    external_metric_value_list,
    label_selector_document,
    metric_value_list,
)
from adapter.kube.resources import GroupResource, parse_group_resource
from adapter.kube.selectors import parse_selector
from adapter.rules.answers import CustomAnswer, ExternalAnswer
from adapter.rules.requests import ByName, BySelector, CustomMetricRequest, ExternalMetricRequest
from adapter.server.calls import Answer, Call
from adapter.server.discovery import EXTERNAL
from adapter.server.list_options import check_described_object, check_listable, read_list_options
from adapter.server.negotiation import Form, make, negotiate
from adapter.server.patience import within

_VERSIONS: Mapping[str, CustomVersion] = {"v1beta1": "v1beta1", "v1beta2": "v1beta2"}
_NAMESPACES = GroupResource("namespaces")
# What follows a namespace in Kubernetes' own paths; never the name of a resource (requestinfo.go).
_NAMESPACE_SUBRESOURCES = frozenset({"status", "finalize"})
# Neither can be part of a name; U+FFFD stands for bytes that are no UTF-8.
_UNREADABLE = ("\x00", "\ufffd")


# What ten thousand autoscalers ask: of some 200 characters each, and what was read of them takes a few times that.
_REQUESTS_BYTES = 32 * 1024 * 1024
_BYTES_PER_REQUEST = 1500
_BYTES_PER_CHARACTER = 5

R = TypeVar("R")


class MetricProvider(Protocol):
    """Who answers; deadlines are in seconds on the clock that the server was given."""

    async def custom_metric(self, request: CustomMetricRequest, *, deadline_seconds: float) -> CustomAnswer:
        """Return the values of a metric of objects; raises leaves of AdapterError."""

    async def external_metric(self, request: ExternalMetricRequest, *, deadline_seconds: float) -> ExternalAnswer:
        """Return the values of a metric of no object; raises leaves of AdapterError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a path of the custom metrics names: one object or, if the name is `*` or empty, all that are selected."""

    namespace: str
    resource: GroupResource
    name: str
    metric: str

    @property
    def is_one(self) -> bool:
        """Tell whether it is one object."""
        return self.name not in {"", "*"}


class MetricApis:
    """Answers requests for values."""

    def __init__(self, provider: MetricProvider, *, clock: Callable[[], float], grace_seconds: float) -> None:
        self._provider = provider
        self._clock = clock
        self._grace_seconds = grace_seconds
        self._requests: LRUCache[tuple[str, bytes], tuple[object, int]] = LRUCache(
            maxsize=_REQUESTS_BYTES, getsizeof=lambda kept: kept[1]
        )

    async def custom(self, call: Call, version: str, parts: Sequence[str], seconds: float) -> Answer:
        """Answer a path below `/apis/custom.metrics.k8s.io/{version}` within so many seconds."""
        form = negotiate(call)
        request, selector = self._read(_read_custom, parts, call)
        work = self._provider.custom_metric(request, deadline_seconds=self._clock() + seconds)
        found = await within(seconds + self._grace_seconds, work)

        def document() -> Mapping[str, Any]:
            return metric_value_list(_VERSIONS[version], metric=found.metric, selector=selector, items=found.items)

        return await _written(found, (version, form), document)

    async def external(self, call: Call, parts: Sequence[str], seconds: float) -> Answer:
        """Answer a path below `/apis/external.metrics.k8s.io/v1beta1` within so many seconds."""
        form = negotiate(call)
        request = self._read(external_request, parts, call)
        work = self._provider.external_metric(request, deadline_seconds=self._clock() + seconds)
        found = await within(seconds + self._grace_seconds, work)

        def document() -> Mapping[str, Any]:
            return external_metric_value_list(metric=found.metric, items=found.items)

        return await _written(found, ("", form), document)

    def _read(self, read: Callable[[Sequence[str], Mapping[str, str]], R], parts: Sequence[str], call: Call) -> R:
        """Return what `read` makes of a path and its query; an autoscaler sends the same for ever."""
        key = (call.path, call.query)
        if (known := self._requests.get(key)) is not None:
            return cast("R", known[0])
        found = read(parts, call.parameters)
        size_bytes = _BYTES_PER_REQUEST + _BYTES_PER_CHARACTER * (len(call.path) + len(call.query))
        if size_bytes <= self._requests.maxsize:
            self._requests[key] = found, size_bytes
        return found


def has_custom_route(parts: Sequence[str]) -> bool:
    """Tell whether a path below the version has the shape of a route; a namespace must be named."""
    match parts:
        case ["namespaces", "", *_]:
            return False
        case ["", *_]:
            return False
        case [_, _, _] | ["namespaces", _, "metrics", _] | ["namespaces", _, _, _, _]:
            return True
    return False


def custom_subject(parts: Sequence[str]) -> Subject:
    """Return what a path with a route names; raises InvalidPath if it is too short for a metric of an object."""
    match parts:
        case ["namespaces", namespace, "status" | "finalize" as metric, *_]:
            return Subject(namespace=namespace, resource=_NAMESPACES, name=namespace, metric=metric)
        case ["namespaces", _, _]:
            raise InvalidPath
        case ["namespaces", namespace, "metrics", metric, *_]:
            return Subject(namespace="", resource=_NAMESPACES, name=namespace, metric=metric)
        case ["namespaces", namespace, resource, name, metric]:
            return Subject(namespace=namespace, resource=parse_group_resource(resource), name=name, metric=metric)
        case [resource, name, metric]:
            return Subject(namespace="", resource=parse_group_resource(resource), name=name, metric=metric)
    raise RouteNotFound


def _read_custom(
    parts: Sequence[str], parameters: Mapping[str, str]
) -> tuple[CustomMetricRequest, LabelSelectorDocument | None]:
    request = custom_request(parts, parameters)
    return request, label_selector_document(request.metric_selector)  # refuses before anybody is asked


async def _written(
    found: CustomAnswer | ExternalAnswer, form: tuple[str, Form], document: Callable[[], Mapping[str, Any]]
) -> Answer:
    """Return an answer as bytes, which are kept when they are asked for again: most answers are told once."""
    kept = found.written.get(form)
    if isinstance(kept, Answer):
        return kept
    answer = await make(document, form[1], items=len(found.items))
    found.written[form] = answer if form in found.written else None
    return answer


def custom_request(parts: Sequence[str], parameters: Mapping[str, str]) -> CustomMetricRequest:
    """Return what a path and its query ask of the custom metrics."""
    subject = custom_subject(_readable(parts))
    options = read_list_options(parameters)
    check_described_object(options, name=subject.name)
    if not subject.name:
        # The caller's rights were asked for this object only (RequestInfo), where custom-metrics-apiserver answers all.
        subject = replace(subject, name=options.field_selector.requires_exact("metadata.name") or "")
    return CustomMetricRequest(
        namespace=subject.namespace,
        resource=subject.resource,
        target=ByName(name=subject.name) if subject.is_one else BySelector(selector=options.label_selector),
        metric=subject.metric,
        metric_selector=parse_selector(parameters.get("metricLabelSelector", "")),
    )


def has_external_route(parts: Sequence[str]) -> bool:
    """Tell whether a path below the version is a route; `status` and `finalize` can never be names of metrics."""
    match parts:
        case ["namespaces", namespace, metric]:
            return bool(namespace and metric) and metric not in _NAMESPACE_SUBRESOURCES
    return False


def external_request(parts: Sequence[str], parameters: Mapping[str, str]) -> ExternalMetricRequest:
    """Return what a path with a route and its query ask of the external metrics."""
    _, namespace, metric = _readable(parts)
    options = read_list_options(parameters)
    check_listable(options, kind="*", group=EXTERNAL)
    return ExternalMetricRequest(namespace=namespace, metric=metric, selector=options.label_selector)


def _readable(parts: Sequence[str]) -> Sequence[str]:
    if any(mark in part for part in parts for mark in _UNREADABLE):
        raise InvalidPath
    return parts
