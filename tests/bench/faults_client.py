"""HPAs that go on taking their turns whatever the answers are, until a file appears; what came of each turn is written down.

python -m bench.faults_client        # a JSON document on standard input; one JSON line for each turn in a file
"""

from __future__ import annotations

import contextlib
import itertools
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from bench.connection import Answer
from bench.protobuf import messages, parse, text
from bench.storm_client import Storm, Turn
from bench.truth import TOLERANCE, Readings, custom_list
from bench.world import Hpa, turns

_MAGIC: Final = b"k8s\x00"  # of an answer in protobuf
_OK: Final = 200
_SHOWN_BYTES: Final = 300
_AT_MOST_PERIODS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Turned:
    """What came of a turn; times are seconds since 1970.

    Attributes:
        status: of the answer; 0 for none.
        missing: how many of the HPA's pods had no value, in an answer that is a list.
        oldest: the least timestamp of a value; 0 for no value.
        wrong: what is wrong with the values that are there, empty for nothing.
        said: the beginning of what an answer that is no list says, or why there is none.
    """

    hpa: int
    begun: float
    seconds: float
    status: int
    missing: int = 0
    oldest: float = 0.0
    wrong: str = ""
    said: str = ""

    @property
    def ended(self) -> float:
        """When it had ended."""
        return self.begun + self.seconds


class _Recorder(Storm):
    """Takes turns and keeps every answer."""

    def __init__(self, spec: dict[str, Any]) -> None:
        super().__init__(spec)
        self._epoch = time.time() - time.perf_counter()
        self.answers: list[tuple[Turn, Answer, float]] = []
        self.unanswered: list[Turned] = []

    def answered(self, turn: Turn, answer: Answer, begun: float) -> None:
        """Keep it, whatever it is."""
        self.answers.append((turn, answer, begun + self._epoch))

    def failed(self, turn: Turn, why: str) -> None:
        """Note a turn whose connection broke."""
        self.unanswered.append(Turned(hpa=turn.hpa.number, begun=time.time(), seconds=0.0, status=0, said=why))

    def turned(self) -> Iterator[Turned]:
        """Read all answers, now that nobody waits any more."""
        yield from self.unanswered
        for turn, answer, begun in self.answers:
            yield _read(turn.hpa, answer, begun)
        for turn in self.run.lost:
            yield Turned(hpa=turn.hpa.number, begun=turn.due + self._epoch, seconds=0.0, status=-1, said="lost")


def _read(hpa: Hpa, answer: Answer, begun: float) -> Turned:
    if answer.status != _OK:
        said = _message(answer.body)
        return Turned(hpa=hpa.number, begun=begun, seconds=answer.seconds, status=answer.status, said=said)
    try:
        found = custom_list(answer.body)
    except (ValueError, KeyError) as error:
        return Turned(hpa=hpa.number, begun=begun, seconds=answer.seconds, status=_OK, wrong=f"no list: {error!r}")
    return Turned(
        hpa=hpa.number,
        begun=begun,
        seconds=answer.seconds,
        status=_OK,
        missing=len(set(hpa.pods) - found.keys()),
        oldest=min((one.at for one in found.values()), default=0.0),
        wrong=_wrong(hpa, found),
    )


def _message(body: bytes) -> str:
    """Return the message of a Status, the third field of its protobuf; else the beginning of the body."""
    with contextlib.suppress(ValueError):
        if body.startswith(_MAGIC):
            return next((text(one, 3) for one in messages(parse(body.removeprefix(_MAGIC)), 2)), "")
    return body[:_SHOWN_BYTES].decode(errors="replace")


def _wrong(hpa: Hpa, found: Readings) -> str:
    """Say what is wrong with values: each must be of a pod of this HPA, and the true one at its own timestamp."""
    truths = {at: hpa.truth(at) for at in {one.at for one in found.values()}}
    if foreign := sorted(found.keys() - set(hpa.pods)):
        return f"{hpa.path}: foreign pods {foreign[:3]}"
    wrong = [
        f"{pod} is {one.value}, truly {truths[one.at][pod]} at {one.at:.0f}"
        for pod, one in found.items()
        if abs(one.value - truths[one.at][pod]) > TOLERANCE
    ]
    return f"{hpa.path}: {len(wrong)} wrong: {wrong[:3]}" if wrong else ""


def _schedule(spec: dict[str, Any], begin: float) -> Iterator[Turn]:
    """Yield turns, period by period, until the file is there."""
    order, end = turns(spec["hpas"]), Path(spec["end"])
    for period in itertools.takewhile(lambda _: not end.exists(), range(_AT_MOST_PERIODS)):
        for place, number in enumerate(order):
            due = begin + (period + place / len(order)) * spec["period_seconds"]
            yield Turn(period=period, hpa=Hpa(number=number), due=due)


def main() -> int:
    """Take turns until the end, and write down what came of them."""
    spec = json.loads(sys.stdin.read())
    recorder = _Recorder({**spec, "bare": False, "periods": _AT_MOST_PERIODS})
    recorder.go(_schedule(spec, time.perf_counter()))
    with Path(spec["out"]).open("w") as out:
        out.writelines(f"{json.dumps(asdict(one))}\n" for one in recorder.turned())
    return 0


if __name__ == "__main__":
    sys.exit(main())
