"""The samples of a plan: from the cache, or by a query that is shared with whoever asks for the same or the like."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from random import random
from typing import Final, Protocol

from cachetools import LRUCache

from adapter.errors import (
    AdapterError,
    PartialAnswer,
    PrometheusUnavailable,
    QueryRejected,
    QueryTooLarge,
    UpstreamError,
)
from adapter.promql.model import QueryAnswer, Vector
from adapter.rules.fusion import NotFusable
from adapter.rules.query import Plan, odd_key
from adapter.rules.resource_plan import UsePlan
from adapter.rules.sample_age import AgeQuestions, age_questions
from adapter.rules.trail import NO_TRAIL, Trail
from adapter.runtime.cache import Cached, Fetch, Fetched, Key, QueryCache
from adapter.runtime.clock import Clocks
from adapter.runtime.limits import Limits, LimitsObserver
from adapter.runtime.moments import Moments
from adapter.runtime.sweep import Sweep, SweepObserver
from adapter.runtime.sweep_groups import Demand
from adapter.runtime.turns import Turns

# What says nothing about the request: the last answer may be told instead, where a rule allows it.
_FAILURES: Final = (PrometheusUnavailable, QueryRejected, QueryTooLarge, PartialAnswer)
_RULES: Final = 2_000


class QueryBackend(Protocol):
    """What a request needs of a backend."""

    async def query(self, promql: str, *, at_seconds: float, deadline_seconds: float) -> QueryAnswer:
        """Return the answer of an instant query; raises UpstreamError leaves."""


class QueryObserver(SweepObserver, LimitsObserver, Protocol):
    """What is reported of queries."""

    def rule_queried(self, *, rule: str, outcome: str) -> None:
        """Note a query that Prometheus was asked for a rule: ok, empty, error."""

    def stale_told(self, *, rule: str, age_seconds: float) -> None:
        """Note an answer beyond its TTL that was told since its refresh failed, and how old it was."""


@dataclass(slots=True, kw_only=True)
class Fetching:
    """Asks the backend through the cache, together with what else is due.

    Attributes:
        timeout_seconds: what the queries for one request have together.
        queries_of_a_rule: how many of one rule may be on their way, so that others find a connection.
        evaluation_grid_seconds: evaluation times are multiples of it; 0 is no grid.
        limits: what the backend was seen to take.
        spread: gives another number from 0 to 1 each time, by which sweeps come apart.
    """

    backend: QueryBackend
    cache: QueryCache
    clocks: Clocks
    observer: QueryObserver
    timeout_seconds: float
    limits: Limits
    queries_of_a_rule: int = 10
    evaluation_grid_seconds: float = 0.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    spread: Callable[[], float] = random
    _sweep: Sweep = field(init=False)
    _turns: LRUCache[str, Turns] = field(init=False, default_factory=lambda: LRUCache(maxsize=_RULES))

    def __post_init__(self) -> None:
        self._sweep = Sweep(
            ask=self._ask,
            cache=self.cache,
            clocks=self.clocks,
            observer=self.observer,
            limits=self.limits,
            moments=Moments(clocks=self.clocks, grid_seconds=self.evaluation_grid_seconds),
            turns=self._turns_of,
            timeout_seconds=self.timeout_seconds,
            sleep=self.sleep,
            spread=self.spread,
        )

    async def fetch(self, plan: Plan, trail: Trail) -> Cached:
        """Return the answer to a plan's query.

        Raises:
            UnsupportedSelector: a selector key that the rule wrote into the query is none there.
            UpstreamError: the query failed.
        """
        trail.note("query", "the query that is sent", promql=plan.promql, series=plan.series, label=plan.label)

        policies = plan.rule.policies
        key = (
            plan.promql,
            policies.max_sample_age_seconds,
            policies.cache_ttl_seconds,
            policies.stale_if_error_seconds,
        )
        if trail is not NO_TRAIL:
            self._tell_sharing(plan, trail)

        async def ask() -> Fetched:
            return await self._sweep.fetched(plan, key, _questions(plan))

        try:
            cached = await self._got(key, ask)
        except AdapterError as error:
            trail.note("answer", f"the query failed: {_words(error)}", ok=False)
            if isinstance(error, QueryRejected) and plan.odd_keys:
                # The template wrote the key where a label name belongs: the caller's doing, not the server's.
                raise odd_key(plan.odd_keys[0], plan.rule) from error
            last = self._last(key, plan, error)
            if last is None:
                raise
            trail.note("stale", "staleIfError: the last answer is told instead, with its time")
            cached = last
        if cached.ages is not None:
            trail.note("age", "the newest raw samples, asked for with it", promqls=cached.ages.questions.promqls)
        trail.note(
            "answer",
            f"evaluated {self.clocks.monotonic() - cached.evaluated_at:.1f} s ago",
            result=cached.answer.result,
            annotations=cached.answer.annotations,
        )
        return cached

    async def fetch_use(self, plan: UsePlan, *, ttl_seconds: float, stale_if_error_seconds: float = 0.0) -> Cached:
        """Return the answer to a query for the use of pods or nodes; raises an UpstreamError if it failed."""
        key = (plan.promql, None, ttl_seconds, stale_if_error_seconds)

        async def ask() -> Fetched:
            return await self._sweep.fetched(plan, key, None)

        try:
            return await self._got(key, ask)
        except UpstreamError as error:
            last = self._last(key, plan, error)
            if last is None:
                raise
            return last

    async def fetch_uses(
        self, plans: Sequence[UsePlan], *, ttl_seconds: float, stale_if_error_seconds: float = 0.0
    ) -> None:
        """Ask for plans together, as far as they can be; `fetch_use` finds the answers then, or asks by itself."""
        if ttl_seconds > 0:
            keys = [(plan.promql, None, ttl_seconds, stale_if_error_seconds) for plan in plans]
            await self._sweep.together(plans, keys)

    async def _got(self, key: Key, ask: Fetch) -> Cached:
        cached = await self.cache.get(key, ask)
        if isinstance(cached.demand, Demand):
            self._sweep.told(cached.demand)
        return cached

    def _last(self, key: Key, plan: Plan | UsePlan, error: AdapterError) -> Cached | None:
        """Return the last answer, if the rule allows it after this failure; its ages are those that it has now."""
        if key[3] <= 0 or not isinstance(error, _FAILURES) or (last := self.cache.last(key)) is None:
            return None
        age_seconds = self.clocks.monotonic() - last.evaluated_at
        self.observer.stale_told(rule=plan.rule.id, age_seconds=age_seconds)
        if last.ages is None:
            return last
        ages = replace(last.ages, evaluated_at_seconds=last.ages.evaluated_at_seconds + age_seconds)
        return replace(last, ages=ages, made={})

    def _tell_sharing(self, plan: Plan, trail: Trail) -> None:
        shape = self._sweep.shape(plan) if plan.rule.may_share else NotFusable(reason="fuse: never")
        if isinstance(shape, NotFusable):
            trail.note("sharing", f"asked by itself: {shape.reason}", hint=shape.hint)
        else:
            trail.note("sharing", "in one query with what is due at the same time, of other objects and namespaces")
            for limit in self._sweep.limits.told(shape):
                trail.note("sharing", limit)

    async def _ask(self, promql: str, rule: str, at_seconds: float, deadline: float) -> QueryAnswer:
        outcome = "error"
        try:
            async with self._turns_of(rule).taken(seconds=deadline - self.clocks.monotonic()):
                answer = await self.backend.query(promql, at_seconds=at_seconds, deadline_seconds=deadline)
            outcome = "empty" if isinstance(answer.result, Vector) and not answer.result.samples else "ok"
        finally:
            self.observer.rule_queried(rule=rule, outcome=outcome)
        return answer

    def _turns_of(self, rule: str) -> Turns:
        turns = self._turns.get(rule)
        if turns is None:
            turns = self._turns[rule] = Turns(self.queries_of_a_rule)
        return turns


def _words(error: AdapterError) -> str:
    """Return what is said of a failure, and for one of ours what the server said."""
    cause = error.__cause__
    return f"{error}: {cause}" if isinstance(error, QueryTooLarge) and cause else str(error)


def _questions(plan: Plan) -> AgeQuestions | None:
    """Return what has to be asked for the ages of a plan's values; None if its rule takes any age.

    Raises:
        UnusableResult: the query cannot be read.
    """
    max_age_seconds = plan.rule.policies.max_sample_age_seconds
    if max_age_seconds is None:
        return None
    return age_questions(plan.promql, label=plan.label, max_age_seconds=max_age_seconds, rule=plan.rule.id)
