"""What a PromQL text selects: its selectors, matchers and windows, read by the promql-parser library.

The library prints trees without escaping what stands in quotes, and shortens durations; so text that goes to a server
is made by `matchers` and never by the library's `str()`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from math import ceil, isinf
from typing import Any

import promql_parser
import re2

from adapter.promql.matchers import METRIC_NAME_LABEL, LabelMatcher, MatchOp, selector_text

# The library recurses, and a stack that overflows ends the process. So many levels fit into half a megabyte of stack;
# queries that people write have a tenth of them.
MAX_STRUCTURE = 250

_TEXTS = re.compile(r"""#[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`[^`]*`""")
_BRACES = re.compile(r"\{[^{}]*\}")
_STRUCTURE = re.compile(r"[(\[+\-*/%^<>=!]|\b(?:and|or|unless|atan2)\b", re.IGNORECASE)
# \xC3 and \303 stand for bytes in PromQL; the library takes them for characters.
_BYTE_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*\\(?:x[89a-fA-F]|[23][0-7]{2})")

# A number outside of quotes, braces, brackets and offsets, and what clings to it: a unit makes it a duration.
_BESIDE_NUMBERS = re.compile(r"\{[^{}]*\}|\[[^\[\]]*\]|\boffset\s*[-+]?\s*\w+", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w.:])(0[xX][0-9a-fA-F]+|[0-9]+\.?[0-9]*(?:[eE][+-]?[0-9]+)?)(\w*)")

