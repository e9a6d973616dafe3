"""The resource rules that we ship, asked of a real Prometheus that has what each of them expects, and what it must not count."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from adapter.config.settings import parse_flags
from adapter.kube.selectors import EVERYTHING
from adapter.runtime.clock import Clocks
from adapter.runtime.resource_provider import ResourceProvider
from adapter.runtime.wiring import open_runtime

if TYPE_CHECKING:
    from conftest import StartPrometheus

pytestmark = pytest.mark.anyio

PRESETS = Path(__file__).parents[2] / "config"
LONG_AGO = 1_700_000_000.0  # seconds since 1970: a fixed time makes every answer the same on every run
WEB = 'namespace="shop",pod="web-0"'
CPU, MEMORY = "container_cpu_usage_seconds_total", "container_memory_working_set_bytes"
OBJECTS = """
apiVersion: v1
kind: Pod
metadata: {name: web-0, namespace: shop}
---
apiVersion: v1
kind: Pod
metadata: {name: web-1, namespace: shop}
---
apiVersion: v1
kind: Pod
metadata: {name: win-0, namespace: shop}
---
apiVersion: v1
kind: Node
metadata: {name: n1.example}
---
apiVersion: v1
kind: Node
metadata: {name: w1}
---
apiVersion: v1
kind: Node
metadata: {name: w2}
"""

# /metrics/cadvisor: two containers, the pause container, the pod as a whole, another pod's namesake, and the node.
CADVISOR = [
    line
    for name, shape, unit in ((CPU, "counter", 0.25), (MEMORY, "gauge", 1000))
    for line in (
        f'{name}{{{WEB},container="app",id="/kubepods/pod1/a",image="i",node="n1.example"}} {shape} {unit * 2}',
        f'{name}{{{WEB},container="sidecar",id="/kubepods/pod1/b",image="i",node="n1.example"}} {shape} {unit}',
        f'{name}{{{WEB},container="POD",id="/kubepods/pod1/c",image="p",node="n1.example"}} {shape} {unit * 100}',
        f'{name}{{{WEB},id="/kubepods/burstable/pod1",node="n1.example"}} {shape} {unit * 3}',
        f'{name}{{namespace="x",pod="web-0",container="app",id="/kubepods/pod9/a",node="n1.example"}} {shape} {unit * 50}',
        f'{name}{{id="/",node="n1.example"}} {shape} {unit * 40}',
        f'{name}{{id="/",node="n1-example"}} {shape} {unit * 70}',
        f'{name}{{id="/kubepods",node="n1.example"}} {shape} {unit * 30}',
    )
]
# /metrics/resource says the same of containers, with fewer labels.
KUBELET = [
    *(
        f'{name}{{{WEB},container="{container}",node="n1.example"}} {shape} {value}'
        for name, shape, values in ((CPU, "counter", (0.5, 0.25)), (MEMORY, "gauge", (2000, 1000)))
        for container, value in zip(("app", "sidecar"), values, strict=True)
    ),
    f"pod_cpu_usage_seconds_total{{{WEB}}} counter 9",
    'node_cpu_usage_seconds_total{node="n1.example"} counter 8',
    'node_memory_working_set_bytes{node="n1.example"} gauge 8000',
]
NODE_EXPORTER = [
    *(
        f'node_cpu_seconds_total{{instance="n1.example",cpu="{cpu}",mode="{mode}"}} counter {value}'
        for cpu in (0, 1)
        for mode, value in (("user", 0.5), ("system", 0.25), ("idle", 0.1), ("iowait", 0.1), ("steal", 0.05))
    ),
    'node_memory_MemTotal_bytes{instance="n1.example"} gauge 9000',
    'node_memory_MemAvailable_bytes{instance="n1.example"} gauge 2000',
]
# k3s: nothing is known of containers, though some of their cgroups carry the pod's name.
K3S = [
    line
    for name, shape, unit in ((CPU, "counter", 0.25), (MEMORY, "gauge", 1000))
    for line in (
        f'{name}{{{WEB},container="",id="/kubepods/burstable/pod1",node="n1.example"}} {shape} {unit * 3}',
        f'{name}{{{WEB},container="",id="/kubepods/burstable/pod1/0123abc",node="n1.example"}} {shape} {unit * 2}',
        f'{name}{{namespace="shop",pod="web-1",id="/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod2.slice",node="n1.example"}} {shape} {unit}',
        f'{name}{{namespace="shop",pod="web-1",id="/kubepods.slice/kubepods-pod2.slice/cri-containerd-01.scope",node="n1.example"}} {shape} {unit}',
        f'{name}{{id="/",node="n1.example"}} {shape} {unit * 40}',
    )
]
# windows-exporter knows ids only; the pod of its own labels is the exporter. w2 has a release before 0.31.
WINDOWS = [
    'windows_container_cpu_usage_seconds_total{container_id="containerd://1",namespace="ops",pod="exporter",instance="w1"} counter 0.75',
    'windows_container_memory_usage_private_working_set_bytes{container_id="containerd://1",namespace="ops",pod="exporter",instance="w1"} gauge 5000',
    'windows_container_cpu_usage_seconds_total{container_id="containerd://2",instance="w1"} counter 5',
    'kube_pod_container_info{container_id="containerd://1",namespace="shop",pod="win-0",container="app",uid="u"} gauge 1',
    'kube_pod_container_info{container_id="containerd://2",namespace="x",pod="win-0",container="app",uid="v"} gauge 1',
    *(
        f'windows_cpu_time_total{{instance="{node}",core="0,{core}",mode="{mode}"}} counter {value}'
        for node in ("w1", "w2")
        for core in (0, 1)
        for mode, value in (("user", 0.25), ("privileged", 0.125), ("idle", 0.6))
    ),
    'windows_memory_physical_total_bytes{instance="w1"} gauge 7000',
    'windows_cs_physical_memory_bytes{instance="w2"} gauge 6000',
    'windows_memory_available_bytes{instance="w1"} gauge 1000',
    'windows_memory_available_bytes{instance="w2"} gauge 1000',
]

Use = Mapping[str, object]
Case = tuple[str, list[str], Use, Use]  # preset, series, what is told of pods, of nodes
CONTAINERS = {"app": {"cpu": 500, "memory": 2_000_000}, "sidecar": {"cpu": 250, "memory": 1_000_000}}
WHOLE = {"": {"cpu": 750, "memory": 3_000_000}}
WINDOWS_NODES = {"w1": {"cpu": 750, "memory": 6_000_000}, "w2": {"cpu": 750, "memory": 5_000_000}}
LINUX_NODE = {"n1.example": {"cpu": 1500, "memory": 7_000_000}}
CASES: list[Case] = [
    ("cadvisor", CADVISOR, {"web-0": CONTAINERS}, {"n1.example": {"cpu": 10_000, "memory": 40_000_000}}),
    ("cadvisor", CADVISOR + KUBELET, {"web-0": CONTAINERS}, {"n1.example": {"cpu": 10_000, "memory": 40_000_000}}),
    ("kubelet", KUBELET, {"web-0": CONTAINERS}, {"n1.example": {"cpu": 8000, "memory": 8_000_000}}),
    ("kubelet", CADVISOR + KUBELET, {"web-0": CONTAINERS}, {"n1.example": {"cpu": 8000, "memory": 8_000_000}}),
    ("node-exporter", CADVISOR + KUBELET + NODE_EXPORTER, {"web-0": CONTAINERS}, LINUX_NODE),
    (
        "k3s",
        K3S,
        {"web-0": WHOLE, "web-1": {"": {"cpu": 250, "memory": 1_000_000}}},
        {"n1.example": {"cpu": 10_000, "memory": 40_000_000}},
    ),
    ("k3s", CADVISOR + KUBELET, {"web-0": WHOLE}, {"n1.example": {"cpu": 10_000, "memory": 40_000_000}}),
    (
        "windows",
        CADVISOR + KUBELET + NODE_EXPORTER + WINDOWS,
        {"web-0": CONTAINERS, "win-0": {"app": {"cpu": 750, "memory": 5_000_000}}},
        {**LINUX_NODE, **WINDOWS_NODES},
    ),
    ("windows", WINDOWS, {"win-0": {"app": {"cpu": 750, "memory": 5_000_000}}}, WINDOWS_NODES),
]


class Reports:
    """Takes what is reported."""

    def rule_queried(self, **_: object) -> None: ...
    def swept(self, **_: object) -> None: ...
    def limit_changed(self, **_: object) -> None: ...
    def stale_told(self, **_: object) -> None: ...
    def policy_applied(self, **_: object) -> None: ...
    def value_served(self, **_: object) -> None: ...


@pytest.mark.parametrize("case", CASES, ids=[f"{row[0]}-{number}" for number, row in enumerate(CASES)])
async def test_a_preset_finds_each_thing_once(case: Case, prometheus: StartPrometheus, tmp_path: Path) -> None:
    """Pods and nodes have what their series say, whatever other series of the same name are there."""
    preset, series, pods, nodes = case
    objects = tmp_path / "objects.yaml"
    objects.write_text(OBJECTS)
    url = prometheus(series, now_seconds=LONG_AGO)
    flags = [f"--config={PRESETS}/resource-{preset}.yaml", f"--prometheus-url={url}", f"--objects-file={objects}"]
    clocks = Clocks(wall=lambda: LONG_AGO)
    async with open_runtime(parse_flags(flags, {}).settings, environment={}, clocks=clocks, relisting=False) as runtime:
        provider = ResourceProvider(
            rules=lambda: runtime.relist.rulebook.resource_rules,
            objects=runtime.objects,
            fetching=runtime.provider.fetching,
            clocks=clocks,
            observer=Reports(),
        )
        deadline = clocks.monotonic() + 30.0
        found_pods = await provider.pods("", EVERYTHING, deadline_seconds=deadline)
        found_nodes = await provider.nodes(EVERYTHING, deadline_seconds=deadline)

    assert {one.name: {part.name: dict(part.milli) for part in one.containers} for one in found_pods} == pods
    assert {one.name: dict(one.milli) for one in found_nodes} == nodes
    assert {(one.window_seconds, one.timestamp_seconds) for one in (*found_pods, *found_nodes)} == {(180.0, LONG_AGO)}
