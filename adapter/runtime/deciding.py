"""What objects and external metrics get: their samples' values, or what the rule gives where there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from adapter.interpreter import made_aside
from adapter.rules.query import Plan
from adapter.rules.requests import CustomMetricRequest, ExternalMetricRequest
from adapter.rules.rule import Policies
from adapter.rules.trail import Trail
from adapter.rules.values import Decided, DecidedExternal, Note, Value, external_values, fixed_value, object_values
from adapter.runtime.cache import Cached
from adapter.runtime.clock import Clocks
from adapter.runtime.held import HeldValues
from adapter.runtime.refusals import Refusals
from adapter.runtime.subjects import Subject

T = TypeVar("T")
V = TypeVar("V", Mapping[str, Value], tuple[Value, ...])

# More objects than this take over 10 ms, so a thread decides on them and other requests go on.
_OBJECTS_AT_ONCE = 2000


class PolicyObserver(Protocol):
    """What is reported of decisions."""

    def policy_applied(self, *, rule: str, what: str) -> None:
        """Note that a rule's policy decided about a sample or an absence: duplicates, nan, infinite, empty, held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision(Generic[V]):
    """What was decided: the values, and what the policies did, as `policy_applied` is told.

    `lasts` says whether the same answer gives the same again, whenever that is asked: held values come and go.
    """

    values: V
    applied: tuple[str, ...]
    lasts: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Deciding:
    """Applies a rule's policies to an answer, and remembers good values for the rules that hold them."""

    held_objects: HeldValues[Value]
    held_items: HeldValues[tuple[Value, ...]]
    clocks: Clocks
    observer: PolicyObserver
    refusals: Refusals

    async def of_objects(
        self, plan: Plan, cached: Cached, subject: Subject, request: CustomMetricRequest, trail: Trail
    ) -> Decision[Mapping[str, Value]]:
        """Return the values by object name; MetricNotFound where the rule gives none at all."""
        decided = _fresh(cached, await _decided(plan, cached))
        applied = self._note_policies(plan, decided.notes, trail)
        policies = plan.rule.policies
        resource, selector = str(subject.kind.group_resource), str(request.metric_selector)
        scope = (plan.rule.id, plan.series, resource, subject.namespace, selector)
        values = dict(decided.values)
        if policies.on_empty.action == "hold":
            for name, value in values.items():
                self._keep(self.held_objects, (*scope, name), value, policies, cached)
        for name in subject.names:
            if name not in values:
                filled = self._filled(policies, (*scope, name), cached)
                what = "empty" if filled is None else ("held" if policies.on_empty.action == "hold" else "filled")
                trail.note("value", f"{name}: no usable sample ({what})", ok=filled is not None, object=name)
                self.observer.policy_applied(rule=plan.rule.id, what=what)
                applied.append(what)
                if filled is not None:
                    values[name] = filled
        if not values and (not subject.listed or policies.on_empty.action == "error"):
            name = "" if subject.listed else subject.names[0]
            raise self.refusals.not_found(request, f"the query of rule {plan.rule.id} gives it no value", name)
        return Decision(values=values, applied=tuple(applied), lasts=_lasts(plan, cached))

    def _filled(self, policies: Policies, key: tuple[str, ...], cached: Cached) -> Value | None:
        """Return what the rule gives to an object without a value."""
        match policies.on_empty.action:
            case "value":
                return fixed_value(policies, cached.answer.evaluated_at_seconds)
            case "hold":
                return self.held_objects.last(key)
            case _:
                return None

    def of_external(
        self, plan: Plan, cached: Cached, request: ExternalMetricRequest, trail: Trail
    ) -> Decision[tuple[Value, ...]]:
        """Return the values of an external metric; MetricNotFound where there is none and the rule says so."""
        decided = _fresh_items(cached, external_values(plan, cached.answer))
        applied = self._note_policies(plan, decided.notes, trail)
        policies = plan.rule.policies

        def decision(values: tuple[Value, ...]) -> Decision[tuple[Value, ...]]:
            return Decision(values=values, applied=tuple(applied), lasts=_lasts(plan, cached))

        key = (plan.rule.id, plan.series, request.namespace, str(request.selector))
        if decided.values:
            if policies.on_empty.action == "hold":
                self._keep(self.held_items, key, decided.values, policies, cached)
            return decision(decided.values)
        self.observer.policy_applied(rule=plan.rule.id, what="empty")
        applied.append("empty")
        trail.note("value", f"no usable sample (onEmpty: {policies.on_empty.action})", ok=False)
        match policies.on_empty.action:
            case "value":
                return decision((fixed_value(policies, cached.answer.evaluated_at_seconds),))
            case "hold":
                return decision(self.held_items.last(key) or ())
            case "error":
                raise self.refusals.external_not_found(request, f"the query of rule {plan.rule.id} gives no value")
            case _:
                return decision(())

    def _keep(self, held: HeldValues[T], key: tuple[str, ...], value: T, policies: Policies, cached: Cached) -> None:
        """Hold a value from when it was evaluated, which for a cached answer is a while ago."""
        age = self.clocks.monotonic() - cached.evaluated_at
        held.keep(key, value, policies.on_empty.hold_seconds, age_seconds=age)

    def _note_policies(self, plan: Plan, notes: Sequence[Note], trail: Trail) -> list[str]:
        for note in notes:
            self.observer.policy_applied(rule=plan.rule.id, what=note.what)
            trail.note("policy", f"{note.name}: {note.detail}" if note.name else note.detail, object=note.name)
        return [note.what for note in notes]


def _lasts(plan: Plan, cached: Cached) -> bool:
    return plan.rule.policies.on_empty.action != "hold" and cached.ages is None


async def _decided(plan: Plan, cached: Cached) -> Decided:
    if len(plan.names) <= _OBJECTS_AT_ONCE:
        return object_values(plan, cached.answer)
    return await made_aside(lambda: object_values(plan, cached.answer))


def _fresh(cached: Cached, decided: Decided) -> Decided:
    """Leave out the values whose raw samples are older than the rule allows."""
    if (ages := cached.ages) is None:
        return decided
    reasons = {name: reason for name in decided.values if (reason := ages.too_old(name))}
    values = {name: value for name, value in decided.values.items() if name not in reasons}
    stale = (Note(what="stale", name=name, detail=reason) for name, reason in reasons.items())
    return Decided(values=values, notes=(*decided.notes, *stale))


def _fresh_items(cached: Cached, decided: DecidedExternal) -> DecidedExternal:
    """Leave all items out if the metric is older than the rule allows: they are of no object, so they have one age."""
    reason = cached.ages.too_old("") if cached.ages and decided.values else ""
    return DecidedExternal(notes=(*decided.notes, Note(what="stale", name="", detail=reason))) if reason else decided
