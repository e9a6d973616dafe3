"""What can be wrong with a series query."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from adapter.config.problems import Problem
from adapter.promql.ast import SeriesSelector, parse_error
from adapter.promql.matchers import METRIC_NAME_LABEL, LabelMatcher, MatchOp
from adapter.rules.checks.subject import Subject, excerpt

_ANYTHING = frozenset({"", ".", ".*", ".+", "^.*$", "^.+$", "^.*", "^.+", ".*$", ".+$"})
_LOOKS_LIKE_REGEX = re.compile(r"\^|.*\$$|.*\.[*+]", re.DOTALL)


def unreadable_selector(subject: Subject) -> Iterator[Problem]:
    """Find series queries that are no series selectors, or that our parser does not know."""
    if subject.selector is None and subject.rule.fixed is None:
        query = subject.rule.series_queries[0]
        reason = parse_error(query) or "it is not a plain series selector"
        yield subject.place.problem(
            "selector/unreadable",
            f"the series query cannot be read: {reason}",
            "seriesQuery",
            hint='write a selector such as http_requests_total{namespace!="",pod!=""}',
        )


def too_broad(subjects: Sequence[Subject]) -> Iterator[Problem]:
    """Find series queries that name no metric; each is reported once, for the first of the rules that share it."""
    seen: set[str] = set()
    for subject in subjects:
        query = subject.rule.series_queries[0]
        if subject.rule.fixed or subject.selector is None or query in seen or not names_anything(subject.selector):
            continue
        seen.add(query)
        yield subject.place.problem(
            "selector/too-broad",
            "the series query names no metric, so every metric with these labels is discovered and served",
            "seriesQuery",
            hint='name the metric, or begin with {__name__=~"^prefix_.*"}',
        )


def names_anything(selector: SeriesSelector) -> bool:
    """Say whether a selector takes metrics of any name."""
    if selector.metric:
        return False
    narrowing = (MatchOp.EQUAL, MatchOp.MATCHES)
    names = [one for one in selector.matchers if one.name == METRIC_NAME_LABEL and one.op in narrowing]
    return all(one.value in _ANYTHING for one in names)


def regex_as_text(subject: Subject) -> Iterator[Problem]:
    """Find `!=` and `=` with a value that is meant as a regular expression."""
    if subject.rule.fixed is not None or subject.selector is None:
        return
    for matcher in subject.selector.matchers:
        if is_regex_as_text(matcher):
            offset, length = excerpt(subject.rule.series_queries[0], matcher.value)
            yield subject.place.problem(
                "selector/regex-as-text",
                f'"{matcher.name}{matcher.op}" compares letter by letter; the value looks like a regular expression',
                "seriesQuery",
                hint=f"write {matcher.name}{as_regex(matcher.op)} if a regular expression is meant",
                offset=offset,
                length=length,
            )


def is_regex_as_text(matcher: LabelMatcher) -> bool:
    """Say whether a matcher compares letter by letter with what looks like a regular expression."""
    literal = matcher.op in (MatchOp.EQUAL, MatchOp.NOT_EQUAL)
    return literal and _LOOKS_LIKE_REGEX.match(matcher.value) is not None


def as_regex(operator: MatchOp) -> MatchOp:
    """Return the operator for regular expressions that a literal one stands for."""
    return MatchOp.MATCHES if operator is MatchOp.EQUAL else MatchOp.NOT_MATCHES
