"""Whom to trust: the authorities of clients and of the front proxy, and the headers that the front proxy speaks in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from adapter.server.auth.certificates import Bundle, read_bundle

CLIENT_CA: Final = "client-ca-file"
FRONT_PROXY_CA: Final = "requestheader-client-ca-file"
# Kubernetes writes one to three names into each of these lists.
_MAX_NAMES: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderNames:
    """The headers that name a user; matched without regard to case, of usernames and uids the first that is there."""

    username: tuple[str, ...] = ()
    uid: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    extra_prefix: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontProxy:
    """Who may speak for others: certificates of these authorities with one of these common names (none: any)."""

    bundle: Bundle
    allowed_names: tuple[str, ...]
    headers: HeaderNames


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whom to trust now; what is None trusts nobody."""

    client: Bundle | None = None
    front_proxy: FrontProxy | None = None

    @property
    def pem(self) -> str:
        """Return all authorities in PEM, for the TLS context; empty if nobody is trusted."""
        bundles = (self.client, self.front_proxy.bundle if self.front_proxy else None)
        return "".join(bundle.pem for bundle in bundles if bundle is not None)


def client_bundle(data: Mapping[str, object]) -> Bundle | None:
    """Return the clients' authorities of the ConfigMap's data, None if it names none; raises ValueError."""
    pem = _text(data, CLIENT_CA)
    return read_bundle(pem.encode()) if pem else None


def front_proxy(data: Mapping[str, object]) -> FrontProxy | None:
    """Return the front proxy of the ConfigMap's data, None if it names none; raises ValueError."""
    pem = _text(data, FRONT_PROXY_CA)
    if not pem:
        return None
    return FrontProxy(
        bundle=read_bundle(pem.encode()),
        allowed_names=_names(data, "requestheader-allowed-names"),
        headers=HeaderNames(
            username=_names(data, "requestheader-username-headers"),
            uid=_names(data, "requestheader-uid-headers"),
            group=_names(data, "requestheader-group-headers"),
            extra_prefix=_names(data, "requestheader-extra-headers-prefix"),
        ),
    )


def _text(data: Mapping[str, object], key: str) -> str:
    value = data.get(key) or ""
    if isinstance(value, str):
        return value
    raise ValueError(f"{key} is no text")


def _names(data: Mapping[str, object], key: str) -> tuple[str, ...]:
    """Read a JSON list of texts; an empty text in it would match every header, or every certificate without a name."""
    text = _text(data, key)
    if not text:
        return ()
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"{key} is no JSON") from None
    if found is None:
        return ()
    if not isinstance(found, list) or not all(isinstance(one, str) and one for one in found):
        raise ValueError(f"{key} is no list of names")
    if len(found) > _MAX_NAMES:
        raise ValueError(f"{key} has more than {_MAX_NAMES} names")
    return tuple(found)
