"""What every path answers that Kubernetes, its clients and probes know; as ASGI, and as a call without HTTP.

The paths of the metrics APIs are matched by hand on the percent-decoded path: a FastAPI route costs about three times
as much per request.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from starlette.types import Receive, Scope, Send

from adapter.errors import AdapterError, MethodNotAllowed, RouteNotFound, UpstreamError
from adapter.server.auth import attributes_of
from adapter.server.calls import Answer, Call, read_call, send_answer
from adapter.server.compression import compressed
from adapter.server.discovery import CUSTOM, EXTERNAL, RESOURCE, Discovery, Listed, check_version
from adapter.server.door import Access, AuditLines, Door
from adapter.server.list_options import deadline_seconds
from adapter.server.metric_apis import MetricApis, MetricProvider, has_custom_route, has_external_route
from adapter.server.negotiation import OF_DISCOVERY, OF_VALUES, OF_VERSION, check_producible, error_form, respond
from adapter.server.openapi import OpenApi
from adapter.server.operations import HealthChecks, Operations, Shutdown
from adapter.server.resource_apis import ResourceApis, ResourceProvider, target_of
from adapter.server.status import status_of

_log = logging.getLogger("adapter.server")

# Of a path in the log: the names of Kubernetes and of metrics are shorter, and what is longer is nobody's metric.
_LOGGED_CHARACTERS = 1024
_NO_PARAMETERS: Mapping[str, str] = MappingProxyType({})


class Provider(MetricProvider, Listed, Protocol):
    """Who knows the metrics and their values."""


class RequestObserver(Protocol):
    """What the server reports."""

    def request_served(self, *, group: str, verb: str, code: int, seconds: float) -> None:
        """Note a request to an API group, its verb as access reviews name it, its status, and how long it took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the server is handed."""

    provider: Provider
    health: HealthChecks
    render_metrics: Callable[[], bytes]  # our own metrics in Prometheus' text format
    clock: Callable[[], float]  # seconds; the one that deadlines are measured with
    version: str
    request_timeout_seconds: float = 9.0  # below the HPA's own: an HPA worker is one of five
    grace_seconds: float = 0.5  # how much later than its deadline an answer may come before it is given up
    shutdown: Shutdown = field(default_factory=Shutdown)
    new_audit_id: Callable[[], str] = lambda: str(uuid.uuid4())
    observer: RequestObserver | None = None
    access: Access | None = None  # none lets everybody in; the listener is on loopback then
    audit: AuditLines | None = None
    max_in_flight: int = 0  # requests at a time, 0 for any number
    wall_clock: Callable[[], float] = time.time  # seconds since 1970
    resources: ResourceProvider | None = None  # who answers metrics.k8s.io, where resource rules install it


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Who answers a path, told how many seconds it may take, and the media types that a refusal lists."""

    handler: Callable[[float], Awaitable[Answer]]
    produces: tuple[str, ...]


