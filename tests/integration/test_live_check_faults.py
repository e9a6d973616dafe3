"""What `check` makes of servers that are slow, broken, strict or no Prometheus at all; and how it is let in."""

from __future__ import annotations

import base64
import contextlib
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from rig.certificates import Authority

from adapter.cli.live_checks import problems_on_server
from adapter.clients.inspection import open_checking_connection
from adapter.clients.options import PrometheusOptions
from adapter.config.load import load_rules
from adapter.errors import PrometheusUnavailable
from adapter.kube.resources import kubernetes_kinds
from adapter.rules.compile import Terms, compile_rules

if TYPE_CHECKING:
    from pathlib import Path

RULES = """
rules:
- seriesQuery: hits_total{namespace!="",pod!=""}
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: sum(rate(<<.Series>>{<<.LabelMatchers>>}[5m])) by (<<.GroupBy>>)
- seriesQuery: misses_total{namespace!="",pod!=""}
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: sum(rate(<<.Series>>{<<.LabelMatchers>>}[5m])) by (<<.GroupBy>>)
"""
LABELS = {"namespace": "shop", "pod": "web-1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer: sent at once, after a pause, a byte at a time, or not to its end."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    pause_seconds: float = 0.0
    drip_seconds: float = 0.0
    missing_bytes: int = 0


def good(data: object, **more: object) -> Reply:
    """Return what Prometheus answers."""
    return Reply(body=json.dumps({"status": "success", "data": data, **more}).encode())


def bad(status: int, kind: str, text: str) -> Reply:
    """Return an error as Prometheus words it."""
    return Reply(body=json.dumps({"status": "error", "errorType": kind, "error": text}).encode(), status=status)


def vector(value: str = "1", **labels: str) -> dict[str, Any]:
    """Return an instant vector of one sample."""
    return {"resultType": "vector", "result": [{"metric": {**LABELS, **labels}, "value": [1.0, value]}]}


def sane(path: str, query: dict[str, list[str]]) -> Reply:
    """Answer as a small healthy server would, in which each metric has one series, scraped every 15 s."""
    metric = query.get("match[]", [""])[0].partition("{")[0]
    asked = query.get("query", [""])[0]
    times = [[float(at), "1"] for at in range(0, 300, 15)]
    matrix = {"resultType": "matrix", "result": [{"metric": LABELS, "values": times}]}
    answers = {
        "status/buildinfo": {"version": "3.5.0"},
        "label/__name__/values": [metric] if metric else [],
        "series": [{"__name__": metric, **LABELS}],
        "metadata": {},
        "query": matrix if asked.endswith("[3600s]") else vector(),
    }
    _, _, endpoint = path.partition("/api/v1/")
    return good(answers[endpoint]) if endpoint in answers else bad(404, "not_found", "no such endpoint")


Answer = Callable[[str, dict[str, list[str]]], Reply]


@dataclass(slots=True, kw_only=True)
class Stub:
    """A server whose answers a test chooses; it keeps the requests."""

    answer: Answer = sane
    requests: list[tuple[str, dict[str, list[str]], dict[str, str]]] = field(default_factory=list)
    url: str = ""


class Handler(BaseHTTPRequestHandler):
    """Asks the stub, and sends what it says."""

    stub: Stub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer one request."""
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        self.stub.requests.append((parts.path, query, {name.lower(): value for name, value in self.headers.items()}))
        reply = self.stub.answer(parts.path, query)
        time.sleep(reply.pause_seconds)
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body) + reply.missing_bytes))
        self.end_headers()
        step = 1 if reply.drip_seconds else max(1, len(reply.body))
        for at in range(0, len(reply.body), step):
            self.wfile.write(reply.body[at : at + step])
            time.sleep(reply.drip_seconds)
        self.close_connection = bool(reply.missing_bytes)

    do_POST = do_GET  # noqa: N815 - the name that http.server looks for

    def log_message(self, *_: object) -> None:
        """Stay silent."""


class QuietServer(ThreadingHTTPServer):
    """A server whose clients may leave before they have their answer."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Stay silent."""


def serving(context: ssl.SSLContext | None = None) -> Iterator[Stub]:
    """Serve a stub for as long as somebody wants it."""
    stub = Stub()
    server = QuietServer(("127.0.0.1", 0), type("StubHandler", (Handler,), {"stub": stub}))
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    stub.url = f"http{'s' if context else ''}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01), daemon=True)
    thread.start()
    yield stub
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def stub() -> Iterator[Stub]:
    """A healthy server; change `answer` to make it ill."""
    yield from serving()


def codes(directory: Path, url: str, **options: Any) -> list[str]:
    """Return `code: message` of what is found with a server."""
    path = directory / "rules.yaml"
    path.write_text(RULES)
    loaded, kinds = load_rules([str(path)], {}), kubernetes_kinds()
    compiled = compile_rules(loaded, Terms(kinds=kinds))
    asked = PrometheusOptions(url=url, **{"timeout_seconds": 5.0, **options})
    connection = open_checking_connection(asked, clock=time.monotonic)
    try:
        found = problems_on_server(
            compiled.rulebook, loaded, connection, lambda _: None, kinds=kinds, at_seconds=1000.0, max_age_seconds=600
        )
    finally:
        connection.close()
    return [f"{one.code}: {one.message}" for one in found]


def only(endpoint: str, reply: Reply) -> Answer:
    """Answer one endpoint like this, and all others sanely."""
    return lambda path, query: reply if path.endswith(f"/api/v1/{endpoint}") else sane(path, query)


def always(reply: Reply) -> Answer:
    """Answer everything like this."""
    return lambda _path, _query: reply


HTML = Reply(body=b"<html>Hello</html>", headers={"Content-Type": "text/html"})
UNKNOWN = "live/unreachable: the answer is none that the API documents"
FAULTS = [
    ("a page for people", always(HTML), {}, ["live/unreachable: the answer is not JSON"]),
    ("JSON of another kind", always(Reply(body=b"[1]")), {}, [UNKNOWN]),
    ("deep nonsense", always(Reply(body=b"[" * 100_000)), {}, [UNKNOWN]),
    ("names that are numbers", only("label/__name__/values", good([1])), {}, [UNKNOWN]),
    ("no data", only("query", Reply(body=b'{"status":"success"}')), {}, [UNKNOWN]),
    ("data that is text", only("query", good("x")), {}, [UNKNOWN]),
    ("a sample without labels", only("query", good({"result": [{"value": [1, "2"]}]})), {}, [UNKNOWN]),
    ("a value that is no number", only("query", good(vector("many"))), {}, ["live/unreachable: Prometheus answered with a value that is no number"]),
    ("a value that only Python reads", only("query", good(vector("1_000"))), {}, ["live/unreachable: Prometheus answered with a value that is no number"]),
    ("a time beyond all years", only("query", good({"result": [{"metric": LABELS, "value": [1e300, "2"]}]})), {}, ["live/unreachable: Prometheus answered with a time that is not within the years 1 to 9999"]),
    ("types without a type", only("metadata", good({"a": [7]})), {}, [UNKNOWN]),
    ("broken", always(bad(500, "internal", "oh")), {}, ["live/unreachable: HTTP status 500: oh"]),
    ("locked", always(Reply(status=401)), {}, ["live/unreachable: the server asks for credentials (HTTP status 401)"]),
    ("elsewhere", always(Reply(status=302, headers={"Location": "http://127.0.0.1:9/"})), {}, ["live/unreachable: the server redirects (HTTP status 302), which is not followed"]),
    ("no such API", always(Reply(status=404)), {}, ["live/label-endpoints: the label endpoints take no selectors (HTTP status 404), so discovery reads whole series", "live/unreachable: this is no Prometheus API: HTTP status 404"]),
    ("silent", always(Reply(pause_seconds=1.0)), {"timeout_seconds": 0.1}, ["live/unreachable: no answer within 0.1 s"]),
    ("slow", always(Reply(body=b" " * 500, drip_seconds=0.01)), {"timeout_seconds": 0.2}, ["live/unreachable: no complete answer within 0.2 s"]),
    ("cut off", always(Reply(body=b"{", missing_bytes=5)), {}, ["live/unreachable: the connection failed (ChunkedEncodingError)"]),
    ("endless", always(Reply(body=b" " * 5000)), {"max_answer_bytes": 1000}, ["live/unreachable: the answer has more than 1000 bytes"]),
]  # fmt: skip


@pytest.mark.parametrize("row", FAULTS, ids=[row[0] for row in FAULTS])
def test_no_server_can_break_the_check(
    row: tuple[str, Answer, dict[str, Any], list[str]], stub: Stub, tmp_path: Path
) -> None:
    """Whatever a server does is a problem in our words, and never a traceback or an endless wait."""
    _, stub.answer, options, expected = row

    assert codes(tmp_path, stub.url, **options) == expected


DRIPS = {
    "in front of its head": b"",
    "in its head": b"HTTP/1.1 200 OK\r\nX-Endless: ",
    "between lines of its head": b"HTTP/1.1 200 OK\r\n",
    "in its body": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n",
    "in a body without an end": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n",
    "in a chunked body": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
}


@pytest.mark.parametrize("begin", DRIPS.values(), ids=DRIPS)
def test_a_server_that_drips_is_left_in_time(begin: bytes, tmp_path: Path) -> None:
    """A byte now and then, wherever in an answer, is no answer: one time limit counts for all of it."""
    over = threading.Event()

    class Drip(BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                self.request.recv(65_536)
                self.request.sendall(begin)
                while not over.wait(0.02):
                    self.request.sendall(b"1")

    found: list[str] = []
    with QuietServer(("127.0.0.1", 0), Drip) as server:  # type: ignore[arg-type]  # it takes any handler
        serve = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01), daemon=True)
        serve.start()
        url = f"http://127.0.0.1:{server.server_port}"
        asking = threading.Thread(target=lambda: found.extend(codes(tmp_path, url, timeout_seconds=0.1)), daemon=True)
        asking.start()
        asking.join(30)
        over.set()
        server.shutdown()

    assert [text.partition(": no ")[0] for text in found] == ["live/unreachable"]


