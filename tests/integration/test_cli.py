"""The commands against a real Prometheus: what they say is what it has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import adapter

if TYPE_CHECKING:
    from conftest import StartPrometheus

RUN = [sys.executable, "-c", "from adapter.cli.main import run; run()"]
SERIES = [
    'http_requests_total{namespace="shop",pod="web-1",code="200"} counter 2',
    'http_requests_total{namespace="shop",pod="web-1",code="500"} counter 0.5',
    'http_requests_total{namespace="shop",pod="web-2",code="200"} counter 3',
    'http_requests_total{namespace="test",pod="web-3",code="200"} counter 1',
    'queue_depth{namespace="shop",queue="a"} gauge 7',
    'queue_depth{namespace="shop",queue="b"} gauge NaN',
    'node_load1{node="n1"} gauge 0.25',
]
RULES = """
rules:
- id: http-rps
  seriesQuery: http_requests_total{namespace!="",pod!=""}
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  name: {matches: "^(.*)_total$", as: "${1}_per_second"}
  metricsQuery: sum(rate(<<.Series>>{<<.LabelMatchers>>}[2m])) by (<<.GroupBy>>)
- id: load
  seriesQuery: node_load1{node!=""}
  resources: {overrides: {node: {resource: node}}}
  metricsQuery: max(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
externalRules:
- id: depth
  seriesQuery: queue_depth{namespace!=""}
  resources: {overrides: {namespace: {resource: namespace}}}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (queue)
"""
OBJECTS = """
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Pod, metadata: {name: web-1, namespace: shop, labels: {app: web}}}
- {apiVersion: v1, kind: Pod, metadata: {name: web-2, namespace: shop, labels: {app: web}}}
- {apiVersion: v1, kind: Pod, metadata: {name: web-3, namespace: shop, labels: {app: web}}}
- {apiVersion: v1, kind: Node, metadata: {name: n1}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A folder with rules and objects, and a Prometheus with series."""

    folder: Path
    url: str

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command on the rules, the objects and the server."""
        return self.run_plain(*words, "--config", "rules.yaml", "--objects-file", "objects.yaml")

    def run_plain(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command on the server."""
        environment = {**os.environ, "PYTHONPATH": str(Path(adapter.__file__).parents[1])}
        argv = [*RUN, *words, "--prometheus-url", self.url]
        return subprocess.run(
            argv, cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    def explain(self, *words: str) -> dict[str, Any]:
        """Return what `explain` says for programs."""
        document: dict[str, Any] = json.loads(self.run("explain", *words, "--format", "json").stdout)
        return document


@pytest.fixture(scope="module")
def bench(module_prometheus: StartPrometheus, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Rules, objects, and a server whose series they are about."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "rules.yaml").write_text(RULES)
    (folder / "objects.yaml").write_text(OBJECTS)
    return Bench(folder=folder, url=module_prometheus(SERIES))


LISTED = [
    ("namespaces", "http_requests_per_second", "http-rps", "http_requests_total"),
    ("nodes", "node_load1", "load", "node_load1"),
    ("pods", "http_requests_per_second", "http-rps", "http_requests_total"),
    (None, "queue_depth", "depth", "queue_depth"),
]

VALUES = [
    (("pods/*", "http_requests_per_second", "-n", "shop", "-l", "app=web"), {"web-1": 2.5, "web-2": 3}),
    (("pods/web-1", "http_requests_per_second", "-n", "shop", "--metric-selector", "code=500"), {"web-1": 0.5}),
    (("namespaces/shop", "http_requests_per_second"), {"shop": 5.5}),
    (("nodes/n1", "node_load1"), {"n1": 0.25}),
    (("nodes", "node_load1"), {"n1": 0.25}),
]


def test_list_names_what_prometheus_has(bench: Bench) -> None:
    """Every metric that the rules make of the server's series is listed, with its rule and series."""
    document = json.loads(bench.run("list", "--format", "json").stdout)

    found = [(one["resource"], one["metric"], one["rule"], one["series"]) for one in document["metrics"]]
    assert found == LISTED
    assert (document["overlaps"], document["failing"]) == ([], [])


@pytest.mark.parametrize(("words", "values"), VALUES)
def test_explain_has_the_values_of_prometheus(bench: Bench, words: tuple[str, ...], values: dict[str, float]) -> None:
    """The items of an explanation are what the server computes for the objects."""
    document = bench.explain(*words)

    assert document["status"] == 200
    assert {item["object"]: item["value"] for item in document["items"]} == pytest.approx(values, rel=0.001)


def test_explain_finds_where_a_pod_has_its_series(bench: Bench) -> None:
    """A pod without a value is told together with the namespace that its series are in."""
    document = bench.explain("pods/*", "http_requests_per_second", "-n", "shop", "-l", "app=web")

    assert [one["object"] for one in document["missing"]] == ["web-3"]
    assert document["hints"] == ['http_requests_total with pod "web-3" exists in the namespace "test" only']


def test_explain_of_an_external_metric(bench: Bench) -> None:
    """A NaN of an external metric is left out, and the explanation has the sample and the reason."""
    document = bench.explain("external", "queue_depth", "-n", "shop")

    assert [(item["labels"], item["quantity"]) for item in document["items"]] == [({"queue": "a"}, "7")]
    assert sorted(sample["value"] for sample in document["samples"]) == ["7", "NaN"]
    assert any("NaN" in step["text"] for step in document["steps"])


def test_explain_of_a_series_name(bench: Bench) -> None:
    """Who asks for the series' own name is told the name that the rule gives."""
    document = bench.explain("pods/*", "http_requests_total", "-n", "shop", "-l", "app=web")

    assert (document["status"], document["error"]["reason"]) == (404, "NotFound")
    assert document["hints"][0].endswith('serves the series http_requests_total as "http_requests_per_second"')


def test_the_link_is_a_page_of_prometheus(bench: Bench) -> None:
    """The address that an explanation gives for its query is one that the server answers."""
    import httpx  # noqa: PLC0415 - the client of the other tests

    link = bench.explain("nodes/n1", "node_load1")["link"]

    answer = httpx.get(link, follow_redirects=True, trust_env=False)
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, "text/html")


def test_get_is_a_table_of_the_same_values(bench: Bench) -> None:
    """`get` shows the objects with their values and the rule that gave them."""
    done = bench.run("get", "nodes", "node_load1")

    header, row = done.stdout.splitlines()
    assert header.split() == ["OBJECT", "VALUE", "QUANTITY", "AGE", "RULE"]
    assert (row.split()[:3], row.split()[-1]) == (["n1", "0.25", "250m"], "load")


def test_check_asks_the_server(bench: Bench) -> None:
    """A rule whose series the server does not have is a finding of the live checks, and says where it is written."""
    (bench.folder / "more.yaml").write_text(RULES.replace("node_load1", "node_load2"))

    done = bench.run_plain("check", "more.yaml", "--format", "json")

    document = json.loads(done.stdout)
    assert document["summary"]["prometheus"] is True
    assert {one["rule"] for one in document["problems"] if one["code"].startswith("live/")} == {"load"}


def test_default_rules_serve_what_there_is(bench: Bench) -> None:
    """The rules that `config-gen` prints can be used as they are."""
    rules = subprocess.run([*RUN, "config-gen"], capture_output=True, text=True, check=True, cwd=Path.cwd())
    (bench.folder / "default.yaml").write_text(rules.stdout)

    document = json.loads(bench.run_plain("list", "--config", "default.yaml", "--format", "json").stdout)

    found = {(one["resource"], one["metric"], one["rule"]) for one in document["metrics"]}
    assert ("pods", "http_requests", "rules[4]") in found
    assert document["failing"] == []
