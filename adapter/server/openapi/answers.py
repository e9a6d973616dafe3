"""Who asks for OpenAPI, and what goes back: ETags, redirects to the right hash, and what is not acceptable."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from adapter.server.calls import Answer, Call
from adapter.server.openapi.documents import document_v2, document_v3

Versions = Callable[[], Sequence[tuple[str, str]]]

_JSON: Final = "application/json"
_JSON_ACCEPTED: Final = frozenset({"", "*/*", "application/*", _JSON})
_VARY: Final = (b"vary", b"Accept")
# Documents are named by their hash, so what a right hash gave never changes (k8s.io/kube-openapi, handler3).
_FOR_EVER: Final = (b"cache-control", b"public, immutable")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    """A document as it goes over the wire."""

    body: bytes
    digest: str


class OpenApi:
    """Answers `/openapi/v2` and `/openapi/v3`, and what stands below v3."""

    def __init__(self, versions: Versions, *, release: str) -> None:
        self._versions = versions
        self._release = release
        self._made: tuple[Sequence[tuple[str, str]], dict[str, _Document]] | None = None  # replaced whole

    def answer(self, call: Call) -> Answer | None:
        """Return the answer, or None for a path that is not of OpenAPI or that names no document."""
        documents = self._documents()
        path = call.path.rstrip("/")
        if path == "/openapi/v2":
            return _plain(call, documents[path])
        if path == "/openapi/v3":
            # The root is JSON, whatever is asked for.
            return _tagged(call, documents[path])
        found = documents.get(path)
        return None if found is None else _hashed(call, path, found)

    def paths(self) -> Sequence[str]:
        """Return the paths of the documents."""
        return list(self._documents())

    def _documents(self) -> dict[str, _Document]:
        versions = tuple(self._versions())
        if self._made is None or self._made[0] != versions:
            self._made = (versions, _make(versions, self._release))
        return self._made[1]


def _make(versions: Sequence[tuple[str, str]], release: str) -> dict[str, _Document]:
    found = {
        f"/openapi/v3/apis/{group}/{version}": _document(document_v3(group, version, release=release))
        for group, version in versions
    }
    root = {
        path.removeprefix("/openapi/v3/"): {"serverRelativeURL": f"{path}?hash={document.digest}"}
        for path, document in found.items()
    }
    return {
        **found,
        "/openapi/v3": _document({"paths": root}),
        "/openapi/v2": _document(document_v2(versions, release=release)),
    }


def _document(content: dict[str, Any]) -> _Document:
    body = orjson.dumps(content)
    return _Document(body=body, digest=hashlib.sha512(body).hexdigest().upper())


def _plain(call: Call, document: _Document) -> Answer:
    if not _accepts_json(call.accept):
        return Answer(status=406, body=b"", headers=(_VARY,))
    return _tagged(call, document)


def _hashed(call: Call, path: str, document: _Document) -> Answer:
    if not _accepts_json(call.accept):
        return Answer(status=406, body=b"", headers=(_VARY,))
    asked = call.parameters.get("hash")
    if asked is None:
        return _tagged(call, document)
    if asked != document.digest:
        location = f"{path}?hash={document.digest}"
        return Answer(status=301, body=b"", headers=((b"location", location.encode("latin-1")),))
    answer = _tagged(call, document)
    return Answer(status=answer.status, body=answer.body, headers=(*answer.headers, _FOR_EVER))


def _tagged(call: Call, document: _Document) -> Answer:
    tag = f'"{document.digest}"'
    headers = ((b"etag", tag.encode("ascii")), _VARY)
    if tag in {one.strip() for one in call.if_none_match.split(",")}:
        return Answer(status=304, body=b"", headers=headers)
    return Answer(body=document.body, headers=headers)


def _accepts_json(accept: str) -> bool:
    return any(one.partition(";")[0].strip() in _JSON_ACCEPTED for one in accept.split(","))
