"""What two rules can do to each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from adapter.config.problems import Problem
from adapter.kube.resources import GroupResource
from adapter.rules.checks.subject import Subject, names_namespaces
from adapter.rules.rule import Api


def overlaps(subjects: Sequence[Subject]) -> Iterator[Problem]:
    """Find rules that give a metric which an earlier rule gives too."""
    alike: dict[tuple[object, ...], list[_Claimant]] = {}
    for later in subjects:
        claimant = _Claimant(subject=later, kinds=_kinds_of(later))
        before = alike.setdefault(_names_of(later), [])
        earlier = next((one.subject for one in reversed(before) if _share_a_kind(one, claimant)), None)
        before.append(claimant)
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
    claimants = [_Claimant(subject=subject, kinds=_kinds_of(subject)) for subject in (one, other)]
    return _names_of(one) == _names_of(other) and _share_a_kind(*claimants)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claimant:
    """A rule, and the kinds that its metrics are of: None for every kind, nothing for external metrics."""

    subject: Subject
    kinds: frozenset[GroupResource] | None


def _names_of(subject: Subject) -> tuple[object, ...]:
    """Return what two rules have in common if they give metrics of the same names."""
    naming = subject.rule.naming
    if subject.api_name is not None:
        return (subject.rule.api, subject.api_name)
    return (
        subject.rule.api,
        subject.rule.series_queries,
        naming.expansion,
        naming.matches.text,
        frozenset(str(one) for one in naming.filters),
    )


def _share_a_kind(one: _Claimant, other: _Claimant) -> bool:
    return one.kinds is None or other.kinds is None or bool(one.kinds & other.kinds)


def _kinds_of(subject: Subject) -> frozenset[GroupResource] | None:
    """Return what a rule maps; namespaces, which nearly every rule maps, count only if it maps nothing else."""
    rule = subject.rule
    if rule.api is Api.EXTERNAL or rule.association.template:
        return None
    if rule.fixed is not None:
        resources = [rule.fixed.resource] if rule.fixed.resource else []
    else:
        resources = [resource for _, resource in rule.association.overrides]
    objects = [one for one in resources if not names_namespaces(one)] or resources
    kinds = [(subject.kinds.resolve(one), one) for one in objects]
    return frozenset(kind.group_resource if kind else one for kind, one in kinds)
