"""The command line: pflag's syntax, every flag's value, and what contradicts what."""

from __future__ import annotations

import shlex
from dataclasses import fields

import pytest

from adapter.config.flag_table import FLAGS, GROUPS, IDLE
from adapter.config.flags import Kind
from adapter.config.problems import ConfigError
from adapter.config.settings import Parsed, Settings, help_text, parse_flags
from adapter.config.urls import redacted_url

IN_CLUSTER = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
DERIVED = {"prometheus_url_given"}


def parsed(line: str) -> Parsed:
    """Parse a command line to which a rules file is added."""
    return parse_flags(["--config=rules.yaml", *shlex.split(line)], {})


def refused(line: str, environment: dict[str, str] | None = None) -> list[str]:
    """Return what is said about a command line that is refused."""
    with pytest.raises(ConfigError) as caught:
        parse_flags(shlex.split(line), environment or {})
    return [one.message for one in caught.value.problems]


def test_defaults() -> None:
    """Without flags the adapter does what prometheus-adapter does, and keeps answers for ten seconds."""
    settings = parsed("").settings

    assert settings.config == ("rules.yaml",)
    assert (settings.prometheus_url, settings.prometheus_url_given) == ("https://localhost", False)
    assert (settings.metrics_relist_interval_seconds, settings.metrics_max_age_seconds) == (600.0, 600.0)
    assert (settings.bind_address, settings.secure_port) == ("0.0.0.0", 443)  # noqa: S104 - the reference's default
    assert (settings.cache_ttl_seconds, settings.prometheus_timeout_seconds) == (10.0, 5.0)
    assert (settings.request_timeout_seconds, settings.compat, settings.verbosity) == (9.0, "fixed", 0)
    assert settings.authorization_always_allow_paths == ("/healthz", "/readyz", "/livez")


@pytest.mark.parametrize(
    ("line", "attribute", "value"),
    [
        ("--secure-port=6443", "secure_port", 6443),
        ("--secure-port 6443", "secure_port", 6443),
        ("--secure-port=0x192b", "secure_port", 6443),
        ("--secure-port=1 --secure-port=2", "secure_port", 2),
        ("-v=6", "verbosity", 6),
        ("-v 6", "verbosity", 6),
        ("-v6", "verbosity", 6),
        ("--v=6", "verbosity", 6),
        ("--v 6", "verbosity", 6),
        ("--prometheus-auth-config=", "prometheus_auth_config", ""),
        ("--authentication-skip-lookup", "authentication_skip_lookup", True),
        ("--authentication-skip-lookup=false", "authentication_skip_lookup", False),
        ("--authentication-skip-lookup=T", "authentication_skip_lookup", True),
        ("--tls-cipher-suites=A,B --tls-cipher-suites C", "tls_cipher_suites", ("A", "B", "C")),
        ("--tls-cipher-suites='\"A,B\",C'", "tls_cipher_suites", ("A,B", "C")),
        ("--tls-cipher-suites=", "tls_cipher_suites", ()),
        ("--authorization-always-allow-paths=/a", "authorization_always_allow_paths", ("/a",)),
        ("--authorization_always_allow_paths=/a", "authorization_always_allow_paths", ("/a",)),
        ("--config=b,c -c d -c=e -cf --config g", "config", ("rules.yaml", "b,c", "d", "e", "f", "g")),
        ("--prometheus-header=A=b=c --prometheus-header B", "prometheus_headers", (("A", "b=c"), ("B", ""))),
        ("--metrics-relist-interval=1m30s", "metrics_relist_interval_seconds", 90.0),
        ("--metrics-relist-interval=1m --metrics-max-age=0", "metrics_max_age_seconds", 60.0),
        ("--metrics-max-age=1h", "metrics_max_age_seconds", 3600.0),
        ("--cache-ttl=0", "cache_ttl_seconds", 0.0),
        ("--compat=strict", "cache_ttl_seconds", 0.0),
        ("--compat=strict --cache-ttl=5s", "cache_ttl_seconds", 5.0),
        ("--cache-ttl=10s", "stale_if_error_seconds", 0.0),
        ("--stale-if-error=5m", "stale_if_error_seconds", 300.0),
        ("--evaluation-grid=2.5s", "evaluation_grid_seconds", 2.5),
        ("--max-cache-bytes=1Gi", "max_cache_bytes", 2**30),
        ("--max-cache-bytes=1000", "max_cache_bytes", 1000),
        ("--request-timeout=30s", "request_timeout_seconds", 30.0),
        ("--request-timeout=5m", "request_timeout_seconds", 60.0),
        ("--bind-address=::", "bind_address", "::"),
        ("--shutdown-delay-duration=3s", "shutdown_delay_seconds", 3.0),
        ("--prometheus-url=https://localhost", "prometheus_url_given", True),
        ("--prometheus-verb=POST", "prometheus_verb", "POST"),
        ("--log-format=json", "log_format", "json"),
    ],
)
def test_a_flag_is_read_as_pflag_reads_it(line: str, attribute: str, value: object) -> None:
    """Each spelling that Kubernetes' programs take gives the value that it gives them."""
    assert getattr(parsed(line).settings, attribute) == value


