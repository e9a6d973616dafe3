"""What requests are made of: the words of right ones, what is wrong with others, and what is no HTTP at all.

The first of several choices is the plainest one, which is what hypothesis falls back to when it looks for the smallest
request that fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fuzz_wire import Caller

CALLERS: Final[tuple[Caller, ...]] = ("master", "proxy") * 6 + ("nobody", "groups", "wrong proxy")
RAW_CALLERS: Final[tuple[Caller, ...]] = ("master",) * 8 + ("nobody",) * 4 + ("forged", "no tls")
METHODS: Final = ("GET",) * 30 + (
    "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "QUERY", "get", "GETT",
)  # fmt: skip

NASTY: Final = (
    "", '"', "'", "`", "\\", "{", "}", '"} or vector(1) #', "\n", "\r\nX-A: b", "\x00", "\x7f", "a b", "a,b", "x|y", ".*",
    "<<.Series>>", "é", "🙂", "\u202e", "\u2028", "\ufeff", "\ufffd", "%", "%zz", "%00", "#", "?", "&", "=", "/", "..", ".", "-",
    "a" * 64, "a" * 254, "a" * 5000, "<script>", "-1", "NaN", "null", "true", "1e999", "9" * 30, "__name__", "Ü.b/c",
)  # fmt: skip

# ---- paths: the parts of the right ones, and what may stand in each

_C, _E, _R = "apis/custom.metrics.k8s.io", "apis/external.metrics.k8s.io/v1beta1", "apis/metrics.k8s.io"
TEMPLATES: Final = tuple(
    tuple(path.split("/"))
    for path in (
        *(f"{_C}/:version/namespaces/shop/pods/:name/load",) * 8,
        *(f"{_C}/:version/namespaces/shop/deployments.apps/:name/orders",) * 2,
        *(f"{_C}/:version/namespaces/shop/pods/:name/ranged",) * 2,
        *(f"{_C}/:version/namespaces/shop/pods/:name/held",) * 2,
        f"{_C}/:version/namespaces/shop/deployments.apps/:name/latency",
        f"{_C}/:version/nodes/:name/node_load",
        *(f"{_C}/:version/namespaces/:namespace/:resource/:name/:metric",) * 6,
        *(f"{_C}/:version/namespaces/:namespace/metrics/:metric",) * 2,
        *(f"{_C}/:version/:resource/:name/:metric",) * 2,
        *(f"{_E}/namespaces/shop/queue_depth",) * 6,
        *(f"{_E}/namespaces/:namespace/:external",) * 4,
        f"{_R}/:version/nodes",
        f"{_R}/:version/nodes/:name",
        f"{_R}/:version/pods",
        *(f"{_R}/:version/namespaces/shop/pods",) * 4,
        *(f"{_R}/:version/namespaces/:namespace/pods",) * 2,
        *(f"{_R}/:version/namespaces/:namespace/pods/:name",) * 3,
        *(":page",) * 8,
    )
)
SLOTS: Final[Mapping[str, tuple[str, ...]]] = {
    ":version": ("v1beta1",) * 20 + ("v1beta2",) * 12 + ("v1",) * 8 + ("v1beta3", "v2", "V1", ""),
    ":namespace": ("shop",) * 24 + ("*", "default", "crowd", "nope", "status", "finalize", "metrics", "pods", "SHOP"),
    ":resource": ("pods",) * 20
    + ("deployments.apps",) * 4
    + ("nodes", "namespaces", "pods.", "services", "deployments", "Pod", "po", "a.b.c", ".apps", "metrics", "watch", "proxy"),
    ":name": ("*",) * 12 + ("web-1",) * 12 + ("web", "n1", "web-2", "gone", "", "WEB-1", "-"),
    ":metric": ("load",) * 24
    + ("orders", "node_load", "secret_load", "ranged", "ranged", "held", "held", "latency", "absent", "Load", "queue_depth", "http_requests_total", "a:b", "status"),
    ":external": ("queue_depth",) * 16 + ("jobs_waiting", "emptied") * 8 + ("load", "absent", "status", "finalize", "pods", ""),
    ":page": (
        "", "apis", "apis/", "apis/custom.metrics.k8s.io", "apis/custom.metrics.k8s.io/v1beta2", "apis/external.metrics.k8s.io",
        "apis/external.metrics.k8s.io/v1beta1", "apis/metrics.k8s.io", "apis/metrics.k8s.io/v1beta1", "apis/metrics.k8s.io/v1",
        "apis/apps/v1", "api", "api/v1/pods", "healthz", "livez", "readyz", "livez/", "readyz/ping", "livez/nope", "metrics",
        "metrics/slis", "version", "version/", "openapi/v2", "openapi/v3", "openapi/v3/apis/custom.metrics.k8s.io/v1beta2",
        "openapi/v3/apis/metrics.k8s.io/v1", "openapi/v3/version", "index.html", "docs", "openapi.json", "debug/pprof/heap",
        "favicon.ico", "..", "../../etc/passwd", "-/reload", "statusz",
    ),
}  # fmt: skip
WILD_PATHS: Final = ("drop", "repeat", "insert", "replace", "case", "escape", "slash")
# Targets that are no paths.
ODD_TARGETS: Final = (
    b"*", b"x", b"?", b"//", b"http://other.example/livez", b"http://localhost:99999/apis", b"https://[::1/apis",
    b"//other.example/apis", b"/apis#fragment", b"/\xff\xfe", b"/apis?\xc3\xa9=\xff", b"localhost:443", b"/;a=b", b"/%", b"/" + b"a/" * 3000,
)  # fmt: skip

# ---- selectors and other parameters

KEYS: Final = ("app",) * 6 + ("queue", "code", "example.com/app", "app.kubernetes.io/name", "a-b", "Ü", "", "a" * 64)
VALUES: Final = ("web",) * 6 + ("a", "b", "crowd", "", "5", "-5", "a.b_c-d", "x" * 63, "x" * 64, "*")
REQUIREMENTS: Final = (
    "{k}={v}", "{k}=={v}", "{k}!={v}", "{k} in ({v},{w})", "{k} notin ({v},{w})", "{k}", "!{k}", "{k}>5", "{k}<{v}",
    "{k} in ()", "{k} in ({v}", "{k} {v}", "{k}=in", "({k})", "{k}={v}={w}", ",", " {k} = {v} ",
)  # fmt: skip
FIELDS: Final = (
    "metadata.name=web-1", "metadata.name=*", "metadata.namespace=shop", "metadata.name!=web-1", "metadata.name==web-1",
    "metadata.name=web-1,metadata.namespace=shop", "status.phase=Running", "metadata.name", "=b", "a=b\\,c", "a=b\\", "a=b=c", "",
)  # fmt: skip
INTEGERS: Final = ("5", "0", "-1", "", "5.0", "0x10", "+5", "9" * 20, "1_000", "٣")
BOOLEANS: Final = ("false", "true", "0", "1", "", "False", "no", "t")
PLAIN_PARAMETERS: Final[Mapping[str, tuple[str, ...]]] = {
    "fieldSelector": FIELDS,
    "limit": INTEGERS,
    "timeoutSeconds": INTEGERS,
    # the first of these are so short that there may be no time to answer
    "timeout": ("1ms", "1ns", "30s", "1m", "0", "-5s", "abc", "5", "", "1h2m3s", "9999999h", "1e3s", ".5s"),
    "watch": BOOLEANS,
    "allowWatchBookmarks": BOOLEANS,
    "sendInitialEvents": BOOLEANS,
    "resourceVersion": ("0", "", "12", "x"),
    "resourceVersionMatch": ("Exact", "NotOlderThan", "", "Sometimes"),
    "continue": ("", "abc"),
    "pretty": ("1", "true", "0", "", "maybe"),
    "verbose": ("", "1"),
    "exclude": ("ping", "log", "nope", ""),
    "includeObject": ("Metadata", "Object", "None", "", "All"),
    "hash": ("ABC", ""),
    "dryRun": ("All",),
}

# ---- headers

MEDIA: Final = ("application/json",) * 4 + ("application/yaml", "application/vnd.kubernetes.protobuf") * 3 + (
    "*/*", "application/*", "text/html", "application/cbor", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf", "*", "", "/",
    "json", "application/json/x", "APPLICATION/JSON",
)  # fmt: skip
MEDIA_PARAMETERS: Final = ("",) * 10 + (
    ";as=Table;v=v1;g=meta.k8s.io", ";as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", ";as=PartialObjectMetadata;v=v1beta1;g=meta.k8s.io",
) * 3 + (
    ";g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", ";as=Table", ";v=v1", ";q=0.5", ";q=0", ";q=nan", ";q=1e999", ";q=", ";pretty=1",
    ";stream=watch", ";stream=x", ";sv=1", ";charset=utf-8", ";;;", ';a="b,c"', ";a=b=c", ";" * 200,
)  # fmt: skip
LONG: Final = b"x" * 20_000
HEADERS: Final[Mapping[bytes, tuple[bytes, ...]]] = {
    b"X-Remote-User": (b"bob", b"", b"system:anonymous", b"system:admin", "ü".encode(), b"\xff\xfe", b"a,b", LONG),
    b"X-Remote-Group": (b"dev", b"", b"system:authenticated", b"system:masters,dev", b"System:Masters", b"\xff", LONG),
    b"X-Remote-Uid": (b"42", b"", b"\xff"),
    b"X-Remote-Extra-Acme.com%2Fproject": (b"a", b"", b"\xff"),
    b"X-Remote-Extra-%zz": (b"a",),
    b"X-Remote-Extra-": (b"a",),
    b"x_remote_user": (b"root",),
    b"Impersonate-User": (b"system:admin", b""),
    b"Impersonate-Group": (b"system:masters", b"dev"),
    b"Impersonate-Uid": (b"1",),
    b"Impersonate-Extra-Scopes": (b"all",),
    b"Authorization": (
        b"Bearer x", b"Bearer", b"bearer  a b", b"Basic YTpi", b"Bearer " + LONG, b"Bearer \xff\xfe", b"Negotiate x", b"", b"x",
    ),
    b"If-None-Match": (b"*", b'"x"', b'W/"x"', b'"x", "y"', b"", b"\xff", LONG),
    b"Accept-Encoding": (b"gzip", b"gzip;q=0", b"br", b"identity", b"*", b"gzip, deflate, br", b"", b"\xff", b"," * 5000),
    b"traceparent": (b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", b"00-0-0-0", b"", b"\xff", LONG),
    b"tracestate": (b"a=b", b"=" * 600),
    b"baggage": (b"a=b",),
    b"User-Agent": (b"kubectl/v1.37.0", b"curl/8.0", b"Mozilla/5.0", b"", b"\xff", LONG),
    b"Audit-ID": (b"6f1c1a4e-0000-4000-8000-000000000000", b"", b"\xff\xfe", b"a b", LONG),
    b"Connection": (b"keep-alive", b"close", b"upgrade", b"x", b""),
    b"Upgrade": (b"websocket", b"h2c", b"SPDY/3.1"),
    b"Expect": (b"100-continue", b"x"),
    b"Range": (b"bytes=0-1", b"x"),
    b"If-Modified-Since": (b"Fri, 20 Nov 2026 00:00:00 GMT", b"x"),
    b"Host": (b"other.example", b"", b"\xff"),
    b"Origin": (b"https://evil.example",),
    b"X-Forwarded-For": (b"10.0.0.1", b"x"),
    b"X-Forwarded-Uri": (b"/livez",),
    b"X-HTTP-Method-Override": (b"DELETE",),
    b"X-Original-URL": (b"/livez",),
    b"Content-Type": (b"application/json", b"application/x-www-form-urlencoded", b"\xff"),
    b"Content-Encoding": (b"gzip",),
    b"TE": (b"trailers",),
    b"Cookie": (b"a=b", LONG),
    b"X-" + b"a" * 3000: (b"a",),
}  # fmt: skip
MASTERS: Final = (b"X-Remote-Group", b"system:masters")

# ---- what is no HTTP

LIVEZ: Final = b"GET /livez HTTP/1.1\r\nHost: x\r\n"
BROKEN: Final = (
    b"", b"HELLO\r\n\r\n", b"\r\n\r\n\r\n", b"\x16\x03\x01\x00\x05hello", b"\x00" * 100, b"\xff" * 100, b"GET /livez\r\n\r\n", b"GET\r\n\r\n",
    b"GET /livez HTTP/0.9\r\n\r\n", b"GET /livez HTTP/1.0\r\n\r\n", b"GET /livez HTTP/2.0\r\n\r\n", b"GET /livez HTTP/11\r\n\r\n",
    b"GET /livez HTCPCP/1.0\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET /livez HTTP/1.1\nHost: x\n\n", b"GET  /livez  HTTP/1.1\r\n\r\n",
    b"GET\t/livez\tHTTP/1.1\r\n\r\n", b"GET /a b HTTP/1.1\r\n\r\n", b"GET /\x00 HTTP/1.1\r\n\r\n", b"GET /\x7f HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n", b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", b"CONNECT localhost:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    LIVEZ + b"no colon\r\n\r\n", LIVEZ + b"A : b\r\n\r\n", LIVEZ + b": b\r\n\r\n", LIVEZ + b"A: b\r\n folded\r\n\r\n", LIVEZ + b"A: \x00\r\n\r\n",
    LIVEZ + b"A: b\rc\r\n\r\n", LIVEZ + b"A\xff: b\r\n\r\n", LIVEZ + b"A: " + b"b" * 200_000 + b"\r\n\r\n", LIVEZ + b"A: b\r\n" * 5000 + b"\r\n",
    LIVEZ + b"Content-Length: -1\r\n\r\n", LIVEZ + b"Content-Length: 99999999999999999999\r\n\r\n", LIVEZ + b"Content-Length: 5\r\n\r\nab",
    LIVEZ + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc", LIVEZ + b"Content-Length: x\r\n\r\n", LIVEZ + b"Content-Length: 0x10\r\n\r\n",
    LIVEZ + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", LIVEZ + b"Transfer-Encoding: gzip\r\n\r\n",
    LIVEZ + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab", LIVEZ + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    LIVEZ + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", LIVEZ + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-Remote-User: a\r\n\r\n",
    LIVEZ + b"Transfer-Encoding: chunked, identity\r\n\r\n", LIVEZ + b"Upgrade: websocket\r\nConnection: upgrade\r\n\r\nrubbish",
    LIVEZ + b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: x\r\n\r\n", (LIVEZ + b"\r\n") * 20, (LIVEZ + b"\r\n") * 60,
)  # fmt: skip
SPLINTERS: Final = (
    b"", b"\r\n", b"\n", b"\r", b"\x00", b" ", b"\t", b":", b"\xff", b"%", b"?", b"#", b"HTTP/1.1", b"\r\n\r\n", b"\x7f", b"A" * 9000, b",", b"/",
)  # fmt: skip
