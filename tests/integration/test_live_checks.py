"""What `check` finds out from a real Prometheus."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import httpx
import pytest
from rig.processes import wait_until
from rig.prometheus import PrometheusFiles, PrometheusProcess

from adapter.cli.live_checks import problems_on_server
from adapter.clients.inspection import open_checking_connection
from adapter.clients.options import PrometheusOptions
from adapter.config.load import load_rules
from adapter.kube.resources import kubernetes_kinds
from adapter.rules.compile import Terms, compile_rules

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import StartPrometheus

    from adapter.config.problems import Problem

LONG_AGO = 1_700_000_000.0  # seconds since 1970: a fixed time makes every answer the same on every run
PODS = "resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}"
RATE = "metricsQuery: sum(rate(<<.Series>>{<<.LabelMatchers>>}[2m])) by (<<.GroupBy>>)"
SUM = "metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)"

SERIES = [
    'hits_total{namespace="shop",pod="web-1",code="200"} counter 2',
    'hits_total{namespace="shop",pod="web-1",code="500"} counter 1',
    'hits_total{namespace="shop",pod="web-2",code="200"} counter 2',
    'hits_total{namespace="bar",pod="web-1",code="200"} counter 3',
    'alone_total{namespace="a",pod="x"} counter 1',
    'some_twice{namespace="a",pod="x"} gauge 1',
    'some_twice{namespace="b",pod="y",core="0"} gauge 1',
    'some_twice{namespace="b",pod="y",core="1"} gauge 1',
    'nowhere{pod="web-1"} gauge 1',
    'stranger{host="web-1"} gauge 1',
    'load{node="n1"} gauge 1',
    'depth{namespace="shop",queue="mail"} gauge 3',
    'deep{queue="mail"} gauge 3',
    'gone{namespace="shop",pod="web-1"} old 7',
    'old_total{namespace="shop",pod="web-1"} counter 1',
    'new_total{namespace="shop",pod="web-1"} counter 1',
]


@pytest.fixture(scope="module")
def world(module_prometheus: StartPrometheus) -> str:
    """One server with all series that the tables speak of."""
    return module_prometheus(SERIES, now_seconds=LONG_AGO)


def rule(*keys: str, section: str = "rules") -> str:
    """Return a file with one rule of these keys."""
    return f"{section}:\n- " + "\n  ".join(keys) + "\n"


def found(url: str, text: str, directory: Path, *, at_seconds: float = LONG_AGO) -> list[Problem]:
    """Return what the server says about a rules file."""
    path = directory / "rules.yaml"
    path.write_text(text)
    loaded, kinds = load_rules([str(path)], {}), kubernetes_kinds()
    compiled = compile_rules(loaded, Terms(kinds=kinds))
    assert not compiled.has_errors, compiled.problems
    connection = open_checking_connection(PrometheusOptions(url=url), clock=time.monotonic)
    asked: list[str] = []
    try:
        return problems_on_server(
            compiled.rulebook,
            loaded,
            connection,
            asked.append,
            kinds=kinds,
            at_seconds=at_seconds,
            max_age_seconds=3600,
        )
    finally:
        connection.close()
        assert set(asked) == {one.id for one in compiled.rulebook.rules}


GOOD = [
    ("a rate", rule("seriesQuery: hits_total", PODS, RATE)),
    ("a gauge of nodes", rule("seriesQuery: load", "resources: {overrides: {node: {resource: node}}}", SUM)),
    ("a template", rule("seriesQuery: hits_total", "resources: {template: <<.Resource>>}", RATE)),
    ("one sample each", rule("seriesQuery: alone_total", PODS, "metricsQuery: rate(<<.Series>>{<<.LabelMatchers>>}[2m])")),
    ("several, and it is said which", rule("seriesQuery: some_twice", PODS, "onDuplicates: max", "metricsQuery: some_twice{<<.LabelMatchers>>}")),
    ("values by name", rule("seriesQuery: some_twice", PODS, 'metricsQuery: sum(some_twice{pod=~"<<index .LabelValuesByName "pod">>"}) by (pod)')),
    ("an external sum", rule("seriesQuery: depth", PODS, "metricsQuery: sum(depth{<<.LabelMatchers>>})", section="externalRules")),
    ("an external default", rule("seriesQuery: depth", "metricsQuery: sum(depth{<<.LabelMatchers>>})", section="externalRules")),
    ("an external scalar", rule("seriesQuery: depth", PODS, "metricsQuery: scalar(sum(depth{<<.LabelMatchers>>}))", section="externalRules")),
    ("no namespace", rule("seriesQuery: deep", "resources: {namespaced: false}", "metricsQuery: sum(deep{<<.LabelMatchers>>})", section="externalRules")),
    ("a metric", rule("metric: m", "object: {resource: pods, label: pod}", "namespaceLabel: namespace", "query: sum by (pod) (rate(hits_total{<<.LabelMatchers>>}[2m]))", section="metrics")),
]  # fmt: skip

FOUND = [
    ("live/no-series", rule("seriesQuery: nothing", PODS, SUM)),
    ("live/no-series", rule("metric: m", "external: true", "query: sum(nothing{<<.LabelMatchers>>})", section="metrics")),
    ("live/nothing-named", rule("seriesQuery: '{__name__=~\"hits.*\"}'", PODS, RATE, "seriesFilters: [{is: ^requests}]")),
    ("live/no-object-label", rule("seriesQuery: stranger", PODS, SUM)),
    ("live/no-object-label", rule("metric: m", "object: {resource: pods, label: p}", "namespaceLabel: namespace", "query: sum by (p) (depth{<<.LabelMatchers>>})", section="metrics")),
    ("live/no-namespace-label", rule("seriesQuery: nowhere", PODS, SUM)),
    ("live/no-namespace-label", rule("seriesQuery: deep", "metricsQuery: sum(deep{<<.LabelMatchers>>})", section="externalRules")),
    ("live/label-absent", rule("seriesQuery: hits_total", PODS.replace("pod:", "svc: {resource: service}, pod:"), RATE)),
    ("live/selector-rejected", rule("seriesQuery: sum(hits_total)", PODS, SUM)),
    ("live/query-rejected", rule("seriesQuery: depth", PODS, "metricsQuery: nope(depth{<<.LabelMatchers>>})", section="externalRules")),
    ("live/query-rejected", rule("seriesQuery: nothing", PODS, "metricsQuery: nope(<<.Series>>{<<.LabelMatchers>>})")),
    ("live/no-value", rule("seriesQuery: hits_total", PODS, 'metricsQuery: sum(hits_total{<<.LabelMatchers>>,code="404"}) by (pod)')),
    ("live/no-value", rule("seriesQuery: gone", PODS, SUM)),
    ("live/result-without-label", rule("seriesQuery: hits_total", PODS, 'metricsQuery: label_replace(sum(rate(hits_total{<<.LabelMatchers>>}[2m])) by (pod), "pod", "", "", "")')),
    ("live/several-samples", rule("seriesQuery: hits_total", PODS, "metricsQuery: rate(<<.Series>>{<<.LabelMatchers>>}[2m])")),
    ("live/several-samples", rule("seriesQuery: some_twice", PODS, "metricsQuery: <<.Series>>{<<.LabelMatchers>>}")),
    ("live/utf8-names", rule("seriesQuery: hits_total", PODS.replace("pod:", "app.pod: {resource: service}, pod:"), RATE)),
    ("live/overlap", rule("seriesQuery: '{__name__=~\"(old|new)_total\"}'", PODS, RATE, "name: {as: rate}")),
    ("window/short", rule("seriesQuery: hits_total", PODS, RATE.replace("2m", "20s"))),
    ("window/tight", rule("seriesQuery: hits_total", PODS, RATE.replace("2m", "45s"))),
    ("query/no-vector", rule("seriesQuery: hits_total", PODS, "metricsQuery: hits_total{<<.LabelMatchers>>}[2m]")),
]  # fmt: skip

# What follows from the first problem, and is worth saying too.
WITH = {"live/query-rejected": {"live/no-series"}, "live/utf8-names": {"live/label-absent", "live/selector-rejected"}, "window/short": {"live/no-value"}}  # fmt: skip


@pytest.mark.parametrize(("name", "text"), GOOD, ids=[name for name, _ in GOOD])
def test_good_rules_have_no_problem(name: str, text: str, world: str, tmp_path: Path) -> None:
    """A rule that works on the server is not complained about."""
    assert [f"{one.code}: {one.message}" for one in found(world, text, tmp_path)] == []


@pytest.mark.parametrize(("code", "text"), FOUND, ids=[f"{code}-{index}" for index, (code, _) in enumerate(FOUND)])
def test_what_does_not_work_here_is_found(code: str, text: str, world: str, tmp_path: Path) -> None:
    """Each rule of the table has, on this server, the problem that stands beside it, and a place in the file."""
    problems = found(world, text, tmp_path)

    assert code in {one.code for one in problems}
    assert {one.code for one in problems} - {code} <= WITH.get(code, set())
    assert all(one.location.line > 0 for one in problems)


def test_the_server_is_quoted(world: str, tmp_path: Path) -> None:
    """What Prometheus refuses is reported in its own words, with the query that it was sent."""
    text = rule("seriesQuery: hits_total", PODS, "metricsQuery: nope(<<.Series>>{<<.LabelMatchers>>})")

    (problem,) = found(world, text, tmp_path)

    assert 'unknown function with name "nope"' in problem.message
    assert 'nope(hits_total{namespace="' in problem.message


def test_several_samples_say_whose_and_why(world: str, tmp_path: Path) -> None:
    """The object with the most samples is found among all, also when another one was looked at first."""
    text = rule("seriesQuery: some_twice", PODS, "metricsQuery: <<.Series>>{<<.LabelMatchers>>}")

    (problem,) = found(world, text, tmp_path)

    assert "2 samples for y" in problem.message


def test_a_rule_on_an_empty_server_is_tried_all_the_same(prometheus: StartPrometheus, tmp_path: Path) -> None:
    """A server without series still says whether it takes the queries."""
    url = prometheus(now_seconds=LONG_AGO)

    codes = [one.code for one in found(url, rule("seriesQuery: hits_total", PODS, "metricsQuery: nope(1)"), tmp_path)]

    assert codes == ["live/no-series", "live/query-rejected"]


def test_many_series_are_counted(prometheus: StartPrometheus, tmp_path: Path) -> None:
    """A series query that names no metric is reported with how much it takes."""
    url = prometheus([f'a_{n % 2}{{pod="p{n}",namespace="x"}} gauge 1' for n in range(10_000)], now_seconds=LONG_AGO)

    (problem,) = found(url, rule("seriesQuery: '{pod!=\"\"}'", PODS, SUM), tmp_path)

    assert (problem.code, "10,000 series of 2 metrics" in problem.message) == ("live/many-series", True)


# ---- types: only a server that scrapes knows them

EXPOSED = """\
# TYPE grown counter
grown{namespace="x",pod="p"} 5
# TYPE level gauge
level{namespace="x",pod="p"} 5
# TYPE took histogram
took_bucket{namespace="x",pod="p",le="+Inf"} 5
took_sum{namespace="x",pod="p"} 5
took_count{namespace="x",pod="p"} 5
"""
TYPES = [
    ("grown", "sum(grown{<<.LabelMatchers>>}) by (pod)", ["query/counter-without-rate"]),
    ("level", "sum(level{<<.LabelMatchers>>}) by (pod)", []),
    ("took_count", "sum(took_count{<<.LabelMatchers>>}) by (pod)", ["query/counter-without-rate"]),
    ("took_bucket", "sum(took_bucket{<<.LabelMatchers>>}) by (pod)", []),  # its name alone has said so
    (
        "level",
        "max_over_time(level{<<.LabelMatchers>>}[1m]) or rate(level{<<.LabelMatchers>>}[1m])",
        ["query/rate-of-gauge"],
    ),
]


class Exposition(BaseHTTPRequestHandler):
    """A target with a counter, a gauge and a histogram."""

    def do_GET(self) -> None:
        """Answer a scrape."""
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(EXPOSED.encode())

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture(scope="module")
def scraping(prometheus_binaries: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that scrapes a target, so that it knows types."""
    target = ThreadingHTTPServer(("127.0.0.1", 0), Exposition)
    threading.Thread(target=target.serve_forever, daemon=True).start()
    config = (
        "global: {scrape_interval: 1s}\n"
        f"scrape_configs: [{{job_name: t, static_configs: [{{targets: ['127.0.0.1:{target.server_port}']}}]}}]\n"
    )
    files = PrometheusFiles(binaries=prometheus_binaries, home=tmp_path_factory.mktemp("scraping"))
    with PrometheusProcess.start(files, config=config) as server:
        wait_until("the third scrape", lambda: _scrapes(server.url) > 2, timeout_seconds=30)
        yield server.url
    target.shutdown()
    target.server_close()


def _scrapes(url: str) -> float:
    params = {"query": "sum(count_over_time(level[1h]))"}
    result = httpx.get(f"{url}/api/v1/query", params=params, trust_env=False).json()["data"]["result"]
    return float(result[0]["value"][1]) if result else 0.0


@pytest.mark.parametrize(("series", "query", "expected"), TYPES, ids=[query for _, query, _ in TYPES])
def test_types_come_from_the_targets(
    series: str, query: str, expected: list[str], scraping: str, tmp_path: Path
) -> None:
    """Counters without rate and rates of gauges are found by type, whatever their names say."""
    text = rule(f"seriesQuery: {series}", PODS, f"metricsQuery: {query}")

    problems = found(scraping, text, tmp_path, at_seconds=time.time())

    assert [one.code for one in problems] == expected
