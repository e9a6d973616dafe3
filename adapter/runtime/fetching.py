"""The samples of a plan: from the cache, or by a query that is shared with whoever asks the same."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

from adapter.errors import AdapterError, QueryRejected
from adapter.promql.ast import range_seconds_of
from adapter.promql.model import QueryAnswer, Vector
from adapter.rules.query import Plan, odd_key
from adapter.rules.resource_plan import UsePlan
from adapter.rules.sample_age import AgeQuestions, Ages, age_questions, times_of
from adapter.rules.trail import Trail
from adapter.runtime.cache import Cached, Fetched, QueryCache
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

        async def ask() -> Fetched:
            return await self._fetched(plan)

        policies = plan.rule.policies
        try:
            cached = await self.cache.get(
                plan.promql,
                policies.cache_ttl_seconds,
                ask,
                max_sample_age_seconds=policies.max_sample_age_seconds,
            )
        except AdapterError as error:
            trail.note("answer", f"the query failed: {error}", ok=False)
            if isinstance(error, QueryRejected) and plan.odd_keys:
                # The template wrote the key where a label name belongs: the caller's doing, not the server's.
                raise odd_key(plan.odd_keys[0], plan.rule) from error
            raise
        if cached.ages is not None:
            trail.note("age", "the newest raw samples, asked for with it", promqls=cached.ages.questions.promqls)
        trail.note(
            "answer",
            f"evaluated {self.clocks.monotonic() - cached.evaluated_at:.1f} s ago",
            result=cached.answer.result,
            annotations=cached.answer.annotations,
        )
        return cached

    async def fetch_use(self, plan: UsePlan, *, ttl_seconds: float) -> QueryAnswer:
        """Return the answer to a query for the use of pods or nodes; raises an UpstreamError if it failed."""

        async def ask() -> Fetched:
            # Resource rules say their window themselves.
            return Fetched(answer=await self._ask(plan.promql, plan.rule.id, self.clocks.wall()))

        return (await self.cache.get(plan.promql, ttl_seconds, ask)).answer

    async def _fetched(self, plan: Plan) -> Fetched:
        """Ask for the values and, at the same evaluation time, for their ages."""
        at_seconds = self.clocks.wall()
        questions = _questions(plan)
        promqls = (plan.promql, *(questions.promqls if questions else ()))
        answer, *others = await asyncio.gather(*(self._ask(one, plan.rule.id, at_seconds) for one in promqls))
        max_age_seconds = plan.rule.policies.max_sample_age_seconds
        return Fetched(
            answer=answer,
            window_seconds=range_seconds_of(plan.sketch()),
            ages=None
            if questions is None or max_age_seconds is None
            else Ages(
                questions=questions,
                times=tuple(times_of(one.result, questions.label) for one in others),
                evaluated_at_seconds=answer.evaluated_at_seconds,
                max_age_seconds=max_age_seconds,
            ),
        )

    async def _ask(self, promql: str, rule: str, at_seconds: float) -> QueryAnswer:
        outcome = "error"
        try:
            answer = await self.backend.query(
                promql,
                at_seconds=at_seconds,
                deadline_seconds=self.clocks.monotonic() + self.timeout_seconds,
            )
            outcome = "empty" if isinstance(answer.result, Vector) and not answer.result.samples else "ok"
        finally:
            self.observer.rule_queried(rule=rule, outcome=outcome)
        return answer


def _questions(plan: Plan) -> AgeQuestions | None:
    """Return what has to be asked for the ages of a plan's values; None if its rule takes any age.

    Raises:
        UnusableResult: the query cannot be read.
    """
    max_age_seconds = plan.rule.policies.max_sample_age_seconds
    if max_age_seconds is None:
        return None
    return age_questions(plan.promql, label=plan.label, max_age_seconds=max_age_seconds, rule=plan.rule.id)
