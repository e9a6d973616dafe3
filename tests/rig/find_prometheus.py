"""Where are `prometheus` and `promtool`? On PATH, in .cache/prometheus, or fetched there without root rights.

    python tests/rig/find_prometheus.py            # prints the folder that holds both
    python tests/rig/find_prometheus.py --no-fetch

Only the standard library is used, so it runs before anything is installed. Exit code 3: not found, with what to do.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

if not __package__:  # started as a program
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rig.debian import PackageError, unpack_package

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "prometheus"
_NAMES = ("prometheus", "promtool")
_IN_CACHE = (".", "usr/bin")  # a release archive unpacked there; a Debian package unpacked there
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
    try:
        unpack_package("prometheus", CACHE, programs=_NAMES)
    except PackageError as error:
        raise PrometheusMissingError(_advice(str(error))) from error
    found = _in_cache()
    if not found:
        raise PrometheusMissingError(_advice("the system's package holds no prometheus and promtool"))
    return found


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
