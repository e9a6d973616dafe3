"""Certificates of a cluster: authorities, servers, and clients that are a user with groups."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from rig.certificates import Pair

LOOPBACK: Final = "127.0.0.1"
_BEGIN = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
_END = dt.datetime(2120, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairFiles:
    """A certificate and its key in files."""

    certificate: Path
    key: Path

    def write(self, pair: Pair) -> None:
        """Replace both files, each at once; the key first, for readers look at the certificate."""
        for path, content in ((self.key, pair.key), (self.certificate, pair.certificate)):
            replace_file(path, content)


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file whole, so that no reader sees half of it."""
    new = path.with_name(path.name + ".new")
    new.write_bytes(content)
    new.replace(path)


class Authority:
    """Signs certificates of servers and of clients; `pem` is its own certificate.

    Unlike `rig.certificates.Authority` it says in each certificate what that is for, and names the key that signed, so
    that two authorities of one name can be told apart.
    """

    def __init__(self, name: str) -> None:
        self._name = _named(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._id = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        builder = _builder(self._name, self._name, self._key)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        builder = builder.add_extension(self._id, critical=False)
        self.pem = builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def server(self, names: Sequence[str], *, address: str = LOOPBACK) -> Pair:
        """Return a serving certificate for DNS names and addresses: the loopback one, and another."""
        addresses = dict.fromkeys((LOOPBACK, address))
        alternatives = [*map(x509.DNSName, names), *(x509.IPAddress(ipaddress.ip_address(one)) for one in addresses)]
        return self._issue(_named(names[0]), ExtendedKeyUsageOID.SERVER_AUTH, alternatives)

    def client(self, user: str, *groups: str) -> Pair:
        """Return a client certificate, which Kubernetes reads as a user and its groups."""
        return self._issue(_named(user, *groups), ExtendedKeyUsageOID.CLIENT_AUTH, [])

    def _issue(self, subject: x509.Name, usage: x509.ObjectIdentifier, names: Sequence[x509.GeneralName]) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        signer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(self._id)
        builder = _builder(subject, self._name, key)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        builder = builder.add_extension(signer, critical=False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return Pair(certificate=certificate.public_bytes(serialization.Encoding.PEM), key=_private(key))


def signing_keys() -> tuple[bytes, bytes]:
    """Return a private and a public key for tokens of ServiceAccounts, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return _private(key), key.public_key().public_bytes(serialization.Encoding.PEM, form)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    open_key = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, open_key)


def _named(name: str, *groups: str) -> x509.Name:
    organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_BEGIN)
        .not_valid_after(_END)
    )
