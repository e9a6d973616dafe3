"""Certificates and keys, and what has to happen to them next; nothing is fetched or stored here.

The authority outlives many serving certificates. When its end comes near, a second one stands beside it: clients are
given both, and only when they have had time to learn the new one is the serving certificate signed by it. So whoever
trusts the bundle of the last minutes can verify what is shown, at every moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# Clocks of a cluster differ by minutes at worst; a certificate counts from an hour ago, as client-go's own do.
_CLOCK_SKEW = timedelta(hours=1)
# An authority lives for so many serving certificates, and a new one is made when four of these lives are left.
_AUTHORITY_LIVES = 40
_AUTHORITY_LEFT_LIVES = 4
# Renewed after two thirds of its life, as Let's Encrypt and cert-manager advise: a third is left for trouble.
_RENEW_AFTER = 2 / 3
# How long a new authority is shown to clients before it signs, as a part of a serving certificate's life, and at most.
_SETTLE_PART = 1 / 10
_SETTLE_AT_MOST = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A certificate that signs others, and its key, in PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """The serving certificate with its key, and the authorities to trust, oldest first; all in PEM."""

    certificate: bytes
    key: bytes
    authorities: tuple[Authority, ...]

    @property
    def bundle(self) -> bytes:
        """Return the certificates of all authorities: what clients have to trust."""
        return b"".join(one.certificate for one in self.authorities)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a serving certificate is made for: DNS names, the main one first, and how long it lives from now on."""

    names: tuple[str, ...]
    life: timedelta
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The material to have from now on, and why; `changed` is False if it is what there was.

    With `after_trust` it may be stored only once clients trust the bundle that was found.
    """

    material: Material
    reason: str = ""
    after_trust: bool = False

    @property
    def changed(self) -> bool:
        """Tell whether it has to be stored."""
        return bool(self.reason)


def next_step(found: Material | None, wish: Wish) -> Step:
    """Return the material that fulfils the wish: the one that was found if nothing is due, else the next one.

    One thing is done at a time; whoever asks again gets the next one. Raises nothing: material that cannot be read, or
    does not belong together, is replaced.
    """
    if found is None:
        return _anew(wish, "there was none")
    try:
        return _next_step(found, wish)
    except (ValueError, TypeError, IndexError, InvalidSignature) as error:
        return _anew(wish, f"what there was cannot be used: {error or type(error).__name__}")


def expires_at(certificate: bytes) -> datetime:
    """Return until when a certificate in PEM is valid; raises ValueError if it cannot be read."""
    return x509.load_pem_x509_certificate(certificate).not_valid_after_utc


def renewal_due(certificate: bytes) -> datetime:
    """Return from when on a serving certificate in PEM is renewed; raises ValueError if it cannot be read."""
    read = x509.load_pem_x509_certificate(certificate)
    made = read.not_valid_before_utc + _CLOCK_SKEW
    return made + (read.not_valid_after_utc - made) * _RENEW_AFTER


def _next_step(found: Material, wish: Wish) -> Step:
    leaf = _checked(found)
    authorities = [x509.load_pem_x509_certificate(one.certificate) for one in found.authorities]
    newest = authorities[-1]
    if wish.now > newest.not_valid_after_utc - wish.life * _AUTHORITY_LEFT_LIVES:
        alive = _alive(found.authorities, wish.now)
        grown = replace(found, authorities=(*alive, make_authority(wish)))
        if not alive:
            return _anew(wish, "the authority has expired")
        return Step(material=grown, reason="the authority ends soon, a second one stands beside it now")
    settled = wish.now >= newest.not_valid_before_utc + _CLOCK_SKEW + _settle(wish.life)
    is_newest = leaf.issuer == newest.subject
    if due := _due(leaf, found, wish):
        signer = found.authorities[-1] if is_newest or settled else _signer(found, leaf)
        return replace(_issued(found, signer, wish, due), after_trust=not is_newest and settled)
    if not is_newest and settled:
        moved = _issued(found, found.authorities[-1], wish, "the new authority is known by now")
        return replace(moved, after_trust=True)
    if is_newest and len(authorities) > 1 and wish.now >= leaf.not_valid_before_utc + _CLOCK_SKEW + _settle(wish.life):
        only = replace(found, authorities=found.authorities[-1:])
        return Step(material=only, reason="nothing is signed by the old authority any more")
    return Step(material=found)


def _checked(found: Material) -> x509.Certificate:
    """Return the serving certificate; raises if its key is another one's or no authority of the bundle signed it."""
    leaf = x509.load_pem_x509_certificate(found.certificate)
    key = serialization.load_pem_private_key(found.key, password=None)
    if _public_bytes(leaf.public_key()) != _public_bytes(key.public_key()):
        raise ValueError("the key is not the certificate's")
    signer = x509.load_pem_x509_certificate(_signer(found, leaf).certificate)
    leaf.verify_directly_issued_by(signer)
    return leaf


