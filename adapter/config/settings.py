"""What the command line says: every setting of the adapter, with its unit in its name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, Literal

from adapter.config.codes import CODES
from adapter.config.fields import MAX_STALE_SECONDS
from adapter.config.flag_table import FLAGS, GROUPS
from adapter.config.flags import Flag, Kind
from adapter.config.names import is_header_name, is_header_value
from adapter.config.pflag import CommandLine, Slip, read_command_line
from adapter.config.problems import ConfigError, Location, Problem
from adapter.config.urls import redacted_url, url_fault
from adapter.promql.matchers import quote

_PLACE: Final = Location(file="command line")
_MAX_REQUEST_SECONDS: Final = 60.0  # what Kubernetes' API servers give a request by default, and the aggregator too
_MAX_PORT: Final = 65535
# The autoscaler's period: it asks again in this time, and must not see the same past twice as if it were now.
_HPA_PERIOD_SECONDS: Final = 15.0
_IN_CLUSTER: Final = ("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT")
_HELP_COLUMN: Final = 48
# Two labels of RFC 1123, as Kubernetes names namespaces and Services.
_SERVICE: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?/[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting; empty text means not given. What may hold a secret is left out of `repr()`."""

    config: tuple[str, ...]
    metrics_relist_interval_seconds: float
    metrics_max_age_seconds: float
    relist_concurrency: int
    objects_file: str
    compat: Literal["strict", "fixed"]
    reload_protect: bool

    prometheus_url: str = field(repr=False)
    prometheus_url_given: bool
    prometheus_verb: Literal["GET", "POST"]
    prometheus_headers: tuple[tuple[str, str], ...] = field(repr=False)
    prometheus_ca_file: str
    prometheus_client_tls_cert_file: str
    prometheus_client_tls_key_file: str
    prometheus_token_file: str
    prometheus_auth_incluster: bool
    prometheus_auth_config: str
    prometheus_timeout_seconds: float
    prometheus_max_connections: int
    prometheus_max_answer_bytes: int

    cache_ttl_seconds: float
    stale_if_error_seconds: float
    evaluation_grid_seconds: float
    max_query_bytes: int
    max_cache_bytes: int
    max_cache_entries: int
    request_timeout_seconds: float

    bind_address: str
    secure_port: int
    cert_dir: str
    tls_cert_file: str
    tls_private_key_file: str
    tls_min_version: str
    tls_cipher_suites: tuple[str, ...]
    tls_sni_cert_key: tuple[str, ...]
    metrics_bind_address: tuple[str, int] | None
    shutdown_delay_seconds: float
    self_managed_certificate: str
    self_managed_certificate_secret: str
    self_managed_certificate_life_seconds: float
    max_requests_inflight: int

    client_ca_file: str
    requestheader_client_ca_file: str
    requestheader_allowed_names: tuple[str, ...]
    requestheader_username_headers: tuple[str, ...]
    requestheader_group_headers: tuple[str, ...]
    requestheader_extra_headers_prefix: tuple[str, ...]
    requestheader_uid_headers: tuple[str, ...]
    authentication_kubeconfig: str
    authentication_skip_lookup: bool
    authentication_tolerate_lookup_failure: bool
    authentication_token_webhook_cache_ttl_seconds: float
    authorization_kubeconfig: str
    authorization_always_allow_paths: tuple[str, ...]
    authorization_webhook_cache_authorized_ttl_seconds: float
    authorization_webhook_cache_unauthorized_ttl_seconds: float
    lister_kubeconfig: str
    audit_log_path: str
    audit_log_maxsize: int
    audit_log_maxbackup: int

    verbosity: int
    log_format: Literal["text", "json"]

    @property
    def redacted_url(self) -> str:
        """Return Prometheus' address as messages may show it."""
        return redacted_url(self.prometheus_url)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """The settings of a command line, and what is odd about it."""

    settings: Settings
    warnings: tuple[str, ...]


