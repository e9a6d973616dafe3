"""The story of a request: look up the metric, name the objects, plan, fetch, decide."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from adapter.errors import Forbidden, ReferenceDefect, UnsupportedSelector
from adapter.kube.documents import ExternalItem, MetricItem
from adapter.kube.resources import Kinds
from adapter.kube.selectors import Op, Selector
from adapter.rules.answers import CustomAnswer, ExternalAnswer
from adapter.rules.catalog import Catalog, Entry
from adapter.rules.query import plan_custom, plan_external
from adapter.rules.requests import CustomMetricRequest, ExternalMetricRequest
from adapter.rules.rule import Compat
from adapter.rules.trail import NO_TRAIL, Trail
from adapter.rules.values import Value
from adapter.runtime.cache import Cached, QueryCache
from adapter.runtime.clock import Clocks
from adapter.runtime.deadline import until
from adapter.runtime.deciding import Deciding, PolicyObserver
from adapter.runtime.demand import Metric
from adapter.runtime.fetching import Fetching, QueryBackend, QueryObserver
from adapter.runtime.held import HeldValues
from adapter.runtime.metric_entries import MetricEntries
from adapter.runtime.objects import Objects
from adapter.runtime.refusals import Refusals, check_namespace
from adapter.runtime.relist import Relist
from adapter.runtime.subjects import Subject, Subjects


class ProviderObserver(PolicyObserver, QueryObserver, Protocol):
    """What the provider reports."""

    def rule_refused(self, *, rule: str, reason: str) -> None:
        """Note a request that a rule could not serve: namespace, selector."""

    def value_served(self, *, group: str, age_seconds: float) -> None:
        """Note how old a served value was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """Which API groups are installed: those that some rule feeds."""

    custom: bool
    external: bool
    resource: bool


def _nobody(_: Metric) -> None:
    """Tell nobody."""