def _public_bytes(key: object) -> bytes:
    encoded: bytes = key.public_bytes(  # type: ignore[attr-defined]  # every key that can be loaded has it
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return encoded


def _signer(found: Material, leaf: x509.Certificate) -> Authority:
    for one in found.authorities:
        if x509.load_pem_x509_certificate(one.certificate).subject == leaf.issuer:
            return one
    raise ValueError("no authority of the bundle signed the certificate")


def _alive(authorities: Sequence[Authority], now: datetime) -> tuple[Authority, ...]:
    return tuple(
        one for one in authorities if x509.load_pem_x509_certificate(one.certificate).not_valid_after_utc > now
    )


def _due(leaf: x509.Certificate, found: Material, wish: Wish) -> str:
    """Return why the serving certificate has to be made again, or nothing."""
    if wish.now >= renewal_due(found.certificate):
        return "it is due"
    shown = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    if list(wish.names) != shown.get_values_for_type(x509.DNSName):
        return "it has other names"
    return ""


def _settle(life: timedelta) -> timedelta:
    return min(_SETTLE_AT_MOST, life * _SETTLE_PART)


def _anew(wish: Wish, reason: str) -> Step:
    authority = make_authority(wish)
    empty = Material(certificate=b"", key=b"", authorities=(authority,))
    return _issued(empty, authority, wish, reason)


def _issued(found: Material, signer: Authority, wish: Wish, reason: str) -> Step:
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.load_pem_x509_certificate(signer.certificate)
    signing_key = serialization.load_pem_private_key(signer.key, password=None)
    if not isinstance(signing_key, ec.EllipticCurvePrivateKey):
        raise TypeError("the authority's key is not of the kind that is made here")
    leaf = (
        _builder(_name(wish.names[0]), issuer.subject, key, now=wish.now, life=wish.life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in wish.names]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()),
            critical=False,
        )
        .sign(signing_key, hashes.SHA256())
    )
    certificate = leaf.public_bytes(serialization.Encoding.PEM)
    return Step(material=replace(found, certificate=certificate, key=_pem(key)), reason=reason)


def make_authority(wish: Wish) -> Authority:
    """Make an authority for serving certificates of the life that is wished."""
    key = ec.generate_private_key(ec.SECP256R1())
    # The name tells authorities apart, also two that were made within a second.
    name = _name(f"tidegauge-serving-ca@{int(wish.now.timestamp())}-{x509.random_serial_number() % 2**32:08x}")
    certificate = (
        _builder(name, name, key, now=wish.now, life=wish.life * _AUTHORITY_LIVES)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate=certificate.public_bytes(serialization.Encoding.PEM), key=_pem(key))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, *, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder(subject_name=subject, issuer_name=issuer, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now.astimezone(UTC) - _CLOCK_SKEW)
        .not_valid_after(now.astimezone(UTC) + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])  # its bound in X.520


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=False,
        key_cert_sign=signs,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
