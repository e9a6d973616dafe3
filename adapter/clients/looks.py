"""Single looks at other programs, for somebody who wants to know how they answer: over HTTP, and in a TLS handshake."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress

import httpx

from adapter import __version__

# An answer that is looked at, and not used, need not be longer.
_MAX_BYTES = 64 * 1024


class NoLookError(Exception):
    """There was no answer; the text says why."""


async def look_at_url(url: str, *, proxy: str | None, verify: bool, timeout_seconds: float) -> tuple[int, bytes]:
    """Return the status and the first 64 KiB of the body at an address, without any login.

    Raises:
        NoLookError: no answer.
    """
    headers = {"Accept": "application/json", "User-Agent": f"tidegauge/{__version__}"}
    try:
        async with (
            asyncio.timeout(timeout_seconds),
            httpx.AsyncClient(verify=verify, proxy=proxy, trust_env=False, timeout=None) as client,  # noqa: S113 - the line above limits all of it
            client.stream("GET", url, headers=headers) as response,
        ):
            content = b""
            async for piece in response.aiter_bytes():
                content += piece
                if len(content) > _MAX_BYTES:
                    break
            return response.status_code, content[:_MAX_BYTES]
    except TimeoutError as error:
        raise NoLookError(f"no answer within {timeout_seconds:g} s") from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        raise NoLookError(str(error) or type(error).__name__) from error


async def served_certificates(host: str, port: int, *, server_name: str, timeout_seconds: float) -> bytes:
    """Return the certificates, in PEM, that a server shows to whoever asks for a name; nothing is verified.

    Before Python 3.13 it is the first one only.

    Raises:
        NoLookError: no handshake.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(timeout_seconds):
            _, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=server_name)
            try:
                shown = _chain(writer.get_extra_info("ssl_object"))
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
    except TimeoutError as error:
        raise NoLookError(f"no handshake within {timeout_seconds:g} s") from error
    except (OSError, ValueError) as error:
        raise NoLookError(str(error) or type(error).__name__) from error
    if not shown:
        raise NoLookError("the server shows no certificate")
    return "".join(map(ssl.DER_cert_to_PEM_cert, shown)).encode()


def _chain(connection: ssl.SSLObject) -> list[bytes]:
    if hasattr(connection, "get_unverified_chain"):
        return list(connection.get_unverified_chain())
    leaf = connection.getpeercert(binary_form=True)
    return [leaf] if leaf else []
