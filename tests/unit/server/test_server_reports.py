"""What the server tells about the requests it has answered."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import httpx
import pytest

from adapter.server.app import build_app
from adapter.server.gateway import Services

pytestmark = pytest.mark.anyio


@dataclass
class Seen:
    """Keeps what it is told."""

    requests: list[tuple[str, str, int, float]] = field(default_factory=list)

    def request_served(self, *, group: str, verb: str, code: int, seconds: float) -> None:
        self.requests.append((group, verb, code, seconds))


async def test_requests_to_the_apis_are_counted(services: Services) -> None:
    """Each request to an API group is told with its verb and status; probes and the list of groups are not."""
    seen = Seen()
    app = build_app(replace(services, observer=seen))
    paths = ["/apis/external.metrics.k8s.io/v1beta1/namespaces/ns/m", "/apis/other/v1/x", "/livez", "/apis"]

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://adapter") as client:
        for path in paths:
            await client.get(path)

    assert seen.requests == [("external.metrics.k8s.io", "list", 200, 0.0), ("other", "list", 404, 0.0)]