def parse_flags(argv: Sequence[str], environment: Mapping[str, str]) -> Parsed:
    """Return the settings of a command line; a request for help (-h, --help) is for the caller to notice.

    Raises:
        ConfigError: Flags are unknown, malformed or contradict each other; it names them all.
    """
    line = read_command_line(argv, FLAGS)
    values, unreadable = _values(line)
    headers, bad_headers = _headers(values["prometheus_headers"])
    names = {one.name for one in fields(Settings)}
    settings = Settings(
        **{name: value for name, value in values.items() if name in names and name != "prometheus_headers"},
        prometheus_headers=headers,
        prometheus_url_given=any(flag.name == "prometheus-url" for flag, _ in line.given),
    )
    slips = [*line.slips, *unreadable, *bad_headers, *_contradictions(settings, environment)]
    if fatal := [slip for slip in slips if slip.fatal]:
        raise ConfigError(tuple(map(_problem, fatal)))
    cache_ttl_given = any(flag.name == "cache-ttl" for flag, _ in line.given)
    settled = _settled(settings, cache_ttl_given=cache_ttl_given)
    oddities = _oddities(line, settings, cache_ttl_seconds=settled.cache_ttl_seconds)
    warnings = [*(f"{slip.message}; {slip.hint}" for slip in slips), *oddities]
    return Parsed(settings=settled, warnings=tuple(warnings))


def _values(line: CommandLine) -> tuple[dict[str, Any], list[Slip]]:
    values: dict[str, Any] = {flag.attribute: flag.read(flag.default) for flag in FLAGS if flag.has_default}
    slips: list[Slip] = []
    added: set[Flag] = set()
    for flag, text in line.given:
        try:
            value = flag.read(text)
        except ValueError as error:
            message = f"invalid argument {quote(text)} for {quote(flag.spelling)} flag: {error}"
            slips.append(Slip(code="flag/value", message=message))
            continue
        if flag.kind.adds and flag in added:  # the first time replaces the default
            value = values[flag.attribute] + value
        added.add(flag)
        values[flag.attribute] = value
    return values, slips


def _headers(texts: Sequence[str]) -> tuple[tuple[tuple[str, str], ...], list[Slip]]:
    """Split the headers at the first equals sign; no message shows a value, which may be a secret."""
    pairs = tuple((name, value) for name, _, value in (text.partition("=") for text in texts))
    hint = "write --prometheus-header=Name=value; quotes are for the shell alone"
    slips = []
    for name, value in pairs:
        if not is_header_name(name):
            slips.append(Slip(code="flag/value", message=f"invalid header field name {quote(name)}", hint=hint))
        elif not is_header_value(value):
            slips.append(Slip(code="flag/value", message=f"invalid header field value for {quote(name)}"))
    return pairs, slips


# What must not be: code, message, and whether it is so.
def _contradictions(settings: Settings, environment: Mapping[str, str]) -> Iterator[Slip]:
    one = settings
    age = one.metrics_max_age_seconds
    fault = url_fault(one.prometheus_url)
    outside = not all(environment.get(name) for name in _IN_CLUSTER)
    cases = (
        (
            not one.config,
            "flag/missing",
            "no metrics discovery configuration file specified (make sure to use --config)",
        ),
        (
            bool(fault),
            "flag/value",
            f"invalid Prometheus URL: {fault}",
        ),
        (
            one.prometheus_verb not in ("GET", "POST"),
            "flag/value",
            f'unsupported Prometheus HTTP verb {quote(one.prometheus_verb)}; supported verbs: "GET" and "POST"',
        ),
        (
            one.prometheus_auth_incluster and bool(one.prometheus_auth_config),
            "flag/conflict",
            "may not use both in-cluster auth and an explicit kubeconfig at the same time",
        ),
        (
            one.prometheus_auth_incluster and outside,
            "flag/conflict",
            f"unable to load in-cluster configuration, {' and '.join(_IN_CLUSTER)} must be defined",
        ),
        (
            bool(one.prometheus_client_tls_cert_file) != bool(one.prometheus_client_tls_key_file),
            "flag/conflict",
            "--prometheus-client-tls-cert-file and --prometheus-client-tls-key-file need each other",
        ),
        (
            bool(one.tls_cert_file) != bool(one.tls_private_key_file),
            "flag/conflict",
            "--tls-cert-file and --tls-private-key-file need each other",
        ),
        (
            bool(one.self_managed_certificate) and bool(one.tls_cert_file),
            "flag/conflict",
            "--self-managed-certificate and --tls-cert-file exclude each other",
        ),
        (
            bool(one.self_managed_certificate) and not _SERVICE.fullmatch(one.self_managed_certificate),
            "flag/value",
            "--self-managed-certificate must be the namespace and the name of a Service: namespace/name",
        ),
        (
            0 < age < one.metrics_relist_interval_seconds,
            "flag/conflict",
            "max age must not be less than relist interval",
        ),
        (
            one.stale_if_error_seconds > MAX_STALE_SECONDS,
            "flag/value",
            f"--stale-if-error must not be above {MAX_STALE_SECONDS / 60:g}m: nobody may scale on what was long ago",
        ),
        (
            not 0 < one.secure_port <= _MAX_PORT,
            "flag/value",
            f"--secure-port {one.secure_port} must be between 1 and {_MAX_PORT}, inclusive",
        ),
    )
    return (Slip(code=code, message=message) for is_so, code, message in cases if is_so)


