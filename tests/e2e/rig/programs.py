"""Where are kube-apiserver, kube-controller-manager, kubectl, etcd and helm? Found, or built and fetched into a cache.

    PYTHONPATH=tests python -m e2e.rig.programs      # prints each program with its path

Each program is looked for in the folder that KUBEBUILDER_ASSETS names (envtest's convention), then in our cache; kubectl, etcd
and helm also on PATH. What is missing is built with Go from `tests/e2e/controlplane/go.mod` and `tests/e2e/helm/go.mod`, each with
a cache of its own; etcd is the system's package. Only the standard library is used. Exit code 3: something is missing and cannot
be had, with what to do.
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

NOT_FOUND = 3  # the exit code
_OLDEST_KUBECTL = (1, 32)  # older ones are not tried
_OLDEST_HELM = (3, 17)  # the same
_ASK_SECONDS = 20.0


class ProgramMissingError(Exception):
    """A program is missing and cannot be had; the text says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Module:
    """A Go module that builds programs.

    Attributes:
        folder: of its go.mod, below tests/e2e.
        names: of the programs.
        source: the module that they come from; its version stands in go.mod.
        cost: what a build takes.
        otherwise: how to do without a build.
    """

    folder: str
    names: tuple[str, ...]
    source: str
    cost: str
    otherwise: str

    @property
    def path(self) -> Path:
        return Path(__file__).resolve().parents[1] / self.folder

    @property
    def version(self) -> str:
        return self.required(self.source)

    def required(self, module: str) -> str:
        found = re.search(
            rf"^\s*(?:require )?{re.escape(module)} (v\S+)", (self.path / "go.mod").read_text(), re.MULTILINE
        )
        if not found:
            raise ProgramMissingError(f"{self.path / 'go.mod'} requires no version of {module}")
        return found[1]

    def cache(self, environment: Mapping[str, str]) -> Path:
        base = Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        lock = b"".join((self.path / name).read_bytes() for name in ("go.mod", "go.sum"))
        return base / "tidegauge" / f"{self.folder}-{self.version}-{hashlib.sha256(lock).hexdigest()[:12]}"

    def build(self, names: list[str], environment: Mapping[str, str], say: Callable[[str], None]) -> None:
        packages = [f"{self.source}/cmd/{name}" for name in names]
        flags = ["-s", "-w", *_stamps(self)]
        try:
            build(
                packages,
                module=self.path,
                into=self.cache(environment),
                link_flags=flags,
                cost=self.cost,
                environment=environment,
                say=say,
            )
        except BuildError as error:
            raise ProgramMissingError(
                f"{', '.join(names)}: {error}\n"
                f"Install the Go that tests/e2e/{self.folder}/go.mod asks for and let it reach its module proxy once, or\n"
                f"{self.otherwise}."
            ) from error


_PLANE = _Module(
    folder="controlplane",
    names=("kube-apiserver", "kube-controller-manager", "kubectl"),
    source="k8s.io/kubernetes",
    cost="5 minutes on two cores, 3 GB of disk",
    otherwise="set KUBEBUILDER_ASSETS to a folder that holds kube-apiserver, kube-controller-manager, kubectl and etcd",
)
_HELM = _Module(
    folder="helm",
    names=("helm",),
    source="helm.sh/helm/v3",
    cost="70 seconds on two cores, 1 GB of disk",
    otherwise="put helm 3.17 or newer on PATH",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """The programs of a control plane, and what installs something in it."""

    etcd: Path
    kube_apiserver: Path
    kube_controller_manager: Path
    kubectl: Path
    helm: Path


def find_programs(environment: Mapping[str, str], *, say: Callable[[str], None]) -> Programs:
    """Return the programs, built and fetched if need be; `say` gets lines of progress.

    Raises:
        ProgramMissingError: one cannot be had; the text says what to do.
    """
    cache = cache_folder(environment)
    found: dict[str, Path | None] = {}
    for module in (_PLANE, _HELM):
        with _one_at_a_time(module.cache(environment)):
            found |= {name: _find(name, environment, module) for name in module.names}
            if missing := [name for name in module.names if found[name] is None]:
                module.build(missing, environment, say)
                found |= {name: _find(name, environment, module) for name in missing}
    with _one_at_a_time(cache):
        if not (etcd := _find("etcd", environment, _PLANE)):
            _fetch_etcd(cache)
            etcd = _find("etcd", environment, _PLANE)
    found["etcd"] = etcd
    lost = [name for name, path in found.items() if path is None]
    if lost:
        raise ProgramMissingError(f"{', '.join(lost)}: not where the build should have put it")
    return Programs(**{name.replace("-", "_"): path for name, path in found.items() if path})


def cache_folder(environment: Mapping[str, str], name: str = "kube-apiserver") -> Path:
    """Return the folder of a built program: outside the work tree, and another one for another version or lock file."""
    return (_HELM if name in _HELM.names else _PLANE).cache(environment)


def _find(name: str, environment: Mapping[str, str], module: _Module) -> Path | None:
    cache = module.cache(environment)
    folders = [cache, cache / "etcd-server" / "usr" / "bin"]
    if assets := environment.get("KUBEBUILDER_ASSETS"):
        folders.insert(0, Path(assets))
    places = [folder / name for folder in folders]
    if name in {"etcd", "kubectl", "helm"} and (on_path := shutil.which(name, path=environment.get("PATH"))):
        places.append(Path(on_path))
    usable = (place for place in places if place.is_file() and os.access(place, os.X_OK))
    return next((place for place in usable if _is_new_enough(name, place)), None)


def _is_new_enough(name: str, program: Path) -> bool:
    ask = _ASK.get(name)
    return ask is None or ask(program)


def _kubectl_is_new_enough(program: Path) -> bool:
    with contextlib.suppress(OSError, ValueError, KeyError, subprocess.SubprocessError):
        version = json.loads(_said_by(program, "version", "--client", "--output=json"))["clientVersion"]
        return (int(version["major"]), int(version["minor"].rstrip("+"))) >= _OLDEST_KUBECTL
    return False


def _helm_is_new_enough(program: Path) -> bool:
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        found = re.match(r"v(\d+)\.(\d+)", _said_by(program, "version", "--template={{ .Version }}"))
        return found is not None and (int(found[1]), int(found[2])) >= _OLDEST_HELM
    return False


_ASK: Mapping[str, Callable[[Path], bool]] = {"kubectl": _kubectl_is_new_enough, "helm": _helm_is_new_enough}


def _said_by(program: Path, *arguments: str) -> str:
    argv = [str(program), *arguments]
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=_ASK_SECONDS).stdout


def _stamps(module: _Module) -> list[str]:
    """Return the linker's flags that tell programs what their own release builds tell them."""
    if module is _PLANE:
        _, minor, _ = module.version.split(".")
        told = {"gitVersion": module.version, "gitMajor": "1", "gitMinor": minor}
        return [f"-X k8s.io/component-base/version.{key}={value}" for key, value in told.items()]
    _, minor, _ = module.required("k8s.io/client-go").split(".")  # what charts are rendered for without a cluster
    versions = [f"-X {module.source}/pkg/{package}.k8sVersion" for package in ("chartutil", "lint/rules")]
    return [
        f"-X {module.source}/internal/version.version={module.version}",
        *(f"{version}{part}" for version in versions for part in ("Major=1", f"Minor={minor}")),
    ]


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
