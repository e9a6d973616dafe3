"""A real Prometheus for tests: `prometheus(series=[...])` answers the base URL of one that holds them."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from rig.find_prometheus import PrometheusMissingError, find_prometheus
from rig.prometheus import PrometheusFiles, PrometheusProcess, StartPrometheus


@pytest.fixture(scope="session")
def prometheus_binaries() -> Path:
    """The folder of `prometheus` and `promtool`; without them the whole run ends, for nothing here may be skipped."""
    try:
        return find_prometheus()
    except PrometheusMissingError as error:
        pytest.exit(str(error), returncode=3)


@pytest.fixture
def prometheus(prometheus_binaries: Path, tmp_path: Path) -> Iterator[StartPrometheus]:
    """Start any number of servers, each with its own series; all end with the test."""
    with _starter(prometheus_binaries, tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def module_prometheus(prometheus_binaries: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartPrometheus]:
    """Start servers as `prometheus` does, for fixtures that several tests of a module share."""
    with _starter(prometheus_binaries, tmp_path_factory.mktemp("prometheus")) as start:
        yield start


@contextlib.contextmanager
def _starter(binaries: Path, folder: Path) -> Iterator[StartPrometheus]:
    numbers = itertools.count()
    with contextlib.ExitStack() as running:

        def start(series: Sequence[str] = (), *, now_seconds: float | None = None) -> str:
            files = PrometheusFiles(binaries=binaries, home=folder / f"prometheus-{next(numbers)}")
            process = PrometheusProcess.start(files, series=series, now_seconds=now_seconds)
            return running.enter_context(process).url

        yield start
