"""Certificates for names: which one is shown to a client that says which server it wants (RFC 6066, 3)."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from adapter.config.problems import ConfigError, Location, Problem, Severity

FLAG = "--tls-sni-cert-key"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedPair:
    """Two files, and the names that they are for; without any, those in the certificate."""

    certificate: str
    key: str
    patterns: tuple[str, ...] = ()


def read_pair(text: str) -> NamedPair:
    """Read `certificate,key` or `certificate,key:name,*.name`, as kube-apiserver's flag; raises ConfigError."""
    files, _, names = text.partition(":")
    certificate, _, key = files.partition(",")
    patterns = tuple(name.strip().lower() for name in names.split(",") if name.strip())
    if not certificate or not key or "," in key:
        message = f"{text!r} is not certificate,key or certificate,key:name,*.name"
        location = Location(file=FLAG)
        raise ConfigError((Problem(code="serve/tls", severity=Severity.ERROR, message=message, location=location),))
    return NamedPair(certificate=certificate, key=key, patterns=patterns)


@dataclass(slots=True, kw_only=True)
class Choice:
    """One certificate to choose: how it is spoken with, its given names, and those that it holds now."""

    context: ssl.SSLContext
    patterns: tuple[str, ...]
    names: Callable[[], tuple[str, ...]]


@dataclass(slots=True)
class ByName:
    """Chooses by name: whole names before wildcards, given names before those in certificates (as kube-apiserver)."""

    choices: list[Choice] = field(default_factory=list)

    def pick(self, name: str) -> ssl.SSLContext | None:
        """Return how to speak with a client that wants this name, None if no certificate is for it."""
        wanted = name.lower().rstrip(".")
        for said in (wanted, *_wildcards(wanted)):
            given = (one for one in self.choices if said in one.patterns)
            held = (one for one in self.choices if not one.patterns and said in one.names())
            for choice in chain(given, held):
                return choice.context
        return None

    def install(self, context: ssl.SSLContext) -> None:
        """Have a server's context choose; whoever wants no name, or one of nobody, gets that context's certificate."""

        def choose(connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _context: ssl.SSLContext) -> None:
            picked = self.pick(name) if name else None
            if picked is not None:
                connection.context = picked

        context.sni_callback = choose


def names_of(leaf: x509.Certificate | None) -> tuple[str, ...]:
    """Return the DNS names and addresses that a certificate is for, in small letters."""
    if leaf is None:
        return ()
    try:
        found = leaf.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return ()
    if not isinstance(found, x509.SubjectAlternativeName):
        return ()
    addresses: Sequence[ipaddress.IPv4Address | ipaddress.IPv6Address | ipaddress.IPv4Network | ipaddress.IPv6Network]
    addresses = found.get_values_for_type(x509.IPAddress)
    return (*(name.lower() for name in found.get_values_for_type(x509.DNSName)), *map(str, addresses))


def _wildcards(name: str) -> Iterator[str]:
    """Yield the patterns of the name with one segment after the other replaced, as in Go's crypto/tls."""
    labels = name.split(".")
    for count in range(1, len(labels) + 1):
        yield ".".join(["*"] * count + labels[count:])
