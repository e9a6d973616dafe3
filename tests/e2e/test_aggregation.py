"""Does kube-apiserver take the adapter for one of its own: registered, discovered, and asked through it?"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from rig.processes import wait_until

from e2e.rig import objects
from e2e.rig.load import ask
from e2e.rig.registration import APIS, CUSTOM, CUSTOM_OLD, EXTERNAL, RESOURCE, RESOURCE_NEW
from e2e.rig.stage import Stage, values

SPACE = "paths"
_SCHEMA_SECONDS = 150.0
_SECONDS = 30.0
_AVAILABLE_SECONDS = 10.0  # "within seconds"; a start of prometheus-adapter needs less than one
_RESTARTS = 8

# Every kind of path: what is asked, the status, and of a 200 the values or the kind; of an error a part of its message.
OLD, NEW, OUTSIDE = f"{CUSTOM_OLD.path}/", f"{CUSTOM.path}/", f"{EXTERNAL.path}/"
PATHS = [
    (CUSTOM.path, 200, "APIResourceList"),
    (CUSTOM_OLD.path, 200, "APIResourceList"),
    (EXTERNAL.path, 200, "APIResourceList"),
    (RESOURCE.path, 200, "APIResourceList"),
    (RESOURCE_NEW.path, 200, "APIResourceList"),
    (NEW + "namespaces/paths/pods/web-1/load", 200, {"web-1": 3}),
    (OLD + "namespaces/paths/pods/web-1/load", 200, {"web-1": 3}),
    (NEW + "namespaces/paths/pods/*/load", 200, {"web-1": 3, "web-2": 4}),
    (NEW + "namespaces/paths/pods/%2A/load", 200, {"web-1": 3, "web-2": 4}),
    (OLD + "namespaces/paths/pods/*/load", 200, {"web-1": 3, "web-2": 4}),
    (NEW + "namespaces/paths/pods/*/load/", 200, {"web-1": 3, "web-2": 4}),
    (NEW + "namespaces/paths/pods/*/load?labelSelector=app%3Dweb", 200, {"web-1": 3, "web-2": 4}),
    (NEW + "namespaces/paths/pods/*/load?labelSelector=first", 200, {"web-1": 3}),
    (NEW + "namespaces/paths/pods/*/load?metricLabelSelector=zone%3Da", 200, {"web-1": 3}),
    (NEW + "namespaces/paths/pods/*/load?fieldSelector=metadata.name%3Dx", 400, "doesn't match requested name"),
    (NEW + "namespaces/paths/pods/*/load?labelSelector=a%20b", 400, "unable to parse requirement"),
    (NEW + "namespaces/paths/pods/*/load?limit=abc", 400, "invalid syntax"),
    (NEW + "namespaces/paths/pods/*/load?watch=true", 200, {"web-1": 3, "web-2": 4}),
    (NEW + "namespaces/paths/pods/nobody/load", 404, "load for pods"),
    (NEW + "namespaces/paths/pods/*/nothing", 404, "nothing for pods"),
    (NEW + "namespaces/paths/deployments.apps/web/backlog", 200, {"web": 7}),
    (NEW + "namespaces/paths/deployments.apps/*/backlog", 200, {"web": 7}),
    (NEW + "namespaces/paths/metrics/load", 200, {"paths": 7}),
    (NEW + "namespaces/*/metrics/load", 200, {"paths": 7}),
    (NEW + "nodes/node-1/fan_speed", 200, {"node-1": 9}),
    (NEW + "nodes/*/fan_speed", 200, {"node-1": 9, "node-2": 8}),
    (NEW + "namespaces/paths/pods", 400, "invalid request path"),
    (NEW + "namespaces/paths/pods/web-1", 404, "could not find the requested resource"),
    (NEW + "namespaces/paths/pods/web-1/load/more", 404, "could not find the requested resource"),
    (OUTSIDE + "namespaces/paths/queue_depth", 200, {"queue=orders": 5, "queue=mails": 6}),
    (OUTSIDE + "namespaces/paths/queue_depth?labelSelector=queue%3Dorders", 200, {"queue=orders": 5}),
    (OUTSIDE + "namespaces/paths/queue_depth?labelSelector=queue%3Dnone", 200, {}),
    (OUTSIDE + "namespaces/paths/queue_depth?watch=true", 405, "watch is not supported"),
    (OUTSIDE + "namespaces/paths/nothing", 404, "nothing"),
    (OUTSIDE + "queue_depth", 404, "could not find the requested resource"),
    *(
        row
        for api in (RESOURCE, RESOURCE_NEW)
        for row in (
            (f"{api.path}/namespaces/paths/pods", 200, "PodMetricsList"),
            (f"{api.path}/namespaces/paths/pods/web-1", 200, "PodMetrics"),
            (f"{api.path}/namespaces/paths/pods/nobody", 404, "nobody"),
            (f"{api.path}/pods", 200, "PodMetricsList"),
            (f"{api.path}/nodes", 200, "NodeMetricsList"),
            (f"{api.path}/nodes/node-1", 200, "NodeMetrics"),
            (f"{api.path}/nodes/nobody", 404, "nobody"),
            (f"{api.path}/pods?watch=true", 405, "watch is not supported"),
            (f"{api.path}/deployments", 404, "could not find the requested resource"),
        )
    ),
]

_REASONS = {400: "BadRequest", 404: "NotFound", 405: "MethodNotAllowed"}


@pytest.fixture(scope="module", autouse=True)
def world(stage: Stage) -> Iterator[None]:
    """Two pods of a Deployment, two nodes, a queue of each kind, and their series."""
    cluster, series = stage.cluster, stage.series
    cluster.create_namespace(SPACE)
    cluster.apply(objects.node("node-1"), objects.node("node-2"), objects.deployment("web", SPACE, replicas=0))
    cluster.apply(objects.pod("web-1", SPACE, labels={"app": "web", "first": ""}))
    cluster.apply(objects.pod("web-2", SPACE, labels={"app": "web"}))
    pods = {"web-1": (3, "a"), "web-2": (4, "b")}
    for pod, (load, zone) in pods.items():
        main = f'{{namespace="{SPACE}",pod="{pod}",container="main"}}'
        series.set({f'e2e_load{{namespace="{SPACE}",pod="{pod}",zone="{zone}"}}': load})
        series.set({f"e2e_cpu_cores{main}": 0.25, f"e2e_memory_bytes{main}": 64 * 2**20})
    for node, speed in (("node-1", 9), ("node-2", 8)):
        label = f'{{node="{node}"}}'
        series.set({f"e2e_fan_speed{label}": speed, f"e2e_cpu_node_cores{label}": 1.5})
        series.set({f"e2e_memory_node_bytes{label}": 2**30})
    series.set({f'e2e_backlog{{namespace="{SPACE}",deployment="web"}}': 7})
    series.set(
        {f'e2e_queue_depth{{namespace="{SPACE}",queue="{queue}"}}': n for queue, n in (("orders", 5), ("mails", 6))}
    )
    stage.prometheus.wait_for("e2e_queue_depth")
    for path in (f"{NEW}namespaces/{SPACE}/pods/*/load", f"{OUTSIDE}namespaces/{SPACE}/queue_depth"):
        stage.wait_for(path)
    yield
    stage.series.clear()
    cluster.delete_namespace(SPACE)


@pytest.mark.parametrize(("path", "status", "wanted"), PATHS, ids=[f"{status} {path}" for path, status, _ in PATHS])
def test_kubectl_gets_every_path(stage: Stage, path: str, status: int, wanted: str | dict[str, float]) -> None:
    """Each path of the APIs is answered through kube-apiserver, with its values or with the reason of its status."""
    done = stage.cluster.plane.kubectl.run("get", "--raw", path)

    assert ask(stage.api, path).status == status
    if status != httpx.codes.OK:
        assert f"({_REASONS[status]})" in done.stderr
        assert str(wanted) in done.stderr
    elif isinstance(wanted, str):
        assert json.loads(done.stdout)["kind"] == wanted
    else:
        assert values(json.loads(done.stdout)) == wanted


def test_kubectl_top(stage: Stage) -> None:
    """kubectl top shows what pods and nodes use."""  # noqa: D403 - the command's name
    kubectl = stage.cluster.plane.kubectl

    pods = kubectl("top", "pods", "--namespace", SPACE, "--no-headers").split()
    nodes = [line.split() for line in kubectl("top", "nodes", "--no-headers").splitlines()]

    assert pods == ["web-1", "250m", "64Mi", "web-2", "250m", "64Mi"]
    assert [row[:2] for row in nodes] == [["node-1", "1500m"], ["node-2", "1500m"]]
    assert all("1024Mi" in row for row in nodes)  # between them a share of what the node has, if it says so


def test_kubectl_lists_metrics_as_resources(stage: Stage) -> None:
    """kubectl get podmetrics prints the server's table."""  # noqa: D403 - the command's name
    text = stage.cluster.plane.kubectl("get", "podmetrics", "--namespace", SPACE)

    header, *rows = text.splitlines()
    assert header.split() == ["NAME", "CPU", "MEMORY", "WINDOW"]
    assert [row.split()[0] for row in rows] == ["web-1", "web-2"]


