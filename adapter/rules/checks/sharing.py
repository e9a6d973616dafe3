"""What an author can do so that requests for a rule's metrics share a query."""

from __future__ import annotations

import re
from collections.abc import Iterator

from adapter.config.problems import Problem
from adapter.rules.checks import tree
from adapter.rules.checks.rendering import QueryView
from adapter.rules.fusion import NotFusable, Shape, fusability, fusability_of_use
from adapter.rules.resource_rule import ResourceRules


def of_rule(view: QueryView) -> Iterator[Problem]:
    """Find rules each of whose requests is a query of its own, where another way to write it would change that."""
    subject = view.subject
    if subject is not None and subject.rule.may_share and _is_of_its_kind(view):
        yield from _asked_alone(view, fusability(subject.rule, subject.kinds))


def of_resource_rule(rules: ResourceRules | None, view: QueryView) -> Iterator[Problem]:
    """Find the same of the queries for pods and for nodes."""
    for _, rule in rules or ():
        if rule is not None and rule.id == view.place.rule_id:
            yield from _asked_alone(view, fusability_of_use(rule).get(view.what))


def _is_of_its_kind(view: QueryView) -> bool:
    """Say whether the query serves the kind that it would be looked at for; with a template it may be for another."""
    first = next(iter(view.renderings), None)
    return first is None or not first.label or first.tree is None or tree.may_keep(first.tree, first.label)


def _asked_alone(view: QueryView, found: Shape | NotFusable | None) -> Iterator[Problem]:
    """Yield the problem of a query that requests do not share, if its author can do something about it."""
    if isinstance(found, NotFusable) and found.hint:
        offset, length = _word(view.text, found.about)
        yield view.place.problem(
            "query/not-shared",
            f"each request costs a query of its own, because {found.reason}",
            hint=found.hint,
            offset=offset,
            length=length,
        )


def _word(text: str, word: str) -> tuple[int, int | None]:
    """Return where a name or a keyword first stands by itself; the whole text if it does not."""
    found = re.search(rf"(?<![\w:]){re.escape(word)}(?![\w:])", text) if word else None
    return (found.start(), len(word)) if found else (0, None)
