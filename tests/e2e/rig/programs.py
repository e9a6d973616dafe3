"""Where are kube-apiserver, kube-controller-manager, kubectl and etcd? Found, or built and fetched into a cache.

    PYTHONPATH=tests python -m e2e.rig.programs      # prints each program with its path

Each program is looked for in the folder that KUBEBUILDER_ASSETS names (envtest's convention), then in our cache, kubectl and etcd
also on PATH. What is missing is built with Go from `tests/e2e/controlplane/go.mod`; etcd is the system's package. Only the
standard library is used. Exit code 3: something is missing and cannot be had, with what to do.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from rig.debian import PackageError, unpack_package

from e2e.rig.go import BuildError, build

MODULE = Path(__file__).resolve().parents[1] / "controlplane"
NOT_FOUND = 3  # the exit code
_OLDEST_KUBECTL = (1, 32)  # older ones are not tried
_ASK_SECONDS = 20.0
_BUILT = ("kube-apiserver", "kube-controller-manager", "kubectl")
_SAME_VERSION = re.compile(r"^\s*(?:require )?k8s\.io/kubernetes (v\S+)", re.MULTILINE)


class ProgramMissingError(Exception):
    """A program of the control plane is missing and cannot be had; the text says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """The programs of a control plane."""

    etcd: Path
    kube_apiserver: Path
    kube_controller_manager: Path
    kubectl: Path


def find_programs(environment: Mapping[str, str], *, say: Callable[[str], None]) -> Programs:
    """Return the programs, built and fetched if need be; `say` gets lines of progress.

    Raises:
        ProgramMissingError: one cannot be had; the text says what to do.
    """
    cache = cache_folder(environment)
    with _one_at_a_time(cache):
        found = {name: _find(name, environment, cache) for name in (*_BUILT, "etcd")}
        missing = [name for name in _BUILT if found[name] is None]
        if missing:
            _build(missing, cache, environment, say)
        if found["etcd"] is None:
            _fetch_etcd(cache)
        found = {name: path or _find(name, environment, cache) for name, path in found.items()}
    lost = [name for name, path in found.items() if path is None]
    if lost:
        raise ProgramMissingError(f"control plane: {', '.join(lost)}: not where the build should have put it")
    return Programs(**{name.replace("-", "_"): path for name, path in found.items() if path})


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Return the folder of built programs: outside the work tree, and another one for another version or lock file."""
    base = Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    lock = b"".join((MODULE / name).read_bytes() for name in ("go.mod", "go.sum"))
    return base / "tidegauge" / f"controlplane-{_version()}-{hashlib.sha256(lock).hexdigest()[:12]}"


def _version() -> str:
    found = _SAME_VERSION.search((MODULE / "go.mod").read_text())
    if not found:
        raise ProgramMissingError(f"{MODULE / 'go.mod'} requires no version of k8s.io/kubernetes")
    return found[1]


def _find(name: str, environment: Mapping[str, str], cache: Path) -> Path | None:
    folders = [cache, cache / "etcd-server" / "usr" / "bin"]
    if assets := environment.get("KUBEBUILDER_ASSETS"):
        folders.insert(0, Path(assets))
    places = [folder / name for folder in folders]
    if name in {"etcd", "kubectl"} and (on_path := shutil.which(name, path=environment.get("PATH"))):
        places.append(Path(on_path))
    usable = (place for place in places if place.is_file() and os.access(place, os.X_OK))
    return next((place for place in usable if name != "kubectl" or _is_new_enough(place)), None)


def _is_new_enough(kubectl: Path) -> bool:
    argv = [str(kubectl), "version", "--client", "--output=json"]
    with contextlib.suppress(OSError, ValueError, KeyError, subprocess.SubprocessError):
        done = subprocess.run(argv, check=True, capture_output=True, timeout=_ASK_SECONDS)
        version = json.loads(done.stdout)["clientVersion"]
        return (int(version["major"]), int(version["minor"].rstrip("+"))) >= _OLDEST_KUBECTL
    return False


def _build(names: list[str], cache: Path, environment: Mapping[str, str], say: Callable[[str], None]) -> None:
    version = _version()
    _, minor, _ = version.split(".")
    told = {"gitVersion": version, "gitMajor": "1", "gitMinor": minor}
    stamps = [f"-X k8s.io/component-base/version.{key}={value}" for key, value in told.items()]
    packages = [f"k8s.io/kubernetes/cmd/{name}" for name in names]
    try:
        build(packages, module=MODULE, into=cache, link_flags=["-s", "-w", *stamps], environment=environment, say=say)
    except BuildError as error:
        raise ProgramMissingError(
            f"control plane: {', '.join(names)}: {error}\n"
            "Install the Go that tests/e2e/controlplane/go.mod asks for and let it reach its module proxy once, or set\n"
            f"KUBEBUILDER_ASSETS to a folder that holds {', '.join(_BUILT)} and etcd."
        ) from error


def _fetch_etcd(cache: Path) -> None:
    try:
        unpack_package("etcd-server", cache / "etcd-server", programs=["etcd"])
    except PackageError as error:
        raise ProgramMissingError(
            f"etcd: {error}\n"
            "Install etcd so that it is on PATH (Debian, Ubuntu: apt-get install etcd-server), or set KUBEBUILDER_ASSETS\n"
            "to a folder that holds it."
        ) from error


@contextlib.contextmanager
def _one_at_a_time(cache: Path) -> Iterator[None]:
    """Let a second run wait for the build of the first, and not build too."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> int:
    """Print where each program is, or what to do."""
    try:
        programs = find_programs(os.environ, say=lambda line: print(line, file=sys.stderr, flush=True))  # noqa: T201 - a command prints
    except ProgramMissingError as error:
        sys.stderr.write(f"{error}\n")
        return NOT_FOUND
    for one in fields(programs):
        sys.stdout.write(f"{one.name.replace('_', '-'):24} {getattr(programs, one.name)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
