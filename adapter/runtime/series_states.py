"""What is known of one series query, and what an answer or a failure makes of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from adapter.errors import QueryRejected, UpstreamError
from adapter.rules.discovery import SelectorFacts, SelectorNeed, needs_of
from adapter.rules.rule import Rule
from adapter.runtime.discover import Failed, Fetched, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectorState:
    """One series query: its last good facts, when they came, and the error since, if any."""

    need: SelectorNeed
    facts: SelectorFacts | None = None
    good_at: float | None = None
    asked_at: float = float("-inf")
    error: UpstreamError | None = None
    warnings: tuple[str, ...] = ()

    @property
    def has_names(self) -> bool:
        """Say whether it had any series when it was last answered."""
        return self.facts is not None and bool(self.facts.names)

    @property
    def worth_retrying(self) -> bool:
        """Say whether it failed and may do better soon: what Prometheus refuses is refused until the rule changes."""
        return self.error is not None and not isinstance(self.error, QueryRejected)

    def after(self, outcome: Outcome, *, asked_at: float, now: float, max_age_seconds: float) -> SelectorState:
        """Return the state after an answer: a partial one never takes a metric away, a failure not before max age."""
        match outcome:
            case Fetched(facts=facts, warnings=()):
                return replace(self, facts=facts, good_at=asked_at, error=None, warnings=())
            case Fetched(facts=facts, warnings=warnings):
                merged = facts if self.facts is None else _union(self.facts, facts)
                return replace(self, facts=merged, good_at=asked_at, error=None, warnings=warnings)
            case Failed(error=error):
                return replace(self, error=error).expired(now=now, max_age_seconds=max_age_seconds)

    def expired(self, *, now: float, max_age_seconds: float) -> SelectorState:
        """Return the state without its last good facts, if they are too old."""
        too_old = self.good_at is not None and now - self.good_at > max_age_seconds
        return replace(self, facts=None) if too_old else self


States = Mapping[str, SelectorState]  # by series query


def states_of(rules: Iterable[Rule]) -> States:
    """Return the states before anything was asked."""
    return {need.query: SelectorState(need=need) for need in needs_of(rules)}


def facts_of(states: States) -> Mapping[str, SelectorFacts]:
    """Return what was answered."""
    return {query: state.facts for query, state in states.items() if state.facts is not None}


def failing_of(states: States) -> frozenset[str]:
    """Return the series queries whose last question failed."""
    return frozenset(query for query, state in states.items() if state.error is not None)


def _union(old: SelectorFacts, new: SelectorFacts) -> SelectorFacts:
    labels = {*old.names_by_label, *new.names_by_label}
    return SelectorFacts(
        names=old.names | new.names,
        names_by_label={label: old.with_label(label) | new.with_label(label) for label in labels},
    )