def _oddities(line: CommandLine, settings: Settings, *, cache_ttl_seconds: float) -> Iterator[str]:
    for flag in dict.fromkeys(flag for flag, _ in line.given if flag.idle):
        yield f"--{flag.name} has no effect: {flag.idle}"
    if settings.request_timeout_seconds > _MAX_REQUEST_SECONDS:
        yield "--request-timeout is capped at 1m"
    if settings.prometheus_timeout_seconds >= min(settings.request_timeout_seconds, _MAX_REQUEST_SECONDS):
        yield "--prometheus-timeout is not below --request-timeout, so a slow query uses up its whole request"
    if settings.stale_if_error_seconds > _HPA_PERIOD_SECONDS:
        yield "--stale-if-error is above 15s, the autoscaler's period, so it may decide on one past value several times"
    if settings.evaluation_grid_seconds and cache_ttl_seconds <= settings.evaluation_grid_seconds:
        yield "--evaluation-grid is not below --cache-ttl, so it counts only for rules with a longer cacheTTL"


def _settled(settings: Settings, *, cache_ttl_given: bool) -> Settings:
    """Return the settings with what follows from others put in place."""
    strict = settings.compat == "strict" and not cache_ttl_given
    return replace(
        settings,
        metrics_max_age_seconds=settings.metrics_max_age_seconds or settings.metrics_relist_interval_seconds,
        cache_ttl_seconds=0.0 if strict else settings.cache_ttl_seconds,
        request_timeout_seconds=min(settings.request_timeout_seconds, _MAX_REQUEST_SECONDS),
    )


def _problem(slip: Slip) -> Problem:
    severity = CODES[slip.code].severity
    return Problem(code=slip.code, severity=severity, message=slip.message, location=_PLACE, hint=slip.hint)


def help_text() -> str:
    """Return the help of `serve`: every flag by group, with its kind, effect and default."""
    lines = ["Serve metrics of Prometheus as Kubernetes metrics APIs.", "", "Usage: tidegauge [serve] FLAGS"]
    for group in GROUPS:
        lines += ["", f"{group}:", *(_help_line(flag) for flag in FLAGS if flag.group == group)]
    return "\n".join(lines)


def _help_line(flag: Flag) -> str:
    name = f"  {f'-{flag.shorthand}, ' if flag.shorthand else '    '}--{flag.name}"
    if flag.kind is not Kind.BOOL:
        name += f" {flag.kind.word}"
    default = f" (default {flag.default})" if flag.default not in ("", "false") else ""
    gap = " " * (_HELP_COLUMN - len(name)) if len(name) < _HELP_COLUMN - 1 else "\n" + " " * _HELP_COLUMN
    return f"{name}{gap}{flag.effect}{default}"
