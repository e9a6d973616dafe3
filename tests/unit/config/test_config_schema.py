"""What the models take, and the schema that editors get."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from adapter.config.load import load_rules
from adapter.config.schema import BackendEntry, Rule, RulesFile, SeriesFilter, json_schema

REPOSITORY = Path(__file__).parents[3]

EVERYTHING = r"""
backends:
  mimir: {url: https://mimir/prometheus, headers: {X-Scope-OrgID: team-a}, bearerTokenFile: /run/token, timeout: 10s}
defaults: {cacheTTL: 10s, maxSampleAge: 5m}
rules:
- id: http-rps
  description: requests per second, by pod
  owner: team-shop
  seriesQuery: http_requests_total{namespace!="",pod!=""}
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  name: {matches: "^(.*)_total$", as: "${1}_per_second"}
  metricsQuery: sum(rate(<<.Series>>{<<.LabelMatchers>>}[2m])) by (<<.GroupBy>>)
  backend: mimir
  cacheTTL: 15s
  maxSampleAge: 2m
  onEmpty: hold
  holdFor: 5m
  onNaN: drop
  onDuplicates: error
  value: {scale: 1, clamp: [0, 1000000], round: none}
  selectorLabels: {app.kubernetes.io/name: app}
  allowNamespaces: [shop, "team-*"]
  fuse: auto
metrics:
- metric: checkout_latency_p95
  object: {resource: deployments.apps, label: deployment}
  namespaceLabel: namespace
  query: histogram_quantile(0.95, sum(rate(checkout_seconds_bucket{<<.LabelMatchers>>}[5m])) by (le, <<.GroupBy>>))
"""

# What prometheus-adapter v0.12 takes although it looks odd.
ODD = r"""
rules:
- seriesQuery: up
  seriesFilters: ~
  resources:
  name: {matches: , as: 5}
  metricsQuery: !!str 1e3
-
- seriesQuery: 2020-01-01
  seriesFilters: [{is: yes}]
  resources: {namespaced: no, overrides: {pod: {resource: pod}, node: }}
externalRules:
resourceRules: {cpu: , memory: {nodeQuery: up}, window: }
"""


def load(text: str, tmp_path: Path) -> RulesFile:
    """Return the model of a text that has no error."""
    file = tmp_path / "rules.yaml"
    file.write_text(text, encoding="utf-8")
    loaded = load_rules([str(file)], {})
    assert loaded.files, [one.message for one in loaded.problems]
    return loaded.files[0].model


def test_every_key_arrives(tmp_path: Path) -> None:
    """A file that uses everything is read without a word, and each value has its type."""
    model = load(EVERYTHING, tmp_path)

    rule, metric, backend = model.rules[0], model.metrics[0], model.backends["mimir"]
    assert (rule.cache_ttl, rule.max_sample_age, rule.hold_for) == (15.0, 120.0, 300.0)
    assert (rule.on_empty, rule.on_nan, rule.on_duplicates, rule.fuse) == ("hold", "drop", "error", "auto")
    assert rule.value is not None
    assert (rule.value.scale, rule.value.clamp, rule.value.round) == (1.0, (0.0, 1e6), "none")
    assert (rule.selector_labels, rule.allow_namespaces) == ({"app.kubernetes.io/name": "app"}, ["shop", "team-*"])
    assert rule.name is not None
    assert rule.name.as_ == "${1}_per_second"
    assert metric.object is not None
    assert (metric.object.resource, metric.object.label, metric.external) == ("deployments.apps", "deployment", False)
    assert (backend.url, backend.timeout, backend.headers) == (
        "https://mimir/prometheus",
        10.0,
        {"X-Scope-OrgID": "team-a"},
    )
    assert model.defaults is not None
    assert model.defaults.max_sample_age == 300.0


def test_what_prometheus_adapter_takes_is_taken(tmp_path: Path) -> None:
    """Text is any scalar as written, nothing is the zero value, and YAML 1.1 has its booleans."""
    first, second, third = load(ODD, tmp_path).rules

    assert first.name is not None
    assert (first.name.matches, first.name.as_, first.metrics_query) == ("", "5", "1e3")
    assert (first.series_filters, first.resources) == ([], None)
    assert (second.series_query, second.metrics_query) == ("", "")
    assert third.series_query == "2020-01-01"
    assert third.series_filters == [SeriesFilter(is_="yes")]
    assert third.resources is not None
    assert third.resources.namespaced is False
    assert third.resources.overrides["node"].resource == ""


def test_what_is_not_given_is_none() -> None:
    """Defaults of a file can tell a key that is not given from one that is."""
    rule = Rule(series_query="up")

    assert {getattr(rule, name) for name in ("id", "cache_ttl", "on_empty", "on_nan", "value", "fuse", "backend")} == {
        None
    }


def test_an_open_clamp_and_a_number_for_nothing(tmp_path: Path) -> None:
    """A clamp may leave an end open, and an empty answer may become any finite number."""
    (rule,) = load("rules: [{value: {clamp: [-.inf, 5]}, onEmpty: -1.5}]", tmp_path).rules

    assert rule.value is not None
    assert (rule.value.clamp, rule.on_empty) == ((-math.inf, 5.0), -1.5)


def test_secrets_are_not_in_a_representation() -> None:
    """What logs a model cannot log the password of a server."""
    backend = BackendEntry(
        url="https://scott:tiger@prometheus", headers={"Authorization": "tiger"}, params={"t": "tiger"}
    )

    assert "tiger" not in repr(backend)


def test_the_published_schema_is_that_of_the_models() -> None:
    """config/rules.schema.json is generated; after a change of a model it is written anew."""
    published = (REPOSITORY / "config" / "rules.schema.json").read_text(encoding="utf-8")

    assert published == json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("text", [EVERYTHING])
def test_the_schema_takes_what_the_loader_takes(text: str) -> None:
    """An editor underlines nothing in a good file."""
    jsonschema.Draft7Validator.check_schema(json_schema())

    assert [error.message for error in jsonschema.Draft7Validator(json_schema()).iter_errors(_plain(text))] == []


@pytest.mark.parametrize(
    "rule",
    [
        {"metricQuery": "up"},
        {"onNaN": "ignore"},
        {"onEmpty": "keep"},
        {"cacheTTL": "ten"},
        {"cacheTTL": 10},
        {"maxSampleAge": 0},
        {"value": {"scale": "2"}},
        {"value": {"clamp": [1]}},
        {"allowNamespaces": ["Team A"]},
        {"resources": []},
        {"seriesQuery": ["up"]},
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(rule: dict[str, Any], tmp_path: Path) -> None:
    """An editor underlines what `check` would, and both see the same."""
    file = tmp_path / "rules.json"
    file.write_text(json.dumps({"rules": [rule]}), encoding="utf-8")

    assert list(jsonschema.Draft7Validator(json_schema()).iter_errors({"rules": [rule]}))
    assert load_rules([str(file)], {}).files == ()


def _plain(text: str) -> Any:
    import yaml  # noqa: PLC0415 - what an editor's own parser sees

    return yaml.safe_load(text)
