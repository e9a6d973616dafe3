"""deploy/image/build.sh: what it asks of docker buildx, and when it refuses. `docker` is a fake that writes down its words."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

import adapter

ROOT = Path(__file__).parents[2]
DIGEST = "sha256:" + "ab" * 32
TOOLS = ("bash", "cat", "date", "dirname", "git", "mkdir", "sed")  # and no docker of the machine's own
EPOCH = "1700000000"  # 2023-11-14T22:13:20Z
DOCKER = """#!{python} -IS
import json, sys, pathlib
here = pathlib.Path(__file__).parent
with (here / "calls").open("a") as out:
    out.write(json.dumps(sys.argv[1:]) + "\\n")
answers = json.loads((here / "answers").read_text())
answer = answers.get(sys.argv[2], {{}})
print(answer.get("says", ""))
sys.exit(answer.get("code", 0))
"""


@dataclass(frozen=True, slots=True)
class Bench:
    """A repository with the script, and the folder of the fake docker."""

    repository: Path
    programs: Path

    def git(self, *words: str) -> str:
        """Run git in the repository."""
        identity = {f"GIT_{role}_{part}": "a@b.c" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
        dates = {"GIT_AUTHOR_DATE": f"{EPOCH} +0000", "GIT_COMMITTER_DATE": f"{EPOCH} +0000"}
        environment = {**os.environ, **identity, **dates}
        done = subprocess.run(
            ["git", *words], cwd=self.repository, env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def answers(self, **answers: dict[str, object]) -> None:
        """Tell the fake what to say and to end with, by the second word of its command line."""
        (self.programs / "answers").write_text(json.dumps(answers), encoding="utf-8")

    def build(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the script."""
        environment = {"PATH": str(self.programs), "HOME": str(self.programs)}
        script = self.repository / "deploy/image/build.sh"
        return subprocess.run(
            [str(script), *words], env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    @property
    def asked(self) -> list[list[str]]:
        """The command lines of docker."""
        return [json.loads(line) for line in (self.programs / "calls").read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Make a repository with one commit and a docker that knows the base's digest."""
    made = Bench(tmp_path / "repository", tmp_path / "programs")
    made.programs.mkdir()
    for name in ("deploy/image/build.sh", "Dockerfile", "adapter/__init__.py", ".gitignore"):
        target = made.repository / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    for name in TOOLS:
        (made.programs / name).symlink_to(shutil.which(name) or "")
    docker = made.programs / "docker"
    docker.write_text(DOCKER.format(python=sys.executable), encoding="utf-8")
    docker.chmod(0o755)
    made.git("init", "--quiet")
    made.git("add", ".")
    made.git("commit", "--quiet", "--message", "all")
    made.answers(imagetools={"says": DIGEST})
    return made


def options(words: Sequence[str]) -> dict[str, list[str]]:
    """Return the options of `docker buildx build`, each with its values."""
    found: dict[str, list[str]] = {}
    for name, value in zip(words[2:-1:2], words[3:-1:2], strict=True):
        found.setdefault(name, []).append(value)
    return found


def test_what_buildx_is_asked(bench: Bench) -> None:
    """Both architectures, with provenance and SBOM, from the base's digest, dated and named by the commit."""
    done = bench.build("--push")

    assert done.returncode == 0, done.stderr
    version, inspect, build = bench.asked
    base = "docker.io/library/python:3.11-slim-trixie"
    assert version == ["buildx", "version"]
    assert inspect == ["buildx", "imagetools", "inspect", base, "--format", "{{.Manifest.Digest}}"]
    assert build[:2] == ["buildx", "build"]
    assert build[-1] == "."
    assert options(build) == {
        "--platform": ["linux/amd64,linux/arm64"],
        "--build-arg": [
            f"PYTHON_IMAGE={base}",
            f"PYTHON_DIGEST={DIGEST}",
            f"SOURCE_DATE_EPOCH={EPOCH}",
            f"VERSION={adapter.__version__}",
            f"REVISION={bench.git('rev-parse', 'HEAD')}",
            "CREATED=2023-11-14T22:13:20Z",
        ],
        "--provenance": ["mode=max"],
        "--sbom": ["true"],
        "--tag": [f"ghcr.io/tidegauge/tidegauge:{adapter.__version__}"],
        "--output": ["type=image,push=true,rewrite-timestamp=true"],
        "--metadata-file": ["dist/image-metadata.json"],
    }


def test_what_is_recorded(bench: Bench) -> None:
    """The digest that the base was pinned to is written down beside what was built."""
    assert bench.build("--repository", "registry.example/x", "--platform", "linux/arm64").returncode == 0

    record = json.loads((bench.repository / "dist/image.json").read_text(encoding="utf-8"))
    assert record == {
        "image": f"registry.example/x:{adapter.__version__}",
        "revision": bench.git("rev-parse", "HEAD"),
        "created": "2023-11-14T22:13:20Z",
        "platforms": "linux/arm64",
        "base": {"name": "docker.io/library/python:3.11-slim-trixie", "digest": DIGEST},
    }
    asked = options(bench.asked[-1])
    assert asked["--platform"] == ["linux/arm64"]
    assert asked["--output"] == ["type=oci,dest=dist/image.tar,rewrite-timestamp=true"]


def test_a_dirty_tree_is_refused(bench: Bench) -> None:
    """What is not committed is not built, unless told; then the revision says so."""
    (bench.repository / "adapter/more.py").touch()

    refused = bench.build()
    asked = len(bench.asked)
    allowed = bench.build("--allow-dirty")

    assert (refused.returncode, asked) == (4, 1)
    assert "not committed" in refused.stderr
    assert allowed.returncode == 0
    assert f"REVISION={bench.git('rev-parse', 'HEAD')}-dirty" in options(bench.asked[-1])["--build-arg"]


REFUSALS: dict[str, tuple[list[str], dict[str, dict[str, object]], int, str]] = {
    "a registry that does not answer": ([], {"imagetools": {"code": 1}}, 5, "cannot be told"),
    "an answer that is no digest": ([], {"imagetools": {"says": "latest"}}, 5, "is not one: latest"),
    "a docker without buildx": ([], {"version": {"code": 1}}, 3, "no buildx"),
    "an unknown word": (["--pull"], {}, 2, "unknown word: --pull"),
    "an option without its value": (["--platform"], {}, 2, "needs a value"),
    "a build that fails": ([], {"imagetools": {"says": DIGEST}, "build": {"code": 17}}, 17, ""),
}


@pytest.mark.parametrize(("words", "answers", "code", "said"), REFUSALS.values(), ids=REFUSALS.keys())
def test_refusals(bench: Bench, words: list[str], answers: dict[str, dict[str, object]], code: int, said: str) -> None:
    """Nothing is built with a base that is not pinned, and a build that failed leaves no record."""
    bench.answers(**answers)
    done = bench.build(*words)

    assert done.returncode == code
    assert said in done.stderr
    assert not (bench.repository / "dist/image.json").exists()


def test_without_docker(bench: Bench) -> None:
    """A machine without docker is told so."""
    (bench.programs / "docker").unlink()
    done = bench.build()

    assert done.returncode == 3
    assert "docker" in done.stderr
