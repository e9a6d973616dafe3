"""Quoting, matchers and selectors."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from adapter.promql.goquoting import is_printable
from adapter.promql.matchers import (
    LabelMatcher,
    MatchOp,
    escape_regex,
    is_legacy_label_name,
    is_legacy_metric_name,
    quote,
    selector_text,
)

PRINTABLE = Path(__file__).with_name("go_printable.txt")
# The last Unicode version whose additions the adapter knows; those of later ones it leaves as Python has them.
KNOWN_UNICODE = (15, 1, 0)


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("", '""'),
        ("web", '"web"'),
        ('a"b', r'"a\"b"'),
        ("a\\b", r'"a\\b"'),
        ("it's `raw`", '"it\'s `raw`"'),
        ("\a\b\f\n\r\t\v", r'"\a\b\f\n\r\t\v"'),
        ("\x00\x01\x1f\x7f", r'"\x00\x01\x1f\x7f"'),
        ("\x80\x9f\xa0\xad", r'"\u0080\u009f\u00a0\u00ad"'),
        ("\u200b\u2028\ufeff", r'"\u200b\u2028\ufeff"'),
        ("\U000e0001\U0010ffff", r'"\U000e0001\U0010ffff"'),
        ("é日本🙂", '"é日本🙂"'),
        ("\ufffd", r'"\ufffd"'),  # Go writes it as it is, and Prometheus then refuses the query
        ('x"} or vector(1) #', r'"x\"} or vector(1) #"'),
    ],
)
def test_quote(text: str, quoted: str) -> None:
    """A text is quoted as Go's %q quotes it, so that it can neither end the PromQL string nor hide in it."""
    assert quote(text) == quoted


def test_every_code_point_that_go_prints() -> None:
    """What is escaped and what stays raw is what Go decides, for every code point, whatever Unicode Python has."""
    ours = {code for code in range(0x110000) if is_printable(chr(code))}

    only_ours, only_gos = ours - go_printable(), go_printable() - ours

    assert not only_gos
    if tuple(map(int, unicodedata.unidata_version.split("."))) <= KNOWN_UNICODE:
        assert not only_ours


def go_printable() -> set[int]:
    """Return the code points of the table that Go produced."""
    lines = [line for line in PRINTABLE.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    ranges = [word.split("-") for line in lines for word in line.split()]
    return {code for first, last in ranges for code in range(int(first, 16), int(last, 16) + 1)}


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("web-7f9c", "web-7f9c"),
        ("ip-10-0-0-1.ec2.internal", r"ip-10-0-0-1\.ec2\.internal"),
        (r"\.+*?()|[]{}^$", r"\\\.\+\*\?\(\)\|\[\]\{\}\^\$"),
        ("a b\n#&~/<>", "a b\n#&~/<>"),
    ],
)
def test_escape_regex(text: str, pattern: str) -> None:
    """What means something in a regular expression gets a backslash, and nothing else does."""
    assert escape_regex(text) == pattern


@pytest.mark.parametrize(
    ("matcher", "text"),
    [
        (LabelMatcher(name="pod", op=MatchOp.EQUAL, value="a"), 'pod="a"'),
        (LabelMatcher(name="pod", op=MatchOp.NOT_EQUAL, value=""), 'pod!=""'),
        (LabelMatcher(name="pod", op=MatchOp.MATCHES, value="a|b"), 'pod=~"a|b"'),
        (LabelMatcher(name="pod", op=MatchOp.NOT_MATCHES, value=r"a\.b"), r'pod!~"a\\.b"'),
        (LabelMatcher(name="app.kubernetes.io/name", op=MatchOp.EQUAL, value="x"), '"app.kubernetes.io/name"="x"'),
        (LabelMatcher(name='a"b', op=MatchOp.EQUAL, value="x"), r'"a\"b"="x"'),
        (LabelMatcher(name="", op=MatchOp.EQUAL, value="x"), '""="x"'),
    ],
)
def test_matcher_text(matcher: LabelMatcher, text: str) -> None:
    """A matcher prints as PromQL; a label name that PromQL cannot take bare stands in quotes."""
    assert str(matcher) == text


@pytest.mark.parametrize(
    ("name", "label", "metric"),
    [
        ("pod", True, True),
        ("_x9", True, True),
        ("job:rate:5m", False, True),
        (":x", False, True),
        ("", False, False),
        ("9x", False, False),
        ("a.b", False, False),
        ("a-b", False, False),
        ("é", False, False),
        ("a\n", False, False),
    ],
)
def test_legacy_names(name: str, label: bool, metric: bool) -> None:  # noqa: FBT001 - columns of a table
    """The classic alphabet is ASCII letters, digits and underscores, and colons in metric names only."""
    assert (is_legacy_label_name(name), is_legacy_metric_name(name)) == (label, metric)


POD = LabelMatcher(name="pod", op=MatchOp.NOT_EQUAL, value="")
NAME = LabelMatcher(name="__name__", op=MatchOp.NOT_MATCHES, value="x_.*")


@pytest.mark.parametrize(
    ("metric", "matchers", "text"),
    [
        ("http_requests_total", (), "http_requests_total"),
        ("http_requests_total", (POD,), 'http_requests_total{pod!=""}'),
        ("", (POD, NAME), '{pod!="",__name__!~"x_.*"}'),
        ("", (), "{}"),
        ("http.requests", (), '{"http.requests"}'),
        ("http.requests", (POD,), '{"http.requests",pod!=""}'),
        ("up", (POD, NAME), '{__name__="up",pod!="",__name__!~"x_.*"}'),
        ("on", (POD,), '{__name__="on",pod!=""}'),
        ("Inf", (), '{__name__="Inf"}'),
        ("sum", (POD,), 'sum{pod!=""}'),
    ],
)
def test_selector_text(metric: str, matchers: tuple[LabelMatcher, ...], text: str) -> None:
    """A metric's name stands before the braces where PromQL can read it there, and inside them where it cannot."""
    assert selector_text(metric, matchers) == text
