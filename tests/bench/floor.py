"""A do-nothing ASGI application behind uvicorn, uvloop and httptools over TLS: what the adapter's server costs by itself.

    python -m bench.floor PORT CERTIFICATE KEY AUTHORITY BODY_FILE

It answers every request with the same bytes, in the media type of an answer of the adapter. With an authority it asks
callers for a certificate, as the adapter does.
"""

from __future__ import annotations

import ssl
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import uvicorn


class Fixed:
    """Answers with one body."""

    def __init__(self, body: bytes) -> None:
        length = str(len(body)).encode()
        headers = [(b"content-type", b"application/vnd.kubernetes.protobuf"), (b"content-length", length)]
        self._start = {"type": "http.response.start", "status": 200, "headers": headers}
        self._body = {"type": "http.response.body", "body": body}

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        """Answer."""
        await send(self._start)
        await send(self._body)


def main(argv: Sequence[str]) -> int:
    """Serve until the end."""
    port, certificate, key, authority, body = argv
    uvicorn.run(
        Fixed(Path(body).read_bytes()),
        host="127.0.0.1",
        port=int(port),
        ssl_certfile=certificate,
        ssl_keyfile=key,
        ssl_ca_certs=authority,
        ssl_cert_reqs=ssl.CERT_OPTIONAL,
        loop="uvloop",
        http="httptools",
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        lifespan="off",
        timeout_keep_alive=90,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
