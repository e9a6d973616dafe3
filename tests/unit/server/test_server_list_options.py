"""What query parameters mean, against vectors taken from apimachinery."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest
from server_fakes import NOW, Ask, FakeProvider

from adapter.errors import AdapterError, InvalidOption
from adapter.rules.requests import BySelector, CustomMetricRequest, ExternalMetricRequest
from adapter.server.calls import all_values, read_parameters
from adapter.server.list_options import ListOptions, deadline_seconds, read_list_options

VECTORS = Path(__file__).parents[2] / "vectors" / "list-options.txt"
LINE = re.compile(
    r'OPTS (?P<query>".*?") +err=(?P<error>.*) limit=(?P<limit>\d+) watch=(?P<watch>\w+) '
    r"timeoutSeconds=(?P<timeout>\S+) label=(?P<label>\S*) field=(?P<field>\S*) bookmarks=(?P<bookmarks>\w+) "
    r'sie=(?P<events>\w+) rv="(?P<version>.*)"'
)
FLAGS = {"true": True, "false": False, "nil": None}

CUSTOM = "/apis/custom.metrics.k8s.io/v1beta1/namespaces/ns/pods"
EXTERNAL = "/apis/external.metrics.k8s.io/v1beta1/namespaces/ns/m"


def vectors() -> list[re.Match[str]]:
    """Read every line of the vectors."""
    return [match for line in VECTORS.read_text().splitlines() if (match := LINE.fullmatch(line))]


def test_vectors_are_read() -> None:
    """No line of the vectors is passed over."""
    assert len(vectors()) == len(VECTORS.read_text().splitlines()) > 0


@pytest.mark.parametrize("vector", vectors(), ids=lambda vector: vector["query"])
def test_list_options(vector: re.Match[str]) -> None:
    """Options are read, or refused, with the values and the text of apimachinery."""
    parameters = read_parameters(ast.literal_eval(vector["query"]).encode())

    if vector["error"] != "<nil>":
        with pytest.raises(InvalidOption, match=re.escape(vector["error"])):
            read_list_options(parameters)
        return
    options = read_list_options(parameters)

    assert options.limit == int(vector["limit"])
    assert options.watch is FLAGS[vector["watch"]]
    assert options.timeout_seconds == (None if vector["timeout"] == "nil" else int(vector["timeout"]))
    assert (str(options.label_selector), str(options.field_selector)) == (vector["label"], vector["field"])
    assert options.allow_watch_bookmarks is FLAGS[vector["bookmarks"]]
    assert options.send_initial_events is FLAGS[vector["events"]]
    assert options.resource_version == vector["version"]


NUMBERS = [
    ("9223372036854775807", 2**63 - 1),
    ("-9223372036854775808", -(2**63)),
    ("9223372036854775808", "value out of range"),
    ("-9223372036854775809", "value out of range"),
    ("0" * 5000 + "7", 7),
    ("-" + "0" * 5000, 0),
    ("0" * 60_000 + "x", "invalid syntax"),
    ("9" * 5000, "value out of range"),
    ("\u0665", "invalid syntax"),
    ("+5", 5),
    ("5\n", "invalid syntax"),
    ("--5", "invalid syntax"),
    ('a"b', 'parsing "a\\"b": invalid syntax'),
]


@pytest.mark.parametrize(("text", "outcome"), NUMBERS, ids=lambda value: str(value)[:24])
def test_numbers(text: str, outcome: int | str) -> None:
    """A number is read as Go's ParseInt reads it, however long it is."""
    if isinstance(outcome, int):
        assert read_list_options({"limit": text}).limit == outcome
        return
    with pytest.raises(InvalidOption, match=re.escape(outcome)):
        read_list_options({"limit": text})


PARAMETERS = [
    (b"a=b+in+(x)", {"a": "b in (x)"}),
    (b"a=b%2Bc", {"a": "b+c"}),
    (b"a=1&a=2", {"a": "1"}),
    (b"a", {"a": ""}),
    (b"&&=x&", {"": "x"}),
    (b"a=b=c", {"a": "b=c"}),
    (b"a=%zz&b=%", {"a": "%zz", "b": "%"}),
    (b"a=%FF\xff%00", {"a": "\ufffd\ufffd\x00"}),
    (b"a=1;b=2", {"a": "1;b=2"}),
]


