"""The certificate that the server shows, and how it speaks TLS."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from adapter.config.problems import ConfigError, Location, Problem, Severity
from adapter.server.self_signed import is_ours, make_pair

_log = logging.getLogger("adapter.server")

# The names of the files are those of k8s.io/apiserver.
_CERTIFICATE, _KEY = "apiserver.crt", "apiserver.key"

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


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsOptions:
    """What the flags `--tls-*` and `--cert-dir` say; without a certificate file one is made in `cert_dir`."""

    cert_file: str = ""
    private_key_file: str = ""
    cert_dir: str = "apiserver.local.config/certificates"
    min_version: str = ""
    cipher_suites: tuple[str, ...] = ()


class _EncryptedKeyError(Exception):
    """A private key that only a pass phrase opens; OpenSSL would ask for it on the terminal."""


class ServerTls:
    """A context for the server, and the files that its certificate comes from."""

    def __init__(
        self,
        context: ssl.SSLContext,
        *,
        certificate: str,
        key: str,
        clock: Callable[[], float],
        renew: Callable[[], None] | None = None,
    ) -> None:
        """`renew` makes a new pair of the files if they are ours to make, and raises OSError."""
        self.context = context
        self._files = (certificate, key)
        self._clock = clock
        self._renew = renew
        self._stamp: tuple[int, ...] = ()
        self._told = ""

    def reload(self) -> bool:
        """Show the certificate of the files to whoever connects from now on; return whether they had changed.

        One that has expired is made anew if it is ours, and told once. Raises ConfigError, and keeps what was shown
        before, while the files cannot be loaded or do not belong together.
        """
        trouble = self._trouble()
        has_changed = self._load()
        if trouble and trouble != self._told:
            _log.warning("%s", trouble)
        self._told = trouble
        return has_changed

    def _load(self) -> bool:
        certificate, key = self._files
        try:
            stamp = tuple(Path(file).stat().st_mtime_ns for file in self._files)
            if stamp == self._stamp:
                return False
            # into a context of its own first: one that fails half way would have lost the certificate it had
            for context in (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), self.context):
                context.load_cert_chain(certificate, key, _no_pass_phrase)
        except _EncryptedKeyError:
            message, hint = f"the key in {key} is encrypted", "give a key without a pass phrase"
            raise _refused("--tls-private-key-file", message, hint=hint) from None
        except (OSError, ssl.SSLError) as error:
            raise _refused("--tls-cert-file", f"cannot load {certificate} and {key}: {error}") from error
        self._stamp = stamp
        return True

    def _trouble(self) -> str:
        """Return what keeps clients from trusting the certificate today; one of ours is made anew."""
        leaf = _leaf(self._files[0])
        if leaf is None:
            return ""
        now = datetime.fromtimestamp(self._clock(), UTC)
        if now < leaf.not_valid_before_utc:
            return f"the certificate in {self._files[0]} is not valid before {leaf.not_valid_before_utc.isoformat()}"
        if now <= leaf.not_valid_after_utc:
            return ""
        expired = f"the certificate in {self._files[0]} has expired on {leaf.not_valid_after_utc.isoformat()}"
        if self._renew is None or not is_ours(leaf):
            return expired
        try:
            self._renew()
        except OSError as error:
            return f"{expired}, and another one cannot be written: {error}"
        return f"{expired}, so another one was made"


def _no_pass_phrase() -> str:
    raise _EncryptedKeyError


def _leaf(file: str) -> x509.Certificate | None:
    """Return the certificate that a file begins with, None if it holds none; loading it says why."""
    try:
        return x509.load_pem_x509_certificates(Path(file).read_bytes())[0]
    except (OSError, ValueError):
        return None


def server_tls(options: TlsOptions, *, bind_address: str, clock: Callable[[], float]) -> ServerTls:
    """Return how the server speaks TLS; raises ConfigError that names the flag.

    `clock` gives seconds since 1970, for the life of a certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _minimum(options.min_version)
    context.set_alpn_protocols(["http/1.1"])
    _restrict(context, options.cipher_suites)
    tls = _shown(context, options, bind_address=bind_address, clock=clock)
    tls.reload()
    return tls


def _minimum(name: str) -> ssl.TLSVersion:
    if name not in _MINIMUM:
        known = ", ".join(filter(None, _MINIMUM))
        raise _refused("--tls-min-version", f"unknown TLS version {name!r}", hint=f"one of {known}")
    return _MINIMUM[name]


def _restrict(context: ssl.SSLContext, names: Iterable[str]) -> None:
    """Allow only these suites; if all of them are of TLS 1.3, nothing older is spoken."""
    asked = tuple(names)
    unknown = [name for name in asked if name not in _CIPHERS and name not in _TLS13_CIPHERS]
    if unknown:
        message = f"unknown cipher suite {', '.join(map(repr, unknown))}"
        raise _refused(
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
        raise _refused("--tls-cipher-suites", "none of these cipher suites is offered by this OpenSSL") from error


def _shown(context: ssl.SSLContext, options: TlsOptions, *, bind_address: str, clock: Callable[[], float]) -> ServerTls:
    """Return what shows the given certificate, the one of an earlier start, or a new one."""
    given = (options.cert_file, options.private_key_file)
    if all(given):
        return ServerTls(context, certificate=given[0], key=given[1], clock=clock)
    if any(given):
        raise _refused("--tls-cert-file", "--tls-cert-file and --tls-private-key-file must be given together")
    folder = Path(options.cert_dir)
    certificate, key = folder / _CERTIFICATE, folder / _KEY

    def renew() -> None:
        make_pair(certificate, key, bind_address=bind_address, now_seconds=clock())

    if certificate.exists() != key.exists():
        raise _refused("--cert-dir", f"{certificate} and {key} must be there together, or neither of them")
    if not certificate.exists():
        try:
            renew()
        except OSError as error:
            hint = "give a directory that can be written, or --tls-cert-file and --tls-private-key-file"
            raise _refused("--cert-dir", f"cannot write a certificate: {error}", hint=hint) from error
    return ServerTls(context, certificate=str(certificate), key=str(key), clock=clock, renew=renew)


def _refused(flag: str, message: str, *, hint: str = "") -> ConfigError:
    return ConfigError(
        (Problem(code="serve/tls", severity=Severity.ERROR, message=message, location=Location(file=flag), hint=hint),)
    )
