"""Questions to a server whose failure is a finding: it is reported, and after a few in a row nothing more is asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from adapter.clients.inspection import CheckingConnection, NotOfferedError, NoVectorError
from adapter.config.problems import Location, Problem
from adapter.errors import DeadlineExceeded, PrometheusUnavailable, QueryRejected, UpstreamError
from adapter.promql.model import Sample
from adapter.rules.checks.subject import Place
from adapter.rules.codes import CODES

T = TypeVar("T")

# After so many questions in a row without an answer the others would only wait, too.
_PATIENCE: Final = 3


class GaveUpError(Exception):
    """The server is of no use; the text says why."""


@dataclass(slots=True, kw_only=True)
class Asking:
    """One server, the time (seconds since 1970) that it is asked about, and the problems found so far."""

    connection: CheckingConnection
    at_seconds: float
    start_seconds: float
    problems: list[Problem] = field(default_factory=list)
    _unanswered: int = 0

    def say_of_server(self, code: str, message: str, hint: str = "") -> None:
        """Report a problem that is in no file."""
        where = Location(file=self.connection.server)
        severity = CODES[code].severity
        self.problems.append(Problem(code=code, severity=severity, message=message, location=where, hint=hint))

    def samples(self, place: Place, promql: str) -> Sequence[Sample]:
        """Return the samples of a question of ours; a server that does not take it says nothing about the rule."""
        try:
            return self.tried(place, lambda: self.connection.samples(promql, at_seconds=self.at_seconds)) or ()
        except (NoVectorError, QueryRejected):
            return ()

    def number(self, place: Place, promql: str) -> int:
        """Return the number that a question of ours counts, 0 without an answer."""
        samples = self.samples(place, promql)
        return int(samples[0].value) if samples else 0

    def tried(self, place: Place | None, ask: Callable[[], T]) -> T | None:
        """Return an answer; None when there was none to this question, which is reported at the place.

        Raises:
            QueryRejected: the server refuses the question.
            NotOfferedError: the server has no such endpoint, and the question was about that (no place).
            GaveUpError: the server is of no use.
        """
        try:
            answer = ask()
        except QueryRejected:
            self._unanswered = 0
            raise
        except NotOfferedError as error:
            if place is None:
                raise
            raise GaveUpError(f"this is no Prometheus API: {error}") from error
        except UpstreamError as error:
            self._unanswered += 1
            if place is None or self._unanswered >= _PATIENCE or not _is_passing(error):
                raise GaveUpError(str(error)) from error
            self.problems.append(place.problem("live/no-answer", str(error)))
            return None
        self._unanswered = 0
        return answer


def _is_passing(error: UpstreamError) -> bool:
    """Say whether the next question may be answered all the same."""
    if isinstance(error, PrometheusUnavailable):
        return error.kind in ("status", "too_large", "too_long")
    return isinstance(error, DeadlineExceeded)
