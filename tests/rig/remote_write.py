"""Fill a running Prometheus by remote write: the samples lie in its head, as scraped ones do.

https://prometheus.io/docs/specs/prw/remote_write_spec/ (1.0: protobuf in snappy's block format)
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import httpx

FLAG = "--web.enable-remote-write-receiver"
_BATCH = 5000  # series a request
_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenSeries:
    """A series (labels with `__name__`) and its samples as pairs of seconds since 1970 and value, oldest first."""

    labels: Mapping[str, str]
    samples: Sequence[tuple[float, float]]


def remote_write(url: str, series: Iterable[WrittenSeries]) -> int:
    """Send series to a Prometheus that was started with `FLAG`, and return how many there were.

    Raises:
        httpx.HTTPStatusError: Prometheus refuses them.
    """
    headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
    headers["X-Prometheus-Remote-Write-Version"] = "0.1.0"
    rest, sent = iter(series), 0
    with httpx.Client(base_url=url, timeout=_TIMEOUT_SECONDS, trust_env=False, headers=headers) as client:
        while batch := [_field(1, _series(one)) for one in itertools.islice(rest, _BATCH)]:
            client.post("/api/v1/write", content=_snappy(b"".join(batch))).raise_for_status()
            sent += len(batch)
    return sent


def _series(one: WrittenSeries) -> bytes:
    labels = b"".join(_label(name, value) for name, value in sorted(one.labels.items()))
    return labels + b"".join(_field(2, _sample(at, value)) for at, value in one.samples)


@lru_cache(maxsize=65536)
def _label(name: str, value: str) -> bytes:
    return _field(1, _field(1, name.encode()) + _field(2, value.encode()))


def _sample(at_seconds: float, value: float) -> bytes:
    return b"\x09" + struct.pack("<d", value) + b"\x10" + _varint(round(at_seconds * 1000))


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _snappy(content: bytes) -> bytes:
    """Return a snappy block of one literal: valid, and not smaller, which on loopback does not matter."""
    return _varint(len(content)) + b"\xfc" + struct.pack("<I", len(content) - 1) + content
