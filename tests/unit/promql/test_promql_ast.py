"""What queries and series selectors select."""

from __future__ import annotations

import threading

import pytest

from adapter.promql.ast import (
    Query,
    Selection,
    SeriesSelector,
    doubtful_number,
    parse_error,
    parse_query,
    parse_series_selector,
    range_seconds_of,
)
from adapter.promql.matchers import LabelMatcher, MatchOp


def matcher(name: str, op: str, value: str) -> LabelMatcher:
    """Return a matcher, with its operator as PromQL writes it."""
    return LabelMatcher(name=name, op=MatchOp(op), value=value)


@pytest.mark.parametrize(
    ("text", "metric", "matchers", "printed"),
    [
        ("up", "up", (), "up"),
        ("up{}", "up", (), "up"),
        (" up { pod != '' , } # all", "up", (matcher("pod", "!=", ""),), 'up{pod!=""}'),
        (
            '{__name__=~"^container_.*",container!="POD",namespace!=""}',
            "",
            (
                matcher("__name__", "=~", "^container_.*"),
                matcher("container", "!=", "POD"),
                matcher("namespace", "!=", ""),
            ),
            '{__name__=~"^container_.*",container!="POD",namespace!=""}',
        ),
        ('{namespace!="",__name__="up"}', "up", (matcher("namespace", "!=", ""),), 'up{namespace!=""}'),
        (
            '{__name__="up",__name__!~"x"}',
            "up",
            (matcher("__name__", "!~", "x"),),
            '{__name__="up",__name__!~"x"}',
        ),
        (
            '{__name__="up",__name__="down"}',
            "up",
            (matcher("__name__", "=", "down"),),
            '{__name__="up",__name__="down"}',
        ),
        ('{"http.requests","pod.name"="a"}', "http.requests", (matcher("pod.name", "=", "a"),), None),
        ('{__name__="http.requests"}', "http.requests", (), '{"http.requests"}'),
        (r'up{a="\"\\\n\u00e9\x41"}', "up", (matcher("a", "=", '"\\\né' + "A"),), r'up{a="\"\\\né' + 'A"}'),
        ("up{a=`raw\\n`}", "up", (matcher("a", "=", "raw\\n"),), r'up{a="raw\\n"}'),
        ('a:b{by="c",on="d"}', "a:b", (matcher("by", "=", "c"), matcher("on", "=", "d")), None),
        ('{__name__="on"}', "on", (), '{__name__="on"}'),
        (r'up{path=~"/a\\.b|\\d+"}', "up", (matcher("path", "=~", r"/a\.b|\d+"),), None),
    ],
)
def test_series_selectors(text: str, metric: str, matchers: tuple[LabelMatcher, ...], printed: str | None) -> None:
    """A selector is its metric and its matchers, and prints as PromQL that selects the same."""
    selector = parse_series_selector(text)

    assert selector == SeriesSelector(metric=metric, matchers=matchers)
    assert str(selector) == (printed or text)
    assert parse_series_selector(str(selector)) == selector


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "up[5m]",
        "up[5m:1m]",
        "up offset 5m",
        "up offset -5m",
        "up @ 5",
        "up @ end()",
        "(up)",
        "-up",
        "sum(up)",
        "up{",
        'up{a="b" or c="d"}',
        'up{__name__="down"}',
        r'up{a="\xc3\xa9"}',
        r'up{a="\303\251"}',
        'up{a=~"("}',
        "1",
        '"up"',
        "up\ud800",
    ],
)
def test_what_is_no_series_selector(text: str) -> None:
    """What is not a plain instant vector selector, or what our parser would misread, is none."""
    assert parse_series_selector(text) is None


@pytest.mark.parametrize(
    ("text", "demanded"),
    [
        ("up", set()),
        ('up{a="x"}', {"a"}),
        ('up{a=""}', set()),
        ('up{a!=""}', {"a"}),
        ('up{a!="x"}', set()),
        ('up{a=~".+"}', {"a"}),
        ('up{a=~"x|y"}', {"a"}),
        ('up{a=~".*"}', set()),
        ('up{a=~"x|"}', set()),
        ('up{a=~""}', set()),
        ('up{a!~""}', {"a"}),
        ('up{a!~".*"}', {"a"}),
        ('up{a!~"x"}', set()),
        ('up{a!~"x",b!="",a=~".+"}', {"a", "b"}),
        ('up{a=~"[a--b]"}', set()),  # the parser takes it, RE2 does not: nothing is proved
    ],
)
def test_labels_that_a_selector_demands(text: str, demanded: set[str]) -> None:
    """A label is demanded when some matcher refuses series without it."""
    selector = parse_series_selector(text)

    assert selector is not None
    assert {label for label in ("a", "b", "c") if selector.demands(label)} == demanded


@pytest.mark.parametrize(("text", "demands"), [("up", True), ('{__name__=~"a.*"}', True), ('{a="b"}', False)])
def test_the_name_is_a_label_too(text: str, demands: bool) -> None:  # noqa: FBT001 - a column of a table
    """A selector with a metric demands the name's label."""
    selector = parse_series_selector(text)

    assert selector is not None
    assert selector.demands("__name__") == demands


