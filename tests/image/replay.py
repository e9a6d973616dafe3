"""Carry out a Dockerfile without a container engine: each stage in a scratch root, each RUN in a mount namespace.

The machine's own system and the Python that the tests run on stand in for the base image, bound read-only into the root of
a stage that begins from it. A stage that begins from scratch begins from nothing, so that what it copies is all it has: of
our last stage nothing is stood in for. Two things differ from an engine: pip may use the machine's cache and its settings of
the registry, and layers are not kept apart.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from image.dockerfile import Ignore, Instruction, Stage, context_files, expanded, stages

ENTER = Path(__file__).with_name("enter.py")
SCRATCH = "scratch"
STEP_SECONDS = 300  # of one RUN; installing all packages without a cache takes a minute on a slow line
# What tells pip and OpenSSL how to reach the registry from this machine.
OUTWARD = ("PIP_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "SSL_CERT_", "REQUESTS_CA_BUNDLE")
PIP_SETTINGS = "/etc/pip"  # where a stage sees what this machine tells pip
DEVICES = ("null", "zero", "random", "urandom")
# Files of the machine that a base image has of its own, or that an engine writes into it.
MACHINE_FILES = ("os-release", "passwd", "group", "nsswitch.conf", "ld.so.conf", "resolv.conf", "hosts")

Mount = tuple[str, str, str]


class StepFailedError(RuntimeError):
    """A RUN failed; the text holds its place, its words and its output."""


def why_not() -> str:
    """Say what this machine lacks for replaying; empty if nothing."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "mounts are needed: run it as root on Linux"
    if not Path("/var/lib/dpkg/status").exists():
        return "a Debian or Ubuntu is needed, since it stands in for the base image"
    for words in (
        ["unshare", "--mount", "--", "mount", "--make-rprivate", "/"],
        [str(base_python()), "-m", "pip", "-V"],
    ):
        try:
            subprocess.run(words, check=True, capture_output=True, timeout=30)
        except (OSError, subprocess.CalledProcessError) as error:
            return f"`{' '.join(words)}` does not work: {error}"
    return ""


def base_python() -> Path:
    """Return the Python under the virtual environment that the tests run in."""
    return Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}")


@dataclass(slots=True, kw_only=True)
class Built:
    """A stage as it stands: its root, and what its instructions said so far."""

    root: Path
    stands_in: bool
    arguments: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    user: int = 0
    entry_point: Sequence[str] = ()

    @property
    def variables(self) -> dict[str, str]:
        """What $NAME means to an instruction: ENV goes before ARG."""
        return {**self.arguments, **self.environment}


@dataclass(slots=True, kw_only=True)
class Replay:
    """The build of one context with some arguments, in a folder of its own."""

    context: Path
    scratch: Path
    arguments: Mapping[str, str]
    done: dict[str, Built] = field(default_factory=dict)

    def build(self) -> Built:
        """Carry out all stages; return the last.

        Raises:
            StepFailedError: a RUN failed.
        """
        defaults, found = stages((self.context / "Dockerfile").read_text(encoding="utf-8"))
        for number, stage in enumerate(found):
            self.done[stage.name or str(number)] = self._stage(stage, number, {**defaults, **self.arguments})
        return list(self.done.values())[-1]

    def _stage(self, stage: Stage, number: int, before: Mapping[str, str]) -> Built:
        root = self.scratch / f"stage-{number}"
        root.mkdir()
        built = Built(root=root, stands_in=expanded(stage.base, before) != SCRATCH)
        if built.stands_in:
            _stand_in(root)
        for one in stage.instructions:
            self._carry_out(one, built, before)
        return built

    def _carry_out(self, one: Instruction, built: Built, before: Mapping[str, str]) -> None:
        said = Instruction(
            keyword=one.keyword, flags=one.flags, value=expanded(one.value, built.variables), line=one.line
        )
        match one.keyword:
            case "ARG":
                name, _, default = said.value.partition("=")
                built.arguments[name] = self.arguments.get(name, before.get(name, default))
            case "ENV":
                built.environment.update(said.pairs())
            case "LABEL":
                built.labels.update(said.pairs())
            case "WORKDIR":
                built.folder = said.value
                _inside(built, said.value).mkdir(parents=True, exist_ok=True)
            case "USER":
                built.user = int(said.value.partition(":")[0])
            case "ENTRYPOINT":
                built.entry_point = said.words
            case "COPY":
                self._copy(said, built)
            case "RUN":
                self._run(said, built)

    def _copy(self, one: Instruction, built: Built) -> None:
        *sources, to = one.words
        target = _inside(built, to)
        if "from" in one.flags:
            (source,) = sources
            words = ["cp", "-a", f"{self.done[one.flags['from']].root}{source.rstrip('/')}/.", str(target)]
            subprocess.run(words, check=True)
            return
        ignore = Ignore.read((self.context / ".dockerignore").read_text(encoding="utf-8"))
        for source in sources:
            for path in context_files(self.context, [source], ignore):
                below = path.relative_to(source) if (self.context / source).is_dir() else Path(path.name)
                (target / below).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self.context / path, target / below)

    def _run(self, one: Instruction, built: Built) -> None:
        words = one.words if one.is_exec_form else ["/bin/sh", "-c", one.value]
        ended = run_step(built, words, self.scratch)
        if ended.returncode:
            raise StepFailedError(f"Dockerfile:{one.line}: RUN {one.value}\n{ended.stdout}")


