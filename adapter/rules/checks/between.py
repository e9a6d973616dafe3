"""What two rules can do to each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from adapter.config.problems import Problem
from adapter.kube.resources import GroupResource
from adapter.rules.checks.subject import Subject, names_namespaces
from adapter.rules.rule import Api


def overlaps(subjects: Sequence[Subject]) -> Iterator[Problem]:
    """Find rules that give a metric which an earlier rule gives too."""
    for index, later in enumerate(subjects):
        earlier = next((one for one in reversed(subjects[:index]) if overlap(one, later)), None)
        if earlier is not None:
            metric = f'the metric "{later.api_name}"' if later.api_name is not None else "the same metrics"
            yield later.place.problem(
                "rule/overlap",
                f"rule {earlier.rule.id} ({earlier.rule.place}) gives {metric} too;"
                " this one wins where both have series",
                *(() if later.rule.fixed else ("name",)),
                hint="rename one of them, or join them into one rule",
            )


def overlap(one: Subject, other: Subject) -> bool:
    """Say whether two rules surely give one metric of one kind, if both have series."""
    if one.rule.api is not other.rule.api:
        return False
    if one.rule.api is Api.CUSTOM and not _share_a_kind(one, other):
        return False
    if one.api_name is not None:
        return one.api_name == other.api_name
    return _derivation(one) == _derivation(other)


def _derivation(subject: Subject) -> tuple[object, ...]:
    naming = subject.rule.naming
    return (
        subject.rule.series_queries,
        naming.expansion,
        naming.matches.text,
        frozenset(str(one) for one in naming.filters),
    )


def _share_a_kind(one: Subject, other: Subject) -> bool:
    if one.rule.association.template or other.rule.association.template:
        return True
    mine, theirs = _resources(one), _resources(other)
    return bool(mine & theirs)


def _resources(subject: Subject) -> frozenset[GroupResource]:
    """Return what a rule maps; namespaces, which nearly every rule maps, count only if it maps nothing else."""
    rule = subject.rule
    if rule.fixed is not None:
        resources = [rule.fixed.resource] if rule.fixed.resource else []
    else:
        resources = [resource for _, resource in rule.association.overrides]
    objects = [one for one in resources if not names_namespaces(one)] or resources
    kinds = [(subject.kinds.resolve(one), one) for one in objects]
    return frozenset(kind.group_resource if kind else one for kind, one in kinds)
