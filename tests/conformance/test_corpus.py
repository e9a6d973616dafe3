"""The corpus in memory: each case through the server's door and through `explain`, all real but Prometheus' network."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from adapter.cli.explain import explained
from adapter.cli.explanation import document
from conformance.asking import open_adapter, write_files
from conformance.corpus import Case, Labelled, Step, World
from conformance.faults import answer_faults, external_order, query_faults
from conformance.reading import names_written, read_corpus
from conformance.transports import WrittenPrometheus

CORPUS = read_corpus()
CASES = [pytest.param(world, case, id=f"{world.name}: {case.name}") for world in CORPUS for case in world.cases]


@pytest.fixture(autouse=True)
def _no_authorities(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Trust nobody: nothing is encrypted here, and reading the system's certificates takes longer than a case."""
    monkeypatch.setenv("SSL_CERT_FILE", os.devnull)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))


@pytest.mark.anyio
@pytest.mark.parametrize(("world", "case"), CASES)
async def test_answer(world: World, case: Case, tmp_path: Path) -> None:
    """A request is answered, and Prometheus is asked, as the APIs and prometheus-adapter promise."""
    prometheus = WrittenPrometheus(world=world)
    folder, begin = write_files(world, tmp_path), case.steps[0].at_seconds
    found: list[str] = []

    async with open_adapter(world, folder, transport=prometheus.transport(), begin_seconds=begin) as adapter:
        for step in case.steps:
            adapter.clock.seconds = step.at_seconds
            prometheus.expect(step)
            answer = await adapter.ask(step.path)
            found += [*query_faults(step, prometheus.asked), *answer_faults(step, answer)]

    assert not found


@pytest.mark.anyio
@pytest.mark.parametrize(("world", "case"), CASES)
async def test_explanation(world: World, case: Case, tmp_path: Path) -> None:
    """`explain` names the query, the status and the values that the same request gets."""
    prometheus = WrittenPrometheus(world=world)
    folder, begin = write_files(world, tmp_path), case.steps[0].at_seconds
    found: list[str] = []

    async with open_adapter(world, folder, transport=prometheus.transport(), begin_seconds=begin) as adapter:
        for step in case.steps:
            adapter.clock.seconds = step.at_seconds
            prometheus.expect(step)
            told = document(await explained(step.path, adapter.session))
            found += explanation_faults(step, told)

    assert not found


def explanation_faults(step: Step, told: Mapping[str, Any]) -> Iterator[str]:
    """Yield what an explanation says otherwise than its step."""
    if (told["promql"], told["status"]) != (step.promql, step.status):
        yield f"{told['status']} from {told['promql']}"
    if step.status != 200 and step.error not in told["error"]["message"]:
        yield f"message {told['error']['message']!r}"
    if step.items is not None and [(one["object"], one["quantity"]) for one in told["items"]] != list(step.items):
        yield f"items {told['items']}"
    if step.external_items is not None:
        items = [Labelled(labels=one["labels"], value=one["quantity"]) for one in told["items"]]
        if external_order(items) != external_order(step.external_items):
            yield f"items {told['items']}"


def test_every_case_is_read() -> None:
    """What is written as a case, in any file of the folder, is asked by both readers; nothing falls out unnoticed."""
    written = sorted(names_written())

    assert written == sorted(case.name for world in CORPUS for case in world.cases)
    assert len(CASES) == len(written) >= 395
    assert len(CORPUS) >= 26
