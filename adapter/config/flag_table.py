"""Every flag of `serve`: our own, prometheus-adapter's, and those of Kubernetes' API servers."""

from __future__ import annotations

from typing import Final

from adapter.config.flags import Flag, Kind

RULES: Final = "Rules and discovery"
PROMETHEUS: Final = "Prometheus"
ANSWERS: Final = "Answers"
SERVING: Final = "Serving"
CALLERS: Final = "Callers"
LOGS: Final = "Logs"
IDLE: Final = "Accepted, without effect"
GROUPS: Final = (RULES, PROMETHEUS, ANSWERS, SERVING, CALLERS, LOGS, IDLE)

_RULES: Final = (
    Flag(
        name="config",
        shorthand="c",
        kind=Kind.REPEATED,
        help="rules file, directory or glob; may be repeated",
        group=RULES,
    ),
    Flag(
        name="metrics-relist-interval",
        kind=Kind.DURATION,
        default="10m",
        positive=True,
        help="how often the series are discovered",
        group=RULES,
    ),
    Flag(
        name="metrics-max-age",
        kind=Kind.DURATION,
        default="0s",
        help="how far back discovery looks; 0 means as far as the relist interval",
        group=RULES,
    ),
    Flag(
        name="relist-concurrency",
        kind=Kind.INT,
        default="4",
        positive=True,
        help="how many calls of one discovery run at a time",
        group=RULES,
    ),
    Flag(
        name="reload-protect",
        kind=Kind.BOOL,
        default="false",
        help="refuse changed rules files that take away metrics which callers read within the last hour",
        group=RULES,
    ),
    Flag(name="objects-file", help="Kubernetes manifests to take objects from, instead of a cluster", group=RULES),
    Flag(
        name="lister-kubeconfig",
        help="kubeconfig of the cluster to take objects from; without it, that of the pod",
        group=RULES,
    ),
    Flag(
        name="compat",
        default="fixed",
        choices=("strict", "fixed"),
        help="strict gives prometheus-adapter's answers back also where they are its defects",
        group=RULES,
    ),
)

_PROMETHEUS: Final = (
    Flag(
        name="prometheus-url",
        default="https://localhost",
        help="address of Prometheus; its path and query are kept",
        group=PROMETHEUS,
    ),
    Flag(
        name="prometheus-verb",
        default="GET",
        help="GET or POST; long queries are posted in any case",
        group=PROMETHEUS,
    ),
    Flag(
        name="prometheus-header",
        kind=Kind.REPEATED,
        setting="prometheus_headers",
        help="name=value of a header for every request to Prometheus; may be repeated",
        group=PROMETHEUS,
    ),
    Flag(name="prometheus-ca-file", help="PEM file of the authorities to trust", group=PROMETHEUS),
    Flag(name="prometheus-client-tls-cert-file", help="PEM file of a client certificate", group=PROMETHEUS),
    Flag(name="prometheus-client-tls-key-file", help="PEM file of the certificate's key", group=PROMETHEUS),
    Flag(name="prometheus-token-file", help="file of a bearer token, read again when it changes", group=PROMETHEUS),
    Flag(
        name="prometheus-auth-incluster",
        kind=Kind.BOOL,
        default="false",
        help="log in with the pod's service account",
        group=PROMETHEUS,
    ),
    Flag(name="prometheus-auth-config", help="kubeconfig whose credentials and CA are used", group=PROMETHEUS),
    Flag(
        name="prometheus-timeout",
        kind=Kind.DURATION,
        default="5s",
        positive=True,
        help="limit of one query",
        group=PROMETHEUS,
    ),
    Flag(
        name="prometheus-max-connections",
        kind=Kind.INT,
        default="20",
        positive=True,
        help="connections to Prometheus at a time",
        group=PROMETHEUS,
    ),
    Flag(
        name="prometheus-max-answer-bytes",
        kind=Kind.BYTES,
        default="64Mi",
        positive=True,
        help="largest answer that is read; of an instant query at most 16Mi",
        group=PROMETHEUS,
    ),
)

