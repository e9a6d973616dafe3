"""A cluster with an adapter in it, as documents by their paths; tests change them."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from certificate_files import CA, NOW, serving

from adapter.clients.kubernetes import ClusterOptions, open_cluster
from adapter.doctor.checks import examine
from adapter.doctor.facts import Facts
from adapter.doctor.findings import Outcome
from adapter.doctor.gather import gather
from adapter.doctor.gather_serving import Request
from adapter.doctor.locate import Wanted
from adapter.runtime.clock import Clocks

Document = dict[str, Any]

LABELS = {"app.kubernetes.io/name": "tidegauge"}
RULES = """
rules:
- seriesQuery: load{namespace!="",pod!=""}
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
externalRules:
- seriesQuery: depth{namespace!=""}
  resources: {overrides: {namespace: {resource: namespace}}}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>})
"""
SPACE = "custom-metrics"
_CORE = f"/api/v1/namespaces/{SPACE}"
_PROXY = "/api/v1/namespaces/monitoring/services/prometheus:9090/proxy/api/v1"
CUSTOM, EXTERNAL = "v1beta2.custom.metrics.k8s.io", "v1beta1.external.metrics.k8s.io"
API = "/apis/apiregistration.k8s.io/v1/apiservices"


def api_service(name: str) -> Document:
    """Return an APIService that leads to the adapter and is Available."""
    version, _, group = name.partition(".")
    return {
        "metadata": {"name": name},
        "spec": {
            "group": group,
            "version": version,
            "service": {"namespace": SPACE, "name": "tidegauge", "port": 443},
            "caBundle": base64.b64encode(CA.pem).decode(),
        },
        "status": {"conditions": [{"type": "Available", "status": "True", "reason": "Passed", "message": "ok"}]},
    }


def pod_template() -> Document:
    """Return what the adapter's pods are made of."""
    container = {
        "name": "adapter",
        "image": "ghcr.io/tidegauge/tidegauge:0.1.0",
        "args": [
            "--config=/etc/adapter/config.yaml",
            "--prometheus-url=http://prometheus.monitoring.svc:9090",
            "--secure-port=6443",
            "--tls-cert-file=/serving/tls.crt",
            "--tls-private-key-file=/serving/tls.key",
        ],
        "env": [{"name": "NO_PROXY", "value": ".svc"}],
        "ports": [{"name": "https", "containerPort": 6443}],
        "volumeMounts": [{"name": "config", "mountPath": "/etc/adapter"}, {"name": "tls", "mountPath": "/serving"}],
    }
    volumes = [
        {"name": "config", "configMap": {"name": "rules"}},
        {"name": "tls", "secret": {"secretName": "serving"}},
    ]
    spec = {"serviceAccountName": "tidegauge", "containers": [container], "volumes": volumes}
    return {"metadata": {"labels": dict(LABELS)}, "spec": spec}


def documents() -> dict[str, Any]:
    """Return a healthy cluster."""
    meta = {"name": "tidegauge", "namespace": SPACE}
    pair = serving("tidegauge.custom-metrics.svc")
    ready = [{"type": "Ready", "status": "True"}, {"type": "PodScheduled", "status": "True"}]
    front = {
        "requestheader-client-ca-file": CA.pem.decode(),
        "requestheader-allowed-names": '["front-proxy-client"]',
        "requestheader-username-headers": '["X-Remote-User"]',
        "requestheader-group-headers": '["X-Remote-Group"]',
        "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
    }
    deployment = {
        "metadata": meta,
        "spec": {"replicas": 1, "selector": {"matchLabels": dict(LABELS)}, "template": pod_template()},
    }
    return {
        "/version": {"gitVersion": "v1.36.0"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "groups": []},
        "/api/v1": {"kind": "APIResourceList", "resources": [_resource("pods", "Pod"), _resource("namespaces", "Namespace", namespaced=False)]},
        f"{API}/{CUSTOM}": api_service(CUSTOM),
        f"{API}/{EXTERNAL}": api_service(EXTERNAL),
        "/apis/custom.metrics.k8s.io/v1beta2": {"kind": "APIResourceList", "resources": [{"name": "pods/load"}]},
        "/apis/external.metrics.k8s.io/v1beta1": {"kind": "APIResourceList", "resources": [{"name": "depth"}]},
        "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication": {"data": front},
        "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/system:controller:horizontal-pod-autoscaler": {"subjects": []},
        "/apis/autoscaling/v2/horizontalpodautoscalers": {"items": [hpa()]},
        "/api/v1/namespaces/default/services/kubernetes": {"spec": {"clusterIP": "10.0.0.1"}},
        f"{_CORE}/services/tidegauge": {"metadata": meta, "spec": {"selector": dict(LABELS), "ports": [{"port": 443, "targetPort": "https"}]}},
        f"{_CORE}/services": {"items": []},
        f"{_CORE}/serviceaccounts/tidegauge": {"metadata": meta},
        f"{_CORE}/configmaps/rules": {"data": {"config.yaml": RULES}},
        f"{_CORE}/secrets/serving": {"data": {"tls.crt": base64.b64encode(pair.certificate).decode(), "tls.key": "c2VjcmV0"}},
        f"{_CORE}/pods": {"items": [{"metadata": {"name": "tidegauge-1", "labels": dict(LABELS)}, "status": {"phase": "Running", "conditions": ready, "containerStatuses": [{"name": "adapter", "ready": True, "restartCount": 0, "state": {"running": {}}}]}}]},
        f"{_CORE}/pods/https:tidegauge-1:6443/proxy/readyz": "[+]ping ok\n[+]rules ok\n[+]series-queries-default ok\nreadyz check passed\n",
        f"/apis/apps/v1/namespaces/{SPACE}/deployments": {"items": [deployment]},
        f"/apis/apps/v1/namespaces/{SPACE}/statefulsets": {"items": []},
        f"/apis/apps/v1/namespaces/{SPACE}/daemonsets": {"items": []},
        "/apis/apps/v1/deployments": {"items": [deployment]},
        f"/apis/networking.k8s.io/v1/namespaces/{SPACE}/networkpolicies": {"items": []},
        f"/apis/discovery.k8s.io/v1/namespaces/{SPACE}/endpointslices": {"items": [{"endpoints": [{"addresses": ["10.1.0.1"], "conditions": {"ready": True}}], "ports": [{"name": "", "port": 6443}]}]},
        "/api/v1/namespaces/monitoring/services/prometheus": {"metadata": {"name": "prometheus", "namespace": "monitoring"}, "spec": {"ports": [{"port": 9090}]}},
        f"{_PROXY}/query": {"status": "success", "data": {"resultType": "vector", "result": [{"value": [1, "1"]}]}},
        f"{_PROXY}/labels": {"status": "success", "data": ["__name__"]},
    }  # fmt: skip


