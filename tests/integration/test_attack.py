"""The whole process under attack: what callers send, what Prometheus says, what lies in files, and how it ends."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from rig.processes import Child, ChildEndedError, free_port, wait_until

RUN = [sys.executable, "-c", "from adapter.cli.main import run; run()"]
PATIENCE_SECONDS = 30.0
CALLERS = 40

RULES = """
rules:
- id: rps
  seriesQuery: http_requests_total{namespace!="",pod!=""}
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  name: {matches: "^(.*)_total$", as: "${1}_per_second"}
  metricsQuery: sum(rate(<<.Series>>{<<.LabelMatchers>>}[2m])) by (<<.GroupBy>>)
- id: ranged
  seriesQuery: ranged{namespace!="",pod!=""}
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: sum(<<.Series>>{<<range $k, $v := .LabelValuesByName>><<$k>>=~"<<$v>>",<<end>>}) by (pod)
externalRules:
- id: depth
  seriesQuery: queue_depth{namespace!=""}
  resources: {overrides: {namespace: {resource: namespace}}}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (queue)
"""
METRICS = ("http_requests_total", "ranged", "queue_depth")
CUSTOM = "/apis/custom.metrics.k8s.io/v1beta2"
EXTERNAL = "/apis/external.metrics.k8s.io/v1beta1"
PODS = f"{CUSTOM}/namespaces/shop/pods/*/http_requests_per_second?labelSelector=app%3Dweb"


def manifests(count: int) -> str:
    """Return so many pods with the label app=web."""
    rows = (
        f"{{apiVersion: v1, kind: Pod, metadata: {{name: web-{n}, namespace: shop, labels: {{app: web}}}}}}"
        for n in range(1, count + 1)
    )
    return "apiVersion: v1\nkind: List\nitems:\n" + "".join(f"- {row}\n" for row in rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a Prometheus says: bytes after a status, in a body that may be shorter than it is announced to be."""

    body: bytes
    status: int = 200
    kind: str = "application/json"
    missing: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Crooked:
    """A Prometheus on loopback that answers queries as it is told, and notes them; discovery always works."""

    says: Callable[[str, float], Said]
    queries: list[str] = field(default_factory=list)
    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    gate: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def answer(self, path: str, asked: Mapping[str, list[str]]) -> Said:
        """Return what one request gets."""
        if path != "/api/v1/query":
            selectors = asked.get("match[]", [])
            wanted = any(selector.startswith('{__name__!=""') for selector in selectors)
            names = [name for name in METRICS if wanted or any(one.startswith(name) for one in selectors)]
            return says(names if "/label/" in path else {"version": "2.53.0"})
        self.queries.append(asked["query"][0])
        self.arrived.release()
        self.gate.wait(PATIENCE_SECONDS)
        return self.says(asked["query"][0], float(asked["time"][0]))


def says(data: object) -> Said:
    """Return a good answer."""
    return Said(body=json.dumps({"status": "success", "data": data}).encode())


def honest(promql: str, at_seconds: float) -> Said:
    """Give each pod that is asked for the value 2.5."""
    found = re.search(r'pod=~?"([^"]*)"', promql)
    names = found[1].split("|") if found else []
    samples = [{"metric": {"pod": name}, "value": [at_seconds, "2.5"]} for name in names]
    return says({"resultType": "vector", "result": samples})


@contextmanager
def listening(prometheus: Crooked) -> Iterator[Crooked]:
    """Serve a Prometheus until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer("")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])).decode())

        def _answer(self, form: str) -> None:
            url = urlsplit(self.path)
            said = prometheus.answer(url.path, parse_qs(f"{url.query}&{form}"))
            self.send_response(said.status)
            announced = {"Content-Type": said.kind, "Content-Length": str(len(said.body) + said.missing)}
            for name, value in {**announced, **said.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said.body)
            self.close_connection = bool(said.missing)

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
        prometheus.gate.set()
        try:
            yield prometheus
        finally:
            prometheus.gate.set()
            server.shutdown()
            thread.join()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a caller got."""

    status: int
    body: bytes

    @property
    def names(self) -> list[str]:
        """The objects in the answer."""
        names: list[str] = [item["describedObject"]["name"] for item in json.loads(self.body)["items"]]
        return names


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """The adapter's process."""

    child: Child
    port: int
    folder: Path

    def connect(self) -> ssl.SSLSocket:
        """Open a connection."""
        context = ssl.create_default_context(cafile=str(self.folder / "certificates" / "apiserver.crt"))
        return context.wrap_socket(
            socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_SECONDS), server_hostname="localhost"
        )

    def get(self, path: str) -> Reply:
        """Ask, over a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        with self.connect() as connection.sock:
            connection.request("GET", path)
            response = connection.getresponse()
            return Reply(status=response.status, body=response.read())

    def own_metric(self, series: str) -> float:
        """Return the value of one of the adapter's own metrics."""
        lines = self.get("/metrics").body.decode().splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(series)), 0.0)

    @property
    def log(self) -> str:
        """All that it has written."""
        return self.child.log.read_text()


