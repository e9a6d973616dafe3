"""The corpus again, asked of a real Prometheus that holds each world's series: it takes our queries and answers as written."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from conformance.asking import open_adapter, write_files
from conformance.corpus import NOW_SECONDS, Case, Labelled, Reply, Step, World
from conformance.faults import answer_faults, query_faults
from conformance.reading import read_corpus
from conformance.transports import RecordedPrometheus, reply_of
from rig.prometheus import PrometheusFiles, PrometheusProcess

CORPUS = read_corpus()
REAL = [(world, case) for world in CORPUS for case in world.cases if not case.unreal]


@dataclass(slots=True, kw_only=True)
class Servers:
    """One Prometheus at a time, with the series of the world that was asked for last; cases come world by world."""

    binaries: Path
    folder: Path
    running: ExitStack
    world: World | None = None
    url: str = ""

    def url_of(self, world: World) -> str:
        """Return the address of the world's Prometheus."""
        if world is not self.world:
            self.running.close()
            files = PrometheusFiles(binaries=self.binaries, home=self.folder / world.name)
            process = PrometheusProcess.start(files, series=world.series, now_seconds=NOW_SECONDS)
            self.world, self.url = world, self.running.enter_context(process).url
        return self.url


@pytest.fixture(scope="module")
def servers(prometheus_binaries: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Start the worlds' servers when they are asked for; the last one ends with the module."""
    with ExitStack() as running:
        yield Servers(binaries=prometheus_binaries, folder=tmp_path_factory.mktemp("worlds"), running=running)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("world", "case"), [pytest.param(world, case, id=f"{world.name}: {case.name}") for world, case in REAL]
)
async def test_answer(servers: Servers, world: World, case: Case, tmp_path: Path) -> None:
    """A real Prometheus takes the query, has the samples that the case says, and so the same answer comes out."""
    prometheus = RecordedPrometheus()
    folder, begin, url = write_files(world, tmp_path), case.steps[0].at_seconds, servers.url_of(world)
    found: list[str] = []

    async with open_adapter(world, folder, transport=prometheus, begin_seconds=begin, url=url) as adapter:
        for step in case.steps:
            adapter.clock.seconds = step.at_seconds
            prometheus.forget()
            answer = await adapter.ask(step.path)
            replies = [reply_of(one) for one in prometheus.replies]
            found += [*query_faults(step, prometheus.asked), *reply_faults(step, replies)]
            found += answer_faults(step, answer)

    assert not found


def reply_faults(step: Step, replies: Sequence[Reply]) -> Iterator[str]:
    """Yield what Prometheus answers otherwise than the case lets it answer in memory."""
    for reply in replies:
        if bool(reply.refusal) != bool(step.reply.refusal):
            yield f"Prometheus says {reply}"
        elif not reply.refusal and not same_reply(reply, step.reply):
            yield f"samples {reply}, not {step.reply}"


def same_reply(one: Reply, other: Reply) -> bool:
    """Say whether two replies are the same but for their order and the last digits of floats."""
    if bool(one.data) != bool(other.data) or bool(one.scalar) != bool(other.scalar):
        return False
    if one.data:
        return bool(json.loads(one.data)["resultType"] == json.loads(other.data)["resultType"])
    if one.scalar:
        return same_value(one.scalar, other.scalar)
    ones, others = by_labels(one.vector), by_labels(other.vector)
    return len(ones) == len(others) and all(
        left.labels == right.labels and same_value(left.value, right.value)
        for left, right in zip(ones, others, strict=True)
    )


def by_labels(samples: Sequence[Labelled]) -> list[Labelled]:
    """Sort samples, since Prometheus gives them in no order of its own."""
    return sorted(samples, key=lambda one: sorted((one.labels or {}).items()))


def same_value(one: str, other: str) -> bool:
    """Compare numbers as Prometheus writes them; a rate may differ in the last digits."""
    left, right = float(one), float(other)
    return (math.isnan(left) and math.isnan(right)) or math.isclose(left, right, rel_tol=1e-9)


def test_every_case_is_read_or_excused() -> None:
    """Each case is asked of a real Prometheus unless it says why not."""
    excused = [case.unreal for world in CORPUS for case in world.cases if case.unreal]

    assert len(REAL) + len(excused) == sum(len(world.cases) for world in CORPUS)
    assert len(REAL) >= 387
    assert all(len(reason.split()) > 3 for reason in excused)
