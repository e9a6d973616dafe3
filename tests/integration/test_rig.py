"""What our own test bench promises to the tests that stand on it."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from rig.processes import Child, ChildEndedError, wait_until
from rig.prometheus import PrometheusFiles, PrometheusProcess, StartPrometheus, openmetrics_text
from rig.remote_write import FLAG, WrittenSeries, remote_write

LONG_AGO = 1_700_000_000.0  # seconds since 1970: a fixed time makes every answer the same on every run

VALUES = [
    ("gauge", 'up{job="a"}', 1.0),
    ("rate of a counter", "rate(hits_total[2m])", 2.5),
    ("rate of a counter an hour later", "rate(hits_total[2m] offset -59m)", 2.5),
    ("not a number", "ratio", math.nan),
    ("infinity", "limit", math.inf),
    ("a gauge that ended, while it lasted", "gone offset 20m", 7.0),
]


def ask(url: str, query: str, at_seconds: float) -> list[float]:
    """Return the values of an instant query."""
    answer = httpx.get(f"{url}/api/v1/query", params={"query": query, "time": at_seconds}, trust_env=False).json()
    return [float(item["value"][1]) for item in answer["data"]["result"]]


@pytest.fixture
def filled(prometheus: StartPrometheus) -> str:
    """A server with one series of each shape, around a fixed time."""
    series = ['up{job="a"} gauge 1', "hits_total counter 2.5", "ratio gauge NaN", "limit gauge +Inf", "gone old 7"]
    return prometheus(series, now_seconds=LONG_AGO)


def test_series_have_the_values_they_were_written_with(filled: str) -> None:
    """Each shape of series answers its value at the time it was written for."""
    answers = {what: ask(filled, query, LONG_AGO) for what, query, _ in VALUES}

    assert answers == {what: pytest.approx([value], nan_ok=True) for what, _, value in VALUES}


def test_an_old_series_is_gone_now(filled: str) -> None:
    """A series that ended 20 minutes ago is out of Prometheus' look-back."""
    assert ask(filled, "gone", LONG_AGO) == []


def test_servers_do_not_share_series(prometheus: StartPrometheus) -> None:
    """Each server that a test starts holds the series it was started with, and no others."""
    first, second = prometheus(["a gauge 1"], now_seconds=LONG_AGO), prometheus(["b gauge 2"], now_seconds=LONG_AGO)

    assert [ask(first, "a", LONG_AGO), ask(first, "b", LONG_AGO)] == [[1.0], []]
    assert [ask(second, "a", LONG_AGO), ask(second, "b", LONG_AGO)] == [[], [2.0]]


@pytest.mark.parametrize("line", ["up histogram 1", 'up{job="a} gauge 1', "up gauge one"])
def test_series_that_cannot_be_read_are_an_error(prometheus: StartPrometheus, line: str) -> None:
    """A mistyped series fails the test that wrote it, and is not left out."""
    with pytest.raises(ValueError, match=r"no such shape|promtool"):
        prometheus([line])


def test_remote_write_fills_a_running_server(prometheus_binaries: Path, tmp_path: Path) -> None:
    """Series sent by remote write are there with their values, also when they need several requests."""
    many = [
        WrittenSeries(
            labels={"__name__": "up", "pod": f"p-{number}"}, samples=[(LONG_AGO, 0.5), (LONG_AGO + 1, number)]
        )
        for number in range(6000)
    ]
    with PrometheusProcess.start(PrometheusFiles(binaries=prometheus_binaries, home=tmp_path), flags=[FLAG]) as server:
        sent = remote_write(server.url, many)

        assert sent == len(many)
        assert ask(server.url, "count(up)", LONG_AGO) == [6000.0]
        assert ask(server.url, "sum(up)", LONG_AGO + 1) == [sum(range(6000))]


def test_samples_are_aligned() -> None:
    """The same quarter minute gives the same text, so that blocks can be compared."""
    assert openmetrics_text(["up gauge 1"], now_seconds=105) == openmetrics_text(["up gauge 1"], now_seconds=119.9)


def test_a_server_that_ends_shows_its_log(prometheus_binaries: Path, tmp_path: Path) -> None:
    """A configuration that Prometheus refuses is reported in Prometheus' words, and not by a time-out."""
    files = PrometheusFiles(binaries=prometheus_binaries, home=tmp_path)

    with pytest.raises(ChildEndedError, match="no_such_key"):
        PrometheusProcess.start(files, config="no_such_key: 1\n")


def test_a_command_that_does_not_exist_is_reported(tmp_path: Path) -> None:
    """A command that cannot be run ends the child, and its log names the command."""
    with (
        Child("nothing", ["no-such-command"], log=tmp_path / "log") as child,
        pytest.raises(ChildEndedError, match="no-such-command: No such file"),
    ):
        wait_until("its end", lambda: not child.check_alive(), timeout_seconds=10)


HARNESS = """
import sys, time
from pathlib import Path
from rig.processes import Child, scratch_folder
with scratch_folder("rig-test-") as folder:
    child = Child("sleeper", ["sleep", "600"], log=folder / "log")
    print(child.pid, folder, flush=True)
    time.sleep(600)
"""


def test_nothing_stays_behind_when_a_harness_is_killed() -> None:
    """Child and scratch folder of a harness go away when it is killed and cannot clean up."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    argv = [sys.executable, "-c", HARNESS]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environment) as harness:
        assert harness.stdout is not None
        pid, folder = harness.stdout.readline().split()
        assert is_running(int(pid))

        harness.send_signal(signal.SIGKILL)
        harness.wait(10)

    assert wait_until("the child's end", lambda: not is_running(int(pid)), timeout_seconds=10)
    assert wait_until("the folder's end", lambda: not Path(folder).exists(), timeout_seconds=10)


def is_running(pid: int) -> bool:
    """Tell whether the process exists and is more than a zombie that nobody has waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
