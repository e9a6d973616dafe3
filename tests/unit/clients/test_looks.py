"""Single looks at other programs: how they answer over HTTP, and which certificate they show."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from rig.certificates import Authority

from adapter.clients.looks import NoLookError, look_at_url, served_certificates

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def answering(answer: bytes, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Answer each connection with some bytes, none for never; give the port. All connections are gone at the end."""
    under_way: list[asyncio.Task[None]] = []
    begun = asyncio.Event()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        under_way.append(asyncio.create_task(serve(reader, writer)))
        begun.set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            if answer:
                writer.write(answer)
                await writer.drain()
            else:
                await reader.read()
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    server = await asyncio.start_server(begin, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]
        await begun.wait()  # of TLS the client may have been content before the server was
        await asyncio.gather(*under_way)


def http(status: int, body: bytes) -> bytes:
    """Return an answer."""
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (status, len(body)) + body


@pytest.mark.parametrize(("status", "body"), [(200, b"{}"), (403, b"no"), (302, b"")])
async def test_whatever_the_status_is_it_is_returned(status: int, body: bytes) -> None:
    """A look returns the status and the body, follows nothing and judges nothing."""
    async with answering(http(status, body)) as port:
        seen = await look_at_url(f"http://127.0.0.1:{port}/x", proxy=None, verify=True, timeout_seconds=5)

    assert seen == (status, body)


async def test_a_long_body_is_cut() -> None:
    """Of an answer that has no end the first 64 KiB are returned."""
    async with answering(http(200, b"x" * 200_000)) as port:
        _, body = await look_at_url(f"http://127.0.0.1:{port}/", proxy=None, verify=True, timeout_seconds=5)

    assert len(body) == 64 * 1024


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://[", "http://a b/", "ftp://x/"])
async def test_no_answer_says_why(url: str) -> None:
    """Where nobody answers, and where nobody can be asked, the reason is told."""
    with pytest.raises(NoLookError, match=r"\S"):
        await look_at_url(url, proxy=None, verify=True, timeout_seconds=5)


async def test_silence_ends_in_time() -> None:
    """A server that says nothing is left after the time limit."""
    async with answering(b"") as port:
        with pytest.raises(NoLookError, match=r"no answer within 0\.05 s"):
            await look_at_url(f"http://127.0.0.1:{port}/", proxy=None, verify=True, timeout_seconds=0.05)


async def test_the_certificate_that_is_shown(tmp_path: Path) -> None:
    """A handshake returns what is shown, whoever signed it."""
    pair = Authority("ca").issue("somebody.svc")
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    certificate.write_bytes(pair.certificate)
    key.write_bytes(pair.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async with answering(http(200, b""), context) as port:
        shown = await served_certificates("127.0.0.1", port, server_name="x.svc", timeout_seconds=5)

    assert ssl.PEM_cert_to_DER_cert(shown.decode()) == ssl.PEM_cert_to_DER_cert(pair.certificate.decode())


async def test_no_handshake_says_why() -> None:
    """Where there is no TLS, or nobody, the reason is told."""
    async with answering(http(200, b"")) as port:
        with pytest.raises(NoLookError, match=r"\S"):
            await served_certificates("127.0.0.1", port, server_name="x.svc", timeout_seconds=0.2)
    with pytest.raises(NoLookError, match=r"\S"):
        await served_certificates("127.0.0.1", 1, server_name="x.svc", timeout_seconds=1)