@pytest.mark.parametrize(
    ("line", "messages"),
    [
        ("", ["no metrics discovery configuration file specified (make sure to use --config)"]),
        ("-c a --confg=b", ["unknown flag: --confg"]),
        ("-c a --foo bar --baz=x -v=1", ["unknown flag: --foo", "unknown flag: --baz"]),
        ("-c a -x", ["unknown shorthand flag: 'x' in -x"]),
        ("-config=a -c b", ["unknown shorthand flag: 'o' in -config"]),
        ("-c a --=x ---y", ["bad flag syntax: --=", "bad flag syntax: ---y"]),
        ("-c a --secure-port", ["flag needs an argument: --secure-port"]),
        ("-c a -v", ["flag needs an argument: 'v' in -v"]),
        ("-c a stray -- --more", ['unexpected argument "stray"', 'unexpected argument "--more"']),
        (
            "-c a --metrics-relist-interval=abc",
            ['invalid argument "abc" for "--metrics-relist-interval" flag: time: invalid duration "abc"'],
        ),
        ("-c a -v=x", ['invalid argument "x" for "-v, --v" flag: strconv.ParseInt: parsing "x": invalid syntax']),
        (
            "-c a --v=99999999999999999999",
            [
                (
                    'invalid argument "99999999999999999999" for "-v, --v" flag:'
                    ' strconv.ParseInt: parsing "99999999999999999999": value out of range'
                )
            ],
        ),
        (
            "-c a --authentication-skip-lookup=maybe",
            [
                (
                    'invalid argument "maybe" for "--authentication-skip-lookup" flag:'
                    ' strconv.ParseBool: parsing "maybe": invalid syntax'
                )
            ],
        ),
        ("-c a --bind-address=host", ['invalid argument "host" for "--bind-address" flag: failed to parse IP: "host"']),
        ("-c a --compat=loose", ['invalid argument "loose" for "--compat" flag: must be strict or fixed']),
        ("-c a --cache-ttl=-1s", ['invalid argument "-1s" for "--cache-ttl" flag: must not be negative']),
        (
            "-c a --stale-if-error=301s",
            ["--stale-if-error must not be above 5m: nobody may scale on what was long ago"],
        ),
        ("-c a --prometheus-timeout=0", ['invalid argument "0" for "--prometheus-timeout" flag: must be more than 0']),
        ("-c a --secure-port=0", ["--secure-port 0 must be between 1 and 65535, inclusive"]),
        (
            "-c a --prometheus-verb=PUT",
            ['unsupported Prometheus HTTP verb "PUT"; supported verbs: "GET" and "POST"'],
        ),
        ("-c a --metrics-max-age=5m", ["max age must not be less than relist interval"]),
        ("-c a --prometheus-header='\"A: b'", ['invalid header field name "\\"A: b"']),
        ("-c a --prometheus-url=prometheus:9090", ["invalid Prometheus URL: it must begin with http:// or https://"]),
        ("-c a --tls-cert-file=x", ["--tls-cert-file and --tls-private-key-file need each other"]),
        (
            "-c a --prometheus-client-tls-key-file=x",
            ["--prometheus-client-tls-cert-file and --prometheus-client-tls-key-file need each other"],
        ),
        (
            "-c a --prometheus-auth-incluster",
            [
                (
                    "unable to load in-cluster configuration,"
                    " KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must be defined"
                )
            ],
        ),
        (
            "--secure-port=x --foo=1",
            [
                "unknown flag: --foo",
                'invalid argument "x" for "--secure-port" flag: strconv.ParseInt: parsing "x": invalid syntax',
                "no metrics discovery configuration file specified (make sure to use --config)",
            ],
        ),
    ],
)
def test_all_that_is_wrong_is_said_at_a_time(line: str, messages: list[str]) -> None:
    """Mistakes are named in the words of pflag and of prometheus-adapter, all of them."""
    assert refused(line) == messages


