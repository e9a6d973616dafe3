"""What stands in an autoscaler's metric: targets as Kubernetes prints them, selectors in the words that it has."""

from __future__ import annotations

import pytest

from adapter.kube.commented_yaml import plain
from adapter.kube.hpa_documents import Target, label_selector, read_amount
from adapter.kube.measure import Measure
from adapter.kube.selectors import parse_selector


@pytest.mark.parametrize(
    ("text", "measure", "amount"),
    [
        ("100", Measure.AVERAGE, "100"),
        ("0.5", Measure.AVERAGE, "500m"),
        ("1000m", Measure.VALUE, "1"),
        ("1500", Measure.VALUE, "1500"),
        ("1e3", Measure.AVERAGE, "1e3"),
        ("64Mi", Measure.AVERAGE, "64Mi"),
        ("1m", Measure.AVERAGE, "1m"),
        ("50%", Measure.UTILIZATION, 50),
        ("120", Measure.UTILIZATION, 120),
    ],
)
def test_targets(text: str, measure: Measure, amount: str | int) -> None:
    """A target is printed as Kubernetes prints it."""
    assert read_amount(text, measure) == amount


@pytest.mark.parametrize(
    ("text", "measure", "told"),
    [
        ("", Measure.AVERAGE, "quantities must match"),
        ("50%", Measure.AVERAGE, "quantities must match"),
        ("-1", Measure.AVERAGE, "more than 0"),
        ("0", Measure.VALUE, "more than 0"),
        ("0.0001", Measure.VALUE, "would take it for 1m"),
        ("10E", Measure.VALUE, "can read 9200T at most"),
        ("0%", Measure.UTILIZATION, "whole number of percent above 0"),
        ("1.5%", Measure.UTILIZATION, "whole number of percent above 0"),
        ("9999999999%", Measure.UTILIZATION, "whole number of percent above 0"),
        ("\u0665%", Measure.UTILIZATION, "whole number of percent above 0"),
    ],
)
def test_what_no_target_can_be(text: str, measure: Measure, told: str) -> None:
    """A target that Kubernetes refuses, or reads as another number, is refused."""
    with pytest.raises(ValueError, match=told):
        read_amount(text, measure)


@pytest.mark.parametrize(
    ("target", "document"),
    [
        (Target(measure=Measure.AVERAGE, amount="500m"), {"type": "AverageValue", "averageValue": "500m"}),
        (Target(measure=Measure.VALUE, amount="1k"), {"type": "Value", "value": "1k"}),
        (Target(measure=Measure.UTILIZATION, amount=80), {"type": "Utilization", "averageUtilization": 80}),
    ],
)
def test_the_field_of_each_type(target: Target, document: dict[str, object]) -> None:
    """Each type of target has its own field."""
    assert plain(target.document()) == document


@pytest.mark.parametrize(
    ("text", "document"),
    [
        ("", {}),
        ("a=1", {"matchLabels": {"a": "1"}}),
        ("a==1,b=", {"matchLabels": {"a": "1", "b": ""}}),
        ("a!=1", {"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}),
        ("a in (1,2)", {"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}),
        ("a,!b", {"matchExpressions": [{"key": "a", "operator": "Exists"}, {"key": "b", "operator": "DoesNotExist"}]}),
        # Nothing fulfils both, and both are said.
        (
            "a=1,a=2",
            {"matchLabels": {"a": "2"}, "matchExpressions": [{"key": "a", "operator": "In", "values": ["1"]}]},
        ),
    ],
)
def test_selectors(text: str, document: dict[str, object]) -> None:
    """Every condition of a selector is in the document."""
    assert label_selector(parse_selector(text)) == document


@pytest.mark.parametrize("text", ["a>1", "a<1"])
def test_conditions_without_a_word(text: str) -> None:
    """An autoscaler cannot compare numbers."""
    with pytest.raises(ValueError, match="no word for"):
        label_selector(parse_selector(text))
