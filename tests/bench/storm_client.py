"""HPAs that take their turns: one each period, spread over it, at most so many under way, over kept connections.

python -m bench.storm_client        # a JSON document on standard input, another on standard output
"""

from __future__ import annotations

import json
import selectors
import statistics
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from bench.connection import Answer, Connection, Target
from bench.load import percentile_99
from bench.truth import Readings, WrongFigureError, check, custom_list, vector
from bench.world import Hpa, turns

_OK = 200
_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """An HPA's turn: due at a time (of perf_counter), and lost if it has not begun when the next one is due."""

    period: int
    hpa: Hpa
    due: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """An answered turn; `at` is when it was answered, in seconds since 1970."""

    turn: Turn
    answer: Answer
    late_seconds: float
    at: float


@dataclass(slots=True)
class _Run:
    taken: list[_Taken] = field(default_factory=list)
    lost: list[Turn] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    opened: list[int] = field(default_factory=list)  # connections, by period


class Storm:
    """The turns of all HPAs and the connections they share, as a Go client's pool does."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self._target = Target(**spec["target"])
        self._bare: bool = spec["bare"]
        self._period: float = spec["period_seconds"]
        self._most: int = spec["under_way"]
        self._context = self._target.context()
        self._selector = selectors.DefaultSelector()
        self._idle: list[Connection] = []
        self._busy: dict[Connection, tuple[Turn, float]] = {}
        self.run = _Run(opened=[0] * spec["periods"])
        self.protocols: set[str] = set()

    def go(self, due: Iterator[Turn]) -> None:
        """Take all turns."""
        queue: deque[Turn] = deque()
        coming = next(due, None)
        while coming or queue or self._busy:
            now = time.perf_counter()
            while coming and coming.due <= now:
                queue.append(coming)
                coming = next(due, None)
            while queue and len(self._busy) < self._most:
                self._begin(queue.popleft(), now)
            wait = coming.due - now if coming and len(self._busy) < self._most else self._period
            for key, _ in self._selector.select(max(0.0, wait)):
                self._step(key.data)

    def _begin(self, turn: Turn, now: float) -> None:
        if now - turn.due >= self._period:
            self.run.lost.append(turn)
            return
        try:
            connection = self._idle.pop() if self._idle else self._open(turn.period)
        except OSError as error:
            self.failed(turn, f"{turn.hpa.path}: {error}")
            return
        try:
            connection.send(self._target.request(turn.hpa.query_path if self._bare else turn.hpa.path))
        except OSError as error:
            self._drop(connection)
            self.failed(turn, f"{turn.hpa.path}: {error}")
            return
        self._busy[connection] = (turn, now)

    def _open(self, period: int) -> Connection:
        self.run.opened[period] += 1
        connection = Connection(self._target, self._context)
        self._selector.register(connection.socket, selectors.EVENT_READ, connection)
        return connection

    def _step(self, connection: Connection) -> None:
        if connection not in self._busy:
            self._drop(connection)  # it was idle: the server has closed it
            return
        turn, begun = self._busy[connection]
        try:
            answer = connection.step()
        except OSError as error:
            del self._busy[connection]
            self._drop(connection)
            self.failed(turn, f"{turn.hpa.path}: {error}")
            return
        if answer is None:
            return
        del self._busy[connection]
        self._idle.append(connection)
        self.protocols.add(connection.protocol)
        self.answered(turn, answer, begun)

    def answered(self, turn: Turn, answer: Answer, begun: float) -> None:
        """Note an answer to a turn that began at a time (of perf_counter)."""
        if answer.status != _OK:
            self.failed(turn, f"{turn.hpa.path}: {answer.status} {answer.body[:200]!r}")
            return
        late = begun - turn.due
        self.run.taken.append(_Taken(turn=turn, answer=answer, late_seconds=late, at=time.time()))

    def _drop(self, connection: Connection) -> None:
        self._selector.unregister(connection.socket)
        connection.close()
        if connection in self._idle:
            self._idle.remove(connection)

    def failed(self, turn: Turn, why: str) -> None:
        """Note a turn without an answer."""
        self.run.lost.append(turn)
        self.run.broken.append(why)


def _schedule(spec: dict[str, Any], begin: float) -> Iterator[Turn]:
    order = turns(spec["hpas"])
    for period in range(spec["periods"]):
        for place, number in enumerate(order):
            due = begin + (period + place / len(order)) * spec["period_seconds"]
            yield Turn(period=period, hpa=Hpa(number=number), due=due)


def _wrong(run: _Run, *, bare: bool, oldest_seconds: float) -> list[str]:
    """Return what is wrong with answers: each value must be true at its own timestamp, and that must be young."""
    wrong = []
    for one in run.taken:
        try:
            found: Readings = vector(one.answer.body) if bare else custom_list(one.answer.body)
            at = min((reading.at for reading in found.values()), default=0.0)
            if not 0 <= one.at + 1 - at <= oldest_seconds + one.answer.seconds + 2:  # written in whole seconds
                wrong.append(f"{one.turn.hpa.path}: {one.at - at:.1f} s old")
            check(one.turn.hpa.path, found, one.turn.hpa.truth(at))
        except (WrongFigureError, ValueError, KeyError) as error:
            wrong.append(str(error))
    return wrong


def _periods(run: _Run, count: int) -> Iterator[dict[str, float]]:
    for period in range(count):
        taken = [one for one in run.taken if one.turn.period == period]
        latencies = [one.answer.seconds for one in taken]
        yield {
            "answered": len(taken),
            "lost": sum(one.period == period for one in run.lost),
            "p50": statistics.median(latencies) if latencies else 0.0,
            "p99": percentile_99(latencies) if latencies else 0.0,
            "max": max(latencies, default=0.0),
            "latest": max((one.late_seconds for one in taken), default=0.0),
            "opened": run.opened[period],
        }


def main() -> int:
    """Read what to do, do it, check it, and print what came of it."""
    spec = json.loads(sys.stdin.read())
    storm = Storm(spec)
    begin = time.perf_counter() + max(0.0, spec["begin_at"] - time.time())
    used, started = time.process_time(), time.perf_counter()
    storm.go(_schedule(spec, begin))
    share = (time.process_time() - used) / (time.perf_counter() - started)
    wrong = _wrong(storm.run, bare=spec["bare"], oldest_seconds=spec["oldest_seconds"])
    found = {
        "periods": list(_periods(storm.run, spec["periods"])),
        "errors": len(storm.run.broken) + len(wrong),
        "shown": [*storm.run.broken[:_SHOWN], *wrong[:_SHOWN]],
        "client_share": share,
        "protocols": sorted(storm.protocols),
    }
    sys.stdout.write(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
