"""Hands the certificate that a client showed in the TLS handshake to the application."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from starlette.types import Scope

_STATE = "peer_certificate"


class PeerCertificate(asyncio.Protocol):
    """Stands before one of uvicorn's HTTP protocols: `class P(PeerCertificate, HttpToolsProtocol)`.

    uvicorn copies `app_state` into the scope of each request; nothing that a client sends gets in there.
    """

    app_state: dict[str, Any]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin a connection, and remember who is at its other end."""
        tls = transport.get_extra_info("ssl_object")
        der = tls.getpeercert(binary_form=True) if tls is not None else None
        self.app_state = {**self.app_state, _STATE: der}
        super().connection_made(transport)


def peer_certificate(scope: Scope) -> bytes | None:
    """Return the leaf that the client of a request showed, in DER; None without one."""
    found: bytes | None = scope.get("state", {}).get(_STATE)
    return found


def ask_for_certificates(context: ssl.SSLContext, pem: str) -> None:
    """Ask clients for a certificate from the next handshake on, and take those of these authorities as well.

    A live context only ever learns authorities; one that was taken away stops to count by the check of each request.
    Without authorities nobody is asked. Raises ssl.SSLError for what is no PEM.
    """
    if not pem:
        return
    context.load_verify_locations(cadata=pem)
    # Each authority counts by itself, as in Go: an intermediate one needs no root beside it.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_mode = ssl.CERT_OPTIONAL
