"""Certificates of every kind, a kube-apiserver that answers what a test says, and clocks that a test turns."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from adapter.server.auth.reviews import ReviewTools

NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
CLIENT = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
SERVER = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
ANY = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])

Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def key() -> Key:
    """Return a new key."""
    return ec.generate_private_key(ec.SECP256R1())


def named(common_name: str, *organizations: str) -> x509.Name:
    """Return a name of organizations and a common name; an empty one is left out."""
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, one) for one in organizations]
    return x509.Name(parts + ([x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else []))


@dataclass(kw_only=True)
class Made:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Key

    @property
    def der(self) -> bytes:
        """Return the certificate in DER."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> bytes:
        """Return the certificate in PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """Return the key in PEM."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def make(
    subject: x509.Name,
    *,
    by: Made | None = None,
    issuer: x509.Name | None = None,
    own_key: Key | None = None,
    ca: bool | None = None,
    path_length: int | None = None,
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
    begin: dt.datetime = NOW - 30 * DAY,
    end: dt.datetime = NOW + 1024 * DAY,
    with_identifiers: bool = True,
) -> Made:
    """Make a certificate signed `by` another one, or by itself; `issuer` may claim to be somebody else."""
    mine = own_key or key()
    signing = by.key if by else mine
    builder = x509.CertificateBuilder(
        subject_name=subject,
        issuer_name=issuer or (by.certificate.subject if by else subject),
        public_key=mine.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=begin,
        not_valid_after=end,
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=path_length), critical=True)
    if with_identifiers:
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(mine.public_key()), critical=False)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key())
        builder = builder.add_extension(identifier, critical=False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    algorithm = None if isinstance(signing, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return Made(certificate=builder.sign(signing, algorithm), key=mine)


def authority(name: str, **changes: Any) -> Made:
    """Make a self-signed authority."""
    return make(named(name), ca=True, **changes)


def client(by: Made, name: str, *organizations: str, **changes: Any) -> Made:
    """Make a client's certificate, as kubeadm does: no subject alternative names."""
    changes.setdefault("extensions", [(CLIENT, False)])
    return make(named(name, *organizations), by=by, **changes)


@dataclass
class Clock:
    """Seconds that pass when the test says so."""

    seconds: float = 1000.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class Wall(Clock):
    """Seconds since 1970."""

    seconds: float = NOW.timestamp()


@dataclass
class Observer:
    """Remembers what was reported."""

    seen: list[tuple[str, ...]] = field(default_factory=list)

    def authentication(self, *, kind: str, outcome: str) -> None:
        self.seen.append(("authentication", kind, outcome))

    def authorization(self, *, kind: str, outcome: str) -> None:
        self.seen.append(("authorization", kind, outcome))

    def review_asked(self, *, kind: str, outcome: str, seconds: float) -> None:
        self.seen.append(("asked", kind, outcome))

    def review_reused(self, *, kind: str, how: str) -> None:
        self.seen.append(("reused", kind, how))

    def certificate_verified(self, *, how: str) -> None:
        self.seen.append(("certificate", how))

    def trust_read(self, *, source: str, outcome: str) -> None:
        self.seen.append(("trust", source, outcome))


@dataclass(frozen=True)
class Event:
    """One event of a watch."""

    type: str
    object: dict[str, Any]


@dataclass
class Asked:
    """One request to kube-apiserver."""

    method: str
    path: str
    parameters: Mapping[str, str]
    body: Mapping[str, Any] | None
    timeout_seconds: float


@dataclass
class Cluster:
    """Answers each request with the next answer, and with the last one for ever; an exception is raised."""

    answers: list[Any] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    watches: list[list[Any]] = field(default_factory=list)
    watched: list[Mapping[str, str]] = field(default_factory=list)
    gate: asyncio.Event | None = None

    async def request(
        self,
        method: str,
        path: str,
        *,
        parameters: Mapping[str, str] = {},
        body: Mapping[str, Any] | None = None,
        timeout_seconds: float,
    ) -> dict[str, Any]:
        """Answer, once the gate is open."""
        self.asked.append(Asked(method, path, dict(parameters), body, timeout_seconds))
        if self.gate is not None:
            await self.gate.wait()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return dict(answer)

    @asynccontextmanager
    async def watch(
        self, path: str, *, parameters: Mapping[str, str], accept: str, idle_seconds: float
    ) -> AsyncIterator[AsyncIterator[Event]]:
        """Give the events of the next watch; one that is an exception is raised."""
        self.watched.append(dict(parameters))
        yield self._events(self.watches.pop(0) if self.watches else [])

    async def _events(self, events: list[Any]) -> AsyncIterator[Event]:
        for event in events:
            if isinstance(event, Exception):
                raise event
            yield event


@dataclass
class Sleeps:
    """Remembers how long somebody wanted to wait, and waits no longer than the loop's next turn."""

    seconds: list[float] = field(default_factory=list)
    at_most: int | None = None
    then: Callable[[], None] = lambda: None

    async def __call__(self, seconds: float) -> None:
        """Wait a turn; the one after `at_most` waits for ever."""
        self.seconds.append(seconds)
        if self.at_most is not None and len(self.seconds) > self.at_most:
            self.then()
            await asyncio.Event().wait()
        await asyncio.sleep(0)


def tools(**changes: Any) -> ReviewTools:
    """Return what reviews are made with, without waiting and without chance."""
    given: dict[str, Any] = {"clock": Clock(), "observer": Observer(), "sleep": Sleeps(), "chance": lambda: 0.5}
    return ReviewTools(**(given | changes))
