"""Large answers, compressed for who can read that (k8s.io/apiserver, responsewriters)."""

from __future__ import annotations

import asyncio
import gzip
from dataclasses import replace
from typing import Final

from adapter.server.calls import Answer, Call

# The threshold and the level of k8s.io/apiserver: below it compression costs more than it saves.
_THRESHOLD_BYTES: Final = 128 * 1024
_LEVEL: Final = 1
# A body of this size takes some 10 ms; larger ones are compressed on a thread.
_AT_ONCE_BYTES: Final = 1024 * 1024
_HEADERS: Final = ((b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding"))


async def compressed(answer: Answer, call: Call) -> Answer:
    """Return the answer with its body compressed, if it is large and the caller reads gzip; else as it is."""
    if len(answer.body) <= _THRESHOLD_BYTES or not _reads_gzip(call.accept_encoding):
        return answer
    if len(answer.body) <= _AT_ONCE_BYTES:
        body = gzip.compress(answer.body, _LEVEL, mtime=0)
    else:
        body = await asyncio.to_thread(gzip.compress, answer.body, _LEVEL, mtime=0)
    return replace(answer, body=body, headers=(*answer.headers, *_HEADERS))


def _reads_gzip(accept_encoding: str) -> bool:
    return any(one.strip() == "gzip" for one in accept_encoding.split(","))
