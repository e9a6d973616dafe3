"""Manifests that the suite needs, as documents; no more is written than matters."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

Document = dict[str, Any]

_IMAGE = "registry.invalid/nothing"  # nobody pulls it: there is no kubelet


def namespace(name: str) -> Document:
    """Return a Namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def node(name: str, *, labels: Mapping[str, str] | None = None) -> Document:
    """Return a Node."""
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": dict(labels or {})}}


def pod(name: str, space: str, *, labels: Mapping[str, str]) -> Document:
    """Return a Pod of one container called `main`."""
    metadata = {"name": name, "namespace": space, "labels": dict(labels)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": _pod_spec()}


def deployment(name: str, space: str, *, replicas: int) -> Document:
    """Return a Deployment whose pods carry the label `app` with its name."""
    labels = {"app": name}
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": _pod_spec()},
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": space}, "spec": spec}


def _pod_spec() -> Document:
    resources = {"requests": {"cpu": "1", "memory": "64Mi"}}
    return {"containers": [{"name": "main", "image": _IMAGE, "resources": resources}]}


# ---- autoscaling/v2


def hpa(name: str, space: str, *, metrics: Sequence[Document], minimum: int = 1, maximum: int = 20) -> Document:
    """Return a HorizontalPodAutoscaler of the Deployment of its name; it follows its metrics at once, up and down."""
    at_once = {"stabilizationWindowSeconds": 0, "policies": [{"type": "Pods", "value": 100, "periodSeconds": 1}]}
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
        "minReplicas": minimum,
        "maxReplicas": maximum,
        "metrics": list(metrics),
        "behavior": {"scaleUp": at_once, "scaleDown": at_once},
    }
    metadata = {"name": name, "namespace": space}
    return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": metadata, "spec": spec}


def pods_metric(metric: str, *, average: str, selector: Mapping[str, str] | None = None) -> Document:
    """Return a Pods metric with an average for each pod."""
    return {
        "type": "Pods",
        "pods": {"metric": _metric(metric, selector), "target": {"type": "AverageValue", "averageValue": average}},
    }


def object_metric(metric: str, *, api_version: str, kind: str, name: str, average: str) -> Document:
    """Return an Object metric with an average for each pod."""
    described = {"apiVersion": api_version, "kind": kind, "name": name}
    target = {"type": "AverageValue", "averageValue": average}
    return {
        "type": "Object",
        "object": {"metric": _metric(metric, None), "describedObject": described, "target": target},
    }


def external_metric(metric: str, *, average: str, selector: Mapping[str, str] | None = None) -> Document:
    """Return an External metric with an average for each pod."""
    target = {"type": "AverageValue", "averageValue": average}
    return {"type": "External", "external": {"metric": _metric(metric, selector), "target": target}}


def resource_metric(resource: str, *, average: str) -> Document:
    """Return a Resource metric (cpu, memory) with an average for each pod."""
    return {
        "type": "Resource",
        "resource": {"name": resource, "target": {"type": "AverageValue", "averageValue": average}},
    }


def _metric(name: str, selector: Mapping[str, str] | None) -> Document:
    return {"name": name, **({"selector": {"matchLabels": dict(selector)}} if selector else {})}


# ---- extension APIs


def crd(kind: str, *, group: str, namespaced: bool = True) -> Document:
    """Return a CustomResourceDefinition of a kind with the version v1 and the plural `KINDs` in lower case."""
    plural = f"{kind.lower()}s"
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    spec = {
        "group": group,
        "scope": "Namespaced" if namespaced else "Cluster",
        "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
    }
    metadata = {"name": f"{plural}.{group}"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": metadata,
        "spec": spec,
    }


def local_service(name: str, space: str) -> Document:
    """Return a Service that leads to this machine; the port is said by the APIService."""
    spec = {"type": "ExternalName", "externalName": "localhost"}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": space}, "spec": spec}


def api_service(
    group: str, version: str, *, service: tuple[str, str], port: int, authority: bytes, priority: int = 100
) -> Document:
    """Return an APIService; `service` is its name and namespace, `authority` (PEM) must have signed for NAME.NAMESPACE.svc."""
    name, space = service
    spec = {
        "group": group,
        "version": version,
        "service": {"name": name, "namespace": space, "port": port},
        "caBundle": base64.b64encode(authority).decode(),
        "groupPriorityMinimum": 100,
        "versionPriority": priority,
    }
    metadata = {"name": f"{version}.{group}"}
    return {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": metadata, "spec": spec}


# ---- users


def service_account(name: str, space: str) -> Document:
    """Return a ServiceAccount."""
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": space}}


def cluster_role(name: str, *rules: Document) -> Document:
    """Return a ClusterRole; `rule` makes its rules."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": [*rules],
    }


def rule(groups: Sequence[str], resources: Sequence[str], verbs: Sequence[str]) -> Document:
    """Return a rule of a role."""
    return {"apiGroups": [*groups], "resources": [*resources], "verbs": [*verbs]}


def binding(role: str, *, account: tuple[str, str], role_space: str = "") -> Document:
    """Bind a ServiceAccount (name, namespace) to a ClusterRole, or to a Role of a namespace."""
    name, space = account
    metadata = {"name": f"{role.replace(':', '-')}-{name}", **({"namespace": role_space} if role_space else {})}
    prefix = "" if role_space else "Cluster"
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": f"{prefix}RoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": f"{prefix}Role", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": space}],
    }
