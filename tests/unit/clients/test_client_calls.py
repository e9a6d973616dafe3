"""What the client sends: addresses, methods, parameters, headers."""

from __future__ import annotations

import re

import httpx
import pytest
from rig.fake_prometheus import NAMES, VECTOR, FakePrometheus, always, answer, form, in_turn

from adapter.clients.prometheus import open_client
from adapter.clients.transport import EndpointUnsupported, PrometheusOptions, Verb
from adapter.config.problems import ConfigError
from adapter.errors import PrometheusUnavailable

pytestmark = pytest.mark.anyio

NOON = 1_700_000_000.1234

ADDRESSES = [
    ("http://prom:9090", "http://prom:9090/api/v1/query"),
    ("http://prom:9090/", "http://prom:9090/api/v1/query"),
    ("http://prom/mimir/prometheus", "http://prom/mimir/prometheus/api/v1/query"),
    ("http://prom/mimir//prometheus/", "http://prom/mimir/prometheus/api/v1/query"),
    ("http://prom/a/../b", "http://prom/b/api/v1/query"),
    ("http://[::1]:9090/x", "http://[::1]:9090/x/api/v1/query"),
    ("http://user:pass@prom:9090", "http://prom:9090/api/v1/query"),
]


@pytest.mark.parametrize(("url", "expected"), ADDRESSES)
async def test_the_path_of_the_address_is_kept(url: str, expected: str) -> None:
    """The paths of the API are joined to the address as Go's path.Join does, and its user is left out."""
    prometheus = always(VECTOR)

    await prometheus.client(url=url).query("up", at_seconds=NOON)

    assert str(prometheus.requests[0].url.copy_with(query=None)) == expected


@pytest.mark.parametrize("verb", ["GET", "POST"])
async def test_the_query_of_the_address_goes_with_every_call(verb: str) -> None:
    """The address's own parameters and those of the options are in the URL, with both methods."""
    prometheus = always(VECTOR)
    client = prometheus.client(url="http://prom/?dedup=true&x=a+b", params=(("tenant", "t&1"),), verb=verb)

    await client.query("up", at_seconds=NOON)

    params = prometheus.requests[0].url.params
    assert [params["dedup"], params["x"], params["tenant"]] == ["true", "a b", "t&1"]


async def test_a_query_says_when_and_how_long() -> None:
    """The evaluation time has milliseconds, the timeout is a duration that Prometheus can read."""
    prometheus = always(VECTOR)

    await prometheus.client().query("up > 0", at_seconds=NOON, timeout_seconds=4.75)

    sent = dict(prometheus.requests[0].url.params)
    assert sent == {"query": "up > 0", "time": "1700000000.123", "timeout": "5s"}


async def test_post_sends_a_form() -> None:
    """With POST the parameters are in the body, and none is in the URL."""
    prometheus = always(VECTOR)

    await prometheus.client(verb="POST").query('up{a="ä&b"}', at_seconds=NOON)

    request = prometheus.requests[0]
    assert (request.method, str(request.url)) == ("POST", "http://prom:9090/api/v1/query")
    assert form(request)["query"] == 'up{a="ä&b"}'


async def test_a_long_query_is_posted() -> None:
    """A query that may be too long for a URL is posted, whatever the verb is."""
    prometheus = always(VECTOR)
    client = prometheus.client(verb="GET")

    await client.query("a" * 1900, at_seconds=NOON)
    await client.query("a" * 2100, at_seconds=NOON)

    assert prometheus.methods == ["GET", "POST"]


async def test_a_server_without_post_is_asked_by_get() -> None:
    """After one 405 the path is asked by GET, without trying POST again."""
    prometheus = FakePrometheus(lambda request: answer(VECTOR, 405 if request.method == "POST" else 200))
    client = prometheus.client(verb="POST")

    await client.query("up", at_seconds=NOON)
    await client.query("up", at_seconds=NOON)

    assert prometheus.methods == ["POST", "GET", "GET"]


async def test_a_url_that_is_too_long_is_posted() -> None:
    """A server that takes only short URLs is asked the same by POST."""
    prometheus = FakePrometheus(lambda request: answer(VECTOR, 414 if request.method == "GET" else 200))

    await prometheus.client(verb="GET").query("up", at_seconds=NOON)

    assert prometheus.methods == ["GET", "POST"]


@pytest.mark.parametrize(("verb", "methods"), [("POST", ["POST", "GET"] * 2), ("GET", ["GET", "POST", "GET"])])
async def test_neither_method_works(verb: Verb, methods: list[str]) -> None:
    """A server that takes no POST and no long URL is asked by both, and the error is that the query is too long."""
    prometheus = FakePrometheus(lambda request: answer(VECTOR, 405 if request.method == "POST" else 414))
    client = prometheus.client(verb=verb)

    for _ in range(2):
        with pytest.raises(PrometheusUnavailable, match="unknown response code 414") as caught:
            await client.query("up", at_seconds=NOON)
        assert caught.value.kind == "too_long"

    assert prometheus.methods == methods