_OPERATORS = {
    "MatchOp.Equal": MatchOp.EQUAL,
    "MatchOp.NotEqual": MatchOp.NOT_EQUAL,
    "MatchOp.Re": MatchOp.MATCHES,
    "MatchOp.NotRe": MatchOp.NOT_MATCHES,
}
_CHILDREN: Mapping[type, tuple[str, ...]] = {
    promql_parser.AggregateExpr: ("param", "expr"),
    promql_parser.BinaryExpr: ("lhs", "rhs"),
    promql_parser.ParenExpr: ("expr",),
    promql_parser.SubqueryExpr: ("expr",),
    promql_parser.UnaryExpr: ("expr",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesSelector:
    """Which series: of this metric ("" for any), with these labels; `str()` is its PromQL."""

    metric: str
    matchers: tuple[LabelMatcher, ...] = ()

    def __str__(self) -> str:
        return selector_text(self.metric, self.matchers)

    def demands(self, label: str) -> bool:
        """Tell whether some matcher refuses series without this label; where that cannot be told, it does not."""
        if label == METRIC_NAME_LABEL and self.metric:
            return True
        return any(matcher.name == label and _refuses_empty(matcher) for matcher in self.matchers)

    def with_matcher(self, matcher: LabelMatcher) -> SeriesSelector:
        """Return the selector narrowed by one more matcher."""
        return replace(self, matchers=(*self.matchers, matcher))


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A selector where it stands in a query: over which range, and how far from the evaluation time."""

    selector: SeriesSelector | None  # None: its matchers are joined by `or`, which is no list of matchers
    range_seconds: int | None  # None: an instant selector
    offset_seconds: float
    pinned: bool  # by `@`, to a time of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A query that our parser can read; `tree` is the library's, selectors are in the order of the text."""

    text: str
    tree: promql_parser.Expr = field(repr=False, compare=False)
    selectors: tuple[Selection, ...]
    has_subquery: bool

    @property
    def windows_seconds(self) -> frozenset[int]:
        """The ranges of all range selectors; a part of a second counts as a whole one."""
        ranges = (selection.range_seconds for selection in self.selectors)
        return frozenset(seconds for seconds in ranges if seconds is not None)


def parse_series_selector(text: str) -> SeriesSelector | None:
    """Return what a text selects; None if our parser cannot read it, or it is not a plain instant vector selector."""
    query = parse_query(text)
    if query is None or not isinstance(query.tree, promql_parser.VectorSelector):
        return None
    (selection,) = query.selectors
    return None if selection.offset_seconds or selection.pinned else selection.selector


def parse_query(text: str) -> Query | None:
    """Return a query as our parser reads it; None if it cannot (a server may, so this says nothing about that)."""
    query = _read(text)
    return query if isinstance(query, Query) else None


def parse_error(text: str) -> str | None:
    """Return why our parser cannot read a query; None if it can."""
    query = _read(text)
    return query if isinstance(query, str) else None


def doubtful_number(text: str) -> str:
    """Return what of a query our parser takes for a number, and not every server does; empty if there is no such thing.

    Durations are numbers since Prometheus 3 only, and a number that is too large is infinite for our parser alone.
    """
    plain = _BESIDE_NUMBERS.sub("", _TEXTS.sub("", text))
    doubtful = (found[0] for found in _NUMBER.finditer(plain) if found[2] or _is_too_large(found[1]))
    return next(doubtful, "")


def _is_too_large(number: str) -> bool:
    return number[:2].lower() != "0x" and isinf(float(number))


def range_seconds_of(query_text: str) -> int | None:
    """Return the range of a query's range selectors; None if they differ, or there are none, or there is a subquery."""
    query = parse_query(query_text)
    if query is None or query.has_subquery or len(query.windows_seconds) != 1:
        return None
    (seconds,) = query.windows_seconds
    return seconds


def _read(text: str) -> Query | str:
    """Return the query, or why it cannot be read."""
    if len(_STRUCTURE.findall(_BRACES.sub("", _TEXTS.sub("", text)))) > MAX_STRUCTURE:
        return f"more than {MAX_STRUCTURE} operators and parentheses"
    if _BYTE_ESCAPE.search(text):
        return "an escape that stands for a single byte beyond ASCII"
    try:
        tree = promql_parser.parse(text)
        nodes = tuple(_walk(tree))
        selectors = tuple(selection for node in nodes if (selection := selection_of(node)) is not None)
    except (ValueError, OverflowError) as error:
        return str(error)
    except BaseException as error:
        # The library is Rust and panics at some texts, such as `x[1e400]`. A panic is no Exception, and its class
        # cannot be imported.
        if type(error).__name__ != "PanicException":
            raise
        return "the parser failed"
    has_subquery = any(isinstance(node, promql_parser.SubqueryExpr) for node in nodes)
    return Query(text=text, tree=tree, selectors=selectors, has_subquery=has_subquery)


def _walk(tree: promql_parser.Expr) -> Iterator[Any]:
    """Yield a tree's expressions, in the order of the text but for the modifiers."""
    waiting: list[Any] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += reversed(children_of(node))


def children_of(node: promql_parser.Expr) -> list[Any]:
    """Return the expressions right below one of the library's, in the order of the text."""
    if isinstance(node, promql_parser.Call):
        return node.args
    children = [getattr(node, name) for name in _CHILDREN.get(type(node), ())]
    return [child for child in children if child is not None]


def selection_of(node: object) -> Selection | None:
    """Return what a node of the library's tree selects; None if it is no selector."""
    match node:
        case promql_parser.VectorSelector():
            return _placed(node, None)
        case promql_parser.MatrixSelector():
            return _placed(node.vector_selector, node.range)
        case _:
            return None


def _placed(node: promql_parser.VectorSelector, window: timedelta | None) -> Selection:
    return Selection(
        selector=selector_of(node),
        range_seconds=None if window is None else ceil(window.total_seconds()),
        offset_seconds=0.0 if node.offset is None else node.offset.total_seconds(),
        pinned=node.at is not None,
    )


def selector_of(node: promql_parser.VectorSelector) -> SeriesSelector | None:
    """Return what an instant selector of the library's selects; None if its matchers are joined by `or`."""
    if node.matchers.or_matchers:
        return None
    matchers = [
        LabelMatcher(name=matcher.name, op=_OPERATORS[str(matcher.op)], value=matcher.value)
        for matcher in node.matchers.matchers
    ]
    metric = node.name or ""
    naming = next((matcher for matcher in matchers if _names_metric(matcher)), None)
    if not metric and naming is not None:
        metric = naming.value
        matchers.remove(naming)
    return SeriesSelector(metric=metric, matchers=tuple(matchers))


def _names_metric(matcher: LabelMatcher) -> bool:
    return matcher.name == METRIC_NAME_LABEL and matcher.op is MatchOp.EQUAL and matcher.value != ""


def _refuses_empty(matcher: LabelMatcher) -> bool:
    match matcher.op:
        case MatchOp.EQUAL:
            return matcher.value != ""
        case MatchOp.NOT_EQUAL:
            return matcher.value == ""
        case MatchOp.MATCHES:
            return _matches_empty(matcher.value) is False
        case MatchOp.NOT_MATCHES:
            return _matches_empty(matcher.value) is True


def _matches_empty(pattern: str) -> bool | None:
    """Tell whether an RE2 expression matches the empty text; None if RE2 cannot read it."""
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options).fullmatch("") is not None
    except re2.error:
        return None
