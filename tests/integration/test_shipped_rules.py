"""The rule files that we ship, beside a real Prometheus that has the series of their exporters: what is found and listed.

The values are compared in test_conformance.py, case by case.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml
from conformance.asking import open_adapter, write_files
from conformance.corpus import NOW_SECONDS, World
from conformance.reading import SHIPPED, read_corpus

from adapter.cli.live_checks import problems_on_server
from adapter.clients.inspection import open_checking_connection
from adapter.clients.options import PrometheusOptions
from adapter.config.load import load_rules
from adapter.kube.resources import kubernetes_kinds
from adapter.rules.compile import Terms, compile_rules

if TYPE_CHECKING:
    from conftest import StartPrometheus

WORLDS = [pytest.param(world, id=world.shipped) for world in read_corpus() if world.shipped]
APIS = ("custom.metrics.k8s.io/v1beta2", "external.metrics.k8s.io/v1beta1")
RECORDING = SHIPPED / "recording" / "requests-recommendation.yaml"
RECORDED = "requests-recommendation-recorded.yaml"


@pytest.mark.anyio
@pytest.mark.parametrize("world", WORLDS)
async def test_every_metric_is_listed(world: World, prometheus: StartPrometheus, tmp_path: Path) -> None:
    """With the series of its exporter there, each metric of a file is in the lists, and nothing else is."""
    url = prometheus(world.series, now_seconds=NOW_SECONDS)
    network = httpx.AsyncHTTPTransport()
    listed: set[str] = set()

    folder = write_files(world, tmp_path / "world")
    async with open_adapter(world, folder, transport=network, begin_seconds=NOW_SECONDS, url=url) as adapter:
        for api in APIS:
            answer = await adapter.ask(f"/apis/{api}")
            if answer.status == 200:
                listed |= {one["name"] for one in json.loads(answer.body)["resources"]}

    wanted = {
        entry["metric"] if entry.get("external") else f"{entry['object']['resource']}/{entry['metric']}"
        for entry in yaml.safe_load(world.rules[world.shipped])["metrics"]
    }
    assert listed == wanted


@pytest.mark.parametrize("world", WORLDS)
def test_check_finds_nothing_wrong(world: World, prometheus: StartPrometheus) -> None:
    """`check` on that server is content: there are series and values, the labels are right, windows are wide enough."""
    url = prometheus(world.series, now_seconds=NOW_SECONDS)
    loaded, kinds = load_rules([str(SHIPPED / world.shipped)], {}), kubernetes_kinds()
    connection = open_checking_connection(PrometheusOptions(url=url), clock=time.monotonic)
    try:
        found = problems_on_server(
            compile_rules(loaded, Terms(kinds=kinds)).rulebook,
            loaded,
            connection,
            lambda _rule: None,
            kinds=kinds,
            at_seconds=NOW_SECONDS,
            max_age_seconds=3600,
        )
    finally:
        connection.close()

    assert [f"{one.code}: {one.message}" for one in found] == []


def recorded(url: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what Prometheus would record, rule by rule as one group does: its name and its samples, by their labels.

    Rules that read what others write are asked with these written out.
    """
    (group,) = yaml.safe_load(RECORDING.read_text(encoding="utf-8"))["groups"]
    written: dict[str, str] = {}
    for rule in group["rules"]:
        promql = rule["expr"]
        for name, expression in reversed(written.items()):
            promql = promql.replace(f"{name}[7d]", f"({expression})[7d:5m]").replace(name, f"({expression})")
        written[rule["record"]] = rule["expr"]
        parameters = {"query": promql, "time": str(NOW_SECONDS)}
        answer = httpx.get(f"{url}/api/v1/query", params=parameters, timeout=30, trust_env=False).json()
        assert answer["status"] == "success", answer
        yield (
            rule["record"],
            {json.dumps(row["metric"], sort_keys=True): row["value"][1] for row in answer["data"]["result"]},
        )


def test_the_recording_rules_write_what_is_read(prometheus: StartPrometheus) -> None:
    """From raw series the recording rules make the series, names, labels and values that the rule file asks for."""
    worlds = {world.shipped: world for world in read_corpus()}
    url = prometheus(worlds["requests-recommendation.yaml"].series, now_seconds=NOW_SECONDS)
    of = {"namespace": "shop", "deployment": "web"}

    found = dict(recorded(url))

    cases = [
        ("namespace_pod:deployment:info", {**of, "pod": "web-7d9c-aaaaa"}, 1),
        ("deployment_container:cpu_usage_cores:max", {**of, "container": "app"}, 0.35),
        ("deployment_container:cpu_usage_cores:p95_7d", {**of, "container": "app"}, 0.35),
        ("deployment_container:cpu_usage_cores:p95_7d", {**of, "container": "proxy"}, 0.05),
        ("deployment_container:memory_working_set_bytes:max", {**of, "container": "app"}, 200_000_000),
        ("deployment_container:memory_working_set_bytes:max_7d", {**of, "container": "app"}, 260_000_000),
        ("deployment_container:requests:max", {**of, "container": "proxy", "resource": "memory"}, 67_108_864),
    ]
    for name, labels, value in cases:
        assert float(found[name][json.dumps(labels, sort_keys=True)]) == pytest.approx(value), name
    assert found["deployment_container:memory_working_set_bytes:predicted_7d"]
    read = (SHIPPED / RECORDED).read_text(encoding="utf-8")
    assert [
        name for name in found if not name.endswith((":info", "cores:max", "bytes:max")) and f"({name}{{" not in read
    ] == []
