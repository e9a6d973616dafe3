"""What requests for cpu and memory needed the last time, used again while the rules and the objects are the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from cachetools import LRUCache

from adapter.kube.documents import ObjectMeta
from adapter.kube.resource_metrics import NodeUse, PodUse
from adapter.kube.selectors import Selector
from adapter.rules.resource_plan import UsePlan
from adapter.rules.resource_rule import ResourceRules, UseRule
from adapter.runtime.cache import Cached

U = TypeVar("U", PodUse, NodeUse)

# As of the plans for other metrics (runtime/plans): over ten thousand autoscalers, or a few lists of all pods.
_PLANS_BYTES: Final = 32 * 1024 * 1024
_BYTES_PER_PLAN: Final = 1000
_BYTES_PER_OBJECT: Final = 16

# What is asked for: namespace (of nodes none), selector, name; the last two as the caller gave them.
Scope = tuple[str | None, Selector, str]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlannedUses:
    """The queries for objects, by resource, and what they were made of."""

    rules: ResourceRules
    objects: Sequence[ObjectMeta]
    plans: Mapping[str, UsePlan]


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeUses(Generic[U]):
    """What plans and the answers to them give; `applied` is by rule, as `policy_applied` is told."""

    answers: tuple[Cached, ...]
    uses: tuple[U, ...]
    applied: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class UsePlans:
    """The plans of the requests that came last, by what they ask for; a plan that failed is tried again."""

    _kept: LRUCache[Scope, PlannedUses] = field(
        default_factory=lambda: LRUCache(maxsize=_PLANS_BYTES, getsizeof=_size_bytes)
    )

    def of(
        self,
        scope: Scope,
        rules: ResourceRules,
        objects: Sequence[ObjectMeta],
        plan_of: Callable[[UseRule], UsePlan | None],
    ) -> PlannedUses:
        """Return the plans for objects; raises what `plan_of` raises."""
        kept = self._kept.get(scope)
        if kept is not None and kept.rules is rules and kept.objects == objects:
            return kept
        plans = {name: plan for name, rule in rules if rule is not None and (plan := plan_of(rule)) is not None}
        planned = PlannedUses(rules=rules, objects=objects, plans=plans)
        if _size_bytes(planned) <= self._kept.maxsize:
            self._kept[scope] = planned
        return planned


def made_before(planned: PlannedUses, answers: Sequence[Cached]) -> MadeUses[PodUse] | MadeUses[NodeUse] | None:
    """Return what was made of the same plans and answers; None if it has to be made."""
    made = answers[0].made.get(planned) if answers else None
    if not isinstance(made, MadeUses) or any(one is not two for one, two in zip(made.answers, answers, strict=True)):
        return None
    return made


def _size_bytes(planned: PlannedUses) -> int:
    queries = sum(len(plan.promql) + _BYTES_PER_OBJECT * len(plan.names) for plan in planned.plans.values())
    return _BYTES_PER_PLAN + queries + _BYTES_PER_OBJECT * len(planned.objects)
