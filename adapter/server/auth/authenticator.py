"""Who a caller is, by the credentials that come with a request."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from adapter.errors import Unauthenticated
from adapter.server.auth.certificates import Verifier
from adapter.server.auth.client_certificate import certificate_user
from adapter.server.auth.front_proxy import Headers, front_proxy_user
from adapter.server.auth.ports import AuthObserver
from adapter.server.auth.trust import Trust
from adapter.server.auth.users import ABSENT, NOBODY, Accepted, Outcome, Refused, User, with_standing

_log = logging.getLogger(__name__)

# TLS lets no longer chain through (OpenSSL's limit of 100 KiB); without TLS there is no certificate.
_MAX_CERTIFICATE_BYTES: Final = 100 * 1024


class Tokens(Protocol):
    """Knows whose a bearer token is."""

    async def user(self, headers: Headers, *, within_seconds: float) -> Outcome:
        """Return whose token the headers carry."""


class Authenticator:
    """Tries the kinds of credentials in order: the first that proves something decides.

    Credentials that are there and prove nothing are an error, unless others do: nobody becomes anonymous by mistake.
    """

    def __init__(
        self, *, trust: Callable[[], Trust], verifier: Verifier, tokens: Tokens | None, observer: AuthObserver
    ) -> None:
        """`trust` gives whom to trust now; without `tokens` a bearer's token proves nothing."""
        self._trust = trust
        self._verifier = verifier
        self._tokens = tokens
        self._observer = observer

    async def authenticate(
        self, *, headers: Headers, peer_certificate: bytes | None, within_seconds: float = 9.0
    ) -> User:
        """Return who the caller is; `system:anonymous` if there are no credentials at all.

        `headers` are those of the request, names in any case; `peer_certificate` is the leaf that TLS saw, in DER.

        Raises:
            Unauthenticated: there are credentials, and none of them proves anything.
        """
        refused: list[Refused] = []
        trust = self._trust()
        for outcome in self._by_certificate(headers, peer_certificate, trust):
            if isinstance(outcome, Accepted):
                return self._accepted(outcome)
            if isinstance(outcome, Refused):
                refused.append(outcome)
        by_token = await self._by_token(headers, within_seconds)
        if isinstance(by_token, Accepted):
            return self._accepted(by_token)
        if isinstance(by_token, Refused):
            refused.append(by_token)
        if refused:
            self._observer.authentication(kind=refused[0].kind, outcome="refused")
            reasons = tuple(f"{one.kind}: {one.reason}" for one in refused)
            _log.debug("not authenticated: %s", "; ".join(reasons))
            raise Unauthenticated(reasons)
        self._observer.authentication(kind="anonymous", outcome="accepted")
        return NOBODY

    def _by_certificate(self, headers: Headers, der: bytes | None, trust: Trust) -> Iterator[Outcome]:
        if der is not None and len(der) > _MAX_CERTIFICATE_BYTES:
            yield Refused(kind="client_certificate", reason="the certificate is too large")
            return
        yield front_proxy_user(headers, der, trust.front_proxy, self._verifier)
        yield certificate_user(der, trust.client, self._verifier)

    async def _by_token(self, headers: Headers, within_seconds: float) -> Outcome:
        if self._tokens is not None:
            return await self._tokens.user(headers, within_seconds=within_seconds)
        return ABSENT

    def _accepted(self, accepted: Accepted) -> User:
        self._observer.authentication(kind=accepted.kind, outcome="accepted")
        return with_standing(accepted.user)
