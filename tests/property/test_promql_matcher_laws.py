"""Laws of quoting: a text that enters PromQL comes out of it as itself, and matches itself alone."""

from __future__ import annotations

import promql_parser
import re2
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adapter.promql.ast import SeriesSelector, parse_query, parse_series_selector
from adapter.promql.matchers import LabelMatcher, MatchOp, escape_regex, quote, selector_text

TEXTS = st.text() | st.text(alphabet="\"\\`'{}\n\r\t\x00 \x7f|.*)(#/,=~é\u00ad\ufeff\ufffd\U000e0001")
LABEL_NAMES = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]*", fullmatch=True) | st.text(min_size=1)
PLAIN_OPS = st.sampled_from([MatchOp.EQUAL, MatchOp.NOT_EQUAL])


@settings(deadline=None)
@given(TEXTS)
@example('"} or vector(1) #')
@example("\ufffd")
@example("\\")
def test_a_quoted_text_reads_back_as_itself(text: str) -> None:
    """Whatever a label value holds, the query that carries it holds one matcher with exactly that value."""
    tree = promql_parser.parse(f"x{{a={quote(text)}}}")

    assert isinstance(tree, promql_parser.VectorSelector)
    assert [(matcher.name, matcher.value) for matcher in tree.matchers.matchers] == [("a", text)]
    assert not tree.matchers.or_matchers


@settings(deadline=None)
@given(TEXTS)
def test_a_quoted_text_is_one_line_of_printable_characters(text: str) -> None:
    """No control character, and no character that Prometheus' lexer refuses, stands in a query as it is."""
    quoted = quote(text)

    assert "\ufffd" not in quoted
    assert all(char.isprintable() or ord(char) > 0x7F for char in quoted)


@settings(deadline=None)
@given(TEXTS, TEXTS)
@example("a.b", "axb")
@example("a|b", "a")
@example("", "\n")
def test_an_escaped_text_matches_itself_and_nothing_else(text: str, other: str) -> None:
    """An escaped text is a regular expression that matches that text, and no other."""
    pattern = escape_regex(text)

    assert re2.fullmatch(pattern, text) is not None
    assert (re2.fullmatch(pattern, other) is not None) == (text == other)


@settings(deadline=None)
@given(TEXTS, st.integers(min_value=0), st.characters(codec="utf-8"))
def test_an_escaped_text_matches_no_neighbour(text: str, place: int, char: str) -> None:
    """One character more, or another one in its place, and the text does not match."""
    place %= len(text) + 1
    longer = text[:place] + char + text[place:]
    changed = text[:place] + char + text[place + 1 :]

    pattern = escape_regex(text)

    assert re2.fullmatch(pattern, longer) is None
    assert (re2.fullmatch(pattern, changed) is not None) == (changed == text)


@settings(deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=4), TEXTS)
def test_an_alternative_of_escaped_texts_matches_just_these(texts: list[str], other: str) -> None:
    """Names joined by | pick these names, through quoting and parsing, and no other."""
    joined = LabelMatcher(name="pod", op=MatchOp.MATCHES, value="|".join(map(escape_regex, texts)))

    selector = parse_series_selector(selector_text("x", [joined]))

    assert selector is not None
    (matcher,) = selector.matchers
    assert all(re2.fullmatch(matcher.value, text) for text in texts)
    assert (re2.fullmatch(matcher.value, other) is not None) == (other in texts)


@settings(deadline=None)
@given(
    metric=st.from_regex(r"[a-zA-Z_:][a-zA-Z0-9_:]*", fullmatch=True) | st.text(min_size=1),
    conditions=st.lists(st.tuples(LABEL_NAMES, PLAIN_OPS, TEXTS), max_size=4),
)
@example(metric="on", conditions=[])
@example(metric="NaN", conditions=[("a", MatchOp.EQUAL, "b")])
@example(metric="up", conditions=[("__name__", MatchOp.NOT_EQUAL, "x")])
@example(metric="a.b", conditions=[("a.b", MatchOp.EQUAL, '"')])
def test_a_selector_reads_back_as_itself(metric: str, conditions: list[tuple[str, MatchOp, str]]) -> None:
    """A metric of any name with matchers on labels of any name is, printed and parsed, the same selector."""
    matchers = tuple(LabelMatcher(name=name, op=op, value=value) for name, op, value in conditions)

    selector = parse_series_selector(selector_text(metric, matchers))

    assert selector == SeriesSelector(metric=metric, matchers=matchers)


@settings(deadline=None)
@given(TEXTS, TEXTS)
def test_no_value_reaches_beyond_its_matcher(first: str, second: str) -> None:
    """In a whole query each value stays where it was put."""
    query = parse_query(f"sum(rate(a{{x={quote(first)}}}[5m])) / b{{y={quote(second)}}}")

    assert query is not None
    selectors = [selection.selector for selection in query.selectors]
    assert selectors == [
        SeriesSelector(metric="a", matchers=(LabelMatcher(name="x", op=MatchOp.EQUAL, value=first),)),
        SeriesSelector(metric="b", matchers=(LabelMatcher(name="y", op=MatchOp.EQUAL, value=second),)),
    ]
