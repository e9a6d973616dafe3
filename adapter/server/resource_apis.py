"""What a path of metrics.k8s.io asks for, and the document that answers it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from adapter.errors import InvalidOption, InvalidPath, NotAcceptable, ObjectNotFound
from adapter.kube.gotext import quoted
from adapter.kube.resource_documents import (
    GROUP,
    ResourceVersion,
    node_metrics,
    node_metrics_list,
    pod_metrics,
    pod_metrics_list,
)
from adapter.kube.resource_metrics import NodeUse, PodUse
from adapter.kube.selectors import EVERYTHING, FieldSelector, Selector, check_known_fields
from adapter.kube.table import GROUP as META_GROUP
from adapter.kube.table import INCLUDED, MetaVersion, partial_object, partial_object_list, table
from adapter.server.calls import Answer, Call
from adapter.server.list_options import check_listable, read_list_options
from adapter.server.negotiation import AS_IT_IS, MEDIA_TYPES, Conversion, Form, make, negotiate
from adapter.server.patience import within

_VERSIONS: Mapping[str, ResourceVersion] = {"v1beta1": "v1beta1", "v1": "v1"}
_META_VERSIONS: Mapping[str, MetaVersion] = {"v1": "v1", "v1beta1": "v1beta1"}
_CONVERSIONS = frozenset({"Table", "PartialObjectMetadata", "PartialObjectMetadataList"})
# Neither can be part of a name; U+FFFD stands for bytes that are no UTF-8.
_UNREADABLE = ("\x00", "\ufffd")

_Use = TypeVar("_Use", PodUse, NodeUse)
Document = Mapping[str, Any]


class ResourceProvider(Protocol):
    """Who answers; deadlines are in seconds on the clock that the server was given."""

    async def pods(
        self, namespace: str, selector: Selector, *, name: str = "", deadline_seconds: float
    ) -> tuple[PodUse, ...]:
        """Return what running pods use, by namespace and name; empty texts stand for all."""

    async def nodes(self, selector: Selector, *, name: str = "", deadline_seconds: float) -> tuple[NodeUse, ...]:
        """Return what nodes use, by name; an empty name stands for all."""

    async def knows_pod(self, namespace: str, name: str, *, deadline_seconds: float) -> bool:
        """Say whether there is such a pod."""

    async def knows_node(self, name: str, *, deadline_seconds: float) -> bool:
        """Say whether there is such a node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a path names: pods or nodes, of a namespace or all, one of them or all."""

    resource: str
    namespace: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What is answered: how its document is made, and how much there is to write in it."""

    document: Callable[[], Document]
    items: int = 1


def target_of(parts: Sequence[str]) -> Target | None:
    """Return what the parts of a path below the version name, None if that is no route."""
    match parts:
        case ["nodes" | "pods" as resource]:
            return Target(resource=resource)
        case ["nodes", name] if name:
            return Target(resource="nodes", name=name)
        case ["namespaces", namespace, "pods"] if namespace:
            return Target(resource="pods", namespace=namespace)
        case ["namespaces", namespace, "pods", name] if namespace and name:
            return Target(resource="pods", namespace=namespace, name=name)
    return None


