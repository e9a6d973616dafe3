"""Why no rule gives a metric: what the catalog, the rules and the series in Prometheus have that comes near it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from adapter.cli.wording import close_matches, either, listed
from adapter.clients.prometheus import EndpointUnsupported
from adapter.errors import UpstreamError
from adapter.promql.matchers import selector_text
from adapter.rules.catalog import may_give
from adapter.rules.requests import CustomMetricRequest, MetricRequest
from adapter.rules.rule import Api, Rule
from adapter.runtime.wiring import Runtime

# Rules that are looked at more closely: each may cost calls, and a person reads no more.
_MOST_RULES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A search for what keeps a metric from being served."""

    request: MetricRequest
    runtime: Runtime

    async def hints(self) -> list[str]:
        """Return what was found, surest first."""
        found = [*self._renamed(), *self._in_other_api()]
        rules = [rule for rule in self.runtime.relist.rulebook.of(self._api) if may_give(rule, self.request.metric, {})]
        for rule in rules[:_MOST_RULES]:
            found += await self._about(rule)
        if not found and (close := close_matches(self.request.metric, self._names)):
            found.append(f"did you mean {either(close)}?")
        return found or [self._in_general()]

    @property
    def _api(self) -> Api:
        return Api.CUSTOM if isinstance(self.request, CustomMetricRequest) else Api.EXTERNAL

    @property
    def _names(self) -> frozenset[str]:
        catalog = self.runtime.provider.catalog
        names = [metric for _, metric in catalog.by_custom] if self._api is Api.CUSTOM else catalog.by_external
        return frozenset(names)

    def _renamed(self) -> Iterator[str]:
        """Yield the names under which a series is served whose own name was asked for: the commonest mistake."""
        catalog, asked = self.runtime.provider.catalog, self.request.metric
        for entry in (*catalog.by_custom.values(), *catalog.by_external.values()):
            if entry.series == asked != entry.metric:
                yield f'rule {entry.rule.id} ({entry.rule.place}) serves the series {asked} as "{entry.metric}"'

    def _in_other_api(self) -> Iterator[str]:
        catalog, metric = self.runtime.provider.catalog, self.request.metric
        if self._api is Api.CUSTOM and metric in catalog.by_external:
            yield f"it is an external metric: ask for `external {metric}`"
        if self._api is Api.EXTERNAL and (resources := catalog.kinds_with(metric)):
            yield f"it is not an external metric, but one of {listed(map(str, resources))}"

    def _in_general(self) -> str:
        count = len(self._names)
        if not count:
            return f"no rule gives any {self._api} metric now; `tidegauge check --prometheus-url` looks why"
        return f"`tidegauge list` shows the {self._api} metrics there are ({count})"

    # ---- one rule

    async def _about(self, rule: Rule) -> list[str]:
        name = f"rule {rule.id} ({rule.place})"
        found: list[str] = []
        for query in rule.series_queries:
            error = self.runtime.relist.states[query].error
            series = await self._series(query) if error is None else ()
            if error is not None:
                found.append(f"{name} could give it, but {query} could not be asked: {error}")
            elif not series:
                found.append(f"{name} could give it, but Prometheus has no series for {query}")
            elif rule.fixed is None:
                found += [text for one in series if (text := await self._about_series(rule, name, one))]
        return found

    async def _about_series(self, rule: Rule, name: str, series: str) -> str:
        """Say why a series of the rule does not give the metric, empty if it gives another one."""
        if rule.naming.metric_name(series) != self.request.metric:
            return ""
        if refused := rule.naming.refused_by(series):
            return f"{name} would make it from the series {series}, but a filter refuses that: {refused}"
        if not isinstance(self.request, CustomMetricRequest):
            return ""
        labels, kinds = await self._labels(series), self.runtime.provider.kinds
        mapped = {label: kind for label in labels if (kind := rule.association.kind_of(label, kinds))}
        told = listed(f"{label} ({kind.plural})" for label, kind in mapped.items()) or "none of them"
        return (
            f"{name} would make it from the series {series}, but of its labels ({listed(labels)})"
            f" the rule maps {told}, so none names {self.request.resource}"
        )

    async def _series(self, query: str) -> tuple[str, ...]:
        """Return the names of the series that a series query takes, with or without the labels that the rule maps."""
        facts = self.runtime.relist.states[query].facts
        known = frozenset(facts.names.union(*facts.names_by_label.values())) if facts else frozenset()
        try:
            answer = await self.runtime.backend.metric_names(query, start_seconds=self._start_seconds)
        except (UpstreamError, EndpointUnsupported):
            return tuple(sorted(known))
        return tuple(sorted(known | answer.values))

    async def _labels(self, series: str) -> tuple[str, ...]:
        try:
            answer = await self.runtime.backend.label_names(
                selector_text(series, ()), start_seconds=self._start_seconds
            )
        except (UpstreamError, EndpointUnsupported):
            return ()
        return tuple(sorted(answer.values - {"__name__"}))

    @property
    def _start_seconds(self) -> float:
        return self.runtime.clocks.wall() - self.runtime.relist.settings.max_age_seconds
