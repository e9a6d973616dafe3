"""What samples are worth: duplicates, NaN, infinities, shapes, and what never becomes a value."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from rules_rig import EVALUATED_AT, catalog_from, custom_plan, external_plan, rulebook_from, vector

from adapter.errors import UnusableResult, UpstreamError
from adapter.promql.model import OtherResult, QueryAnswer, Sample, Scalar, Vector
from adapter.rules.rule import Compat, Shape
from adapter.rules.values import external_values, milli_of, object_values

RULE = """
rules:
- seriesQuery: load
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: <<.Series>>{<<.LabelMatchers>>}
  %s
externalRules:
- seriesQuery: load
  metricsQuery: <<.Series>>{<<.LabelMatchers>>}
  %s
"""
SERIES = ['load{namespace="ns",pod="a"}']


def values(directory: Path, policy: str, *samples: tuple[str, float]) -> dict[str, int]:
    """Return the thousandths of pods a and b under a policy, given samples `pod[/instance]`."""
    catalog = catalog_from(rulebook_from(RULE % (policy, ""), directory), SERIES)
    plan = custom_plan(catalog, "ns pods a,b load")
    answer = vector(*(({"pod": name[0], "instance": name[1:]}, value) for name, value in samples))
    return {name: value.milli for name, value in object_values(plan, answer).values.items()}


NAN, INF = math.nan, math.inf
CASES = [
    ("", [("a", 1.5)], {"a": 1500}),
    ("", [("a", 0.0)], {"a": 0}),
    ("", [], {}),
    ("", [("a", 1.0), ("c", 2.0)], {"a": 1000}),
    ("", [("a", NAN)], {"a": 0}),
    ("onNaN: drop", [("a", NAN), ("b", 1.0)], {"b": 1000}),
    ("onNaN: zero", [("a", NAN)], {"a": 0}),
    ("", [("a", INF), ("b", -INF)], {}),
    ("", [("a1", 1.0), ("a2", 2.0)], {"a": 2000}),
    ("", [("a2", 2.0), ("a1", 1.0)], {"a": 2000}),
    ("onDuplicates: first", [("a2", 2.0), ("a1", 1.0)], {"a": 1000}),
    ("onDuplicates: sum", [("a1", 1.0), ("a2", 2.0)], {"a": 3000}),
    ("onDuplicates: max", [("a1", 1.0), ("a2", 2.0)], {"a": 2000}),
    ("onDuplicates: min", [("a1", 1.0), ("a2", 2.0)], {"a": 1000}),
    ("onDuplicates: avg", [("a1", 1.0), ("a2", 2.0)], {"a": 1500}),
    ("{onDuplicates: sum, onNaN: drop}", [("a1", NAN), ("a2", 2.0)], {"a": 2000}),
    ("onDuplicates: sum", [("a1", INF), ("a2", 2.0)], {"a": 2000}),
    ("value: {scale: 10}", [("a", 0.25)], {"a": 2500}),
    ("value: {clamp: [1, 5]}", [("a", 0.5), ("b", 50.0)], {"a": 1000, "b": 5000}),
    ("value: {scale: 2, clamp: [0, 3]}", [("a", 2.0)], {"a": 3000}),
    ("value: {round: nearest}", [("a", 1.6)], {"a": 2000}),
    ("value: {round: up}", [("a", 1.1)], {"a": 2000}),
    ("value: {round: down}", [("a", 1.9)], {"a": 1000}),
]


@pytest.mark.parametrize(("policy", "samples", "expected"), CASES)
def test_policies(tmp_path: Path, policy: str, samples: list[tuple[str, float]], expected: dict[str, int]) -> None:
    """Each object asked for gets the value that its rule's policies give, and nothing else appears."""
    keys = "\n  ".join(part.strip() for part in policy.strip("{}").split(",")) if policy.startswith("{") else policy

    assert values(tmp_path, keys, *samples) == expected


ERRORS = [
    ("onNaN: error", [("a", NAN)], r"rule rules\[0\]: the query returns NaN for a"),
    ("onDuplicates: error", [("a1", 1.0), ("a2", 2.0)], r"rule rules\[0\]: the query returns 2 samples for a"),
]


@pytest.mark.parametrize(("policy", "samples", "text"), ERRORS)
def test_policies_that_refuse_name_the_rule(
    tmp_path: Path, policy: str, samples: list[tuple[str, float]], text: str
) -> None:
    """A refused answer is an error that says which rule refuses it."""
    with pytest.raises(UnusableResult, match=text):
        values(tmp_path, policy, *samples)


ROUNDING = [
    (1.005, 1005, 1004),
    (0.0009, 1, 0),
    (-0.0009, -1, 0),
    (1.9999, 2000, 1999),
    (2.3, 2300, 2300),
    (0.57, 570, 570),
    (4.35, 4350, 4350),
    (1e15, 10**18, 10**18),
    (9.3e15, 9_200_000_000_000_000_000, 9_200_000_000_000_000_000),
    (-1e300, -9_200_000_000_000_000_000, -9_200_000_000_000_000_000),
    (1.7e308, 9_200_000_000_000_000_000, 9_200_000_000_000_000_000),
]


