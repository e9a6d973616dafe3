"""Who a caller is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

AUTHENTICATED: Final = "system:authenticated"
UNAUTHENTICATED: Final = "system:unauthenticated"
ANONYMOUS: Final = "system:anonymous"
MASTERS: Final = "system:masters"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A caller: name, uid (mostly empty), groups in the order they were told, and what else is known by key."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


NOBODY: Final = User(name=ANONYMOUS, groups=(UNAUTHENTICATED,))


def with_standing(user: User) -> User:
    """Return the user as a member of `system:authenticated`, unless it is said already whether it is one."""
    if user.name == ANONYMOUS or {AUTHENTICATED, UNAUTHENTICATED} & set(user.groups):
        return user
    return replace(user, groups=(*user.groups, AUTHENTICATED))


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """Credentials that prove who the caller is; `kind` says which: front_proxy, client_certificate, token."""

    user: User
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """No credentials of this kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Credentials of this kind that prove nothing; the reason is for the log and holds no secret."""

    kind: str
    reason: str


Outcome = Accepted | Absent | Refused
ABSENT: Final = Absent()
