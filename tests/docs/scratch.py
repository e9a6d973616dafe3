"""A copy of what a reader has in front of them, where the blocks of a page can be run as they stand."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from docs.blocks import ROOT, Block, files_of

COMMAND: Final = Path(sys.executable).with_name("tidegauge")
# What pages speak of without showing it, by page: where the reader's file comes from.
GIVEN: Final[Mapping[str, Mapping[str, str]]] = {
    "README.md": {"my-rules.yaml": "config/demo.yaml", "objects.yaml": "config/demo-objects.yaml"},
}
_COPIED = ("config", "deploy", "docs")
_LIMIT_SECONDS = 120.0  # of a block
# Flags without a sub-command serve, but for these.
_WRAPPER = """#!/bin/sh
case "$1" in
  --help | -h | --version) exec {command} "$@" ;;
  serve | -*) exec {python} {briefly} {command} "$@" ;;
  *) exec {command} "$@" ;;
esac
"""


class BlockFailedError(AssertionError):
    """A block of a page does not work as it stands; the text has what it wrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scratch:
    """A folder like the repository's root, with `tidegauge` on PATH; a command that serves ends once it is ready."""

    folder: Path
    environment: Mapping[str, str]

    @classmethod
    def open(cls, folder: Path, page: Path, environment: Mapping[str, str] | None = None) -> Self:
        """Make the copy in a folder, with the files that the page shows or speaks of."""
        if not COMMAND.exists():
            raise FileNotFoundError(f"{COMMAND} is missing: `make test` installs it")
        top, programs = folder / "repository", folder / "bin"
        programs.mkdir()
        for name in _COPIED:
            shutil.copytree(ROOT / name, top / name)
        given = GIVEN.get(page.relative_to(ROOT).as_posix(), {})
        files = {name: (ROOT / source).read_text(encoding="utf-8") for name, source in given.items()}
        for name, text in {**files, **files_of(page)}.items():
            (top / name).parent.mkdir(parents=True, exist_ok=True)
            (top / name).write_text(text, encoding="utf-8")
        _write_wrapper(programs / "tidegauge")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TIDEGAUGE_")}
        path = f"{programs}{os.pathsep}{inherited.get('PATH', os.defpath)}"
        own = {"PATH": path, "HOME": str(folder), "PYTHONPATH": str(ROOT / "tests"), "COLUMNS": "120"}
        return cls(folder=top, environment={**inherited, **own, **(environment or {})})

    def run(self, block: Block) -> subprocess.CompletedProcess[str]:
        """Run a block as one script, and return what it wrote and how it ended."""
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block.text],
            cwd=self.folder,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_LIMIT_SECONDS,
            check=False,
        )

    def check(self, block: Block) -> None:
        """Run a block.

        Raises:
            BlockFailedError: one of its commands ends with an error.
        """
        done = self.run(block)
        if done.returncode:
            raise BlockFailedError(f"{block.place} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")


def _write_wrapper(path: Path) -> None:
    briefly = Path(__file__).with_name("serve_briefly.py")
    words = {"python": sys.executable, "briefly": str(briefly), "command": str(COMMAND)}
    path.write_text(_WRAPPER.format(**{name: shlex.quote(word) for name, word in words.items()}))
    path.chmod(0o755)
