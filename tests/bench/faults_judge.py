"""What callers may see of a fault, and what they saw: judged from what was written down, when all is over."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bench.faults_client import Turned
from bench.load import percentile_99

_OK, _NOT_FOUND, _LOST = 200, 404, -1
_FIRST_SERVER_ERROR, _AFTER_SERVER_ERRORS = 500, 600
# A timestamp is written in whole seconds, and clocks are read at other moments than they count for.
_ROUNDED_SECONDS: Final = 2.0
_SHOWN: Final = 3
_QUOTED: Final = re.compile(r'"[^"]*"')  # paths, which differ
COLUMNS: Final = (
    "fault, s",
    "turns",
    "errors",
    "of them 404",
    "without series",
    "after its end",
    "recovery, s",
    "p99, ms",
    "max, ms",
    "oldest, s",
    "calls",
    "calls in the quiet",
    "lost turns",
    "wrong",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What is promised: times in seconds.

    Attributes:
        oldest: how old a value may be when it is answered, besides the time that the answer took.
        slowest: how long any answer may take.
        recovery: how long after a fault its consequences may last.
    """

    oldest: float
    slowest: float
    recovery: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A fault that was, and the quiet time after it; times are seconds since 1970.

    Attributes:
        must_fail: whether some must have failed, or lacked a pod: else it was no fault, and proves nothing.
        spared: for so many seconds after its begin requests must go on to be answered.
        calls, calls_after: requests to Prometheus meanwhile, and in the quiet time after it.
    """

    name: str
    begin: float
    end: float
    may_fail: bool
    absent: bool = False
    must_fail: bool = False
    spared: float = 0.0
    calls: int = 0
    calls_after: int = 0

    def meets(self, one: Turned, rules: Rules, *, after: float = 0.0) -> bool:
        """Say whether a turn met this fault, so many seconds after its begin or later, or what was left of it."""
        return one.begun < self.end + rules.recovery and one.ended > self.begin + after


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The figures of one span by column, and what broke a promise."""

    row: Mapping[str, Sequence[float]]
    faults: Sequence[str]
    said: Mapping[str, int]


def judged(span: Span, turns: Sequence[Turned], rules: Rules) -> Judged:
    """Return how a fault went; the turns are those that ended in it or in the quiet time after it."""
    lost = [one for one in turns if one.status == _LOST]
    taken = [one for one in turns if one.status != _LOST]
    bad = [one for one in taken if one.status != _OK or one.missing]
    after = [one for one in bad if one.ended > span.end]
    during = [one.seconds for one in taken if one.begun <= span.end] or [0.0]
    wrong = list(_wrong(span, taken, rules))
    errors = [one for one in taken if one.status != _OK]
    if span.must_fail and not bad:
        wrong.append("nobody noticed it")
    row: dict[str, Sequence[float]] = {
        "fault, s": [span.end - span.begin],
        "turns": [len(taken)],
        "errors": [len(errors)],
        "of them 404": [sum(one.status == _NOT_FOUND for one in errors)],
        "without series": [sum(one.status == _OK for one in bad)],
        "after its end": [len(after)],
        "recovery, s": [max((one.ended for one in after), default=span.end) - span.end],
        "p99, ms": [percentile_99(during) * 1000],
        "max, ms": [max((one.seconds for one in taken), default=0.0) * 1000],
        "oldest, s": [max((one.ended - one.oldest for one in taken if one.oldest), default=0.0)],
        "calls": [span.calls],
        "calls in the quiet": [span.calls_after],
        "lost turns": [len(lost)],
        "wrong": [len(wrong)],
    }
    said = Counter(f"{one.status} {_QUOTED.sub('...', one.said).strip()}" for one in errors)
    shown = [f"{span.name}: {text}" for text in wrong[:_SHOWN]]
    if len(wrong) > _SHOWN:
        shown.append(f"{span.name}: and {len(wrong) - _SHOWN} more")
    return Judged(row=row, faults=shown, said=said)


def _wrong(span: Span, turns: Sequence[Turned], rules: Rules) -> Iterator[str]:
    for one in turns:
        when = (
            f"HPA {one.hpa}, {one.begun - span.begin:.1f} s after the begin, {one.begun - span.end:.1f} s after the end"
        )
        if fault := _fault_of(one, span, rules):
            yield f"{when}: {fault}"


def _fault_of(one: Turned, span: Span, rules: Rules) -> str:
    """Say what is wrong with a turn, empty for nothing."""
    if one.seconds > rules.slowest:
        return f"took {one.seconds:.1f} s"
    if one.status != _OK:
        is_5xx = _FIRST_SERVER_ERROR <= one.status < _AFTER_SERVER_ERRORS
        failed = is_5xx and span.may_fail and span.meets(one, rules, after=span.spared)
        absent = one.status == _NOT_FOUND and span.absent and span.meets(one, rules)
        return "" if failed or absent else f"{one.status} {one.said}"
    if one.wrong:
        return one.wrong
    if one.missing and not (span.absent and span.meets(one, rules)):
        return f"{one.missing} pods are missing"
    age = one.ended - one.oldest
    if one.oldest and not -1 <= age <= rules.oldest + one.seconds + _ROUNDED_SECONDS:
        return f"values are {age:.1f} s old"
    return ""
