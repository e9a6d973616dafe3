"""What can be wrong with a query for some requests only, since a template is filled anew for each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from adapter.config.problems import Problem
from adapter.errors import RequestError
from adapter.kube.selectors import EVERYTHING, Selector, parse_selector
from adapter.promql.ast import parse_error
from adapter.rules.checks.rendering import QueryView
from adapter.rules.checks.subject import excerpt, shown_query
from adapter.rules.examples import plans_of
from adapter.rules.query import Plan

_SELECTORS: Final[Mapping[str, Selector]] = {
    "without a selector": EVERYTHING,
    "with the selector code=200": parse_selector("code=200"),
}
# Where nothing is left of the matchers, a comma beside them is one too many; behind the last matcher one may stand.
_BEFORE_A_COMMA = re.compile(r"<<-?\s*\.LabelMatchers\s*-?>>(?=\s*,)")
_ALONE = re.compile(r"\{\s*<<-?\s*\.LabelMatchers\s*-?>>\s*,?\s*\}")


def unreadable_for_some(view: QueryView) -> Iterator[Problem]:
    """Find queries that can be read with some matchers, and cannot with those that some request has."""
    if view.subject is None or any(one.query is None for one in view.renderings):
        return
    for request, selector in _SELECTORS.items():
        for plan in _plans(view, selector):
            error = parse_error(plan.promql)
            if error is not None:
                yield _unreadable(view, f"for a request {request} the query is {shown_query(plan.promql)}", error)
                return


def _plans(view: QueryView, selector: Selector) -> tuple[Plan, ...]:
    assert view.subject is not None  # noqa: S101 - the only caller has looked
    try:
        return plans_of(view.subject.rule, view.subject.kinds, selector)
    except RequestError:
        return ()  # such a request is answered by an error of ours


def _unreadable(view: QueryView, what: str, error: str) -> Problem:
    comma, alone = _BEFORE_A_COMMA.search(view.text), _ALONE.search(view.text)
    if comma:
        hint = "put <<.LabelMatchers>> last, or write <<if .LabelMatchers>><<.LabelMatchers>>,<<end>>"
    elif alone:
        hint = "name the metric before the braces, or write a matcher before <<.LabelMatchers>>"
    else:
        hint = "look at what the template writes for such a request"
    place = comma or alone
    offset, length = (place.start(), len(place[0])) if place else excerpt(view.text, "<<")
    return view.place.problem(
        "query/unreadable-for-some",
        f"{what}, which cannot be read: {error}",
        hint=hint,
        offset=offset,
        length=length,
    )
