"""What a test does with a cluster: create objects, ask for them, log in as somebody."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import httpx
from rig.processes import wait_until

from e2e.rig import objects
from e2e.rig.control_plane import ControlPlane
from e2e.rig.objects import Document

_SECONDS = 30.0
# Where objects of a kind live. Kinds of CustomResourceDefinitions are added by `create_crd`.
_PATHS = {
    "Namespace": "/api/v1/namespaces",
    "Node": "/api/v1/nodes",
    "Pod": "/api/v1/namespaces/{}/pods",
    "Service": "/api/v1/namespaces/{}/services",
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "Secret": "/api/v1/namespaces/{}/secrets",
    "Endpoints": "/api/v1/namespaces/{}/endpoints",
    "EndpointSlice": "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/{}/poddisruptionbudgets",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles",
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "HorizontalPodAutoscaler": "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers",
    "CustomResourceDefinition": "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "APIService": "/apis/apiregistration.k8s.io/v1/apiservices",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
}


class Cluster:
    """Acts as the admin of a control plane."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane
        self._paths = dict(_PATHS)

    def apply(self, *documents: Document) -> None:
        """Create objects, or change them.

        Raises:
            httpx.HTTPStatusError: one is refused; a note on it holds the answer.
        """
        for document in documents:
            path = self._path(document["kind"], document["metadata"].get("namespace", ""))
            self._send(
                "PATCH",
                f"{path}/{document['metadata']['name']}?fieldManager=e2e&force=true",
                document,
                content_type="application/apply-patch+yaml",
            )

    def get(self, kind: str, name: str, space: str = "") -> Document | None:
        """Return an object, or None if there is none of this name."""
        answer = self.plane.api.get(f"{self._path(kind, space)}/{name}")
        return None if answer.status_code == httpx.codes.NOT_FOUND else _good(answer).json()

    def items(self, kind: str, space: str = "", *, selector: str = "") -> list[Document]:
        """Return the objects of a kind that a label selector picks."""
        answer = self.plane.api.get(self._path(kind, space), params={"labelSelector": selector} if selector else {})
        return list(_good(answer).json()["items"])

    def delete(self, kind: str, name: str, space: str = "") -> None:
        """Delete an object if it is there."""
        answer = self.plane.api.delete(f"{self._path(kind, space)}/{name}")
        if answer.status_code != httpx.codes.NOT_FOUND:
            _good(answer)

    def patch(self, kind: str, name: str, space: str, change: Mapping[str, Any], *, part: str = "") -> None:
        """Merge a change into an object, or into a part of it such as `status` or `scale`."""
        path = f"{self._path(kind, space)}/{name}" + (f"/{part}" if part else "")
        self._send("PATCH", path, change, content_type="application/merge-patch+json")

    def create_namespace(self, name: str) -> str:
        """Create a namespace and return its name."""
        self.apply(objects.namespace(name))
        return name

    def delete_namespace(self, name: str, *, timeout_seconds: float = _SECONDS) -> None:
        """Delete a namespace and wait until it is gone, which needs discovery of every API to be healthy.

        Raises:
            TimeoutError: it is still there.
        """
        self.delete("Namespace", name)
        wait_until(
            f"namespace {name} to go", lambda: self.get("Namespace", name) is None, timeout_seconds=timeout_seconds
        )

    def create_crd(self, kind: str, *, group: str, namespaced: bool = True) -> None:
        """Create a CustomResourceDefinition and wait until its objects can be created."""
        document = objects.crd(kind, group=group, namespaced=namespaced)
        name, plural = document["metadata"]["name"], document["spec"]["names"]["plural"]
        self._paths[kind] = f"/apis/{group}/v1/" + ("namespaces/{}/" if namespaced else "") + plural
        self.apply(document)
        wait_until(
            f"{name} to be established",
            lambda: self.has_condition("CustomResourceDefinition", name, "Established"),
            timeout_seconds=_SECONDS,
        )
        wait_until(f"{name} to be served", lambda: self.items(kind, "default") is not None, timeout_seconds=_SECONDS)

    def has_condition(self, kind: str, name: str, condition: str, space: str = "") -> bool:
        """Tell whether a condition of an object is true."""
        return (self.condition(kind, name, condition, space) or {}).get("status") == "True"

    def condition(self, kind: str, name: str, condition: str, space: str = "") -> Document | None:
        """Return a condition of an object, or None if it has none of this type."""
        found = self.get(kind, name, space) or {}
        conditions = found.get("status", {}).get("conditions") or ()
        return next((one for one in conditions if one["type"] == condition), None)

    def bind_pod(self, name: str, space: str, node: str) -> None:
        """Give a pod to a node, as the scheduler does; pods without one are deleted without a word to anybody."""
        target = {"apiVersion": "v1", "kind": "Node", "name": node}
        document = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target}
        self._send("POST", f"{self._path('Pod', space)}/{name}/binding", document)

    def run_pod(self, name: str, space: str, *, address: str = "10.1.0.1") -> None:
        """Make a pod Running and Ready, as a kubelet would."""
        now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        kinds = ("Initialized", "Ready", "ContainersReady", "PodScheduled")
        status = {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "startTime": now,
            "conditions": [{"type": kind, "status": "True", "lastTransitionTime": now} for kind in kinds],
        }
        self.patch("Pod", name, space, {"status": status}, part="status")

    def token(self, account: str, space: str) -> str:
        """Return a token of a ServiceAccount, good for an hour."""
        path = f"{self._path('ServiceAccount', space)}/{account}/token"
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        return str(self._send("POST", path, request).json()["status"]["token"])

    def as_account(self, account: str, space: str) -> httpx.Client:
        """Return an HTTP client of kube-apiserver that is a ServiceAccount; close it yourself."""
        return self.plane.client(headers={"Authorization": f"Bearer {self.token(account, space)}"})

    def create_account(self, name: str, space: str, *roles: str) -> None:
        """Create a ServiceAccount with ClusterRoles."""
        self.apply(objects.service_account(name, space))
        self.apply(*(objects.binding(role, account=(name, space)) for role in roles))

    def _path(self, kind: str, space: str) -> str:
        return self._paths[kind].format(space)

    def _send(
        self, method: str, path: str, document: Mapping[str, Any], *, content_type: str = "application/json"
    ) -> httpx.Response:
        return _good(self.plane.api.request(method, path, json=document, headers={"Content-Type": content_type}))


def _good(answer: httpx.Response) -> httpx.Response:
    try:
        return answer.raise_for_status()
    except httpx.HTTPStatusError as error:
        error.add_note(answer.text[:1000])
        raise