def run_step(built: Built, words: Sequence[str], scratch: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a stage that a base stands in for, as RUN does; what it wrote is in `stdout`."""
    environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
    environment |= built.variables | _outward()
    environment.pop("PIP_NO_CACHE_DIR", None)
    environment["PIP_CACHE_DIR"] = "/var/cache/pip"
    _inside(built, "/var/cache/pip").mkdir(parents=True, exist_ok=True)
    mounts = [*_base_mounts(), (str(_pip_cache(scratch)), "/var/cache/pip", "rw")]
    job = Job(root=built.root, mounts=mounts, cwd=built.folder, env=environment, argv=words)
    return subprocess.run(
        job.words(scratch),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=STEP_SECONDS,
        check=False,
    )


def _pip_cache(scratch: Path) -> Path:
    """Return the machine's cache of packages, or a new one."""
    shared = Path(os.environ.get("PIP_CACHE_DIR") or Path.home() / ".cache/pip")
    if shared.is_dir():
        return shared
    own = scratch / "pip-cache"
    own.mkdir(exist_ok=True)
    return own


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A command in a root, for `enter.py`."""

    root: Path
    mounts: Sequence[Mount]
    cwd: str
    env: Mapping[str, str]
    argv: Sequence[str]
    user: int = 0
    read_only: bool = False

    def words(self, scratch: Path) -> list[str]:
        """Write the job down; return the command line that does it."""
        names = ("mounts", "cwd", "env", "argv", "user", "read_only")
        job = {"root": str(self.root)} | {name: getattr(self, name) for name in names}
        number = len(list(scratch.glob("job-*.json")))
        path = scratch / f"job-{number}.json"
        path.write_text(json.dumps(job), encoding="utf-8")
        return ["unshare", "--mount", "--", sys.executable, "-I", "-S", str(ENTER), str(path)]


def started(image: Built, argv: Sequence[str], *, files: Mapping[str, Path], entry: Sequence[str] | None = None) -> Job:
    """Return the job of a container as Kubernetes would start it: read-only root, an empty /tmp, files mounted read-only.

    `entry` replaces the entry point. Mount points are made in the root before it is read-only, as container runtimes do.
    """
    mounts: list[Mount] = [("proc", "/proc", "ro"), ("tmpfs", "/tmp", "mode=1777")]  # noqa: S108 - of the container
    mounts += [(f"/dev/{name}", f"/dev/{name}", "rw") for name in DEVICES]
    mounts += [(str(path), inside, "ro") for inside, path in files.items()]
    (image.root / "proc").mkdir(exist_ok=True)
    for target in [*(f"/dev/{name}" for name in DEVICES), *files]:
        _inside(image, target).parent.mkdir(parents=True, exist_ok=True)
        _inside(image, target).touch()
    words = [*(image.entry_point if entry is None else entry), *argv]
    return Job(
        root=image.root,
        mounts=mounts,
        cwd=image.folder,
        env=image.environment,
        argv=words,
        user=image.user,
        read_only=True,
    )


def _inside(built: Built, path: str) -> Path:
    return built.root / Path(built.folder, path).relative_to("/")


def _outward() -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if name.upper().startswith(OUTWARD)}
    settings = {"PIP_CONFIG_FILE": f"{PIP_SETTINGS}/pip.conf"} if _pip_settings().is_dir() else {}
    left_out = ("PIP_CACHE_DIR", "PIP_REQUIRE_VIRTUALENV")
    return settings | {name: value for name, value in ours.items() if name not in left_out}


def _pip_settings() -> Path:
    return Path.home() / ".config/pip"


def _base_mounts() -> list[Mount]:
    prefix = Path(sys.base_prefix)
    python: list[Mount] = [] if prefix == Path("/usr") else [(str(prefix), "/usr/local", "ro")]
    mounts: list[Mount] = [("/usr", "/usr", "ro"), *python, ("/etc/ssl", "/etc/ssl", "ro")]
    mounts += [("/var/lib/dpkg", "/var/lib/dpkg", "ro"), ("proc", "/proc", "ro"), ("tmpfs", "/tmp", "mode=1777")]  # noqa: S108 - of the stage
    if _pip_settings().is_dir():
        mounts.append((str(_pip_settings()), PIP_SETTINGS, "ro"))
    return mounts + [(f"/dev/{name}", f"/dev/{name}", "rw") for name in DEVICES]


def _stand_in(root: Path) -> None:
    """Make what the mounts of a base go on, its links, and the few files of /etc that programs need."""
    for link in Path("/").iterdir():
        if link.is_symlink() and link.resolve().is_relative_to("/usr"):
            (root / link.name).symlink_to(link.readlink())
    for source, target, _ in _base_mounts():
        path = root / target.removeprefix("/")
        if target == "/usr/local":
            continue  # a folder of /usr, which is mounted before it
        if source in ("tmpfs", "proc") or Path(source).is_dir():
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    for name in MACHINE_FILES:
        if (path := Path("/etc", name)).exists():
            shutil.copyfile(path, root / "etc" / name)
    shutil.copytree("/etc/ld.so.conf.d", root / "etc/ld.so.conf.d")
    environment = {"PATH": "/usr/sbin:/usr/bin"}
    job = Job(root=root, mounts=_base_mounts(), cwd="/", env=environment, argv=["ldconfig"])
    subprocess.run(job.words(root.parent), check=True, timeout=STEP_SECONDS)
