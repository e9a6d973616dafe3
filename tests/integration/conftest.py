"""A real Prometheus for tests: `prometheus(series=[...])` answers the base URL of one that holds them."""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING, Protocol

import pytest
from rig.find_prometheus import PrometheusMissingError, find_prometheus
from rig.prometheus import PrometheusFiles, PrometheusProcess

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


class StartPrometheus(Protocol):
    """Start a Prometheus that lives as long as the test; see `rig.prometheus.openmetrics_text` for the series."""

    def __call__(self, series: Sequence[str] = (), *, now_seconds: float | None = None) -> str:
        """Return its base URL."""


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
    numbers = itertools.count()
    with contextlib.ExitStack() as running:

        def start(series: Sequence[str] = (), *, now_seconds: float | None = None) -> str:
            files = PrometheusFiles(binaries=prometheus_binaries, home=tmp_path / f"prometheus-{next(numbers)}")
            process = PrometheusProcess.start(files, series=series, now_seconds=now_seconds)
            return running.enter_context(process).url

        yield start


@pytest.fixture(scope="module")
def module_prometheus(prometheus_binaries: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartPrometheus]:
    """Start servers as `prometheus` does, for fixtures that several tests of a module share."""
    with contextlib.ExitStack() as running:

        def start(series: Sequence[str] = (), *, now_seconds: float | None = None) -> str:
            files = PrometheusFiles(binaries=prometheus_binaries, home=tmp_path_factory.mktemp("prometheus"))
            process = PrometheusProcess.start(files, series=series, now_seconds=now_seconds)
            return running.enter_context(process).url

        yield start
