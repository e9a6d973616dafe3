"""Build Go programs of a module's `tool` directive, with progress and a time limit."""

from __future__ import annotations

import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_LIMIT_SECONDS = 900.0  # 260 s on two cores with nothing cached
_LINE_SECONDS = 15.0  # between lines of progress
_TAIL_LINES = 6  # of Go's output, when it fails


class BuildError(Exception):
    """The programs cannot be built; the text says why."""


def build(
    packages: Sequence[str],
    *,
    module: Path,
    into: Path,
    link_flags: Sequence[str],
    cost: str,
    environment: Mapping[str, str],
    say: Callable[[str], None],
) -> None:
    """Build main packages into a folder; those that are there appear whole, or not at all. `cost` is said before it begins.

    Raises:
        BuildError: there is no Go, it fails, or it takes longer than the limit.
    """
    path = environment.get("PATH")
    go = shutil.which("go", path=path)
    if not go:
        raise BuildError("there is no Go on PATH to build it with")
    nice = ["nice", "-n", "10"] if shutil.which("nice", path=path) else []
    with tempfile.TemporaryDirectory(prefix="build-", dir=into) as folder:
        output = f"{folder}/"
        argv = [*nice, go, "build", "-v", "-trimpath", f"-ldflags={' '.join(link_flags)}", "-o", output, *packages]
        names = ", ".join(package.rpartition("/")[2] for package in packages)
        say(f"building {names} into {into} ({cost}) ...")
        _run(argv, module=module, environment=environment, say=say)
        for program in Path(folder).iterdir():
            program.replace(into / program.name)


def _run(argv: Sequence[str], *, module: Path, environment: Mapping[str, str], say: Callable[[str], None]) -> None:
    """Run Go, which writes a line for each package that it compiles."""
    environment = {**environment, "CGO_ENABLED": "0", "GOWORK": "off"}  # neither a C compiler nor a workspace is needed
    start = time.monotonic()
    with subprocess.Popen(
        argv,
        cwd=module,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        reader = threading.Thread(target=_read, args=(process, lines), daemon=True)
        reader.start()
        try:
            tail = _follow(lines, start=start, say=say)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode:
        raise BuildError(f"go build failed after {time.monotonic() - start:.0f} s:\n" + "\n".join(tail))
    say(f"built in {time.monotonic() - start:.0f} s")


def _read(process: subprocess.Popen[str], lines: queue.SimpleQueue[str | None]) -> None:
    for line in process.stdout or ():
        lines.put(line.rstrip())
    lines.put(None)


def _follow(lines: queue.SimpleQueue[str | None], *, start: float, say: Callable[[str], None]) -> Sequence[str]:
    """Say where the build is until it ends, and return its last lines."""
    tail: deque[str] = deque(maxlen=_TAIL_LINES)
    count, due = 0, start + _LINE_SECONDS
    while True:
        try:
            line = lines.get(timeout=max(0.1, due - time.monotonic()))
        except queue.Empty:
            line = ""
        if line is None:
            return tail
        if line:
            tail.append(line)
            count += 1
        now = time.monotonic()
        if now - start > _LIMIT_SECONDS:
            raise BuildError(
                f"go build took longer than {_LIMIT_SECONDS:.0f} s; what is compiled is kept, so try again"
            )
        if now >= due:
            due = now + _LINE_SECONDS
            say(f"building: {now - start:4.0f} s, {count} packages: {tail[-1] if tail else 'reading modules'}")
