"""What the client makes of bad answers, and that no error, report or log line holds a secret."""

from __future__ import annotations

import asyncio
import gzip
import logging
from typing import TYPE_CHECKING

import httpx
import pytest
from rig.fake_prometheus import VECTOR, FakePrometheus, always, answer

from adapter.clients.prometheus import EndpointUnsupported
from adapter.errors import PrometheusUnavailable, QueryRejected

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from adapter.clients.prometheus import PrometheusClient

pytestmark = pytest.mark.anyio

ERROR = {"status": "error", "errorType": "bad_data", "error": "unexpected end"}
SLOW = {"status": "error", "errorType": "timeout", "error": "query timed out"}
STARTING = {"status": "error", "errorType": "unavailable", "error": "TSDB not ready"}

# status, body, headers, kind, text
UNAVAILABLE = [
    (401, {}, {}, "unauthorized", "unknown response code 401: Prometheus refuses our credentials"),
    (403, {}, {}, "unauthorized", "unknown response code 403"),
    (404, {}, {}, "status", "bad_response: unknown response code 404"),
    (413, {}, {}, "too_long", "bad_response: unknown response code 413: the request is too long"),
    (414, {}, {}, "too_long", "bad_response: unknown response code 414: the request is too long"),
    (431, {}, {}, "too_long", "bad_response: unknown response code 431: the request is too long"),
    (429, {}, {}, "status", "bad_response: unknown response code 429"),
    (500, ERROR, {}, "status", "bad_response: unknown response code 500"),
    (502, b"<html>", {}, "status", "bad_response: unknown response code 502"),
    (302, b"", {"location": "https://sso/login?token=s3cret"}, "redirect", "redirects to https://sso/login, use"),
    (302, b"", {"location": "/login"}, "redirect", "redirects to http://prom:9090/login, use"),
    (307, b"", {"location": "http://u:s3cret@[bad"}, "redirect", "redirects to an address that cannot be read"),
    (503, SLOW, {}, "query_timeout", "query timed out"),
    (503, STARTING, {}, "unavailable", "TSDB not ready"),
    (503, b"<html>", {"content_type": "text/html"}, "bad_answer", "text/html instead of JSON, status 503"),
    (200, b"<html>", {"content_type": "text/html; charset=utf-8"}, "bad_answer", "text/html instead of JSON"),
    (200, VECTOR, {"content_type": "application/x-protobuf"}, "bad_answer", "application/x-protobuf"),
    (200, b"<html>", {}, "bad_answer", "web page"),
    (200, b"", {}, "bad_answer", "not JSON"),
    (200, b'{"status":"success","data":{"resul', {}, "bad_answer", "not JSON"),
    (200, b"[]", {}, "bad_answer", "no object"),
    (200, VECTOR, {"content_encoding": "br"}, "bad_answer", "content encoding br"),
    (200, b"no gzip", {"content_encoding": "gzip"}, "bad_answer", "broken gzip"),
    (200, gzip.compress(b"{}" * 99)[:-9], {"content_encoding": "gzip"}, "bad_answer", "cut off"),
    (200, b" " * 1001, {}, "too_large", "more than 1000 bytes"),
    (200, gzip.compress(b" " * 1001), {"content_encoding": "gzip"}, "too_large", "more than 1000 bytes"),
    (200, b"", {"content_length": "1001"}, "too_large", "more than 1000 bytes"),
]


@pytest.mark.parametrize(("status", "body", "headers", "kind", "text"), UNAVAILABLE)
async def test_a_bad_answer_has_a_kind(
    status: int, body: object, headers: dict[str, str], kind: str, text: str
) -> None:
    """Each bad answer becomes the one error whose kind tells what happened, and is reported as that."""
    prometheus = always(body, status, **headers)

    with pytest.raises(PrometheusUnavailable) as caught:
        await prometheus.client(max_answer_bytes=1000).query("up", at_seconds=0)

    assert (caught.value.kind, prometheus.reports.outcomes[-1]) == (kind, kind)
    assert text in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("status", [400, 422])
async def test_a_refused_query_is_the_query_s_fault(status: int) -> None:
    """What Prometheus refuses keeps its words, its type and its status."""
    prometheus = always(ERROR, status)

    with pytest.raises(QueryRejected, match="unexpected end") as caught:
        await prometheus.client().query("up{", at_seconds=0)

    assert (caught.value.status, caught.value.kind) == (status, "bad_data")
    assert prometheus.reports.outcomes == ["rejected"]


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "text/plain", "application/vnd.x+json", ""]
)
async def test_json_by_another_name(content_type: str) -> None:
    """Servers that do not say that they send JSON, yet do, are understood."""
    prometheus = always(VECTOR, content_type=content_type)

    got, warnings = await prometheus.client().query("up", at_seconds=5)

    assert (got.evaluated_at_seconds, warnings) == (5, ())


async def test_partial_answers_are_marked() -> None:
    """Warnings that data is missing come back beside the answer; notes on the query are in it."""
    prometheus = always({**VECTOR, "warnings": ["a store is down", "PromQL warning: no le"]})

    got, warnings = await prometheus.client().query("up", at_seconds=5)

    assert (got.annotations, warnings) == (("PromQL warning: no le",), ("a store is down",))


