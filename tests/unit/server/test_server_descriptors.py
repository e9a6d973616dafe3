"""What is told when file descriptors run out."""

from __future__ import annotations

import errno
import os

import pytest

from adapter.server.descriptors import CALM_LOOKS, DescriptorWatch, probe_of


class Descriptors:
    """A process whose file descriptors run out when the test says so."""

    def __init__(self) -> None:
        self.error = 0

    def open(self) -> None:
        """Open one."""
        if self.error:
            raise OSError(self.error, os.strerror(self.error))


def test_descriptors_run_out(caplog: pytest.LogCaptureFixture) -> None:
    """It is told once when there are none left, and once when there have been some for a while."""
    caplog.set_level("INFO", logger="adapter.server")
    process = Descriptors()
    watch = DescriptorWatch(process.open)

    for error, looks in ((0, 20), (errno.EMFILE, 5), (0, CALM_LOOKS - 1), (errno.ENFILE, 1), (0, 2 * CALM_LOOKS)):
        process.error = error
        for _ in range(looks):
            watch.look()

    assert caplog.messages == [
        "no file descriptors left, new connections are closed: Too many open files",
        "there are file descriptors again, connections are accepted",
    ]


def test_other_trouble(caplog: pytest.LogCaptureFixture) -> None:
    """That there is nothing to look at any more, as at the end, says nothing about descriptors."""
    process = Descriptors()
    process.error = errno.EBADF

    DescriptorWatch(process.open).look()

    assert caplog.messages == []


def test_probe() -> None:
    """The probe leaves nothing open, and fails where nothing is open."""
    reading, writing = os.pipe()
    os.close(writing)

    probe_of(reading)()
    os.close(reading)

    with pytest.raises(OSError, match="Bad file descriptor"):
        probe_of(reading)()
