"""The story of a request: look up the metric, name the objects, plan, fetch, decide."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from adapter.errors import Forbidden, UnsupportedSelector
from adapter.kube.resources import Kinds
from adapter.rules.answers import CustomAnswer, ExternalAnswer
from adapter.rules.catalog import Catalog, Entry
from adapter.rules.requests import CustomMetricRequest, ExternalMetricRequest
from adapter.rules.rule import Compat
from adapter.rules.trail import NO_TRAIL, Trail
from adapter.rules.values import Value
from adapter.runtime.clock import Clocks
from adapter.runtime.deadline import until
from adapter.runtime.deciding import Deciding, PolicyObserver
from adapter.runtime.demand import Metric
from adapter.runtime.fetching import Fetching, QueryObserver
from adapter.runtime.held import HeldValues
from adapter.runtime.making import Making
from adapter.runtime.metric_entries import MetricEntries
from adapter.runtime.objects import Objects
from adapter.runtime.plans import Made, Plans
from adapter.runtime.refusals import Refusals, check_namespace
from adapter.runtime.relist import Relist
from adapter.runtime.subjects import Subjects


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
    fetching: Fetching  # of one backend; who asks the same shares it
    held_objects: HeldValues[Value]
    held_items: HeldValues[tuple[Value, ...]]
    clocks: Clocks
    observer: ProviderObserver
    compat: Compat = Compat.FIXED
    answered: Callable[[Metric], None] = _nobody  # told of each metric that a caller got an answer for
    _entries: MetricEntries = field(init=False)
    _subjects: Subjects = field(init=False)
    _making: Making = field(init=False)
    _plans: Plans = field(default_factory=Plans)

    def __post_init__(self) -> None:
        refusals = Refusals(self.compat)
        self._entries = MetricEntries(relist=self.relist, refusals=refusals)
        self._subjects = Subjects(objects=self.objects, refusals=refusals)
        deciding = Deciding(
            held_objects=self.held_objects,
            held_items=self.held_items,
            clocks=self.clocks,
            observer=self.observer,
            refusals=refusals,
        )
        self._making = Making(deciding=deciding, observer=self.observer, compat=self.compat)

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
                planned = self._plans.custom(request, entry, kinds, subject)
                cached = await self.fetching.fetch(planned.plan, trail)
            made = self._making.before(planned, cached, trail)
            if made is None:
                made = await self._making.custom(request, planned, cached, subject, trail)
        self.answered((subject.kind.group_resource, request.metric))
        self._report_age("custom.metrics.k8s.io", made)
        return made.answer

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
                planned = self._plans.external(request, entry, kinds)
                cached = await self.fetching.fetch(planned.plan, trail)
            made = self._making.before(planned, cached, trail)
            if made is None:
                made = self._making.external(request, planned, cached, trail)
        self.answered(request.metric)
        self._report_age("external.metrics.k8s.io", made)
        return made.answer

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

    def _report_age(self, group: str, made: Made[Any]) -> None:
        if made.oldest_seconds is not None:
            self.observer.value_served(group=group, age_seconds=max(0.0, self.clocks.wall() - made.oldest_seconds))