@pytest.mark.parametrize(("query", "parameters"), PARAMETERS)
def test_parameters(query: bytes, parameters: dict[str, str]) -> None:
    """A query string is read without losing, merging or inventing a parameter."""
    assert read_parameters(query) == parameters


def test_repeated_parameters() -> None:
    """A parameter that may be repeated gives all its values in order."""
    assert all_values(b"exclude=a&x=y&exclude=b+c&exclude", "exclude") == ["a", "b c", ""]


TIMEOUTS = [
    ("", 9.0),
    ("1s", 1.0),
    ("100ms", 0.1),
    ("1.5s", 1.5),
    ("32s", 9.0),
    ("9s", 9.0),
    ("0", 9.0),
    ("0s", 9.0),
    ("-5s", 9.0),
    ("1h", 9.0),
]


@pytest.mark.parametrize(("text", "seconds"), TIMEOUTS)
def test_timeouts(text: str, seconds: float) -> None:
    """`timeout` shortens a request and never lengthens it."""
    assert deadline_seconds({"timeout": text}, longest_seconds=9.0) == pytest.approx(seconds)


@pytest.mark.anyio
@pytest.mark.parametrize("path", [CUSTOM + "/web/m", EXTERNAL])
async def test_deadline(ask: Ask, provider: FakeProvider, path: str) -> None:
    """The provider is given the caller's deadline on the clock that the server was handed."""
    await ask(f"{path}?timeout=1500ms&timeoutSeconds=1")
    await ask(path)

    assert provider.deadlines == [NOW + 1.5, NOW + 9.0]


@pytest.mark.anyio
@pytest.mark.parametrize(
    "path",
    [
        "/apis",
        CUSTOM + "/*/m",
        EXTERNAL,
        "/healthz",
        "/readyz/ping",
        "/",
        "/metrics",
        "/version",
        "/nothing",
        "/apis/x/y",
    ],
)
async def test_unreadable_timeout(ask: Ask, provider: FakeProvider, path: str) -> None:
    """A timeout that cannot be read is refused on every path, before anything else is looked at."""
    response = await ask(f"{path}?timeout=abc&limit=x", "GET")

    assert response.status_code == 400
    assert response.content == (
        b'{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"invalid timeout specified in'
        b' the request URL - time: invalid duration \\"abc\\"","reason":"BadRequest","code":400}\n'
    )
    assert provider.asked == []


