"""What a request needed the last time, used again while the rule, the kinds and the objects are the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from cachetools import LRUCache

from adapter.kube.resources import Kinds
from adapter.rules.answers import CustomAnswer, ExternalAnswer
from adapter.rules.catalog import Entry
from adapter.rules.query import Plan, plan_custom, plan_external
from adapter.rules.requests import CustomMetricRequest, ExternalMetricRequest, MetricRequest
from adapter.runtime.subjects import Subject

A = TypeVar("A", CustomAnswer, ExternalAnswer)

# Plans of over ten thousand autoscalers with a dozen pods each; what the plan of one takes beside its query and the
# references to its names is some kilobyte.
_PLANS_BYTES: Final = 32 * 1024 * 1024
_BYTES_PER_PLAN: Final = 1000
_BYTES_PER_NAME: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Planned:
    """A plan and what it was made of."""

    entry: Entry
    kinds: Kinds
    plan: Plan
    subject: Subject | None = None  # None for an external metric


@dataclass(frozen=True, slots=True, kw_only=True)
class Made(Generic[A]):
    """What a plan and one answer of Prometheus give, and what is reported each time that it is told.

    Attributes:
        applied: what the rule's policies decided, as `policy_applied` is told.
        oldest_seconds: of the values' timestamps, since 1970; None without values.
    """

    answer: A
    applied: tuple[str, ...] = ()
    oldest_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Plans:
    """The plans of the requests that came last, by request; a plan that failed is tried again."""

    _kept: LRUCache[MetricRequest, Planned] = field(
        default_factory=lambda: LRUCache(maxsize=_PLANS_BYTES, getsizeof=_size_bytes)
    )

    def custom(self, request: CustomMetricRequest, entry: Entry, kinds: Kinds, subject: Subject) -> Planned:
        """Return the plan for a metric of objects; raises what `plan_custom` raises."""

        def make() -> Plan:
            return plan_custom(
                entry,
                namespace=request.namespace,
                names=subject.names,
                metric_selector=request.metric_selector,
                kinds=kinds,
                asked_for=subject.wanted,
            )

        return self._planned(request, entry, kinds, subject, make)

    def external(self, request: ExternalMetricRequest, entry: Entry, kinds: Kinds) -> Planned:
        """Return the plan for an external metric; raises what `plan_external` raises."""

        def make() -> Plan:
            return plan_external(entry, namespace=request.namespace, selector=request.selector, kinds=kinds)

        return self._planned(request, entry, kinds, None, make)

    def _planned(
        self, request: MetricRequest, entry: Entry, kinds: Kinds, subject: Subject | None, make: Callable[[], Plan]
    ) -> Planned:
        kept = self._kept.get(request)
        if kept is not None and kept.kinds is kinds and kept.entry == entry and kept.subject == subject:
            return kept
        planned = Planned(entry=entry, kinds=kinds, subject=subject, plan=make())
        if _size_bytes(planned) <= self._kept.maxsize:
            self._kept[request] = planned
        return planned


def _size_bytes(planned: Planned) -> int:
    return _BYTES_PER_PLAN + len(planned.plan.promql) + _BYTES_PER_NAME * len(planned.plan.names)
