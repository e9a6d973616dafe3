"""Scalars as YAML 1.1 and yaml.v2 read them, and Prometheus' durations."""

from __future__ import annotations

import math
import re

import pytest

from adapter.config.words import Word, boolean, duration_seconds, number, resolve

YEAR = 365 * 24 * 3600.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("10s", 10.0),
        ("5m", 300.0),
        ("1h30m", 5400.0),
        ("1d", 86400.0),
        ("1w", 604800.0),
        ("1y", YEAR),
        ("1y2w3d4h5m6s7ms", YEAR + 17 * 86400 + 4 * 3600 + 306.007),
        ("90m", 5400.0),
        ("500ms", 0.5),
        ("0s", 0.0),
        ("00010s", 10.0),
    ],
)
def test_a_duration_is_prometheus(text: str, seconds: float) -> None:
    """Each unit counts once, from the longest to the shortest; 0 needs none."""
    assert duration_seconds(text) == seconds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty duration string"),
        ("60", 'not a valid duration string: "60"'),
        ("1.5h", 'not a valid duration string: "1.5h"'),
        ("-5m", 'not a valid duration string: "-5m"'),
        ("5m1h", 'not a valid duration string: "5m1h"'),
        ("1h 30m", 'not a valid duration string: "1h 30m"'),
        ("5 m", 'not a valid duration string: "5 m"'),
        ("\u0665m", 'not a valid duration string: "\u0665m"'),  # an Arabic five
        ("300y", "duration out of range"),
        ("9" * 200 + "s", 'not a valid duration string: "' + "9" * 100 + '"'),
    ],
)
def test_a_bad_duration_is_refused_in_prometheus_words(text: str, message: str) -> None:
    """What is no duration is refused with the text that prometheus-adapter's users know."""
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        duration_seconds(text)


@pytest.mark.parametrize(
    ("text", "style", "tag", "expected"),
    [
        ("", "", "", None),
        ("~", "", "", None),
        ("Null", "", "", None),
        ("nuLL", "", "", "nuLL"),
        ("", '"', "", ""),
        ("null", "'", "", "null"),
        ("", "", "!!str", ""),
        ("anything", '"', "tag:yaml.org,2002:null", None),
        ("2020-01-01", "", "", "2020-01-01"),
        ("x", "", "!custom", "x"),
    ],
)
def test_null_is_what_yaml_1_1_says(text: str, style: str, tag: str, expected: str | None) -> None:
    """A plain ~, null or nothing is null; quotes or a tag make it text."""
    assert resolve(text, style=style, tag=tag) == expected


@pytest.mark.parametrize("text", ["y", "Yes", "on", "TRUE"])
def test_the_true_words_of_yaml_1_1(text: str) -> None:
    """YAML 1.1's words for true are true, unless they are in quotes."""
    assert boolean(resolve(text, style="", tag="")) is True
    assert boolean(resolve(text, style='"', tag="")) is None
    assert boolean(resolve(text, style='"', tag="!!bool")) is True


@pytest.mark.parametrize("text", ["n", "NO", "Off", "false"])
def test_the_false_words_of_yaml_1_1(text: str) -> None:
    """YAML 1.1's words for false are false, unless they are in quotes."""
    assert boolean(resolve(text, style="", tag="")) is False
    assert boolean(resolve(text, style="'", tag="")) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1.0),
        ("-2.5", -2.5),
        ("+.5e3", 500.0),
        ("5.", 5.0),
        (".inf", math.inf),
        ("-.Inf", -math.inf),
        (".nan", None),
        ("0x10", None),
        ("1_000", None),
        ("", None),
        ("five", None),
        ("1e", None),
        ("9" * 400, math.inf),
    ],
)
def test_a_number_is_a_plain_decimal(text: str, value: float | None) -> None:
    """Numbers are decimals or infinities; what merely resembles one is none."""
    assert number(Word(text, plain=True)) == value


def test_python_values_are_what_they_are() -> None:
    """Models built in Python take Python's numbers and booleans; a boolean is no number, and NaN is none either."""
    assert number(3) == 3.0
    assert number(math.nan) is None
    assert number(value=True) is None
    assert boolean(value=False) is False
    assert boolean("yes") is None
