"""The certificate that the server makes for itself when nobody gives it one."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# The names and the life of the certificate are those that k8s.io/client-go/util/cert makes.
_ISSUER, _SUBJECT = "localhost-ca@", "localhost@"
_KEY_BITS = 2048
_LIFE = timedelta(days=365)
_CLOCK_SKEW = timedelta(hours=1)
_OWNER_ONLY = 0o600


def make_pair(certificate: Path, key: Path, *, bind_address: str, now_seconds: float) -> None:
    """Write a new certificate with its CA behind it, and its key, which only the owner may read; raises OSError."""
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
    ca_name, name = _name(f"{_ISSUER}{now_seconds:.0f}"), _name(f"{_SUBJECT}{now_seconds:.0f}")
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


def is_ours(certificate: x509.Certificate) -> bool:
    """Tell whether a certificate was made here, or by a program that names them alike."""
    names = ((certificate.subject, _SUBJECT), (certificate.issuer, _ISSUER))
    return all(_common_name(name).startswith(prefix) for name, prefix in names)


def _common_name(name: x509.Name) -> str:
    return next((str(one.value) for one in name.get_attributes_for_oid(NameOID.COMMON_NAME)), "")


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
