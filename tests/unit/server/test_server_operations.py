"""What probes, Prometheus and people are told about the adapter itself."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest
from server_fakes import Ask, Check, FakeHealth

from adapter.server.app import build_app
from adapter.server.gateway import Services

pytestmark = pytest.mark.anyio

TEXT = "text/plain; charset=utf-8"
PING = Check(name="ping")
RELIST = Check(name="relist")
DOWN = Check(name="prometheus", ok=False)
DOWN_WHY = Check(name="prometheus", ok=False, detail="breaker open")
DEGRADED = Check(name="relist", detail="1 of 12 selectors failed:\n[+]rules[3]")
NO_MATCH = "warn: some health checks cannot be excluded: no matches for"

PROBES = [
    ([PING, RELIST], "/livez", 200, "ok"),
    ([PING, RELIST], "/healthz?verbose=false", 200, "[+]ping ok\n[+]relist ok\nhealthz check passed\n"),
    ([PING, RELIST], "/livez?verbose", 200, "[+]ping ok\n[+]relist ok\nlivez check passed\n"),
    ([PING, RELIST], "/readyz", 200, "ok"),
    ([PING], "/readyz?verbose", 200, "[+]ping ok\n[+]shutdown ok\nreadyz check passed\n"),
    ([], "/livez", 200, "ok"),
    ([PING, DEGRADED], "/livez", 200, "ok"),
    (
        [DEGRADED],
        "/livez?verbose",
        200,
        "[+]relist ok: 1 of 12 selectors failed: [+]rules[3]\nlivez check passed\n",
    ),
    ([PING, DOWN], "/livez", 500, "[+]ping ok\n[-]prometheus failed: reason withheld\nlivez check failed\n"),
    ([DOWN_WHY, PING], "/livez", 500, "[-]prometheus failed: breaker open\n[+]ping ok\nlivez check failed\n"),
    ([PING, DOWN], "/livez?exclude=prometheus", 200, "ok"),
    (
        [DOWN, PING],
        "/livez?exclude=prometheus&verbose",
        200,
        "[+]prometheus excluded: ok\n[+]ping ok\nlivez check passed\n",
    ),
    (
        [PING, DOWN],
        "/livez?exclude=ping&exclude=nope&exclude=also",
        500,
        f'[+]ping excluded: ok\n[-]prometheus failed: reason withheld\n{NO_MATCH} "also", "nope"\nlivez check failed\n',
    ),
    ([PING], "/livez?exclude=nope&verbose", 200, f'[+]ping ok\n{NO_MATCH} "nope"\nlivez check passed\n'),
]


@pytest.mark.parametrize(("checks", "path", "code", "text"), PROBES)
async def test_probes(services: Services, checks: list[Check], path: str, code: int, text: str) -> None:
    """A probe is `ok`, or it has a line for each check in their order."""
    app = build_app(replace(services, health=FakeHealth(checks)))

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://test") as client:
        response = await client.get(path, headers={"accept": "application/yaml"})

    assert (response.status_code, response.text) == (code, text)
    assert response.headers["content-type"] == TEXT
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_single_checks(ask: Ask, health: FakeHealth) -> None:
    """A check can be asked for by name."""
    health.found = [PING, DOWN, Check(name="poststarthook/x")]

    ping, down, nested = (
        await ask("/livez/ping?verbose"),
        await ask("/livez/prometheus"),
        await ask("/livez/poststarthook/x"),
    )

    assert (ping.status_code, ping.text) == (200, "ok")
    assert "x-content-type-options" not in ping.headers
    assert (down.status_code, down.text) == (500, "internal server error: reason withheld\n")
    assert nested.text == "ok"


async def test_shutdown_fails_readiness_only(ask: Ask, services: Services) -> None:
    """From the order to stop on nobody should send new requests here, and nobody should restart us."""
    services.shutdown.begin()

    assert (await ask("/livez")).status_code == 200
    ready = await ask("/readyz")
    assert ready.status_code == 500
    assert ready.text == "[+]ping ok\n[+]relist ok\n[-]shutdown failed: reason withheld\nreadyz check failed\n"
    assert (await ask("/readyz/shutdown")).status_code == 500


async def test_metrics(ask: Ask) -> None:
    """Our own metrics are Prometheus' text format."""
    response = await ask("/metrics", accept="application/openmetrics-text")

    assert response.text == "# HELP tidegauge_up Whether it is up.\n"
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


async def test_failing_render_is_an_error_like_any_other(ask: Ask) -> None:
    """A bug in an operation is a Status, not a closed connection."""

    def fail() -> bytes:
        raise ZeroDivisionError

    response = await ask("/metrics", render_metrics=fail)

    assert (response.status_code, response.json()["reason"]) == (500, "InternalError")


@pytest.mark.parametrize("path", ["/version", "/version/"])
async def test_version(ask: Ask, path: str) -> None:
    """The version has the fields that clients of Kubernetes read, all of them texts, for people."""
    response = await ask(path)

    assert response.json()["gitVersion"] == "v0.1.0"
    assert {type(value) for value in response.json().values()} == {str}
    assert list(response.json())[:2] == ["major", "minor"]
    assert response.text.startswith('{\n  "major": "1",\n')
    assert response.text.endswith("\n}")


INDEX = """{
  "paths": [
    "/apis",
    "/apis/custom.metrics.k8s.io",
    "/apis/custom.metrics.k8s.io/v1beta1",
    "/apis/custom.metrics.k8s.io/v1beta2",
    "/apis/external.metrics.k8s.io",
    "/apis/external.metrics.k8s.io/v1beta1",
    "/healthz",
    "/healthz/ping",
    "/livez",
    "/livez/ping",
    "/metrics",
    "/openapi/v2",
    "/openapi/v3",
    "/openapi/v3/apis/custom.metrics.k8s.io/v1beta1",
    "/openapi/v3/apis/custom.metrics.k8s.io/v1beta2",
    "/openapi/v3/apis/external.metrics.k8s.io/v1beta1",
    "/readyz",
    "/readyz/ping",
    "/readyz/shutdown",
    "/version"
  ]
}"""


@pytest.mark.parametrize(("path", "code"), [("/", 200), ("/index.html", 200), ("/nothing", 404)])
async def test_index(ask: Ask, health: FakeHealth, path: str, code: int) -> None:
    """The index names every path that is answered."""
    health.found = [PING]

    response = await ask(path)

    assert (response.status_code, response.text) == (code, INDEX)
    assert response.headers["content-type"] == "application/json"
