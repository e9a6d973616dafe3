"""The body of an answer in slices: decompressed as it comes, counted, and cut off when there is too much of it."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Final

import httpx

from adapter.errors import PrometheusUnavailable

# 64 KiB take less than a millisecond to decompress or to parse, so nobody else on the event loop waits long.
SLICE_BYTES: Final = 64 * 1024

# Go's server calls JSON text/plain when a handler does not say what it writes, so proxies may send that.
_JSON_TYPES: Final = frozenset({"", "application/json", "text/json", "text/plain"})


class Incoming:
    """An answer whose body has not been read yet; `status` is the HTTP status."""

    def __init__(self, response: httpx.Response, *, max_bytes: int) -> None:
        self._response = response
        self._max_bytes = max_bytes
        self.status = response.status_code

    async def slices(self) -> AsyncIterator[bytes]:
        """Yield the decompressed body in slices of at most 64 KiB, and let others run between two of them.

        Raises:
            PrometheusUnavailable: it is no JSON by its type (`bad_answer`), or longer than allowed (`too_large`).
        """
        self._check_head()
        unpack = _unpacker(self._response.headers.get("content-encoding", ""))
        total = 0
        async for chunk in _raw_chunks(self._response):
            for piece in unpack.feed(chunk):
                total += len(piece)
                if total > self._max_bytes:
                    raise self._too_large()
                yield piece
                await asyncio.sleep(0)
            # What never decompresses to anything is bounded too.
            if self._response.num_bytes_downloaded > self._max_bytes:
                raise self._too_large()
        unpack.finish()

    async def body(self) -> bytes:
        """Return the whole decompressed body; raises what `slices` raises."""
        return b"".join([piece async for piece in self.slices()])

    def _check_head(self) -> None:
        headers = self._response.headers
        media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type not in _JSON_TYPES and not media_type.endswith("+json"):
            raise bad_answer(f"{media_type[:50]} instead of JSON, status {self.status}")
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._max_bytes:
            raise self._too_large()

    def _too_large(self) -> PrometheusUnavailable:
        return PrometheusUnavailable(f"Prometheus answered with more than {self._max_bytes} bytes", kind="too_large")


def bad_answer(detail: str) -> PrometheusUnavailable:
    """Return the error for an answer that cannot be read."""
    return PrometheusUnavailable(f"Prometheus answered with {detail}", kind="bad_answer")


async def _raw_chunks(response: httpx.Response) -> AsyncIterator[bytes]:
    if response.is_stream_consumed:  # a transport without a network hands over the whole answer at once
        yield response.content
        return
    async for chunk in response.aiter_raw(SLICE_BYTES):
        yield chunk


class _Plain:
    """A body that is sent as it is."""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        for start in range(0, len(chunk), SLICE_BYTES):
            yield chunk[start : start + SLICE_BYTES]

    def finish(self) -> None:
        """Need nothing: HTTP itself says whether the body is whole."""


class _Gzip:
    """A gzip body; never more than one slice is unpacked at a time, however much there is in a chunk."""

    def __init__(self) -> None:
        self._unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        rest = chunk
        while True:
            try:
                piece = self._unpacker.decompress(rest, SLICE_BYTES)
            except zlib.error as error:
                raise bad_answer(f"a broken gzip body: {error}") from error
            if piece:
                yield piece
            rest = self._unpacker.unconsumed_tail
            # A full slice may leave more inside the unpacker, even when the whole chunk went in.
            if not rest and len(piece) < SLICE_BYTES:
                return

    def finish(self) -> None:
        if not self._unpacker.eof:
            raise bad_answer("a gzip body that is cut off")


def _unpacker(encoding: str) -> _Plain | _Gzip:
    match encoding.strip().lower():
        case "" | "identity":
            return _Plain()
        case "gzip" | "x-gzip":
            return _Gzip()
        case other:
            raise bad_answer(f"the content encoding {other[:50]}, which was not asked for")