@contextmanager
def adapter_on(prometheus_url: str, folder: Path, *flags: str) -> Iterator[Running]:
    """Run the adapter until the block ends."""
    (folder / "rules.yaml").write_text(RULES)
    (folder / "objects.yaml").write_text(manifests(2))
    port = free_port()
    named = {
        "--config": folder / "rules.yaml",
        "--objects-file": folder / "objects.yaml",
        "--prometheus-url": prometheus_url,
        "--bind-address": "127.0.0.1",
        "--secure-port": port,
        "--cert-dir": folder / "certificates",
    }
    argv = [*RUN, *(f"{name}={value}" for name, value in named.items()), *flags]
    with Child("tidegauge", argv, log=folder / "log") as child:
        running = Running(child=child, port=port, folder=folder)
        wait_until(
            "the adapter",
            lambda: child.check_alive() and running.get("/readyz").status == http.HTTPStatus.OK,
            timeout_seconds=PATIENCE_SECONDS,
        )
        yield running


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """An adapter and the Prometheus behind it."""

    adapter: Running
    prometheus: Crooked


@pytest.fixture(scope="module")
def uncached(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Run one adapter for the tests that change nothing in it; it keeps no answers."""
    with listening(Crooked(honest)) as prometheus:
        folder = tmp_path_factory.mktemp("uncached")
        with adapter_on(prometheus.url, folder, "--cache-ttl=0s", "--prometheus-timeout=3s") as adapter:
            yield Scene(adapter=adapter, prometheus=prometheus)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """Run an adapter for one test."""
    with listening(Crooked(honest)) as prometheus, adapter_on(prometheus.url, tmp_path) as adapter:
        yield Scene(adapter=adapter, prometheus=prometheus)


# ---- what callers send

NASTY = [
    '"', "'", "`", "\\", "{", "}", '"} or vector(1) #', "\n", "\x00", "\x7f", "a b", "a,b", "x|y", ".*", "$(id)", "<<.Series>>",
    "é", "🙂", "\u202e", "\u2028", "\ufeff", "%", "#", "..", "-", "a" * 300, "a" * 3000,
]  # fmt: skip
# What a query is but for its strings; the values of a template's own strings hold no quotes, so those are strings too.
SKELETONS = {
    "sum(rate(http_requests_total{namespace=S,pod=S}[2m])) by (pod)",
    "sum(rate(http_requests_total{namespace=S}[2m])) by (namespace)",
    "sum(rate(http_requests_total{code=S,namespace=S,pod=S}[2m])) by (pod)",
    "sum(rate(http_requests_total{namespace=S,pod=~S}[2m])) by (pod)",
    "sum(ranged{namespace=~S,pod=~S,}) by (pod)",
    "sum(queue_depth{namespace=S}) by (queue)",
    "sum(queue_depth{code=S,namespace=S}) by (queue)",
    # a comma ends a requirement, so that another one begins
    "sum(rate(http_requests_total{b!=S,code=S,namespace=S,pod=S}[2m])) by (pod)",
    "sum(queue_depth{b!=S,code=S,namespace=S}) by (queue)",
}
STRING = re.compile(r'"(?:\\.|[^"\\])*"')


def paths_with(text: str) -> list[str]:
    """Return every place of a request where a caller's text can stand."""
    part = quote(text, safe="")
    return [
        f"{CUSTOM}/namespaces/{part}/pods/web-1/http_requests_per_second",
        f"{CUSTOM}/namespaces/shop/pods/{part}/http_requests_per_second",
        f"{CUSTOM}/namespaces/shop/pods/web-1/{part}",
        f"{CUSTOM}/namespaces/shop/{part}/web-1/http_requests_per_second",
        f"{CUSTOM}/namespaces/{part}/metrics/http_requests_per_second",
        f"{CUSTOM}/namespaces/shop/pods/*/http_requests_per_second?labelSelector=app%3D{part}",
        f"{CUSTOM}/namespaces/shop/pods/web-1/http_requests_per_second?metricLabelSelector=code%3D{part}",
        f"{CUSTOM}/namespaces/{part}/pods/web-1/ranged",
        f"{CUSTOM}/namespaces/shop/pods/{part}/ranged",
        f"{EXTERNAL}/namespaces/{part}/queue_depth",
        f"{EXTERNAL}/namespaces/shop/{part}",
        f"{EXTERNAL}/namespaces/shop/queue_depth?labelSelector=code%3D{part}",
        f"{EXTERNAL}/namespaces/shop/queue_depth?fieldSelector={part}&watch={part}&pretty={part}&{part}={part}",
        f"/{part}?exclude={part}",
    ]


@pytest.mark.parametrize("text", NASTY, ids=lambda text: ascii(text[:20]))
def test_callers_text_never_leaves_its_string(uncached: Scene, text: str) -> None:
    """Wherever a caller writes something odd, no answer is a 5xx, and queries have it inside of strings or not at all."""
    uncached.prometheus.queries.clear()

    statuses = [uncached.adapter.get(path).status for path in paths_with(text)]

    assert max(statuses) < http.HTTPStatus.INTERNAL_SERVER_ERROR
    assert {STRING.sub("S", promql) for promql in uncached.prometheus.queries} <= SKELETONS
    assert "Traceback" not in uncached.adapter.log


ABSURD = [
    f"{EXTERNAL}/namespaces/shop/queue_depth?labelSelector=" + ",".join(f"k{n}%3Dv{n}" for n in range(3000)),
    f"{EXTERNAL}/namespaces/shop/queue_depth?labelSelector=k+in+({','.join(f'v{n}' for n in range(6000))})",
    f"{EXTERNAL}/namespaces/shop/queue_depth?labelSelector={'(' * 30000}",
    f"{EXTERNAL}/namespaces/shop/queue_depth?fieldSelector={'%5C' * 20000}",
    f"{EXTERNAL}/namespaces/shop/queue_depth?timeout={'1h' * 30000}",
    f"{EXTERNAL}/namespaces/shop/queue_depth?limit={'9' * 60000}",
    f"{EXTERNAL}/namespaces/shop/queue_depth?{'a=b&' * 15000}",
    f"{CUSTOM}/{'a/' * 30000}",
    "/" * 60000,
]


@pytest.mark.parametrize("path", ABSURD, ids=lambda path: ascii(path[-12:]))
def test_absurd_requests_are_answered(uncached: Scene, path: str) -> None:
    """A request of 60 kB with nothing but one thing in it is answered, or refused as the caller's fault."""
    assert uncached.adapter.get(path).status < http.HTTPStatus.INTERNAL_SERVER_ERROR


# ---- what Prometheus says

PAGE = b"<html>Please log in</html>"
SECRET = b"do not tell"
GOOD = json.dumps({"status": "success", "data": {"resultType": "vector", "result": []}}).encode()
MISBEHAVIOURS = {
    "401": Said(body=b"{}", status=401),
    "404": Said(body=b"{}", status=404),
    "414": Said(body=b"", status=414),
    "429": Said(body=b"", status=429, headers={"Retry-After": "60"}),
    "500": Said(body=PAGE, status=500, kind="text/html"),
    "redirect": Said(body=b"", status=302, headers={"Location": "http://127.0.0.1:1/"}),
    "rejected": Said(body=b'{"status":"error","errorType":"bad_data","error":"%s"}' % SECRET, status=400),
    "overloaded": Said(body=b'{"status":"error","errorType":"timeout","error":"%s"}' % SECRET, status=503),
    "page": Said(body=PAGE, kind="text/html"),
    "page called JSON": Said(body=PAGE),
    "wrong type": Said(body=GOOD, kind="application/octet-stream"),
    "cut off": Said(body=GOOD[:-5], missing=5),
    "JSON cut off": Said(body=GOOD[:-5]),
    "empty": Said(body=b""),
    "deep": Said(body=b"[" * 100_000),
    "too large": Said(body=b"", missing=200_000_000),
    "no result": Said(body=b'{"status":"success"}'),
    "matrix": says({"resultType": "matrix", "result": []}),
    "partial": Said(body=GOOD[:-1] + b',"warnings":["%s"]}' % SECRET),
    "no number": says({"resultType": "vector", "result": [{"metric": {"pod": "web-1"}, "value": [1, "x"]}]}),
}


@pytest.fixture
def healed(uncached: Scene) -> Iterator[Scene]:
    """Return the scene, and mend its Prometheus afterwards."""
    yield uncached
    uncached.prometheus.says = honest
    uncached.prometheus.gate.set()


@pytest.mark.parametrize("name", MISBEHAVIOURS)
def test_misbehaving_prometheus_is_an_error_until_it_behaves(healed: Scene, name: str) -> None:
    """Whatever Prometheus says instead of an answer is a 500 in our own words, and its next good answer is served."""
    healed.prometheus.says = lambda *_: MISBEHAVIOURS[name]

    failed = healed.adapter.get(PODS)
    healed.prometheus.says = honest
    mended = healed.adapter.get(PODS)

    assert failed.status == http.HTTPStatus.INTERNAL_SERVER_ERROR
    assert b"unable to fetch metrics" in failed.body
    assert SECRET not in failed.body
    assert (mended.status, mended.names) == (http.HTTPStatus.OK, ["web-1", "web-2"])
    assert "Traceback" not in healed.adapter.log


def test_hanging_prometheus_holds_up_its_own_callers_only(healed: Scene) -> None:
    """While a query hangs, discovery and health are answered, and its caller gets an error in the end."""
    healed.prometheus.gate.clear()
    with ThreadPoolExecutor() as pool:
        held_up = pool.submit(healed.adapter.get, PODS)
        wait_for_queries(healed, 1)

        others = [healed.adapter.get(path).status for path in (CUSTOM, EXTERNAL, "/livez", "/readyz")]

        assert not held_up.done()
        assert others == [http.HTTPStatus.OK] * 4
        assert held_up.result().status == http.HTTPStatus.INTERNAL_SERVER_ERROR


# ---- what lies in files

BAD_FILES: Mapping[str, bytes] = {
    "bomb": b'a: &a ["x","x","x","x","x","x","x","x","x"]\n'
    + b"".join(b"%c: &%c [%s]\n" % (n, n, b",".join([b"*%c" % (n - 1)] * 9)) for n in range(ord("b"), ord("j"))),
    "deep": b"rules: " + b"[" * 100_000,
    "binary": bytes(range(256)) * 100,
    "large": b"#" * 10_000_000,
    "duplicate": b"rules: []\nrules: []\n",
    "unknown": b"rulez: []\n",
    "object": b'rules: !!python/object/apply:os.system ["true"]\n',
    "anchor": b"rules: &a [*a]\n",
    "regex": b'rules: [{seriesQuery: x, seriesFilters: [{is: "(?=x)"}]}]\n',
    "template": b'rules: [{seriesQuery: x, metricsQuery: "<<range>>"}]\n',
}


def test_every_bad_file_is_named_at_once(tmp_path: Path) -> None:
    """Files that no parser likes, given together, each have their problem; nothing is a traceback, and the code is 2."""
    for name, content in BAD_FILES.items():
        (tmp_path / f"{name}.yaml").write_bytes(content)

    done = command(tmp_path, "check", "--format=json", ".")

    found = {Path(problem["file"]).stem for problem in problems_of(done.stdout) if problem["severity"] == "error"}
    assert done.returncode == 2
    assert found == set(BAD_FILES)
    assert done.stderr == ""


def problems_of(text: str) -> list[dict[str, Any]]:
    """Return the problems of a report for programs."""
    problems: list[dict[str, Any]] = json.loads(text)["problems"]
    return problems


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command line to its end."""
    return subprocess.run(
        [*RUN, *words], cwd=folder, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS
    )


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "localhost", "example.com", "::ffff:127.0.0.1"])  # noqa: S104 - what must be refused
def test_addresses_that_others_reach_are_refused(tmp_path: Path, address: str) -> None:
    """As long as there is no cluster to check callers with, nothing but an address of the loopback interface is bound."""
    (tmp_path / "rules.yaml").write_text(RULES)

    done = command(tmp_path, "--config=rules.yaml", f"--bind-address={address}", f"--secure-port={free_port()}")

    assert done.returncode == 2
    assert "--bind-address" in done.stderr
    assert "Traceback" not in done.stderr


def test_broken_objects_file_keeps_the_last_good_objects(scene: Scene) -> None:
    """An objects file that cannot be read takes no object away, and one that can is followed again."""
    file = scene.adapter.folder / "objects.yaml"
    before = scene.adapter.get(PODS).names
    file.write_text("[" * 100_000)
    wait_until("the file to be read", lambda: reads(scene, "failed"), timeout_seconds=PATIENCE_SECONDS)

    during = scene.adapter.get(PODS).names
    file.write_text(manifests(1))
    wait_until("the file to be read", lambda: reads(scene, "ok") > 1, timeout_seconds=PATIENCE_SECONDS)

    assert (before, during) == (["web-1", "web-2"], ["web-1", "web-2"])
    assert scene.adapter.get(PODS).names == ["web-1"]


def reads(scene: Scene, result: str) -> float:
    """Make the adapter look at its objects, and return how often a reading of them ended so."""
    scene.adapter.get(PODS)
    return scene.adapter.own_metric(f'tidegauge_objects_reloads_total{{result="{result}"}}')


# ---- many callers, and the end


def wait_for_queries(scene: Scene, count: int) -> None:
    """Return when so many queries have come to Prometheus."""
    for _ in range(count):
        assert scene.prometheus.arrived.acquire(timeout=PATIENCE_SECONDS)


def started(pool: ThreadPoolExecutor, scene: Scene) -> list[Future[Reply]]:
    """Let many callers ask the same, and return once all but the first wait for the first one's query."""
    calls = [pool.submit(scene.adapter.get, PODS) for _ in range(CALLERS)]
    wait_for_queries(scene, 1)
    joined = 'tidegauge_cache_requests_total{result="joined"}'
    wait_until("all callers", lambda: scene.adapter.own_metric(joined) == CALLERS - 1, timeout_seconds=PATIENCE_SECONDS)
    return calls


def test_callers_of_the_same_share_one_query(scene: Scene) -> None:
    """Many callers that ask the same at the same time cost Prometheus one query, and all get its answer."""
    scene.prometheus.gate.clear()
    with ThreadPoolExecutor(CALLERS) as pool:
        calls = started(pool, scene)
        scene.prometheus.gate.set()

        assert {(call.result().status, *call.result().names) for call in calls} == {(200, "web-1", "web-2")}
    assert len(scene.prometheus.queries) == 1


def test_callers_that_leave_take_nothing_with_them(scene: Scene) -> None:
    """The query of a caller that breaks its connection off is finished, and serves the next one."""
    scene.prometheus.gate.clear()
    with scene.adapter.connect() as connection:
        connection.sendall(f"GET {PODS} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        wait_for_queries(scene, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, no goodbye
    scene.prometheus.gate.set()

    assert scene.adapter.get(PODS).names == ["web-1", "web-2"]
    assert len(scene.prometheus.queries) == 1
    assert "Traceback" not in scene.adapter.log


def test_sigterm_under_load_loses_no_answer(scene: Scene) -> None:
    """Requests under way when the process is told to stop get their answers, and it ends with 0."""
    scene.prometheus.gate.clear()
    with ThreadPoolExecutor(CALLERS) as pool:
        calls = started(pool, scene)
        os.kill(scene.adapter.child.pid, signal.SIGTERM)
        wait_until("the signal", lambda: "told to stop" in scene.adapter.log, timeout_seconds=PATIENCE_SECONDS)
        scene.prometheus.gate.set()

        assert {call.result().status for call in calls} == {200}
    assert exit_code(scene.adapter.child) == 0
    assert "Traceback" not in scene.adapter.log


def exit_code(child: Child) -> int:
    """Wait for the end of a process that was told to stop; a second signal would cut it short."""
    with pytest.raises(ChildEndedError):
        wait_until("the end", lambda: not child.check_alive(), timeout_seconds=PATIENCE_SECONDS)
    return child.stop()


# ---- secrets

SECRETS = ("user-secret", "header-secret", "query-secret", "proxy-secret")


def test_secrets_are_nowhere_to_be_read(tmp_path: Path) -> None:
    """Password, header and query of Prometheus' address are in no log line, own metric or answer, whatever goes wrong."""
    with listening(Crooked(honest)) as prometheus:
        url = prometheus.url.replace("//", "//somebody:user-secret@") + "/?token=query-secret"
        flags = ("-v=10", "--cache-ttl=0s", "--prometheus-header=X-Key=header-secret")
        with adapter_on(url, tmp_path, *flags) as adapter:
            told = []
            for said in MISBEHAVIOURS.values():
                prometheus.says = lambda *_, said=said: said
                told += [adapter.get(PODS).body, adapter.get(f"{EXTERNAL}/namespaces/shop/queue_depth").body]
            pages = ("/metrics", "/readyz?verbose", "/healthz?verbose", "/livez?verbose", "/", "/version", CUSTOM)
            told += [adapter.get(page).body for page in pages]
            told.append(adapter.log.encode())

    assert [secret for secret in SECRETS if any(secret.encode() in text for text in told)] == []
