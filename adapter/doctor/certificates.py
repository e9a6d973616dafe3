"""What certificates say, and whether one stands for another, as kube-apiserver would look at them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

_BLOCK: Final = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
# A chain has two or three; a bundle of all public authorities has some 150.
_MOST: Final = 1000
# What the library raises for what is malformed, each in its own place.
_FAULTS: Final = (ValueError, TypeError, OverflowError, UnsupportedAlgorithm, x509.InvalidVersion)


def certificates_of(pem: bytes) -> tuple[x509.Certificate, ...]:
    """Return the certificates of a PEM text that can be read; the others are left out."""
    found = []
    for block in _BLOCK.findall(pem)[:_MOST]:
        try:
            one = x509.load_pem_x509_certificate(block)
            one.subject.public_bytes()  # names and extensions are read late, and may be odd too
            one.extensions  # noqa: B018 - raises where an extension cannot be read
        except _FAULTS:
            continue
        found.append(one)
    return tuple(found)


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the DNS names that a certificate is good for; common names count for nothing, as in Go."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return tuple(found.get_values_for_type(x509.DNSName))
    except (x509.ExtensionNotFound, *_FAULTS):
        return ()


def is_for(certificate: x509.Certificate, name: str) -> bool:
    """Say whether a certificate is good for a DNS name; a star stands for the first label."""
    _, _, rest = name.lower().partition(".")
    return any(one.lower().rstrip(".") in (name.lower(), f"*.{rest}") for one in names_of(certificate))


def is_trusted(chain: Sequence[x509.Certificate], bundle: Sequence[x509.Certificate]) -> bool:
    """Say whether a bundle stands for the first certificate of a chain, by itself or over those that follow.

    Only signatures are looked at; times are a question of their own.
    """
    if not chain:
        return False
    current = chain[0]
    for _ in range(len(chain) + 1):
        if any(current == one or _signed(current, one) for one in bundle):
            return True
        above = next((one for one in chain[1:] if one != current and _signed(current, one)), None)
        if above is None:
            return False
        current = above
    return False


def _signed(certificate: x509.Certificate, by: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(by)
    except (InvalidSignature, *_FAULTS):
        return False
    return True


def subject_of(certificate: x509.Certificate) -> str:
    """Return a certificate's subject, for people."""
    try:
        return certificate.subject.rfc4514_string()
    except _FAULTS:
        return "a name that cannot be read"


def issuer_of(certificate: x509.Certificate) -> str:
    """Return a certificate's issuer, for people."""
    try:
        return certificate.issuer.rfc4514_string()
    except _FAULTS:
        return "a name that cannot be read"