async def test_no_connection() -> None:
    """A connection that fails twice is an error, in the system's own words."""

    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("All connection attempts failed") from ConnectionRefusedError(
            111, "Connection refused"
        )

    prometheus = FakePrometheus(refuse)

    with pytest.raises(
        PrometheusUnavailable, match=r"no connection to http://prom:9090: .*Connection refused"
    ) as caught:
        await prometheus.client().query("up", at_seconds=0)

    assert (caught.value.kind, prometheus.reports.outcomes) == ("connection", ["connection", "connection"])


BROKEN_SERIES = [
    (b'{"status":"success","data":[{"__name__":"a"}', 200),
    (b'{"status":"success"}', 200),
    (b'{"status":"success","data":{}}', 200),
    (b'{"status":"success","data":["a"]}', 200),
    (b'{"status":"success","data":[["a"]]}', 200),
    (b'{"status":"success","data":[{"__name__":1}]}', 200),
    (b'{"status":"success","data":"a"}', 200),
    (b'{"status":"success","data":[]}', 400),
    (b'{"status":"success","data":[]} more', 200),
    (b'{"status":"success","data":[{"__name__":"\xff"}]}', 200),
    (b'{"data":[]}', 200),
    (b"[]", 200),
    (b"<html>", 200),
    (b"", 200),
]


@pytest.mark.parametrize(("body", "status"), BROKEN_SERIES)
async def test_a_broken_list_of_series_is_never_a_short_one(body: bytes, status: int) -> None:
    """A list of series that ends early, or is no such list, is an error."""
    with pytest.raises(PrometheusUnavailable) as caught:
        await always(body, status).client().series("a", start_seconds=0)

    assert caught.value.kind == "bad_answer"


async def test_an_error_inside_a_list_of_series() -> None:
    """An error that comes behind some series, as from a proxy that streams, is an error."""
    body = b'{"data":[{"__name__":"a"}],"status":"error","errorType":"execution","error":"store gone"}'

    with pytest.raises(QueryRejected, match="store gone"):
        await always(body).client().series("a", start_seconds=0)


SECRETS = {"url": "http://me:s3cret@prom:9090/p?token=s3cret", "headers": (("X-Key", "s3cret"),)}
CALLS: list[Callable[[PrometheusClient], Awaitable[object]]] = [
    lambda client: client.query("up", at_seconds=0),
    lambda client: client.label_names("up", start_seconds=0),
    lambda client: client.series("up", start_seconds=0),
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("status", [200, 302, 401, 404, 500, 0])
async def test_no_secret_is_told(
    call: Callable[[PrometheusClient], Awaitable[object]], status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Password, query and headers of the address are in no error, report, repr, or log line of any library."""
    caplog.set_level(logging.DEBUG)

    def handler(request: httpx.Request) -> httpx.Response:
        if not status:
            raise httpx.ReadError("gone", request=request)
        return answer(b"", status, location="http://x:s3cret@y/?s3cret")

    prometheus = FakePrometheus(handler)
    client = prometheus.client(**SECRETS)

    with pytest.raises((PrometheusUnavailable, EndpointUnsupported)) as caught:
        await call(client)

    told = f"{caught.value!r} {caught.value} {client.server} {prometheus.reports.requests} {caplog.text}"
    assert "s3cret" not in told
    assert "s3cret" in str(prometheus.requests[0].url)


async def test_each_request_can_be_logged(caplog: pytest.LogCaptureFixture) -> None:
    """With debug on, each request is a line with its method, path, parameters, status and time, and no secret."""
    caplog.set_level(logging.DEBUG, logger="adapter.clients.transport")
    prometheus = FakePrometheus(lambda request: answer(VECTOR) if request.method == "GET" else answer(ERROR, 422))

    await prometheus.client(**SECRETS).query("up > 0", at_seconds=5, timeout_seconds=2)
    with pytest.raises(QueryRejected):
        await prometheus.client(**SECRETS, verb="POST").query("x" * 9999, at_seconds=5)

    first, second = (record.getMessage() for record in caplog.records)
    assert first == "GET /api/v1/query?query=up+%3E+0&time=5.000&timeout=2s 200 ok in 0 milliseconds"
    assert second.startswith("POST /api/v1/query?query=xxx")
    assert second.endswith("xxx... 422 rejected in 0 milliseconds")
    assert len(second) < 1100
    assert "s3cret" not in caplog.text


async def test_an_instant_query_has_a_limit_of_its_own() -> None:
    """However much may be read of other answers, no instant query brings more than 16 MiB."""
    prometheus = always(b" " * (16 * 1024 * 1024 + 1))

    with pytest.raises(PrometheusUnavailable, match="more than 16777216 bytes") as caught:
        await prometheus.client(max_answer_bytes=10**9).query("up", at_seconds=0)

    assert caught.value.kind == "too_large"


class Busy(httpx.AsyncByteStream):
    """A body after which nothing else runs for a while, as when a large one is decoded."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b'{"status":"success","data":{"resultType":"vector","result":[]}}'
        clock = asyncio.get_running_loop().time
        end = clock() + self._seconds
        while clock() <= end:
            pass


async def test_an_answer_that_is_read_too_late_is_late() -> None:
    """A deadline that passes while an answer is decoded, when nothing waits, has passed all the same."""
    prometheus = FakePrometheus(lambda _: httpx.Response(200, stream=Busy(0.05)))

    with pytest.raises(PrometheusUnavailable, match="has not finished its answer in time") as caught:
        await prometheus.client().query("up", at_seconds=0, timeout_seconds=0.05)

    assert (caught.value.kind, prometheus.reports.outcomes) == ("timeout", ["timeout"])
