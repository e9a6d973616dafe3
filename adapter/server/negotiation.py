"""In which form a caller wants the answer, and the bytes of it.

Two layers, as in Kubernetes' API servers (k8s.io/apiserver): the router looks at the bare media types, the
negotiation at quality and parameters. JSON is what is produced so far.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import orjson

from adapter.errors import NotAcceptable
from adapter.server.calls import Call

JSON = "application/json"
PRODUCED = (JSON,)

# What the clients that matter send (HPA, kubectl, dynamic clients), so that the common case is one look-up.
_KNOWN = frozenset({"", "*/*", JSON, f"{JSON}, */*", f"{JSON},*/*", "application/vnd.kubernetes.protobuf, */*"})

# strconv.ParseBool
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_INTERACTIVE = ("curl", "Wget", "Mozilla/5.0")

# encoding/json escapes these, so that JSON may stand in a page of HTML and in JavaScript; they occur in strings only.
_ESCAPES = (
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    (b"&", b"\\u0026"),
    ("\u2028".encode(), b"\\u2028"),
    ("\u2029".encode(), b"\\u2029"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How a document is written."""

    indented: bool = False


COMPACT = Form()
INDENTED = Form(indented=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """One element of an Accept header."""

    kind: str
    subkind: str
    quality: float = 1.0
    parameters: Mapping[str, str] = field(default_factory=dict)


def check_producible(accept: str) -> None:
    """Refuse, as the router does, a caller that accepts no media type that we produce; parameters do not count here."""
    if accept in _KNOWN:
        return
    bare = {element.partition(";")[0].strip(" ") for element in accept.split(",")}
    if bare.isdisjoint((*PRODUCED, "*/*")):
        available = ", ".join(PRODUCED)
        message = f"406: Not Acceptable\n\nAvailable representations: {available}"
        raise NotAcceptable(message, available=PRODUCED)


def negotiate(call: Call) -> Form:
    """Return the form a caller prefers; raises NotAcceptable if each clause asks for something that we cannot give."""
    if call.accept in _KNOWN:
        return _form(call, asked_pretty=False)
    for clause in sorted(_clauses(call.accept), key=lambda clause: -clause.quality):
        if _is_json(clause) and _is_plain(clause):
            return _form(call, asked_pretty=clause.parameters.get("pretty") == "1")
    available = ", ".join(PRODUCED)
    message = f"only the following media types are accepted: {available}"
    raise NotAcceptable(message, available=PRODUCED)


def error_form(call: Call) -> Form:
    """Return the form of an error: the negotiated one, and indented JSON for who accepts nothing of ours."""
    try:
        return negotiate(call)
    except NotAcceptable:
        return INDENTED


def encode(document: Mapping[str, object], form: Form = COMPACT) -> bytes:
    """Write a document: compact JSON ends with a newline, indented JSON does not."""
    body = orjson.dumps(document, option=orjson.OPT_INDENT_2 if form.indented else orjson.OPT_APPEND_NEWLINE)
    for plain, escaped in _ESCAPES:
        body = body.replace(plain, escaped)
    return body


def _form(call: Call, *, asked_pretty: bool) -> Form:
    return INDENTED if asked_pretty or _is_pretty(call) else COMPACT


def _is_pretty(call: Call) -> bool:
    """Tell whether a person reads along: `pretty` says so, and without it the name of the client."""
    asked = call.parameters.get("pretty", "")
    return asked in _TRUE if asked else call.user_agent.startswith(_INTERACTIVE)


def _is_json(clause: Clause) -> bool:
    return (clause.kind, clause.subkind) in {("application", "json"), ("application", "*"), ("*", "*")}


def _is_plain(clause: Clause) -> bool:
    """Tell whether a clause asks for the document itself: no conversion, no stream but `watch`, no server version."""
    asked = clause.parameters
    if "as" in asked or "g" in asked or "v" in asked:
        return False
    return asked.get("stream", "") in {"", "watch"} and not asked.get("sv")


def _clauses(accept: str) -> Iterator[Clause]:
    """Read an Accept header as goautoneg does: what is malformed is left out."""
    for element in accept.split(","):
        media, *rest = element.split(";")
        kind, slash, subkind = (part.strip() for part in media.partition("/"))
        if not slash and kind == "*":
            subkind = "*"
        if not subkind or "/" in subkind:
            continue
        parameters = dict(_parameters(rest))
        yield Clause(kind=kind, subkind=subkind, quality=_quality(parameters.pop("q", "1")), parameters=parameters)


def _parameters(texts: list[str]) -> Iterator[tuple[str, str]]:
    for text in texts:
        name, equals, value = text.partition("=")
        if equals and value and "=" not in value:
            yield name.strip(), value.strip()


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