def test_nobody_there(tmp_path: Path) -> None:
    """A closed port is one problem, and the address in it has no password."""
    assert codes(tmp_path, "http://user:secret@127.0.0.1:1") == ["live/unreachable: Connection refused"]


def test_one_question_without_an_answer_is_one_problem(stub: Stub, tmp_path: Path) -> None:
    """A time-out of one rule's query does not keep the other rules from being checked."""
    stub.answer = lambda path, query: (
        bad(503, "timeout", "query timed out") if "rate(hits" in str(query.get("query")) else sane(path, query)
    )

    assert codes(tmp_path, stub.url) == ["live/no-answer: query timed out"]


def test_after_a_few_failures_nothing_more_is_asked(stub: Stub, tmp_path: Path) -> None:
    """A server that fails again and again is left alone."""
    stub.answer = only("query", bad(503, "unavailable", "no"))

    found = codes(tmp_path, stub.url)

    assert found == ["live/no-answer: HTTP status 503: no"] * 2 + ["live/unreachable: HTTP status 503: no"]
    assert sum(path.endswith("/query") for path, _, _ in stub.requests) == 3


LABEL_ENDPOINTS = [
    ("match[] is not read", good(["hits_total", "misses_total"])),
    ("not offered", Reply(status=404)),
    ("not by GET", Reply(status=405)),
]


