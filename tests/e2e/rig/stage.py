"""The whole scene: a cluster, series, Prometheus, and the adapter registered for all its APIs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from rig.processes import wait_until

from e2e.rig.adapter import Adapter
from e2e.rig.cluster import Cluster
from e2e.rig.kubelet import Kubelet
from e2e.rig.load import ask
from e2e.rig.registration import APIS, Api, Registration
from e2e.rig.series import ScrapingPrometheus, Series

DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
RELIST_SECONDS = 5
_SUFFIXES = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30}

RULES = """
defaults: {cacheTTL: 1s}
rules:
- id: gauges
  seriesQuery: '{__name__=~"e2e_.*",namespace!=""}'
  seriesFilters: [{isNot: "^e2e_(cpu|memory|queue)"}]
  resources:
    overrides:
      namespace: {resource: namespace}
      pod: {resource: pod}
      deployment: {group: apps, resource: deployment}
      widget: {group: e2e.example, resource: widget}
  name: {matches: "^e2e_(.*)$", as: "$1"}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
- id: of-the-cluster
  seriesQuery: '{__name__=~"e2e_.*",namespace=""}'
  seriesFilters: [{isNot: "^e2e_(cpu|memory|queue)"}]
  resources:
    overrides:
      node: {resource: node}
      region: {group: e2e.example, resource: region}
  name: {matches: "^e2e_(.*)$", as: "$1"}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
externalRules:
- id: queues
  seriesQuery: e2e_queue_depth{namespace!=""}
  resources: {overrides: {namespace: {resource: namespace}}}
  name: {matches: "^e2e_(.*)$", as: "$1"}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (queue)
resourceRules:
  cpu:
    containerQuery: sum(e2e_cpu_cores{<<.LabelMatchers>>}) by (<<.GroupBy>>)
    nodeQuery: sum(e2e_cpu_node_cores{<<.LabelMatchers>>}) by (<<.GroupBy>>)
    resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}, node: {resource: node}}}
    containerLabel: container
  memory:
    containerQuery: sum(e2e_memory_bytes{<<.LabelMatchers>>}) by (<<.GroupBy>>)
    nodeQuery: sum(e2e_memory_node_bytes{<<.LabelMatchers>>}) by (<<.GroupBy>>)
    resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}, node: {resource: node}}}
    containerLabel: container
  window: 1m
"""
FLAGS = (f"--metrics-relist-interval={RELIST_SECONDS}s", "--metrics-max-age=1m")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Everything a test of the adapter touches."""

    cluster: Cluster
    series: Series
    prometheus: ScrapingPrometheus
    adapter: Adapter
    registration: Registration

    @property
    def api(self) -> httpx.Client:
        """An HTTP client of kube-apiserver, as its admin."""
        return self.cluster.plane.api

    def admin(self) -> httpx.Client:
        """Return another one, with connections of its own; close it yourself."""
        return self.cluster.plane.client(pair=self.cluster.plane.admin)

    def wait_for(self, path: str, *, timeout_seconds: float = 60.0) -> None:
        """Wait until a path is answered well through kube-apiserver.

        Raises:
            TimeoutError: it is not; the text holds the last answer.
        """

        def probe() -> bool:
            answered = ask(self.api, path)
            if answered.status != httpx.codes.OK:
                raise RuntimeError(f"{answered.status} {answered.text[:300]}")
            return True

        wait_until(path, probe, timeout_seconds=timeout_seconds)

    def follow_load(self, space: str, deployment: str, total: Callable[[], float], *, metric: str) -> None:
        """Share a load evenly among the pods of a Deployment; `{}` in the metric stands for the pod's labels."""

        def source() -> Mapping[str, float]:
            pods = [one["metadata"]["name"] for one in self.cluster.items("Pod", space, selector=f"app={deployment}")]
            return {metric.format(f'namespace="{space}",pod="{pod}"'): total() / len(pods) for pod in pods}

        self.series.follow(source)

    def freshness(self) -> Mapping[str, str]:
        """Return how fresh kube-apiserver's discovery of each of the adapter's APIs is: Current or Stale."""
        document = self.api.get("/apis", headers={"Accept": DISCOVERY}).raise_for_status().json()
        found = {
            f"{version['version']}.{group['metadata']['name']}": version["freshness"]
            for group in document["items"]
            for version in group["versions"]
        }
        return {api.name: found.get(api.name, "missing") for api in APIS}


@contextlib.contextmanager
def open_stage(
    cluster: Cluster,
    folder: Path,
    *,
    prometheus_binaries: Path,
    logs: dict[str, Path],
    rules: str = RULES,
    flags: Sequence[str] = FLAGS,
    apis: Sequence[Api] = APIS,
) -> Iterator[Stage]:
    """Start everything but the cluster, register the APIs and wait until all are Available.

    Raises:
        ChildEndedError: something ended at once; the text has the end of its log.
        TimeoutError: something was not ready in time.
    """
    with contextlib.ExitStack() as stack:
        series = stack.enter_context(Series())
        prometheus = ScrapingPrometheus(prometheus_binaries, folder / "prometheus", target=series.address)
        stack.enter_context(prometheus)
        registration = Registration(cluster)
        adapter = Adapter(
            folder / "adapter",
            kubeconfig=registration.prepare(),
            prometheus_url=prometheus.url,
            rules=rules,
            flags=flags,
        )
        logs |= {"prometheus": prometheus.log, "adapter": adapter.log}
        stack.enter_context(Kubelet(cluster))
        stack.enter_context(adapter)
        stack.callback(registration.unregister, apis)
        registration.register(adapter.port, authority=adapter.authority.pem, apis=apis)
        registration.wait_available(apis)
        yield Stage(cluster=cluster, series=series, prometheus=prometheus, adapter=adapter, registration=registration)


def number(quantity: str) -> float:
    """Return the value of a Kubernetes quantity."""
    suffix = next((one for one in sorted(_SUFFIXES, key=len, reverse=True) if quantity.endswith(one)), "")
    return float(quantity.removesuffix(suffix)) * _SUFFIXES.get(suffix, 1.0)


def values(document: Mapping[str, Any]) -> dict[str, float]:
    """Return the values of a list of custom metrics by object, or of external ones by their labels."""
    return {_name(item): number(item["value"]) for item in document["items"]}


def _name(item: Mapping[str, Any]) -> str:
    if "describedObject" in item:
        return str(item["describedObject"]["name"])
    return ",".join(f"{key}={value}" for key, value in sorted((item["metricLabels"] or {}).items()))
