"""How queries that were read are printed again."""

from __future__ import annotations

import pytest

from adapter.promql.ast import parse_query
from adapter.promql.expressions import MAX_DEPTH, Strange, expression_of
from adapter.promql.printing import text_of


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("x", "x"),
        ('{__name__="x"}', "x"),
        ('{__name__=~"x|y"}', '{__name__=~"x|y"}'),
        (r"""x{a='it"s',b="c\\.d\n"}""", r"""x{a="it\"s",b="c\\.d\n"}"""),
        ('{"a.b"="c"}', '{"a.b"="c"}'),
        ('sum by ("a.b", c) (x)', 'sum by ("a.b", c) (x)'),
        ("sum(x) without (a)", "sum without (a) (x)"),
        ("COUNT(x)", "count(x)"),
        ("x[90m]", "x[1h30m]"),
        ("x[1500ms] offset -1d", "x[1s500ms] offset -24h"),
        ("x offset 5m", "x offset 5m"),
        ("-x ^ 2", "-(x ^ 2)"),
        ("2 * -1", "2 * (-1)"),
        ("1 - -x", "1 - (-x)"),
        ("a or b and c", "a or (b and c)"),
        ("a - b - c", "(a - b) - c"),
        ("a ^ b ^ c", "a ^ (b ^ c)"),
        ("a > bool b", "a > bool b"),
        ("a / on (c) group_left (d) b", "a / on (c) group_left (d) b"),
        ("a / ignoring (c) group_right b", "a / ignoring (c) group_right () b"),
        ("a + on () b", "a + on () b"),
        ("max_over_time((a / b)[5m:30s] offset 1m)", "max_over_time((a / b)[5m:30s] offset 1m)"),
        ("max_over_time(sum(a)[5m:])", "max_over_time(sum(a)[5m:])"),
        ("clamp(x, -Inf, 1e3)", "clamp(x, -Inf, 1000)"),
        ("NaN * 1.5e-7", "NaN * 1.5e-07"),
        ("time()", "time()"),
    ],
)
def test_a_query_is_printed_as_it_was_meant(text: str, printed: str) -> None:
    """Precedence becomes parentheses, and all that stands in quotes is escaped."""
    query = parse_query(text)
    assert query is not None

    assert text_of(expression_of(query)) == printed


@pytest.mark.parametrize(
    "text",
    [
        "x @ 5",
        "x[5m:] @ end()",
        'x{a="b" or c="d"}',
        "topk(1, x)",
        "a + fill (0) b",
        "(" * (MAX_DEPTH + 2) + "x" + ")" * (MAX_DEPTH + 2),
    ],
)
def test_what_has_no_type_is_not_printed(text: str) -> None:
    """What cannot be read into a type is an error to print, and never left out."""
    query = parse_query(text)
    assert query is not None

    with pytest.raises(ValueError, match="cannot be printed"):
        text_of(expression_of(query))


def test_a_strange_part_is_named() -> None:
    """People read what is not understood."""
    query = parse_query("topk(1, x)")
    assert query is not None

    assert expression_of(query) == Strange(what="topk()")
