"""Certificates around a fixed moment."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOW = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A certificate in PEM, and what signs with it."""

    certificate: bytes
    signer: tuple[x509.Name, ec.EllipticCurvePrivateKey]

    @property
    def pem(self) -> bytes:
        """Return the certificate."""
        return self.certificate


def _signed(
    name: str,
    issuer: Pair | None,
    *,
    names: tuple[str, ...] = (),
    begins: dt.datetime = NOW - 30 * DAY,
    ends: dt.datetime = NOW + 60 * DAY,
    is_authority: bool = False,
) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer_name, issuer_key = issuer.signer if issuer else (subject, key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(map(x509.DNSName, names)), critical=False)
    made = builder.sign(issuer_key, hashes.SHA256())
    return Pair(certificate=made.public_bytes(serialization.Encoding.PEM), signer=(subject, key))


def authority(name: str, issuer: Pair | None = None, *, ends: dt.datetime = NOW + 3000 * DAY) -> Pair:
    """Return an authority, signed by another one or by itself."""
    return _signed(name, issuer, ends=ends, is_authority=True)


CA = authority("serving-ca")
OTHER = authority("other-ca")
BETWEEN = authority("between", CA)


def serving(
    *names: str, issuer: Pair = CA, begins: dt.datetime = NOW - 30 * DAY, ends: dt.datetime = NOW + 60 * DAY
) -> Pair:
    """Return a serving certificate for DNS names."""
    return _signed("serving", issuer, names=names, begins=begins, ends=ends)
