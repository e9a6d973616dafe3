"""The running adapter while its objects file changes and while Prometheus does not answer what it is asked."""

from __future__ import annotations

import http.client
import json
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from rig.processes import Child, free_port, wait_until

RUN = [sys.executable, "-c", "from adapter.cli.main import run; run()"]
PATIENCE_SECONDS = 30.0
# Both give the metric `load`, so that the series endpoint says which of the two has samples.
RULES = """
rules:
- seriesQuery: 'load_old{pod!=""}'
  name: {as: load}
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
- seriesQuery: 'load_new{pod!=""}'
  name: {as: load}
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
"""
DEFINITION = """
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: queues.acme.com}
spec:
  group: acme.com
  scope: Namespaced
  names: {kind: Queue, plural: queues, singular: queue}
  versions: [{name: v1, served: true, storage: true}]
"""
PODS = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/load"


def manifests(count: int) -> str:
    """Return so many pods, a document each."""
    return "".join(
        f"---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: web-{number}\n  namespace: shop\n"
        for number in range(1, count + 1)
    )


@dataclass(slots=True)
class Prometheus:
    """Says of every pod what is asked; `closed` endpoints, told by the end of their paths, answer when they open."""

    closed: set[str] = field(default_factory=set)
    opened: threading.Event = field(default_factory=threading.Event)
    waiting: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    url: str = ""

    def answer(self, path: str, asked: dict[str, list[str]]) -> object:
        """Return the data of an answer, when its endpoint is open."""
        if any(path.endswith(end) for end in self.closed):
            self.waiting.release()
            self.opened.wait(PATIENCE_SECONDS)
        selectors = " ".join(asked.get("match[]", []))
        names = [name for name in ("load_old", "load_new") if name in selectors or '{__name__!=""' in selectors]
        if path.endswith("/values"):
            return names
        if path.endswith("/series"):
            return [{"__name__": name, "namespace": "shop", "pod": "web-1"} for name in names]
        if path.endswith("/query"):
            at = float(asked["time"][0])
            samples = [{"metric": {"pod": f"web-{number}"}, "value": [at, "2.5"]} for number in range(1, 10)]
            return {"resultType": "vector", "result": samples}
        return {"version": "2.53.0"}


@contextmanager
def listening(prometheus: Prometheus) -> Iterator[Prometheus]:
    """Serve a Prometheus until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer("")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])).decode())

        def _answer(self, form: str) -> None:
            url = urlsplit(self.path)
            data = prometheus.answer(url.path, parse_qs(f"{url.query}&{form}"))
            body = json.dumps({"status": "success", "data": data}).encode()
            self.send_response(http.HTTPStatus.OK)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Let clients leave."""

    with Server(("127.0.0.1", 0), Handler) as server:
        prometheus.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield prometheus
        finally:
            prometheus.opened.set()
            server.shutdown()
            thread.join()


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """The adapter's process."""

    port: int
    folder: Path

    @property
    def objects(self) -> Path:
        """The objects file."""
        return self.folder / "objects.yaml"

    def get(self, path: str) -> tuple[int, str]:
        """Return the status and the body of an answer."""
        context = ssl.create_default_context(cafile=str(self.folder / "certificates" / "apiserver.crt"))
        connection = http.client.HTTPSConnection("localhost", self.port, timeout=PATIENCE_SECONDS, context=context)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def pods(self) -> int | list[str]:
        """Return the pods that have the metric, or the status if there is no answer."""
        status, body = self.get(PODS)
        if status != http.HTTPStatus.OK:
            return status
        return [item["describedObject"]["name"] for item in json.loads(body)["items"]]

    def own_metric(self, series: str) -> float:
        """Return the value of one of the adapter's own metrics."""
        lines = self.get("/metrics")[1].splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(series)), 0.0)


@contextmanager
def adapter_on(prometheus: Prometheus, folder: Path, *flags: str) -> Iterator[Adapter]:
    """Run the adapter, with two pods, until the block ends."""
    (folder / "rules.yaml").write_text(RULES)
    (folder / "objects.yaml").write_text(manifests(2))
    adapter = Adapter(port=free_port(), folder=folder)
    named = {
        "--config": folder / "rules.yaml",
        "--objects-file": adapter.objects,
        "--prometheus-url": prometheus.url,
        "--bind-address": "127.0.0.1",
        "--secure-port": adapter.port,
        "--cert-dir": folder / "certificates",
        "--cache-ttl": "0s",
    }
    argv = [*RUN, *(f"{name}={value}" for name, value in named.items()), *flags]
    with Child("tidegauge", argv, log=folder / "log") as child:
        wait_until(
            "the adapter",
            lambda: child.check_alive() and adapter.get("/livez")[0] == http.HTTPStatus.OK,
            timeout_seconds=PATIENCE_SECONDS,
        )
        yield adapter


def settles(adapter: Adapter, expected: list[str]) -> set[str]:
    """Ask until the pods are as expected; return every other answer on the way."""
    others: set[str] = set()

    def settled() -> bool:
        found = adapter.pods()
        others.update([] if found == expected else [str(found)])
        return found == expected

    wait_until("the objects", settled, timeout_seconds=PATIENCE_SECONDS)
    return others


TWO, THREE = ["web-1", "web-2"], ["web-1", "web-2", "web-3"]


def test_new_kinds_and_objects_are_followed_while_prometheus_hangs(tmp_path: Path) -> None:
    """A definition that comes, while the series endpoint says nothing, delays no answer and loses none."""
    with listening(Prometheus()) as prometheus, adapter_on(prometheus, tmp_path) as adapter:
        assert settles(adapter, TWO) <= {"504", "500"}
        prometheus.closed = {"/series"}
        adapter.objects.write_text(manifests(3) + DEFINITION)

        assert settles(adapter, THREE) == {str(TWO)}
        assert prometheus.waiting.acquire(timeout=PATIENCE_SECONDS)
        assert adapter.pods() == THREE


HALVES = {
    "half a line": manifests(3)[: -len("mespace: shop\n")],
    "nothing": "",
    "no manifest": "# to be written\n",
    "no object of it": "apiVersion: v1\nkind: Pod\n",
}


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
def test_half_a_file_is_never_served(tmp_path: Path, half: str) -> None:
    """What looks half-written keeps the last good objects, is counted once and told, until a whole file comes."""
    with listening(Prometheus()) as prometheus, adapter_on(prometheus, tmp_path) as adapter:
        settles(adapter, TWO)
        adapter.objects.write_text(half)
        found: list[int | list[str]] = []

        def refused() -> bool:
            found.append(adapter.pods())
            return adapter.own_metric('tidegauge_objects_reloads_total{result="failed"}') == 1.0

        wait_until("the refusal", refused, timeout_seconds=PATIENCE_SECONDS)
        assert all(one == TWO for one in found)
        assert "problems: 1" in adapter.get("/healthz?verbose")[1]
        adapter.objects.write_text(manifests(3))
        assert settles(adapter, THREE) == {str(TWO)}


def test_before_the_first_answer_nothing_is_called_missing(tmp_path: Path) -> None:
    """While the first relist hangs a request waits, ends as a time-out and never as a 404, and is answered later."""
    prometheus = Prometheus(closed={"/values", "/series", "/query"})
    with listening(prometheus), adapter_on(prometheus, tmp_path, "--prometheus-timeout=20s") as adapter:
        assert prometheus.waiting.acquire(timeout=PATIENCE_SECONDS)

        assert adapter.pods() == http.HTTPStatus.GATEWAY_TIMEOUT

        prometheus.opened.set()
        assert settles(adapter, TWO) <= {"500", "504"}
