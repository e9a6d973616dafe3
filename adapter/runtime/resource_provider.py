"""The story of a request for cpu and memory: name the pods or nodes, ask for both, and tell them together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, groupby
from typing import Any, Protocol, TypeVar

from adapter.errors import DeadlineExceeded, RouteNotFound, UnusableResult, UpstreamError, UseUnknown
from adapter.interpreter import made_aside
from adapter.kube.documents import ObjectMeta
from adapter.kube.resource_metrics import NodeUse, PodUse
from adapter.kube.selectors import EVERYTHING, Selector
from adapter.rules.resource_plan import UsePlan, plan_nodes, plan_pods
from adapter.rules.resource_rule import ResourceRules, UseRule
from adapter.rules.resource_values import Measured, measured, node_uses, pod_uses
from adapter.rules.trail import NO_TRAIL, Trail
from adapter.runtime.cache import Cached
from adapter.runtime.clock import Clocks
from adapter.runtime.deadline import until
from adapter.runtime.deciding import PolicyObserver
from adapter.runtime.fetching import Fetching, QueryObserver
from adapter.runtime.objects import Objects
from adapter.runtime.parallel import each
from adapter.runtime.use_plans import MadeUses, PlannedUses, Scope, UsePlans, made_before

U = TypeVar("U", PodUse, NodeUse)
U_co = TypeVar("U_co", PodUse, NodeUse, covariant=True)

_GROUP = "metrics.k8s.io"
# Two queries each: enough to keep a Prometheus busy, and few enough to leave connections to other requests.
_NAMESPACES_AT_ONCE = 4
# Of what has no sample, in a text for people.
_NAMED = 10
# More objects than this take over 10 ms, so a thread decides on them and other requests go on.
_OBJECTS_AT_ONCE = 1000


class ResourceObserver(PolicyObserver, QueryObserver, Protocol):
    """What is reported of requests for cpu and memory."""

    def value_served(self, *, group: str, age_seconds: float) -> None:
        """Note how old a served value was."""


class Of(Protocol[U_co]):
    """Makes uses of what was measured, by resource and object; see `rules/resource_values`."""

    def __call__(
        self,
        objects: Iterable[ObjectMeta],
        by_resource: Mapping[str, Mapping[str, Measured]],
        /,
        *,
        window_seconds: float,
    ) -> tuple[U_co, ...]:
        """Return the uses of objects, in their order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """The pods of one namespace that a request is about."""

    scope: Scope
    rules: ResourceRules
    objects: Sequence[ObjectMeta]