_ANSWERS: Final = (
    # 16 KiB: VictoriaMetrics refuses longer queries (-search.maxQueryLen), and no server is known to take fewer.
    Flag(
        name="max-query-bytes",
        kind=Kind.BYTES,
        default="16Ki",
        positive=True,
        help="longest query that is sent, where it can be divided; names are asked for in several then",
        group=ANSWERS,
    ),
    Flag(
        name="cache-ttl",
        kind=Kind.DURATION,
        default="10s",
        help="how old an answer may get; 0 turns the cache off, which --compat=strict does too",
        group=ANSWERS,
    ),
    Flag(
        name="stale-if-error",
        kind=Kind.DURATION,
        default="0s",
        help="how long after its TTL the last answer is told while refreshes fail; at most 5m, 0 is never",
        group=ANSWERS,
    ),
    Flag(
        name="evaluation-grid",
        kind=Kind.DURATION,
        default="0s",
        help="evaluate queries at multiples of this, so that replicas send the same; below --cache-ttl, 0 is now",
        group=ANSWERS,
    ),
    # Twice what ten thousand autoscalers keep alive, as the cache reckons its bytes. A cache that is too small
    # is worse than none: what a shared query brings for many is gone before they ask.
    Flag(
        name="max-cache-bytes",
        kind=Kind.BYTES,
        default="256Mi",
        positive=True,
        help="size of the cache of answers",
        group=ANSWERS,
    ),
    Flag(
        name="max-cache-entries",
        kind=Kind.INT,
        default="50000",
        positive=True,
        help="answers in the cache",
        group=ANSWERS,
    ),
    Flag(
        name="request-timeout",
        kind=Kind.DURATION,
        default="9s",
        positive=True,
        help="limit of one request for metrics; at most 1m",
        group=ANSWERS,
    ),
)

_SERVING: Final = (
    Flag(name="bind-address", kind=Kind.IP, default="0.0.0.0", help="address to listen on", group=SERVING),  # noqa: S104 - the reference's default
    Flag(name="secure-port", kind=Kind.INT, default="443", help="HTTPS port to listen on", group=SERVING),
    Flag(
        name="cert-dir",
        default="apiserver.local.config/certificates",
        help="where a self-signed certificate is kept if no files are given",
        group=SERVING,
    ),
    Flag(name="tls-cert-file", help="PEM file of the serving certificate", group=SERVING),
    Flag(name="tls-private-key-file", help="PEM file of the certificate's key", group=SERVING),
    Flag(
        name="tls-sni-cert-key",
        kind=Kind.REPEATED,
        help="certificate,key or certificate,key:name,*.name, shown to who asks for such a name; may be repeated",
        group=SERVING,
    ),
    Flag(
        name="tls-min-version",
        help="VersionTLS12 (the default; lower ones mean it too) or VersionTLS13",
        group=SERVING,
    ),
    Flag(
        name="tls-cipher-suites",
        kind=Kind.LIST,
        help="IANA names of the suites of TLS 1.2; those of TLS 1.3 cannot be chosen",
        group=SERVING,
    ),
    Flag(
        name="self-managed-certificate",
        help="namespace/name of a Service; its certificate is made, kept in a Secret, and trusted by the APIServices",
        group=SERVING,
    ),
    Flag(
        name="self-managed-certificate-secret",
        help="name of that Secret; without it the Service's with -serving-cert",
        group=SERVING,
    ),
    Flag(
        name="self-managed-certificate-life",
        kind=Kind.DURATION,
        default="2160h",
        positive=True,
        setting="self_managed_certificate_life_seconds",
        help="how long such a certificate is valid; it is renewed after two thirds",
        group=SERVING,
    ),
    # The default of k8s.io/apiserver.
    Flag(
        name="metrics-bind-address",
        kind=Kind.BIND,
        help="address:port or :port to show the adapter's own metrics on over plain HTTP, to anybody",
        group=SERVING,
    ),
    Flag(
        name="max-requests-inflight",
        kind=Kind.INT,
        default="400",
        help="requests at a time, more get 429; 0 is no limit",
        group=SERVING,
    ),
    Flag(
        name="shutdown-delay-duration",
        kind=Kind.DURATION,
        default="0s",
        setting="shutdown_delay_seconds",
        help="how long requests are still taken after SIGTERM",
        group=SERVING,
    ),
)


def _caller(name: str, kind: Kind, default: str, text: str) -> Flag:
    return Flag(name=name, kind=kind, default=default, help=text, group=CALLERS)


_CALLERS: Final = (
    _caller("client-ca-file", Kind.STRING, "", "PEM file of the authorities of client certificates"),
    _caller("requestheader-client-ca-file", Kind.STRING, "", "PEM file of the front proxy's authorities"),
    _caller("requestheader-allowed-names", Kind.LIST, "", "common names of front proxies; none means any"),
    _caller("requestheader-username-headers", Kind.LIST, "x-remote-user", "headers that name the user"),
    _caller("requestheader-group-headers", Kind.LIST, "x-remote-group", "headers that name the user's groups"),
    _caller("requestheader-extra-headers-prefix", Kind.LIST, "x-remote-extra-", "prefixes of headers with more"),
    _caller("requestheader-uid-headers", Kind.LIST, "", "headers that hold the user's id"),
    _caller("authentication-kubeconfig", Kind.STRING, "", "kubeconfig for token reviews"),
    _caller("authentication-skip-lookup", Kind.BOOL, "false", "do not read the cluster's authentication settings"),
    _caller("authentication-tolerate-lookup-failure", Kind.BOOL, "false", "go on if they cannot be read"),
    _caller("authentication-token-webhook-cache-ttl", Kind.DURATION, "10s", "how long a token review is kept"),
    _caller("authorization-kubeconfig", Kind.STRING, "", "kubeconfig for access reviews"),
    _caller("authorization-always-allow-paths", Kind.LIST, "/healthz,/readyz,/livez", "paths that are open to all"),
    _caller("authorization-webhook-cache-authorized-ttl", Kind.DURATION, "10s", "how long a permission is kept"),
    _caller("authorization-webhook-cache-unauthorized-ttl", Kind.DURATION, "10s", "how long a refusal is kept"),
    _caller("audit-log-path", Kind.STRING, "", "file for a line about each metric that is read; - is standard output"),
    _caller("audit-log-maxsize", Kind.INT, "100", "megabytes of a file of the audit log before it is put aside"),
    _caller("audit-log-maxbackup", Kind.INT, "100", "files of the audit log that are kept beside it"),
)