@pytest.mark.parametrize(("name", "reply"), LABEL_ENDPOINTS, ids=[name for name, _ in LABEL_ENDPOINTS])
def test_without_label_endpoints_series_are_read(name: str, reply: Reply, stub: Stub, tmp_path: Path) -> None:
    """A server without usable label endpoints is checked all the same, and it is said what that costs."""
    stub.answer = only("label/__name__/values", reply)

    (found,) = codes(tmp_path, stub.url)

    assert found.startswith("live/label-endpoints: ")


SAMPLES = [
    ("histogram", {"result": [{"metric": LABELS, "histogram": [1.0, {}]}]}, {}, "live/histogram"),
    ("warning", vector(), {"warnings": ["store down"]}, "live/partial-answer"),
]


@pytest.mark.parametrize("row", SAMPLES, ids=[row[0] for row in SAMPLES])
def test_answers_that_are_refused_when_serving(
    row: tuple[str, object, dict[str, Any], str], stub: Stub, tmp_path: Path
) -> None:
    """What a request would be refused for is found before somebody asks."""
    _, data, more, code = row
    stub.answer = lambda path, query: (
        good(data, **more) if "sum(rate(hits" in str(query.get("query")) else sane(path, query)
    )

    assert [one.partition(":")[0] for one in codes(tmp_path, stub.url)] == [code]