class ResourceApis:
    """Answers requests for what pods and nodes use."""

    def __init__(
        self,
        provider: ResourceProvider,
        *,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        grace_seconds: float,
    ) -> None:
        """`wall_clock` gives seconds since 1970: a document says when it was made."""
        self._provider = provider
        self._clock = clock
        self._wall_clock = wall_clock
        self._grace_seconds = grace_seconds

    async def answer(self, call: Call, version: str, target: Target, seconds: float) -> Answer:
        """Answer a path below `/apis/metrics.k8s.io/{version}` within so many seconds."""
        form = negotiate(call, convertible=_is_offered)
        if any(mark in text for text in (target.namespace, target.name) for mark in _UNREADABLE):
            raise InvalidPath
        convert = _converter(form, call, is_list=not target.name)  # refuses before anybody is asked
        named = _VERSIONS[version]
        work = self._one(named, target, seconds) if target.name else self._list(call, named, target, seconds)
        told = await within(seconds + self._grace_seconds, work)
        return await make(lambda: convert(told.document()), form, items=told.items)

    async def _one(self, version: ResourceVersion, target: Target, seconds: float) -> Told:
        deadline = self._clock() + seconds
        if target.resource == "nodes":
            nodes = await self._provider.nodes(EVERYTHING, name=target.name, deadline_seconds=deadline)
            if nodes:
                return Told(document=lambda: node_metrics(version, nodes[0], now_seconds=self._wall_clock()))
            is_known = await self._provider.knows_node(target.name, deadline_seconds=deadline)
            raise _missing(target, is_known=is_known)
        namespace, name = target.namespace, target.name
        pods = await self._provider.pods(namespace, EVERYTHING, name=name, deadline_seconds=deadline)
        if pods:
            return Told(document=lambda: pod_metrics(version, pods[0], now_seconds=self._wall_clock()))
        raise _missing(target, is_known=await self._provider.knows_pod(namespace, name, deadline_seconds=deadline))

    async def _list(self, call: Call, version: ResourceVersion, target: Target, seconds: float) -> Told:
        options = read_list_options(call.parameters)
        check_listable(options, kind=target.resource, group=GROUP)
        fields, labels = options.field_selector, options.label_selector
        check_known_fields(fields)
        deadline = self._clock() + seconds
        name = fields.requires_exact("metadata.name") or ""
        if target.resource == "nodes":
            found = await self._provider.nodes(labels, name=name, deadline_seconds=deadline)
            nodes = _selected(found, fields, lambda _use: "")
            return Told(
                document=lambda: node_metrics_list(version, nodes, now_seconds=self._wall_clock()),
                items=len(nodes),
            )
        # A namespace that is not wanted is not asked about: it may be the one that cannot be told.
        namespace = target.namespace or fields.requires_exact("metadata.namespace") or ""
        told = await self._provider.pods(namespace, labels, name=name, deadline_seconds=deadline)
        pods = _selected(told, fields, lambda use: use.namespace)
        return Told(
            document=lambda: pod_metrics_list(version, pods, now_seconds=self._wall_clock()),
            items=sum(1 + len(pod.containers) for pod in pods),
        )


def _selected(uses: Sequence[_Use], fields: FieldSelector, namespace_of: Callable[[_Use], str]) -> Sequence[_Use]:
    """Return those that a field selector picks, which knows names and namespaces only."""
    if not fields.terms:
        return uses
    return [
        use
        for use in uses
        if all(
            ((use.name if term.field == "metadata.name" else namespace_of(use)) == term.value) is not term.negated
            for term in fields.terms
        )
    ]


def _missing(target: Target, *, is_known: bool) -> ObjectNotFound:
    """Return the 404, in metrics-server's words: of what there is, only its use is missing."""
    is_node = target.resource == "nodes"
    if is_known:
        name = target.name if is_node else f"{target.namespace}/{target.name}"
        return ObjectNotFound(kind="nodemetrics" if is_node else "podmetrics", group=GROUP, name=name)
    return ObjectNotFound(kind="node" if is_node else "pods", name=target.name)


# ---- other forms


def _is_offered(conversion: Conversion) -> bool:
    return conversion.as_ in _CONVERSIONS and conversion.group == META_GROUP and conversion.version in _META_VERSIONS


def _converter(form: Form, call: Call, *, is_list: bool) -> Callable[[Document], Document]:
    """Return what makes the form that was asked for.

    Raises:
        NotAcceptable: metadata of a list was asked of one object, or the other way round.
        InvalidOption: `includeObject` is no word for what a row shows.
    """
    conversion = form.conversion
    if conversion == AS_IT_IS:
        return lambda whole: whole
    version = _META_VERSIONS[conversion.version]
    match conversion.as_:
        case "Table":
            include = call.parameters.get("includeObject") or "Metadata"
            for known in INCLUDED:
                if include == known:
                    return lambda whole: table(whole, version, include=known)
            detail = f"includeObject: Invalid value: {quoted(include)}: must be 'Metadata', 'Object', 'None', or empty"
            raise InvalidOption(f"Unable to convert to Table as requested: {detail}")
        case "PartialObjectMetadataList" if is_list:
            return lambda whole: partial_object_list(whole, version)
        case "PartialObjectMetadata" if not is_list:
            return lambda whole: partial_object(whole, version)
    what = "a list" if is_list else "not a list"
    message = f"you requested {conversion.as_}, but the requested object is {what}"
    raise NotAcceptable(message, available=MEDIA_TYPES)