@dataclass(slots=True, kw_only=True)
class ResourceProvider:
    """Answers requests for the use of pods and nodes from the objects and the backend's queries."""

    rules: Callable[[], ResourceRules | None]  # those in force now; they change when the files do
    objects: Objects
    fetching: Fetching  # of one backend; who asks the same shares it
    clocks: Clocks
    observer: ResourceObserver
    _plans: UsePlans = field(default_factory=UsePlans)

    async def pods(
        self, namespace: str, selector: Selector, *, name: str = "", deadline_seconds: float, trail: Trail = NO_TRAIL
    ) -> tuple[PodUse, ...]:
        """Return what running pods use, by namespace and name; an empty namespace or name stands for all.

        A pod without a sample is left out; a namespace whose pods cannot be asked about fails the whole.

        Raises:
            RouteNotFound: no file has resource rules now.
            UpstreamError: a leaf that says what failed behind the adapter.
        """
        async with until(deadline_seconds, self.clocks):
            rules = self._in_force()
            if not rules.measures_pods:
                return ()
            pods = [one for one in await self.objects.running_pods(namespace, selector) if name in ("", one.name)]
            wanted = [
                _Wanted(scope=(space, selector, name), rules=rules, objects=list(some))
                for space, some in groupby(pods, key=lambda one: one.namespace)
            ]
            trail.note("objects", f"running pods: {len(pods)}, namespaces: {len(wanted)}", ok=bool(pods))
            await self._ask_together(rules, wanted)
            found = await each([partial(self._pods_of, one, trail) for one in wanted], _NAMESPACES_AT_ONCE)
        uses = tuple(chain.from_iterable(found))
        self._report_age(uses)
        return uses

    async def nodes(
        self, selector: Selector, *, name: str = "", deadline_seconds: float, trail: Trail = NO_TRAIL
    ) -> tuple[NodeUse, ...]:
        """Return what nodes use, by name; an empty name stands for all, a node without a sample is left out.

        Raises:
            RouteNotFound: no file has resource rules now.
            UpstreamError: a leaf that says what failed behind the adapter.
        """
        async with until(deadline_seconds, self.clocks):
            rules = self._in_force()
            if not rules.measures_nodes:
                return ()
            nodes = [one for one in await self.objects.nodes(selector) if name in ("", one.name)]
            trail.note("objects", f"nodes: {len(nodes)}", ok=bool(nodes))
            if not nodes:
                return ()
            names = [one.name for one in nodes]
            with _named("nodes"):
                planned = self._plans.of(
                    (None, selector, name), rules, nodes, lambda rule: plan_nodes(rule, names=names)
                )
                uses = await self._uses(planned, node_uses, trail)
        self._report_age(uses)
        return uses

    async def knows_pod(self, namespace: str, name: str, *, deadline_seconds: float) -> bool:
        """Say whether there is such a pod, and it runs; raises what `pods` raises."""
        async with until(deadline_seconds, self.clocks):
            return any(one.name == name for one in await self.objects.running_pods(namespace, EVERYTHING))

    async def knows_node(self, name: str, *, deadline_seconds: float) -> bool:
        """Say whether there is such a node; raises what `nodes` raises."""
        async with until(deadline_seconds, self.clocks):
            return any(one.name == name for one in await self.objects.nodes(EVERYTHING))

    def _in_force(self) -> ResourceRules:
        rules = self.rules()
        if rules is None:
            raise RouteNotFound
        return rules

    async def _ask_together(self, rules: ResourceRules, wanted: Sequence[_Wanted]) -> None:
        """Ask for all namespaces in few queries; what cannot be asked so is asked for each namespace afterwards."""
        if len(wanted) < 2:  # noqa: PLR2004 - one alone shares with nobody
            return
        plans: list[UsePlan] = []
        for one in wanted:
            with suppress(UpstreamError):  # the namespace that cannot be written is named when it is asked for
                plans.extend(self._planned_pods(one).plans.values())
        with suppress(UpstreamError):
            await self.fetching.fetch_uses(
                plans, ttl_seconds=rules.cache_ttl_seconds, stale_if_error_seconds=rules.stale_if_error_seconds
            )

    async def _pods_of(self, wanted: _Wanted, trail: Trail) -> tuple[PodUse, ...]:
        with _named(f"the pods of namespace {wanted.scope[0]}"):
            return await self._uses(self._planned_pods(wanted), pod_uses, trail)

    def _planned_pods(self, wanted: _Wanted) -> PlannedUses:
        def plan(rule: UseRule) -> UsePlan | None:
            names = [one.name for one in wanted.objects]
            return plan_pods(rule, namespace=wanted.scope[0] or "", names=names)

        return self._plans.of(wanted.scope, wanted.rules, wanted.objects, plan)

    async def _uses(self, planned: PlannedUses, of: Of[U], trail: Trail) -> tuple[U, ...]:
        """Return what the objects use, as long as both answers are kept what was made of them before."""
        plans, rules = planned.plans, planned.rules
        _tell_asked(trail, plans)
        answers = await each([partial(self._answer, plan, rules) for plan in plans.values()], len(plans))
        made: MadeUses[Any] | None = made_before(planned, answers) if trail is NO_TRAIL else None
        if made is None:
            made = await self._made(planned, answers, of, trail)
            answers[0].keep(planned, made)  # with the first of them it goes
        for rule, what in made.applied:
            self.observer.policy_applied(rule=rule, what=what)
        return made.uses

    async def _answer(self, plan: UsePlan, rules: ResourceRules) -> Cached:
        return await self.fetching.fetch_use(
            plan, ttl_seconds=rules.cache_ttl_seconds, stale_if_error_seconds=rules.stale_if_error_seconds
        )

    async def _made(self, planned: PlannedUses, answers: Sequence[Cached], of: Of[U], trail: Trail) -> MadeUses[U]:
        plans, rules = planned.plans, planned.rules

        def make() -> MadeUses[U]:
            found = [
                measured(plan, one.answer, cut=rules.cut) for plan, one in zip(plans.values(), answers, strict=True)
            ]
            objects = {name: one.objects for name, one in zip(plans, found, strict=True)}
            _tell_found(trail, plans, objects)
            applied = (
                (plan.rule.id, note.what) for plan, one in zip(plans.values(), found, strict=True) for note in one.notes
            )
            uses = of(planned.objects, objects, window_seconds=rules.window_seconds)
            return MadeUses(answers=tuple(answers), uses=uses, applied=tuple(applied))

        return make() if len(planned.objects) <= _OBJECTS_AT_ONCE else await made_aside(make)

    def _report_age(self, uses: Sequence[PodUse] | Sequence[NodeUse]) -> None:
        if uses:
            oldest = min(use.timestamp_seconds for use in uses)
            self.observer.value_served(group=_GROUP, age_seconds=max(0.0, self.clocks.wall() - oldest))


def _tell_asked(trail: Trail, plans: Mapping[str, UsePlan]) -> None:
    if trail is NO_TRAIL:
        return
    for name, plan in plans.items():
        place = plan.rule.location
        trail.note(name, f"{plan.rule.id} ({place.file}:{place.line}) asks {plan.promql}", promql=plan.promql)


def _tell_found(trail: Trail, plans: Mapping[str, UsePlan], found: Mapping[str, Mapping[str, Measured]]) -> None:
    if trail is NO_TRAIL:
        return
    for name, plan in plans.items():
        missing = [one for one in plan.names if one not in found[name]]
        trail.note(name, f"samples for {len(found[name])} of {len(plan.names)}{_none_for(missing)}", ok=not missing)


def _none_for(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"; none for {', '.join(names[:_NAMED])}{more}" if names else ""


@contextmanager
def _named(subject: str) -> Iterator[None]:
    """Let a failure say whose use cannot be told."""
    try:
        yield
    except DeadlineExceeded:
        raise
    except UpstreamError as error:
        reason = str(error) if isinstance(error, UnusableResult) else ""
        raise UseUnknown(subject=subject, reason=reason) from error
