"""Which rule and which series serve the metric that a request asks for; failure is never absence."""

from __future__ import annotations

from dataclasses import dataclass

from adapter.kube.resources import Kind
from adapter.rules.catalog import Entry
from adapter.rules.requests import CustomMetricRequest, ExternalMetricRequest
from adapter.rules.rule import Api
from adapter.rules.trail import Trail
from adapter.runtime.refusals import Refusals
from adapter.runtime.relist import Relist

_NO_RULE = "no rule gives this metric now"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricEntries:
    """Looks metrics up: in the catalog, and where they are not in it, in Prometheus once more."""

    relist: Relist
    refusals: Refusals

    async def custom(self, request: CustomMetricRequest, kind: Kind, trail: Trail) -> Entry:
        """Return what serves a metric of a kind.

        Raises:
            MetricNotFound: nothing does.
            UpstreamError: nobody can tell.
        """
        entry = self.relist.catalog.custom_entry(kind, request.metric)
        if entry is None:
            await self.relist.kinds_followed()
            entry = self.relist.catalog.custom_entry(kind, request.metric)
        if entry is None:
            await self.relist.look_up(Api.CUSTOM, request.metric)
            entry = self.relist.catalog.custom_entry(kind, request.metric)
        if entry is None:
            self._raise_if_hidden(Api.CUSTOM, request.metric, trail)
            others = ", ".join(str(one) for one in self.relist.catalog.kinds_with(request.metric))
            reason = f"it is served for {others}" if others else _NO_RULE
            trail.note("rule", reason, ok=False)
            raise self.refusals.not_found(request, reason)
        _note_entry(trail, entry)
        return entry

    async def external(self, request: ExternalMetricRequest, trail: Trail) -> Entry:
        """Return what serves an external metric; raises as `custom` does."""
        entry = self.relist.catalog.external_entry(request.metric)
        if entry is None:
            await self.relist.look_up(Api.EXTERNAL, request.metric)
            entry = self.relist.catalog.external_entry(request.metric)
        if entry is None:
            self._raise_if_hidden(Api.EXTERNAL, request.metric, trail)
            trail.note("rule", _NO_RULE, ok=False)
            raise self.refusals.external_not_found(request, _NO_RULE)
        _note_entry(trail, entry)
        return entry

    def _raise_if_hidden(self, api: Api, metric: str, trail: Trail) -> None:
        """Raise the failure that hides whether the metric exists."""
        error = self.relist.unknown_because_failed(api, metric)
        if error is not None:
            trail.note("rule", f"discovery has never answered: {error}", ok=False)
            raise error


def _note_entry(trail: Trail, entry: Entry) -> None:
    rule = entry.rule
    trail.note(
        "rule",
        f"rule {rule.id} at {rule.place} serves it from the series {entry.series or rule.series_queries}",
        rule=rule.id,
        place=rule.place,
        series=entry.series,
        label=entry.label,
    )