OUTAGES: dict[str, Callable[[Stage], None]] = {
    "Prometheus answers": lambda _stage: None,
    "Prometheus is down": lambda stage: stage.prometheus.kill(),
    "Prometheus hangs": lambda stage: stage.prometheus.hang(),
}


@pytest.fixture(params=OUTAGES)
def outage(stage: Stage, request: pytest.FixtureRequest) -> Iterator[str]:
    """Prometheus in each of its states."""
    OUTAGES[request.param](stage)
    yield request.param
    stage.prometheus.kill()
    stage.prometheus.start()
    stage.prometheus.wait_for("e2e_queue_depth")


def test_the_cluster_stays_healthy(stage: Stage, outage: str) -> None:
    """Discovery is complete, fresh and without warnings, and a namespace can be deleted, whatever Prometheus does."""
    plane, cluster = stage.cluster.plane, stage.cluster
    listed = plane.kubectl.run("api-resources", "--output=name")
    cluster.create_namespace("passing")
    cluster.apply(objects.pod("one", "passing", labels={"app": "one"}))
    begin = time.monotonic()
    cluster.delete_namespace("passing")

    print(f"{outage}: a namespace is gone after {time.monotonic() - begin:.1f} s")  # noqa: T201 - a figure
    assert (listed.returncode, listed.stderr) == (0, "")
    assert {"pods.metrics.k8s.io", "nodes.metrics.k8s.io"} <= set(listed.stdout.split())
    assert stage.registration.unavailable() == {}
    assert set(stage.freshness().values()) == {"Current"}
    names = [item["name"] for item in plane.kubectl.raw(CUSTOM.path)["resources"]]
    assert "pods/load" in names