BAD_SELECTORS = [
    ("a%20b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
    ("a+b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
    ("app%20in%20%28web", "unable to parse requirement: found '', expected: ',' or ')'"),
    ("code%3D%3D%3D1", "unable to parse requirement: found '=', expected: identifier"),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("selector", "message"), BAD_SELECTORS)
@pytest.mark.parametrize(
    "path",
    [
        f"{CUSTOM}/*/m?labelSelector=",
        f"{CUSTOM}/web/m?labelSelector=",
        f"{CUSTOM}/*/m?metricLabelSelector=",
        f"{EXTERNAL}?labelSelector=",
    ],
)
async def test_unreadable_selectors(ask: Ask, provider: FakeProvider, path: str, selector: str, message: str) -> None:
    """A selector that cannot be read is a 400 with apimachinery's text, also where it would not have counted."""
    response = await ask(path + selector)

    assert (response.status_code, response.json()["message"]) == (400, message)
    assert response.json()["reason"] == "BadRequest"
    assert "details" not in response.json()
    assert provider.asked == []


@pytest.mark.anyio
async def test_unanswerable_metric_selector(ask: Ask, provider: FakeProvider) -> None:
    """A metric selector that the answer could not repeat is refused before anybody is asked."""
    response = await ask(f"{CUSTOM}/*/m?metricLabelSelector=a%3E5")

    assert (response.status_code, response.json()["reason"]) == (400, "BadRequest")
    assert provider.asked == []


@pytest.mark.anyio
async def test_selectors_arrive(ask: Ask, provider: FakeProvider) -> None:
    """Each selector reaches the provider in its place; an external request knows only one."""
    await ask(f"{CUSTOM}/*/m?labelSelector=app+in+(web)&metricLabelSelector=code%21%3D500&selector=x")
    await ask(f"{EXTERNAL}?labelSelector=queue%3Da&metricLabelSelector=%3D%3D")

    objects, external = provider.asked
    assert isinstance(objects, CustomMetricRequest)
    assert isinstance(objects.target, BySelector)
    assert (str(objects.target.selector), str(objects.metric_selector)) == ("app in (web)", "code!=500")
    assert isinstance(external, ExternalMetricRequest)
    assert str(external.selector) == "queue=a"


UNKNOWN_FIELD = '"status.phase" is not a known field selector: only "metadata.name", "metadata.namespace"'
OTHER_NAME = "fieldSelector metadata.name doesn't match requested name"
FIELD_SELECTORS = [
    (f"{CUSTOM}/web/m?fieldSelector=metadata.name%3Dweb", 200, ""),
    (f"{CUSTOM}/web/m?fieldSelector=metadata.name%3Dother", 400, OTHER_NAME),
    (f"{CUSTOM}/web/m?fieldSelector=metadata.namespace%3Dns", 400, OTHER_NAME),
    (f"{CUSTOM}/*/m?fieldSelector=metadata.name%3D*", 200, ""),
    (f"{CUSTOM}/*/m?fieldSelector=metadata.name%3Dweb", 400, OTHER_NAME),
    (f"{CUSTOM}//m?fieldSelector=metadata.name%3Dweb", 200, ""),
    (f"{CUSTOM}/web/m?fieldSelector=", 200, ""),
    (f"{CUSTOM}/web/m?fieldSelector=status.phase%3DRunning", 400, UNKNOWN_FIELD),
    (f"{CUSTOM}/web/m?fieldSelector=garbage", 400, "invalid selector: 'garbage'; can't understand 'garbage'"),
    (f"{EXTERNAL}?fieldSelector=garbage", 400, "invalid selector: 'garbage'; can't understand 'garbage'"),
    (f"{EXTERNAL}?fieldSelector=metadata.name%3Dother", 200, ""),
    (f"{EXTERNAL}?fieldSelector=status.phase%3DRunning", 200, ""),
    ("/apis/custom.metrics.k8s.io/v1beta1/namespaces/ns/metrics/m?fieldSelector=metadata.name%3Dns", 200, ""),
    ("/apis/custom.metrics.k8s.io/v1beta1/namespaces/ns/metrics/m?fieldSelector=metadata.name%3Dm", 400, OTHER_NAME),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("path", "code", "message"), FIELD_SELECTORS)
async def test_field_selectors(ask: Ask, path: str, code: int, message: str) -> None:
    """A field selector of custom metrics may only repeat the name of the path; one of external metrics is only read."""
    response = await ask(path)

    assert response.status_code == code, response.text
    assert response.json().get("message", "") == message


UNCOUNTED = [
    "limit=5&continue=x",
    "limit=-1",
    "resourceVersion=nonsense",
    "allowWatchBookmarks=",
    "dryRun=All&unknown=1",
    "watch=false",
    "watch=0",
    "watch=FALSE",
]


@pytest.mark.anyio
@pytest.mark.parametrize("query", UNCOUNTED)
@pytest.mark.parametrize("path", [f"{CUSTOM}/*/m", EXTERNAL])
async def test_parameters_without_effect(ask: Ask, path: str, query: str) -> None:
    """What a list of metrics has no use for is read and changes nothing."""
    assert (await ask(f"{path}?{query}")).content == (await ask(path)).content


@pytest.mark.anyio
@pytest.mark.parametrize(
    "query", ["watch=1", "watch=", "watch", "watch=f", "sendInitialEvents=1", "resourceVersionMatch=x"]
)
async def test_custom_metrics_have_no_watch_to_refuse(ask: Ask, query: str) -> None:
    """The custom metrics ignore what only lists that can be watched understand."""
    assert (await ask(f"{CUSTOM}/*/m?{query}")).status_code == 200


@pytest.mark.anyio
@pytest.mark.parametrize(
    "query", ["watch=1", "watch=", "watch", "watch=f", "watch=no", "watch=true&sendInitialEvents=1"]
)
async def test_watch(ask: Ask, provider: FakeProvider, query: str) -> None:
    """External metrics cannot be watched."""
    response = await ask(f"{EXTERNAL}?{query}")

    assert response.status_code == 405
    assert response.content == (
        b'{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"watch is not supported on'
        b' resources of kind \\"*.external.metrics.k8s.io\\"","reason":"MethodNotAllowed","details":{"group":'
        b'"external.metrics.k8s.io","kind":"*"},"code":405}\n'
    )
    assert provider.asked == []


VERSION_MATCH = "resourceVersionMatch"
FORBIDDEN = [
    ("sendInitialEvents=true", "sendInitialEvents", "Forbidden: sendInitialEvents is forbidden for list"),
    ("sendInitialEvents=0", "sendInitialEvents", "Forbidden: sendInitialEvents is forbidden for list"),
    (
        "resourceVersionMatch=Exact",
        VERSION_MATCH,
        "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
    ),
    (
        "resourceVersionMatch=Exact&resourceVersion=0",
        VERSION_MATCH,
        'Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
    ),
    (
        "resourceVersionMatch=Newest&resourceVersion=1",
        VERSION_MATCH,
        'Unsupported value: "Newest": supported values: "Exact", "NotOlderThan", ""',
    ),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("query", "field", "detail"), FORBIDDEN)
async def test_forbidden_options(ask: Ask, provider: FakeProvider, query: str, field: str, detail: str) -> None:
    """Options that only a versioned store understands are a 422 that names the field."""
    response = await ask(f"{EXTERNAL}?{query}")

    reason = "FieldValueForbidden" if detail.startswith("Forbidden") else "FieldValueNotSupported"
    assert response.status_code == 422
    assert response.json() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": f'ListOptions.meta.k8s.io "" is invalid: {field}: {detail}',
        "reason": "Invalid",
        "details": {
            "group": "meta.k8s.io",
            "kind": "ListOptions",
            "causes": [{"reason": reason, "message": detail, "field": field}],
        },
        "code": 422,
    }
    assert provider.asked == []


@pytest.mark.anyio
async def test_forbidden_option_on_the_wire(ask: Ask) -> None:
    """The 422 is Kubernetes' own, byte for byte."""
    expected = (
        r'{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"ListOptions.meta.k8s.io \"\"'
        r" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is"
        r' provided","reason":"Invalid","details":{"group":"meta.k8s.io","kind":"ListOptions","causes":[{"reason":'
        r'"FieldValueForbidden","message":"Forbidden: resourceVersionMatch is forbidden unless resourceVersion is'
        r' provided","field":"resourceVersionMatch"}]},"code":422}'
    )

    response = await ask(f"{EXTERNAL}?resourceVersionMatch=Exact")

    assert response.text == expected + "\n"


def test_long_query() -> None:
    """A selector of 100 kB is read to its end."""
    values = ",".join(f"value-{number:05}" for number in range(9000))

    options = read_list_options(read_parameters(f"labelSelector=a+in+({values})".encode()))

    assert len(options.label_selector.requirements[0].values) == 9000


def test_errors_come_in_apimachinerys_order() -> None:
    """Numbers are refused before selectors, whatever stands first in the query."""
    with pytest.raises(AdapterError, match="ParseInt"):
        read_list_options({"labelSelector": "a b", "fieldSelector": "x", "limit": "y"})


def test_defaults() -> None:
    """Without parameters everything is selected, once."""
    assert not read_list_options({}).label_selector
    assert json.dumps(read_list_options({}).field_selector.fields) == "[]"
    assert isinstance(read_list_options({}), ListOptions)
