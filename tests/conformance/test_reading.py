"""The corpus' own reader: what cannot be meant is refused, and an answer other than the expected one is noticed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapter.server.calls import Answer
from conformance.corpus import Labelled, Step
from conformance.faults import answer_faults, query_faults
from conformance.reading import BadCaseError, labelled, read_corpus

WORLD = """
about: a world
rules: "rules: []"
cases:
- name: a case
  custom: /namespaces/shop/pods/*/hits
  promql: hits
  samples: '{pod="web-0"} 2.5'
  items: {web-0: 2500m}
"""
EXTERNAL = """
about: a world
rules: "rules: []"
cases:
- name: a case
  external: /namespaces/shop/depth
  promql: depth
  samples: '{queue="mail"} 2.5'
  items: '{queue="mail"} 2500m'
"""
REFUSED = """
about: a world
rules: "rules: []"
cases:
- {name: a case, external: /namespaces/shop/depth, status: 404, error: could not find the metric depth}
"""
POD: dict[str, Any] = {"kind": "Pod", "namespace": "shop", "name": "web-0", "apiVersion": "/v1"}
ITEM: dict[str, Any] = {
    "describedObject": POD,
    "metric": {"name": "hits", "selector": None},
    "timestamp": "2026-11-20T11:00:34Z",
    "windowSeconds": 60,
    "value": "2500m",
}
LIST: dict[str, Any] = {
    "kind": "MetricValueList",
    "apiVersion": "custom.metrics.k8s.io/v1beta2",
    "metadata": {},
    "items": [ITEM],
}
EXTERNAL_ITEM: dict[str, Any] = {
    "metricName": "depth",
    "metricLabels": {"queue": "mail"},
    "timestamp": "2026-11-20T11:00:34Z",
    "value": "2500m",
}
EXTERNAL_LIST: dict[str, Any] = {
    "kind": "ExternalMetricValueList",
    "apiVersion": "external.metrics.k8s.io/v1beta1",
    "metadata": {},
    "items": [EXTERNAL_ITEM],
}
STATUS: dict[str, Any] = {
    "kind": "Status",
    "apiVersion": "v1",
    "metadata": {},
    "status": "Failure",
    "message": "the server could not find the metric depth for ",
    "reason": "NotFound",
    "code": 404,
}


def only_step(text: str, folder: Path) -> Step:
    """Return the only step of the only case of a world."""
    (folder / "world.yaml").write_text(text)
    return read_corpus(folder)[0].cases[0].steps[0]


def answer(document: Any, status: int = 200) -> Answer:
    """Return an answer with a document."""
    return Answer(status=status, body=json.dumps(document).encode() + b"\n")


@pytest.mark.parametrize(
    "document",
    [
        LIST | {"kind": "MetricValue"},
        LIST | {"apiVersion": "custom.metrics.k8s.io/v1beta1"},
        LIST | {"metadata": {"resourceVersion": "1"}},
        LIST | {"items": []},
        LIST | {"items": [ITEM, ITEM]},
        LIST | {"items": [ITEM | {"value": "2.5"}]},
        LIST | {"items": [ITEM | {"timestamp": "2026-11-20T11:00:35Z"}]},
        LIST | {"items": [ITEM | {"windowSeconds": 61}]},
        LIST | {"items": [ITEM | {"metric": {"name": "hit", "selector": None}}]},
        LIST | {"items": [ITEM | {"metric": {"name": "hits", "selector": {}}}]},
        LIST | {"items": [ITEM | {"describedObject": POD | {"name": "web-1"}}]},
        LIST | {"items": [ITEM | {"describedObject": POD | {"namespace": "bank"}}]},
        LIST | {"items": [ITEM | {"describedObject": POD | {"apiVersion": "v1"}}]},
    ],
)
def test_a_wrong_list_of_objects_is_noticed(document: Any, tmp_path: Path) -> None:
    """Each part of a list of custom metrics is compared."""
    step = replace(only_step(WORLD, tmp_path), kind="Pod /v1", window="60")

    assert not list(answer_faults(step, answer(LIST)))
    assert list(answer_faults(step, answer(document)))


@pytest.mark.parametrize(
    "document",
    [
        EXTERNAL_LIST | {"apiVersion": "external.metrics.k8s.io/v1"},
        EXTERNAL_LIST | {"items": []},
        EXTERNAL_LIST | {"items": [EXTERNAL_ITEM | {"value": "2"}]},
        EXTERNAL_LIST | {"items": [EXTERNAL_ITEM | {"metricLabels": {}}]},
        EXTERNAL_LIST | {"items": [EXTERNAL_ITEM | {"metricLabels": None}]},
        EXTERNAL_LIST | {"items": [EXTERNAL_ITEM | {"metricName": "queue"}]},
        EXTERNAL_LIST | {"items": [EXTERNAL_ITEM | {"timestamp": "2026-11-20T11:00:35Z"}]},
        EXTERNAL_LIST | {"items": [EXTERNAL_ITEM | {"window": 60}]},
    ],
)
def test_a_wrong_external_list_is_noticed(document: Any, tmp_path: Path) -> None:
    """Each part of a list of external metrics is compared."""
    step = replace(only_step(EXTERNAL, tmp_path), window="none")

    assert not list(answer_faults(step, answer(EXTERNAL_LIST)))
    assert list(answer_faults(step, answer(document)))


@pytest.mark.parametrize(
    "document",
    [
        STATUS | {"kind": "Error"},
        STATUS | {"status": "Success"},
        STATUS | {"reason": "BadRequest"},
        STATUS | {"code": 500},
        STATUS | {"message": "no"},
        {"paths": []},
    ],
)
def test_a_wrong_status_is_noticed(document: Any, tmp_path: Path) -> None:
    """Each part of a Status is compared."""
    step = only_step(REFUSED, tmp_path)

    assert not list(answer_faults(step, answer(STATUS, 404)))
    assert list(answer_faults(step, answer(document, 404)))


def test_another_status_body_or_query_is_noticed(tmp_path: Path) -> None:
    """The code, the bytes and the queries are compared as they are."""
    step = only_step(WORLD, tmp_path)

    assert list(answer_faults(step, answer(LIST, 404)))
    assert list(answer_faults(replace(step, body="{}"), answer({"a": 1})))
    assert not list(answer_faults(replace(step, body="{}"), answer({})))
    assert list(answer_faults(replace(step, listed=("pods/a",)), answer({"resources": [{"name": "pods/b"}]})))
    assert not list(query_faults(step, ["hits"]))
    assert all(list(query_faults(step, asked)) for asked in ([], ["hits", "hits"], ["hit"]))
    assert list(query_faults(replace(step, cached=True), ["hits"]))


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("  promql: hits\n", "", "what Prometheus answers needs a query"),
        ("  samples: '{pod=\"web-0\"} 2.5'\n", "", "a query needs an answer"),
        ("  items: {web-0: 2500m}\n", "", "an answer of 200 has items, a list or a body"),
        ("  items:", "  status: 404\n  error: x\n  items:", "an error has no items"),
        ("  items: {web-0: 2500m}\n", "  status: 404\n", "an error has an error text or a body"),
        ("  items:", "  itmes: {}\n  items:", "unknown keys"),
        ("about: a world", "abuot: a world", "unknown keys"),
        ("about: a world", "", "no \\['about'\\]"),
        ('rules: "rules: []"', "", "either rules or shipped"),
        ("about: a world", "about: a world\nshipped: kafka.yaml", "either rules or shipped"),
        ("web-0\"} 2.5'", "web-0\"} 2.5 3'", "not a sample"),
        ('{pod="web-0"}', "{pod=web-0}", "labels cannot be read"),
        ("- name: a case", "- {name: a case, path: /, items: {}}\n- name: a case", "two cases have one name"),
    ],
)
def test_a_case_that_cannot_be_meant_is_refused(old: str, new: str, why: str, tmp_path: Path) -> None:
    """A slip in a case is an error with its reason, never a case that checks less."""
    assert old in WORLD

    with pytest.raises(BadCaseError, match=why):
        only_step(WORLD.replace(old, new), tmp_path)


@pytest.mark.parametrize(
    ("line", "labels", "value"),
    [
        ("5", None, "5"),
        ("NaN", None, "NaN"),
        ("null 500m", None, "500m"),
        ("{} 1", {}, "1"),
        ('{a="b c",d="e\\"f"} +Inf', {"a": "b c", "d": 'e"f'}, "+Inf"),
        ('up{job="x"} 1', {"__name__": "up", "job": "x"}, "1"),
        ("up 1", {"__name__": "up"}, "1"),
        ('{"k8s.pod"="x"} 1', {"k8s.pod": "x"}, "1"),
    ],
)
def test_lines(line: str, labels: dict[str, str] | None, value: str) -> None:
    """Samples and items are written as Prometheus prints them."""
    assert labelled(line) == Labelled(labels=labels, value=value)
