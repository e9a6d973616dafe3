"""How the process begins and ends, whatever the command is."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import adapter

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN = [sys.executable, "-c", "from adapter.cli.main import run; run()"]
RULES = """
rules:
- seriesQuery: http_requests_total{namespace!="",pod!=""}
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: sum(rate(<<.Series>>{<<.LabelMatchers>>}[2m])) by (<<.GroupBy>>)
"""
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if name != "TIDEGAUGE_DEBUG"},
    "PYTHONPATH": str(Path(adapter.__file__).parents[1]),
}


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """A file with one rule."""
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    return path


@pytest.fixture
def mute_server() -> Iterator[socket.socket]:
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        yield server


def test_the_version_loads_nothing_that_it_does_not_need() -> None:
    """`--version` answers without loading what commands need, so that it is quick."""
    heavy = {"typer", "rich", "pydantic", "httpx", "fastapi", "yaml", "uvicorn"}
    code = f"""
import sys
from adapter.cli.main import main
assert main(["--version"]) == 0
print(sorted({heavy!r} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, check=True)

    assert done.stdout == f"tidegauge {adapter.__version__}\n[]\n"


def test_offline_help_loads_no_client() -> None:
    """Help of a command does not load the clients, the server, or the models of files."""
    heavy = {"adapter.config.schema", "httpx", "fastapi", "uvicorn"}
    code = f"""
import sys
from adapter.cli.main import main
assert main(["explain", "--help"]) == 0
print(sorted({heavy!r} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, check=True)

    assert done.stdout.endswith("\n[]\n")


def test_a_reader_that_has_gone_is_no_error() -> None:
    """A closed pipe, as of `| head`, ends a command quietly with the code that shells know."""
    reading, writing = os.pipe()
    os.close(reading)

    done = subprocess.run([*RUN, "config-gen"], env=ENVIRONMENT, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)

    assert (done.returncode, done.stderr) == (141, b"")


def test_an_interrupt_is_no_error(rules: Path, mute_server: socket.socket) -> None:
    """Ctrl-C while Prometheus is silent ends a command at once, without a trace."""
    url = f"http://127.0.0.1:{mute_server.getsockname()[1]}"
    argv = [*RUN, "list", "--config", str(rules), "--prometheus-url", url]
    with subprocess.Popen(argv, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        connection, _ = mute_server.accept()
        with connection:
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)

    assert (process.returncode, out, err) == (130, "", "")


@pytest.mark.parametrize(
    ("argv", "variables", "trace"),
    [
        (["config-gen"], {}, False),
        (["--debug", "config-gen"], {}, True),
        (["config-gen", "--debug"], {}, True),
        (["config-gen"], {"TIDEGAUGE_DEBUG": "1"}, True),
        (["config-gen"], {"TIDEGAUGE_DEBUG": "0"}, False),
    ],
)
def test_what_nobody_expected_is_one_line(argv: list[str], variables: dict[str, str], *, trace: bool) -> None:
    """An error of ours, here a full disk, is one line with exit code 70; its trace is shown when asked for."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*RUN, *argv],
            env={**ENVIRONMENT, **variables},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert done.returncode == 70
    assert ("Traceback" in done.stderr) is trace
    assert trace or done.stderr.count("\n") == 1
    assert "No space left on device" in done.stderr


def test_a_terminal_without_unicode_is_no_error(tmp_path: Path) -> None:
    """Characters that an output cannot show are written as escapes."""
    rules = tmp_path / "rules.yaml"
    rules.write_text("rules:\n- ünknown: 1\n")

    done = subprocess.run(
        [*RUN, "check", str(rules)],
        env={**ENVIRONMENT, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (2, b"")
    assert b'unknown key "\\xfcnknown"' in done.stdout
