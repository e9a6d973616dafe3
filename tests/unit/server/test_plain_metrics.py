"""The adapter's own metrics over plain HTTP, and nothing else there."""

from __future__ import annotations

import socket

import httpx
import pytest

from adapter.config.problems import ConfigError
from adapter.server.plain_metrics import metrics_shown

pytestmark = pytest.mark.anyio

REQUESTS = [
    ("GET", "/metrics", 200, "up 1\n"),
    ("HEAD", "/metrics", 200, ""),
    ("POST", "/metrics", 405, "method not allowed\n"),
    ("GET", "/", 404, "only /metrics is here\n"),
    ("GET", "/apis/custom.metrics.k8s.io/v1beta2", 404, "only /metrics is here\n"),
]


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.mark.parametrize(("method", "path", "status", "text"), REQUESTS)
async def test_only_metrics_are_there(method: str, path: str, status: int, text: str) -> None:
    """Whoever can reach the address reads the metrics, as text for Prometheus, and no value of an API."""
    port = free_port()
    async with metrics_shown(("127.0.0.1", port), lambda: b"up 1\n"), httpx.AsyncClient() as client:
        answer = await client.request(method, f"http://127.0.0.1:{port}{path}")

    assert (answer.status_code, answer.text) == (status, text)
    assert status != httpx.codes.OK or answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


async def test_without_an_address_nothing_is_shown() -> None:
    """Nobody has to have a plain port."""
    async with metrics_shown(None, lambda: b""):
        pass


async def test_an_address_that_is_taken() -> None:
    """The start ends with the flag and the reason."""
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(ConfigError) as caught:
        async with metrics_shown(listener.getsockname()[:2], lambda: b""):
            pass

    assert caught.value.problems[0].location.file == "--metrics-bind-address"
