"""The SBOM: valid by CycloneDX's own schema, complete by the lock, and true about hashes and licences."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

import adapter

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "deploy/image/sbom.py"
PLATFORMS = ("linux/amd64", "linux/arm64")
STEP_SECONDS = 120
LOCK = (ROOT / "requirements.txt").read_text(encoding="utf-8")
LOCKED = dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", LOCK, re.MULTILINE))
ENVIRONMENT = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Write the SBOM of each platform, both at once."""
    folder = tmp_path_factory.mktemp("sbom")
    words = [sys.executable, str(PROGRAM), str(folder)]
    running = [subprocess.Popen([*words, one], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) for one in PLATFORMS]
    told = [one.communicate(timeout=STEP_SECONDS)[0].strip() for one in running]
    assert [one.returncode for one in running] == [0, 0]
    return {platform: Path(path).read_text(encoding="utf-8") for platform, path in zip(PLATFORMS, told, strict=True)}


def components(text: str) -> dict[str, dict[str, Any]]:
    """Return a document's components by name."""
    return {one["name"]: one for one in json.loads(text)["components"]}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_it_is_valid(texts: dict[str, str], platform: str) -> None:
    """The schema that the library ships finds nothing."""
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(texts[platform]) is None


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_locked_package_is_in_it(texts: dict[str, str], platform: str) -> None:
    """All packages of the lock are there in their version, named as scanners know them, with a licence, and no other."""
    found = components(texts[platform])

    assert {name: one["version"] for name, one in found.items()} == LOCKED
    assert {one["purl"] for one in found.values()} == {f"pkg:pypi/{name}@{version}" for name, version in LOCKED.items()}
    assert not [name for name, one in found.items() if not one["licenses"]]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_hashes_are_those_of_the_lock(texts: dict[str, str], platform: str) -> None:
    """Each package has a wheel for the platform, and the lock has that wheel's hash."""
    hashes = {one["hashes"][0]["content"] for one in components(texts[platform]).values()}

    assert len(hashes) == len(LOCKED)
    assert not [one for one in hashes if f"--hash=sha256:{one}" not in LOCK]


def test_platforms_have_wheels_of_their_own(texts: dict[str, str]) -> None:
    """What is compiled differs between the platforms; what is Python alone does not."""
    amd64, arm64 = (components(texts[platform]) for platform in PLATFORMS)
    differing = {name for name in amd64 if amd64[name]["hashes"] != arm64[name]["hashes"]}

    assert {"cryptography", "google-re2", "promql-parser", "uvloop"} <= differing
    assert not {"fastapi", "starlette", "typer"} & differing


def test_what_it_is_about(texts: dict[str, str]) -> None:
    """It describes the adapter of this version, whose direct dependencies it knows, at the time that was given."""
    told = json.loads(texts["linux/amd64"])
    about = told["metadata"]["component"]
    edges = {one["ref"]: one.get("dependsOn", []) for one in told["dependencies"]}

    assert (about["name"], about["version"]) == ("tidegauge", adapter.__version__)
    assert told["metadata"]["timestamp"] == "2023-11-14T22:13:20+00:00"
    assert f"pkg:pypi/starlette@{LOCKED['starlette']}" in edges[f"pkg:pypi/fastapi@{LOCKED['fastapi']}"]
    assert f"pkg:pypi/fastapi@{LOCKED['fastapi']}" in edges[about["bom-ref"]]
    assert set(edges) == {about["bom-ref"], *(one["bom-ref"] for one in told["components"])}


def test_every_package_is_there_for_a_reason(texts: dict[str, str]) -> None:
    """From the adapter one comes to every package of the lock: none is left over."""
    told = json.loads(texts["linux/amd64"])
    edges = {one["ref"]: one.get("dependsOn", []) for one in told["dependencies"]}
    reached: set[str] = set()
    following = [told["metadata"]["component"]["bom-ref"]]
    while following:
        one = following.pop()
        if one not in reached:
            reached.add(one)
            following += edges[one]

    assert reached == set(edges)
