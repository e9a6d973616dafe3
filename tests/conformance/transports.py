"""The two Prometheuses that a case is asked of, both at the seam of httpx: one made of the world's text, one real."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import httpx
import re2
from rig.prometheus import OLD_SECONDS, SPAN_SECONDS

from adapter.promql.ast import parse_series_selector
from adapter.promql.matchers import LabelMatcher, MatchOp
from conformance.corpus import NOW_SECONDS, Labelled, Reply, Step, World
from conformance.reading import labelled

QUERY_PATH = "/api/v1/query"


@dataclass(slots=True, kw_only=True)
class WrittenPrometheus:
    """Answers label endpoints from the world's series, and the one query that is expected from the case's samples."""

    world: World
    asked: list[str] = field(default_factory=list)
    expected: Step | None = None

    def expect(self, step: Step) -> None:
        """Forget what was asked, and wait for the query of a step."""
        self.asked.clear()
        self.expected = step

    def transport(self) -> httpx.AsyncBaseTransport:
        """Return the transport that ends here."""
        return httpx.MockTransport(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        parameters = _parameters(request)
        if request.url.path == QUERY_PATH:
            return self._query(parameters["query"][0], at_seconds=float(parameters["time"][0]))
        if request.url.path == "/api/v1/status/buildinfo":
            return _success({"version": "2.42.0"})
        found = list(self._found(parameters["match[]"]))
        match request.url.path:
            case "/api/v1/label/__name__/values":
                return _success(sorted({one.labels["__name__"] for one in found}))
            case "/api/v1/labels":
                return _success(sorted({name for one in found for name in one.labels}))
            case "/api/v1/series":
                start_seconds = float(parameters["start"][0])
                return _success([one.labels for one in found if one.end_seconds >= start_seconds])
        return httpx.Response(404)

    def _query(self, promql: str, *, at_seconds: float) -> httpx.Response:
        self.asked.append(promql)
        if self.expected is None or promql != self.expected.promql:
            return _refused("this query is not expected")
        reply = self.expected.reply
        return _refused(reply.refusal) if reply.refusal else _success(_data(reply, at_seconds))

    def _found(self, selectors: Iterable[str]) -> Iterator[_Series]:
        """Yield the series that a selector takes; the label endpoints list what is in reach, long ended or not."""
        wanted = [_tests(selector) for selector in selectors]
        for one in map(_series, self.world.series):
            if any(all(_holds(one.labels, test) for test in tests) for tests in wanted):
                yield one


@dataclass(slots=True, kw_only=True)
class RecordedPrometheus(httpx.AsyncBaseTransport):
    """Passes everything on to a real Prometheus and keeps the queries with their answers."""

    asked: list[str] = field(default_factory=list)
    replies: list[Any] = field(default_factory=list)
    network: httpx.AsyncHTTPTransport = field(default_factory=httpx.AsyncHTTPTransport)

    def forget(self) -> None:
        """Forget what was asked."""
        self.asked.clear()
        self.replies.clear()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass one request on."""
        response = await self.network.handle_async_request(request)
        if request.url.path != QUERY_PATH:
            return response
        body = await response.aread()
        self.asked.append(_parameters(request)["query"][0])
        self.replies.append(json.loads(body))
        return httpx.Response(response.status_code, headers={"content-type": "application/json"}, content=body)

    async def aclose(self) -> None:
        """Close the connections."""
        await self.network.aclose()


def reply_of(document: Mapping[str, Any]) -> Reply:
    """Return a Prometheus answer in the corpus' words."""
    if document["status"] == "error":
        return Reply(refusal=document["error"])
    match document["data"]:
        case {"resultType": "vector", "result": rows}:
            return Reply(vector=tuple(Labelled(labels=row["metric"], value=row["value"][1]) for row in rows))
        case {"resultType": "scalar", "result": (_, value)}:
            return Reply(scalar=value)
        case data:
            return Reply(data=json.dumps(data))


# ---- answers


def _success(data: object) -> httpx.Response:
    return httpx.Response(200, json={"status": "success", "data": data})


def _refused(error: str) -> httpx.Response:
    return httpx.Response(422, json={"status": "error", "errorType": "execution", "error": error})


def _data(reply: Reply, at_seconds: float) -> object:
    if reply.data:
        return json.loads(reply.data)
    if reply.scalar:
        return {"resultType": "scalar", "result": [at_seconds, reply.scalar]}
    rows = [{"metric": one.labels, "value": [at_seconds, one.value]} for one in reply.vector]
    return {"resultType": "vector", "result": rows}


def _parameters(request: httpx.Request) -> Mapping[str, Sequence[str]]:
    return parse_qs(request.url.query.decode() or request.content.decode(), keep_blank_values=True)


# ---- series and selectors


@dataclass(frozen=True, slots=True, kw_only=True)
class _Series:
    """A series of the world and when its last sample lies, in seconds since 1970."""

    labels: Mapping[str, str]
    end_seconds: float


def _series(line: str) -> _Series:
    text, shape, _ = line.rsplit(" ", 2)
    labels = labelled(f"{text} 0").labels or {}
    return _Series(labels=labels, end_seconds=NOW_SECONDS + (-OLD_SECONDS if shape == "old" else SPAN_SECONDS))


def _tests(selector: str) -> Sequence[LabelMatcher]:
    parsed = parse_series_selector(selector)
    assert parsed is not None, f"no selector: {selector}"
    name = [LabelMatcher(name="__name__", op=MatchOp.EQUAL, value=parsed.metric)] if parsed.metric else []
    return [*name, *parsed.matchers]


def _holds(labels: Mapping[str, str], test: LabelMatcher) -> bool:
    value = labels.get(test.name, "")
    if test.op in (MatchOp.EQUAL, MatchOp.NOT_EQUAL):
        return (value == test.value) is (test.op is MatchOp.EQUAL)
    return (re2.fullmatch(test.value, value) is not None) is (test.op is MatchOp.MATCHES)