@pytest.mark.parametrize(("number", "nearest", "cut"), ROUNDING)
def test_rounding(number: float, nearest: int, cut: int) -> None:
    """Values go to the nearest thousandth, are cut under strict, and never leave what clients can read."""
    assert milli_of(number, Shape()) == nearest
    assert milli_of(number, Shape(cut=True)) == cut


def test_strict_cuts(tmp_path: Path) -> None:
    """The compatibility mode reaches the values."""
    catalog = catalog_from(rulebook_from(RULE % ("", ""), tmp_path, compat=Compat.STRICT), SERIES)

    decided = object_values(custom_plan(catalog, "ns pods a load"), vector(({"pod": "a"}, 1.0009)))

    assert decided.values["a"].milli == 1000


def test_a_value_keeps_its_evaluation_time(tmp_path: Path) -> None:
    """The timestamp of a value is the time at which Prometheus evaluated it."""
    catalog = catalog_from(rulebook_from(RULE % ("", ""), tmp_path), SERIES)

    decided = object_values(custom_plan(catalog, "ns pods a load"), vector(({"pod": "a"}, 1.0)))

    assert decided.values["a"].timestamp_seconds == EVALUATED_AT


def test_a_native_histogram_is_refused_with_the_functions_that_help(tmp_path: Path) -> None:
    """A histogram is not a number, and the error says how to get one."""
    catalog = catalog_from(rulebook_from(RULE % ("", ""), tmp_path), SERIES)
    sample = Sample(labels={"pod": "a"}, value=NAN, timestamp_seconds=1.0, histogram=True)
    answer = QueryAnswer(result=Vector(samples=(sample,)), evaluated_at_seconds=1.0)

    with pytest.raises(UnusableResult, match="histogram_quantile"):
        object_values(custom_plan(catalog, "ns pods a load"), answer)


def test_a_scalar_serves_one_object_and_no_list(tmp_path: Path) -> None:
    """A scalar belongs to the one object asked for; in a list nobody could say whose it is."""
    catalog = catalog_from(rulebook_from(RULE % ("", ""), tmp_path), SERIES)
    answer = QueryAnswer(result=Scalar(value=2.0, timestamp_seconds=1.0), evaluated_at_seconds=1.0)

    assert object_values(custom_plan(catalog, "ns pods a load"), answer).values["a"].milli == 2000
    with pytest.raises(UnusableResult, match="names no object"):
        object_values(custom_plan(catalog, "ns pods a,b load"), answer)


@pytest.mark.parametrize("kind", ["matrix", "string"])
def test_other_results_are_refused(tmp_path: Path, kind: str) -> None:
    """Only instant vectors and scalars can be served."""
    catalog = catalog_from(rulebook_from(RULE % ("", ""), tmp_path), SERIES)
    answer = QueryAnswer(result=OtherResult(kind=kind), evaluated_at_seconds=1.0)

    with pytest.raises(UnusableResult, match=kind):
        object_values(custom_plan(catalog, "ns pods a load"), answer)
    with pytest.raises(UpstreamError, match=r"unexpected query result type|returns a string"):
        external_values(external_plan(catalog, "ns load"), answer)


EXTERNAL = [
    ("", [1.0, 2.0], [1000, 2000]),
    ("", [NAN, 2.0], [2000]),
    ("onNaN: zero", [NAN, 2.0], [0, 2000]),
    ("", [INF], []),
    ("", [], []),
    ("onDuplicates: error", [1.0, 2.0], [1000, 2000]),
]


@pytest.mark.parametrize(("policy", "samples", "expected"), EXTERNAL)
def test_external_items(tmp_path: Path, policy: str, samples: list[float], expected: list[int]) -> None:
    """Each sample is an item of its own; NaN is dropped unless the rule says zero, infinities always."""
    catalog = catalog_from(rulebook_from(RULE % ("", policy), tmp_path), SERIES)
    answer = vector(*(({"__name__": "load", "n": str(n)}, value) for n, value in enumerate(samples)))

    decided = external_values(external_plan(catalog, "ns load"), answer)

    assert [value.milli for value in decided.values] == expected


def test_external_labels_are_all_kept_and_a_scalar_has_none(tmp_path: Path) -> None:
    """An item carries every label of its sample, the metric name included; a scalar's labels are null."""
    catalog = catalog_from(rulebook_from(RULE % ("", ""), tmp_path), SERIES)
    plan = external_plan(catalog, "ns load")
    scalar = QueryAnswer(result=Scalar(value=2.0, timestamp_seconds=1.0), evaluated_at_seconds=1.0)

    [item] = external_values(plan, vector(({"__name__": "load", "a": "b"}, 1.0))).values
    [lone] = external_values(plan, scalar).values

    assert item.labels == {"__name__": "load", "a": "b"}
    assert lone.labels is None
