"""Requests that go on while something happens, and what became of each."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx

_PAUSE_SECONDS = (
    0.01  # about 50 requests a second from each thread: enough to meet every moment, and the machine is small
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A request and its answer; status 0: there was none."""

    path: str
    status: int
    text: str
    seconds: float


class Load:
    """Threads that ask paths in turn, each over a connection of its own; use it as a context manager."""

    def __init__(self, clients: Sequence[httpx.Client], paths: Sequence[str]) -> None:
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._answers: list[Answered] = []
        self._threads = [threading.Thread(target=self._run, args=(client, paths), daemon=True) for client in clients]

    @property
    def answers(self) -> list[Answered]:
        """What has been answered until now."""
        with self._lock:
            return list(self._answers)

    @property
    def failures(self) -> list[Answered]:
        """Answers that are not a 200."""
        return [one for one in self.answers if one.status != httpx.codes.OK]

    def summary(self) -> str:
        """Return how many requests got which status, and the slowest in seconds."""
        answers = self.answers
        counts = Counter(one.status for one in answers)
        slowest = max((one.seconds for one in answers), default=0.0)
        return f"{len(answers)} requests, by status {dict(sorted(counts.items()))}, slowest {slowest:.2f} s"

    def _run(self, client: httpx.Client, paths: Sequence[str]) -> None:
        for path in itertools.cycle(paths):
            if self._end.wait(_PAUSE_SECONDS):
                return
            answered = ask(client, path)
            with self._lock:
                self._answers.append(answered)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()


def ask(client: httpx.Client, path: str) -> Answered:
    """Ask for a path; a broken connection is an answer of status 0."""
    begin = time.monotonic()
    try:
        answer = client.get(path)
        status, text = answer.status_code, answer.text
    except httpx.HTTPError as error:
        status, text = 0, repr(error)
    return Answered(path=path, status=status, text=text, seconds=time.monotonic() - begin)
