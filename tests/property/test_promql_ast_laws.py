"""Laws of reading queries: any text is read or refused, and what is read prints as what it selects."""

from __future__ import annotations

import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from adapter.promql.ast import parse_error, parse_query, parse_series_selector, range_seconds_of
from adapter.promql.matchers import LabelMatcher, MatchOp, selector_text

PIECES = st.sampled_from(
    [
        *("x", "up", "sum", "rate", "topk", "(", ")", "{", "}", "[", "]", ",", " ", "\n", "# c", "by", "without", "on"),
        *(
            "5m",
            "1h",
            "300",
            "1d2h",
            "500ms",
            ":",
            "offset",
            "@",
            "start()",
            "end()",
            "-",
            "+",
            "/",
            "==",
            "bool",
            "or",
        ),
        *('a="b"', 'a!=""', 'a=~"x|y"', 'a!~".*"', '__name__=~"x"', "a='b'", "a=`b`", '"a.b"', '"', "'", "\\", "\\xff"),
        *("rate(x[5m])", "sum by (a) (x)", "x[5m:1m]", 'x{a="b"}', "1.5", "é", "\x00"),
    ],
)
TEXTS = st.lists(PIECES, max_size=12).map("".join) | st.text()
REGEXES = st.sampled_from(["", ".*", ".+", "a", "a|", "(a|b)?", "a+", "^$", "^", "[ab]*", "(?i)a", "a{0}", "a{1}", "."])


@settings(deadline=None, max_examples=500)
@given(TEXTS)
def test_any_text_is_read_or_refused_with_a_reason(text: str) -> None:
    """No text breaks the reading; it is a query, or there is a reason why not, never both."""
    query, error = parse_query(text), parse_error(text)

    assert (query is None) == (error is not None)
    if query is None:
        assert parse_series_selector(text) is None
        assert range_seconds_of(text) is None


@settings(deadline=None, max_examples=500)
@given(TEXTS)
def test_what_is_selected_prints_as_a_selector_of_the_same(text: str) -> None:
    """Each selector of a query, printed and read again, selects the same."""
    query = parse_query(text)

    for selection in query.selectors if query else ():
        if selection.selector is not None:
            assert parse_series_selector(str(selection.selector)) == selection.selector


@settings(deadline=None)
@given(st.sampled_from([MatchOp.MATCHES, MatchOp.NOT_MATCHES]), REGEXES)
def test_a_label_is_demanded_when_its_absence_does_not_match(op: MatchOp, pattern: str) -> None:
    """A regular expression demands a label just when Prometheus would refuse the empty value."""
    selector = parse_series_selector(selector_text("x", [LabelMatcher(name="a", op=op, value=pattern)]))

    assert selector is not None
    matches_empty = re2.fullmatch(pattern, "") is not None
    assert selector.demands("a") == (matches_empty is (op is MatchOp.NOT_MATCHES))
