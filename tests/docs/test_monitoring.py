"""Alerts and dashboard ask for metrics that exist, with labels that these have, and lead to pages that help."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapter.promql.ast import parse_error, parse_query
from adapter.runtime.telemetry import METRICS

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "deploy" / "monitoring"
COMPONENT = ROOT / "deploy" / "kubernetes" / "components" / "prometheus-rule" / "prometheus-rule.yaml"
PAGE = ROOT / "docs" / "operations.md"
RUNBOOKS = "https://github.com/tidegauge/tidegauge/blob/main/docs/operations.md#"

ALERTS: list[dict[str, Any]] = yaml.safe_load((MONITORING / "alerts.yaml").read_text(encoding="utf-8"))["groups"][0][
    "rules"
]
DASHBOARD: dict[str, Any] = json.loads((MONITORING / "dashboard.json").read_text(encoding="utf-8"))
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]

# What Prometheus adds to each series that it scrapes.
TARGET = {"namespace", "job", "pod", "instance"}
OURS = {
    f"{metric.name}{suffix}": {*metric.labels, *extra}
    for metric in METRICS
    for suffix, extra in (
        [("_bucket", {"le"}), ("_count", set()), ("_sum", set())] if metric.type == "histogram" else [("", set())]
    )
}
# Metrics of others: of kube-apiserver, of the library's collector of the process, and Prometheus' own.
OTHERS: dict[str, set[str]] = {
    "aggregator_unavailable_apiservice": {"name"},
    "process_resident_memory_bytes": set(),
    "process_cpu_seconds_total": set(),
    "ALERTS": {"alertname", "alertstate"},
}


def _queries() -> Iterator[tuple[str, str]]:
    """Yield a name and the PromQL of everything; variables of Grafana are replaced by what may stand there."""
    yield from ((alert["alert"], alert["expr"]) for alert in ALERTS)
    for panel in PANELS:
        yield from ((f"{panel['title']} {one['refId']}", one["expr"]) for one in panel["targets"])
    yield from ((one["name"], one["expr"]) for one in DASHBOARD["annotations"]["list"])
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            metric = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"])
            assert metric
            yield variable["name"], f"sum by ({metric[2]}) ({metric[1]})"


QUERIES = [(name, text.replace("$__rate_interval", "5m")) for name, text in _queries()]


@pytest.mark.parametrize(("name", "text"), QUERIES, ids=[name for name, _ in QUERIES])
def test_queries_ask_for_what_there_is(name: str, text: str) -> None:
    """Each query can be read, and its metrics and their labels are in our table or in the short list of others'."""
    assert parse_error(text) is None
    query = parse_query(text)
    assert query is not None
    known = OURS | OTHERS
    selectors = [one.selector for one in query.selectors if one.selector is not None]
    metrics = {one.metric or "" for one in selectors}

    assert len(selectors) == len(query.selectors)
    assert metrics
    assert metrics <= set(known)
    assert all({matcher.name for matcher in one.matchers} <= known[one.metric or ""] | TARGET for one in selectors)
    labels = set.union(*(known[metric] for metric in metrics)) | TARGET
    grouped = [label.strip() for group in re.findall(r"\bby \(([^)]*)\)", text) for label in group.split(",")]
    assert set(grouped) <= labels


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_says_what_to_do(alert: dict[str, Any]) -> None:
    """It waits, has a severity, says what is wrong and what that means, and its runbook is a heading of our page."""
    headings = re.findall(r"^### (\w+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)

    assert alert["alert"] in headings
    assert alert["annotations"]["runbook_url"] == RUNBOOKS + alert["alert"].lower()
    assert alert["labels"] == {"severity": alert["labels"]["severity"]}
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert set(alert) == {"alert", "expr", "for", "labels", "annotations"}
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}


def test_no_runbook_is_about_an_alert_that_is_gone() -> None:
    """The headings of the page, in this order, are the alerts."""
    headings = re.findall(r"^### (Tidegauge\w+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)

    assert headings == [alert["alert"] for alert in ALERTS]


def test_the_prometheus_rule_has_the_same_groups() -> None:
    """The component of the Prometheus operator, which can refer to no file, is a faithful copy."""
    plain = yaml.safe_load((MONITORING / "alerts.yaml").read_text(encoding="utf-8"))

    assert yaml.safe_load(COMPONENT.read_text(encoding="utf-8"))["spec"] == plain


def test_the_resource_rules_of_the_manifests_are_those_of_config() -> None:
    """The component resource-metrics brings a faithful copy of the rules for kube-prometheus."""
    copy = ROOT / "deploy" / "kubernetes" / "components" / "resource-metrics" / "resource.yaml"

    assert copy.read_text(encoding="utf-8") == (ROOT / "config" / "resource-node-exporter.yaml").read_text(
        encoding="utf-8"
    )


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_explains_itself(panel: dict[str, Any]) -> None:
    """It has a title, a sentence, a unit, and asks the Prometheus that was chosen."""
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    assert [panel["datasource"], *(one["datasource"] for one in panel["targets"])] == [chosen] * (
        len(panel["targets"]) + 1
    )
    assert all('job=~"$job"' in one["expr"] for one in panel["targets"])


def test_panels_do_not_cover_each_other() -> None:
    """Ids are unique, and every cell of Grafana's 24 columns belongs to one panel at most."""
    cells = [
        cell
        for panel in PANELS
        for cell in itertools.product(
            range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"]),
            range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"]),
        )
    ]

    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    assert len(set(cells)) == len(cells)
    assert max(column for column, _ in cells) < 24
