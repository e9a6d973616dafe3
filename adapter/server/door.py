"""The way in: who calls, whether they may, how many at once, and a line about what they read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from starlette.types import Scope

from adapter.errors import AccessDenied, AuthorizerFailed
from adapter.server.audit import Caller, Request, Subject
from adapter.server.auth import Attributes, User, attributes_of, peer_certificate, refusal
from adapter.server.calls import Answer, Call
from adapter.server.operations import PROBES

_TOO_MANY: Final = Answer(
    status=429,
    body=b"Too many requests, please try again later.\n",
    content_type="text/plain; charset=utf-8",
    # No Retry-After: client-go would sleep and come back up to ten times, inside an HPA worker.
    headers=((b"x-content-type-options", b"nosniff"),),
)
_PRIVILEGED: Final = "system:masters"
# Who calls where nobody is asked who he is; the name is that of kube-apiserver's former port without checks.
_UNCHECKED: Final = User(name="system:unsecured", groups=(_PRIVILEGED,))
# Even a request whose time went by at the door is told so by what it asks for.
_LEAST_SECONDS: Final = 0.001


class Access(Protocol):
    """Says who a caller is, and whether a caller may."""

    async def authenticate(
        self, headers: Sequence[tuple[bytes, bytes]], peer_certificate: bytes | None, *, within_seconds: float
    ) -> User:
        """Return who the caller is; raises Unauthenticated."""

    async def authorize(self, user: User, call: Call, *, within_seconds: float) -> None:
        """Return if the caller may; raises AccessDenied and AuthorizerFailed."""


class AuditLines(Protocol):
    """Where a line for each metric that was read goes."""

    def note(self, request: Request) -> None:
        """Let a line be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """A request that was let in: who asked, and when it came, in seconds since 1970."""

    user: User
    at_seconds: float


class Door:
    """Lets requests in one by one; without `access` everybody is let in, as nobody who is not local can call."""

    def __init__(
        self,
        *,
        access: Access | None,
        audit: AuditLines | None,
        max_in_flight: int,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        """`max_in_flight` of 0 is no limit; `wall_clock` gives seconds since 1970."""
        self._access = access
        self._audit = audit
        self._max_in_flight = max_in_flight
        self._clock = clock
        self._wall_clock = wall_clock
        self._in_flight = 0

    async def let_in(
        self, call: Call, scope: Scope, *, audit_id: str, seconds: float, answer: Callable[[float], Awaitable[Answer]]
    ) -> Answer:
        """Return the answer to who was let in, 403 to who may not, 429 to who came when too many were in.

        `answer` is told how many of the seconds are left. Raises Unauthenticated.
        """
        entered_at, end = self._wall_clock(), self._clock() + seconds
        if self._access is None:
            given = await self._counted(call, answer, seconds)
            self._note(call, scope, given, audit_id=audit_id, entered=Entered(user=_UNCHECKED, at_seconds=entered_at))
            return given
        user = await self._access.authenticate(scope["headers"], peer_certificate(scope), within_seconds=seconds)
        if self._is_full(call) and _PRIVILEGED not in user.groups:
            return _TOO_MANY
        with self._inside():
            try:
                await self._access.authorize(user, call, within_seconds=end - self._clock())
            except (AccessDenied, AuthorizerFailed) as error:
                given = refusal(error, call, target=target_of(scope))
            else:
                given = await answer(max(end - self._clock(), _LEAST_SECONDS))
        self._note(call, scope, given, audit_id=audit_id, entered=Entered(user=user, at_seconds=entered_at))
        return given

    async def _counted(self, call: Call, answer: Callable[[float], Awaitable[Answer]], seconds: float) -> Answer:
        if self._is_full(call):
            return _TOO_MANY
        with self._inside():
            return await answer(seconds)

    def _is_full(self, call: Call) -> bool:
        """Tell whether a request comes too late; a probe never does, or a busy adapter would be restarted."""
        if not self._max_in_flight or self._in_flight < self._max_in_flight:
            return False
        return call.path.removeprefix("/").partition("/")[0] not in PROBES

    @contextmanager
    def _inside(self) -> Iterator[None]:
        self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1

    def _note(self, call: Call, scope: Scope, answer: Answer, *, audit_id: str, entered: Entered) -> None:
        if self._audit is None:
            return
        attributes = attributes_of(call.method, call.path, call.parameters)
        if not attributes.resource_request:
            return
        user = entered.user
        self._audit.note(
            Request(
                audit_id=audit_id,
                uri=target_of(scope),
                user_agent=call.user_agent,
                source=(scope.get("client") or ("", 0))[0],
                caller=Caller(name=user.name, uid=user.uid, groups=user.groups, extra=user.extra),
                subject=_subject(attributes),
                code=answer.status,
                received_at_seconds=entered.at_seconds,
                answered_at_seconds=self._wall_clock(),
            )
        )


def target_of(scope: Scope) -> str:
    """Return the path and query of a request as they came."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope["query_string"]
    return (raw + (b"?" + query if query else b"")).decode("utf-8", "replace")


def _subject(attributes: Attributes) -> Subject:
    return Subject(
        verb=attributes.verb,
        group=attributes.group,
        version=attributes.version,
        resource=attributes.resource,
        subresource=attributes.subresource,
        namespace=attributes.namespace,
        name=attributes.name,
    )
