"""The story of a request: look up the metric, name the objects, plan, fetch, decide."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from adapter.errors import AdapterError, DeadlineExceeded, Forbidden, MetricNotFound, QueryRejected, ReferenceDefect
from adapter.kube.documents import ExternalItem, MetricItem
from adapter.kube.resources import Kind, Kinds
from adapter.kube.selectors import Op, Selector
from adapter.promql.ast import range_seconds_of
from adapter.promql.model import QueryAnswer
from adapter.rules.answers import CustomAnswer, ExternalAnswer
from adapter.rules.association import ROOT_RESOURCES
from adapter.rules.catalog import Catalog, Entry
from adapter.rules.query import Plan, external_resource, odd_key, plan_custom, plan_external
from adapter.rules.requests import ByName, BySelector, CustomMetricRequest, ExternalMetricRequest
from adapter.rules.rule import Api, Compat, Policies
from adapter.rules.trail import NO_TRAIL, Trail
from adapter.rules.values import Note, Value, external_values, fixed_value, object_values
from adapter.runtime.cache import Cached, QueryCache
from adapter.runtime.clock import Clocks
from adapter.runtime.held import HeldValues
from adapter.runtime.objects import Objects
from adapter.runtime.relist import Relist


class QueryBackend(Protocol):
    """What a request needs of a backend."""

    async def query(self, promql: str, *, at_seconds: float, deadline_seconds: float) -> QueryAnswer:
        """Return the answer of an instant query; raises UpstreamError leaves."""


class ProviderObserver(Protocol):
    """What the provider reports."""

    def policy_applied(self, *, rule: str, what: str) -> None:
        """Note that a rule's policy decided about a sample or an absence: duplicates, nan, infinite, empty, held."""

    def value_served(self, *, group: str, age_seconds: float) -> None:
        """Note how old a served value was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """Which API groups are installed: those that some rule feeds."""

    custom: bool
    external: bool
    resource: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Subject:
    """The objects of one request, resolved."""

    kind: Kind
    namespace: str
    names: tuple[str, ...]
    listed: bool
    wanted: str  # the resource as the caller wrote it


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
        async with _until(deadline_seconds, self.clocks):
            kind = self._kind(request, trail)
            entry = await self._custom_entry(request, kind, trail)
            subject = await self._subject(request, kind, entry, trail)
            plan = plan_custom(
                entry,
                namespace=request.namespace,
                names=subject.names,
                metric_selector=request.metric_selector,
                kinds=self.kinds,
                asked_for=subject.wanted,
            )
            cached = await self._fetch(plan, trail)
            values = self._object_values(plan, cached, subject, request, trail)
            self._check_strictly(request.metric_selector, values)
        items = tuple(
            self._metric_item(subject, name, values[name], cached) for name in subject.names if name in values
        )
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
        async with _until(deadline_seconds, self.clocks):
            entry = await self._external_entry(request, trail)
            self._check_namespace(entry, request.namespace)
            plan = plan_external(entry, namespace=request.namespace, selector=request.selector, kinds=self.kinds)
            cached = await self._fetch(plan, trail)
            values = self._external_values(plan, cached, request, trail)
        window = self._window(cached)
        items = tuple(
            ExternalItem(
                labels=value.labels, timestamp_seconds=value.timestamp_seconds, milli=value.milli, window_seconds=window
            )
            for value in values
        )
        self._report_ages("external.metrics.k8s.io", items)
        return ExternalAnswer(metric=request.metric, items=items)

    # ---- which rule and which objects

    def _kind(self, request: CustomMetricRequest, trail: Trail) -> Kind:
        kind = self.kinds.resolve(request.resource)
        if kind is None:
            trail.note("kind", f'no kind of object is called "{request.resource}"', ok=False)
            raise self._not_found(request, f'no kind of object is called "{request.resource}"')
        trail.note("kind", f"{request.resource} is {kind.kind} of {kind.group or 'the core group'}", kind=kind.kind)
        return kind

    async def _custom_entry(self, request: CustomMetricRequest, kind: Kind, trail: Trail) -> Entry:
        await self.relist.follow_kinds()
        entry = self.catalog.custom_entry(kind, request.metric)
        if entry is None:
            await self.relist.look_up(Api.CUSTOM, request.metric)
            entry = self.catalog.custom_entry(kind, request.metric)
        if entry is None:
            self._raise_if_hidden(Api.CUSTOM, request.metric, trail)
            others = ", ".join(str(one) for one in self.catalog.kinds_with(request.metric))
            reason = f"it is served for {others}" if others else "no rule gives this metric now"
            trail.note("rule", reason, ok=False)
            raise self._not_found(request, reason)
        _note_entry(trail, entry)
        return entry

    async def _external_entry(self, request: ExternalMetricRequest, trail: Trail) -> Entry:
        entry = self.catalog.external_entry(request.metric)
        if entry is None:
            await self.relist.look_up(Api.EXTERNAL, request.metric)
            entry = self.catalog.external_entry(request.metric)
        if entry is None:
            self._raise_if_hidden(Api.EXTERNAL, request.metric, trail)
            trail.note("rule", "no rule gives this metric now", ok=False)
            raise MetricNotFound(
                metric=request.metric,
                resource=external_resource(request.namespace),
                reason=self._reason("no rule gives this metric now"),
            )
        _note_entry(trail, entry)
        return entry

    def _raise_if_hidden(self, api: Api, metric: str, trail: Trail) -> None:
        """Raise the failure that hides whether the metric exists: failure is never absence."""
        error = self.relist.unknown_because_failed(api, metric)
        if error is not None:
            trail.note("rule", f"discovery has never answered: {error}", ok=False)
            raise error

    async def _subject(self, request: CustomMetricRequest, kind: Kind, entry: Entry, trail: Trail) -> _Subject:
        self._check_scope(request, kind)
        names = await self._names(request, kind, trail)
        if entry.rule.policies.allow_namespaces:
            names = self._allowed_names(request, kind, entry, names)
        if not names:
            reason = f"the selector picks no {kind.plural}" + (f" in {request.namespace}" if request.namespace else "")
            trail.note("objects", reason, ok=False)
            raise self._not_found(request, reason)
        return _Subject(
            kind=kind,
            namespace=request.namespace,
            names=names,
            listed=isinstance(request.target, BySelector),
            wanted=str(request.resource),
        )

    def _check_scope(self, request: CustomMetricRequest, kind: Kind) -> None:
        """Refuse a path of the wrong scope.

        A cluster-scoped kind can be asked for by name under any namespace, since the HPA puts its own namespace there,
        except for the three kinds that prometheus-adapter knows to be cluster-scoped.
        """
        if not request.namespace and kind.namespaced:
            raise self._not_found(request, f"{kind.plural} live in namespaces")
        if request.namespace and not kind.namespaced:
            core = not kind.group and kind.plural in ROOT_RESOURCES
            if core or isinstance(request.target, BySelector):
                raise self._not_found(request, f"{kind.plural} live in no namespace")

    async def _names(self, request: CustomMetricRequest, kind: Kind, trail: Trail) -> tuple[str, ...]:
        match request.target:
            case ByName(name=name):
                trail.note("objects", f"asked for by name: {name}", names=[name])
                return (name,)
            case BySelector(selector=selector):
                names = await self.objects.names(kind, request.namespace, selector)
                picked = f'"{selector}" picks' if selector else "no selector: all"
                trail.note("objects", f"{picked} {len(names)} {kind.plural}", ok=bool(names), names=list(names))
                return names

    def _allowed_names(
        self, request: CustomMetricRequest, kind: Kind, entry: Entry, names: tuple[str, ...]
    ) -> tuple[str, ...]:
        """Apply a rule's `allowNamespaces` to the objects, whatever the caller's selector picked."""
        if kind.namespaced or request.namespace:
            self._check_namespace(entry, request.namespace)
            return names
        if kind.plural != "namespaces":
            return names
        allowed = tuple(name for name in names if entry.rule.policies.allows(name))
        if isinstance(request.target, ByName) and not allowed:
            self._check_namespace(entry, request.target.name)
        return allowed

    def _check_namespace(self, entry: Entry, namespace: str) -> None:
        if not entry.rule.policies.allows(namespace):
            raise Forbidden(f'rule {entry.rule.id} does not serve the namespace "{namespace}"')

    def _not_found(self, request: CustomMetricRequest, reason: str, name: str = "") -> MetricNotFound:
        return MetricNotFound(
            metric=request.metric, resource=str(request.resource), name=name, reason=self._reason(reason)
        )

    def _reason(self, text: str) -> str:
        """Return a reason for the end of an error text; prometheus-adapter gives none."""
        return "" if self.compat is Compat.STRICT else text

    def _check_strictly(self, selector: Selector, values: Mapping[str, Value]) -> None:
        """Refuse, under strict, to write `!=` into an answer: prometheus-adapter cannot once there is a value."""
        written = any(one.op is Op.NOT_EQUALS for one in selector.requirements)
        if self.compat is Compat.STRICT and written and values:
            raise ReferenceDefect('"!=" is not a valid label selector operator')

    # ---- the query and its answer

    async def _fetch(self, plan: Plan, trail: Trail) -> Cached:
        trail.note("query", "the query that is sent", promql=plan.promql, series=plan.series, label=plan.label)

        async def fetch() -> tuple[QueryAnswer, int | None]:
            answer = await self.backend.query(
                plan.promql,
                at_seconds=self.clocks.wall(),
                deadline_seconds=self.clocks.monotonic() + self.query_timeout_seconds,
            )
            return answer, range_seconds_of(plan.sketch())

        try:
            cached = await self.cache.get(plan.promql, plan.rule.policies.cache_ttl_seconds, fetch)
        except AdapterError as error:
            trail.note("answer", f"the query failed: {error}", ok=False)
            if isinstance(error, QueryRejected) and plan.odd_keys:
                # The template wrote the key where a label name belongs: the caller's doing, not the server's.
                raise odd_key(plan.odd_keys[0], plan.rule) from error
            raise
        trail.note(
            "answer",
            f"evaluated {self._age(cached):.1f} s ago",
            result=cached.answer.result,
            annotations=cached.answer.annotations,
        )
        return cached

    def _age(self, cached: Cached) -> float:
        return self.clocks.monotonic() - cached.evaluated_at

    def _object_values(
        self, plan: Plan, cached: Cached, subject: _Subject, request: CustomMetricRequest, trail: Trail
    ) -> dict[str, Value]:
        decided = object_values(plan, cached.answer)
        self._note_policies(plan, decided.notes, trail)
        values = dict(decided.values)
        policies = plan.rule.policies
        scope = (
            plan.rule.id,
            plan.series,
            str(subject.kind.group_resource),
            subject.namespace,
            str(request.metric_selector),
        )
        if policies.on_empty.action == "hold":
            for name, value in values.items():
                self.held_objects.keep(
                    (*scope, name), value, policies.on_empty.hold_seconds, age_seconds=self._age(cached)
                )
        for name in subject.names:
            if name not in values:
                filled = self._filled(policies, (*scope, name), cached)
                what = "empty" if filled is None else ("held" if policies.on_empty.action == "hold" else "filled")
                trail.note("value", f"{name}: no usable sample ({what})", ok=filled is not None, object=name)
                self.observer.policy_applied(rule=plan.rule.id, what=what)
                if filled is not None:
                    values[name] = filled
        if not values and (not subject.listed or policies.on_empty.action == "error"):
            name = "" if subject.listed else subject.names[0]
            raise self._not_found(request, f"the query of rule {plan.rule.id} gives it no value", name)
        return values

    def _filled(self, policies: Policies, key: tuple[str, ...], cached: Cached) -> Value | None:
        """Return what the rule gives to an object without a value."""
        match policies.on_empty.action:
            case "value":
                return fixed_value(policies, cached.answer.evaluated_at_seconds)
            case "hold":
                return self.held_objects.last(key)
            case _:
                return None

    def _external_values(
        self, plan: Plan, cached: Cached, request: ExternalMetricRequest, trail: Trail
    ) -> tuple[Value, ...]:
        decided = external_values(plan, cached.answer)
        self._note_policies(plan, decided.notes, trail)
        policies = plan.rule.policies
        key = (plan.rule.id, plan.series, request.namespace, str(request.selector))
        if decided.values:
            if policies.on_empty.action == "hold":
                self.held_items.keep(key, decided.values, policies.on_empty.hold_seconds, age_seconds=self._age(cached))
            return decided.values
        self.observer.policy_applied(rule=plan.rule.id, what="empty")
        trail.note("value", f"no usable sample (onEmpty: {policies.on_empty.action})", ok=False)
        match policies.on_empty.action:
            case "value":
                return (fixed_value(policies, cached.answer.evaluated_at_seconds),)
            case "hold":
                return self.held_items.last(key) or ()
            case "error":
                raise MetricNotFound(
                    metric=request.metric,
                    resource=external_resource(request.namespace),
                    reason=self._reason(f"the query of rule {plan.rule.id} gives no value"),
                )
            case _:
                return ()

    def _note_policies(self, plan: Plan, notes: Sequence[Note], trail: Trail) -> None:
        for note in notes:
            self.observer.policy_applied(rule=plan.rule.id, what=note.what)
            trail.note("policy", f"{note.name}: {note.detail}" if note.name else note.detail, object=note.name)

    def _metric_item(self, subject: _Subject, name: str, value: Value, cached: Cached) -> MetricItem:
        return MetricItem(
            kind=subject.kind,
            namespace=subject.namespace,
            name=name,
            timestamp_seconds=value.timestamp_seconds,
            milli=value.milli,
            window_seconds=self._window(cached),
        )

    def _window(self, cached: Cached) -> int | None:
        """Return the query's window; prometheus-adapter never says it."""
        return None if self.compat is Compat.STRICT else cached.window_seconds

    def _report_ages(self, group: str, items: Sequence[MetricItem] | Sequence[ExternalItem]) -> None:
        if items:
            oldest = min(item.timestamp_seconds for item in items)
            self.observer.value_served(group=group, age_seconds=max(0.0, self.clocks.wall() - oldest))


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


@asynccontextmanager
async def _until(deadline_seconds: float, clocks: Clocks) -> AsyncIterator[None]:
    """Turn the end of a deadline into our error; time-outs of others pass through."""
    timeout = asyncio.timeout(max(0.0, deadline_seconds - clocks.monotonic()))
    try:
        async with timeout:
            yield
    except TimeoutError as error:
        if timeout.expired():
            raise DeadlineExceeded("Timeout: request did not complete within the allotted timeout") from error
        raise
