"""The server over hand-written ports, driven as an ASGI application."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest
from server_fakes import AUDIT_ID, NOW, Ask, FakeHealth, FakeProvider

from adapter.server.app import build_app
from adapter.server.gateway import Services
from adapter.server.operations import Shutdown


@pytest.fixture
def provider() -> FakeProvider:
    """Return a provider that has not been asked anything."""
    return FakeProvider()


@pytest.fixture
def health() -> FakeHealth:
    """Return health that is good."""
    return FakeHealth()


@pytest.fixture
def services(provider: FakeProvider, health: FakeHealth) -> Services:
    """Return what the server is handed; the clock stands still."""
    return Services(
        provider=provider,
        health=health,
        render_metrics=lambda: b"# HELP tidegauge_up Whether it is up.\n",
        clock=lambda: NOW,
        version="0.1.0",
        shutdown=Shutdown(),
        new_audit_id=lambda: AUDIT_ID,
    )


@pytest.fixture
def ask(services: Services) -> Ask:
    """Return how to send a request: method, path and query as they go over the wire, headers, changed services."""

    async def send(path: str, method: str = "GET", /, **headers: str) -> httpx.Response:
        changes = {name: value for name, value in headers.items() if name in Services.__slots__}
        wire = {name.replace("_", "-"): value for name, value in headers.items() if name not in changes}
        app = build_app(replace(services, **changes) if changes else services)
        transport = httpx.ASGITransport(app, raise_app_exceptions=True)
        request = httpx.Request(method, f"https://test:6443{path}", headers=wire)
        response = await transport.handle_async_request(request)
        await response.aread()
        return response

    return send