def test_all_apis_are_available_within_seconds(stage: Stage) -> None:
    """From the start of the process until every APIService is Available; the time is printed."""
    stage.registration.unregister()
    stage.adapter.stop()

    begin = time.monotonic()
    stage.adapter.launch()
    stage.registration.register(stage.adapter.port, authority=stage.adapter.authority.pem)
    stage.registration.wait_available(timeout_seconds=_AVAILABLE_SECONDS)

    print(f"{len(APIS)} APIServices are Available {time.monotonic() - begin:.2f} s after the start")  # noqa: T201 - a figure


def test_nobody_is_turned_away_at_the_start(stage: Stage) -> None:
    """From the first connection on, a request of kube-apiserver is known for what it is: never a 401 or a 403."""
    proxy = stage.cluster.plane.front_proxy
    headers = {"X-Remote-User": "system:kube-aggregator", "X-Remote-Group": "system:masters"}
    seen: list[int] = []
    for _ in range(_RESTARTS):
        stage.adapter.stop()
        stage.adapter.launch()

        def first_answer() -> int:
            with stage.adapter.client(pair=proxy.files, headers=headers) as client:
                return ask(client, CUSTOM.path).status  # 0: it does not listen yet

        seen.append(wait_until("the first answer", first_answer, timeout_seconds=_SECONDS, interval_seconds=0.002))

    assert seen == [200] * _RESTARTS
    stage.registration.wait_available()


def test_openapi_and_version(stage: Stage) -> None:
    """kube-apiserver's own schema lists our paths, and kubectl explain knows podmetrics."""
    wanted = {f"apis/{one.group}/{one.version}" for one in APIS}

    def is_known() -> bool:
        listed: dict[str, object] = stage.api.get("/openapi/v3").raise_for_status().json()["paths"]
        return wanted <= listed.keys()

    # After a restart of ours kube-apiserver asks again in its own time, once a minute.
    wait_until("kube-apiserver's schema to list our paths", is_known, timeout_seconds=_SCHEMA_SECONDS)
    assert re.search(r"FIELDS", stage.cluster.plane.kubectl("explain", "podmetrics"))
