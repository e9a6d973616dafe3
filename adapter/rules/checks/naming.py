"""What can be wrong with the names that a rule gives, and with the filters on the names that it takes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from adapter.config.problems import Problem
from adapter.promql.matchers import is_legacy_metric_name
from adapter.rules.checks.subject import Subject, excerpt
from adapter.rules.naming import references
from adapter.rules.rule import Api

_LEADING_NUMBER = re.compile(r"(\d+)([^\W\d]\w*)")
# Kubernetes reads /namespaces/NS/status as a part of the namespace (wire: RequestInfo's namespaceSubresources).
_NAMESPACE_PARTS = frozenset({"status", "finalize"})


def groups_that_are_not_there(subject: Subject) -> Iterator[Problem]:
    """Find `$1_per_second`, which is the group named `1_per_second`, and other groups that `matches` does not have."""
    naming = subject.rule.naming
    for name in references(naming.expansion):
        if _exists(name, subject):
            continue
        offset, length = excerpt(naming.expansion, f"${name}")
        number = _LEADING_NUMBER.fullmatch(name)
        if number:
            yield subject.place.problem(
                "naming/one-underscore",
                f'"${name}" is the group named "{name}", which does not exist, so it stands for nothing',
                "name",
                "as",
                hint=f"write ${{{number[1]}}}{number[2]}",
                offset=offset,
                length=length,
            )
        else:
            groups = subject.rule.naming.matches.groups
            yield subject.place.problem(
                "naming/unknown-group",
                f"`matches` has no group {name}, so it stands for nothing; it has {groups or 'no'} groups",
                "name",
                "as",
                hint="put the part of the name that is meant into parentheses in `matches`",
                offset=offset,
                length=length,
            )


def _exists(name: str, subject: Subject) -> bool:
    matches = subject.rule.naming.matches
    if name.isascii() and name.isdigit():
        return int(name) <= matches.groups
    return name in matches.compiled.groupindex


def unreachable_name(subject: Subject) -> Iterator[Problem]:
    """Find names that no path can hold."""
    name = subject.api_name
    if name is None or any(True for _ in groups_that_are_not_there(subject)):
        return
    reason = _unreachable_because(name, external=subject.rule.api is Api.EXTERNAL)
    if reason:
        below = ("metric",) if subject.rule.fixed else ("name",)
        yield subject.place.problem(
            "rule/no-name", f'no request can name the metric "{name}": {reason}', *below, hint="give it another name"
        )


def _unreachable_because(name: str, *, external: bool) -> str:
    if not name:
        return "the name is empty"
    if "/" in name:
        return "a slash ends a path segment"
    if name in (".", ".."):
        return "it is a step of a path"
    if external and name in _NAMESPACE_PARTS:
        return f"Kubernetes reads /namespaces/NAMESPACE/{name} as a part of the namespace"
    return ""


def filters_that_nothing_passes(subject: Subject) -> Iterator[Problem]:
    """Find filters that refuse the only series there can be, or that refuse what another one demands."""
    series = subject.exact_series
    naming = subject.rule.naming
    refusing = naming.refused_by(series) if series else None
    if refusing is not None:
        place = _place_of_filter(subject, naming.filters.index(refusing))
        message = f'the series query takes only "{series}", and `{refusing}` refuses that name'
        yield subject.place.problem("filter/never-passes", message, *place, hint="the rule gives no metric like this")
        return
    demanded = {one.pattern.text for one in naming.filters if one.wanted}
    for index, one in enumerate(naming.filters):
        if not one.wanted and one.pattern.text in demanded:
            message = f'"{one.pattern.text}" is demanded and refused, so no series passes'
            yield subject.place.problem("filter/never-passes", message, *_place_of_filter(subject, index))


def _place_of_filter(subject: Subject, index: int) -> tuple[str | int, ...]:
    written = getattr(subject.written, "series_filters", [])
    return ("seriesFilters", index) if index < len(written) else ("name", "matches")


def one_name_for_many(subject: Subject) -> Iterator[Problem]:
    """Find a fixed `as` on a series query that takes several metrics, of which only the last is served."""
    rule = subject.rule
    if rule.fixed is not None or "$" in rule.naming.expansion or subject.exact_series or subject.selector is None:
        return
    if rule.query is None or "Series" not in rule.query.fields or _filtered_to_one(subject):
        return
    yield subject.place.problem(
        "naming/one-name-for-many",
        f'every metric of the series query is called "{rule.naming.expansion}"; of several, only the last is served',
        "name",
        "as",
        hint="name one metric in the series query, or derive the name from a group of `matches`",
    )


def _filtered_to_one(subject: Subject) -> bool:
    """Say whether some filter is the whole name of one series."""
    texts = (one.pattern.text for one in subject.rule.naming.filters if one.wanted)
    return any(text.startswith("^") and text.endswith("$") and is_legacy_metric_name(text[1:-1]) for text in texts)
