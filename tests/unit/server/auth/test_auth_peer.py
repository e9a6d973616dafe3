"""The certificate of a real TLS client, as the application sees it."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn
from auth_rig import DAY, SERVER, Made, authority, client, make, named
from cryptography import x509
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from adapter.server.auth import ask_for_certificates, peer_certificate
from adapter.server.protocol import PatientProtocol

pytestmark = pytest.mark.anyio

NOW = dt.datetime.now(dt.UTC)
SPAN = {"begin": NOW - DAY, "end": NOW + DAY}
SERVING_CA = authority("serving", **SPAN)
SERVING = make(
    named("localhost"),
    by=SERVING_CA,
    extensions=[(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)],
    **SPAN,
)
OLD_CA, NEW_CA = authority("front-proxy-ca", **SPAN), authority("front-proxy-ca", **SPAN)
INTERMEDIATE = make(named("team"), by=OLD_CA, ca=True, **SPAN)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the fingerprint-to-be of the peer: its DER."""
    body = peer_certificate(scope) or b"nobody"
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@dataclass
class Served:
    """A server on the loopback interface."""

    context: ssl.SSLContext
    port: int
    folder: Path

    async def connect(self, made: Made | None = None) -> Connection:
        """Connect, with a certificate if one is given."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=SERVING_CA.pem.decode())
        if made is not None:
            load(context, made, self.folder / "client.pem")
        return Connection(*await asyncio.open_connection("127.0.0.1", self.port, ssl=context))

    async def ask(self, made: Made | None = None) -> bytes:
        """Return what the application sees of a client."""
        connection = await self.connect(made)
        try:
            return await connection.ask()
        finally:
            connection.close()


@dataclass
class Connection:
    """One TLS connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, more: bytes = b"") -> bytes:
        """Return the body of an answer; raises an OSError, or EOF, if the server did not take the certificate."""
        self.writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n" + more + b"\r\n")
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        return await self.reader.readexactly(int(length))

    def close(self) -> None:
        """Close, and wait for nobody."""
        self.writer.transport.abort()


def load(context: ssl.SSLContext, made: Made, path: Path) -> None:
    """Show a certificate; Python takes it from a file only."""
    path.write_bytes(made.pem + made.key_pem)
    context.load_cert_chain(path)


@asynccontextmanager
async def served(folder: Path, *, pem: str) -> AsyncIterator[Served]:
    """Serve with these authorities of clients."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load(context, SERVING, folder / "server.pem")
    ask_for_certificates(context, pem)
    config = uvicorn.Config(app, ws="none", lifespan="off", interface="asgi3", log_config=None, access_log=False)
    config.load()
    state, loop = ServerState(), asyncio.get_running_loop()

    def connection() -> HttpToolsProtocol:
        return PatientProtocol(config=config, server_state=state, app_state={})

    server = await loop.create_server(connection, "127.0.0.1", 0, ssl=context)
    try:
        yield Served(context, server.sockets[0].getsockname()[1], folder)
    finally:
        server.close()
        for one in list(state.connections):
            one.transport.abort()  # type: ignore[union-attr]  # the protocols of HTTP have a transport
        await server.wait_closed()


async def refused(one: Served, made: Made) -> bool:
    """Tell whether the handshake, whose end a TLS 1.3 client sees only when it reads, is refused."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        await one.ask(made)
        return False
    return True


async def test_the_application_sees_the_peer(tmp_path: Path) -> None:
    """The leaf of each connection reaches each of its requests, and no header can stand for it."""
    made = client(OLD_CA, "front-proxy-client", **SPAN)
    async with served(tmp_path, pem=OLD_CA.pem.decode()) as one:
        with_certificate, without = await one.connect(made), await one.connect()

        for _ in range(2):
            assert await with_certificate.ask() == made.der
            assert await without.ask(b"peer_certificate: x\r\nX-Peer-Certificate: x\r\n") == b"nobody"

        with_certificate.close()
        without.close()


async def test_authorities_join_a_live_context(tmp_path: Path) -> None:
    """A front proxy's new authority, also one of the same name, counts from the next handshake on, and the old one with it."""
    old, new = client(OLD_CA, "front-proxy-client", **SPAN), client(NEW_CA, "front-proxy-client", **SPAN)
    async with served(tmp_path, pem=OLD_CA.pem.decode()) as one:
        open_before = await one.connect(old)
        assert await refused(one, new)

        ask_for_certificates(one.context, (OLD_CA.pem + NEW_CA.pem).decode())

        assert await one.ask(new) == new.der
        assert await one.ask(old) == old.der
        assert await open_before.ask() == old.der
        open_before.close()


async def test_nobody_is_asked_before_an_authority_is_known(tmp_path: Path) -> None:
    """Without authorities a client keeps its certificate to itself; once there are some it is asked."""
    made = client(OLD_CA, "front-proxy-client", **SPAN)
    async with served(tmp_path, pem="") as one:
        assert await one.ask(made) == b"nobody"

        ask_for_certificates(one.context, OLD_CA.pem.decode())

        assert await one.ask(made) == made.der


async def test_an_intermediate_authority(tmp_path: Path) -> None:
    """An authority of a bundle counts without the root above it."""
    made = client(INTERMEDIATE, "alice", **SPAN)
    async with served(tmp_path, pem=INTERMEDIATE.pem.decode()) as one:
        assert await one.ask(made) == made.der


REFUSED = [
    ("unknown authority", client(NEW_CA, "alice", **SPAN)),
    ("expired", client(OLD_CA, "alice", begin=NOW - 2 * DAY, end=NOW - DAY)),
    ("not yet valid", client(OLD_CA, "alice", begin=NOW + DAY, end=NOW + 2 * DAY)),
    ("for servers only", client(OLD_CA, "alice", extensions=[(SERVER, False)], **SPAN)),
    ("signed by itself", make(named("alice"), issuer=OLD_CA.certificate.subject, **SPAN)),
]


@pytest.mark.parametrize("made", [row[1] for row in REFUSED], ids=[row[0] for row in REFUSED])
async def test_refused_handshakes(made: Made, tmp_path: Path) -> None:
    """Python's ssl ends the handshake of a certificate that it cannot verify, where Go lets the request decide."""
    async with served(tmp_path, pem=OLD_CA.pem.decode()) as one:
        assert await refused(one, made)
        assert await one.ask() == b"nobody"
