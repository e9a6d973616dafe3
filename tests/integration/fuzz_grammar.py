"""How requests are put together, at random: mostly as right ones are, and then with something done to them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Final, TypeVar
from urllib.parse import quote, quote_from_bytes, quote_plus

from fuzz_wire import Raw, Request
from fuzz_words import (
    BROKEN,
    CALLERS,
    HEADERS,
    KEYS,
    MASTERS,
    MEDIA,
    MEDIA_PARAMETERS,
    METHODS,
    NASTY,
    ODD_TARGETS,
    PLAIN_PARAMETERS,
    RAW_CALLERS,
    REQUIREMENTS,
    SLOTS,
    SPLINTERS,
    TEMPLATES,
    VALUES,
    WILD_PATHS,
)
from hypothesis import strategies as st

T = TypeVar("T")

Batch = list[Request | Raw]

# How many are sent at once; small enough that all of a batch can be looked at when one of them fails.
_BATCH_AT_LEAST, _BATCH_AT_MOST = 8, 60


# Kept, since making and checking a strategy costs more than drawing from it.
@cache
def _in(choices: tuple[T, ...]) -> st.SearchStrategy[T]:
    return st.sampled_from(choices)


@cache
def _sometimes(one_in: int) -> st.SearchStrategy[bool]:
    return st.sampled_from((False,) * (one_in - 1) + (True,))


@cache
def _below(count: int) -> st.SearchStrategy[int]:
    return st.integers(0, count - 1)


ODD_TEXT: Final = st.one_of(_in(NASTY), st.text(st.characters(codec="utf-8"), max_size=6))


@st.composite
def paths(draw: st.DrawFn) -> bytes:
    """Draw a path, mostly of a route, sometimes with something done to it."""
    template = draw(_in(TEMPLATES))
    parts = [draw(_in(SLOTS[part])) if part in SLOTS else part for part in template]
    page = template == (":page",)
    quoted = [quote(part, safe="/" if page else "") for part in parts]
    if not draw(_sometimes(7)):
        return b"/" + "/".join(quoted).encode()
    at = draw(_below(len(quoted)))
    match draw(_in(WILD_PATHS)):
        case "drop":
            del quoted[at]
        case "repeat":
            quoted.insert(at, quoted[at])
        case "insert":
            quoted.insert(at, quote(draw(ODD_TEXT), safe=""))
        case "replace":
            quoted[at] = quote(draw(ODD_TEXT), safe=draw(_in(("", "/%;:@&=+$,"))))
        case "case":
            quoted[at] = quoted[at].swapcase()
        case "escape":
            quoted[at] = "".join(f"%{byte:02X}" for byte in parts[at].encode())
        case "slash":
            quoted[at] += draw(_in(("/", "//", "%2F", "%2f..", "/.", "\\", "%", "%f", ";a=b")))
    return b"/" + "/".join(quoted).encode()


_SHAPES: Final = st.lists(_in(REQUIREMENTS[:4] * 4 + REQUIREMENTS), max_size=3)


@st.composite
def selectors(draw: st.DrawFn) -> str:
    """Draw a selector of labels, often a right one."""
    shapes = draw(_SHAPES)
    text = ",".join(shape.format(k=draw(_in(KEYS)), v=draw(_in(VALUES)), w=draw(_in(VALUES))) for shape in shapes)
    return text + draw(ODD_TEXT) if draw(_sometimes(8)) else text


_SELECTORS: Final = selectors()
_FEW_BYTES: Final = st.binary(max_size=4)
_PARAMETER_NAMES: Final = ("labelSelector",) * 8 + ("metricLabelSelector",) * 6 + tuple(PLAIN_PARAMETERS)
_WRITINGS: Final = ("escaped",) * 10 + ("half", "twice", "broken", "bytes", "bare")


@st.composite
def parameters(draw: st.DrawFn) -> bytes:
    """Draw a query parameter as it is written."""
    name: str = draw(_in(_PARAMETER_NAMES))
    value = draw(_in(PLAIN_PARAMETERS[name])) if name in PLAIN_PARAMETERS else draw(_SELECTORS)
    if draw(_sometimes(8)):
        value = draw(ODD_TEXT)
    if draw(_sometimes(30)):
        name = quote_plus(draw(ODD_TEXT))
    match draw(_in(_WRITINGS)):
        case "half":
            return f"{name}={quote(value, safe='=,()!<>@:/;+$')}".encode()
        case "twice":
            return f"{name}={quote_plus(quote_plus(value))}".encode()
        case "broken":
            return f"{name}={quote_plus(value)}%".encode()
        case "bytes":
            return f"{name}={quote_from_bytes(draw(_FEW_BYTES))}".encode()
        case "bare":
            return name.encode()
    return f"{name}={quote_plus(value)}".encode()


_PATHS: Final = paths()
_QUERIES: Final = st.lists(parameters(), max_size=3)
_SEPARATORS: Final = (b"&",) * 12 + (b";", b"&&", b"?")


@st.composite
def targets(draw: st.DrawFn) -> bytes:
    """Draw a path with a query."""
    if draw(_sometimes(40)):
        odd: bytes = draw(_in(ODD_TARGETS))
        return odd
    path: bytes = draw(_PATHS)
    query: list[bytes] = draw(_QUERIES)
    separator: bytes = draw(_in(_SEPARATORS))
    return path + (b"?" + separator.join(query) if query else b"")


_CLAUSES: Final = st.lists(st.tuples(_in(MEDIA), _in(MEDIA_PARAMETERS)), min_size=1, max_size=3)


@st.composite
def accepts(draw: st.DrawFn) -> bytes:
    """Draw an Accept header."""
    clauses: list[tuple[str, str]] = draw(_CLAUSES)
    separator: str = draw(_in((",", ", ", ",,")))
    return separator.join(media + rest for media, rest in clauses).encode()


_ACCEPTS: Final = accepts()
_TARGETS: Final = targets()


_BODIES: Final = (b"",) * 20 + (b"{}", b"\x00" * 100, b"a" * 60_000)
_CUTS: Final = (0, 1, 5, 1_000_000)


def _headers(tags: tuple[bytes, ...]) -> st.SearchStrategy[tuple[tuple[bytes, bytes], ...]]:
    """Return what draws headers; `tags` are the ETags that there are."""
    table = {**HEADERS, b"If-None-Match": (*tags, *HEADERS[b"If-None-Match"])}
    names = (b"Accept",) * 20 + tuple(table)

    @st.composite
    def one(draw: st.DrawFn) -> tuple[bytes, bytes]:
        name = draw(_in(names))
        return name, draw(_ACCEPTS) if name == b"Accept" else draw(_in(table[name]))

    return st.lists(one(), max_size=4).map(tuple)


def _requests(tags: tuple[bytes, ...]) -> st.SearchStrategy[Request]:
    """Return what draws requests that are HTTP."""
    drawn_headers = _headers(tags)

    @st.composite
    def one(draw: st.DrawFn) -> Request:
        caller, given = draw(_in(CALLERS)), draw(drawn_headers)
        if caller == "proxy" and not draw(_sometimes(8)):
            given = ((b"X-Remote-User", b"kube-apiserver"), MASTERS, *given)
        return Request(
            caller=caller, method=draw(_in(METHODS)), target=draw(_TARGETS), headers=given, body=draw(_in(_BODIES))
        )

    return one()


def errands(tags: tuple[bytes, ...]) -> tuple[Request, ...]:
    """Return requests that chance would hardly ever put together."""
    tag_headers = tuple((b"If-None-Match", tag) for tag in tags)
    aggregated = (b"Accept", b"application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
    crowd = b"/apis/custom.metrics.k8s.io/v1beta2/namespaces/crowd/pods/*/load"
    zipped = (b"Accept-Encoding", b"gzip")
    wanted: tuple[tuple[bytes, tuple[tuple[bytes, bytes], ...]], ...] = (
        *((b"/apis", (aggregated, tag)) for tag in tag_headers),
        *((b"/openapi/v2", (tag,)) for tag in tag_headers),
        *((b"/openapi/v3", (tag,)) for tag in tag_headers),
        (b"/openapi/v3/apis/custom.metrics.k8s.io/v1beta2?hash=ABC", ()),
        (crowd, (zipped,)),
        (crowd, (zipped, (b"Accept", b"application/vnd.kubernetes.protobuf"))),
        (crowd + b"?labelSelector=app+in+(crowd)", (zipped, (b"Accept", b"application/yaml"))),
    )
    return tuple(Request(caller="master", method="GET", target=target, headers=headers) for target, headers in wanted)


def _errands(tags: tuple[bytes, ...]) -> st.SearchStrategy[Request]:
    """Return what draws one of these, from anybody."""
    return st.builds(lambda caller, errand: replace(errand, caller=caller), _in(CALLERS), _in(errands(tags)))


@st.composite
def _raws(draw: st.DrawFn, plain: st.SearchStrategy[Request]) -> Raw:
    caller = draw(_in(RAW_CALLERS))
    if draw(_in((False, True))):
        return Raw(caller=caller, data=draw(_in(BROKEN)))
    # without HEAD, whose answers have no body: what the other side makes of the splinters is its affair
    written = replace(draw(plain), method="GET").written
    for _ in range(draw(_in((1, 2, 3)))):
        at = draw(_below(400)) % (len(written) + 1)
        written = written[:at] + draw(_in(SPLINTERS)) + written[at + draw(_in(_CUTS)) :]
    return Raw(caller=caller, data=written)


def batches(tags: tuple[bytes, ...]) -> st.SearchStrategy[Batch]:
    """Return what draws requests that are sent together; one in twenty need not be HTTP."""
    requests, some_errands = _requests(tags), _errands(tags)
    raws = _raws(requests)

    @st.composite
    def one(draw: st.DrawFn) -> Request | Raw:
        match draw(_in(("request",) * 54 + ("errand",) * 3 + ("raw",) * 3)):
            case "errand":
                return draw(some_errands)
            case "raw":
                return draw(raws)
        return draw(requests)

    return st.lists(one(), min_size=_BATCH_AT_LEAST, max_size=_BATCH_AT_MOST)
