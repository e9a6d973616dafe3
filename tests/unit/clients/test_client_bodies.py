"""How bodies are read: in slices, decompressed within limits, and parsed whatever the pieces are."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import tracemalloc
from typing import TYPE_CHECKING

import httpx
import pytest

from adapter.clients.body import SLICE_BYTES, Incoming
from adapter.clients.series import SeriesNames, SeriesReader
from adapter.errors import PrometheusUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = pytest.mark.anyio

BODY = b'{"a": "' + b"x" * 300_000 + b'"}'


class Chunks(httpx.AsyncByteStream):
    """A body that comes in chunks."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk


def incoming(content: bytes, *, encoding: str, chunk: int, max_bytes: int = 10**6) -> Incoming:
    """Return an answer that comes in chunks of some bytes."""
    chunks = Chunks(content[start : start + chunk] for start in range(0, len(content), chunk))
    headers = {"content-type": "application/json", "content-encoding": encoding}
    return Incoming(httpx.Response(200, headers=headers, stream=chunks), max_bytes=max_bytes)


def read(*pieces: bytes) -> SeriesNames:
    """Return what pieces of one answer of the series endpoint say."""
    reader = SeriesReader()
    for piece in pieces:
        reader.feed(piece)
    return reader.finish(http_status=200)


@pytest.mark.parametrize("chunk", [1000, SLICE_BYTES, 10**6])
@pytest.mark.parametrize("encoding", ["", "identity", "gzip"])
async def test_a_body_comes_in_slices(encoding: str, chunk: int) -> None:
    """Whatever comes over the wire, no slice is longer than 64 KiB, and together they are the body."""
    content = gzip.compress(BODY) if encoding == "gzip" else BODY

    slices = [piece async for piece in incoming(content, encoding=encoding, chunk=chunk).slices()]

    assert b"".join(slices) == BODY
    assert max(map(len, slices)) <= SLICE_BYTES


async def test_a_bomb_is_not_unpacked() -> None:
    """200 MB of zeros in 200 kB take no more memory than the limit and a slice."""
    bomb = gzip.compress(bytes(200_000_000), compresslevel=1)
    answer = incoming(bomb, encoding="gzip", chunk=len(bomb), max_bytes=10**6)
    tracemalloc.start()

    with pytest.raises(PrometheusUnavailable) as caught:
        await answer.body()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert caught.value.kind == "too_large"
    assert peak < 10_000_000


async def test_an_empty_gzip_stream_is_bounded() -> None:
    """A stream that never decompresses to anything is cut off at the limit too."""
    empty_blocks = b"\x1f\x8b\x08" + bytes(7) + b"\x00\x00\x00\xff\xff" * 400_000

    with pytest.raises(PrometheusUnavailable) as caught:
        await incoming(empty_blocks, encoding="gzip", chunk=10**5).body()

    assert caught.value.kind == "too_large"


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 1000])
async def test_series_are_read_in_any_pieces(piece: int) -> None:
    """Where the network cuts an answer changes nothing, inside a character neither."""
    series = [{"__name__": "ä", "pød": 'x\n\\"', "a": "1"}, {"__name__": "b", "a": ""}]
    body = json.dumps({"data": series, "infos": ["PromQL info: x", "y"], "status": "success"}, ensure_ascii=False)
    content = body.encode()

    found = read(*(content[start : start + piece] for start in range(0, len(content), piece)))

    assert found.labels_by_metric == {"ä": {"__name__", "pød", "a"}, "b": {"__name__"}}
    assert found.warnings == ("y",)


async def test_memory_does_not_follow_the_series() -> None:
    """Two hundred thousand series of one metric take as little memory as one."""
    reader = SeriesReader()
    tracemalloc.start()

    reader.feed(b'{"status":"success","data":[')
    for batch in range(200):
        rows = (f'{{"__name__":"m","pod":"p-{batch}-{row}"}}' for row in range(1000))
        reader.feed((("," if batch else "") + ",".join(rows)).encode())
    reader.feed(b"]}")
    found = reader.finish(http_status=200)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert found.labels_by_metric == {"m": {"__name__", "pod"}}
    assert peak < 1_000_000


async def test_metrics_of_one_shape_share_their_labels() -> None:
    """Metrics with the same labels share one set, so a server with many metrics stays cheap."""
    labels = read(b'{"status":"success","data":[{"__name__":"a","x":"1"},{"__name__":"b","x":"2"}]}').labels_by_metric

    assert labels["a"] is labels["b"]


async def test_a_flood_of_names_is_refused() -> None:
    """An answer with more metric names than can be kept is refused, and never cut."""
    labels = ",".join(f'"l{number}":"x"' for number in range(1000))
    rows = (f'{{"__name__":"m{number}",{labels}}},'.encode() for number in range(2100))

    with pytest.raises(PrometheusUnavailable) as caught:
        read(b'{"status":"success","data":[', *rows)

    assert caught.value.kind == "too_large"


ODD_NUMBERS = [
    "9" * 19,
    "9" * 20,
    "9" * 400,
    "9" * 5000,
    "-" + "9" * 5000,
    "1e400",
    "1e99999999999999999999",
    "1e-9999999999",
]
WHERE = [
    '{"status":"success","data":[{"__name__":"a","x":%s}]}',
    '{"status":"success","data":[%s]}',
    '{"status":%s,"data":[]}',
    '{"status":"success","data":[],"more":%s}',
    '{"warnings":[%s],"data":[]}',
    "%s",
]
# A fault of the parser's may end the process, so another one tries all of them.
TRY_ALL = """
import sys
from adapter.clients.series import SeriesReader
from adapter.errors import PrometheusUnavailable
for line in sys.stdin:
    reader = SeriesReader()
    try:
        reader.feed(line.strip().encode())
        reader.finish(http_status=200)
        print("read")
    except PrometheusUnavailable as error:
        print(error.kind)
"""


async def test_no_number_breaks_the_reader() -> None:
    """A number of any length, anywhere in a list of series, is passed over or makes a bad answer."""
    bodies = [place.replace("%s", number) for place in WHERE for number in ODD_NUMBERS]

    tried = subprocess.run(  # noqa: ASYNC221 - nothing else runs here
        [sys.executable, "-c", TRY_ALL], input="\n".join(bodies), capture_output=True, text=True, timeout=60, check=True
    )

    assert tried.stderr == ""
    assert set(tried.stdout.split()) <= {"read", "bad_answer"}
    assert len(tried.stdout.split()) == len(bodies)


ENDLESS = [
    (b'{"status":"success","data":[{"__name__":"a","x":"', b"x" * 60_000),
    (b'{"status":"success","data":[{"__name__":"a"', b',"y":"z"' * 10_000),
    (b'{"status":"success","data":[],"warnings":["', b"x" * 60_000),
    (b'{"status":"success","data":[],"more":', b"[" * 60_000),
]


@pytest.mark.parametrize(("begin", "more"), ENDLESS)
async def test_what_never_ends_is_not_kept(begin: bytes, more: bytes) -> None:
    """A text, a series or a nesting without an end is refused long before it fills the memory."""
    tracemalloc.start()

    with pytest.raises(PrometheusUnavailable) as caught:
        read(begin, *(more for _ in range(1000)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert caught.value.kind == "too_large"
    assert peak < 100_000_000