def test_in_cluster_and_a_kubeconfig_exclude_each_other() -> None:
    """Two ways to log in are refused in prometheus-adapter's words."""
    assert refused("-c a --prometheus-auth-incluster --prometheus-auth-config=x", IN_CLUSTER) == [
        "may not use both in-cluster auth and an explicit kubeconfig at the same time"
    ]


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("-c a --confg=b", "did you mean --config?"),
        ("-c a -config=b", "did you mean --config?"),
        ("-c a --prometheus_ulr=b", "did you mean --prometheus-url?"),
        ("-c a --zzz=b", "see --help"),
    ],
)
def test_an_unknown_flag_gets_the_nearest(line: str, hint: str) -> None:
    """A typing error is recognised."""
    with pytest.raises(ConfigError) as caught:
        parse_flags(shlex.split(line), {})

    assert caught.value.problems[0].hint == hint


@pytest.mark.parametrize(
    ("line", "warnings"),
    [
        ("", ()),
        (
            "--logtostderr --logtostderr=true",
            ("--logtostderr has no effect: logs go to standard error, see --log-format",),
        ),
        ("--log_dir=/tmp", ("--log-dir has no effect: logs go to standard error, see --log-format",)),
        (
            "--audit-log-mode=batch",
            ("--audit-log-mode has no effect: the audit log has one form, and a line for each read",),
        ),
        (
            "--disable-http2 false",
            (
                '"false" after --disable-http2 is ignored; write --disable-http2=false',
                "--disable-http2 has no effect: only HTTP/1.1 is served",
            ),
        ),
        ("--request-timeout=2m", ("--request-timeout is capped at 1m",)),
        ("--stale-if-error=15s --evaluation-grid=9s", ()),
        (
            "--stale-if-error=16s",
            (
                "--stale-if-error is above 15s, the autoscaler's period, so it may decide on one past value several times",
            ),
        ),
        (
            "--evaluation-grid=10s",
            ("--evaluation-grid is not below --cache-ttl, so it counts only for rules with a longer cacheTTL",),
        ),
        (
            "--evaluation-grid=5s --compat=strict",
            ("--evaluation-grid is not below --cache-ttl, so it counts only for rules with a longer cacheTTL",),
        ),
        (
            "--prometheus-timeout=10s",
            ("--prometheus-timeout is not below --request-timeout, so a slow query uses up its whole request",),
        ),
    ],
)
def test_what_is_odd_is_a_warning(line: str, warnings: tuple[str, ...]) -> None:
    """Flags without effect are accepted with one warning each."""
    assert parsed(line).warnings == warnings