_LOGS: Final = (
    Flag(
        name="v",
        shorthand="v",
        kind=Kind.INT,
        default="0",
        setting="verbosity",
        help="verbosity; from 6 on, every call to Prometheus",
        group=LOGS,
    ),
    Flag(name="log-format", default="text", choices=("text", "json"), help="text or json", group=LOGS),
)


def _idle(reason: str, **kinds: str) -> tuple[Flag, ...]:
    """Return flags of other API servers, by kind, that do nothing here for one reason."""
    return tuple(
        Flag(name=name, kind=Kind[kind], group=IDLE, idle=reason)
        for kind, names in kinds.items()
        for name in names.split()
    )


_IDLE: Final = (
    *_idle(
        "only HTTP/1.1 is served",
        BOOL="disable-http2 disable-http2-serving",
        INT="http2-max-streams-per-connection",
        FLOAT="goaway-chance",
    ),
    *_idle("the TLS library chooses", LIST="tls-curve-preferences"),
    *_idle("the port is not shared", BOOL="permit-port-sharing permit-address-sharing"),
    *_idle(
        "objects are watched, so few requests are made",
        DURATION="discovery-interval",
        FLOAT="client-qps",
        INT="client-burst",
    ),
    *_idle(
        "the audit log has one form, and a line for each read",
        STRING="audit-policy-file audit-log-format audit-log-version audit-log-mode"
        " audit-webhook-config-file audit-webhook-version audit-webhook-mode",
        INT="audit-log-maxage audit-log-batch-buffer-size"
        " audit-log-batch-max-size audit-log-batch-throttle-burst audit-log-truncate-max-batch-size"
        " audit-log-truncate-max-event-size audit-webhook-batch-buffer-size audit-webhook-batch-max-size"
        " audit-webhook-batch-throttle-burst audit-webhook-truncate-max-batch-size"
        " audit-webhook-truncate-max-event-size",
        FLOAT="audit-log-batch-throttle-qps audit-webhook-batch-throttle-qps",
        BOOL="audit-log-compress audit-log-batch-throttle-enable audit-log-truncate-enabled"
        " audit-webhook-batch-throttle-enable audit-webhook-truncate-enabled",
        DURATION="audit-log-batch-max-wait audit-webhook-batch-max-wait audit-webhook-initial-backoff"
        " audit-webhook-batch-initial-backoff",
    ),
    *_idle("there is no profiler", BOOL="profiling contention-profiling", STRING="debug-socket-path"),
    *_idle(
        "requests are not queued",
        BOOL="enable-priority-and-fairness",
        INT="max-mutating-requests-inflight min-request-timeout",
    ),
    *_idle(
        "the server ends when its requests have ended",
        BOOL="shutdown-send-retry-after",
        DURATION="shutdown-watch-termination-grace-period livez-grace-period",
    ),
    *_idle("the server needs no name of its own", STRING="external-hostname", IP="advertise-address"),
    *_idle("browsers are not served", LIST="cors-allowed-origins strict-transport-security-directives"),
    *_idle("there are no feature gates", REPEATED="feature-gates"),
    *_idle(
        "the adapter's own metrics are always shown",
        STRING="show-hidden-metrics-for-version allow-metric-labels-manifest",
        LIST="disabled-metrics",
        REPEATED="allow-metric-labels",
    ),
    *_idle(
        "logs go to standard error, see --log-format",
        BOOL="logtostderr alsologtostderr add-dir-header skip-headers skip-log-headers one-output"
        " log-text-split-stream log-json-split-stream legacy-stderr-threshold-behavior",
        STRING="stderrthreshold log-dir log-file log-backtrace-at logging-format vmodule",
        INT="log-file-max-size",
        BYTES="log-text-info-buffer-size log-json-info-buffer-size",
        DURATION="log-flush-frequency",
    ),
)

FLAGS: Final[tuple[Flag, ...]] = (*_RULES, *_PROMETHEUS, *_ANSWERS, *_SERVING, *_CALLERS, *_LOGS, *_IDLE)
