"""The documents: OpenAPI v2 in one, OpenAPI v3 one for each version of a group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from adapter.server.openapi.schemas import schemas, type_name

CUSTOM: Final = "custom.metrics.k8s.io"
EXTERNAL: Final = "external.metrics.k8s.io"
RESOURCE: Final = "metrics.k8s.io"

_MEDIA_TYPES: Final = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")
_V2_PREFIX: Final = "#/definitions/"
_V3_PREFIX: Final = "#/components/schemas/"

_PATH_PARAMETERS: Final = {
    "namespace": "the namespace of the objects",
    "resource": "the resource, with its group behind a dot; in external.metrics.k8s.io the metric",
    "name": "the name of the object, * for all that labelSelector picks",
    "subresource": "the metric",
}
_LIST_PARAMETERS: Final = {
    "labelSelector": "which objects, or of an external metric which series",
    "fieldSelector": "metadata.name and metadata.namespace of the objects",
    "pretty": "whether JSON is indented",
}
_METRIC_PARAMETERS: Final = {**_LIST_PARAMETERS, "metricLabelSelector": "which series of the metric"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Route:
    """One path of an API; `path` stands below the group's version."""

    path: str
    operation: str
    about: str
    kind: str
    action: str = ""  # as kubectl explain looks for it; custom and external metrics have none
    of_kind: str = ""
    query: Mapping[str, str]


def _custom_routes(version: str) -> Sequence[_Route]:
    name = version.capitalize()
    return (
        _Route(
            path="/namespaces/{namespace}/metrics/{name}",
            operation=f"readCustomMetrics{name}MetricValueForNamespace",
            about="read a metric that describes the namespace",
            kind="MetricValueList",
            query=_METRIC_PARAMETERS,
        ),
        _Route(
            path="/namespaces/{namespace}/{resource}/{name}/{subresource}",
            operation=f"listCustomMetrics{name}NamespacedMetricValue",
            about="list the values of a metric of objects in a namespace",
            kind="MetricValueList",
            query=_METRIC_PARAMETERS,
        ),
        _Route(
            path="/{resource}/{name}/{subresource}",
            operation=f"listCustomMetrics{name}MetricValue",
            about="list the values of a metric of cluster-scoped objects",
            kind="MetricValueList",
            query=_METRIC_PARAMETERS,
        ),
    )


_EXTERNAL_ROUTES: Final = (
    _Route(
        path="/namespaces/{namespace}/{resource}",
        operation="listExternalMetricsV1beta1ExternalMetricValue",
        about="list the values of a metric of no object",
        kind="ExternalMetricValueList",
        query=_LIST_PARAMETERS,
    ),
)


def _resource_routes(version: str) -> Sequence[_Route]:
    name = version.capitalize()
    return tuple(
        _Route(
            path=path,
            operation=f"{verb}Metrics{name}{scope}{kind}{'ForAllNamespaces' if everywhere else ''}",
            about=f"{verb} {kind}",
            kind=kind if verb == "read" else f"{kind}List",
            action="get" if verb == "read" else "list",
            of_kind=kind,
            query=_LIST_PARAMETERS,
        )
        for path, verb, scope, kind, everywhere in (
            ("/nodes", "list", "", "NodeMetrics", False),
            ("/nodes/{name}", "read", "", "NodeMetrics", False),
            ("/pods", "list", "", "PodMetrics", True),
            ("/namespaces/{namespace}/pods", "list", "Namespaced", "PodMetrics", False),
            ("/namespaces/{namespace}/pods/{name}", "read", "Namespaced", "PodMetrics", False),
        )
    )


_ROUTES: Final[Mapping[tuple[str, str], Sequence[_Route]]] = {
    (CUSTOM, "v1beta1"): _custom_routes("v1beta1"),
    (CUSTOM, "v1beta2"): _custom_routes("v1beta2"),
    (EXTERNAL, "v1beta1"): _EXTERNAL_ROUTES,
    (RESOURCE, "v1"): _resource_routes("v1"),
    (RESOURCE, "v1beta1"): _resource_routes("v1beta1"),
}


def document_v2(versions: Sequence[tuple[str, str]], *, release: str) -> dict[str, Any]:
    """Return the Swagger 2.0 document of some (group, version) pairs."""
    paths = {
        f"/apis/{group}/{version}{route.path}": {"get": _operation_v2(group, version, route)}
        for group, version in versions
        for route in _ROUTES[group, version]
    }
    return {
        "swagger": "2.0",
        "info": {"title": "Tidegauge", "version": release},
        "paths": paths,
        "definitions": schemas(versions, prefix=_V2_PREFIX),
    }


def document_v3(group: str, version: str, *, release: str) -> dict[str, Any]:
    """Return the OpenAPI 3.0 document of one version of a group."""
    paths = {
        f"/apis/{group}/{version}{route.path}": {"get": _operation_v3(group, version, route)}
        for route in _ROUTES[group, version]
    }
    return {
        "openapi": "3.0.0",
        "info": {"title": "Tidegauge", "version": release},
        "paths": paths,
        "components": {"schemas": schemas([(group, version)], prefix=_V3_PREFIX)},
    }


def _operation(group: str, version: str, route: _Route) -> dict[str, Any]:
    tag = f"{group.partition('.')[0]}Metrics" if group != RESOURCE else "metrics"
    common: dict[str, Any] = {
        "description": route.about,
        "operationId": route.operation,
        "tags": [f"{tag}_{version}"],
    }
    if route.action:
        common["x-kubernetes-action"] = route.action
        common["x-kubernetes-group-version-kind"] = {"group": group, "kind": route.of_kind, "version": version}
    return common


def _parameters(route: _Route) -> list[tuple[str, str, str]]:
    """Return where each parameter stands, its name, and what it is."""
    of_path = [("path", name, about) for name, about in _PATH_PARAMETERS.items() if f"{{{name}}}" in route.path]
    return of_path + [("query", name, about) for name, about in route.query.items()]


def _operation_v2(group: str, version: str, route: _Route) -> dict[str, Any]:
    reference = {"$ref": _V2_PREFIX + type_name(group, version, route.kind)}
    parameters = [
        {"in": where, "name": name, "description": about, "type": "string"} | _required(where)
        for where, name, about in _parameters(route)
    ]
    return {
        **_operation(group, version, route),
        "consumes": ["*/*"],
        "produces": list(_MEDIA_TYPES),
        "schemes": ["https"],
        "parameters": parameters,
        "responses": {"200": {"description": "OK", "schema": reference}, "401": {"description": "Unauthorized"}},
    }


def _operation_v3(group: str, version: str, route: _Route) -> dict[str, Any]:
    reference = {"$ref": _V3_PREFIX + type_name(group, version, route.kind)}
    parameters = [
        {"in": where, "name": name, "description": about, "schema": {"type": "string"}} | _required(where)
        for where, name, about in _parameters(route)
    ]
    content = {media: {"schema": reference} for media in _MEDIA_TYPES}
    return {
        **_operation(group, version, route),
        "parameters": parameters,
        "responses": {"200": {"description": "OK", "content": content}, "401": {"description": "Unauthorized"}},
    }


def _required(where: str) -> dict[str, bool]:
    return {"required": True} if where == "path" else {}
