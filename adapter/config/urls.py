"""Addresses of Prometheus servers: what is wrong with one, and how to show one without its secrets."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit, urlunsplit

_HIDDEN: Final = "xxxxx"  # what Go's URL.Redacted writes
_FORBIDDEN: Final = re.compile(r"[\x00-\x20\x7f]")

_PASSWORD: Final = re.compile(r"(?<=://)([^/\s@:]*):([^/\s@]+)(?=@)")


def url_fault(url: str) -> str | None:
    """Say what is wrong with the address of a server, in words that give none of it away; None if nothing is."""
    if _FORBIDDEN.search(url):
        return "it contains a space or a control character"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "its host or port cannot be read"
    if parts.scheme not in ("http", "https"):
        return "it must begin with http:// or https://"
    if not parts.hostname:
        return "it names no host"
    if port == 0:
        return "its port must be between 1 and 65535"
    return "it has a fragment (#...), which no server sees" if parts.fragment else None


def redacted_url(url: str) -> str:
    """Return an address with its password, and the values of its query, hidden; for logs and messages."""
    if url_fault(url):
        return "(an address that cannot be read)"
    parts = urlsplit(url)
    query = urlencode([(name, _HIDDEN) for name, _ in parse_qsl(parts.query, keep_blank_values=True)])
    return urlunsplit(SplitResult(parts.scheme, _redacted_authority(parts), parts.path, query, ""))


def without_passwords(text: str) -> str:
    """Return a text with the passwords of the addresses in it overwritten, each with as many letters."""
    return _PASSWORD.sub(lambda match: f"{match[1]}:{'x' * len(match[2])}", text)


def _redacted_authority(parts: SplitResult) -> str:
    credentials, at, host = parts.netloc.rpartition("@")
    if not at:
        return host
    user, colon, _ = credentials.partition(":")
    return f"{quote(user, safe='%')}:{_HIDDEN}@{host}" if colon else f"{_HIDDEN}@{host}"
