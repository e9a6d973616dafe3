"""The adapter, whole, behind a Prometheus that has one fault: what has nothing to do with the fault is served all the time."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from adapter.config.settings import parse_flags
from adapter.runtime.wiring import Runtime, open_runtime
from adapter.server.calls import read_call
from adapter.server.gateway import Gateway, Services

pytestmark = pytest.mark.anyio

RULES = """
defaults: {cacheTTL: 0s}
rules:
- seriesQuery: hits
  resources: {overrides: {namespace: {resource: namespace}, k8s.pod: {resource: pod}}}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
externalRules:
- seriesQuery: fast
  resources: {overrides: {namespace: {resource: namespace}}}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>})
- seriesQuery: ill
  resources: {overrides: {namespace: {resource: namespace}}}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>})
"""
METRICS = ("hits", "fast", "ill")
EXTERNAL = "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/"
NAMESPACES = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/metrics/hits"

Params = dict[str, list[str]]
# A fault takes a path and its parameters, and returns what is answered in place of a good answer: status and body.
Fault = Callable[[str, Params], "tuple[int, bytes] | None"]


def success(data: object) -> bytes:
    """Return a good answer."""
    return json.dumps({"status": "success", "data": data}).encode()


def refusal(kind: str, text: str) -> bytes:
    """Return an error of the API."""
    return json.dumps({"status": "error", "errorType": kind, "error": text}).encode()


def sane(path: str, params: Params) -> bytes:
    """Answer as a small server does that has one series of each metric."""
    selectors = params.get("match[]", [])
    named = [name for name in METRICS for one in selectors if one.startswith((name, "{__name__!="))]
    if path.endswith("/query"):
        at = float(params["time"][0])
        return success({"resultType": "vector", "result": [{"metric": {"namespace": "shop"}, "value": [at, "7"]}]})
    if path.endswith("/series"):
        return success([{"__name__": name, "namespace": "shop"} for name in named])
    return success({"version": "2.53.0"}) if path.endswith("/buildinfo") else success(named)


@dataclass(slots=True)
class Server:
    """A Prometheus on loopback, with a fault that a test chooses."""

    fault: Fault = lambda _path, _params: None
    queries: list[str] = field(default_factory=list)
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer request after request, until the connection ends."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                request = (await reader.readuntil(b"\r\n\r\n")).decode()
                parts = urlsplit(request.split(" ", 2)[1])
                params = parse_qs(parts.query)
                self.queries += params.get("query", [])
                status, body = self.fault(parts.path, params) or (200, sane(parts.path, params))
                head = f"HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
                writer.write(head.encode() + body)
                await writer.drain()
        writer.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """An adapter in front of such a server, asked without HTTP."""

    server: Server
    runtime: Runtime

    async def status(self, path: str) -> int:
        """Return the status of the answer to a path."""
        services = Services(
            provider=self.runtime.provider,
            health=self.runtime.health,
            render_metrics=lambda: b"",
            clock=self.runtime.clocks.monotonic,
            version="test",
        )
        scope = {"method": "GET", "path": "", "raw_path": path.encode(), "query_string": b"", "headers": ()}
        return (await Gateway(services).answer(read_call({**scope, "server": ("127.0.0.1", 6443)}))).status


@asynccontextmanager
async def open_adapter(folder: Path, fault: Fault) -> AsyncIterator[Adapter]:
    """Start a server with a fault and an adapter that has looked at its series once."""
    server = Server(fault=fault)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    rules = folder / "rules.yaml"
    rules.write_text(RULES, encoding="utf-8")
    settings = parse_flags([f"--config={rules}", f"--prometheus-url={server.url}"], {}).settings
    try:
        async with open_runtime(settings, environment={}, relisting=False) as runtime:
            await runtime.relist.relist()
            yield Adapter(server=server, runtime=runtime)
    finally:
        listener.close()


def in_discovery(answer: tuple[int, bytes]) -> Fault:
    """Give this answer to whatever discovery asks about the ill metric; the label endpoints do not work."""

    def fault(path: str, params: Params) -> tuple[int, bytes] | None:
        if path.endswith("/values"):
            return 405, b""
        return answer if path.endswith("/series") and "ill" in params["match[]"][0] else None

    return fault


def in_queries(answer: tuple[int, bytes]) -> Fault:
    """Give this answer to the query of the ill metric."""
    return lambda path, params: answer if path.endswith("/query") and "ill" in params["query"][0] else None


def rows(text: str) -> bytes:
    """Return a list of series with something odd in it."""
    return ('{"status":"success","data":[{"__name__":"ill","x":' + text + "}]}").encode()


def vector(count: int, at: str = "1", value: str = "1") -> bytes:
    """Return an instant vector of some samples."""
    sample = f'{{"metric":{{}},"value":[{at},"{value}"]}}'
    return f'{{"status":"success","data":{{"resultType":"vector","result":[{",".join([sample] * count)}]}}}}'.encode()


FAULTS = {
    "a number of 5000 digits in a series": in_discovery((200, rows("9" * 5000))),
    "an exponent without sense in a series": in_discovery((200, rows("1e99999999999999999999"))),
    "a nesting without an end in a series": in_discovery((200, rows("[" * 500_000))),
    "half a character in a series": in_discovery((200, rows('"\\ud800'))),
    "a refused series query": in_discovery((400, refusal("bad_data", "parse error"))),
    "a query that is given up": in_queries((503, refusal("timeout", "query timed out"))),
    "a million samples": in_queries((200, vector(300_000))),
    "a time beyond all years": in_queries((200, vector(1, at="1e300"))),
    "a number that only Python reads": in_queries((200, vector(1, value="1_000"))),
    "a nesting without an end": in_queries((200, b"[" * 500_000)),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_one_fault_is_one_metric_s(fault: Fault, tmp_path: Path) -> None:
    """The metric that has the fault is an error or absent, again and again; all others are served, in discovery too."""
    async with open_adapter(tmp_path, fault) as adapter:
        for _ in range(7):
            assert await adapter.status(EXTERNAL + "ill") in (404, 500)
            assert await adapter.status(EXTERNAL + "fast") == 200
            assert await adapter.status(NAMESPACES) == 200
        await adapter.runtime.relist.relist()

        assert "fast" in adapter.runtime.provider.catalog.external
        assert adapter.runtime.backend.state.breaker == "closed"


async def test_a_query_that_is_given_up_is_asked_seldom(tmp_path: Path) -> None:
    """A query that Prometheus gives up again and again is not asked for every caller."""
    async with open_adapter(tmp_path, in_queries((503, refusal("timeout", "query timed out")))) as adapter:
        ended = [await adapter.status(EXTERNAL + "ill") for _ in range(20)]

        assert set(ended) == {500}
        assert len([one for one in adapter.server.queries if "ill" in one]) == 3


async def test_a_label_that_an_old_server_cannot_read_hides_no_resource(tmp_path: Path) -> None:
    """A server before 3.0 refuses the question for a label with a dot, and the namespaces of the rule are served."""
    refuse = (400, refusal("bad_data", "invalid parameter"))

    async with open_adapter(tmp_path, lambda _, params: refuse if '"k8s.pod"' in str(params) else None) as adapter:
        listed = [f"{one.resource}/{one.metric}" for one in adapter.runtime.provider.catalog.custom]

        assert (listed, await adapter.status(NAMESPACES)) == (["namespaces/hits"], 200)
