"""What a path of metrics.k8s.io asks for, and the document that answers it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from adapter.errors import DeadlineExceeded, InvalidOption, InvalidPath, NotAcceptable, ObjectNotFound
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
from adapter.server.negotiation import AS_IT_IS, MEDIA_TYPES, Conversion, Form, negotiate, produce

_VERSIONS: Mapping[str, ResourceVersion] = {"v1beta1": "v1beta1", "v1": "v1"}
_META_VERSIONS: Mapping[str, MetaVersion] = {"v1": "v1", "v1beta1": "v1beta1"}
_CONVERSIONS = frozenset({"Table", "PartialObjectMetadata", "PartialObjectMetadataList"})
# Neither can be part of a name; U+FFFD stands for bytes that are no UTF-8.
_UNREADABLE = ("\x00", "\ufffd")

_Found = TypeVar("_Found")
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
        one = self._one if target.name else self._list
        document, items = await one(call, _VERSIONS[version], target, seconds)
        return await produce(document, form, items=items, convert=_converter(form, call, document))

    async def _one(self, _call: Call, version: ResourceVersion, target: Target, seconds: float) -> tuple[Document, int]:
        deadline = self._clock() + seconds
        if target.resource == "nodes":
            nodes = await self._within(
                seconds, self._provider.nodes(EVERYTHING, name=target.name, deadline_seconds=deadline)
            )
            if nodes:
                return node_metrics(version, nodes[0], now_seconds=self._wall_clock()), 1
            known = self._provider.knows_node(target.name, deadline_seconds=deadline)
            raise _missing(target, is_known=await self._within(seconds, known))
        pods = self._provider.pods(target.namespace, EVERYTHING, name=target.name, deadline_seconds=deadline)
        found = await self._within(seconds, pods)
        if found:
            return pod_metrics(version, found[0], now_seconds=self._wall_clock()), 1
        known = self._provider.knows_pod(target.namespace, target.name, deadline_seconds=deadline)
        raise _missing(target, is_known=await self._within(seconds, known))

    async def _list(self, call: Call, version: ResourceVersion, target: Target, seconds: float) -> tuple[Document, int]:
        options = read_list_options(call.parameters)
        check_listable(options, kind=target.resource, group=GROUP)
        fields = options.field_selector
        check_known_fields(fields)
        deadline = self._clock() + seconds
        name = fields.requires_exact("metadata.name") or ""
        if target.resource == "nodes":
            nodes = self._provider.nodes(options.label_selector, name=name, deadline_seconds=deadline)
            shown = _selected(await self._within(seconds, nodes), fields, lambda _use: "")
            return node_metrics_list(version, shown, now_seconds=self._wall_clock()), len(shown)
        pods = self._provider.pods(target.namespace, options.label_selector, name=name, deadline_seconds=deadline)
        found = _selected(await self._within(seconds, pods), fields, lambda use: use.namespace)
        return pod_metrics_list(version, found, now_seconds=self._wall_clock()), len(found)

    async def _within(self, seconds: float, work: Awaitable[_Found]) -> _Found:
        """Await work that has a deadline of its own, and leave it a little after that: nothing may hang."""
        try:
            async with asyncio.timeout(seconds + self._grace_seconds) as edge:
                return await work
        except TimeoutError as error:
            if edge.expired():
                raise DeadlineExceeded("nothing came back within the deadline") from error
            raise


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


def _converter(form: Form, call: Call, document: Document) -> Callable[[Document], Document]:
    """Return what makes the form that was asked for; raises what is wrong with it at once.

    Raises:
        NotAcceptable: metadata of a list was asked of one object, or the other way round.
        InvalidOption: `includeObject` is no word for what a row shows.
    """
    conversion = form.conversion
    if conversion == AS_IT_IS:
        return lambda whole: whole
    version = _META_VERSIONS[conversion.version]
    is_list = "items" in document
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
