"""Which proxy leads to an address, by the environment, as Go's programs read it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit


def proxy_of(url: str, environment: Mapping[str, str]) -> str | None:
    """Return the proxy's URL, None to connect directly.

    httpx does not know ranges of addresses in NO_PROXY (10.0.0.0/8), and these are how clusters are usually excepted.
    """
    parts = urlsplit(url)
    host, port = (parts.hostname or "").rstrip("."), parts.port or (443 if parts.scheme == "https" else 80)
    found = _variable(environment, f"{parts.scheme}_proxy") or _variable(environment, "all_proxy")
    if not found or host == "localhost" or _is_loopback(host):
        return None
    if any(_excepts(entry, host, port) for entry in _entries(_variable(environment, "no_proxy"))):
        return None
    return found if "://" in found else f"http://{found}"


def _variable(environment: Mapping[str, str], name: str) -> str:
    return environment.get(name.upper()) or environment.get(name) or ""


def _entries(text: str) -> Iterator[str]:
    return (entry.strip().lower() for entry in text.split(",") if entry.strip())


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _excepts(entry: str, host: str, port: int) -> bool:
    """Say whether an entry of NO_PROXY is about a host: a star, a range, an address or a domain, maybe with a port."""
    if entry == "*":
        return True
    name, colon, number = entry.rpartition(":")
    if colon and number.isdecimal() and (":" not in name or name.endswith("]")):
        if int(number) != port:
            return False
        entry = name
    entry = entry.strip("[]")
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except (ValueError, TypeError):  # a name on either side
        domain = entry.removeprefix("*")
        if domain.startswith("."):
            return host.endswith(domain)
        return host == domain or host.endswith(f".{domain}")
