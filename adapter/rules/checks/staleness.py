"""What can be wrong with answers that are told while refreshes fail."""

from __future__ import annotations

from collections.abc import Iterator

from adapter.config.load import LoadedFile
from adapter.config.problems import Problem
from adapter.rules.checks.policies import HPA_PERIOD_SECONDS
from adapter.rules.checks.subject import Place, Subject


def long_stale(subject: Subject) -> Iterator[Problem]:
    """Find a rule whose last answer outlives the autoscaler's period."""
    yield from _long(subject.written.stale_if_error, subject.place)


def long_stale_of_all(file: LoadedFile) -> Iterator[Problem]:
    """Find the same in the defaults of a file."""
    if file.model.defaults is not None:
        place = Place(source=file.source, path=("defaults",), rule_id="defaults")
        yield from _long(file.model.defaults.stale_if_error, place)


def _long(seconds: float | None, place: Place) -> Iterator[Problem]:
    if seconds is not None and seconds > HPA_PERIOD_SECONDS:
        yield place.problem(
            "stale/long",
            f"a last answer is told for {seconds:g} s after its TTL, and the autoscaler decides every "
            f"{HPA_PERIOD_SECONDS:g} s",
            "staleIfError",
            hint="15s bridge one failed query; without a value the autoscaler holds",
        )
