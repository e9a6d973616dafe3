"""What the rig promises to the tests that stand on it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from rig.processes import wait_until

from e2e.rig import objects
from e2e.rig.audit import access_reviews, lists, token_reviews
from e2e.rig.cluster import Cluster
from e2e.rig.control_plane import ADMIN, ControlPlane
from e2e.rig.kubelet import Kubelet
from e2e.rig.load import Load, ask
from e2e.rig.pki import Authority
from e2e.rig.registration import EXTERNAL
from e2e.rig.series import ScrapingPrometheus, Series
from e2e.rig.stage import Stage, open_stage, values

_SECONDS = 30.0
_TESTS = Path(__file__).resolve().parents[1]
# A control plane in a process that is killed; it says the process ids of its children first.
_VICTIM = """
import os, sys, time
from pathlib import Path
from e2e.rig.control_plane import ControlPlane
from e2e.rig.programs import find_programs

with ControlPlane(find_programs(os.environ, say=print), Path(sys.argv[1])) as plane:
    print("pids", *(child.pid for child in plane.children), flush=True)
    time.sleep(600)
"""


def test_it_starts(plane: ControlPlane) -> None:
    """All programs are ready; how long each took is printed."""
    print("ready after", {name: f"{seconds:.2f} s" for name, seconds in plane.started_seconds.items()})  # noqa: T201 - a figure

    assert plane.api.get("/readyz").text == "ok"
    assert set(plane.logs) == {"etcd", "kube-apiserver", "kube-controller-manager"}


def test_kubectl_works(plane: ControlPlane) -> None:
    """The kubectl that was found talks to the cluster as its admin."""
    assert plane.kubectl("auth", "whoami", "--output=jsonpath={.status.userInfo.username}") == ADMIN
    assert "deployments" in plane.kubectl("api-resources", "--api-group=apps", "--output=name")


def test_pods_run_and_deployments_scale(cluster: Cluster) -> None:
    """The controllers make a Deployment's pods, the kubelet's stand-in runs them, and a smaller scale ends them."""
    space = cluster.create_namespace("scaling")

    def ready(replicas: int) -> bool:
        status = (cluster.get("Deployment", "web", space) or {})["status"]
        return bool(status.get("readyReplicas") == status.get("replicas") == replicas)

    with Kubelet(cluster):
        cluster.apply(objects.deployment("web", space, replicas=3))
        wait_until("3 ready pods", lambda: ready(3), timeout_seconds=_SECONDS)
        cluster.patch("Deployment", "web", space, {"spec": {"replicas": 1}}, part="scale")
        wait_until("1 ready pod", lambda: ready(1), timeout_seconds=_SECONDS)

    (pod,) = cluster.items("Pod", space, selector="app=web")
    assert (pod["status"]["phase"], bool(pod["status"]["podIP"])) == ("Running", True)


def test_the_autoscaler_looks(cluster: Cluster) -> None:
    """A HorizontalPodAutoscaler is reconciled: without a metrics API it says that it has none."""
    space = cluster.create_namespace("no-metrics")
    metric = objects.pods_metric("http_requests_per_second", average="10")

    def reason() -> str:
        found = cluster.condition("HorizontalPodAutoscaler", "web", "ScalingActive", space) or {}
        return str(found.get("reason", ""))

    with Kubelet(cluster):
        cluster.apply(objects.deployment("web", space, replicas=1), objects.hpa("web", space, metrics=[metric]))
        assert wait_until("a verdict", reason, timeout_seconds=_SECONDS) == "FailedGetPodsMetric"


def test_a_namespace_goes(cluster: Cluster) -> None:
    """The namespace controller empties and deletes a namespace."""
    space = cluster.create_namespace("short-lived")
    cluster.apply(objects.pod("web", space, labels={"app": "web"}))

    cluster.delete_namespace(space)

    assert cluster.get("Pod", "web", space) is None


@pytest.mark.parametrize(("kind", "namespaced"), [("Queue", True), ("Ring", False)])
def test_custom_resources(cluster: Cluster, kind: str, namespaced: bool) -> None:  # noqa: FBT001 - a table's column
    """Objects of a new kind can be created at once, in a namespace or in the cluster."""
    cluster.create_crd(kind, group="e2e.example", namespaced=namespaced)
    space = {"namespace": "default"} if namespaced else {}

    cluster.apply({"apiVersion": "e2e.example/v1", "kind": kind, "metadata": {"name": "one", **space}})

    assert [item["metadata"]["name"] for item in cluster.items(kind, "default")] == ["one"]


def test_accounts_have_the_rights_they_were_given(cluster: Cluster) -> None:
    """A ServiceAccount's token is good for what its ClusterRoles allow, and for nothing else."""
    space = cluster.create_namespace("accounts")
    cluster.create_account("nobody", space)
    cluster.apply(objects.cluster_role("pod-reader", objects.rule([""], ["pods"], ["list"])))
    cluster.create_account("reader", space, "pod-reader")

    with cluster.as_account("nobody", space) as nobody, cluster.as_account("reader", space) as reader:
        codes = [client.get(f"/api/v1/namespaces/{space}/pods").status_code for client in (nobody, reader)]

    assert codes == [403, 200]


