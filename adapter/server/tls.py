"""The certificate that the server shows, and how it speaks TLS."""

from __future__ import annotations

import ipaddress
import os
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from adapter.config.problems import ConfigError, Location, Problem, Severity

# The names and the life of the certificate are those that k8s.io/client-go/util/cert makes.
_CERTIFICATE, _KEY = "apiserver.crt", "apiserver.key"
_KEY_BITS = 2048
_LIFE = timedelta(days=365)
_CLOCK_SKEW = timedelta(hours=1)
_OWNER_ONLY = 0o600

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


class ServerTls:
    """A context for the server, and the files that its certificate comes from."""

    def __init__(self, context: ssl.SSLContext, *, certificate: str, key: str) -> None:
        self.context = context
        self._files = (certificate, key)
        self._stamp: tuple[int, ...] = ()

    def reload(self) -> bool:
        """Show the certificate of the files to whoever connects from now on; return whether they had changed.

        Raises ConfigError, and keeps what was shown before, while they cannot be loaded or do not belong together.
        """
        certificate, key = self._files
        try:
            stamp = tuple(Path(file).stat().st_mtime_ns for file in self._files)
            if stamp == self._stamp:
                return False
            # into a context of its own first: one that fails half way would have lost the certificate it had
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
            self.context.load_cert_chain(certificate, key)
        except (OSError, ssl.SSLError) as error:
            raise _refused("--tls-cert-file", f"cannot load {certificate} and {key}: {error}") from error
        self._stamp = stamp
        return True


def server_tls(options: TlsOptions, *, bind_address: str, clock: Callable[[], float]) -> ServerTls:
    """Return how the server speaks TLS; raises ConfigError that names the flag.

    `clock` gives seconds since 1970, for the life of a certificate that has to be made.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _minimum(options.min_version)
    context.set_alpn_protocols(["http/1.1"])
    _restrict(context, options.cipher_suites)
    certificate, key = _files(options, bind_address=bind_address, clock=clock)
    tls = ServerTls(context, certificate=certificate, key=key)
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


def _files(options: TlsOptions, *, bind_address: str, clock: Callable[[], float]) -> tuple[str, str]:
    """Return the files of certificate and key: the given ones, those of an earlier start, or new ones."""
    given = (options.cert_file, options.private_key_file)
    if all(given):
        return given
    if any(given):
        raise _refused("--tls-cert-file", "--tls-cert-file and --tls-private-key-file must be given together")
    folder = Path(options.cert_dir)
    certificate, key = folder / _CERTIFICATE, folder / _KEY
    if certificate.exists() != key.exists():
        raise _refused("--cert-dir", f"{certificate} and {key} must be there together, or neither of them")
    if not certificate.exists():
        try:
            _make(certificate, key, bind_address=bind_address, now_seconds=clock())
        except OSError as error:
            hint = "give a directory that can be written, or --tls-cert-file and --tls-private-key-file"
            raise _refused("--cert-dir", f"cannot write a certificate: {error}", hint=hint) from error
    return str(certificate), str(key)


def _make(certificate: Path, key: Path, *, bind_address: str, now_seconds: float) -> None:
    """Write a new certificate with its CA behind it, and then its key, which only the owner may read."""
    made = self_signed(bind_address=bind_address, now_seconds=now_seconds)
    certificate.parent.mkdir(parents=True, exist_ok=True)
    _write(key, made.key)
    _write(certificate, made.chain)


def _write(path: Path, content: bytes) -> None:
    """Write a file whole: nobody sees a part of it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    draft.replace(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfSigned:
    """A certificate with its CA behind it, and its key, both in PEM."""

    chain: bytes
    key: bytes


def self_signed(*, bind_address: str, now_seconds: float) -> SelfSigned:
    """Make a CA, whose key is forgotten, and a certificate for `localhost`, 127.0.0.1 and the address that is bound."""
    now = datetime.fromtimestamp(int(now_seconds), UTC)
    ca_name, name = _name(f"localhost-ca@{now_seconds:.0f}"), _name(f"localhost@{now_seconds:.0f}")
    ca_key, key = (rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS) for _ in range(2))
    ca = _builder(subject=ca_name, issuer=ca_name, key=ca_key, now=now)
    ca = ca.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    ca = ca.add_extension(_usage(signs=True), critical=True)
    leaf = _builder(subject=name, issuer=ca_name, key=key, now=now)
    leaf = leaf.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    leaf = leaf.add_extension(_usage(signs=False), critical=True)
    leaf = leaf.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    leaf = leaf.add_extension(_names(bind_address), critical=False)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    leaf = leaf.add_extension(identifier, critical=False)
    signed = (leaf.sign(ca_key, hashes.SHA256()), ca.sign(ca_key, hashes.SHA256()))
    return SelfSigned(
        chain=b"".join(one.public_bytes(serialization.Encoding.PEM) for one in signed),
        key=key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        ),
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    *, subject: x509.Name, issuer: x509.Name, key: rsa.RSAPrivateKey, now: datetime
) -> x509.CertificateBuilder:
    begin = now - _CLOCK_SKEW
    return (
        x509.CertificateBuilder(subject_name=subject, issuer_name=issuer, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + _LIFE)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=True,
        key_cert_sign=signs,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _names(bind_address: str) -> x509.SubjectAlternativeName:
    addresses = {
        "127.0.0.1": None,
        bind_address.partition("%")[0]: None,
    }  # in order, each once; a zone is no part of it
    return x509.SubjectAlternativeName(
        [x509.DNSName("localhost"), *(x509.IPAddress(ipaddress.ip_address(address)) for address in addresses)]
    )


def _refused(flag: str, message: str, *, hint: str = "") -> ConfigError:
    return ConfigError(
        (Problem(code="serve/tls", severity=Severity.ERROR, message=message, location=Location(file=flag), hint=hint),)
    )