@pytest.mark.parametrize(
    "line",
    [
        # what prometheus-adapter's chart and manifests start it with
        (
            "--secure-port=6443 --cert-dir=/tmp/cert --prometheus-url=http://prometheus.default.svc:9090"
            " --metrics-relist-interval=1m --v=4 --config=/etc/adapter/config.yaml"
        ),
        (
            "--cert-dir=/var/run/serving-cert --config=/etc/adapter/config.yaml --metrics-relist-interval=1m"
            " --prometheus-url=https://prometheus.monitoring.svc:9090/ --secure-port=6443"
            " --tls-cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_RSA_WITH_AES_256_CBC_SHA"
            " --tls-cert-file=/var/run/serving-cert/tls.crt --tls-private-key-file=/var/run/serving-cert/tls.key"
            " --prometheus-verb=POST --logtostderr=true --enable-priority-and-fairness=false"
        ),
        (
            "--config r.yaml --prometheus-url http://127.0.0.1:9 --secure-port 6443 --bind-address 127.0.0.1"
            " --tls-cert-file c --tls-private-key-file k --client-ca-file ca --objects-file o"
            " --authentication-skip-lookup --metrics-relist-interval 10m --metrics-max-age 1h"
        ),
    ],
)
def test_command_lines_of_prometheus_adapter_are_accepted(line: str) -> None:
    """Who changes the image changes nothing else."""
    assert parse_flags(shlex.split(line), {}).settings.secure_port == 6443


def test_a_password_is_nowhere_but_in_the_address() -> None:
    """Settings can be logged: neither the address nor headers show a secret, and neither do refusals."""
    line = "--prometheus-url=https://scott:tiger@prometheus:9090/p?token=tiger --prometheus-header=Authorization=tiger"

    settings = parsed(line).settings

    assert "tiger" not in repr(settings)
    assert settings.redacted_url == "https://scott:xxxxx@prometheus:9090/p?token=xxxxx"
    wrong = "http://scott:tiger@host:99999 --prometheus-header=A=tiger\\\n --prometheus-ulr=http://scott:tiger@b"
    assert "tiger" not in str(refused(f"-c a --prometheus-url={wrong} http://scott:tiger@host"))


@pytest.mark.parametrize(
    ("url", "redacted"),
    [
        ("http://prometheus:9090/", "http://prometheus:9090/"),
        ("http://token@prometheus", "http://xxxxx@prometheus"),
        ("http://a:b@[::1]:9090/x?y=z&w", "http://a:xxxxx@[::1]:9090/x?y=xxxxx&w=xxxxx"),
        ("scott:tiger@host", "(an address that cannot be read)"),
    ],
)
def test_an_address_can_be_shown(url: str, redacted: str) -> None:
    """Passwords, tokens and the values of a query are hidden, the rest is there."""
    assert redacted_url(url) == redacted


def test_every_setting_comes_from_a_flag() -> None:
    """The table of flags and the settings agree, and no flag that has an effect is lost."""
    attributes = {flag.attribute for flag in FLAGS if flag.has_default}
    names = {one.name for one in fields(Settings)} - DERIVED

    assert names <= attributes
    assert {flag.attribute for flag in FLAGS if not flag.idle} <= names


def test_the_table_of_flags_is_sound() -> None:
    """Names are unique, groups exist, defaults can be read, and what does nothing says why."""
    assert len({flag.name for flag in FLAGS}) == len(FLAGS)
    for flag in FLAGS:
        assert flag.group in GROUPS
        assert bool(flag.help) == (flag.group != IDLE)
        assert flag.idle or flag.group != IDLE
        if flag.has_default:
            flag.read(flag.default)


def test_help_lists_every_flag_once() -> None:
    """`--help` shows each flag in its group."""
    lines = help_text().splitlines()

    for flag in FLAGS:
        words = f"--{flag.name}" + ("" if flag.kind is Kind.BOOL else f" {flag.kind.word}")
        assert sum(line.split("  ")[-1].startswith(words) or f" {words} " in f"{line} " for line in lines) == 1, words
    assert [line for line in lines if line.endswith(":") and not line.startswith(" ")] == [f"{one}:" for one in GROUPS]
