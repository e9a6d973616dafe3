"""The queries of a sweep and what they bring: the values of all members, and their ages, at one evaluation time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from adapter.errors import UpstreamError
from adapter.interpreter import made_aside
from adapter.promql.model import QueryAnswer, Vector
from adapter.rules.fusion import Member, Split, Unsplit, is_for_all, split
from adapter.rules.query import Plan
from adapter.rules.resource_plan import UsePlan
from adapter.rules.sample_age import AgeQuestions, Ages, times_of
from adapter.runtime.cache import Fetched
from adapter.runtime.limits import Limits
from adapter.runtime.moments import Moment
from adapter.runtime.narrowing import Failure, Narrowing
from adapter.runtime.parallel import each
from adapter.runtime.sweep_groups import Demand, Parts

# A query without names may bring so many times what was asked for; beyond that names are cheaper.
_WASTE_AT_MOST: Final = 4.0
# More take over 5 ms to take apart, so a thread does it and requests go on.
_SAMPLES_AT_ONCE: Final = 2_000

# A query, its rule, the evaluation time, and until when (on the monotonic clock) the answer has to be there.
Ask = Callable[[str, str, float, float], Awaitable[QueryAnswer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """How the queries of one sweep are asked: with what, when they are evaluated, and until when there is time."""

    ask: Ask
    limits: Limits
    rule: str
    window_seconds: int | None  # the range of the query, the same for all of a shape
    moment: Moment
    deadline: float

    async def one(self, promql: str) -> QueryAnswer:
        """Return the answer to one query; raises UpstreamError leaves."""
        return await self.ask(promql, self.rule, self.moment.at_seconds, self.deadline)


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """What a sweep has brought.

    Attributes:
        found: the answers by member; who is not in it has to ask alone.
        at_fault: members whose own query was seen to fail, and why.
        reason: why somebody has to ask alone; empty if nobody has.
        parted: whether nothing of this shape should be shared for a while.
        nothing_worked: whether no query at all was answered.
        names_help: whether names should be written into the query for a while.
        queries: how many queries there were.
    """

    found: Mapping[Member, Fetched] = field(default_factory=dict)
    at_fault: Mapping[Member, UpstreamError] = field(default_factory=dict)
    reason: str = ""
    parted: bool = False
    nothing_worked: bool = False
    names_help: bool = False
    queries: int = 0


async def brought(parts: Parts, due: Sequence[Demand], asking: Asking, *, widened: bool) -> Brought:
    """Ask for what is due in as few queries as the server takes.

    Raises:
        UpstreamError: a failure that is no member's in particular.
    """
    members = [one.member for one in due]
    questions = [Narrowing(ask=asking.one, limits=asking.limits, shape=one) for one in (parts.values, *parts.ages)]
    await each([partial(one.of, members, widened=widened) for one in questions], len(questions))
    queries = sum(one.queries for one in questions)
    failures = [failure for one in questions for failure in one.failures]
    answers = [answer for one in questions for _, answer in one.answered]
    splits = await _apart(questions, members)
    unsplit = next((one.reason for one in splits if isinstance(one, Unsplit)), "")
    if not all(map(is_for_all, answers)):
        unsplit = "the server remarks something, which may concern one of them only"
    if unsplit:
        return Brought(reason=unsplit, parted=not widened, names_help=widened, queries=queries)
    values, *ages = [one for one in splits if not isinstance(one, Unsplit)]
    wasteful = widened and values.samples > _WASTE_AT_MOST * max(1, values.taken)
    failed = _members_of(failures, members)
    # A query without names may fail for objects that nobody asked for.
    named = [failure for failure in failures if not failure.query.widened]
    uneven = any(one.is_uneven for one in questions)
    model = answers[0] if answers else None
    return Brought(
        found={
            one.member: fetched(
                one.plan,
                replace(model, result=values.vectors[one.member]),
                parts.questions,
                [replace(model, result=age.vectors[one.member]) for age in ages],
                asking=asking,
                demand=one,
            )
            for one in due
            if model is not None and one.member not in failed
        },
        at_fault=_members_of(named, members),
        reason=str(failures[0].error) if failures else ("only together are they refused" if uneven else ""),
        parted=uneven or any(one.gave_up for one in questions),
        nothing_worked=not answers,
        names_help=wasteful or any(one.names_help for one in questions),
        queries=queries,
    )


async def _apart(questions: Sequence[Narrowing], members: Sequence[Member]) -> list[Split | Unsplit]:
    """Return the answers to each question, taken apart, on a thread if they are large."""

    def make() -> list[Split | Unsplit]:
        return [split(one.answered, members) for one in questions]

    results = [answer.result for one in questions for _, answer in one.answered]
    samples = sum(len(one.samples) for one in results if isinstance(one, Vector))
    return make() if samples <= _SAMPLES_AT_ONCE else await made_aside(make)


def fetched(
    plan: Plan | UsePlan,
    answer: QueryAnswer,
    questions: AgeQuestions | None,
    others: Sequence[QueryAnswer],
    *,
    asking: Asking,
    demand: Demand | None = None,
) -> Fetched:
    """Return the answer of one plan, with what its values' ages are told from."""
    ages = None
    if questions is not None and isinstance(plan, Plan) and plan.rule.policies.max_sample_age_seconds is not None:
        ages = Ages(
            questions=questions,
            times=tuple(times_of(one.result, questions.label) for one in others),
            evaluated_at_seconds=answer.evaluated_at_seconds,
            max_age_seconds=plan.rule.policies.max_sample_age_seconds,
        )
    return Fetched(
        answer=answer,
        window_seconds=asking.window_seconds,
        ages=ages,
        demand=demand,
        lag_seconds=asking.moment.lag_seconds,
    )


def _members_of(failures: Sequence[Failure], members: Sequence[Member]) -> Mapping[Member, UpstreamError]:
    """Return the members that need the answer of a query that failed."""
    failed: dict[str, dict[str, UpstreamError]] = {}
    nameless: dict[str, UpstreamError] = {}
    for failure in failures:
        for part in failure.query.parts:
            if not failure.query.shape.label:
                nameless[part.namespace] = failure.error
            failed.setdefault(part.namespace, {}).update(dict.fromkeys(part.names, failure.error))
    found: dict[Member, UpstreamError] = {}
    for member in members:
        by_name = failed.get(member.namespace, {})
        error = nameless.get(member.namespace) or next(
            (by_name[name] for name in member.names if name in by_name), None
        )
        if error is not None:
            found[member] = error
    return found
