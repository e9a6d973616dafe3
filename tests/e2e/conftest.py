"""One control plane for the whole suite; what it wrote is shown when a test fails."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from rig.find_prometheus import PrometheusMissingError, find_prometheus
from rig.sandbox import SandboxMissingError, check_sandbox

from e2e.rig.cluster import Cluster
from e2e.rig.control_plane import ControlPlane
from e2e.rig.network import NetworkMissingError
from e2e.rig.programs import NOT_FOUND, ProgramMissingError, Programs, find_programs
from e2e.rig.site import Site, open_site
from e2e.rig.stage import Stage, open_stage

MakeReport = Generator[None, pytest.TestReport, pytest.TestReport]

_LOG_LINES = 40
_LOGS = pytest.StashKey[dict[str, Path]]()
_SIZES = pytest.StashKey[dict[Path, int]]()


@pytest.fixture(scope="session")
def logs(pytestconfig: pytest.Config) -> dict[str, Path]:
    """Logs whose ends are shown when a test fails, by the name of the program."""
    return pytestconfig.stash.setdefault(_LOGS, {})


@pytest.fixture(scope="session")
def programs() -> Programs:
    """The control plane's programs; without them the whole run ends, for nothing here may be skipped."""
    try:
        return find_programs(os.environ, say=lambda line: print(line, file=sys.__stderr__, flush=True))
    except ProgramMissingError as error:
        pytest.exit(str(error), returncode=NOT_FOUND)


@pytest.fixture(scope="session")
def prometheus_binaries() -> Path:
    """The folder of `prometheus`; without it the whole run ends."""
    try:
        return find_prometheus()
    except PrometheusMissingError as error:
        pytest.exit(str(error), returncode=NOT_FOUND)


@pytest.fixture(scope="session")
def plane(
    programs: Programs, tmp_path_factory: pytest.TempPathFactory, logs: dict[str, Path]
) -> Iterator[ControlPlane]:
    """A running control plane, shared by all tests."""
    plane = ControlPlane(programs, tmp_path_factory.mktemp("control-plane"))
    with plane:
        logs.update(plane.logs)
        yield plane


@pytest.fixture(scope="session")
def cluster(plane: ControlPlane) -> Cluster:
    """The control plane as its admin uses it."""
    return Cluster(plane)


@pytest.fixture(scope="module")
def stage(
    cluster: Cluster, prometheus_binaries: Path, tmp_path_factory: pytest.TempPathFactory, logs: dict[str, Path]
) -> Iterator[Stage]:
    """The adapter behind the cluster, with a Prometheus of its own; the tests of a module share it."""
    folder = tmp_path_factory.mktemp("stage")
    with open_stage(cluster, folder, prometheus_binaries=prometheus_binaries, logs=logs) as stage:
        yield stage


@pytest.fixture(scope="session")
def site(
    programs: Programs, prometheus_binaries: Path, tmp_path_factory: pytest.TempPathFactory, logs: dict[str, Path]
) -> Iterator[Site]:
    """A second cluster, in which the adapter's pods really run; tests share it, and clean up what they install.

    It takes root. Without that its tests are skipped, but never where CI is set.
    """
    tools = {"kubectl": programs.kubectl, "helm": programs.helm}
    try:
        check_sandbox()
        site = open_site(
            programs, tmp_path_factory.mktemp("site"), prometheus_binaries=prometheus_binaries, logs=logs, tools=tools
        )
        with site as opened:
            yield opened
    except (SandboxMissingError, NetworkMissingError) as error:
        if os.environ.get("CI"):
            pytest.exit(str(error), returncode=NOT_FOUND)
        pytest.skip(f"SKIPPED, this machine runs no pods: {error}")


@pytest.fixture(autouse=True)
def _alive(request: pytest.FixtureRequest) -> Iterator[None]:
    """Name the program that has died, before a test fails for a stranger reason."""
    yield
    if "plane" in request.fixturenames:
        request.getfixturevalue("plane").check_alive()
    if "site" in request.fixturenames:
        request.getfixturevalue("site").cluster.plane.check_alive()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Note how long each log is, so that a failure shows what was written meanwhile."""
    logs = item.config.stash.get(_LOGS, {})
    item.stash[_SIZES] = {path: path.stat().st_size for path in logs.values() if path.exists()}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> MakeReport:
    """Add the ends of the logs to the report of a failure."""
    report = yield
    if report.failed:
        for name, path in item.config.stash.get(_LOGS, {}).items():
            if lines := _written(path, since=item.stash.get(_SIZES, {}).get(path, 0)):
                report.sections.append((f"{name}: {path}", "\n".join(lines[-_LOG_LINES:])))
    return report


def _written(path: Path, *, since: int) -> list[str]:
    if not path.exists():
        return []
    with path.open("rb") as log:
        log.seek(since)
        return log.read().decode(errors="replace").splitlines()
