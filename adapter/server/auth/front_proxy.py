"""Who a front proxy says the caller is: the headers that count only with its certificate."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import unquote_to_bytes

from adapter.server.auth.certificates import InvalidCertificateError, Verifier
from adapter.server.auth.trust import FrontProxy, HeaderNames
from adapter.server.auth.users import ABSENT, Accepted, Outcome, Refused, User

Headers = Sequence[tuple[bytes, bytes]]

_KIND: Final = "front_proxy"
# A user of more groups than this has no name for them all in any identity provider (Entra ID stops at 200), and each
# review carries them.
_MAX_GROUPS: Final = 4096
_MAX_EXTRA_VALUES: Final = 1024
# What net/http and proxies take for one header line; a name or a group is far below.
_MAX_VALUE_BYTES: Final = 16 * 1024
_ESCAPED: Final = re.compile(r"(?:[^%]|%[0-9a-f]{2})*", re.DOTALL)


def front_proxy_user(
    headers: Headers, certificate: bytes | None, trusted: FrontProxy | None, verifier: Verifier
) -> Outcome:
    """Return who the front proxy's headers name, if the certificate is the front proxy's."""
    if certificate is None or trusted is None:
        return ABSENT
    try:
        verified = verifier.verify(certificate, trusted.bundle)
    except InvalidCertificateError as error:
        return Refused(kind=_KIND, reason=str(error))
    allowed = trusted.allowed_names
    if allowed and (not verified.common_name or verified.common_name not in allowed):
        return Refused(kind=_KIND, reason="the certificate's common name is not an allowed front proxy's")
    return _named(headers, trusted.headers)


def _named(headers: Headers, names: HeaderNames) -> Outcome:
    name = _first(headers, names.username)
    if not name:
        return ABSENT
    groups = tuple(value for one in names.group for value in _values(headers, one) if value)
    extra = _extra(headers, names.extra_prefix)
    uid = _first(headers, names.uid)
    texts = (name, uid, *groups, *extra, *(value for values in extra.values() for value in values))
    if len(groups) > _MAX_GROUPS or sum(map(len, extra.values())) > _MAX_EXTRA_VALUES:
        return Refused(kind=_KIND, reason="too many groups or extra values")
    if any(len(text) > _MAX_VALUE_BYTES for text in texts):
        return Refused(kind=_KIND, reason="a header is too long")
    return Accepted(kind=_KIND, user=User(name=name, uid=uid, groups=groups, extra=extra))


def _first(headers: Headers, names: Sequence[str]) -> str:
    """Return the first value of the first of these headers that has one."""
    for name in names:
        value = next(_values(headers, name), "")
        if value:
            return value
    return ""


def _values(headers: Headers, name: str) -> Iterator[str]:
    wanted = name.lower().encode()
    return (_text(value) for key, value in headers if key.lower() == wanted)


def _extra(headers: Headers, prefixes: Sequence[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for prefix in filter(None, prefixes):  # an empty one would take every header
        wanted = prefix.lower().encode()
        for key, value in headers:
            if key.lower().startswith(wanted):
                found.setdefault(_extra_key(key[len(wanted) :]), []).append(_text(value))
    return {key: tuple(values) for key, values in found.items()}


def _extra_key(raw: bytes) -> str:
    """Return a key as it was before it became part of a header's name; one with a broken escape stays as it is."""
    text = raw.decode("latin-1").lower()
    return unquote_to_bytes(text).decode("utf-8", "replace") if _ESCAPED.fullmatch(text) else text


def _text(value: bytes) -> str:
    return value.strip(b" \t").decode("utf-8", "replace")
