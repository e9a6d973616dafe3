"""Limits and failures of a real Prometheus: queries are divided until they pass, and last answers keep their time."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from rig.prometheus import PrometheusFiles, PrometheusProcess

from adapter.clients.prometheus import open_client
from adapter.config.settings import parse_flags
from adapter.errors import PrometheusUnavailable, QueryTooLarge
from adapter.kube.resources import GroupResource
from adapter.kube.selectors import EVERYTHING, parse_selector
from adapter.rules.requests import ByName, BySelector, CustomMetricRequest
from adapter.runtime.clock import Clocks
from adapter.runtime.wiring import Runtime, open_runtime

pytestmark = pytest.mark.anyio

NAMESPACES = 120
# Prometheus counts what a query reads and what it gives: of these series, thirty fit and sixty do not.
MAX_SAMPLES = "--query.max-samples=100"
RULES = """
rules:
- id: load
  seriesQuery: load{namespace!="",pod!=""}
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
"""
SERIES = [f'load{{namespace="ns{n}",pod="web"}} gauge {n}' for n in range(NAMESPACES)]
SERIES += [f'load{{namespace="crowd",pod="web-{n}"}} gauge {n}' for n in range(100)]
SERIES += [f'load{{namespace="heavy",pod="web",part="{n}"}} gauge 1' for n in range(100)]


@dataclass(slots=True)
class TurnedClock:
    """Real time, which a test may turn on."""

    ahead_seconds: float = 0.0

    def clocks(self) -> Clocks:
        """Return both clocks."""
        return Clocks(
            monotonic=lambda: time.monotonic() + self.ahead_seconds, wall=lambda: time.time() + self.ahead_seconds
        )


@dataclass(slots=True, kw_only=True)
class Adapter:
    """An adapter on a real Prometheus, asked as autoscalers ask."""

    runtime: Runtime
    clock: TurnedClock
    _before: dict[str, float] = field(default_factory=dict)

    async def ask(self, namespace: str, selector: str = "") -> dict[str, tuple[float, float]]:
        """Return value and evaluation time by pod: of all, or of the pod `web`."""
        request = CustomMetricRequest(
            metric="load",
            resource=GroupResource(resource="pods"),
            namespace=namespace,
            target=BySelector(selector=parse_selector(selector)) if selector else ByName(name="web"),
            metric_selector=EVERYTHING,
        )
        deadline = self.runtime.clocks.monotonic() + 9.0
        answer = await self.runtime.provider.custom_metric(request, deadline_seconds=deadline)
        return {one.name: (one.milli / 1000, one.timestamp_seconds) for one in answer.items}

    async def ask_all(self) -> None:
        """Ask for each namespace, one after the other, and assert that each has its own value."""
        for n in range(NAMESPACES):
            found = await self.ask(f"ns{n}")
            assert found["web"][0] == n

    def queries(self) -> dict[str, float]:
        """Return how many queries were sent since the last call, by outcome."""
        now = self._values("tidegauge_backend_requests_total", "outcome", path="/api/v1/query")
        before, self._before = self._before, now
        return {name: value - before.get(name, 0.0) for name, value in now.items() if value != before.get(name, 0.0)}

    def limits(self) -> dict[str, float]:
        """Return how many limits are known, by kind."""
        return self._values("tidegauge_query_limits", "kind")

    def _values(self, name: str, label: str, **labels: str) -> dict[str, float]:
        families = text_string_to_metric_families(self.runtime.telemetry.render().decode())
        return {
            sample.labels[label]: sample.value
            for family in families
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        }


def objects() -> str:
    """Return the manifests of all pods."""
    pods = [(f"ns{n}", "web") for n in range(NAMESPACES)] + [("crowd", f"web-{n}") for n in range(100)]
    pods.append(("heavy", "web"))
    lines = [
        f"- {{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: {namespace}, labels: {{app: web}}}}}}"
        for namespace, name in pods
    ]
    return "\n".join(["apiVersion: v1", "kind: List", "items:", *lines, ""])


@asynccontextmanager
async def adapter_on(
    url: str, folder: Path, *flags: str, transport: httpx.AsyncBaseTransport | None = None
) -> AsyncIterator[Adapter]:
    """Run an adapter without a server, whose clock the test can turn."""
    rules, manifests = folder / "rules.yaml", folder / "objects.yaml"
    rules.write_text(RULES)
    manifests.write_text(objects())
    argv = [f"--config={rules}", f"--objects-file={manifests}", f"--prometheus-url={url}", *flags]
    clock = TurnedClock()
    async with open_runtime(
        parse_flags(argv, {}).settings,
        environment={},
        clocks=clock.clocks(),
        relisting=False,
        open_client_with=partial(open_client, transport=transport),
    ) as runtime:
        await runtime.relist.relist()
        yield Adapter(runtime=runtime, clock=clock)


Start = Callable[..., PrometheusProcess]


@pytest.fixture
def start(prometheus_binaries: Path, tmp_path: Path) -> Start:
    """Start a Prometheus with the series and with flags of its own."""

    def started(*flags: str) -> PrometheusProcess:
        files = PrometheusFiles(binaries=prometheus_binaries, home=tmp_path / "prometheus")
        return PrometheusProcess.start(files, series=SERIES, flags=flags)

    return started


async def test_too_many_samples_are_asked_for_in_parts(start: Start, tmp_path: Path) -> None:
    """What --query.max-samples refuses is divided once, remembered, and nobody misses a value."""
    with start(MAX_SAMPLES) as process:
        async with adapter_on(process.url, tmp_path) as adapter:
            await adapter.ask_all()
            adapter.queries()

            adapter.clock.ahead_seconds += 15.0
            await adapter.ask_all()
            first = adapter.queries()
            adapter.clock.ahead_seconds += 15.0
            await adapter.ask_all()
            second = adapter.queries()

            assert first == {"rejected": 3, "ok": 4}  # without names, with them, and sixty of them; then thirty each
            assert second == {"ok": 4}
            assert adapter.limits() == {"data": 1}


async def test_one_list_that_is_too_much_is_divided(start: Start, tmp_path: Path) -> None:
    """A list of a hundred pods, of which Prometheus takes some thirty at a time, is answered whole."""
    with start(MAX_SAMPLES) as process:
        async with adapter_on(process.url, tmp_path) as adapter:
            found = await adapter.ask("crowd", "app=web")

            assert {name: value for name, (value, _) in found.items()} == {f"web-{n}": n for n in range(100)}
            assert len({at for _, at in found.values()}) == 1


async def test_what_one_object_has_too_much_of_is_its_error(start: Start, tmp_path: Path) -> None:
    """A pod whose series are too many by themselves fails, with words of ours, and costs the others nothing."""
    with start(MAX_SAMPLES) as process:
        async with adapter_on(process.url, tmp_path) as adapter:
            for _ in range(2):
                with pytest.raises(QueryTooLarge, match="beyond a limit of Prometheus") as caught:
                    await adapter.ask("heavy")
                assert "too many samples" in str(caught.value.__cause__)
                await adapter.ask_all()
                adapter.clock.ahead_seconds += 15.0


class ShortRequests(httpx.AsyncHTTPTransport):
    """A proxy before Prometheus that takes no long request."""

    def __init__(self, *, post: int, longest: int) -> None:
        super().__init__()
        self._post = post
        self._longest = longest

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        posted = request.method == "POST"
        if posted and self._post == httpx.codes.METHOD_NOT_ALLOWED:
            return httpx.Response(self._post, request=request)
        if len(request.url.raw_path) + len(await request.aread()) > self._longest:
            return httpx.Response(self._post if posted else httpx.codes.REQUEST_URI_TOO_LONG, request=request)
        return await super().handle_async_request(request)


PROXIES = [("a form is too long", "POST", 413), ("there is no POST", "GET", 405), ("a form is too long", "GET", 413)]


@pytest.mark.parametrize(("name", "verb", "post"), PROXIES)
async def test_what_a_proxy_calls_too_long_is_sent_in_shorter_queries(
    name: str, verb: str, post: int, start: Start, tmp_path: Path
) -> None:
    """A proxy's 413 and 414 are learned from, by either method; afterwards nothing is refused any more."""
    with start() as process:
        transport = ShortRequests(post=post, longest=900)
        async with adapter_on(process.url, tmp_path, f"--prometheus-verb={verb}", transport=transport) as adapter:
            await adapter.ask_all()
            adapter.clock.ahead_seconds += 15.0
            await adapter.ask_all()
            assert adapter.limits() == {"length": 1}
            adapter.queries()
            adapter.clock.ahead_seconds += 15.0
            await adapter.ask_all()

            found = adapter.queries()
            assert set(found) == {"ok"}
            assert found["ok"] <= 8


async def test_the_last_answer_outlives_prometheus_for_a_while(start: Start, tmp_path: Path) -> None:
    """With --stale-if-error a dead Prometheus is bridged, with the time of the last evaluation, and then an error."""
    with start() as process:
        async with adapter_on(process.url, tmp_path, "--stale-if-error=15s") as adapter:
            before = await adapter.ask("ns7")
            process.stop()
            adapter.clock.ahead_seconds += 15.0

            assert await adapter.ask("ns7") == before
            adapter.clock.ahead_seconds += 15.0
            with pytest.raises(PrometheusUnavailable):
                await adapter.ask("ns7")


async def test_replicas_ask_for_the_same_moment(start: Start, tmp_path: Path) -> None:
    """With --evaluation-grid values are those of a multiple of it, and say so; alone and in sweeps alike."""
    with start() as process:
        async with adapter_on(process.url, tmp_path, "--evaluation-grid=5s") as adapter:
            await adapter.ask_all()
            adapter.clock.ahead_seconds += 15.0
            times = [(await adapter.ask(f"ns{n}"))["web"][1] for n in range(NAMESPACES)]

            assert len(set(times)) == 1
            assert times[0] % 5 == 0
