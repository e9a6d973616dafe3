"""What can be wrong with what a query template asks for."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from adapter.config.problems import Problem
from adapter.rules.checks.rendering import QueryView
from adapter.rules.checks.subject import excerpt

FIELDS = ("Series", "LabelMatchers", "LabelValuesByName", "GroupBy", "GroupBySlice")


def unknown_fields(view: QueryView) -> Iterator[Problem]:
    """Find fields that no query template has."""
    for name in sorted(view.template.fields - set(FIELDS)):
        close = get_close_matches(name, FIELDS, n=1, cutoff=0.5)
        offset, length = excerpt(view.text, f".{name}")
        yield view.place.problem(
            "template/unknown-field",
            f"there is no .{name} in a query, so every request is answered 404",
            hint=f"did you mean .{close[0]}?" if close else "there are ." + ", .".join(FIELDS),
            offset=offset,
            length=length,
        )


def empty_fields(view: QueryView) -> Iterator[Problem]:
    """Find fields that are empty in this kind of query."""
    if view.what == "external":
        for name in sorted(view.template.fields & {"GroupBy", "GroupBySlice"}):
            yield _empty(view, name, "an external metric has no object to group by, so all series become one value")
    elif view.what in ("container", "node") and "Series" in view.template.fields:
        yield _empty(view, "Series", "a resource rule has no series query")


def _empty(view: QueryView, name: str, reason: str) -> Problem:
    offset, length = excerpt(view.text, f".{name}")
    return view.place.problem(
        "template/empty-field",
        f".{name} is empty here: {reason}",
        hint="write out what is meant",
        offset=offset,
        length=length,
    )
