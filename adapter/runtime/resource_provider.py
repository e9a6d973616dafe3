"""The story of a request for cpu and memory: name the pods or nodes, ask for both, and tell them together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, groupby
from typing import Protocol, TypeVar

from adapter.errors import DeadlineExceeded, RouteNotFound, UnusableResult, UpstreamError, UseUnknown
from adapter.kube.documents import ObjectMeta
from adapter.kube.resource_metrics import NodeUse, PodUse
from adapter.kube.selectors import EVERYTHING, Selector
from adapter.rules.resource_plan import UsePlan, plan_nodes, plan_pods
from adapter.rules.resource_rule import ResourceRules, UseRule
from adapter.rules.resource_values import Measured, measured, node_uses, pod_uses
from adapter.rules.trail import NO_TRAIL, Trail
from adapter.runtime.cache import QueryCache
from adapter.runtime.clock import Clocks
from adapter.runtime.deadline import until
from adapter.runtime.deciding import PolicyObserver
from adapter.runtime.fetching import Fetching, QueryBackend, QueryObserver
from adapter.runtime.garbage import made_aside
from adapter.runtime.objects import Objects
from adapter.runtime.parallel import each

T = TypeVar("T")

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


@dataclass(slots=True, kw_only=True)
class ResourceProvider:
    """Answers requests for the use of pods and nodes from the objects and the backend's queries."""

    rules: Callable[[], ResourceRules | None]  # those in force now; they change when the files do
    objects: Objects
    backend: QueryBackend
    cache: QueryCache
    clocks: Clocks
    observer: ResourceObserver
    query_timeout_seconds: float = 5.0
    max_query_bytes: int = 16_384
    fetching: Fetching | None = None  # what providers of one backend share; else one is made of the above
    _fetching: Fetching = field(init=False)

    def __post_init__(self) -> None:
        self._fetching = self.fetching or Fetching(
            backend=self.backend,
            cache=self.cache,
            clocks=self.clocks,
            observer=self.observer,
            timeout_seconds=self.query_timeout_seconds,
            max_query_bytes=self.max_query_bytes,
        )

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
            by_namespace = [(key, list(some)) for key, some in groupby(pods, key=lambda one: one.namespace)]
            trail.note("objects", f"running pods: {len(pods)}, namespaces: {len(by_namespace)}", ok=bool(pods))
            await self._ask_together(rules, by_namespace)
            works = [partial(self._pods_of, rules, *one, trail=trail) for one in by_namespace]
            found = await each(works, _NAMESPACES_AT_ONCE)
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
                found = await self._measured(rules, lambda rule: plan_nodes(rule, names=names), trail)
            uses = await _decided(len(nodes), partial(node_uses, nodes, found, window_seconds=rules.window_seconds))
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

    async def _ask_together(
        self, rules: ResourceRules, by_namespace: Sequence[tuple[str, Sequence[ObjectMeta]]]
    ) -> None:
        """Ask for all namespaces in few queries; what cannot be asked so is asked for each namespace afterwards."""
        if len(by_namespace) < 2:  # noqa: PLR2004 - one alone shares with nobody
            return
        plans = []
        for rule in (rule for _, rule in rules if rule is not None):
            for namespace, pods in by_namespace:
                with suppress(UpstreamError):  # the namespace that cannot be written is named when it is asked for
                    plans.append(plan_pods(rule, namespace=namespace, names=[one.name for one in pods]))
        with suppress(UpstreamError):
            await self._fetching.fetch_uses(
                [plan for plan in plans if plan is not None],
                ttl_seconds=rules.cache_ttl_seconds,
                stale_if_error_seconds=rules.stale_if_error_seconds,
            )

    async def _pods_of(
        self, rules: ResourceRules, namespace: str, pods: Sequence[ObjectMeta], *, trail: Trail
    ) -> tuple[PodUse, ...]:
        names = [one.name for one in pods]
        with _named(f"the pods of namespace {namespace}"):
            found = await self._measured(rules, lambda rule: plan_pods(rule, namespace=namespace, names=names), trail)
        return await _decided(len(pods), partial(pod_uses, pods, found, window_seconds=rules.window_seconds))

    async def _measured(
        self, rules: ResourceRules, plan_of: Callable[[UseRule], UsePlan | None], trail: Trail
    ) -> Mapping[str, Mapping[str, Measured]]:
        """Return cpu and memory, asked for at the same time, by resource and by object."""
        plans = {name: plan for name, rule in rules if rule is not None and (plan := plan_of(rule)) is not None}
        _tell_asked(trail, plans)
        found = await each([partial(self._measured_by, plan, rules) for plan in plans.values()], len(plans))
        _tell_found(trail, plans, found)
        return dict(zip(plans, found, strict=True))

    async def _measured_by(self, plan: UsePlan, rules: ResourceRules) -> Mapping[str, Measured]:
        answer = await self._fetching.fetch_use(
            plan, ttl_seconds=rules.cache_ttl_seconds, stale_if_error_seconds=rules.stale_if_error_seconds
        )
        measurement = await _decided(len(plan.names), partial(measured, plan, answer, cut=rules.cut))
        for note in measurement.notes:
            self.observer.policy_applied(rule=plan.rule.id, what=note.what)
        return measurement.objects

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


def _tell_found(trail: Trail, plans: Mapping[str, UsePlan], found: Sequence[Mapping[str, Measured]]) -> None:
    if trail is NO_TRAIL:
        return
    for (name, plan), objects in zip(plans.items(), found, strict=True):
        missing = [one for one in plan.names if one not in objects]
        trail.note(name, f"samples for {len(objects)} of {len(plan.names)}{_none_for(missing)}", ok=not missing)


def _none_for(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"; none for {', '.join(names[:_NAMED])}{more}" if names else ""


async def _decided(objects: int, decide: Callable[[], T]) -> T:
    return decide() if objects <= _OBJECTS_AT_ONCE else await made_aside(decide)


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
