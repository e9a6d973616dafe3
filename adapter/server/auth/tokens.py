"""Who a bearer token belongs to: kube-apiserver knows (TokenReview)."""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from typing import Final

from adapter.errors import KubernetesUnavailable, UpstreamError
from adapter.server.auth.ports import Cluster
from adapter.server.auth.reviews import Answered, Reviews, ReviewTools
from adapter.server.auth.users import ABSENT, Accepted, Outcome, Refused, User

_KIND: Final = "token"
_PATH: Final = "/apis/authentication.k8s.io/v1/tokenreviews"
# Tokens of service accounts have 1 to 2 KiB; those with many groups stop where proxies cut headers, at 8 to 32 KiB.
_MAX_TOKEN_BYTES: Final = 64 * 1024
# As many callers as there may be of different tokens within ten seconds; an entry has less than 1 KiB.
_MAX_ENTRIES: Final = 8192
# RFC 6750 has fewer characters; what is no visible ASCII is no token of anybody.
_TOKEN: Final = re.compile(rb"[\x21-\x7e]+")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_BEARER_WORDS: Final = 2


def bearer_token(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Return the token of the first Authorization header; empty if it is none of a bearer."""
    value = next((value for name, value in headers if name.lower() == b"authorization"), b"")
    words = value.strip(b" \t").split(b" ", _BEARER_WORDS)
    return words[1] if len(words) >= _BEARER_WORDS and words[0].lower() == b"bearer" else b""


class TokenReviewer:
    """Asks whose a token is; a yes and a clean no count for a time, by a keyed digest: no token is kept."""

    def __init__(self, cluster: Cluster, *, ttl_seconds: float, secret: bytes, tools: ReviewTools) -> None:
        """`secret` is the digest's key, random for each process."""
        self._cluster = cluster
        self._ttl_seconds = ttl_seconds
        self._secret = secret
        self._reviews: Reviews[Accepted | Refused] = Reviews(kind=_KIND, max_entries=_MAX_ENTRIES, tools=tools)

    async def user(self, headers: Sequence[tuple[bytes, bytes]], *, within_seconds: float) -> Outcome:
        """Return whose token the headers carry; a review that fails refuses."""
        token = bearer_token(headers)
        if not token:
            return ABSENT
        if len(token) > _MAX_TOKEN_BYTES or not _TOKEN.fullmatch(token):
            return Refused(kind=_KIND, reason="the token is too long or has impossible characters")
        key = hmac.digest(self._secret, token, "sha256")

        async def ask(call_seconds: float) -> Answered[Accepted | Refused]:
            return await self._review(token.decode("ascii"), call_seconds)

        try:
            return await self._reviews.get(key, ask, within_seconds=within_seconds)
        except (UpstreamError, TimeoutError) as error:
            return Refused(kind=_KIND, reason=str(error) or "no answer in time")

    async def close(self) -> None:
        """Give up the reviews under way."""
        await self._reviews.close()

    async def _review(self, token: str, call_seconds: float) -> Answered[Accepted | Refused]:
        body = {
            "kind": "TokenReview",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {},
            "spec": {"token": token},
            "status": {"user": {}},
        }
        answer = await self._cluster.request("POST", _PATH, body=body, timeout_seconds=call_seconds)
        status = answer.get("status")
        if not isinstance(status, dict):
            raise _unreadable()
        if status.get("authenticated") is True:
            accepted = Accepted(kind=_KIND, user=_user_of(status.get("user")))
            return Answered(verdict=accepted, ttl_seconds=self._ttl_seconds, is_yes=True)
        if status.get("error"):
            # The token is bad or nobody could tell: kube-apiserver says both in the same way, so it is asked again.
            refused = Refused(kind=_KIND, reason="the token could not be verified")
            return Answered(verdict=refused, ttl_seconds=0.0, is_yes=False)
        refused = Refused(kind=_KIND, reason="the token is invalid")
        return Answered(verdict=refused, ttl_seconds=self._ttl_seconds, is_yes=False)


def _user_of(user: object) -> User:
    """Return the user that a TokenReview names; raises KubernetesUnavailable for what cannot be read."""
    if not isinstance(user, dict):
        raise _unreadable()
    (name,), (uid,) = _texts([user.get("username")]), _texts([user.get("uid") or ""])
    extra = user.get("extra") or {}
    if not name or not isinstance(extra, dict):
        raise _unreadable()
    return User(
        name=name,
        uid=uid,
        groups=_texts(user.get("groups") or []),
        extra=dict(zip(_texts([*extra]), map(_texts, extra.values()), strict=True)),
    )


def _texts(values: object) -> tuple[str, ...]:
    """Return a list of texts; lone surrogates, which JSON can write, are none: nothing could be asked about them."""
    if not isinstance(values, list):
        raise _unreadable()
    if not all(isinstance(one, str) and not _SURROGATE.search(one) for one in values):
        raise _unreadable()
    return tuple(values)


def _unreadable() -> KubernetesUnavailable:
    return KubernetesUnavailable("the TokenReview cannot be read", kind="bad_answer")
