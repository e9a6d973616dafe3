"""The samples of a plan: from the cache, or by a query that is shared with whoever asks for the same or the like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from adapter.errors import AdapterError, QueryRejected
from adapter.promql.model import QueryAnswer, Vector
from adapter.rules.fusion import NotFusable
from adapter.rules.query import Plan, odd_key
from adapter.rules.resource_plan import UsePlan
from adapter.rules.sample_age import AgeQuestions, age_questions
from adapter.rules.trail import NO_TRAIL, Trail
from adapter.runtime.cache import Cached, Fetch, Fetched, Key, QueryCache
from adapter.runtime.clock import Clocks
from adapter.runtime.sweep import Sweep, SweepObserver


class QueryBackend(Protocol):
    """What a request needs of a backend."""

    async def query(self, promql: str, *, at_seconds: float, deadline_seconds: float) -> QueryAnswer:
        """Return the answer of an instant query; raises UpstreamError leaves."""


class QueryObserver(SweepObserver, Protocol):
    """What is reported of queries."""

    def rule_queried(self, *, rule: str, outcome: str) -> None:
        """Note a query that Prometheus was asked for a rule: ok, empty, error."""


@dataclass(slots=True, kw_only=True)
class Fetching:
    """Asks the backend through the cache, together with what else is due; `max_query_bytes` is the longest query."""

    backend: QueryBackend
    cache: QueryCache
    clocks: Clocks
    observer: QueryObserver
    timeout_seconds: float
    max_query_bytes: int
    _sweep: Sweep = field(init=False)

    def __post_init__(self) -> None:
        self._sweep = Sweep(
            ask=self._ask, cache=self.cache, clocks=self.clocks, observer=self.observer, max_bytes=self.max_query_bytes
        )

    async def fetch(self, plan: Plan, trail: Trail) -> Cached:
        """Return the answer to a plan's query.

        Raises:
            UnsupportedSelector: a selector key that the rule wrote into the query is none there.
            UpstreamError: the query failed.
        """
        trail.note("query", "the query that is sent", promql=plan.promql, series=plan.series, label=plan.label)

        policies = plan.rule.policies
        key = (plan.promql, policies.max_sample_age_seconds, policies.cache_ttl_seconds)
        if trail is not NO_TRAIL:
            self._tell_sharing(plan, trail)

        async def ask() -> Fetched:
            return await self._sweep.fetched(plan, key, _questions(plan))

        try:
            cached = await self._got(key, ask)
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
        key = (plan.promql, None, ttl_seconds)

        async def ask() -> Fetched:
            return await self._sweep.fetched(plan, key, None)

        return (await self._got(key, ask)).answer

    async def fetch_uses(self, plans: Sequence[UsePlan], *, ttl_seconds: float) -> None:
        """Ask for plans together, as far as they can be; `fetch_use` finds the answers then, or asks by itself."""
        if ttl_seconds > 0:
            await self._sweep.together(plans, [(plan.promql, None, ttl_seconds) for plan in plans])

    async def _got(self, key: Key, ask: Fetch) -> Cached:
        cached = await self.cache.get(key, ask)
        if cached.demand is not None:
            cached.demand.asked_at = self.clocks.monotonic()
        return cached

    def _tell_sharing(self, plan: Plan, trail: Trail) -> None:
        shape = self._sweep.shape(plan) if plan.rule.may_share else NotFusable(reason="fuse: never")
        if isinstance(shape, NotFusable):
            trail.note("sharing", f"asked by itself: {shape.reason}", hint=shape.hint)
        else:
            trail.note("sharing", "in one query with what is due at the same time, of other objects and namespaces")

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
