"""Where are `prometheus` and `promtool`? On PATH, in .cache/prometheus, or fetched there without root rights.

    python tests/rig/find_prometheus.py            # prints the folder that holds both
    python tests/rig/find_prometheus.py --no-fetch

Only the standard library is used, so it runs before anything is installed. Exit code 3: not found, with what to do.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "prometheus"
_NAMES = ("prometheus", "promtool")
_IN_CACHE = (".", "usr/bin")  # a release archive unpacked there; a Debian package unpacked there
_UPDATE_SECONDS = 180.0
_DOWNLOAD_SECONDS = 300.0  # the package is 19 MB
_RUN_SECONDS = 20.0
_TRIES = 3
NOT_FOUND = 3  # the exit code


class PrometheusMissingError(Exception):
    """There is no Prometheus and none could be fetched; the text says what to do."""


def find_prometheus(*, fetch: bool = True) -> Path:
    """Return the folder that holds `prometheus` and `promtool`.

    Raises:
        PrometheusMissingError: there is none; the text says what to do.
    """
    found = _on_path() or _in_cache()
    if found:
        return found
    if not fetch:
        raise PrometheusMissingError(_advice("neither prometheus nor promtool is on PATH"))
    return _fetch_debian_package()


def _on_path() -> Path | None:
    found = shutil.which("prometheus")
    if not found:
        return None
    folder = Path(found).parent
    return folder if (folder / "promtool").exists() else None


def _in_cache() -> Path | None:
    folders = (CACHE / place for place in _IN_CACHE)
    return next((folder for folder in folders if all((folder / name).exists() for name in _NAMES)), None)


def _fetch_debian_package() -> Path:
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise PrometheusMissingError(_advice("it is not on PATH, and this system has no apt-get to fetch it with"))
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="prometheus-", dir=CACHE.parent) as folder:
        work = Path(folder)
        package = _download(work)
        unpacked = work / "unpacked"
        _run("unpacking it", ["dpkg-deb", "-x", str(package), str(unpacked)], cwd=work, seconds=_RUN_SECONDS)
        for name in _NAMES:  # a library may be missing; say so here, and not in the midst of a test
            binary = str(unpacked / "usr/bin" / name)
            _run(f"starting {name}", [binary, "--version"], cwd=work, seconds=_RUN_SECONDS)
        shutil.rmtree(CACHE, ignore_errors=True)
        unpacked.rename(CACHE)
    found = _in_cache()
    if not found:
        raise PrometheusMissingError(_advice("the system's package holds no prometheus and promtool"))
    return found


def _download(work: Path) -> Path:
    """Return the package file, by the system's package lists, or by lists of our own: a slim machine has none."""
    download = ["apt-get", "-q", *_private_apt(work), "download", "prometheus"]
    own_lists = [f"-oDir::State::lists={work / 'lists'}"]
    (work / "lists" / "partial").mkdir(parents=True)
    (work / "cache" / "archives" / "partial").mkdir(parents=True)
    try:
        _run("fetching the system's package of Prometheus", download, cwd=work, seconds=_DOWNLOAD_SECONDS)
    except PrometheusMissingError:
        update = ["apt-get", "-q", *_private_apt(work), *own_lists, "update"]
        _run("reading package lists (the system's are missing or old)", update, cwd=work, seconds=_UPDATE_SECONDS)
        retry = [*download[:-2], *own_lists, *download[-2:]]
        _run("fetching the system's package of Prometheus", retry, cwd=work, seconds=_DOWNLOAD_SECONDS)
    return next(work.glob("prometheus_*.deb"))


def _private_apt(work: Path) -> list[str]:
    """Options with which apt-get writes nowhere but below `work`."""
    return [
        f"-oDir::Cache={work / 'cache'}",
        f"-oAcquire::Retries={_TRIES}",
        "-oDebug::NoLocking=true",
        "-oAPT::Sandbox::User=",  # as root it would read our folder as the user _apt
        "-oDpkg::Use-Pty=0",
    ]


def _run(what: str, argv: list[str], *, cwd: Path, seconds: float) -> None:
    """Run a command with a line of progress.

    Raises:
        PrometheusMissingError: it failed or took too long.
    """
    sys.stderr.write(f"prometheus: {what} ...\n")
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
        raise PrometheusMissingError(_advice(f"{what} took longer than {seconds:.0f} s")) from error
    except (subprocess.CalledProcessError, OSError) as error:
        lines = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        raise PrometheusMissingError(_advice(f"{what} failed: {lines[-1] if lines else error}")) from error
    sys.stderr.write(f"prometheus: {what}: {time.monotonic() - start:.1f} s\n")


def _advice(reason: str) -> str:
    return (
        f"prometheus: {reason}\n"
        "Install Prometheus so that `prometheus` and `promtool` are on PATH\n"
        f"(Debian, Ubuntu: apt-get install prometheus), or unpack a release of it into {CACHE}."
    )


def main(argv: list[str]) -> int:
    """Print the folder, or what to do."""
    try:
        sys.stdout.write(f"{find_prometheus(fetch='--no-fetch' not in argv)}\n")
    except PrometheusMissingError as error:
        sys.stderr.write(f"{error}\n")
        return NOT_FOUND
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
