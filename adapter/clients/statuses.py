"""What an HTTP status from a Prometheus means: an answer to read, another method to try, or which error."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from adapter.clients.options import Verb
from adapter.errors import PrometheusUnavailable

# prometheus-adapter reads the JSON of these and of 2xx; all others are "unknown response code".
_SUCCESS: Final = range(200, 300)
_REDIRECT: Final = range(300, 400)
_READABLE: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE})

URL_TOO_LONG: Final = frozenset({HTTPStatus.REQUEST_URI_TOO_LONG, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE})
# The query, as part of the URL or as a form, is more than the server or a proxy before it takes.
_TOO_LONG: Final = URL_TOO_LONG | {HTTPStatus.REQUEST_ENTITY_TOO_LARGE}
# What a server answers that does not offer an endpoint, a proxy that forbids it, or either when it takes no POST there.
NOT_HERE: Final = URL_TOO_LONG | {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}

OTHER_METHOD: Final[dict[tuple[Verb, int], Verb]] = {
    ("POST", HTTPStatus.METHOD_NOT_ALLOWED): "GET",
    ("GET", HTTPStatus.REQUEST_URI_TOO_LONG): "POST",
    ("GET", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE): "POST",
}

_UNAUTHORIZED: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


class EndpointUnsupported(Exception):  # noqa: N818 - named for what happened, like the tree in adapter.errors
    """The server does not offer an endpoint, or not to us: `status` is 403, 404, 405, 414 or 431."""

    def __init__(self, path: str, status: int) -> None:
        super().__init__(f"{path} answers {status}")
        self.path = path
        self.status = status


class StatusError(Exception):
    """An answer whose body is of no interest: its status, and the error it becomes unless a second attempt helps."""

    def __init__(self, status: int, error: Exception) -> None:
        super().__init__(status)
        self.status = status
        self.error = error


def is_readable(status: int) -> bool:
    """Say whether an answer of this status has JSON of the API in it."""
    return status in _SUCCESS or status in _READABLE


def refused(status: int, *, redirected: str) -> PrometheusUnavailable:
    """Return the error for a status that is not readable; `redirected` is where a redirect points."""
    text = f"bad_response: unknown response code {status}"
    if status in _REDIRECT:
        return PrometheusUnavailable(f"{text}: Prometheus redirects to {redirected}, use that address", kind="redirect")
    if status in _UNAUTHORIZED:
        return PrometheusUnavailable(f"{text}: Prometheus refuses our credentials", kind="unauthorized")
    if status in _TOO_LONG:
        return PrometheusUnavailable(f"{text}: the request is too long for the server, or a proxy", kind="too_long")
    return PrometheusUnavailable(text, kind="status")