# ---- how it is let in


def test_the_session_says_who_we_are(stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Headers, parameters, path and password go with every request, and no password of ~/.netrc does."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    url = stub.url.replace("http://", "http://me:pass%20word@") + "/prom//?tenant=a"

    found = codes(tmp_path, url, headers=(("X-Scope-OrgID", "team"),), params=(("dedup", "true"),))

    assert found == []
    basic = "Basic " + base64.b64encode(b"me:pass word").decode()
    for path, query, headers in stub.requests:
        assert path.startswith("/prom/api/v1/")
        assert (query["tenant"], query["dedup"]) == (["a"], ["true"])
        assert (headers["authorization"], headers["x-scope-orgid"]) == (basic, "team")


ADDRESSES = [
    ("http://prom:9090", "http://prom:9090"),
    ("http://me:secret@prom:9090/", "http://prom:9090"),
    ("http://prom//a/../b/", "http://prom/b"),
    ("https://prom/mimir/prometheus/?token=secret", "https://prom/mimir/prometheus"),
]


@pytest.mark.parametrize(("given", "shown"), ADDRESSES)
def test_the_address_is_shown_without_its_secrets(given: str, shown: str) -> None:
    """What a problem names as the server is its address as it is asked, and nobody's password."""
    connection = open_checking_connection(PrometheusOptions(url=given), clock=time.monotonic)

    assert connection.server == shown
    connection.close()


def test_a_token_comes_from_its_file(stub: Stub, tmp_path: Path) -> None:
    """The bearer token is read from its file, without the newline that editors leave there."""
    (tmp_path / "token").write_text("abc\n")

    assert codes(tmp_path, stub.url, token_file=str(tmp_path / "token")) == []
    assert {headers["authorization"] for _, _, headers in stub.requests} == {"Bearer abc"}


def test_without_credentials_netrc_is_not_read(stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password that nobody gave to us is not sent."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))

    codes(tmp_path, stub.url)

    assert not any("authorization" in headers for _, _, headers in stub.requests)


def test_queries_are_sent_by_the_verb_that_was_chosen(stub: Stub, tmp_path: Path) -> None:
    """With the verb POST the queries work as with GET."""
    assert codes(tmp_path, stub.url, verb="POST") == []


@dataclass(frozen=True, slots=True, kw_only=True)
class Secured:
    """A stub that wants a client certificate, and the files to get in with."""

    stub: Stub
    authority: str
    certificate: str
    key: str


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[Secured]:
    """A server with a certificate of a private authority, which trusts nobody else."""
    authority = Authority("ours")
    files = {"ca.pem": authority.pem}
    for name in ("server", "client"):
        pair = authority.issue(name)
        files |= {f"{name}.pem": pair.certificate, f"{name}.key": pair.key}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    context.load_verify_locations(tmp_path / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    for stub in serving(context):
        yield Secured(
            stub=stub,
            authority=str(tmp_path / "ca.pem"),
            certificate=str(tmp_path / "client.pem"),
            key=str(tmp_path / "client.key"),
        )


def test_certificates_are_those_of_the_options(secured: Secured, tmp_path: Path) -> None:
    """The authority and the client certificate of the options open the door."""
    found = codes(
        tmp_path,
        secured.stub.url,
        ca_file=secured.authority,
        client_cert_file=secured.certificate,
        client_key_file=secured.key,
    )

    assert found == []


def test_other_authorities_are_not_trusted(secured: Secured, tmp_path: Path) -> None:
    """Without the authority's file the server is not trusted, and the message says why."""
    (found,) = codes(tmp_path, secured.stub.url)

    assert found.startswith("live/unreachable: certificate verify failed")
    assert not secured.stub.requests


def test_only_the_authority_that_was_named_is_trusted(
    secured: Secured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What else the machine trusts, through the variables that requests reads, does not count beside a CA file."""
    (tmp_path / "other.pem").write_bytes(Authority("other").pem)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", secured.authority)
    connection = open_checking_connection(
        PrometheusOptions(url=secured.stub.url, ca_file=str(tmp_path / "other.pem")), clock=time.monotonic
    )

    with pytest.raises(PrometheusUnavailable, match="certificate verify failed"):
        connection.version()
    connection.close()
