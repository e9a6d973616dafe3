"""Which objects a request is about: of the right scope, picked by its selector, allowed by the rule."""

from __future__ import annotations

from dataclasses import dataclass

from adapter.kube.resources import Kind
from adapter.rules.association import ROOT_RESOURCES
from adapter.rules.catalog import Entry
from adapter.rules.requests import ByName, BySelector, CustomMetricRequest
from adapter.rules.trail import NO_TRAIL, Trail
from adapter.runtime.objects import Objects
from adapter.runtime.refusals import Refusals, check_namespace


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The objects of one request, resolved."""

    kind: Kind
    namespace: str
    names: tuple[str, ...]
    listed: bool
    wanted: str  # the resource as the caller wrote it


@dataclass(frozen=True, slots=True, kw_only=True)
class Subjects:
    """Resolves the kind and the objects of requests."""

    objects: Objects
    refusals: Refusals

    async def kind(self, request: CustomMetricRequest, trail: Trail) -> Kind:
        """Return the kind that a request's resource means; MetricNotFound if there is none."""
        kind = await self.objects.look_up_kind(request.resource)
        if kind is None:
            reason = f'no kind of object is called "{request.resource}"'
            trail.note("kind", reason, ok=False)
            raise self.refusals.not_found(request, reason)
        trail.note("kind", f"{request.resource} is {kind.kind} of {kind.group or 'the core group'}", kind=kind.kind)
        return kind

    async def subject(self, request: CustomMetricRequest, kind: Kind, entry: Entry, trail: Trail) -> Subject:
        """Return the objects that a request is about, one at the least.

        Raises:
            MetricNotFound: there is none, or the path is of the wrong scope.
            Forbidden: the rule does not serve the namespace.
            UpstreamError: the objects are not known.
        """
        self._check_scope(request, kind)
        names = await self._names(request, kind, trail)
        if entry.rule.policies.allow_namespaces:
            names = _allowed_names(request, kind, entry, names)
        if not names:
            reason = f"the selector picks no {kind.plural}" + (f" in {request.namespace}" if request.namespace else "")
            trail.note("objects", reason, ok=False)
            raise self.refusals.not_found(request, reason)
        listed = isinstance(request.target, BySelector)
        wanted = str(request.resource)
        return Subject(kind=kind, namespace=request.namespace, names=names, listed=listed, wanted=wanted)

    def _check_scope(self, request: CustomMetricRequest, kind: Kind) -> None:
        """Refuse a path of the wrong scope.

        A cluster-scoped kind can be asked for by name under any namespace, since the HPA puts its own namespace there,
        except for the three kinds that prometheus-adapter knows to be cluster-scoped.
        """
        if not request.namespace and kind.namespaced:
            raise self.refusals.not_found(request, f"{kind.plural} live in namespaces")
        if request.namespace and not kind.namespaced:
            core = not kind.group and kind.plural in ROOT_RESOURCES
            if core or isinstance(request.target, BySelector):
                raise self.refusals.not_found(request, f"{kind.plural} live in no namespace")

    async def _names(self, request: CustomMetricRequest, kind: Kind, trail: Trail) -> tuple[str, ...]:
        match request.target:
            case ByName(name=name):
                trail.note("objects", f"asked for by name: {name}", names=[name])
                return (name,)
            case BySelector(selector=selector):
                names = await self.objects.names(kind, request.namespace, selector)
                if trail is not NO_TRAIL:
                    how = f'"{selector}" picks' if selector else "no selector: all"
                    trail.note("objects", f"{how} {len(names)} {kind.plural}", ok=bool(names), names=list(names))
                return names


def _allowed_names(request: CustomMetricRequest, kind: Kind, entry: Entry, names: tuple[str, ...]) -> tuple[str, ...]:
    """Apply a rule's `allowNamespaces` to the objects, whatever the caller's selector picked."""
    if kind.namespaced or request.namespace:
        check_namespace(entry, request.namespace)
        return names
    if kind.group or kind.plural != "namespaces":
        # An object outside of namespaces: only a rule that allows every one shows it.
        check_namespace(entry, "")
        return names
    allowed = tuple(name for name in names if entry.rule.policies.allows(name))
    if isinstance(request.target, ByName) and not allowed:
        check_namespace(entry, request.target.name)
    return allowed
