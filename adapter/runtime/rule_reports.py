"""What each rule has found, for the adapter's own metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from adapter.rules.catalog import Catalog
from adapter.rules.rule import Rule
from adapter.runtime.clock import Clocks
from adapter.runtime.series_states import States


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleReport:
    """What a rule has: names of series, metrics that it serves, and since when that is known (None: never asked)."""

    rule: str
    series_names: int
    metrics: int
    good_at_seconds: float | None  # since 1970; of the series query that was answered longest ago


def rule_reports(rules: Iterable[Rule], states: States, catalog: Catalog, clocks: Clocks) -> tuple[RuleReport, ...]:
    """Return a report for each rule."""
    served = Counter(entry.rule.id for entry in (*catalog.by_custom.values(), *catalog.by_external.values()))
    since_1970 = clocks.wall() - clocks.monotonic()
    return tuple(_report(rule, states, served[rule.id], since_1970) for rule in rules)


def _report(rule: Rule, states: States, metrics: int, since_1970: float) -> RuleReport:
    asked = [states[query] for query in rule.series_queries if query in states]
    names = {name for state in asked if state.facts is not None for name in state.facts.names}
    good = [state.good_at for state in asked]
    known = [at for at in good if at is not None]
    oldest = min(known) + since_1970 if known and len(known) == len(good) else None
    return RuleReport(rule=rule.id, series_names=len(names), metrics=metrics, good_at_seconds=oldest)
