"""How callers are told that they may not: as Kubernetes' API servers tell it."""

from __future__ import annotations

from dataclasses import replace

from adapter.errors import AccessDenied, AdapterError, AuthorizerFailed, Unauthenticated
from adapter.kube.gotext import quoted
from adapter.server.calls import Answer, Call
from adapter.server.negotiation import error_form, respond
from adapter.server.status import status_of

_NOSNIFF = ((b"x-content-type-options", b"nosniff"),)


def is_refusal(error: AdapterError) -> bool:
    """Tell whether an error is one of a caller who was not let in."""
    return isinstance(error, (Unauthenticated, AccessDenied, AuthorizerFailed))


def refusal(error: AdapterError, call: Call, *, target: str) -> Answer:
    """Return the answer to who was not let in; `target` is the request's path and query as they came."""
    if isinstance(error, AuthorizerFailed):
        text = f"Internal Server Error: {quoted(target)}: {error}\n"
        for plain, escaped in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
            text = text.replace(plain, escaped)
        body = text.encode("utf-8", "replace")
        return Answer(status=500, body=body, content_type="text/plain; charset=utf-8", headers=_NOSNIFF)
    document = status_of(error)
    answer = respond(document, error_form(call), status=document["code"])
    return replace(answer, headers=(*answer.headers, *_NOSNIFF)) if isinstance(error, AccessDenied) else answer
