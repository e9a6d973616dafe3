"""The wheel and the sdist: what is in them, and that each installs into an empty environment and runs there."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

import adapter

ROOT = Path(__file__).parents[2]
NAME = f"tidegauge-{adapter.__version__}"
ENVIRONMENT = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
STEP_SECONDS = 120
# What a developer needs of the sdist: to build, to test, to lock, to make images.
NEEDED = [
    "pyproject.toml",
    "Makefile",
    "Dockerfile",
    ".dockerignore",
    ".ci/run",
    "requirements.txt",
    "requirements-dev.txt",
    "deploy/image/rootfs.py",
    "deploy/image/requirements-build.txt",
    "adapter/kube/kinds.json",
    "adapter/py.typed",
    "config/rules.schema.json",
    "tests/conftest.py",
    "tests/e2e/controlplane/go.mod",
    "docs/rules.md",
    "LICENSE",
    "README.md",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Packages:
    """What `make dist` makes."""

    wheel: Path
    sdist: Path


def build(source: Path, target: Path, *kinds: str) -> None:
    """Build packages of a source tree."""
    words = [sys.executable, "-m", "hatchling", "build", "--directory", str(target)]
    words += [word for kind in kinds for word in ("--target", kind)]
    subprocess.run(words, cwd=source, env=ENVIRONMENT, check=True, capture_output=True, timeout=STEP_SECONDS)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    """Build both from the work tree."""
    folder = tmp_path_factory.mktemp("dist")
    build(ROOT, folder)
    return Packages(wheel=folder / f"{NAME}-py3-none-any.whl", sdist=folder / f"{NAME}.tar.gz")


@pytest.fixture(scope="module")
def unpacked(packages: Packages, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the sdist."""
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(packages.sdist) as archive:
        archive.extractall(folder, filter="data")
    return folder / NAME


def output(words: list[str], folder: Path) -> str:
    """Run a command that must succeed in a folder; return what it prints."""
    return subprocess.run(words, cwd=folder, check=True, capture_output=True, text=True, timeout=STEP_SECONDS).stdout


def names(sdist: Path) -> set[str]:
    """Return the files of an sdist, relative to its folder."""
    with tarfile.open(sdist) as archive:
        return {one.name.partition("/")[2] for one in archive.getmembers() if not one.isdir()}


def test_the_sdist_has_what_is_needed(packages: Packages) -> None:
    """A developer can build and test from the sdist."""
    assert not set(NEEDED) - names(packages.sdist)


def test_the_sdist_has_nothing_else(packages: Packages) -> None:
    """Nothing that merely lies in a work tree goes into the sdist: only what git has, or would take."""
    if not (ROOT / ".git").exists():
        assert (ROOT / "PKG-INFO").is_file(), "neither a repository nor an unpacked sdist"
        return
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    known = set(subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines())

    assert names(packages.sdist) - known == {"PKG-INFO"}


def test_the_wheel_has_the_package_and_the_rule_files(packages: Packages) -> None:
    """The wheel has the package with its data, the rule files, the licence; no tests, no deployment."""
    with zipfile.ZipFile(packages.wheel) as archive:
        found = set(archive.namelist())
    shipped = {str(path.relative_to(ROOT)) for path in (ROOT / "config").rglob("*") if path.is_file()}
    sources = {str(path.relative_to(ROOT)) for path in (ROOT / "adapter").rglob("*.py")}
    shared = {name.partition("/data/share/tidegauge/")[2] for name in found if ".data/data/" in name}

    assert shared == shipped
    assert {name for name in found if name.startswith("adapter/")} == {
        *sources,
        "adapter/py.typed",
        "adapter/kube/kinds.json",
    }
    assert {name.split("/")[0] for name in found} == {"adapter", f"{NAME}.data", f"{NAME}.dist-info"}
    assert f"{NAME}.dist-info/licenses/LICENSE" in found


def test_the_same_source_gives_the_same_packages(packages: Packages, unpacked: Path, tmp_path: Path) -> None:
    """Wheel and sdist do not depend on when or where they are built, nor on whether there is a repository."""
    build(ROOT, tmp_path / "again")
    build(unpacked, tmp_path / "from-sdist", "wheel")

    assert (tmp_path / "again" / packages.sdist.name).read_bytes() == packages.sdist.read_bytes()
    assert (tmp_path / "again" / packages.wheel.name).read_bytes() == packages.wheel.read_bytes()
    assert (tmp_path / "from-sdist" / packages.wheel.name).read_bytes() == packages.wheel.read_bytes()


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_it_installs_and_runs(kind: str, packages: Packages, tmp_path: Path) -> None:
    """In an environment of its own the command starts, and checks a rule file that came with it."""
    home = tmp_path / "venv"
    venv.create(home, with_pip=False)
    program = home / "bin/tidegauge"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    # Our package and nothing else is installed; what it needs is lent, in the locked versions, by the developers'
    # environment. That the locked packages suffice is what the image's tests show.
    lent = [path for path in sys.path if path.endswith("site-packages")]
    (home / f"lib/python{version}/site-packages/lent.pth").write_text("\n".join(lent), encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--python", str(home), "install", "--quiet", "--no-deps", "--no-index"]

    output([*pip, "--no-build-isolation", str(getattr(packages, kind))], tmp_path)
    shown = output([str(program), "--version"], tmp_path)
    output([str(program), "check", str(home / "share/tidegauge/config/resource-cadvisor.yaml")], tmp_path)
    where = output([str(home / "bin/python"), "-c", "import adapter; print(adapter.__file__)"], tmp_path)

    assert shown == f"tidegauge {adapter.__version__}\n"
    assert Path(where.strip()).is_relative_to(home)
