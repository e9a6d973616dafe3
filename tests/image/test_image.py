"""The image as the Dockerfile makes it, started as Kubernetes starts it."""

from __future__ import annotations

import hashlib
import json
import socket
import ssl
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from rig.processes import Child, free_port, wait_until

import adapter
from image.conftest import Image
from image.replay import run_step, started

ROOT = Path(__file__).parents[2]
CONFIG = "/etc/adapter/config.yaml"
OBJECTS = "/etc/adapter/objects.yaml"
START_SECONDS = 60
SHELLS = {"sh", "bash", "dash", "busybox", "ash", "zsh", "pip", "pip3", "apt", "dpkg", "gcc", "cc", "ld", "perl"}
IMPORT_ALL = """
import importlib, pkgutil, sys, adapter
names = [one.name for one in pkgutil.walk_packages(adapter.__path__, "adapter.")]
for name in names: importlib.import_module(name)
import json; print(json.dumps(names))
"""


def run(image: Image, argv: Sequence[str], *, entry: Sequence[str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command in the image; `entry` replaces the entry point."""
    words = started(image.built, argv, files={}, entry=entry).words(image.scratch)
    return subprocess.run(words, capture_output=True, text=True, timeout=START_SECONDS, check=False)


def files_of(image: Image) -> Iterator[Path]:
    """Yield all that is in the root."""
    yield from image.built.root.rglob("*")


VERSIONS: Mapping[str, tuple[Sequence[str] | None, Sequence[str]]] = {
    "the entry point": (None, ["--version"]),
    "its path twice, as prometheus-adapter's chart has it": (None, ["/adapter", "--version"]),
    "tidegauge on PATH": (["tidegauge"], ["--version"]),
}


@pytest.mark.parametrize(("entry", "argv"), VERSIONS.values(), ids=VERSIONS.keys())
def test_it_says_its_version(image: Image, entry: Sequence[str] | None, argv: Sequence[str]) -> None:
    """The command starts under each of its names, as user 10001, in a read-only root."""
    done = run(image, argv, entry=entry)

    assert (done.returncode, done.stdout, done.stderr) == (0, f"tidegauge {adapter.__version__}\n", "")


def test_help_with_its_path_twice(image: Image) -> None:
    """`/adapter /adapter --help` is `/adapter --help`."""
    once, twice = run(image, ["--help"]), run(image, ["/adapter", "--help"])

    assert once.returncode == twice.returncode == 0
    assert once.stdout == twice.stdout != ""


def test_every_module_loads(image: Image) -> None:
    """No module misses a library, a part of Python or a package that was left out."""
    done = run(image, ["-c", IMPORT_ALL], entry=["python"])

    assert done.returncode == 0, done.stderr
    assert "adapter.cli.serve" in json.loads(done.stdout)


def test_shipped_rules_are_at_hand(image: Image) -> None:
    """The rule files that people start from can be checked in the image."""
    done = run(image, ["check", "/usr/share/tidegauge/config/resource-cadvisor.yaml"])

    assert done.returncode == 0, done.stdout + done.stderr


def test_it_serves(image: Image, tmp_path: Path) -> None:
    """With prometheus-adapter's words it answers /healthz over TLS, writes to /tmp alone, and ends with SIGTERM."""
    port = free_port()
    argv = ["/adapter", f"--secure-port={port}", "--bind-address=127.0.0.1", f"--config={CONFIG}"]
    argv += ["--prometheus-url=http://127.0.0.1:9/", f"--objects-file={OBJECTS}", "--cert-dir=/tmp/cert"]
    files = {CONFIG: ROOT / "config/demo.yaml", OBJECTS: ROOT / "config/demo-objects.yaml"}
    words = started(image.built, argv, files=files).words(image.scratch)

    with Child("adapter", words, log=tmp_path / "log") as child:

        def healthy() -> str:
            child.check_alive()
            certificate = Path(f"/proc/{child.pid}/root/tmp/cert/apiserver.crt").read_text(encoding="ascii")
            context = ssl.create_default_context(cadata=certificate)
            at = ("127.0.0.1", port)
            with socket.create_connection(at, 5) as plain, context.wrap_socket(plain, server_hostname=at[0]) as stream:
                stream.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                return b"".join(iter(lambda: stream.recv(4096), b"")).decode()

        answered = wait_until("healthz", healthy, timeout_seconds=START_SECONDS)
        status = Path(f"/proc/{child.pid}/status").read_text(encoding="ascii")
        code = child.stop()

    assert answered.startswith("HTTP/1.1 200")
    assert answered.endswith("ok")
    assert "\nUid:\t10001\t10001\t10001\t10001\n" in status
    assert "\nGroups:\t \n" in status
    assert code == 0, (tmp_path / "log").read_text(encoding="utf-8")


def test_no_shell_and_no_tools(image: Image) -> None:
    """There is nothing to break in with: no shell, no package manager, no compiler, no pip."""
    programs = {path.name for path in files_of(image) if path.is_file() and path.stat().st_mode & stat.S_IXUSR}

    assert {"tidegauge", f"python3.{sys.version_info.minor}"} <= programs
    assert not SHELLS & programs


def test_only_tmp_can_be_written(image: Image) -> None:
    """Everything is root's and closed to others for writing, also where the root is not mounted read-only."""
    found = [path for path in files_of(image) if not path.is_symlink()]
    writable = {path for path in found if path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH) or path.stat().st_uid}

    assert writable == {image.built.root / "tmp"}
    assert not [path for path in found if path.stat().st_mode & (stat.S_ISUID | stat.S_ISGID)]


def test_links_lead_somewhere(image: Image) -> None:
    """No link of the root is left dangling."""
    root = image.built.root
    links = [path for path in files_of(image) if path.is_symlink()]

    def aim(path: Path) -> Path:
        inside = "/" / path.parent.relative_to(root) / path.readlink()
        return root / inside.relative_to("/")

    assert links
    assert not [path for path in links if not aim(path).exists()]


def test_bytecode_is_there_for_every_module(image: Image) -> None:
    """Python need not compile at each start what it could not keep: each source file has bytecode beside it."""
    sources = [path for path in files_of(image) if path.suffix == ".py"]
    bare = [path for path in sources if not list(path.parent.glob(f"__pycache__/{path.stem}.*.pyc"))]

    assert len(sources) > 1000
    assert not bare


def fingerprints(root: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return mode, time and content of all that is in a folder."""
    found = {}
    for path in root.rglob("*"):
        told = path.lstat()
        link = str(path.readlink()).encode() if path.is_symlink() else b""
        content = hashlib.sha256(path.read_bytes()).digest() if path.is_file() and not link else link
        found[str(path.relative_to(root))] = (told.st_mode, int(told.st_mtime), content)
    return found


def test_building_it_again_gives_the_same(image: Image) -> None:
    """The root does not depend on when or how often it is made: content, modes and dates are the same."""
    build = image.stages["build"]
    done = run_step(build, ["python3", "rootfs.py", "/opt/tidegauge", "/rootfs-again"], image.scratch)

    assert done.returncode == 0, done.stdout
    first, again = fingerprints(build.root / "rootfs"), fingerprints(build.root / "rootfs-again")
    assert len(first) > 1000
    assert not {name for name in first.keys() | again.keys() if first.get(name) != again.get(name)}


def test_libraries_name_their_packages(image: Image) -> None:
    """Scanners find the Debian packages of the libraries, and people the licences."""
    described = {path.name for path in (image.built.root / "var/lib/dpkg/status.d").iterdir()}
    licences = image.built.root / "usr/share/doc"

    assert {"libc6", "ca-certificates"} <= described
    assert [name for name in described if name.startswith("libssl3")]
    assert not [name for name in described if not (licences / name / "copyright").is_file()]


def test_labels(image: Image) -> None:
    """The labels say the version and the revision that the builder was given."""
    labels = image.built.labels

    assert labels["org.opencontainers.image.version"] == adapter.__version__
    assert labels["org.opencontainers.image.revision"] == "0123abc"
    assert labels["org.opencontainers.image.base.name"].startswith("docker.io/library/python:")
