"""One request asked of the adapter as a client would ask it, with all that was decided on the way."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from adapter import __version__
from adapter.cli.session import Session
from adapter.errors import AdapterError
from adapter.kube.resource_documents import GROUP as RESOURCE_GROUP
from adapter.kube.resource_metrics import NodeUse, PodUse
from adapter.kube.selectors import Selector
from adapter.kube.table import table
from adapter.promql.model import Sample, Vector
from adapter.rules.answers import CustomAnswer, ExternalAnswer
from adapter.rules.catalog import Catalog
from adapter.rules.requests import CustomMetricRequest, ExternalMetricRequest, MetricRequest
from adapter.rules.trail import Step, Trail
from adapter.runtime.provider import Groups, Provider
from adapter.runtime.resource_provider import ResourceProvider
from adapter.server.calls import read_call
from adapter.server.gateway import Gateway, Services

# The codes below this one are answers, all others are errors.
_FIRST_ERROR = 400
# Which step comes after each that went well.
_AFTER = {"kind": "rule", "rule": "objects", "objects": "query", "query": "answer", "answer": "value"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request, what came back, and the trail; `request` and `answer` are None where it did not get that far."""

    path: str
    status: int
    document: Mapping[str, Any]
    text: str = ""  # the answer, where it is no document: probes answer plain text
    request: MetricRequest | None = None
    answer: CustomAnswer | ExternalAnswer | None = None
    error: AdapterError | None = None
    steps: tuple[Step, ...] = ()

    @property
    def is_use(self) -> bool:
        """Say whether it asks what pods or nodes use."""
        _, _, below = self.path.partition(f"/apis/{RESOURCE_GROUP}/")
        return bool(below.partition("/")[2])  # behind the version

    @property
    def use_table(self) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
        """Return headers and rows of what pods or nodes use, none where the answer has none."""
        if (
            self.failed
            or not self.is_use
            or not str(self.document.get("kind")).startswith(("PodMetrics", "NodeMetrics"))
        ):
            return (), ()
        found = table(self.document, "v1", include="None")
        headers = tuple(str(column["name"]).upper() for column in found["columnDefinitions"] or ())
        return headers, tuple(tuple(map(str, row["cells"])) for row in found["rows"] or ())

    @property
    def failed(self) -> bool:
        """Say whether the answer is an error."""
        return self.status >= _FIRST_ERROR

    @property
    def message(self) -> str:
        """Return the text of the error that a caller gets."""
        told = self.document.get("message")
        return str(told) if told is not None else "the server could not find the requested resource"

    @property
    def label(self) -> str:
        """Return the label through which samples name objects, empty if none was chosen."""
        return str(self.fact("label") or "")

    @property
    def samples(self) -> tuple[Sample, ...]:
        """Return the samples that Prometheus answered with, none if it was not asked or answered no vector."""
        result = self.fact("result")
        return result.samples if isinstance(result, Vector) else ()

    @property
    def missing_names(self) -> tuple[str, ...]:
        """Return the objects that were asked for and have no value."""
        items = self.answer.items if isinstance(self.answer, CustomAnswer) else ()
        answered = {item.name for item in items}
        return tuple(name for name in self.fact("names") or () if name not in answered)

    @property
    def failed_step(self) -> str:
        """Return the name of the step at which the request ended, empty if it did not fail."""
        if not self.failed:
            return ""
        if self.request is None or not self.steps:
            return "request"
        last = self.steps[-1]
        return _AFTER.get(last.name, last.name) if last.ok else last.name

    def step(self, name: str) -> Step | None:
        """Return the last step of this name."""
        return next((step for step in reversed(self.steps) if step.name == name), None)

    def fact(self, name: str) -> Any:
        """Return the fact of this name that was noted last, None if there is none."""
        return next((step.facts[name] for step in reversed(self.steps) if name in step.facts), None)


