"""What the Dockerfile says, judged without carrying it out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from image.dockerfile import Ignore, Instruction, expanded, instructions, stages

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")
ARGUMENTS, (BUILD, FINAL) = stages(TEXT)
IGNORE = Ignore.read((ROOT / ".dockerignore").read_text(encoding="utf-8"))
DIGEST = "sha256:" + "0" * 64
SECRET = re.compile(r"token|password|passwd|secret|credential|api_?key|private", re.IGNORECASE)
OUT = [".git/HEAD", ".venv/bin/python", "tests/conftest.py", "docs/rules.md", ".ci/run", "requirements-dev.txt"]
OUT += [
    "deploy/image/build.sh",
    "adapter/__pycache__/errors.cpython-311.pyc",
    "apiserver.local.config/x",
    ".env",
    "id_rsa",
]
IN = [
    "adapter/__init__.py",
    "adapter/kube/kinds.json",
    "config/demo.yaml",
    "requirements.txt",
    "pyproject.toml",
    "LICENSE",
]


def test_the_base_is_pinned_by_an_argument() -> None:
    """The digest of the base comes from outside, where it can be asked for; without it the tag is followed."""
    tag = ARGUMENTS["PYTHON_IMAGE"]

    assert ARGUMENTS["PYTHON_DIGEST"] == ""
    assert expanded(BUILD.base, {**ARGUMENTS, "PYTHON_DIGEST": DIGEST}) == f"{tag}@{DIGEST}"
    assert expanded(BUILD.base, ARGUMENTS) == tag
    assert re.fullmatch(r"docker\.io/library/python:3\.11-slim-\w+", tag)


def test_the_image_begins_from_nothing() -> None:
    """The last stage has no base whose shell and packages it would inherit, and runs nothing."""
    assert FINAL.base == "scratch"
    assert not FINAL.all("RUN")
    assert [one.flags for one in FINAL.all("COPY")] == [{"from": "build"}]


def test_who_runs_what() -> None:
    """It runs as 10001, starts /adapter without a shell, and stops with SIGTERM."""
    assert FINAL.last("USER").value == "10001:10001"
    assert FINAL.last("ENTRYPOINT").value == '["/adapter"]'
    assert not FINAL.all("CMD")
    assert FINAL.last("EXPOSE").value == "6443"
    assert FINAL.last("STOPSIGNAL").value == "SIGTERM"
    assert not FINAL.all("HEALTHCHECK")


@pytest.mark.parametrize("one", [one for one in instructions(TEXT) if one.keyword in ("RUN", "ENTRYPOINT", "CMD")])
def test_nothing_needs_a_shell(one: Instruction) -> None:
    """Every command is in the exec form."""
    assert one.is_exec_form


def test_nothing_is_fetched_without_a_hash() -> None:
    """Nothing is added from an address, and packages come as wheels whose hashes are locked, or from the build itself."""
    installs = [one for one in BUILD.all("RUN") if "install" in one.words]

    assert not [one for one in instructions(TEXT) if one.keyword == "ADD"]
    assert len(installs) == 3
    for one in installs:
        locked = {"--require-hashes", "--only-binary=:all:"} <= set(one.words)
        assert locked or {"--no-index", "--no-deps"} <= set(one.words)


def test_no_secret_is_asked_for() -> None:
    """Arguments and variables of an image can be read by everybody, so none is a secret."""
    named = [one.value for one in instructions(TEXT) if one.keyword in ("ARG", "ENV")]

    assert not [value for value in named if SECRET.search(value)]


@pytest.mark.parametrize("path", OUT)
def test_what_stays_out_of_the_build(path: str) -> None:
    """The history, tests, environments and whatever lies about are not sent to the builder."""
    assert IGNORE.keeps_out(path)


@pytest.mark.parametrize("path", IN)
def test_what_enters_the_build(path: str) -> None:
    """What the wheel is made of is sent."""
    assert not IGNORE.keeps_out(path)
    assert (ROOT / path).is_file()


def test_what_enters_is_copied() -> None:
    """The .dockerignore lets nothing in that no COPY asks for."""
    sources = [source for one in BUILD.all("COPY") for source in one.words[:-1]]
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()

    assert sorted(sources) == sorted(line[1:] for line in lines if line.startswith("!"))
