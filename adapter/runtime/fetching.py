"""The samples of a plan: from the cache, or by a query that is shared with whoever asks the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from adapter.errors import AdapterError, QueryRejected
from adapter.promql.ast import range_seconds_of
from adapter.promql.model import QueryAnswer, Vector
from adapter.rules.query import Plan, odd_key
from adapter.rules.resource_plan import UsePlan
from adapter.rules.trail import Trail
from adapter.runtime.cache import Cached, QueryCache
from adapter.runtime.clock import Clocks


class QueryBackend(Protocol):
    """What a request needs of a backend."""

    async def query(self, promql: str, *, at_seconds: float, deadline_seconds: float) -> QueryAnswer:
        """Return the answer of an instant query; raises UpstreamError leaves."""


class QueryObserver(Protocol):
    """What is reported of queries."""

    def rule_queried(self, *, rule: str, outcome: str) -> None:
        """Note a query that Prometheus was asked for a rule: ok, empty, error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetching:
    """Asks the backend through the cache."""

    backend: QueryBackend
    cache: QueryCache
    clocks: Clocks
    observer: QueryObserver
    timeout_seconds: float

    async def fetch(self, plan: Plan, trail: Trail) -> Cached:
        """Return the answer to a plan's query.

        Raises:
            UnsupportedSelector: a selector key that the rule wrote into the query is none there.
            UpstreamError: the query failed.
        """
        trail.note("query", "the query that is sent", promql=plan.promql, series=plan.series, label=plan.label)

        async def ask() -> tuple[QueryAnswer, int | None]:
            return await self._ask(plan.promql, plan.rule.id), range_seconds_of(plan.sketch())

        try:
            cached = await self.cache.get(plan.promql, plan.rule.policies.cache_ttl_seconds, ask)
        except AdapterError as error:
            trail.note("answer", f"the query failed: {error}", ok=False)
            if isinstance(error, QueryRejected) and plan.odd_keys:
                # The template wrote the key where a label name belongs: the caller's doing, not the server's.
                raise odd_key(plan.odd_keys[0], plan.rule) from error
            raise
        trail.note(
            "answer",
            f"evaluated {self.clocks.monotonic() - cached.evaluated_at:.1f} s ago",
            result=cached.answer.result,
            annotations=cached.answer.annotations,
        )
        return cached

    async def fetch_use(self, plan: UsePlan, *, ttl_seconds: float) -> QueryAnswer:
        """Return the answer to a query for the use of pods or nodes; raises an UpstreamError if it failed."""

        async def ask() -> tuple[QueryAnswer, int | None]:
            return await self._ask(plan.promql, plan.rule.id), None  # resource rules say their window themselves

        return (await self.cache.get(plan.promql, ttl_seconds, ask)).answer

    async def _ask(self, promql: str, rule: str) -> QueryAnswer:
        outcome = "error"
        try:
            answer = await self.backend.query(
                promql,
                at_seconds=self.clocks.wall(),
                deadline_seconds=self.clocks.monotonic() + self.timeout_seconds,
            )
            outcome = "empty" if isinstance(answer.result, Vector) and not answer.result.samples else "ok"
        finally:
            self.observer.rule_queried(rule=rule, outcome=outcome)
        return answer
