"""Child processes that end when we say so, and at the latest when we end."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

T = TypeVar("T")

_LAUNCH = Path(__file__).with_name("launch.py")
_JANITOR = Path(__file__).with_name("janitor.py")
_STOP_SECONDS = 10.0


@contextlib.contextmanager
def scratch_folder(prefix: str) -> Iterator[Path]:
    """Make a temporary folder that goes away with us, also when we are killed."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    argv = [sys.executable, "-I", "-S", str(_JANITOR), str(folder)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True):
        yield folder


class ChildEndedError(RuntimeError):
    """A child that should be running has ended; the text holds the end of its log."""


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on now; somebody may take it before you do."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def wait_until(
    what: str, probe: Callable[[], T | None], *, timeout_seconds: float, interval_seconds: float = 0.05
) -> T:
    """Call `probe` until it returns something true, and return that.

    Raises:
        TimeoutError: it did not within the time, or only raised; the last error is the cause.
        ChildEndedError: raised by the probe itself, since waiting longer is of no use.
    """
    end = time.monotonic() + timeout_seconds
    last: Exception | None = None
    while True:
        try:
            if value := probe():
                return value
        except ChildEndedError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever the probe met may be gone at the next try
            last = error
        if time.monotonic() > end:
            message = f"{what}: not within {timeout_seconds:.0f} s" + (f" (last: {last})" if last else "")
            raise TimeoutError(message) from last
        time.sleep(interval_seconds)


class Child:
    """A running command with its output in a file, in a process group of its own.

    Start it from the main thread: the kernel ends it with the thread that started it.
    """

    def __init__(
        self, name: str, argv: Sequence[str | Path], *, log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.log = log
        launcher = [sys.executable, "-I", "-S", str(_LAUNCH), str(os.getpid())]
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [*launcher, *map(str, argv)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                env={**os.environ, **environment} if environment is not None else None,
            )

    @property
    def pid(self) -> int:
        """The process id, which stays the same when the launcher becomes the command."""
        return self._process.pid

    def check_alive(self) -> bool:
        """Return True while it runs.

        Raises:
            ChildEndedError: it has ended.
        """
        code = self._process.poll()
        if code is not None:
            raise ChildEndedError(f"{self.name} ended with {code}; its log ends:\n{self.log_end()}")
        return True

    def log_end(self, lines: int = 15) -> str:
        """Return the last lines it wrote."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self) -> int:
        """End it and its children, kindly at first, and return its exit code (negative: the signal)."""
        if self._process.poll() is None:
            self._signal(signal.SIGTERM)
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._signal(signal.SIGKILL)
        return self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
