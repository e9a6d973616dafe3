"""What is wrong with rules that compile: each check is a function, each finding has a code and a page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Final

from adapter.config.load import Loaded
from adapter.config.problems import Problem
from adapter.kube.resources import Kinds
from adapter.rules.checks import (
    association,
    between,
    naming,
    policies,
    query,
    requests,
    resource,
    selector,
    sharing,
    staleness,
    template,
    values,
)
from adapter.rules.checks.rendering import QueryView, view_of
from adapter.rules.checks.subject import Subject, subjects_of
from adapter.rules.rule import Rulebook

OfRule = Callable[[Subject], Iterable[Problem]]
OfQuery = Callable[[QueryView], Iterable[Problem]]
OfAll = Callable[[Sequence[Subject]], Iterable[Problem]]

RULE_CHECKS: Final[tuple[OfRule, ...]] = (
    naming.groups_that_are_not_there,
    naming.unreachable_name,
    naming.filters_that_nothing_passes,
    naming.one_name_for_many,
    selector.unreadable_selector,
    selector.regex_as_text,
    association.no_objects,
    association.no_namespace,
    association.several_labels,
    association.external_default,
    policies.long_hold,
    policies.long_cache,
    policies.duplicates_of_external,
    staleness.long_stale,
)
QUERY_CHECKS: Final[tuple[OfQuery, ...]] = (
    template.unknown_fields,
    template.empty_fields,
    query.unreadable,
    requests.unreadable_for_some,
    query.age_unknown,
    query.no_vector,
    query.matchers_missing,
    query.hard_coded_namespace,
    query.regex_as_text,
    query.object_label_lost,
    query.dash_in_name,
    values.counter_without_rate,
    values.rate_of_gauge,
    values.division_nan,
)
CHECKS_BETWEEN_RULES: Final[tuple[OfAll, ...]] = (selector.too_broad, between.overlaps)


def static_problems(rulebook: Rulebook, loaded: Loaded, kinds: Kinds) -> tuple[Problem, ...]:
    """Return what is wrong with the rules in force as far as the files alone tell, in the order of the files."""
    found = dict.fromkeys(_problems(rulebook, loaded, kinds))
    order = {file.source.file: index for index, file in enumerate(loaded.files)}
    return tuple(sorted(found, key=lambda one: (order[one.location.file], one.location.line, one.location.column)))


def _problems(rulebook: Rulebook, loaded: Loaded, kinds: Kinds) -> Iterator[Problem]:
    subjects = subjects_of(rulebook, loaded, kinds)
    for subject in subjects:
        for check in RULE_CHECKS:
            yield from check(subject)
        yield from _of_query(view_of(subject), sharing.of_rule)
    for check_all in CHECKS_BETWEEN_RULES:
        yield from check_all(subjects)
    of_use = partial(sharing.of_resource_rule, rulebook.resource_rules)
    for file in loaded.files:
        yield from staleness.long_stale_of_all(file)
        yield from resource.labels_missing(file, kinds)
        for view in resource.views_of_resource_rules(file, kinds):
            yield from _of_query(view, of_use)


def _of_query(view: QueryView | None, sharing_of: OfQuery) -> Iterator[Problem]:
    """Find what is wrong with a query, and if it is nothing, what keeps requests from sharing it."""
    if view is not None:
        found = [problem for check in QUERY_CHECKS for problem in check(view)]
        yield from found
        if {one.code for one in found} <= {"query/division-nan"}:
            yield from sharing_of(view)
