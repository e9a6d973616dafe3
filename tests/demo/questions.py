"""What an HPA asks the adapter in the demo, and what comes back."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx

from demo.autoscaler import Hpa, number
from demo.scene import COMMAND, RULES, Scene
from demo.workload import NAMESPACE

CUSTOM = "/apis/custom.metrics.k8s.io/v1beta2"
EXTERNAL = "/apis/external.metrics.k8s.io/v1beta1"
_EXPLAIN_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The values of one answer by object (external: by labels), and when they were evaluated in seconds since 1970."""

    values: Mapping[str, float]
    at_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """Where an answer comes from."""

    rule: str
    promql: str


def path_of(hpa: Hpa) -> str:
    """Return the path that the HPA controller asks for."""
    if hpa.kind == "Pods":
        selector = quote(f"app={hpa.name}", safe="")
        return f"{CUSTOM}/namespaces/{NAMESPACE}/pods/*/{hpa.metric}?labelSelector={selector}"
    if hpa.kind == "Object":
        return f"{CUSTOM}/namespaces/{NAMESPACE}/deployments.apps/{hpa.name}/{hpa.metric}"
    selector = quote(hpa.selector, safe="")
    return f"{EXTERNAL}/namespaces/{NAMESPACE}/{hpa.metric}?labelSelector={selector}"


def ask(scene: Scene, path: str) -> Answer:
    """Return what the adapter answers; an error of any kind is an answer without values, as an HPA takes it."""
    try:
        answer = scene.adapter.get(path)
    except httpx.TransportError:
        return Answer(values={}, at_seconds=None)
    if answer.status_code != httpx.codes.OK:
        return Answer(values={}, at_seconds=None)
    return read_answer(answer.json())


def read_answer(document: Mapping[str, Any]) -> Answer:
    """Return the values of a MetricValueList or an ExternalMetricValueList."""
    items = document["items"]
    times = [datetime.fromisoformat(item["timestamp"]).timestamp() for item in items]
    return Answer(values={_name(item): number(item["value"]) for item in items}, at_seconds=max(times, default=None))


def _name(item: Mapping[str, Any]) -> str:
    if "describedObject" in item:
        return str(item["describedObject"]["name"])
    return ",".join(f"{key}={value}" for key, value in sorted((item["metricLabels"] or {}).items()))


def discovered(scene: Scene) -> dict[str, list[str]]:
    """Return the names that each API lists, by API path."""
    found = {}
    for path in (CUSTOM, EXTERNAL):
        answer = scene.adapter.get(path)
        listed = answer.json()["resources"] if answer.status_code == httpx.codes.OK else []
        found[path] = sorted(item["name"] for item in listed)
    return found


def explain(scene: Scene, path: str) -> Explained | str:
    """Return where the answer to a request comes from, by `tidegauge explain`; a text says why that is not known."""
    argv = [COMMAND, "explain", path, "--config", RULES, "--prometheus-url", scene.prometheus_url]
    argv += ["--objects-file", scene.objects, "--format", "json"]
    try:
        done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=_EXPLAIN_SECONDS)
        document = json.loads(done.stdout)
        if document["promql"] is None:
            return f"no query was sent: {document['error']}"
        return Explained(rule=str(document["rule"]), promql=str(document["promql"]))
    except subprocess.TimeoutExpired:
        return f"tidegauge explain took longer than {_EXPLAIN_SECONDS:.0f} s"
    except (ValueError, KeyError):
        return f"tidegauge explain: {done.stderr.strip()[-300:] or done.stdout.strip()[-300:]}"
