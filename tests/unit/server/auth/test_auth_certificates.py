"""Which client certificates prove something."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from auth_rig import ANY, CLIENT, DAY, NOW, SERVER, Made, Observer, Wall, authority, client, key, make, named
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519

from adapter.server.auth.certificates import InvalidCertificateError, Verifier, read_bundle, verify

CA = authority("kubernetes")
OTHER = authority("kubernetes")  # the same name, another key
INTERMEDIATE = make(named("team"), by=CA, ca=True, path_length=0)
NO_AUTHORITY = make(named("impostor"), by=CA, ca=False)
WITHOUT_CONSTRAINTS = make(named("plain"), by=CA)
CRL_SIGN_ONLY = x509.KeyUsage(
    digital_signature=True,
    crl_sign=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    encipher_only=False,
    decipher_only=False,
)
NO_SIGNER = authority("no-signer", extensions=[(CRL_SIGN_ONLY, True)])
FOR_SERVERS = authority("for-servers", extensions=[(SERVER, False)])
ENDED = authority("ended", end=NOW - DAY)
NARROW = authority("narrow", extensions=[(x509.NameConstraints([x509.DNSName("example.com")], None), True)])
ED_CA = make(named("ed"), ca=True, own_key=ed25519.Ed25519PrivateKey.generate())
ODD = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
NAMES = x509.SubjectAlternativeName([x509.DNSName("alice.example.com")])

GOOD = [
    ("as kubeadm makes it", client(CA, "alice"), CA),
    ("no extended key usage at all", make(named("alice"), by=CA), CA),
    ("any extended key usage", client(CA, "alice", extensions=[(ANY, True)]), CA),
    ("client and server", client(CA, "alice", extensions=[(x509.ExtendedKeyUsage([*SERVER, *CLIENT]), False)]), CA),
    ("with alternative names", client(CA, "alice", extensions=[(CLIENT, False), (NAMES, False)]), CA),
    ("without key identifiers", client(CA, "alice", with_identifiers=False), CA),
    ("an unknown extension that is not critical", client(CA, "alice", extensions=[(ODD, False)]), CA),
    ("Ed25519", client(ED_CA, "alice", own_key=ed25519.Ed25519PrivateKey.generate()), ED_CA),
    ("its last second", client(CA, "alice", end=NOW), CA),
    ("its first second", client(CA, "alice", begin=NOW), CA),
    ("an intermediate authority that is in the bundle", client(INTERMEDIATE, "alice"), INTERMEDIATE),
    ("a certificate that is itself in the bundle", CA, CA),
]
BAD = [
    ("expired", client(CA, "alice", end=NOW - dt.timedelta(seconds=1)), CA, "the certificate has expired"),
    ("not yet valid", client(CA, "alice", begin=NOW + dt.timedelta(seconds=1)), CA, "the certificate is not valid yet"),
    ("of another authority", client(authority("evil"), "alice"), CA, "no authority of this name is known"),
    ("of another authority of the same name", client(OTHER, "alice"), CA, "no authority of this name signed it"),
    (
        "signed by itself in the authority's name",
        make(named("alice"), issuer=CA.certificate.subject),
        CA,
        "no authority of this name signed it",
    ),
    ("an imitation of the authority", authority("kubernetes"), CA, "no authority of this name signed it"),
    ("signed by itself", make(named("alice"), ca=True), CA, "no authority of this name is known"),
    ("for servers only", client(CA, "alice", extensions=[(SERVER, False)]), CA, "the certificate is not for clients"),
    ("signed by what is no authority", client(NO_AUTHORITY, "alice"), NO_AUTHORITY, "its issuer is no authority"),
    (
        "signed by what does not say so",
        client(WITHOUT_CONSTRAINTS, "alice"),
        WITHOUT_CONSTRAINTS,
        "its issuer is no authority",
    ),
    (
        "of an authority that may not sign",
        client(NO_SIGNER, "alice"),
        NO_SIGNER,
        "its issuer may not sign certificates",
    ),
    ("of an authority for servers", client(FOR_SERVERS, "alice"), FOR_SERVERS, "the authority is not for clients"),
    ("of an authority that has expired", client(ENDED, "alice"), ENDED, "the authority has expired"),
    (
        "of an authority with name constraints",
        client(NARROW, "alice"),
        NARROW,
        "its issuer has name constraints, which are not supported",
    ),
    (
        "of an intermediate authority that is not in the bundle",
        client(INTERMEDIATE, "alice"),
        CA,
        "no authority of this name is known",
    ),
    (
        "a critical extension that nobody knows",
        client(CA, "alice", extensions=[(ODD, True)]),
        CA,
        "the certificate has a critical extension that is not understood",
    ),
]


@pytest.mark.parametrize(("certificate", "signer"), [row[1:] for row in GOOD], ids=[row[0] for row in GOOD])
def test_good(certificate: Made, signer: Made) -> None:
    """What Go accepts proves its common name."""
    verified = verify(certificate.der, read_bundle(signer.pem), now=NOW)

    assert verified.common_name in {"alice", "kubernetes"}


@pytest.mark.parametrize(("certificate", "signer", "why"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad(certificate: Made, signer: Made, why: str) -> None:
    """A certificate that is forged, stale or meant for something else proves nothing."""
    with pytest.raises(InvalidCertificateError) as raised:
        verify(certificate.der, read_bundle(signer.pem), now=NOW)

    assert str(raised.value) == why


def test_tampered() -> None:
    """No byte that an authority signed can be changed; how the signature is padded says nothing."""
    der, bundle = client(CA, "alice").der, read_bundle(CA.pem)
    signed = x509.load_der_x509_certificate(der).tbs_certificate_bytes

    for place in range(len(der)):
        changed = der[:place] + bytes([der[place] ^ 1]) + der[place + 1 :]
        try:
            verify(changed, bundle, now=NOW)
        except InvalidCertificateError:
            continue
        assert x509.load_der_x509_certificate(changed).tbs_certificate_bytes == signed


@pytest.mark.parametrize("der", [b"", b"\x30", b"\x30\x82\xff\xff", b"hello", b"\x00" * 5000])
def test_rubbish(der: bytes) -> None:
    """What is no certificate is refused without a traceback."""
    with pytest.raises(InvalidCertificateError, match="cannot be read"):
        verify(der, read_bundle(CA.pem), now=NOW)


@pytest.mark.parametrize("order", [(CA, OTHER), (OTHER, CA)])
def test_authorities_of_one_name(order: tuple[Made, Made]) -> None:
    """While an authority is replaced by another one of its name, the certificates of both count."""
    bundle = read_bundle(b"".join(one.pem for one in order))

    for signer in (CA, OTHER):
        assert verify(client(signer, "alice").der, bundle, now=NOW).common_name == "alice"


def test_a_spoilt_authority_hides_no_good_one() -> None:
    """An expired authority of the same name and key does not keep its successor from counting."""
    ca_key = key()
    old = authority("ca", own_key=ca_key, end=NOW - DAY)
    new = authority("ca", own_key=ca_key)

    assert verify(client(new, "alice").der, read_bundle(old.pem + new.pem), now=NOW).common_name == "alice"


def test_names() -> None:
    """Organizations come in their order, and of several common names the last one counts, as in Go."""
    made = make(x509.Name([*named("first", "dev", "ops"), *named("last", "dev")]), by=CA, extensions=[(CLIENT, False)])

    verified = verify(made.der, read_bundle(CA.pem), now=NOW)

    assert (verified.common_name, verified.organizations) == ("last", ("dev", "ops", "dev"))


@pytest.mark.parametrize(
    "pem", [b"", b"no certificate", CA.pem.replace(b"M", b"!"), CA.pem + CA.pem[:100] + b"-----END CERTIFICATE-----"]
)
def test_unreadable_bundles(pem: bytes) -> None:
    """A bundle without a certificate, or with a broken one, is none."""
    with pytest.raises(ValueError, match=r"."):
        read_bundle(pem)


def verifier() -> tuple[Verifier, Wall, Observer]:
    """Return a verifier with its clock and what it reports."""
    wall, observer = Wall(), Observer()
    return Verifier(wall_clock=wall, observer=observer), wall, observer


def test_a_certificate_is_verified_once_a_minute() -> None:
    """A front proxy's certificate is not verified for each of its thousand requests, yet again after a minute."""
    (one, wall, observer), made, bundle = verifier(), client(CA, "alice"), read_bundle(CA.pem)

    for seconds in (0.0, 59.0, 2.0):
        wall.seconds += seconds
        one.verify(made.der, bundle)

    assert observer.seen == [("certificate", "valid"), ("certificate", "cached"), ("certificate", "valid")]