async def test_headers_are_all_sent() -> None:
    """Several values of one header are all sent, an empty value too, and a header of ours can be replaced."""
    prometheus = always(VECTOR)
    headers = (("X-Scope-OrgID", "a"), ("X-Scope-OrgID", "b"), ("X-Empty", ""), ("User-Agent", "mine"))

    await prometheus.client(headers=headers).query("up", at_seconds=NOON)

    sent = prometheus.requests[0].headers
    assert sent.get_list("x-scope-orgid") == ["a", "b"]
    assert (sent["x-empty"], sent.get_list("user-agent")) == ("", ["mine"])


async def test_metric_names_are_asked_by_get() -> None:
    """Label values know GET only, and several selectors are several match[]."""
    prometheus = always(NAMES)

    names = await prometheus.client(verb="POST").metric_names("a{}", "b{}", start_seconds=12.5)

    request = prometheus.requests[0]
    assert names.values == {"a", "b"}
    assert (request.method, request.url.path) == ("GET", "/api/v1/label/__name__/values")
    assert request.url.params.multi_items() == [("match[]", "a{}"), ("match[]", "b{}"), ("start", "12.500")]


@pytest.mark.parametrize("status", [403, 404, 405, 414, 431])
async def test_label_endpoints_may_be_missing(status: int) -> None:
    """A server or proxy without the label endpoints is told apart from one that fails."""
    prometheus = always({}, status)
    client = prometheus.client()

    for asked in (client.metric_names("a", start_seconds=0), client.label_names("a", start_seconds=0)):
        with pytest.raises(EndpointUnsupported) as caught:
            await asked
        assert caught.value.status == status


async def test_label_names_are_posted_when_the_verb_says_so() -> None:
    """The labels endpoint takes both methods; a server that refuses POST there is asked by GET."""
    prometheus = FakePrometheus(lambda request: answer(NAMES, 405 if request.method == "POST" else 200))

    names = await prometheus.client(verb="POST").label_names("a", start_seconds=0)

    assert (names.values, prometheus.methods) == (frozenset({"a", "b"}), ["POST", "GET"])


async def test_warnings_of_names_come_back() -> None:
    """A partial list of names is marked as such, so that nobody takes its gaps for absence."""
    prometheus = always({**NAMES, "warnings": ["a store is down"]})

    names = await prometheus.client().metric_names("a", start_seconds=0)

    assert names.warnings == ("a store is down",)


async def test_series_become_label_names() -> None:
    """Of all series only the label names of each metric are kept; an empty label is none."""
    series = [
        {"__name__": "a", "pod": "x", "empty": ""},
        {"__name__": "b"},
        {"__name__": "a", "node": "y"},
    ]
    prometheus = always({"status": "success", "data": series, "warnings": ["slow store"]})

    found = await prometheus.client().series("{a=~'.+'}", start_seconds=0)

    assert found.labels_by_metric == {"a": {"__name__", "pod", "node"}, "b": {"__name__"}}
    assert found.warnings == ("slow store",)


VERSIONS = [
    ({"status": "success", "data": {"version": "3.4.1"}}, 200, "3.4.1"),
    ({"status": "success", "data": {"version": 3}}, 200, None),
    ({"status": "success", "data": []}, 200, None),
    ([], 200, None),
    (b"<html>", 200, None),
    ({}, 404, None),
    ({"status": "error", "errorType": "bad_data", "error": "what?"}, 400, None),
]


@pytest.mark.parametrize(("document", "status", "version"), VERSIONS)
async def test_the_version_may_be_unknown(document: object, status: int, version: str | None) -> None:
    """A server that does not tell its version is no error."""
    assert await always(document, status).client().build_info() == version


async def test_one_connection_error_is_forgiven() -> None:
    """A connection that broke, such as an idle one that the server closed, costs a second attempt and no error."""
    prometheus = in_turn(httpx.RemoteProtocolError("Server disconnected"), answer(VECTOR))

    await prometheus.client().query("up", at_seconds=NOON)

    assert prometheus.reports.outcomes == ["connection", "ok"]


BAD_OPTIONS = [
    ({"url": "prom:9090"}, "the address of Prometheus cannot be used"),
    ({"url": "ftp://prom"}, "must begin with http"),
    ({"url": "http://prom\u2603\u3002"}, "its host is no valid name"),
    ({"headers": (('"Authorization', "x"),)}, r'invalid header field name "\\"Authorization"'),
    ({"headers": (("a", "x\r\nb: c"),)}, "invalid header field value"),
    ({"client_cert_file": "/cert"}, "together or not at all"),
    ({"auth_incluster": True, "auth_config": "/x"}, "may not use both in-cluster auth and an explicit kubeconfig"),
    ({"token_file": "/does/not/exist"}, "no such file"),
]


@pytest.mark.parametrize(("options", "text"), BAD_OPTIONS)
async def test_options_are_checked_at_the_start(options: dict[str, object], text: str) -> None:
    """What can never work ends the start with a problem that says so."""
    with pytest.raises(ConfigError) as caught:
        always(VECTOR).client(**options)

    assert re.search(text, caught.value.problems[0].message)


async def test_the_environment_s_proxies_are_checked_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that cannot be used ends the start, without its password."""
    monkeypatch.setenv("ALL_PROXY", "gopher://me:s3cret@proxy")

    with pytest.raises(ConfigError) as caught:
        open_client(PrometheusOptions(), observer=FakePrometheus(always(VECTOR)).reports, clock=lambda: 0.0)

    assert "ALL_PROXY" in caught.value.problems[0].message
    assert "s3cret" not in caught.value.problems[0].message
