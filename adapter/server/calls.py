"""What a caller sent and what goes back, without the machinery of HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus, unquote_to_bytes

if TYPE_CHECKING:
    from starlette.types import Scope, Send

_WANTED = frozenset({b"accept", b"accept-encoding", b"audit-id", b"if-none-match", b"user-agent"})
# kube-apiserver's are UUIDs of 36 characters; a longer one would stand whole in each answer and in the audit log.
_AUDIT_ID_CHARACTERS = 64
_NO_CACHE = (b"cache-control", b"no-cache, private")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request: `path` is percent-decoded, `parameters` holds the first value of each query parameter."""

    method: str = "GET"
    path: str
    query: bytes = b""
    parameters: Mapping[str, str] = field(default_factory=dict)
    accept: str = ""
    accept_encoding: str = ""
    if_none_match: str = ""
    user_agent: str = ""
    audit_id: str = ""
    port: int = 0  # the one it came in at


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One response, before the headers that all of them carry."""

    status: int = 200
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()


def read_call(scope: Scope) -> Call:
    """Read an ASGI scope; bytes that are no UTF-8 become U+FFFD, and of a repeated header the first counts."""
    headers: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        if name in _WANTED:
            headers.setdefault(name, value)
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope["query_string"]
    return Call(
        method=scope["method"],
        path=(unquote_to_bytes(raw) if b"%" in raw else raw).decode("utf-8", "replace"),
        query=query,
        parameters=read_parameters(query) if query else {},
        accept=headers.get(b"accept", b"").decode("latin-1"),
        accept_encoding=headers.get(b"accept-encoding", b"").decode("latin-1"),
        if_none_match=headers.get(b"if-none-match", b"").decode("latin-1"),
        user_agent=headers.get(b"user-agent", b"").decode("latin-1"),
        audit_id=headers.get(b"audit-id", b"")[:_AUDIT_ID_CHARACTERS].decode("latin-1"),
        port=(scope.get("server") or ("", 0))[1] or 0,
    )


def read_parameters(query: bytes) -> dict[str, str]:
    """Return the first value of each parameter; `+` is a space, and a broken escape stays as it is written."""
    found: dict[str, str] = {}
    for name, value in _pairs(query):
        found.setdefault(name, value)
    return found


def all_values(query: bytes, name: str) -> list[str]:
    """Return every value of a parameter that may be repeated."""
    return [value for key, value in _pairs(query) if key == name]


def _pairs(query: bytes) -> list[tuple[str, str]]:
    pairs = [pair.partition("=") for pair in query.decode("utf-8", "replace").split("&") if pair]
    return [(unquote_plus(name), unquote_plus(value)) for name, _, value in pairs]


async def send_answer(answer: Answer, *, audit_id: str, send: Send) -> None:
    """Write a response, with the headers that Kubernetes' API servers send on all of them."""
    start: dict[str, Any] = {
        "type": "http.response.start",
        "status": answer.status,
        "headers": [
            (b"audit-id", audit_id.encode("latin-1")),
            *(() if any(name == _NO_CACHE[0] for name, _ in answer.headers) else (_NO_CACHE,)),
            (b"content-type", answer.content_type.encode("latin-1")),
            (b"content-length", str(len(answer.body)).encode("ascii")),
            *answer.headers,
        ],
    }
    await send(start)
    await send({"type": "http.response.body", "body": answer.body})
