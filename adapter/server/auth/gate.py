"""Lets callers in, or does not: who they are first, then whether they may."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from adapter.server.auth.attributes import attributes_of
from adapter.server.auth.authenticator import Authenticator
from adapter.server.auth.authorizer import Authorizer
from adapter.server.auth.certificates import Verifier
from adapter.server.auth.front_proxy import Headers
from adapter.server.auth.ports import Cluster
from adapter.server.auth.reviews import ReviewTools
from adapter.server.auth.tokens import TokenReviewer
from adapter.server.auth.trust import Trust
from adapter.server.auth.users import User
from adapter.server.calls import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class GateOptions:
    """What the flags say of tokens and of rights; times are in seconds."""

    token_ttl_seconds: float = 10.0
    always_allow_paths: tuple[str, ...] = ("/healthz", "/readyz", "/livez")
    allowed_ttl_seconds: float = 10.0
    denied_ttl_seconds: float = 10.0


class Gate:
    """Authentication and authorization of one request after the other."""

    def __init__(
        self,
        *,
        authenticator: Authenticator,
        authorizer: Authorizer,
        tokens: TokenReviewer | None,
        clock: Callable[[], float],
    ) -> None:
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._tokens = tokens
        self._clock = clock

    async def admit(
        self, call: Call, *, headers: Headers, peer_certificate: bytes | None, within_seconds: float = 9.0
    ) -> User:
        """Return who the caller is, if the caller may do what the call asks; waits at most so many seconds.

        Raises:
            Unauthenticated: credentials that prove nothing.
            AccessDenied: the caller may not.
            AuthorizerFailed: nobody could be asked.
        """
        end = self._clock() + within_seconds
        user = await self.authenticate(headers, peer_certificate, within_seconds=within_seconds)
        await self.authorize(user, call, within_seconds=end - self._clock())
        return user

    async def authenticate(
        self, headers: Headers, peer_certificate: bytes | None, *, within_seconds: float = 9.0
    ) -> User:
        """Return who the caller is; raises Unauthenticated."""
        return await self._authenticator.authenticate(
            headers=headers, peer_certificate=peer_certificate, within_seconds=within_seconds
        )

    async def authorize(self, user: User, call: Call, *, within_seconds: float = 9.0) -> None:
        """Return if the caller may; raises AccessDenied and AuthorizerFailed."""
        attributes = attributes_of(call.method, call.path, call.parameters)
        await self._authorizer.check(user, attributes, within_seconds=within_seconds)

    async def close(self) -> None:
        """Give up what is under way."""
        await self._authorizer.close()
        if self._tokens is not None:
            await self._tokens.close()


def open_gate(
    options: GateOptions,
    *,
    trust: Callable[[], Trust],
    authentication: Cluster | None,
    authorization: Cluster | None,
    tools: ReviewTools,
    wall_clock: Callable[[], float],
) -> Gate:
    """Return the gate; raises ConfigError for paths that cannot be.

    `trust` is `TrustKeeper.current`; without a cluster for authentication no token proves anything, without one for
    authorization everybody but `system:masters` is denied everything but the paths that are always allowed.
    """
    tokens = None
    if authentication is not None:
        secret = secrets.token_bytes(32)  # of SHA-256's own size
        tokens = TokenReviewer(authentication, ttl_seconds=options.token_ttl_seconds, secret=secret, tools=tools)
    authenticator = Authenticator(
        trust=trust,
        verifier=Verifier(wall_clock=wall_clock, observer=tools.observer),
        tokens=tokens,
        observer=tools.observer,
    )
    authorizer = Authorizer(
        authorization,
        always_allow_paths=options.always_allow_paths,
        allowed_ttl_seconds=options.allowed_ttl_seconds,
        denied_ttl_seconds=options.denied_ttl_seconds,
        tools=tools,
    )
    return Gate(authenticator=authenticator, authorizer=authorizer, tokens=tokens, clock=tools.clock)
