"""The server over hand-written ports: a provider that answers what a test tells it, and remembers what it was asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import httpx

from adapter.kube.documents import ExternalItem, MetricItem
from adapter.kube.resources import Kind
from adapter.rules.answers import CustomAnswer, ExternalAnswer
from adapter.rules.catalog import Catalog
from adapter.rules.requests import CustomMetricRequest, ExternalMetricRequest

POD = Kind(group="", version="v1", kind="Pod", plural="pods", singular="pod", namespaced=True)
AUDIT_ID = "11111111-2222-3333-4444-555555555555"
EVALUATED_AT = 1795174496.789  # 2026-11-20T11:34:56Z
NOW = 1000.0

Ask = Callable[..., Awaitable[httpx.Response]]


@dataclass(frozen=True, kw_only=True)
class Groups:
    """Which APIs are installed."""

    custom: bool = True
    external: bool = True
    resource: bool = False


@dataclass(frozen=True, kw_only=True)
class Check:
    """What a health check found."""

    name: str
    ok: bool = True
    detail: str = ""


@dataclass
class FakeHealth:
    """Health as the test says."""

    found: Sequence[Check] = (Check(name="ping"), Check(name="relist"))

    def checks(self, probe: str) -> Sequence[Check]:
        """Return the same for every probe."""
        return self.found


@dataclass
class FakeProvider:
    """Answers with two values, or raises or does what the test says."""

    catalog: Catalog = field(default_factory=Catalog)
    groups: Groups = field(default_factory=Groups)
    asked: list[CustomMetricRequest | ExternalMetricRequest] = field(default_factory=list)
    deadlines: list[float] = field(default_factory=list)
    error: BaseException | None = None
    before: Callable[[], Awaitable[object]] | None = None
    custom_items: tuple[MetricItem, ...] = (
        MetricItem(
            kind=POD, namespace="ns", name="web", timestamp_seconds=EVALUATED_AT, milli=1500, window_seconds=None
        ),
    )
    external_items: tuple[ExternalItem, ...] = (
        ExternalItem(labels={"queue": "a", "app": "z"}, timestamp_seconds=EVALUATED_AT, milli=7000, window_seconds=60),
    )

    async def custom_metric(self, request: CustomMetricRequest, *, deadline_seconds: float) -> CustomAnswer:
        """Answer for objects."""
        await self._story(request, deadline_seconds)
        return CustomAnswer(metric=request.metric, items=self.custom_items, selector=request.metric_selector)

    async def external_metric(self, request: ExternalMetricRequest, *, deadline_seconds: float) -> ExternalAnswer:
        """Answer for no object."""
        await self._story(request, deadline_seconds)
        return ExternalAnswer(metric=request.metric, items=self.external_items)

    async def _story(self, request: CustomMetricRequest | ExternalMetricRequest, deadline_seconds: float) -> None:
        self.asked.append(request)
        self.deadlines.append(deadline_seconds)
        if self.before is not None:
            await self.before()
        if self.error is not None:
            raise self.error
