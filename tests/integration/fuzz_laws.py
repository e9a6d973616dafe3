"""What must hold for every answer, whatever was asked: each law is a function that says what breaks it."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

import yaml
from fuzz_wire import Answer, BrokenAnswerError, Raw, Request
from prometheus_client.parser import text_string_to_metric_families

# The value of everything that has one; it is in no request.
SENTINEL: Final = b"31337"

_OPEN_PATHS: Final = frozenset({"/healthz", "/livez", "/readyz"})
_REFUSALS: Final = frozenset({400, 401, 403})
_HEADERS: Final = frozenset(
    {
        "audit-id", "cache-control", "connection", "content-encoding", "content-length", "content-type", "date", "etag", "location",
        "vary", "x-content-type-options",
    }
)  # fmt: skip
_KINDS: Final = frozenset(
    {
        "APIGroup", "APIGroupDiscoveryList", "APIGroupList", "APIResourceList", "ExternalMetricValueList", "MetricValueList", "NodeMetrics",
        "NodeMetricsList", "PartialObjectMetadata", "PartialObjectMetadataList", "PodMetrics", "PodMetricsList", "Table",
    }
)  # fmt: skip
# What tells the documents that have no kind: the index of paths, OpenAPI, the version.
_KINDLESS: Final = frozenset({"paths", "swagger", "openapi", "gitVersion"})
_QUANTITY: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?([numkMGTPE]|[KMGTPE]i)?")
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_AUDIT_ID_CHARACTERS: Final = 64
_ENVELOPE: Final = b"k8s\x00"

Document = Mapping[str, Any]


def findings(asked: Request | Raw, answer: Answer) -> list[str]:
    """Return what is wrong with an answer, in words; nothing if all laws hold."""
    try:
        body = _uncompressed(answer)
        document = _document(answer, body)
    except (ValueError, KeyError, BrokenAnswerError, yaml.YAMLError, RecursionError) as error:
        return [f"the body cannot be read: {type(error).__name__}: {error}"]
    found = [*_of_any(asked, answer, document)]
    found += _of_request(asked, answer, body) if isinstance(asked, Request) else _of_raw(asked, answer, body)
    return found


# ---- the laws


def _of_any(asked: Request | Raw, answer: Answer, document: Document | None) -> Iterator[str]:
    if answer.status >= 500 and not (answer.status == 504 and _is_hurried(asked)):
        yield f"status {answer.status}"
    if strange := {name for name, _ in answer.headers} - _HEADERS:
        yield f"headers that we never send: {strange}"
    if document is not None:
        yield from _of_document(answer, document)
    elif answer.status >= 400 and not _has_no_body(asked) and answer.header("content-type").startswith("text/"):
        yield "an error without a Status"


def _of_document(answer: Answer, document: Document) -> Iterator[str]:
    kind = document.get("kind")
    if kind == "Status":
        if (document["apiVersion"], document["status"], document["code"]) != ("v1", "Failure", answer.status):
            yield f"a Status that does not fit status {answer.status}: {document}"
    elif answer.status >= 400:
        if answer.status != 404 or set(document) != {"paths"}:
            yield f"an error without a Status: {document}"
    elif kind not in _KINDS and not _KINDLESS & set(document):
        yield f"no document that we have: {document}"
    elif kind in {"MetricValueList", "ExternalMetricValueList"}:
        values = [item["value"] for item in document.get("items", ())]
        if not all(isinstance(value, str) and _QUANTITY.fullmatch(value) for value in values):
            yield f"values that are no quantities: {values}"


def _of_request(asked: Request, answer: Answer, body: bytes) -> Iterator[str]:
    yield from _of_audit(asked, answer)
    if _may_see(asked):
        return
    if SENTINEL in body:
        yield "a value for a caller who may see none"
    is_open = _path(asked.target) in _OPEN_PATHS and asked.caller != "wrong proxy"
    if not is_open and answer.status not in _REFUSALS:
        yield f"status {answer.status} for a caller who may do nothing"
    if asked.caller == "wrong proxy" and answer.status == 403:
        yield "a certificate that proves nothing is a 401"


def _of_raw(asked: Raw, answer: Answer, body: bytes) -> Iterator[str]:
    if asked.caller == "master":
        return
    if SENTINEL in body:
        yield "a value for a caller who may see none"
    if answer.status < 400 and body != b"ok" and not body.startswith(b"[+]"):
        yield f"status {answer.status} for a caller who may do nothing"


def _of_audit(asked: Request, answer: Answer) -> Iterator[str]:
    """Tell whether this is the answer to this request, which the id that is sent back says."""
    given, sent = answer.header("audit-id"), asked.values(b"audit-id")
    if not given:
        # What the parser refuses is answered before anybody reads the headers.
        if answer.status != 400 or not answer.is_last:
            yield "no Audit-Id"
    elif sent and sent[0]:
        if given != sent[0][:_AUDIT_ID_CHARACTERS].decode("latin-1").strip(" \t"):
            yield f"the answer to another request: {given!r}"
    elif not _UUID.fullmatch(given):
        yield f"an Audit-Id that is none: {given!r}"


def _may_see(asked: Request) -> bool:
    """Tell whether the caller is one of the masters."""
    return asked.caller == "master" or (
        asked.caller == "proxy" and b"system:masters" in asked.values(b"x-remote-group")
    )


def _is_hurried(asked: Request | Raw) -> bool:
    """Tell whether the caller says how long it may take: then it may be too long."""
    return b"timeout=" in (asked.target if isinstance(asked, Request) else asked.data)


def _has_no_body(asked: Request | Raw) -> bool:
    return isinstance(asked, Request) and asked.method == "HEAD"


def _path(target: bytes) -> str:
    return unquote(re.sub(rb"^[a-z]+://[^/]*|[?#].*", b"", target), errors="replace")


# ---- bodies, by the type that they claim


def _uncompressed(answer: Answer) -> bytes:
    if not answer.header("content-encoding"):
        return answer.body
    if answer.header("content-encoding") != "gzip":
        raise ValueError(f"content-encoding {answer.header('content-encoding')}")
    if not answer.body:
        return b""  # that of a HEAD
    try:
        return gzip.decompress(answer.body)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(str(error)) from error


def _document(answer: Answer, body: bytes) -> Document | None:
    """Return the document in a body, None for text and where there is none; raises ValueError for what is malformed."""
    media, _, _ = answer.header("content-type").partition(";")
    if media not in _READERS:
        raise ValueError(f"content-type {answer.header('content-type')!r}")
    # Redirects, what a client has already, OpenAPI in a form there is none of, and HEAD have no body.
    return _READERS[media](body) if body else None


def _json(body: bytes) -> Document:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) < len(pairs):
            raise ValueError("a key is there twice")
        return dict(pairs)

    def refused(constant: str) -> float:
        raise ValueError(f"{constant} is no JSON")

    return _mapping(json.loads(body.decode(), object_pairs_hook=once, parse_constant=refused))


def _yaml(body: bytes) -> Document:
    return _mapping(yaml.load(body.decode(), Loader=yaml.CSafeLoader))


def _text(body: bytes) -> None:
    text = body.decode()
    if text.startswith("# HELP"):
        list(text_string_to_metric_families(text))


def _protobuf(body: bytes) -> Document:
    if not body.startswith(_ENVELOPE):
        raise ValueError(f"no envelope: {body[:20]!r}")
    unknown = _fields(body[len(_ENVELOPE) :])
    kind = _fields(_bytes(unknown[1]))
    raw = _fields(_bytes(unknown[2]))
    document: dict[str, Any] = {"apiVersion": _bytes(kind[1]).decode(), "kind": _bytes(kind[2]).decode()}
    if document["kind"] == "Status":
        document |= {"status": _bytes(raw[2]).decode(), "message": _bytes(raw[3]).decode(), "code": raw[6]}
    return document


def _fields(message: bytes) -> dict[int, int | bytes]:
    """Return the last value of each field of a message that has numbers and texts only."""
    found: dict[int, int | bytes] = {}
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        length, at = _varint(message, at)
        match tag & 7:
            case 0:
                found[tag >> 3] = length
            case 2 if at + length <= len(message):
                found[tag >> 3] = message[at : at + length]
                at += length
            case _:
                raise ValueError(f"field {tag >> 3} of wire type {tag & 7} is cut off or unknown")
    return found


def _varint(message: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while at < len(message):
        byte = message[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
    raise ValueError("a number is cut off")


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise TypeError("a number where a text is due")
    return value


def _mapping(value: object) -> Document:
    if not isinstance(value, dict):
        raise ValueError(f"a {type(value).__name__} where a document is due")  # noqa: TRY004 - it is the body's fault
    return value


_READERS: Final[Mapping[str, Callable[[bytes], Document | None]]] = {
    "application/json": _json,
    "application/yaml": _yaml,
    "application/vnd.kubernetes.protobuf": _protobuf,
    "text/plain": _text,
}
