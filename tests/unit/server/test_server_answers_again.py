"""An answer that is told again: the bytes are those of the form, the version and the path that are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import httpx
import pytest
from server_fakes import Ask, FakeProvider

from adapter.rules.answers import CustomAnswer, ExternalAnswer
from adapter.rules.requests import CustomMetricRequest, ExternalMetricRequest
from adapter.server.app import build_app
from adapter.server.gateway import Services

pytestmark = pytest.mark.anyio

CUSTOM = "/apis/custom.metrics.k8s.io/%s/namespaces/ns/pods/*/m"
PATHS = [CUSTOM % "v1beta1", CUSTOM % "v1beta2", "/apis/external.metrics.k8s.io/v1beta1/namespaces/ns/m"]
FORMS = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"]


@dataclass
class Repeating(FakeProvider):
    """Gives the same answer each time, as the adapter does while Prometheus' is kept."""

    custom: CustomAnswer | None = None
    external: ExternalAnswer | None = None

    async def custom_metric(self, request: CustomMetricRequest, *, deadline_seconds: float) -> CustomAnswer:
        self.custom = self.custom or await super().custom_metric(request, deadline_seconds=deadline_seconds)
        return self.custom

    async def external_metric(self, request: ExternalMetricRequest, *, deadline_seconds: float) -> ExternalAnswer:
        self.external = self.external or await super().external_metric(request, deadline_seconds=deadline_seconds)
        return self.external


async def test_an_answer_is_told_again_in_every_form(ask: Ask) -> None:
    """Whatever was asked for before, each form of each version has the bytes that it has when it is asked for first."""
    forms = [(path, accept, query) for path in PATHS for accept in FORMS for query in ("", "?pretty=1")]
    again = Repeating()
    for path, accept, query in forms * 3:
        kept = await ask(path + query, accept=accept, provider=again)
        fresh = await ask(path + query, accept=accept, provider=FakeProvider())

        assert (kept.status_code, kept.headers, kept.content) == (200, fresh.headers, fresh.content)


async def statuses(services: Services, queries: Sequence[str], paths: Sequence[str] = PATHS[1:2]) -> list[int]:
    """Ask one server for paths with each of the queries, in turn."""
    transport = httpx.ASGITransport(build_app(services))
    async with httpx.AsyncClient(transport=transport, base_url="https://adapter") as client:
        return [(await client.get(path + query)).status_code for query in queries for path in paths]


async def test_what_is_asked_next_is_read_anew(services: Services, provider: FakeProvider) -> None:
    """Paths and queries that differ in a letter are different requests, and the same is read the same again."""
    queries = ["", "?labelSelector=app%3Da", "?labelSelector=app%3Db", "?metricLabelSelector=app%3Da"]
    paths = [PATHS[1], PATHS[1].replace("/ns/", "/other/"), PATHS[2]]
    await statuses(services, queries * 2, paths)

    first, second = provider.asked[:12], provider.asked[12:]
    assert first == second
    assert len(set(first)) == 11  # an external metric has no metric selector beside its selector


@pytest.mark.parametrize("query", ["?labelSelector=%3D", "?metricLabelSelector=a%20in", "?limit=x"])
async def test_a_refusal_is_given_each_time(services: Services, provider: FakeProvider, query: str) -> None:
    """What cannot be read is refused however often it comes."""
    assert await statuses(services, [query] * 3) == [400] * 3
    assert provider.asked == []
