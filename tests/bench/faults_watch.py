"""Looks at the adapter once a second while things fail: its memory and files, its breaker, and what it lists."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx

from bench.connection import Target, ask
from bench.scene import Server
from bench.usage import callers, resident_mib

LISTED_PATH: Final = "/apis/custom.metrics.k8s.io/v1beta2"
_TIMEOUT_SECONDS: Final = 10.0
_OK: Final = 200
_BREAKER: Final = re.compile(r'^tidegauge_backend_breaker_state\{.*state="([a-z-]+)".*\} 1\.0$', re.MULTILINE)
_REQUESTS: Final = re.compile(
    r'^tidegauge_requests_total\{code="(\d+)",group="custom\.metrics\.k8s\.io",verb="\w+"\} (\S+)$', re.MULTILINE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The adapter at one moment, in seconds since 1970.

    Attributes:
        files: open file descriptors without the callers' connections.
        breaker: the states that the breaker is in by the adapter's own metrics: it must be one.
        listed: the names that discovery lists; None if it did not answer.
        answered: answers to lists of metrics by status, by the adapter's own count.
    """

    at: float
    memory_mib: float
    files: int
    threads: int
    breaker: tuple[str, ...]
    listed: frozenset[str] | None
    answered: Mapping[str, float]


@dataclass(slots=True, kw_only=True)
class Watch:
    """Looks again and again while it is open; the caller of `target` may read discovery."""

    adapter: Server
    target: Target
    metrics_port: int
    every_seconds: float
    looks: list[Look] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    _end: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def look(self) -> Look:
        """Look once."""
        pid = self.adapter.pid
        text = httpx.get(
            f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=_TIMEOUT_SECONDS, trust_env=False
        ).text
        return Look(
            at=time.time(),
            memory_mib=resident_mib(pid),
            files=_entries(f"/proc/{pid}/fd") - len(callers(self.adapter.port)),
            threads=_entries(f"/proc/{pid}/task"),
            breaker=tuple(_BREAKER.findall(text)),
            listed=self._listed(),
            answered={code: float(count) for code, count in _REQUESTS.findall(text)},
        )

    def _listed(self) -> frozenset[str] | None:
        target = replace(self.target, headers={**self.target.headers, "Accept": "application/json"})
        answer = ask(target, LISTED_PATH, timeout_seconds=_TIMEOUT_SECONDS)
        if answer.status != _OK:
            return None
        return frozenset(one["name"] for one in json.loads(answer.body)["resources"])

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._go, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        if self._thread is not None:
            self._thread.join(2 * _TIMEOUT_SECONDS)

    def _go(self) -> None:
        while not self._end.wait(self.every_seconds):
            try:
                self.looks.append(self.look())
            except (OSError, httpx.HTTPError, ValueError, KeyError) as error:
                self.problems.append(f"the adapter could not be looked at: {error!r}")


def _entries(folder: str) -> int:
    return sum(1 for _ in Path(folder).iterdir())
