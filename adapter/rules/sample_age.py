"""`maxSampleAge`: what is asked beside a query to know how old its values are, and which of them are too old.

An instant query's samples carry the evaluation time: what look-back and ranges hide, such as a target that has been
gone for four minutes, only `timestamp()` tells. A value is as old as the staler of the selectors it needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from adapter.errors import UnusableResult
from adapter.promql.ast import parse_query
from adapter.promql.matchers import is_legacy_label_name, quote
from adapter.promql.model import Result, Vector
from adapter.promql.sources import Sources, newest, sources_of

# How far an instant selector looks back (--query.lookback-delta of Prometheus, 5 minutes by default): what is older has
# no timestamp() at all.
_LOOK_BACK_SECONDS: Final = 300
# Steps at which a longer age is looked for; each sees the samples of the look-back before it, so none is missed.
_STEP_SECONDS: Final = 60

# By object, the time of a selector's newest raw sample in seconds since 1970; "" for series without the object's label.
Times = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgeQuestions:
    """The queries to ask at the same evaluation time, one for each selector, and how to read them together."""

    promqls: tuple[str, ...]
    sources: Sources
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ages:
    """How old the values of one answer are."""

    questions: AgeQuestions
    times: tuple[Times, ...]  # one for each question
    evaluated_at_seconds: float
    max_age_seconds: float

    def too_old(self, name: str) -> str:
        """Return why the value of an object ("" for a metric of none) is too old; nothing if it is not."""
        found = newest(self.questions.sources.tree, lambda index: self._newest(index, name))
        if found is None:
            return "a selector of the query has no sample that is young enough"
        age_seconds = self.evaluated_at_seconds - found
        return "" if age_seconds <= self.max_age_seconds else f"its newest sample is {age_seconds:.0f} s old"

    def _newest(self, index: int, name: str) -> float | None:
        times = self.times[index]
        return times.get(name, times.get(""))  # series without the object's label count for every object


def age_questions(promql: str, *, label: str, max_age_seconds: float, rule: str) -> AgeQuestions:
    """Return what to ask for the ages of a query's values, by object label ("" for a metric of no object).

    Raises:
        UnusableResult: the query cannot be read, so nobody knows which series its values come from.
    """
    query = parse_query(promql)
    sources = None if query is None else sources_of(query)
    if sources is None:
        raise UnusableResult(f"rule {rule}: maxSampleAge: the query cannot be read, so its age is not known")
    by = "" if not label else (label if is_legacy_label_name(label) else quote(label))
    return AgeQuestions(
        promqls=tuple(f"max by ({by}) ({_times(one, max_age_seconds)})" for one in sources.selectors),
        sources=sources,
        label=label,
    )


def times_of(result: Result, label: str) -> Times:
    """Return the times of an answer to one of the questions.

    Raises:
        UnusableResult: the answer is no instant vector.
    """
    if not isinstance(result, Vector):
        raise UnusableResult("maxSampleAge: Prometheus answers with something else than an instant vector")
    return {sample.labels.get(label, "") if label else "": sample.value for sample in result.samples}


def _times(selector: str, max_age_seconds: float) -> str:
    if max_age_seconds <= _LOOK_BACK_SECONDS:
        return f"timestamp({selector})"
    return f"timestamp({selector}) or max_over_time(timestamp({selector})[{int(max_age_seconds)}s:{_STEP_SECONDS}s])"
