"""A Prometheus without a network, and an observer that remembers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

import httpx

from adapter.clients.prometheus import PrometheusClient, open_client
from adapter.clients.transport import PrometheusOptions

Handler = Callable[[httpx.Request], httpx.Response]

VECTOR = {"status": "success", "data": {"resultType": "vector", "result": []}}
NAMES = {"status": "success", "data": ["a", "b"]}


@dataclass(slots=True)
class Reports:
    """What the transport reported."""

    requests: list[Mapping[str, object]] = field(default_factory=list)

    def request_done(self, **report: object) -> None:
        """Remember a request."""
        self.requests.append(report)

    @property
    def outcomes(self) -> list[object]:
        """Return the outcomes in order."""
        return [report["outcome"] for report in self.requests]


@dataclass(slots=True)
class FakePrometheus:
    """Answers by `handler` and keeps the requests."""

    handler: Handler
    requests: list[httpx.Request] = field(default_factory=list)
    reports: Reports = field(default_factory=Reports)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.handler(request)

    def client(self, **options: object) -> PrometheusClient:
        """Return a client whose transport ends here."""
        asked = PrometheusOptions(**{"url": "http://prom:9090", **options})  # type: ignore[arg-type]  # a table's columns
        transport = httpx.MockTransport(self)
        return open_client(asked, observer=self.reports, clock=lambda: 0.0, transport=transport)

    @property
    def methods(self) -> list[str]:
        """Return the methods in order."""
        return [request.method for request in self.requests]


def answer(document: object, status: int = 200, **headers: str) -> httpx.Response:
    """Return a JSON answer that is streamed, as from a network."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, stream=httpx.ByteStream(body), headers={"content-type": "application/json", **named})


def always(document: object, status: int = 200, **headers: str) -> FakePrometheus:
    """Return a Prometheus that has one answer."""
    return FakePrometheus(lambda _: answer(document, status, **headers))


def in_turn(*responses: httpx.Response | Exception) -> FakePrometheus:
    """Return a Prometheus with a list of answers, each given once."""
    left = list(responses)

    def handler(_: httpx.Request) -> httpx.Response:
        response = left.pop(0)
        if isinstance(response, Exception):
            raise response
        return response

    return FakePrometheus(handler)


def form(request: httpx.Request) -> dict[str, str]:
    """Return the parameters of a request's body."""
    return dict(parse_qsl(request.content.decode()))