async def ask(path: str, session: Session) -> Asked:
    """Ask for a raw path through the server's own door, so that the answer is the one a client gets.

    What nobody expected is raised here, although the server makes an answer of it.
    """
    runtime = session.runtime
    recorder = _Recorder(provider=runtime.provider)
    services = Services(
        provider=recorder,
        health=runtime.health,
        render_metrics=lambda: b"",
        clock=runtime.clocks.monotonic,
        version=__version__,
        request_timeout_seconds=session.settings.request_timeout_seconds,
        wall_clock=runtime.clocks.wall,
        resources=_Resources(provider=runtime.resources, trail=recorder.trail),
    )
    answer = await Gateway(services).answer(read_call(_scope(path)))
    if recorder.fault is not None:
        raise recorder.fault
    document = _document(answer.body)
    return Asked(
        path=path,
        status=answer.status,
        document=document,
        text="" if document else answer.body.decode("utf-8", "replace"),
        request=recorder.request,
        answer=recorder.answer,
        error=recorder.error,
        steps=tuple(recorder.trail.steps),
    )


@dataclass(slots=True, kw_only=True)
class _Recorder:
    """Stands between the server and the provider and keeps what passes."""

    provider: Provider
    trail: Trail = field(default_factory=Trail)
    request: MetricRequest | None = None
    answer: CustomAnswer | ExternalAnswer | None = None
    error: AdapterError | None = None
    fault: Exception | None = None

    @property
    def catalog(self) -> Catalog:
        """Return the metrics there are."""
        return self.provider.catalog

    @property
    def groups(self) -> Groups:
        """Return which APIs are installed."""
        return self.provider.groups

    async def custom_metric(self, request: CustomMetricRequest, *, deadline_seconds: float) -> CustomAnswer:
        """Pass a request on."""
        self.request = request
        with self._keeping_errors():
            answer = await self.provider.custom_metric(request, deadline_seconds=deadline_seconds, trail=self.trail)
        self.answer = answer
        return answer

    async def external_metric(self, request: ExternalMetricRequest, *, deadline_seconds: float) -> ExternalAnswer:
        """Pass a request on."""
        self.request = request
        with self._keeping_errors():
            answer = await self.provider.external_metric(request, deadline_seconds=deadline_seconds, trail=self.trail)
        self.answer = answer
        return answer

    @contextmanager
    def _keeping_errors(self) -> Iterator[None]:
        try:
            yield
        except AdapterError as error:
            self.error = error
            raise
        except Exception as fault:
            self.fault = fault
            raise


@dataclass(frozen=True, slots=True, kw_only=True)
class _Resources:
    """Stands between the server and who knows what pods and nodes use, and keeps the trail."""

    provider: ResourceProvider
    trail: Trail

    async def pods(
        self, namespace: str, selector: Selector, *, name: str = "", deadline_seconds: float
    ) -> tuple[PodUse, ...]:
        """Pass a request on."""
        return await self.provider.pods(
            namespace, selector, name=name, deadline_seconds=deadline_seconds, trail=self.trail
        )

    async def nodes(self, selector: Selector, *, name: str = "", deadline_seconds: float) -> tuple[NodeUse, ...]:
        """Pass a request on."""
        return await self.provider.nodes(selector, name=name, deadline_seconds=deadline_seconds, trail=self.trail)

    async def knows_pod(self, namespace: str, name: str, *, deadline_seconds: float) -> bool:
        """Pass a request on."""
        return await self.provider.knows_pod(namespace, name, deadline_seconds=deadline_seconds)

    async def knows_node(self, name: str, *, deadline_seconds: float) -> bool:
        """Pass a request on."""
        return await self.provider.knows_node(name, deadline_seconds=deadline_seconds)


def _scope(path: str) -> dict[str, Any]:
    """Return what a server hands over for a GET of a raw path."""
    raw, _, query = path.encode("utf-8", "surrogateescape").partition(b"?")
    return {"method": "GET", "path": "", "raw_path": raw, "query_string": query, "headers": ()}


def _document(body: bytes) -> Mapping[str, Any]:
    """Return the document of an answer; probes answer plain text."""
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
