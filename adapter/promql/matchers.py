"""Label matchers, and the one place that quotes text into PromQL."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from adapter.promql.goquoting import quoted_char

METRIC_NAME_LABEL = "__name__"

_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")

# Names that Prometheus' lexer takes for a keyword or a number where a metric name stands (promql/parser/lex.go, and
# `metric_identifier` of generated_parser.y, which takes the other keywords back).
_NOT_AN_IDENTIFIER = frozenset({"atan2", "bool", "group_left", "group_right", "ignoring", "inf", "nan", "on"})

# All but the printable ASCII that a string holds as it is.
_NOT_PLAIN = re.compile(r"[^ !#-\[\]-~]")

# What regexp.QuoteMeta escapes. RE2 reads each of these with a backslash as itself, and all other characters anyway.
_REGEX_SPECIAL = str.maketrans({char: "\\" + char for char in r"\.+*?()|[]{}^$"})


class MatchOp(StrEnum):
    """How a matcher compares; the regular expressions are RE2 and match the whole value."""

    EQUAL = "="
    NOT_EQUAL = "!="
    MATCHES = "=~"
    NOT_MATCHES = "!~"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelMatcher:
    """One condition on a label; `str()` is its PromQL, with a name beyond the classic alphabet in quotes."""

    name: str
    op: MatchOp
    value: str

    def __str__(self) -> str:
        name = self.name if is_legacy_label_name(self.name) else quote(self.name)
        return f"{name}{self.op}{quote(self.value)}"


def quote(text: str) -> str:
    """Return `text` as a PromQL string that reads back as itself: what Go's %q writes, but for U+FFFD."""
    return '"' + _NOT_PLAIN.sub(_escaped, text) + '"'


def escape_regex(text: str) -> str:
    """Return an RE2 regular expression that matches exactly `text`; put it through `quote` before it enters a query."""
    return text.translate(_REGEX_SPECIAL)


def is_legacy_label_name(text: str) -> bool:
    """Tell whether a label name can stand in PromQL without quotes, as all could before Prometheus 3."""
    return _LABEL_NAME.fullmatch(text) is not None


def is_legacy_metric_name(text: str) -> bool:
    """Tell whether a metric name is of the classic alphabet, the only one before Prometheus 3."""
    return _METRIC_NAME.fullmatch(text) is not None


def selector_text(metric: str, matchers: Iterable[LabelMatcher]) -> str:
    """Return the selector of a metric ("" for any) that these matchers narrow."""
    narrowing = tuple(matchers)
    conditions = [str(matcher) for matcher in narrowing]
    if not metric:
        return _braced(conditions)
    if not is_legacy_metric_name(metric):
        return _braced([quote(metric), *conditions])
    # Prometheus refuses a condition on __name__ behind a name that stands before the braces.
    if metric.lower() in _NOT_AN_IDENTIFIER or any(matcher.name == METRIC_NAME_LABEL for matcher in narrowing):
        return _braced([f"{METRIC_NAME_LABEL}={quote(metric)}", *conditions])
    return metric + (_braced(conditions) if conditions else "")


def _braced(conditions: list[str]) -> str:
    return "{" + ",".join(conditions) + "}"


def _escaped(found: re.Match[str]) -> str:
    # Prometheus takes a U+FFFD that stands in a query for broken UTF-8 and refuses the query (promql/parser/lex.go).
    return "\\ufffd" if found[0] == "\ufffd" else quoted_char(found[0], delimiter='"')
