"""Answers out of what Prometheus gave: decided once for each plan and each of Prometheus' answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adapter.errors import ReferenceDefect
from adapter.kube.documents import ExternalItem, MetricItem
from adapter.kube.selectors import Op, Selector
from adapter.rules.answers import CustomAnswer, ExternalAnswer
from adapter.rules.requests import CustomMetricRequest, ExternalMetricRequest
from adapter.rules.rule import Compat
from adapter.rules.trail import NO_TRAIL, Trail
from adapter.rules.values import Value
from adapter.runtime.cache import Cached
from adapter.runtime.deciding import Deciding, PolicyObserver
from adapter.runtime.plans import Made, Planned
from adapter.runtime.subjects import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """Makes answers, and keeps them for as long as what they are made of is kept."""

    deciding: Deciding
    observer: PolicyObserver
    compat: Compat

    async def custom(
        self, request: CustomMetricRequest, planned: Planned, cached: Cached, subject: Subject, trail: Trail
    ) -> Made[CustomAnswer]:
        """Return the answer about objects, and keep it beside what it was made of; raises what deciding raises."""
        decision = await self.deciding.of_objects(planned.plan, cached, subject, request, trail)
        values, window_seconds = decision.values, self._window(cached)
        self._check_strictly(request.metric_selector, values)
        items = tuple(
            MetricItem(
                kind=subject.kind,
                namespace=subject.namespace,
                name=name,
                timestamp_seconds=values[name].timestamp_seconds,
                milli=values[name].milli,
                window_seconds=window_seconds,
            )
            for name in subject.names
            if name in values
        )
        made = Made(
            answer=CustomAnswer(metric=request.metric, items=items, selector=request.metric_selector),
            applied=decision.applied,
            oldest_seconds=min((item.timestamp_seconds for item in items), default=None),
        )
        if decision.lasts:
            cached.keep(planned, made)
        return made

    def external(
        self, request: ExternalMetricRequest, planned: Planned, cached: Cached, trail: Trail
    ) -> Made[ExternalAnswer]:
        """Return the answer about no object, and keep it beside what it was made of; raises what deciding raises."""
        decision = self.deciding.of_external(planned.plan, cached, request, trail)
        window_seconds = self._window(cached)
        items = tuple(
            ExternalItem(
                labels=value.labels,
                timestamp_seconds=value.timestamp_seconds,
                milli=value.milli,
                window_seconds=window_seconds,
            )
            for value in decision.values
        )
        made = Made(
            answer=ExternalAnswer(metric=request.metric, items=items),
            applied=decision.applied,
            oldest_seconds=min((item.timestamp_seconds for item in items), default=None),
        )
        if decision.lasts:
            cached.keep(planned, made)
        return made

    def before(self, planned: Planned, cached: Cached, trail: Trail) -> Made[Any] | None:
        """Return what was made of the same plan and answer, and report it again.

        None if it has to be made; so it is for who wants a trail of it.
        """
        made = cached.made.get(planned) if trail is NO_TRAIL else None
        if not isinstance(made, Made):
            return None
        for what in made.applied:
            self.observer.policy_applied(rule=planned.plan.rule.id, what=what)
        return made

    def _check_strictly(self, selector: Selector, values: Mapping[str, Value]) -> None:
        """Refuse, under strict, to write `!=` into an answer: prometheus-adapter cannot once there is a value."""
        written = any(one.op is Op.NOT_EQUALS for one in selector.requirements)
        if self.compat is Compat.STRICT and written and values:
            raise ReferenceDefect('"!=" is not a valid label selector operator')

    def _window(self, cached: Cached) -> int | None:
        """Return the query's window; prometheus-adapter never says it."""
        return None if self.compat is Compat.STRICT else cached.window_seconds
