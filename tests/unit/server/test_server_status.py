"""How errors are told."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from server_fakes import Ask, FakeProvider

from adapter import errors
from adapter.server.status import TABLE, status_of

PATH = "/apis/custom.metrics.k8s.io/v1beta1/namespaces/ns/pods/*/m"


def leaves(root: type[errors.AdapterError]) -> Iterator[type[errors.AdapterError]]:
    """Walk a tree of classes to those that nothing is derived from."""
    below = root.__subclasses__()
    if not below:
        yield root
    for one in below:
        yield from leaves(one)


def test_every_leaf_has_a_row() -> None:
    """No error of ours can reach a caller without a code, and no row is for an error that is never raised."""
    assert set(TABLE) == set(leaves(errors.AdapterError))


def status(message: str, reason: str, code: int, details: str = "") -> str:
    """Write a Status."""
    head = '{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure"'
    details = f'"details":{details},' if details else ""
    reason = f'"reason":"{reason}",' if reason else ""
    return f'{head},"message":"{message}",{reason}{details}"code":{code}}}\n'


def internal(words: str) -> str:
    """Write the Status of an internal error."""
    return status(f"Internal error occurred: {words}", "InternalError", 500, f'{{"causes":[{{"message":"{words}"}}]}}')


UNFETCHED = internal("unable to fetch metrics")
TIMEOUT = "Timeout: request did not complete within the allotted timeout"
ANSWERS = [
    (
        errors.MetricNotFound(metric="http_requests", resource="pods"),
        status("the server could not find the metric http_requests for pods", "NotFound", 404),
    ),
    (
        errors.MetricNotFound(metric="m", resource="deployments.apps", name="web"),
        status("the server could not find the metric m for deployments.apps web", "NotFound", 404),
    ),
    (
        errors.MetricNotFound(metric="m", resource="pods", name="web", selector="a=b"),
        status("the server could not find the metric m for pods web with selector a=b", "NotFound", 404),
    ),
    (
        errors.MetricNotFound(metric="m", resource=""),
        status("the server could not find the metric m for ", "NotFound", 404),
    ),
    (errors.InvalidSelector("found '='"), status("found '='", "BadRequest", 400)),
    (errors.UnsupportedSelector("write a in (b)"), status("write a in (b)", "BadRequest", 400)),
    (
        errors.Forbidden("rule r does not serve namespace ns"),
        status("rule r does not serve namespace ns", "Forbidden", 403),
    ),
    (errors.Unauthenticated(("token: secret",)), status("Unauthorized", "Unauthorized", 401)),
    (
        errors.AccessDenied("forbidden: no", group="g", resource="pods", name="web"),
        status("forbidden: no", "Forbidden", 403, '{"name":"web","group":"g","kind":"pods"}'),
    ),
    (errors.AccessDenied("forbidden: no"), status("forbidden: no", "Forbidden", 403, "{}")),
    (errors.AuthorizerFailed("nobody to ask"), status("nobody to ask", "InternalError", 500)),
    (errors.PrometheusUnavailable("http://u:secret@prom: refused", kind="connect"), UNFETCHED),
    (errors.QueryRejected("parse error: secret", status=400, kind="bad_data"), UNFETCHED),
    (errors.PartialAnswer(("store secret is down",)), UNFETCHED),
    (errors.ObjectsUnavailable("pods is forbidden: secret"), internal("unable to list matching resources")),
    (errors.UnexpectedResultType(), status("encountered an unexpected query result type", "", 500)),
    (errors.ReferenceDefect("as it is there"), status("as it is there", "", 500)),
    (
        errors.UnusableResult("rule http-rps: 2 samples for web"),
        internal("unable to fetch metrics: rule http-rps: 2 samples for web"),
    ),
    (errors.DeadlineExceeded("secret"), status(TIMEOUT, "Timeout", 504, "{}")),
    (KeyError("secret"), status("Internal error occurred: unexpected error", "InternalError", 500)),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("error", "body"), ANSWERS, ids=lambda value: type(value).__name__ if value else "")
async def test_answers(ask: Ask, provider: FakeProvider, error: Exception, body: str) -> None:
    """An error becomes this Status, byte for byte; nothing of an upstream's own words is in it."""
    provider.error = error

    response = await ask(PATH)

    assert response.text == body
    assert response.status_code == response.json()["code"]
    assert response.headers["content-type"] == "application/json"
    assert "retry-after" not in response.headers
    assert "secret" not in response.text


@pytest.mark.anyio
async def test_upstream_errors_are_logged(ask: Ask, provider: FakeProvider, caplog: pytest.LogCaptureFixture) -> None:
    """What an upstream said is logged once, on one line, with all it came from."""
    provider.error = errors.PrometheusUnavailable("no\nanswer", kind="connect")
    provider.error.__cause__ = OSError("connection refused")

    await ask(PATH.replace("*", "a%0Ab"))

    (record,) = caplog.records
    assert (record.name, record.levelno) == ("adapter.server", logging.WARNING)
    assert "PrometheusUnavailable: no\\nanswer <- OSError: connection refused" in record.getMessage()
    assert "\n" not in record.getMessage()
    assert record.exc_info is None


@pytest.mark.anyio
async def test_log_lines_are_not_as_long_as_a_caller_likes(
    ask: Ask, provider: FakeProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a path that is longer than any name only the beginning is logged."""
    provider.error = errors.PrometheusUnavailable("no answer", kind="connect")

    await ask(PATH.replace("*", "a" * 60_000))

    (message,) = caplog.messages
    assert len(message) < 2000
    assert message.endswith("PrometheusUnavailable: no answer")


@pytest.mark.anyio
async def test_bugs_are_logged(ask: Ask, provider: FakeProvider, caplog: pytest.LogCaptureFixture) -> None:
    """An error that is not ours is logged once, with its traceback."""
    provider.error = ZeroDivisionError("oops")

    await ask(PATH)

    (record,) = caplog.records
    assert (record.name, record.levelno) == ("adapter.server", logging.ERROR)
    assert record.exc_info is not None


@pytest.mark.anyio
@pytest.mark.parametrize(
    "error", [errors.MetricNotFound(metric="m", resource="pods"), errors.InvalidSelector("x"), errors.Forbidden("x")]
)
async def test_callers_errors_are_not_logged(
    ask: Ask, provider: FakeProvider, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    """What is the caller's fault is told to the caller only."""
    provider.error = error

    await ask(PATH)

    assert caplog.records == []


def test_details() -> None:
    """Some errors carry empty details and some none at all: clients that print a Status show the difference."""
    assert status_of(errors.RouteNotFound())["details"] == {}
    assert status_of(errors.MethodNotAllowed())["details"] == {}
    assert "details" not in status_of(errors.InvalidPath())
    assert "details" not in status_of(errors.MetricNotFound(metric="m", resource="pods"))
