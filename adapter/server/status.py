"""Which code and reason an error has on the wire: the one place where our errors meet HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from adapter import errors
from adapter.kube.documents import StatusDocument, status

Details = Mapping[str, object]

_TIMEOUT = "Timeout: request did not complete within the allotted timeout"
_UNEXPECTED = "Internal error occurred: unexpected error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """How one class of errors is told: `message` and `details` are made from the error itself.

    Details that are None are left out, and empty ones are written as `{}`: the API servers do both.
    """

    code: int
    reason: str
    message: Callable[[Any], str] = str
    details: Callable[[Any], Details | None] = lambda _error: None


def _empty(_error: errors.AdapterError) -> Details:
    return {}


def _forbidden_option(error: errors.ForbiddenOption) -> Details:
    cause = {"reason": error.cause, "message": error.detail, "field": error.field}
    return {"group": "meta.k8s.io", "kind": "ListOptions", "causes": [cause]}


def _absent(error: errors.ObjectNotFound) -> Details:
    facts = {"name": error.name, "group": error.group, "kind": error.kind}
    return {name: value for name, value in facts.items() if value}


def _watched(error: errors.WatchNotSupported) -> Details:
    return {"group": error.group, "kind": error.kind}


def _denied(error: errors.AccessDenied) -> Details:
    facts = {"name": error.name, "group": error.group, "kind": error.resource}
    return {name: value for name, value in facts.items() if value}


def _not_acceptable(error: errors.NotAcceptable) -> Details | None:
    """Give the router's refusal, which begins with its code, empty details, and the negotiation's none."""
    return {} if str(error).startswith("406: ") else None


def _internal(words: Callable[[Any], str]) -> Row:
    """Make a row of an error that the caller can do nothing about, as apimachinery's NewInternalError."""
    return Row(
        code=500,
        reason="InternalError",
        message=lambda error: f"Internal error occurred: {words(error)}",
        details=lambda error: {"causes": [{"message": words(error)}]},
    )


# prometheus-adapter's words; what the upstream said goes to the log
_UNFETCHED = _internal(lambda _error: "unable to fetch metrics")
_UNLISTED = _internal(lambda _error: "unable to list matching resources")

TABLE: Mapping[type[errors.AdapterError], Row] = {
    errors.InvalidPath: Row(code=400, reason="BadRequest"),
    errors.InvalidSelector: Row(code=400, reason="BadRequest"),
    errors.UnsupportedSelector: Row(code=400, reason="BadRequest"),
    errors.InvalidOption: Row(code=400, reason="BadRequest"),
    errors.ForbiddenOption: Row(code=422, reason="Invalid", details=_forbidden_option),
    errors.Unauthenticated: Row(code=401, reason="Unauthorized"),
    errors.AccessDenied: Row(code=403, reason="Forbidden", details=_denied),
    errors.Forbidden: Row(code=403, reason="Forbidden"),
    errors.MetricNotFound: Row(code=404, reason="NotFound"),
    errors.ObjectNotFound: Row(code=404, reason="NotFound", details=_absent),
    errors.RouteNotFound: Row(code=404, reason="NotFound", details=_empty),
    errors.MethodNotAllowed: Row(code=405, reason="MethodNotAllowed", details=_empty),
    errors.WatchNotSupported: Row(code=405, reason="MethodNotAllowed", details=_watched),
    errors.NotAcceptable: Row(code=406, reason="NotAcceptable", details=_not_acceptable),
    errors.PrometheusUnavailable: _UNFETCHED,
    errors.QueryRejected: _UNFETCHED,
    errors.PartialAnswer: _UNFETCHED,
    errors.QueryTooLarge: _internal(lambda error: f"unable to fetch metrics: {error}"),
    errors.UnusableResult: _internal(lambda error: f"unable to fetch metrics: {error}"),
    errors.UseUnknown: _internal(str),
    errors.UnexpectedResultType: Row(code=500, reason=""),
    errors.ReferenceDefect: Row(code=500, reason=""),
    errors.ObjectsUnavailable: _UNLISTED,
    errors.KubernetesUnavailable: _UNLISTED,
    errors.KubernetesForbidden: _internal(lambda error: f"unable to list matching resources: {error}"),
    errors.KubernetesNotFound: _UNLISTED,
    errors.KubernetesConflict: _UNLISTED,
    errors.ClusterGone: _UNLISTED,
    errors.AuthorizerFailed: Row(code=500, reason="InternalError"),
    errors.DeadlineExceeded: Row(code=504, reason="Timeout", message=lambda _error: _TIMEOUT, details=_empty),
}


def status_of(error: BaseException) -> StatusDocument:
    """Return the Status of an error; one that is not ours is told without a word of it."""
    row = TABLE.get(type(error))  # type: ignore[arg-type]  # a class that is not ours has no row, which is the question
    if row is None:
        return status(code=500, reason="InternalError", message=_UNEXPECTED)
    return status(code=row.code, reason=row.reason, message=row.message(error), details=row.details(error))