def test_a_selector_can_be_narrowed() -> None:
    """A further matcher goes behind the others and leaves the first selector as it was."""
    selector = SeriesSelector(metric="up", matchers=(matcher("a", "=", "b"),))

    narrowed = selector.with_matcher(matcher("pod", "!=", ""))

    assert (str(selector), str(narrowed)) == ('up{a="b"}', 'up{a="b",pod!=""}')


def test_a_query_lists_its_selectors() -> None:
    """Every selector is found, wherever it stands, with its range, its offset, and whether it is pinned to a time."""
    query = parse_query(
        'topk(scalar(limit{a="1"}), sum by (pod) (rate(a[5m] offset 1h)) / on(pod) (-b @ 5))'
        ' + max_over_time(rate(c[1m])[1h:5m]) + d{x="1" or y="2"} offset -90s'
    )

    assert query is not None
    assert query.selectors == (
        selection(SeriesSelector(metric="limit", matchers=(matcher("a", "=", "1"),))),
        selection(SeriesSelector(metric="a"), range_seconds=300, offset_seconds=3600),
        selection(SeriesSelector(metric="b"), pinned=True),
        selection(SeriesSelector(metric="c"), range_seconds=60),
        selection(None, offset_seconds=-90),
    )
    assert (query.windows_seconds, query.has_subquery) == (frozenset({300, 60}), True)


def selection(
    selector: SeriesSelector | None,
    *,
    range_seconds: int | None = None,
    offset_seconds: float = 0,
    pinned: bool = False,
) -> Selection:
    """Return a selection, an instant one of now unless said otherwise."""
    return Selection(
        selector=selector,
        range_seconds=range_seconds,
        offset_seconds=offset_seconds,
        pinned=pinned,
    )


@pytest.mark.parametrize(
    ("query", "seconds"),
    [
        ("up", None),
        ("rate(a[2m])", 120),
        ("rate(a[1h30m]) / rate(b[90m])", 5400),
        ("rate(a[5m]) / rate(b[2m])", None),
        ("rate(a[5m]) + max_over_time(b[5m:1m])", None),
        ("max_over_time(b[5m:1m])", None),
        ("rate(a[300])", 300),
        ("rate(a[500ms])", 1),
        ("rate(a[90500ms])", 91),
        ("rate(a[1y])", 31536000),
        ("histogram_quantile(0.9, sum(rate(a[30s])) by (le))", 30),
        ("rate(a[5m", None),
    ],
)
def test_the_one_range_of_a_query(query: str, seconds: int | None) -> None:
    """A query has a window when its range selectors agree on one; a subquery or a text we cannot read has none."""
    assert range_seconds_of(query) == seconds


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("up", None),
        ("", "no expression found in input"),
        ("sum(up", "unclosed left parenthesis"),
        ("rate(up)", "expected type matrix in call to function 'rate', got vector"),
        ("foo(up)", "unknown function with name 'foo'"),
        (r'up{a="\xff"}', "an escape that stands for a single byte beyond ASCII"),
        (r'up{a=~"\\xff"}', None),
        ("rate(up[1e400])", "the parser failed"),
        ("up[9e18]", "Source duration value is out of range for the target type"),
        ("(" * 251 + "up" + ")" * 251, "more than 250 operators and parentheses"),
        ("up" + " + up" * 251, "more than 250 operators and parentheses"),
        ("up" + " or up" * 251, "more than 250 operators and parentheses"),
    ],
)
def test_why_a_query_cannot_be_read(query: str, error: str | None) -> None:
    """A text that our parser cannot read has a reason, and is no query; the others are queries and have none."""
    assert parse_error(query) == error
    assert (parse_query(query) is None) == (error is not None)


@pytest.mark.parametrize(
    "query",
    [
        "(" * 250 + "up" + ")" * 250,
        "up" + " + up" * 250,
        "up" + " ^ up" * 250,
        "-" * 250 + "up",
        'up{pod=~"' + "a(b)-c|" * 5000 + '"}',
        "up # " + "(" * 1000,
    ],
)
def test_deep_queries_fit_into_small_stacks(query: str) -> None:
    """The deepest query that the parser is given fits into a thread's stack; what stands in quotes does not count."""
    read: list[Query | None] = []
    before = threading.stack_size(512 * 1024)
    thread = threading.Thread(target=lambda: read.append(parse_query(query)))
    thread.start()
    threading.stack_size(before)
    thread.join()

    assert [query.text for query in read if query is not None] == [query]


@pytest.mark.parametrize(
    ("query", "doubtful"),
    [
        ("x * 5m", "5m"),
        ("clamp(x, 0, 1h30m)", "1h30m"),
        ("x > 1e400", "1e400"),
        ("x > 1.5e999", "1.5e999"),
        ("x * 5m # of 6m", "5m"),
        ("x * 1e3 + 0x1F - .5 * 08 % 3.", ""),
        ("rate(x[5m] offset 5m)", ""),
        ("max_over_time(x[1d:5m] OFFSET -1h)", ""),
        ("job:rate:5m + job_5m{le='5m', x=\"1e400\"} # 5m", ""),
        ("sum by (a5) (x) / 300", ""),
    ],
)
def test_numbers_that_not_every_server_takes(query: str, doubtful: str) -> None:
    """A duration, or what no float can hold, is a number for our parser and an error for many a server."""
    assert parse_query(query) is not None
    assert doubtful_number(query) == doubtful