def test_the_audit_log_counts(cluster: Cluster) -> None:
    """LISTs and reviews are counted by user, from the moment one begins to count."""
    space, audit = cluster.create_namespace("audited"), cluster.plane.audit
    cluster.create_account("counted", space, "system:auth-delegator")
    user = f"system:serviceaccount:{space}:counted"
    access = {"spec": {"user": "x", "resourceAttributes": {"verb": "get", "resource": "pods"}}}
    token = {"spec": {"token": "x"}}

    with cluster.as_account("counted", space) as client:
        client.get("/api/v1/nodes")
        audit.forget()
        for _ in range(3):
            client.get("/api/v1/pods")
        for _ in range(2):
            client.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", json=access).raise_for_status()
        client.post("/apis/authentication.k8s.io/v1/tokenreviews", json=token).raise_for_status()

    assert [audit.count(what(user)) for what in (lists, access_reviews, token_reviews)] == [3, 2, 1]
    assert audit.table(user=user)["list", "pods"] == 3


def test_the_front_proxy_s_authority_is_published_live(cluster: Cluster) -> None:
    """An authority that is added to kube-apiserver's file appears in the ConfigMap that extension servers watch."""
    proxy, new = cluster.plane.front_proxy, Authority("e2e-front-proxy-ca")

    def published() -> str:
        found = cluster.get("ConfigMap", "extension-apiserver-authentication", "kube-system") or {}
        return str(found["data"]["requestheader-client-ca-file"])

    assert proxy.authority.pem.decode() in published()
    proxy.trust_also(new)
    wait_until("the new authority", lambda: new.pem.decode() in published(), timeout_seconds=_SECONDS)
    proxy.trust_only(proxy.authority)


@pytest.fixture
def series() -> Iterator[Series]:
    """Series of one test."""
    with Series() as series:
        yield series


@pytest.fixture
def prometheus(
    prometheus_binaries: Path, tmp_path: Path, series: Series, logs: dict[str, Path]
) -> Iterator[ScrapingPrometheus]:
    """A Prometheus that scrapes the test's series."""
    with ScrapingPrometheus(prometheus_binaries, tmp_path / "prometheus", target=series.address) as prometheus:
        logs["prometheus"] = prometheus.log
        yield prometheus


def test_prometheus_can_end_hang_and_come_back(prometheus: ScrapingPrometheus, series: Series) -> None:
    """Series follow what the test sets; a hung server does not answer; after an end it has the same address."""
    series.set({'queue_depth{queue="a"}': 7})
    series.follow(lambda: {'queue_depth{queue="b"}': 8})
    assert prometheus.wait_for("queue_depth") == [7, 8]

    prometheus.hang()
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{prometheus.url}/-/ready", timeout=0.5, trust_env=False)
    prometheus.resume()
    prometheus.kill(forget=True)
    with pytest.raises(httpx.ConnectError):
        prometheus.values("queue_depth")

    series.set({'queue_depth{queue="a"}': 9})
    prometheus.start()
    assert prometheus.wait_for("queue_depth") == [8, 9]


@pytest.fixture
def stage(cluster: Cluster, prometheus_binaries: Path, tmp_path: Path, logs: dict[str, Path]) -> Iterator[Stage]:
    """The adapter behind the cluster, for one of its APIs."""
    with open_stage(cluster, tmp_path, prometheus_binaries=prometheus_binaries, logs=logs, apis=[EXTERNAL]) as stage:
        yield stage


def test_it_aggregates_over_a_verified_certificate(stage: Stage) -> None:
    """The adapter is reached by kubectl through kube-apiserver, until the caBundle names another authority."""
    path = f"{EXTERNAL.path}/namespaces/default/queue_depth"
    stage.series.set({'e2e_queue_depth{namespace="default",queue="a"}': 7})
    stage.wait_for(path)

    assert values(stage.cluster.plane.kubectl.raw(path)) == {"queue=a": 7}
    assert stage.freshness()[EXTERNAL.name] == "Current"

    stage.registration.register(stage.adapter.port, authority=Authority("stranger").pem, apis=[EXTERNAL])
    reasons = wait_until("the refusal", lambda: stage.registration.unavailable([EXTERNAL]), timeout_seconds=_SECONDS)
    assert "certificate signed by unknown authority" in reasons[EXTERNAL.name]


def test_load_tells_what_became_of_each_request(cluster: Cluster) -> None:
    """Answers, refusals and broken connections are all counted."""
    plane = cluster.plane
    with plane.client(pair=plane.admin) as client, Load([client], ["/version", "/nothing"]) as load:
        wait_until("some answers", lambda: len(load.answers) >= 4, timeout_seconds=_SECONDS)
    with httpx.Client(base_url="https://127.0.0.1:1", trust_env=False) as nowhere:
        broken = ask(nowhere, "/version")

    assert {one.status for one in load.answers} == {200, 404}
    assert {one.path for one in load.failures} == {"/nothing"}
    assert (broken.status, "Connect" in broken.text) == (0, True)


def test_nothing_stays_behind(tmp_path: Path) -> None:
    """When whoever started a control plane is killed, its programs end too."""
    environment = {**os.environ, "PYTHONPATH": str(_TESTS)}
    argv = [sys.executable, "-c", _VICTIM, str(tmp_path / "plane")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environment) as victim:
        said = next(line for line in victim.stdout or () if line.startswith("pids "))
        pids = [int(pid) for pid in said.split()[1:]]
        assert [pid for pid in pids if not _runs(pid)] == []

        victim.send_signal(signal.SIGKILL)

    assert len(pids) == 3
    wait_until("its children to end", lambda: not any(map(_runs, pids)), timeout_seconds=_SECONDS)


def _runs(pid: int) -> bool:
    """Tell whether a process runs; one that has ended and waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
