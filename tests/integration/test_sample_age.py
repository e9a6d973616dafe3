"""Does `maxSampleAge` tell what a real Prometheus' look-back and ranges hide?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import adapter

if TYPE_CHECKING:
    from conftest import StartPrometheus

# `old` series ended 20 minutes ago.
SERIES = [
    'load{namespace="shop",pod="young"} gauge 3',
    'load{namespace="shop",pod="gone"} old 9',
    'load{namespace="shop",pod="half"} gauge 8',
    'limit{namespace="shop",pod="young"} gauge 2',
    'limit{namespace="shop",pod="half"} old 2',
    'queue{namespace="shop",queue="a"} old 4',
]
RULES = """
rules:
- seriesQuery: load{{namespace!="",pod!=""}}
  resources: {{overrides: {{namespace: {{resource: namespace}}, pod: {{resource: pod}}}}}}
  metricsQuery: max by (<<.GroupBy>>) (last_over_time(load{{<<.LabelMatchers>>}}[30m]))
  maxSampleAge: {age}
- seriesQuery: load{{namespace!="",pod!=""}}
  resources: {{overrides: {{namespace: {{resource: namespace}}, pod: {{resource: pod}}}}}}
  name: {{as: ratio}}
  metricsQuery: >-
    max by (<<.GroupBy>>) (last_over_time(load{{<<.LabelMatchers>>}}[30m]))
    / max by (<<.GroupBy>>) (last_over_time(limit{{<<.LabelMatchers>>}}[30m]))
  maxSampleAge: {age}
externalRules:
- seriesQuery: queue{{namespace!=""}}
  resources: {{overrides: {{namespace: {{resource: namespace}}}}}}
  metricsQuery: sum by (queue) (last_over_time(<<.Series>>{{<<.LabelMatchers>>}}[30m]))
  maxSampleAge: {age}
"""
OBJECTS = """
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Pod, metadata: {name: young, namespace: shop, labels: {app: web}}}
- {apiVersion: v1, kind: Pod, metadata: {name: gone, namespace: shop, labels: {app: web}}}
- {apiVersion: v1, kind: Pod, metadata: {name: half, namespace: shop, labels: {app: web}}}
"""
CASES = [
    ("pods/* load", "2m", {"young", "half"}),
    ("pods/* load", "10m", {"young", "half"}),
    ("pods/* load", "1h", {"young", "gone", "half"}),
    ("pods/* ratio", "2m", {"young"}),
    ("pods/* ratio", "1h", {"young", "half"}),
    ("external queue", "10m", set()),
    ("external queue", "1h", {"a"}),
]


@pytest.fixture(scope="module")
def url(module_prometheus: StartPrometheus) -> str:
    """A Prometheus with series of which some have ended."""
    return module_prometheus(SERIES)


@pytest.mark.parametrize(("request_text", "age", "expected"), CASES)
def test_old_values_count_as_absent(url: str, tmp_path: Path, request_text: str, age: str, expected: set[str]) -> None:
    """A value is left out when the newest raw sample of some selector that it needs is older than the rule allows."""
    (tmp_path / "rules.yaml").write_text(RULES.format(age=age))
    (tmp_path / "objects.yaml").write_text(OBJECTS)

    document = asked(tmp_path, url, request_text)

    named = {
        item["describedObject"]["name"] if "describedObject" in item else item["metricLabels"]["queue"]
        for item in document["items"]
    }
    assert named == expected


def asked(folder: Path, url: str, request: str) -> dict[str, Any]:
    """Return the document that a request gets."""
    command = [sys.executable, "-c", "from adapter.cli.main import run; run()", "get", *request.split()]
    files = ["--config=rules.yaml", "--objects-file=objects.yaml", f"--prometheus-url={url}", "--metrics-max-age=2h"]
    done = subprocess.run(
        [*command, "--namespace=shop", "--format=json", *files],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(adapter.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document
