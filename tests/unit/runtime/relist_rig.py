"""A backend that has the series a test says, for the relist and the provider."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rules_rig import labels_of, takes

from adapter.clients.prometheus import EndpointUnsupported, Names, SeriesNames
from adapter.errors import PrometheusUnavailable, UpstreamError
from adapter.promql.model import QueryAnswer, Vector
from adapter.runtime.clock import Clocks
from adapter.runtime.rule_reports import RuleReport


@dataclass
class HandClock:
    """Both clocks, turned by hand."""

    now: float = 1000.0

    def clocks(self) -> Clocks:
        return Clocks(monotonic=lambda: self.now, wall=lambda: 1_700_000_000.0 + self.now)


@dataclass
class FakeBackend:
    """Answers discovery from a list of series, queries from a table; what is in `failing` fails."""

    series_there: list[str] = field(default_factory=list)
    old: set[str] = field(
        default_factory=set
    )  # metrics that label endpoints still list and the series endpoint does not
    labels_work: bool = True
    unsupported: bool = False
    failing: dict[str, UpstreamError] = field(default_factory=dict)  # by a part of the selector
    warnings: tuple[str, ...] = ()
    answers: dict[str, QueryAnswer | UpstreamError] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0
    gate: asyncio.Event | None = None

    def down(self, *parts: str) -> None:
        """Let every selector that holds one of the texts fail; no text means all."""
        error = PrometheusUnavailable("down", kind="connection")
        self.failing = dict.fromkeys(parts or ("",), error)

    async def label_endpoints_work(self) -> bool:
        if "" in self.failing:
            raise self.failing[""]
        return self.labels_work

    async def series_exist(self) -> bool:
        if "" in self.failing:
            raise self.failing[""]
        return bool(self.series_there)

    async def metric_names(self, *selectors: str, start_seconds: float) -> Names:
        await self._call("names " + " ".join(selectors), start_seconds)
        if self.unsupported:
            raise EndpointUnsupported("label/__name__/values", 405)
        found = {name for selector in selectors for name, _ in self._matching(selector, include_old=True)}
        return Names(values=frozenset(found), warnings=self.warnings)

    async def label_names(self, selector: str, *, start_seconds: float) -> Names:
        await self._call(f"labels {selector}", start_seconds)
        found = {label for _, labels in self._matching(selector, include_old=True) for label in labels}
        return Names(values=frozenset(found | ({"__name__"} if found else set())), warnings=self.warnings)

    async def series(self, selector: str, *, start_seconds: float) -> SeriesNames:
        await self._call(f"series {selector}", start_seconds)
        found: dict[str, frozenset[str]] = {}
        for name, labels in self._matching(selector, include_old=False):
            found[name] = found.get(name, frozenset()) | frozenset(labels)
        return SeriesNames(labels_by_metric=found, warnings=self.warnings)

    async def query(self, promql: str, *, at_seconds: float, deadline_seconds: float) -> QueryAnswer:
        await self._call(f"query {promql}", at_seconds)
        answer = self.answers.get(promql, QueryAnswer(result=Vector(samples=()), evaluated_at_seconds=at_seconds))
        if isinstance(answer, UpstreamError):
            raise answer
        return answer

    def queries(self) -> list[str]:
        """Return the instant queries that were asked."""
        return [one.removeprefix("query ") for one in self.asked if one.startswith("query ")]

    async def _call(self, what: str, at: float) -> None:
        self.asked.append(what)
        self.at.append(at)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await asyncio.sleep(0)
            if self.gate is not None:
                await self.gate.wait()
            for part, error in self.failing.items():
                if part in what:
                    raise error
        finally:
            self.under_way -= 1

    def _matching(self, selector: str, *, include_old: bool) -> list[tuple[str, Mapping[str, str]]]:
        pairs = [labels_of(one) for one in self.series_there]
        return [
            (name, labels)
            for name, labels in pairs
            if (include_old or name not in self.old) and takes(selector, name, labels)
        ]


@dataclass
class Reports:
    """Keeps what the relist and the provider report."""

    relists: list[dict[str, float]] = field(default_factory=list)
    lookups: list[bool] = field(default_factory=list)
    policies: list[tuple[str, str]] = field(default_factory=list)
    ages: list[float] = field(default_factory=list)
    rules: dict[str, RuleReport] = field(default_factory=dict)
    queried: list[tuple[str, str]] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)

    def relisted(self, **facts: float) -> None:
        self.relists.append(facts)

    def looked_up(self, *, found: bool) -> None:
        self.lookups.append(found)

    def rules_found(self, reports: Sequence[RuleReport]) -> None:
        self.rules = {one.rule: one for one in reports}

    def swept(self, *, outcome: str, queries: int, answers: int) -> None: ...
    def limit_changed(self, *, backend: str, kind: str, change: str, limits: int) -> None: ...
    def stale_told(self, *, rule: str, age_seconds: float) -> None: ...

    def rule_queried(self, *, rule: str, outcome: str) -> None:
        self.queried.append((rule, outcome))

    def rule_refused(self, *, rule: str, reason: str) -> None:
        self.refused.append((rule, reason))

    def policy_applied(self, *, rule: str, what: str) -> None:
        self.policies.append((rule, what))

    def value_served(self, *, group: str, age_seconds: float) -> None:
        self.ages.append(age_seconds)
