"""What the tests of the command line share."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from canned_prometheus import CannedPrometheus, read_canned
from transcript import URL, Transcript, steady

from adapter.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a command wrote and how it ended."""

    out: str
    err: str
    code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """Runs transcripts in a folder of their own."""

    folder: Path
    captured: pytest.CaptureFixture[str]

    def run(self, case: Transcript) -> Outcome:
        """Write the files, start the stand-in for Prometheus if there is one, and run the command."""
        for name, text in case.files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        with contextlib.ExitStack() as stack:
            url = URL
            if case.prometheus is not None:
                url = stack.enter_context(CannedPrometheus(read_canned(case.prometheus))).url
            code = main(case.argv(url))
        told = self.captured.readouterr()
        return Outcome(out=steady(told.out), err=steady(told.err), code=code)


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    """Run commands in this process, in an empty folder, and leave the log as it was."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TIDEGAUGE_DEBUG", raising=False)
    monkeypatch.setenv("COLUMNS", "120")
    names = ("adapter", "adapter.server", "adapter.runtime.relist", "adapter.runtime.objects")
    logs = [logging.getLogger(name) for name in names]
    before = [(log.level, list(log.handlers), log.propagate) for log in logs]
    yield Shell(folder=tmp_path, captured=capsys)
    for log, (level, handlers, propagate) in zip(logs, before, strict=True):
        log.setLevel(level)
        log.handlers, log.propagate = handlers, propagate
