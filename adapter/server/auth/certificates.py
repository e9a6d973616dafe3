"""Whether a client certificate is signed by an authority of a bundle, as Go's crypto/x509 would decide.

Only the leaf is known: Python's ssl gives no intermediates. So its issuer has to be in the bundle, and each certificate
of a bundle is trusted by itself (as in Go, where a pool of roots need not be self-signed): a chain has one step, and
what stands above its issuer, with its path length, does not matter. The verifier of the cryptography library is for
the Web's profile and refuses certificates that clusters use (Ed25519 keys, no subject alternative names).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeVar

from cachetools import TLRUCache
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from adapter.server.auth.ports import AuthObserver

# A front proxy shows one certificate on thousands of requests; a removed authority has another bundle, and so another
# entry: a minute bounds only how long an entry is of use.
_CACHE_SECONDS: Final = 60.0
_CACHE_ENTRIES: Final = 1024
_MAX_AUTHORITIES: Final = 1000

_CLIENT_USES: Final = frozenset({ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE})
# What is looked at here, or may be left alone without trusting more than was meant; any other critical extension makes
# a certificate unusable (RFC 5280, 4.2).
_UNDERSTOOD: Final = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.CRL_DISTRIBUTION_POINTS,
    }
)
_Extension = TypeVar("_Extension", bound=x509.ExtensionType)

_WEAK_HASHES: Final = (hashes.MD5, hashes.SHA1)


class InvalidCertificateError(Exception):
    """A client certificate that proves nothing; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """The authorities that may sign; `digest` differs between bundles that differ."""

    authorities: Mapping[bytes, tuple[x509.Certificate, ...]]  # by subject, in DER
    digest: bytes
    pem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A certificate that an authority stands for; `fingerprint` is the SHA-256 of its DER in lower-case hex."""

    common_name: str
    organizations: tuple[str, ...]
    fingerprint: str
    expires_at_seconds: float  # since 1970; the first end in the chain


def read_bundle(pem: bytes) -> Bundle:
    """Read certificates in PEM; raises ValueError if there are none, too many, or one of them cannot be read."""
    found = x509.load_pem_x509_certificates(pem)
    if len(found) > _MAX_AUTHORITIES:
        raise ValueError(f"more than {_MAX_AUTHORITIES} certificates")
    authorities: dict[bytes, tuple[x509.Certificate, ...]] = {}
    digest = hashlib.sha256()
    for one in found:
        subject = one.subject.public_bytes()
        authorities[subject] = (*authorities.get(subject, ()), one)
        digest.update(one.fingerprint(hashes.SHA256()))
    written = b"".join(one.public_bytes(serialization.Encoding.PEM) for one in found)
    return Bundle(authorities=authorities, digest=digest.digest(), pem=written.decode("ascii"))


class Verifier:
    """Verifies client certificates, and remembers for a short time which ones are good."""

    def __init__(self, *, wall_clock: Callable[[], float], observer: AuthObserver) -> None:
        """`wall_clock` gives seconds since 1970."""
        self._now = wall_clock
        self._observer = observer
        self._known: TLRUCache[tuple[bytes, bytes], Verified] = TLRUCache(
            maxsize=_CACHE_ENTRIES,
            ttu=lambda _key, verified, now: min(now + _CACHE_SECONDS, verified.expires_at_seconds),
            timer=wall_clock,
        )

    def verify(self, der: bytes, bundle: Bundle) -> Verified:
        """Return what a certificate proves now under a bundle; raises InvalidCertificateError."""
        key = (hashlib.sha256(der).digest(), bundle.digest)
        known = self._known.get(key)
        if known is not None:
            self._observer.certificate_verified(how="cached")
            return known
        try:
            verified = verify(der, bundle, now=datetime.fromtimestamp(self._now(), UTC))
        except InvalidCertificateError:
            self._observer.certificate_verified(how="invalid")
            raise
        self._observer.certificate_verified(how="valid")
        self._known[key] = verified
        return verified


def verify(der: bytes, bundle: Bundle, *, now: datetime) -> Verified:
    """Return what a certificate in DER proves at a time; raises InvalidCertificateError with the first obstacle."""
    try:
        leaf = x509.load_der_x509_certificate(der)
        signer = _signer(leaf, bundle, now)
        _check_use(leaf, now, "the certificate")
        return Verified(
            common_name=_last(_texts(leaf.subject, NameOID.COMMON_NAME)),
            organizations=_texts(leaf.subject, NameOID.ORGANIZATION_NAME),
            fingerprint=hashlib.sha256(der).hexdigest(),
            expires_at_seconds=min(leaf.not_valid_after_utc, signer.not_valid_after_utc).timestamp(),
        )
    # The library raises these for what is malformed, each in its own place.
    except (ValueError, TypeError, OverflowError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise InvalidCertificateError("the certificate cannot be read") from error


def _signer(leaf: x509.Certificate, bundle: Bundle, now: datetime) -> x509.Certificate:
    """Return the authority of the bundle that signed a certificate; one that is in the bundle is its own."""
    if any(leaf == one for one in bundle.authorities.get(leaf.subject.public_bytes(), ())):
        return leaf
    obstacle = "no authority of this name is known"
    for one in bundle.authorities.get(leaf.issuer.public_bytes(), ()):
        try:
            _check_signature(leaf, one)
            _check_authority(one)
            _check_use(one, now, "the authority")
        except InvalidCertificateError as error:
            obstacle = str(error)
        else:
            return one
    raise InvalidCertificateError(obstacle)


def _check_signature(leaf: x509.Certificate, authority: x509.Certificate) -> None:
    if isinstance(leaf.signature_hash_algorithm, _WEAK_HASHES):
        raise InvalidCertificateError("the certificate is signed with a broken hash")
    try:
        leaf.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InvalidCertificateError("no authority of this name signed it") from error


def _check_authority(authority: x509.Certificate) -> None:
    constraints = _extension(authority, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        raise InvalidCertificateError("its issuer is no authority")
    usage = _extension(authority, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        raise InvalidCertificateError("its issuer may not sign certificates")
    if _extension(authority, x509.NameConstraints) is not None:
        # They would have to be compared with the names of the leaf; refusing is the safe side of that.
        raise InvalidCertificateError("its issuer has name constraints, which are not supported")


def _check_use(certificate: x509.Certificate, now: datetime, which: str) -> None:
    """Refuse a certificate that is not valid now, not for clients, or demands what is not understood."""
    if now < certificate.not_valid_before_utc:
        raise InvalidCertificateError(f"{which} is not valid yet")
    if now > certificate.not_valid_after_utc:
        raise InvalidCertificateError(f"{which} has expired")
    uses = _extension(certificate, x509.ExtendedKeyUsage)
    if uses is not None and _CLIENT_USES.isdisjoint(uses):
        raise InvalidCertificateError(f"{which} is not for clients")
    for extension in certificate.extensions:
        if extension.critical and extension.oid not in _UNDERSTOOD:
            raise InvalidCertificateError(f"{which} has a critical extension that is not understood")


def _extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _texts(name: x509.Name, oid: x509.ObjectIdentifier) -> tuple[str, ...]:
    values = (attribute.value for attribute in name.get_attributes_for_oid(oid))
    return tuple(value if isinstance(value, str) else value.decode("utf-8") for value in values)


def _last(texts: tuple[str, ...]) -> str:
    return texts[-1] if texts else ""
