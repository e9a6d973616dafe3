"""Which versions of TLS and which suites are spoken, in the words of Kubernetes' flags."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping

from adapter.config.problems import ConfigError, Location, Problem, Severity

_LEGACY = ssl.TLSVersion.TLSv1_2
# Versions below 1.2 are accepted as words, since command lines carry them, and mean 1.2.
_MINIMUM: Mapping[str, ssl.TLSVersion] = {
    "": _LEGACY,
    "VersionTLS10": _LEGACY,
    "VersionTLS11": _LEGACY,
    "VersionTLS12": _LEGACY,
    "VersionTLS13": ssl.TLSVersion.TLSv1_3,
}

# IANA's names, as Go and Kubernetes know them (crypto/tls), and OpenSSL's; those of TLS 1.3 cannot be chosen from.
_CIPHERS: Mapping[str, str] = {
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA": "DES-CBC3-SHA",
    "TLS_RSA_WITH_RC4_128_SHA": "RC4-SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA": "AES128-SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA": "AES256-SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256": "AES128-SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384": "AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA": "ECDHE-ECDSA-RC4-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256": "ECDHE-ECDSA-AES128-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA": "ECDHE-RSA-RC4-SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA": "ECDHE-RSA-DES-CBC3-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256": "ECDHE-RSA-AES128-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
}
_TLS13_CIPHERS = frozenset({"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"})


def limited_context(min_version: str, cipher_suites: Iterable[str]) -> ssl.SSLContext:
    """Return a server's context that speaks HTTP/1.1 with these versions and suites; raises ConfigError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _minimum(min_version)
    context.set_alpn_protocols(["http/1.1"])
    _restrict(context, cipher_suites)
    return context


def _minimum(name: str) -> ssl.TLSVersion:
    if name not in _MINIMUM:
        known = ", ".join(filter(None, _MINIMUM))
        raise refused("--tls-min-version", f"unknown TLS version {name!r}", hint=f"one of {known}")
    return _MINIMUM[name]


def _restrict(context: ssl.SSLContext, names: Iterable[str]) -> None:
    """Allow only these suites; if all of them are of TLS 1.3, nothing older is spoken."""
    asked = tuple(names)
    unknown = [name for name in asked if name not in _CIPHERS and name not in _TLS13_CIPHERS]
    if unknown:
        message = f"unknown cipher suite {', '.join(map(repr, unknown))}"
        raise refused(
            "--tls-cipher-suites", message, hint="IANA's names, such as TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
        )
    if not asked:
        return
    older = [_CIPHERS[name] for name in asked if name in _CIPHERS]
    if not older:
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        return
    try:
        context.set_ciphers(":".join(older))
    except ssl.SSLError as error:
        raise refused("--tls-cipher-suites", "none of these cipher suites is offered by this OpenSSL") from error


def refused(flag: str, message: str, *, hint: str = "") -> ConfigError:
    """Return the error of a flag about TLS."""
    return ConfigError(
        (Problem(code="serve/tls", severity=Severity.ERROR, message=message, location=Location(file=flag), hint=hint),)
    )
