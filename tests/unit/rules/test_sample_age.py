"""What is asked to know how old values are, and which values are too old."""

from __future__ import annotations

import pytest

from adapter.errors import UnusableResult
from adapter.promql.model import Sample, Scalar, Vector
from adapter.rules.sample_age import Ages, age_questions, times_of

QUESTIONS = [
    ('sum(rate(a{pod=~"p|q"}[2m])) by (pod)', "pod", 120, ['max by (pod) (timestamp(a{pod=~"p|q"}))']),
    ("a / b", "pod", 300, ["max by (pod) (timestamp(a))", "max by (pod) (timestamp(b))"]),
    ("sum(a)", "", 60, ["max by () (timestamp(a))"]),
    ("sum(a)", "k8s.pod", 60, ['max by ("k8s.pod") (timestamp(a))']),
    (
        "sum(rate(a[1h]))",
        "pod",
        600.5,
        ["max by (pod) (timestamp(a) or max_over_time(timestamp(a)[600s:60s]))"],
    ),
]


@pytest.mark.parametrize(("promql", "label", "max_age_seconds", "expected"), QUESTIONS)
def test_each_selector_is_asked_once(promql: str, label: str, max_age_seconds: float, expected: list[str]) -> None:
    """Up to the look-back timestamp() tells; a longer age needs a look at what was before."""
    questions = age_questions(promql, label=label, max_age_seconds=max_age_seconds, rule="r")

    assert list(questions.promqls) == expected


def test_a_query_that_cannot_be_read_has_no_age() -> None:
    """What nobody knows is no answer: the request fails and names the rule and the key."""
    with pytest.raises(UnusableResult, match="rule r: maxSampleAge"):
        age_questions("sum(a[2m]", label="pod", max_age_seconds=60, rule="r")


def test_an_answer_of_another_type_has_no_times() -> None:
    """A scalar names no object."""
    with pytest.raises(UnusableResult, match="instant vector"):
        times_of(Scalar(value=1.0, timestamp_seconds=2.0), "pod")


VERDICTS = [
    ("young", ""),
    ("old", "its newest sample is 121 s old"),
    ("half", "a selector of the query has no sample that is young enough"),
    ("whole", ""),
]


@pytest.mark.parametrize(("name", "expected"), VERDICTS)
def test_an_object_is_as_old_as_its_stalest_selector(name: str, expected: str) -> None:
    """A series without the object's label counts for every object; no sample at all is too old."""

    def times(**by_name: float) -> Vector:
        return Vector(
            samples=tuple(
                Sample(labels={"pod": name} if name != "all" else {}, value=at, timestamp_seconds=1000.0)
                for name, at in by_name.items()
            )
        )

    questions = age_questions("a / b / on() group_left c", label="pod", max_age_seconds=120, rule="r")
    answers = (times(young=999, old=999, half=999, whole=880), times(young=990, old=879, whole=880), times(all=1000))
    ages = Ages(
        questions=questions,
        times=tuple(times_of(one, "pod") for one in answers),
        evaluated_at_seconds=1000.0,
        max_age_seconds=120.0,
    )

    assert ages.too_old(name) == expected
