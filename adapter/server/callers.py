"""Puts together who may call, from the flags: whom to trust, the gate, the audit log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from adapter.config.problems import ConfigError, Location, Problem, Severity
from adapter.config.settings import Settings
from adapter.server.audit import AuditLog, AuditObserver, AuditOptions
from adapter.server.auth import AuthObserver, Gate, GateOptions, HeaderNames, ReviewTools, TrustKeeper, TrustOptions
from adapter.server.auth import open_gate as open_auth_gate
from adapter.server.auth.ports import Cluster, WatchedCluster

# However long a review that is under way may still take: the process ends.
_CLOSING_SECONDS = 1.0


class Observer(AuthObserver, AuditObserver, Protocol):
    """Who is told about callers and about the audit log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Callers:
    """Who may call: the gate, and what it trusts; without a gate everybody who can reach the listener."""

    gate: Gate | None = None
    trust: TrustKeeper | None = None
    audit: AuditLog | None = None


@asynccontextmanager
async def open_callers(
    settings: Settings,
    *,
    authentication: WatchedCluster | None,
    authorization: Cluster | None,
    observer: Observer,
    clock: Callable[[], float],
    wall_clock: Callable[[], float],
) -> AsyncIterator[Callers]:
    """Learn whom to trust, and follow that until the block ends.

    Callers are checked as soon as there is a cluster to ask, or an authority that a flag names. Nothing may be listened
    to before this is done: a request that comes too early would be refused. Raises ConfigError.
    """
    audit = _open_audit(settings, observer)
    try:
        authorities = settings.client_ca_file or settings.requestheader_client_ca_file
        if authentication is None and authorization is None and not authorities:
            yield Callers(audit=audit)
            return
        trust = TrustKeeper(_trust_options(settings), authentication, observer=observer)
        await trust.ready()
        gate = open_auth_gate(
            _gate_options(settings),
            trust=trust.current,
            authentication=authentication,
            authorization=authorization,
            tools=ReviewTools(clock=clock, observer=observer),
            wall_clock=wall_clock,
        )
        following = asyncio.create_task(trust.run(), name="trust")
        try:
            yield Callers(gate=gate, trust=trust, audit=audit)
        finally:
            following.cancel()
            await asyncio.wait([following], timeout=_CLOSING_SECONDS)
            await gate.close()
    finally:
        if audit is not None:
            await asyncio.to_thread(audit.close)


def _open_audit(settings: Settings, observer: AuditObserver) -> AuditLog | None:
    if not settings.audit_log_path:
        return None
    options = AuditOptions(
        path=settings.audit_log_path,
        max_size_mebibytes=settings.audit_log_maxsize,
        max_backups=settings.audit_log_maxbackup,
    )
    try:
        return AuditLog(options, observer=observer)
    except OSError as error:
        problem = Problem(
            code="serve/callers",
            severity=Severity.ERROR,
            message=f"the audit log cannot be written: {error}",
            location=Location(file="--audit-log-path"),
            hint="give a file in a directory that can be written, or - for standard output",
        )
        raise ConfigError((problem,)) from error


def _trust_options(settings: Settings) -> TrustOptions:
    return TrustOptions(
        client_ca_file=settings.client_ca_file,
        front_proxy_ca_file=settings.requestheader_client_ca_file,
        allowed_names=settings.requestheader_allowed_names,
        headers=HeaderNames(
            username=settings.requestheader_username_headers,
            uid=settings.requestheader_uid_headers,
            group=settings.requestheader_group_headers,
            extra_prefix=settings.requestheader_extra_headers_prefix,
        ),
        skip_lookup=settings.authentication_skip_lookup,
        tolerate_lookup_failure=settings.authentication_tolerate_lookup_failure,
    )


def _gate_options(settings: Settings) -> GateOptions:
    return GateOptions(
        token_ttl_seconds=settings.authentication_token_webhook_cache_ttl_seconds,
        always_allow_paths=settings.authorization_always_allow_paths,
        allowed_ttl_seconds=settings.authorization_webhook_cache_authorized_ttl_seconds,
        denied_ttl_seconds=settings.authorization_webhook_cache_unauthorized_ttl_seconds,
    )
