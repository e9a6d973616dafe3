"""What kube-apiserver's refusals are called here."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import orjson

from adapter.clients.kubernetes.target import Target
from adapter.errors import (
    ClusterGone,
    KubernetesConflict,
    KubernetesForbidden,
    KubernetesNotFound,
    KubernetesUnavailable,
    UpstreamError,
)

# More of a message than this helps nobody to understand what went wrong.
_LONGEST_MESSAGE_CHARACTERS: Final = 300
_SIMPLE: Final[Mapping[int, type[UpstreamError]]] = {
    HTTPStatus.NOT_FOUND: KubernetesNotFound,
    HTTPStatus.CONFLICT: KubernetesConflict,
    HTTPStatus.GONE: ClusterGone,
}


def failure_of(status: int, message: str, target: Target) -> UpstreamError:
    """Return the error that an HTTP status means."""
    if status == HTTPStatus.FORBIDDEN:
        error = KubernetesForbidden(verb=target.verb, resource=target.resource, namespace=target.namespace)
        # Two causes look alike, a missing permission and an admission plugin's refusal; the log shows which.
        error.add_note(message)
        return error
    text = f"kube-apiserver answered {target.verb} {target.resource} with status {status}"
    text = f"{text}: {message}" if message else text
    if status in _SIMPLE:
        return _SIMPLE[status](text)
    if status == HTTPStatus.UNAUTHORIZED:
        text = "kube-apiserver does not accept the adapter's credentials (status 401)"
    return KubernetesUnavailable(text, kind="status", status=status)


def message_of(body: bytes) -> str:
    """Return what a refusal says in words: a Status' message, or the text itself."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _short(body.decode(errors="replace"))
    return status_message(document) if isinstance(document, dict) else ""


def status_message(document: Mapping[str, Any]) -> str:
    """Return the message of a Status."""
    message = document.get("message")
    return _short(message) if isinstance(message, str) else ""


def bad_answer(detail: str, target: Target) -> KubernetesUnavailable:
    """Return the error for an answer that cannot be read."""
    return KubernetesUnavailable(
        f"kube-apiserver answered {target.verb} {target.resource} with {detail}", kind="bad_answer"
    )


def _short(text: str) -> str:
    return " ".join(text.split())[:_LONGEST_MESSAGE_CHARACTERS]
