"""In which form a caller wants the answer, and the bytes of it.

Two layers, as in Kubernetes' API servers (k8s.io/apiserver): the router looks at the bare media types, the
negotiation at quality and parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from adapter.errors import NotAcceptable
from adapter.interpreter import written_aside
from adapter.kube.protobuf import MEDIA_TYPE as PROTOBUF
from adapter.kube.protobuf import encode_protobuf, has_protobuf
from adapter.kube.yaml_form import MEDIA_TYPE as YAML
from adapter.kube.yaml_form import encode_yaml
from adapter.server.calls import Answer, Call

JSON = "application/json"
# In the order of preference, for who takes anything.
MEDIA_TYPES = (JSON, YAML, PROTOBUF)
_BINARY = frozenset({PROTOBUF})  # what a person cannot read, and a Table has no form of

# What a router's refusal lists: what lists of values, documents of discovery, and `/version` are produced as.
OF_VALUES = (*MEDIA_TYPES, f"{JSON};stream=watch", f"{PROTOBUF};stream=watch")
OF_DISCOVERY = MEDIA_TYPES
OF_VERSION = (JSON,)

# What the clients that matter send (HPA, kubectl, dynamic clients), so that the common case is one look-up.
_KNOWN: Mapping[str, str] = {
    "": JSON,
    "*/*": JSON,
    JSON: JSON,
    f"{JSON}, */*": JSON,
    f"{JSON},*/*": JSON,
    f"{PROTOBUF}, */*": PROTOBUF,
    f"{PROTOBUF},{JSON}": PROTOBUF,
}
# The longest header of a real client has three elements; what is behind these is not looked at.
_ELEMENTS_AT_MOST = 64

# So many items take about 5 ms as protobuf, less as JSON, and some forty times as long as YAML.
_ITEMS_AT_ONCE = 1000
_YAML_COST = 40

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
class Conversion:
    """Another document than the one that stands at a path: `as_` of `group`/`version`, all empty for the document."""

    as_: str = ""
    group: str = ""
    version: str = ""


AS_IT_IS = Conversion()


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How a document is written, and what it is converted to before."""

    media_type: str = JSON
    indented: bool = False
    conversion: Conversion = AS_IT_IS


COMPACT = Form()
INDENTED = Form(indented=True)

# Tells whether a path can give a conversion; most can give none.
Convertible = Callable[[Conversion], bool]


def nothing(_conversion: Conversion) -> bool:
    """Offer no conversion."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """One element of an Accept header."""

    kind: str
    subkind: str
    quality: float = 1.0
    parameters: Mapping[str, str] = field(default_factory=dict)


def check_producible(accept: str, available: tuple[str, ...] = OF_VALUES) -> None:
    """Refuse, as the router does, a caller that accepts no media type of those; parameters do not count here."""
    if accept in _KNOWN and available != OF_VERSION:
        return
    produced = {media.partition(";")[0] for media in available}
    bare = {element.partition(";")[0].strip(" ") for element in _elements(accept)} if accept else {"*/*"}
    if bare.isdisjoint((*produced, "*/*")):
        message = f"406: Not Acceptable\n\nAvailable representations: {', '.join(available)}"
        raise NotAcceptable(message, available=available)


def negotiate(call: Call, *, convertible: Convertible = nothing) -> Form:
    """Return the form a caller prefers; raises NotAcceptable if each clause asks for something that we cannot give."""
    known = _KNOWN.get(call.accept)
    if known is not None:
        return _form(call, known, AS_IT_IS, asked_pretty=False)
    for clause in sorted(_clauses(call.accept), key=lambda clause: -clause.quality):
        conversion = _conversion(clause)
        if conversion is None or (conversion != AS_IT_IS and not convertible(conversion)):
            continue
        for media_type in MEDIA_TYPES:
            if _covers(clause, media_type) and not (conversion.as_ == "Table" and media_type in _BINARY):
                return _form(call, media_type, conversion, asked_pretty=clause.parameters.get("pretty") == "1")
    message = f"only the following media types are accepted: {', '.join(MEDIA_TYPES)}"
    raise NotAcceptable(message, available=MEDIA_TYPES)


def error_form(call: Call) -> Form:
    """Return the form of an error: the negotiated one, and indented JSON for who accepts nothing of ours."""
    try:
        return negotiate(call)
    except NotAcceptable:
        return INDENTED


def respond(document: Mapping[str, Any], form: Form = COMPACT, *, status: int = 200) -> Answer:
    """Return a document as an answer; one that has no protobuf form is given as JSON."""
    media_type = form.media_type
    if media_type == PROTOBUF and not has_protobuf(document):
        media_type = JSON
    if media_type == JSON:
        return Answer(status=status, body=encode(document, indented=form.indented))
    body = encode_protobuf(document) if media_type == PROTOBUF else encode_yaml(document)
    return Answer(status=status, body=body, content_type=media_type)


async def produce(document: Mapping[str, Any], form: Form, *, items: int) -> Answer:
    """Return a document of so many items as an answer, written on a thread if that takes long: the loop goes on."""
    return await make(lambda: document, form, items=items)


async def make(document: Callable[[], Mapping[str, Any]], form: Form, *, items: int) -> Answer:
    """Return as `produce` does a document that is yet to be made, which happens on the same thread."""
    if items * (_YAML_COST if form.media_type == YAML else 1) < _ITEMS_AT_ONCE:
        return respond(document(), form)
    return await written_aside(lambda: respond(document(), form))


def encode(document: Mapping[str, object], *, indented: bool = False) -> bytes:
    """Write a document as JSON: the compact form ends with a newline, the indented one does not."""
    body = orjson.dumps(document, option=orjson.OPT_INDENT_2 if indented else orjson.OPT_APPEND_NEWLINE)
    for plain, escaped in _ESCAPES:
        body = body.replace(plain, escaped)
    return body


def _form(call: Call, media_type: str, conversion: Conversion, *, asked_pretty: bool) -> Form:
    indented = media_type == JSON and (asked_pretty or _is_pretty(call))
    if conversion == AS_IT_IS and media_type == JSON:
        return INDENTED if indented else COMPACT
    return Form(media_type=media_type, indented=indented, conversion=conversion)


def _is_pretty(call: Call) -> bool:
    """Tell whether a person reads along: `pretty` says so, and without it the name of the client."""
    asked = call.parameters.get("pretty", "")
    return asked in _TRUE if asked else call.user_agent.startswith(_INTERACTIVE)


def _covers(clause: Clause, media_type: str) -> bool:
    kind, _, subkind = media_type.partition("/")
    return clause.kind in {kind, "*"} and clause.subkind in {subkind, "*"}


def _conversion(clause: Clause) -> Conversion | None:
    """Return what a clause converts to; None if it wants a stream that is none, or a server version."""
    asked = clause.parameters
    if asked.get("stream", "") not in {"", "watch"} or asked.get("sv"):
        return None
    if not asked.keys() & {"as", "g", "v"}:
        return AS_IT_IS
    return Conversion(as_=asked.get("as", ""), group=asked.get("g", ""), version=asked.get("v", ""))


def _elements(accept: str) -> list[str]:
    return accept.split(",", _ELEMENTS_AT_MOST)[:_ELEMENTS_AT_MOST]


def _clauses(accept: str) -> Iterator[Clause]:
    """Read an Accept header as goautoneg does: what is malformed is left out."""
    for element in _elements(accept):
        media, *rest = element.split(";", _ELEMENTS_AT_MOST)
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
