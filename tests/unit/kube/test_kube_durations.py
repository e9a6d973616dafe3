"""Durations against what Go printed and refused."""

from __future__ import annotations

import json
import re

import pytest
from kube_vectors import SELECTORS_AND_MORE, lines

from adapter.kube.durations import format_duration, parse_duration


def fields(line: str, pattern: str) -> re.Match[str]:
    """Take a line apart; one that has another form is an error."""
    match = re.fullmatch(pattern, line)
    assert match, line
    return match


@pytest.mark.parametrize("line", lines(SELECTORS_AND_MORE, "DUR"))
def test_reads_what_go_reads(line: str) -> None:
    """A duration is read, printed and refused as by Go's time package."""
    match = fields(line, r'DUR (".*")\s+-> (\S+) err=(.*)')
    text, printed, error = json.loads(match[1]), match[2], match[3]

    if error == "<nil>":
        assert format_duration(parse_duration(text)) == printed
    else:
        with pytest.raises(ValueError, match=f"^{re.escape(error)}$"):
            parse_duration(text)


@pytest.mark.parametrize("line", lines(SELECTORS_AND_MORE, "DURJSON"))
def test_prints_as_go_prints(line: str) -> None:
    """Nanoseconds print as Go's Duration does."""
    match = fields(line, r'DURJSON (-?\d+) -> "(.*)"')

    assert format_duration(int(match[1])) == match[2]


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1h1h", 7_200_000_000_000),
        ("1us", 1_000),
        ("1\u00b5s", 1_000),
        ("1\u03bcs", 1_000),
        ("0.3333333333333333333h", 1_200_000_000_000),
        ("0.100000000000000000000h", 360_000_000_000),
        ("-9223372036854775808ns", -(2**63)),
        ("1.s", 1_000_000_000),
        ("-0", 0),
        ("0" * 5000 + "1s", 1_000_000_000),
        ("0" * 5000 + "s", 0),
    ],
)
def test_reads_odd_durations(text: str, nanoseconds: int) -> None:
    """Every unit counts, units may repeat, and long fractions round as in Go."""
    assert parse_duration(text) == nanoseconds


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("9223372036854775808ns", 'time: invalid duration "9223372036854775808ns"'),
        ("99999999999999999999h", 'time: invalid duration "99999999999999999999h"'),
        (".s", 'time: invalid duration ".s"'),
        ("+", 'time: invalid duration "+"'),
        ("1\u00e9", 'time: unknown unit "\\xc3\\xa9" in duration "1\\xc3\\xa9"'),
        ('1"\\', 'time: unknown unit "\\"\\\\" in duration "1\\"\\\\"'),
        ("1\n", 'time: unknown unit "\\x0a" in duration "1\\x0a"'),
    ],
)
def test_refuses_in_go_s_words(text: str, error: str) -> None:
    """What does not fit 64 bits or has no unit is refused, and quoted as Go's time package quotes."""
    with pytest.raises(ValueError, match=f"^{re.escape(error)}$"):
        parse_duration(text)