@pytest.mark.parametrize("ending", [{"end": NOW + dt.timedelta(seconds=5)}, {}])
def test_the_cache_ends_with_the_certificate(ending: dict[str, Any]) -> None:
    """A certificate, or its authority, that ends within the minute does not count any longer."""
    one, wall, _ = verifier()
    ca = CA if ending else authority("short", end=NOW + dt.timedelta(seconds=5))
    made, bundle = client(ca, "alice", **ending), read_bundle(ca.pem)
    one.verify(made.der, bundle)

    wall.seconds += 6

    with pytest.raises(InvalidCertificateError, match="expired"):
        one.verify(made.der, bundle)


def test_a_removed_authority_counts_no_more() -> None:
    """A cached certificate is refused as soon as the bundle has changed."""
    one, _, _ = verifier()
    made = client(CA, "alice")
    one.verify(made.der, read_bundle(CA.pem))

    with pytest.raises(InvalidCertificateError):
        one.verify(made.der, read_bundle(OTHER.pem))


def test_a_refusal_is_not_kept() -> None:
    """A certificate that was not valid yet is accepted once it is."""
    one, wall, _ = verifier()
    made, bundle = client(CA, "alice", begin=NOW + dt.timedelta(seconds=5)), read_bundle(CA.pem)
    with pytest.raises(InvalidCertificateError):
        one.verify(made.der, bundle)

    wall.seconds += 6

    assert one.verify(made.der, bundle).common_name == "alice"
