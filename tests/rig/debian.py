"""A program out of the system's own package, unpacked into a folder of ours: no root rights, nothing is installed.

Only the standard library is used, so it runs before anything is installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

_UPDATE_SECONDS = 180.0
_DOWNLOAD_SECONDS = 300.0  # the packages are up to 20 MB
_RUN_SECONDS = 20.0
_TRIES = 3


class PackageError(Exception):
    """The package cannot be had; the text says why, in one line."""


def unpack_package(package: str, into: Path, *, programs: Sequence[str]) -> None:
    """Fetch a Debian package and unpack it into `into`, which it replaces; each of `usr/bin/PROGRAM` must start.

    Raises:
        PackageError: this is no Debian, there is no network, or a program does not start.
    """
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise PackageError("it is not on PATH, and this system has no apt-get to fetch it with")
    into.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{package}-", dir=into.parent) as folder:
        work = Path(folder)
        archive = _download(package, work)
        unpacked = work / "unpacked"
        _run(package, "unpacking it", ["dpkg-deb", "-x", str(archive), str(unpacked)], cwd=work, seconds=_RUN_SECONDS)
        for name in programs:  # a library may be missing; say so here, and not in the midst of a test
            binary = unpacked / "usr/bin" / name
            _run(package, f"starting {name}", [str(binary), "--version"], cwd=work, seconds=_RUN_SECONDS)
        shutil.rmtree(into, ignore_errors=True)
        unpacked.rename(into)


def _download(package: str, work: Path) -> Path:
    """Return the package file, by the system's package lists, or by lists of our own: a slim machine has none."""
    download = ["apt-get", "-q", *_private_apt(work), "download", package]
    own_lists = [f"-oDir::State::lists={work / 'lists'}"]
    (work / "lists" / "partial").mkdir(parents=True)
    (work / "cache" / "archives" / "partial").mkdir(parents=True)
    try:
        _run(package, "fetching the system's package", download, cwd=work, seconds=_DOWNLOAD_SECONDS)
    except PackageError:
        update = ["apt-get", "-q", *_private_apt(work), *own_lists, "update"]
        _run(
            package,
            "reading package lists (the system's are missing or old)",
            update,
            cwd=work,
            seconds=_UPDATE_SECONDS,
        )
        retry = [*download[:-2], *own_lists, *download[-2:]]
        _run(package, "fetching the system's package", retry, cwd=work, seconds=_DOWNLOAD_SECONDS)
    return next(work.glob(f"{package}_*.deb"))


def _private_apt(work: Path) -> list[str]:
    """Options with which apt-get writes nowhere but below `work`."""
    return [
        f"-oDir::Cache={work / 'cache'}",
        f"-oAcquire::Retries={_TRIES}",
        "-oDebug::NoLocking=true",
        "-oAPT::Sandbox::User=",  # as root it would read our folder as the user _apt
        "-oDpkg::Use-Pty=0",
    ]


def _run(package: str, what: str, argv: list[str], *, cwd: Path, seconds: float) -> None:
    """Run a command with a line of progress.

    Raises:
        PackageError: it failed or took too long.
    """
    sys.stderr.write(f"{package}: {what} ...\n")
    start = time.monotonic()
    try:
        subprocess.run(
            argv,
            cwd=cwd,
            check=True,
            capture_output=True,
            text=True,
            timeout=seconds,
            env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
        )
    except subprocess.TimeoutExpired as error:
        raise PackageError(f"{what} took longer than {seconds:.0f} s") from error
    except (subprocess.CalledProcessError, OSError) as error:
        lines = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        raise PackageError(f"{what} failed: {lines[-1] if lines else error}") from error
    sys.stderr.write(f"{package}: {what}: {time.monotonic() - start:.1f} s\n")
