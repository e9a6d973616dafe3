"""A cluster in which the adapter's own objects do their work: its pods run, and its Service leads to them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import yaml
from rig.processes import wait_until
from rig.sandbox import COMMAND

from e2e.rig import objects
from e2e.rig.cluster import Cluster
from e2e.rig.control_plane import ControlPlane
from e2e.rig.load import ask
from e2e.rig.network import PodNetwork
from e2e.rig.node import NODE, Node
from e2e.rig.objects import Document
from e2e.rig.programs import Programs
from e2e.rig.series import ScrapingPrometheus, Series

PROJECT: Final = Path(__file__).resolve().parents[3]
MONITORING: Final = "monitoring"
# What the charts call Prometheus by default, what the documentation does, and the example overlays.
PROMETHEUS_HOSTS: Final = ("prometheus.default.svc", f"prometheus.{MONITORING}.svc", f"prometheus-k8s.{MONITORING}.svc")
_COMMAND_SECONDS = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Everything an installation touches."""

    cluster: Cluster
    series: Series
    prometheus: ScrapingPrometheus
    node: Node
    folder: Path
    tools: Mapping[str, Path] = field(default_factory=dict)

    @property
    def api(self) -> httpx.Client:
        """An HTTP client of kube-apiserver, as its admin."""
        return self.cluster.plane.api

    def apply(self, text: str) -> list[Document]:
        """Apply manifests as `kubectl apply --server-side` does, and return them.

        Raises:
            KubectlError: one is refused.
        """
        self.cluster.plane.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", text=text)
        return documents(text)

    def delete(self, text: str) -> None:
        """Delete what manifests name, as far as it is there."""
        self.cluster.plane.kubectl("delete", "--ignore-not-found", "--wait=false", "-f", "-", text=text)

    def shell(self, script: str, *, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a script as a person at a terminal would: in the project's folder, logged in to the cluster as admin."""
        path = self.path_with_tools()
        given = {**os.environ, "PATH": path, "KUBECONFIG": str(self.cluster.plane.kubeconfig), **(environment or {})}
        given |= {"HOME": str(self.folder), "NO_COLOR": "1"}
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            check=False,
            capture_output=True,
            text=True,
            cwd=PROJECT,
            env=given,
            timeout=_COMMAND_SECONDS,
        )

    def path_with_tools(self) -> str:
        """Return a PATH on which `kubectl`, `helm` and `tidegauge` are the suite's own."""
        folder = self.folder / "bin"
        folder.mkdir(exist_ok=True)
        for name, program in {"tidegauge": COMMAND, **self.tools}.items():
            if not (folder / name).exists():
                (folder / name).symlink_to(program)
        return f"{folder}:{os.environ['PATH']}"

    def unavailable(self, names: Iterable[str]) -> Mapping[str, str]:
        """Return why each APIService of these names that is not Available is not."""
        found = {name: self.cluster.condition("APIService", name, "Available") for name in names}
        return {
            name: f"{one['reason']}: {one['message']}" if one else "not looked at yet"
            for name, one in found.items()
            if not one or one["status"] != "True"
        }

    def wait_available(self, names: Sequence[str], *, timeout_seconds: float = 60.0) -> None:
        """Wait until APIServices are Available.

        Raises:
            TimeoutError: some are not; the text says why.
        """

        def probe() -> bool:
            if missing := self.unavailable(names):
                raise RuntimeError(str(missing))
            return True

        wait_until("APIServices to be Available", probe, timeout_seconds=timeout_seconds)

    def wait_for(self, path: str, *, items: int = 0, timeout_seconds: float = 60.0) -> Any:
        """Wait until a path is answered well, with so many items at least, through kube-apiserver; return the document.

        Raises:
            TimeoutError: it is not; the text holds the last answer.
        """

        def probe() -> Document:
            answered = ask(self.api, path)
            document: Document = json.loads(answered.text) if answered.status == httpx.codes.OK else {}
            if answered.status != httpx.codes.OK or len(document.get("items", ())) < items:
                raise RuntimeError(f"{answered.status} {answered.text[:300]}")
            return document

        return wait_until(path, probe, timeout_seconds=timeout_seconds)

    def wait_rolled_out(self, name: str, space: str, *, timeout_seconds: float = 60.0) -> None:
        """Wait until a Deployment has all its pods of its newest form ready, and no others.

        Raises:
            TimeoutError: it has not; the text says what it has.
        """

        def probe() -> bool:
            document = self.cluster.get("Deployment", name, space) or {}
            status, wanted = document.get("status", {}), document.get("spec", {}).get("replicas", 0)
            counts = [status.get(f"{kind}eplicas", 0) for kind in ("r", "updatedR", "availableR")]
            if (
                status.get("observedGeneration") != document.get("metadata", {}).get("generation")
                or counts != [wanted] * 3
            ):
                raise RuntimeError(f"{status}; node: {self.node.errors[-1:]}")
            return True

        wait_until(f"Deployment {space}/{name}", probe, timeout_seconds=timeout_seconds)


@contextlib.contextmanager
def open_site(
    programs: Programs,
    folder: Path,
    *,
    prometheus_binaries: Path,
    logs: dict[str, Path],
    tools: Mapping[str, Path] | None = None,
) -> Iterator[Site]:
    """Start everything but the adapter.

    Raises:
        NetworkMissingError, SandboxMissingError: this machine cannot run pods.
        ChildEndedError, TimeoutError: something did not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        network = stack.enter_context(PodNetwork())
        place = network.place()
        plane = stack.enter_context(ControlPlane(programs, folder / "control-plane", pods_at=network.gateway))
        series = stack.enter_context(Series(network.gateway))
        prometheus = ScrapingPrometheus(prometheus_binaries, folder / "prometheus", target=series.address, place=place)
        stack.enter_context(prometheus)
        cluster = Cluster(plane)
        logs |= {f"{name} (site)": path for name, path in plane.logs.items()} | {"prometheus (site)": prometheus.log}
        cluster.create_namespace(MONITORING)
        _publish(cluster, place.address)
        hosts = dict.fromkeys(PROMETHEUS_HOSTS, place.address)
        node = stack.enter_context(Node(cluster, network, folder / "pods", hosts=hosts, logs=logs))
        prometheus.wait_for("up")
        yield Site(
            cluster=cluster, series=series, prometheus=prometheus, node=node, folder=folder, tools=dict(tools or {})
        )


def _publish(cluster: Cluster, address: str) -> None:
    """Give Prometheus a pod and a Service, so that it can be reached through kube-apiserver, whose proxy knows only pods."""
    labels = {"app": "prometheus"}
    for host in PROMETHEUS_HOSTS:
        name, space, _ = host.split(".")
        if space != MONITORING:
            continue  # no Service leads to a pod of another namespace
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": MONITORING},
            "spec": {"selector": labels, "ports": [{"name": "web", "port": 9090}]},
        }
        cluster.apply(service)
    wait_until("an account", lambda: cluster.get("ServiceAccount", "default", MONITORING), timeout_seconds=20)
    cluster.apply(objects.pod("prometheus-0", MONITORING, labels=labels))
    cluster.bind_pod("prometheus-0", MONITORING, NODE)
    cluster.run_pod("prometheus-0", MONITORING, address=address)


def documents(text: str) -> list[Document]:
    """Return the objects of a text of manifests."""
    return [one for one in yaml.safe_load_all(text) if one]
