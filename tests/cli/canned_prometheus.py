"""A stand-in for Prometheus on loopback: it knows the series, and the answers of queries, that it is given."""

from __future__ import annotations

import json
import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar, Self
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import TracebackType

_SERIES = re.compile(r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)?(?:\{(?P<labels>.*)\})?(?:\s+(?P<value>\S+))?")
_PAIR = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)(=~|!~|!=|=)"((?:[^"\\]|\\.)*)"')
_TESTS: dict[str, Callable[[str, str], bool]] = {
    "=": lambda value, wanted: value == wanted,
    "!=": lambda value, wanted: value != wanted,
    "=~": lambda value, wanted: re.fullmatch(wanted, value) is not None,
    "!~": lambda value, wanted: re.fullmatch(wanted, value) is None,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Canned:
    """What the server knows: series by their labels (`__name__` among them), and what each query answers."""

    series: Sequence[Mapping[str, str]] = ()
    answers: Mapping[str, Sequence[tuple[Mapping[str, str], str]]] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)

    def matching(self, selectors: Iterable[str]) -> list[Mapping[str, str]]:
        """Return the series that any of the selectors takes."""
        tests = [_matchers(selector) for selector in selectors]
        return [one for one in self.series if any(_takes(matchers, one) for matchers in tests)]


def read_canned(text: str) -> Canned:
    """Read lines: `name{labels}` is a series, `? PROMQL` a query, `{labels} value` or `! error` its answer."""
    series: list[Mapping[str, str]] = []
    answers: dict[str, list[tuple[Mapping[str, str], str]]] = {}
    errors: dict[str, str] = {}
    query = ""
    for line in filter(None, map(str.strip, text.splitlines())):
        if line.startswith("? "):
            query = line.removeprefix("? ")
            answers[query] = []
        elif line.startswith("! "):
            errors[query] = line.removeprefix("! ")
        elif query:
            answers[query].append(_sample(line))
        else:
            series.append(_sample(f"{line} 1")[0])
    return Canned(series=series, answers=answers, errors=errors)


def _sample(line: str) -> tuple[Mapping[str, str], str]:
    match = _SERIES.fullmatch(line)
    if match is None or match["value"] is None:
        raise ValueError(f"no series: {line}")
    labels = {name: value for name, _, value in _PAIR.findall(match["labels"] or "")}
    return ({"__name__": match["name"], **labels} if match["name"] else labels), match["value"]


def _matchers(selector: str) -> list[tuple[str, str, str]]:
    match = _SERIES.fullmatch(selector)
    if match is None:
        raise ValueError(f"no selector: {selector}")
    name = [("__name__", "=", match["name"])] if match["name"] else []
    return [*name, *_PAIR.findall(match["labels"] or "")]


def _takes(matchers: Iterable[tuple[str, str, str]], labels: Mapping[str, str]) -> bool:
    return all(_TESTS[op](labels.get(name, ""), value) for name, op, value in matchers)


class CannedPrometheus:
    """The server; use it as a context manager, `url` is its address."""

    def __init__(self, canned: Canned) -> None:
        class Handler(_Handler):
            """Answers from what this server knows."""

        Handler.canned = canned
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    """Answers the five endpoints that the adapter asks."""

    canned: ClassVar[Canned] = Canned()
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer a GET."""
        parts = urlsplit(self.path)
        self._answer(parts.path, parse_qs(parts.query, keep_blank_values=True))

    def do_POST(self) -> None:
        """Answer a POST; parameters come in the body."""
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        self._answer(parts.path, parse_qs(body, keep_blank_values=True))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that the library has
        """Say nothing."""

    def _answer(self, path: str, parameters: Mapping[str, Sequence[str]]) -> None:
        series = self.canned.matching(parameters.get("match[]", ()))
        match path:
            case "/api/v1/label/__name__/values":
                self._write(data=sorted({one["__name__"] for one in series}))
            case "/api/v1/labels":
                self._write(data=sorted({name for one in series for name in one}))
            case "/api/v1/series":
                self._write(data=series)
            case "/api/v1/query":
                self._query(parameters["query"][0], float(parameters.get("time", [str(time.time())])[0]))
            case "/api/v1/status/buildinfo":
                self._write(data={"version": "3.5.0"})
            case _:
                self._write(status=404, errorType="not_found", error="no such endpoint")

    def _query(self, query: str, at_seconds: float) -> None:
        if query in self.canned.errors:
            self._write(status=422, errorType="execution", error=self.canned.errors[query])
        elif query in self.canned.answers:
            rows = self.canned.answers[query]
            result = [{"metric": labels, "value": [at_seconds, value]} for labels, value in rows]
            self._write(data={"resultType": "vector", "result": result})
        else:
            self._write(status=422, errorType="execution", error=f"not among the canned queries: {query}")

    def _write(self, *, status: int = 200, **document: Any) -> None:
        body = json.dumps({"status": "success" if status == 200 else "error", **document}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
