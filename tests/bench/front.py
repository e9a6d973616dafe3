"""A front before Prometheus: asks it for plain answers, or is without the label endpoints, as some proxies are.

    python -m bench.front PORT PROMETHEUS_PORT plain|no-labels

Answers are passed on as they come, unread.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Sequence

_LABELS = b"/api/v1/label"
_REFUSED = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
_CHUNK = 65536
_LENGTH = b"content-length:"
_COMPRESSED = b"accept-encoding:"


class _Front:
    def __init__(self, upstream: int, *, is_plain: bool) -> None:
        self._upstream = upstream
        self._is_plain = is_plain

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until either side closes it."""
        below, above = await asyncio.open_connection("127.0.0.1", self._upstream)
        passing = asyncio.create_task(_pass(below, writer))
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.split(b"\r\n")
                body = await reader.readexactly(_body_length(lines))
                if self._is_plain:
                    lines = [line for line in lines if not line.lower().startswith(_COMPRESSED)]
                elif lines[0].split(b" ")[1].startswith(_LABELS):
                    writer.write(_REFUSED)
                    continue
                above.write(b"\r\n".join(lines) + body)
                await above.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            passing.cancel()
            for one in (above, writer):
                one.close()
                with contextlib.suppress(ConnectionError):
                    await one.wait_closed()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while part := await reader.read(_CHUNK):
            writer.write(part)
            await writer.drain()
    writer.close()


def _body_length(lines: Sequence[bytes]) -> int:
    return next((int(line.partition(b":")[2]) for line in lines if line.lower().startswith(_LENGTH)), 0)


async def _main(port: int, upstream: int, *, is_plain: bool) -> None:
    server = await asyncio.start_server(_Front(upstream, is_plain=is_plain).serve, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main(int(sys.argv[1]), int(sys.argv[2]), is_plain=sys.argv[3] == "plain"))
