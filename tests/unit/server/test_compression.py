"""Large answers, compressed."""

from __future__ import annotations

import gzip

import pytest

from adapter.server.calls import Answer, Call
from adapter.server.compression import compressed

pytestmark = pytest.mark.anyio

THRESHOLD_BYTES = 128 * 1024


@pytest.mark.parametrize("size", [THRESHOLD_BYTES + 1, 3_000_000])
@pytest.mark.parametrize("encoding", ["gzip", "deflate, gzip"])
async def test_large_body(size: int, encoding: str) -> None:
    """A large body is compressed for who reads gzip, and says so."""
    answer = Answer(body=b"x" * size, headers=((b"etag", b'"a"'),))

    sent = await compressed(answer, Call(path="/", accept_encoding=encoding))

    assert gzip.decompress(sent.body) == answer.body
    assert sent.headers == ((b"etag", b'"a"'), (b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding"))


@pytest.mark.parametrize(
    ("size", "encoding"), [(THRESHOLD_BYTES, "gzip"), (THRESHOLD_BYTES + 1, ""), (THRESHOLD_BYTES + 1, "br, gzipped")]
)
async def test_as_it_is(size: int, encoding: str) -> None:
    """A small body, and one for who reads no gzip, is sent as it is."""
    answer = Answer(body=b"x" * size)
    assert await compressed(answer, Call(path="/", accept_encoding=encoding)) is answer
