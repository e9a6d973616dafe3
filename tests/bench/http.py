"""Timing loops over kept connections, with a client that costs little."""

from __future__ import annotations

import socket
import ssl
import statistics
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httptools

_TIMEOUT_SECONDS = 30.0
_CHUNK = 65536


class Connection:
    """One kept connection, to plain HTTP or to TLS whose certificate is not looked at."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host = parts.netloc
        address = (parts.hostname or "", parts.port or 80)
        self._socket: socket.socket = socket.create_connection(address, timeout=_TIMEOUT_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if parts.scheme == "https":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            self._socket = context.wrap_socket(self._socket)
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._complete = False

    def get(self, path: str) -> bytes:
        """Return the body of a good answer.

        Raises:
            ValueError: the answer is not a 200.
        """
        self._body, self._complete = [], False
        self._socket.sendall(f"GET {path} HTTP/1.1\r\nHost: {self._host}\r\n\r\n".encode())
        while not self._complete:
            received = self._socket.recv(_CHUNK)
            if not received:
                raise ConnectionError("the server closed the connection")
            self._parser.feed_data(received)
        body = b"".join(self._body)
        if self._parser.get_status_code() != 200:
            raise ValueError(f"{path}: {self._parser.get_status_code()} {body[:300]!r}")
        return body

    def on_body(self, part: bytes) -> None:
        """Keep a part of the body; called by the parser."""
        self._body.append(part)

    def on_message_complete(self) -> None:
        """Note the end of the answer; called by the parser."""
        self._complete = True

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """Requests one after the other: their seconds, and each different body once, to be checked after the clock."""

    seconds: Sequence[float]
    bodies: frozenset[bytes]

    @property
    def p50_ms(self) -> float:
        """The median in milliseconds."""
        return statistics.median(self.seconds) * 1000

    @property
    def p99_ms(self) -> float:
        """The 99th percentile in milliseconds."""
        return statistics.quantiles(self.seconds, n=100)[98] * 1000


def one_by_one(url: str, path: str, *, requests: int) -> Timed:
    """Ask one client's requests in turn; the connection and a first request are not timed."""
    seconds, bodies = [], set()
    with Connection(url) as connection:
        bodies.add(connection.get(path))
        for _ in range(requests):
            begin = time.perf_counter()
            body = connection.get(path)
            seconds.append(time.perf_counter() - begin)
            bodies.add(body)
    return Timed(seconds=seconds, bodies=frozenset(bodies))


def closed_loop(url: str, path: str, *, clients: int, seconds: float) -> tuple[float, frozenset[bytes]]:
    """Let clients ask as fast as they are answered; return requests per second, and each different body once."""
    counts: Counter[int] = Counter()
    bodies: set[bytes] = set()
    failures: list[Exception] = []
    barrier = threading.Barrier(clients + 1)
    end = threading.Event()

    def client(number: int) -> None:
        try:
            with Connection(url) as connection:
                connection.get(path)
                barrier.wait()
                while not end.is_set():
                    bodies.add(connection.get(path))
                    counts[number] += 1
        except Exception as error:  # noqa: BLE001 - whatever went wrong belongs to the main thread
            failures.append(error)
            barrier.abort()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    try:
        barrier.wait(_TIMEOUT_SECONDS)
        begin = time.perf_counter()
        end.wait(seconds)
        took = time.perf_counter() - begin
        total = sum(counts.values())
    except threading.BrokenBarrierError:
        total, took = 0, 1.0
    finally:
        end.set()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]
    return total / took, frozenset(bodies)