@dataclass(slots=True, kw_only=True)
class Provider:
    """Answers metric requests from the catalog, the objects, and the backend's queries."""

    relist: Relist
    objects: Objects
    backend: QueryBackend
    cache: QueryCache
    held_objects: HeldValues[Value]
    held_items: HeldValues[tuple[Value, ...]]
    clocks: Clocks
    observer: ProviderObserver
    compat: Compat = Compat.FIXED
    query_timeout_seconds: float = 5.0
    max_query_bytes: int = 16_384
    answered: Callable[[Metric], None] = _nobody  # told of each metric that a caller got an answer for
    _entries: MetricEntries = field(init=False)
    _subjects: Subjects = field(init=False)
    _fetching: Fetching = field(init=False)
    _deciding: Deciding = field(init=False)

    def __post_init__(self) -> None:
        refusals = Refusals(self.compat)
        self._entries = MetricEntries(relist=self.relist, refusals=refusals)
        self._subjects = Subjects(objects=self.objects, refusals=refusals)
        self._fetching = Fetching(
            backend=self.backend,
            cache=self.cache,
            clocks=self.clocks,
            observer=self.observer,
            timeout_seconds=self.query_timeout_seconds,
            max_query_bytes=self.max_query_bytes,
        )
        self._deciding = Deciding(
            held_objects=self.held_objects,
            held_items=self.held_items,
            clocks=self.clocks,
            observer=self.observer,
            refusals=refusals,
        )

    @property
    def catalog(self) -> Catalog:
        """Return the metrics there are now."""
        return self.relist.catalog

    @property
    def groups(self) -> Groups:
        """Return which API groups are installed."""
        rulebook = self.relist.rulebook
        return Groups(custom=rulebook.custom, external=rulebook.external, resource=rulebook.resource)

    @property
    def kinds(self) -> Kinds:
        """Return every kind of object that is known now."""
        return self.objects.kinds

    async def custom_metric(
        self, request: CustomMetricRequest, *, deadline_seconds: float, trail: Trail = NO_TRAIL
    ) -> CustomAnswer:
        """Return the values of a metric of objects.

        Raises:
            RequestError: a leaf that says what the caller got wrong.
            UpstreamError: a leaf that says what failed behind the adapter.
        """
        async with until(deadline_seconds, self.clocks):
            kind = await self._subjects.kind(request, trail)
            kinds = await self._followed_kinds()
            entry = await self._entries.custom(request, kind, trail)
            with self._told(entry):
                subject = await self._subjects.subject(request, kind, entry, trail)
                plan = plan_custom(
                    entry,
                    namespace=request.namespace,
                    names=subject.names,
                    metric_selector=request.metric_selector,
                    kinds=kinds,
                    asked_for=subject.wanted,
                )
                cached = await self._fetching.fetch(plan, trail)
            values = await self._deciding.of_objects(plan, cached, subject, request, trail)
            self._check_strictly(request.metric_selector, values)
        self.answered((subject.kind.group_resource, request.metric))
        items = self._metric_items(subject, values, cached)
        self._report_ages("custom.metrics.k8s.io", items)
        return CustomAnswer(metric=request.metric, items=items, selector=request.metric_selector)

    async def external_metric(
        self, request: ExternalMetricRequest, *, deadline_seconds: float, trail: Trail = NO_TRAIL
    ) -> ExternalAnswer:
        """Return the values of a metric of no object.

        Raises:
            RequestError: a leaf that says what the caller got wrong.
            UpstreamError: a leaf that says what failed behind the adapter.
        """
        async with until(deadline_seconds, self.clocks):
            entry = await self._entries.external(request, trail)
            kinds = await self._followed_kinds()
            with self._told(entry):
                check_namespace(entry, request.namespace)
                plan = plan_external(entry, namespace=request.namespace, selector=request.selector, kinds=kinds)
                cached = await self._fetching.fetch(plan, trail)
            values = self._deciding.of_external(plan, cached, request, trail)
        self.answered(request.metric)
        items = self._external_items(values, cached)
        self._report_ages("external.metrics.k8s.io", items)
        return ExternalAnswer(metric=request.metric, items=items)

    @contextmanager
    def _told(self, entry: Entry) -> Iterator[None]:
        """Report what the rule cannot serve; how often a query fails is reported where it is asked."""
        try:
            yield
        except Forbidden:
            self.observer.rule_refused(rule=entry.rule.id, reason="namespace")
            raise
        except UnsupportedSelector:
            self.observer.rule_refused(rule=entry.rule.id, reason="selector")
            raise

    async def _followed_kinds(self) -> Kinds:
        """Return all kinds, and have the catalog follow them."""
        kinds = await self.objects.synced_kinds()
        self.relist.follow_kinds(kinds)
        return kinds

    def _check_strictly(self, selector: Selector, values: Mapping[str, Value]) -> None:
        """Refuse, under strict, to write `!=` into an answer: prometheus-adapter cannot once there is a value."""
        written = any(one.op is Op.NOT_EQUALS for one in selector.requirements)
        if self.compat is Compat.STRICT and written and values:
            raise ReferenceDefect('"!=" is not a valid label selector operator')

    def _metric_items(self, subject: Subject, values: Mapping[str, Value], cached: Cached) -> tuple[MetricItem, ...]:
        window = self._window(cached)
        return tuple(
            MetricItem(
                kind=subject.kind,
                namespace=subject.namespace,
                name=name,
                timestamp_seconds=values[name].timestamp_seconds,
                milli=values[name].milli,
                window_seconds=window,
            )
            for name in subject.names
            if name in values
        )

    def _external_items(self, values: Sequence[Value], cached: Cached) -> tuple[ExternalItem, ...]:
        window = self._window(cached)
        return tuple(
            ExternalItem(
                labels=value.labels, timestamp_seconds=value.timestamp_seconds, milli=value.milli, window_seconds=window
            )
            for value in values
        )

    def _window(self, cached: Cached) -> int | None:
        """Return the query's window; prometheus-adapter never says it."""
        return None if self.compat is Compat.STRICT else cached.window_seconds

    def _report_ages(self, group: str, items: Sequence[MetricItem] | Sequence[ExternalItem]) -> None:
        if items:
            oldest = min(item.timestamp_seconds for item in items)
            self.observer.value_served(group=group, age_seconds=max(0.0, self.clocks.wall() - oldest))