def hpa() -> Document:
    """Return an HPA that gets its metric."""
    return {
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"metrics": [{"type": "Pods", "pods": {"metric": {"name": "load"}}}]},
        "status": {"conditions": [{"type": "ScalingActive", "status": "True", "reason": "ValidMetricFound"}]},
    }


def _resource(name: str, kind: str, *, namespaced: bool = True) -> Document:
    return {
        "name": name,
        "kind": kind,
        "singularName": kind.lower(),
        "namespaced": namespaced,
        "verbs": ["get", "list", "watch"],
    }


@dataclass(slots=True)
class FakeCluster:
    """Answers as kube-apiserver: a text or a document of a path, a status instead of either, 404 for what is not there.

    `denied` are rights, as `verb resource`, that access reviews deny.
    """

    documents: dict[str, Any] = field(default_factory=documents)
    denied: set[str] = field(default_factory=set)

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        """Answer one request."""
        path = request.url.path
        if path.endswith("/subjectaccessreviews"):
            asked: Mapping[str, str] = json.loads(request.content)["spec"]["resourceAttributes"]
            allowed = f"{asked.get('verb')} {asked.get('resource')}" not in self.denied
            known = self.documents.get(path, {"status": {"allowed": allowed}})
            return httpx2.Response(known, json={}) if isinstance(known, int) else httpx2.Response(201, json=known)
        found = self.documents.get(path, 404)
        if isinstance(found, int):
            return httpx2.Response(
                found, json={"kind": "Status", "message": f"status {found} of {path}", "code": found}
            )
        if isinstance(found, tuple):
            status, body = found
            return httpx2.Response(status, **({"text": body} if isinstance(body, str) else {"json": body}))
        if isinstance(found, str):
            return httpx2.Response(200, text=found)
        return httpx2.Response(200, json=found)


class Observer:
    """Counts nothing."""

    def kubernetes_request_done(self, **_said: object) -> None:
        """Do nothing."""

    def exec_plugin_done(self, **_said: object) -> None:
        """Do nothing."""


async def facts_of(
    cluster: FakeCluster, folder: Path, *, monotonic: Callable[[], float] = lambda: 0.0, **wanted: Any
) -> Facts:
    """Return what is seen of a cluster."""
    path = folder / "kubeconfig"
    server = {"server": "https://kube:6443"}
    config = {
        "current-context": "a",
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "clusters": [{"name": "a", "cluster": server}],
        "users": [{"name": "a", "user": {"token": "t"}}],
    }
    path.write_text(json.dumps(config))
    options = ClusterOptions(kubeconfig=str(path), environment={})
    clocks = Clocks(monotonic=monotonic, wall=NOW.timestamp)
    client = open_cluster(
        options, observer=Observer(), clock=clocks.monotonic, transport=httpx2.MockTransport(cluster.answer)
    )
    request = Request(**{"wanted": Wanted(), "environment": {}, **wanted})
    try:
        return await gather(client, request, clocks=clocks, timeout_seconds=60.0)
    finally:
        await client.close()


async def outcomes_of(cluster: FakeCluster, folder: Path, **wanted: Any) -> Mapping[str, Outcome]:
    """Return what all checks come to."""
    return examine(await facts_of(cluster, folder, **wanted))


def codes_of(outcomes: Mapping[str, Outcome]) -> set[str]:
    """Return the codes of all findings."""
    return {one.code for outcome in outcomes.values() for one in outcome.findings}


def changed(document: Any, path: list[str | int], value: Any) -> Any:
    """Return a copy of a document with something else at a path; `...` takes it away."""
    document = copy.deepcopy(document)
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return document