class Gateway:
    """Answers what no page of the FastAPI application answers."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._discovery = Discovery(services.provider)
        self._metrics = MetricApis(services.provider, clock=services.clock, grace_seconds=services.grace_seconds)
        self._resources: ResourceApis | None = None
        if services.resources is not None:
            self._resources = ResourceApis(
                services.resources,
                clock=services.clock,
                wall_clock=services.wall_clock,
                grace_seconds=services.grace_seconds,
            )
        self._operations = Operations(
            health=services.health,
            shutdown=services.shutdown,
            render_metrics=services.render_metrics,
            version=services.version,
            api_paths=self._paths,
        )
        self._door = Door(
            access=services.access,
            audit=services.audit,
            max_in_flight=services.max_in_flight,
            clock=services.clock,
            wall_clock=services.wall_clock,
        )
        self._openapi = OpenApi(self._discovery.versions, release=services.version)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - bodies are ignored
        """Answer one request; nothing is raised."""
        call = read_call(scope)
        begin = self._services.clock()
        audit_id = call.audit_id or self._services.new_audit_id()

        async def let_in() -> Answer:
            return await self._door.let_in(
                call,
                scope,
                audit_id=audit_id,
                seconds=self._seconds(call),
                answer=lambda seconds: self._answered(call, self._answer(call, seconds)),
            )

        answer = await compressed(await self._answered(call, let_in()), call)
        self._report(call, answer, self._services.clock() - begin)
        await send_answer(answer, audit_id=audit_id, send=send)

    def _report(self, call: Call, answer: Answer, seconds: float) -> None:
        if self._services.observer is not None and call.path.startswith("/apis/"):
            group = call.path.split("/", 3)[2]
            verb = attributes_of(call.method, call.path, _NO_PARAMETERS).verb
            self._services.observer.request_served(group=group, verb=verb, code=answer.status, seconds=seconds)

    async def answer(self, call: Call) -> Answer:
        """Return the answer to a call that came without HTTP, from somebody who need not be let in."""

        async def within() -> Answer:
            return await self._answer(call, self._seconds(call))

        return await self._answered(call, within())

    def _seconds(self, call: Call) -> float:
        return deadline_seconds(call.parameters, longest_seconds=self._services.request_timeout_seconds)

    async def _answered(self, call: Call, work: Awaitable[Answer]) -> Answer:
        """Return what work gives; every error becomes a Status here, and is logged if it is not the caller's."""
        try:
            return await work
        except AdapterError as error:
            if isinstance(error, UpstreamError):
                _log.warning("%s %r: %s", call.method, call.path[:_LOGGED_CHARACTERS], _causes(error))
            return _failed(error, call)
        except Exception as error:  # noqa: BLE001 - the boundary: a bug must not become a closed connection
            _log.exception("%s %r: unexpected error", call.method, call.path[:_LOGGED_CHARACTERS])
            return _failed(error, call)

    async def _answer(self, call: Call, seconds: float) -> Answer:
        """Answer in the order of the API servers: route, method, media types; the rest is the handler's."""
        route = self._route(call)
        if route is None:
            return self._openapi.answer(call) or self._operations.answer(call)
        if call.method != "GET":
            raise MethodNotAllowed
        check_producible(call.accept, route.produces)
        return await route.handler(seconds)

    def _paths(self) -> Sequence[str]:
        return [*self._discovery.paths(), *self._openapi.paths()]

    def _route(self, call: Call) -> Route | None:
        """Return who answers a path of an API, None if it is none; raises RouteNotFound below a group that is there."""
        path = call.path.rstrip("/")
        if not path.startswith("/apis/"):
            return self._web_service(path, call)
        _, _, group, *rest = path.split("/")
        if group not in self._discovery.installed():
            return None
        if not rest:
            return _from_memory(lambda: self._discovery.group(call, group))
        version, *parts = rest
        check_version(group, version)
        if not parts:
            return _from_memory(lambda: self._discovery.resource_list(call, group, version))
        return self._value_route(call, group, version, parts)

    def _value_route(self, call: Call, group: str, version: str, parts: Sequence[str]) -> Route:
        if group == RESOURCE:
            return self._resource_route(call, version, parts)
        if group == CUSTOM and has_custom_route(parts):
            return _of_values(lambda seconds: self._metrics.custom(call, version, parts, seconds))
        if group == EXTERNAL and has_external_route(parts):
            return _of_values(lambda seconds: self._metrics.external(call, parts, seconds))
        raise RouteNotFound

    def _resource_route(self, call: Call, version: str, parts: Sequence[str]) -> Route:
        target, resources = target_of(parts), self._resources
        if target is None or resources is None:
            raise RouteNotFound
        return Route(
            handler=lambda seconds: resources.answer(call, version, target, seconds),
            produces=OF_DISCOVERY if target.name else OF_VALUES,
        )

    def _web_service(self, path: str, call: Call) -> Route | None:
        if path == "/apis":
            return _from_memory(lambda: self._discovery.group_list(call))
        if path == "/version":
            return _from_memory(self._operations.version, produces=OF_VERSION)
        return None


def _from_memory(answer: Callable[[], Awaitable[Answer]], *, produces: tuple[str, ...] = OF_DISCOVERY) -> Route:
    return Route(handler=lambda _seconds: answer(), produces=produces)


def _of_values(handler: Callable[[float], Awaitable[Answer]]) -> Route:
    return Route(handler=handler, produces=OF_VALUES)


def _failed(error: Exception, call: Call) -> Answer:
    document = status_of(error)
    return respond(document, error_form(call), status=document["code"])


def _causes(error: BaseException) -> str:
    """Tell an error and what it came from, outermost first, on one line."""
    told: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        told.append(f"{type(cause).__name__}: {cause}")
        cause = cause.__cause__
    return " <- ".join(told).replace("\n", "\\n").replace("\r", "\\r")
