"""The version is written in one place, and whoever repeats it says the same."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

import adapter

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
IMAGE = re.compile(r"ghcr\.io/tidegauge/tidegauge:([\w.+-]+)")


def test_the_package_reads_it_from_the_module() -> None:
    """pyproject.toml has no version of its own."""
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert "version" not in PROJECT["project"]
    assert PROJECT["tool"]["hatch"]["version"]["path"] == "adapter/__init__.py"


def test_it_is_a_semantic_version() -> None:
    """Image tags and charts take semantic versions."""
    assert re.fullmatch(r"\d+\.\d+\.\d+(-[0-9a-z.]+)?", adapter.__version__)


def test_the_chart_deploys_it() -> None:
    """The chart's appVersion, which is the image's tag, is the adapter's."""
    chart = yaml.safe_load((ROOT / "deploy/helm/tidegauge/Chart.yaml").read_text(encoding="utf-8"))

    assert chart["appVersion"] == adapter.__version__


def kustomizations() -> list[tuple[Path, str]]:
    """Return each image of a kustomization with its tag."""
    found = []
    for path in ROOT.glob("deploy/kubernetes/**/kustomization.yaml"):
        images = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("images", [])
        found += [(path, str(one.get("newTag"))) for one in images]
    return found


def test_manifests_deploy_it() -> None:
    """Manifests that name our image with a tag name this version's."""
    files = [*ROOT.glob("deploy/kubernetes/**/*.yaml"), *ROOT.glob("deploy/helm/**/values*.yaml")]
    written = {(path, tag) for path in files for tag in IMAGE.findall(path.read_text(encoding="utf-8"))}

    assert written
    assert not [one for one in [*written, *kustomizations()] if one[1] != adapter.__version__]


def test_the_changelog_has_a_place_for_it() -> None:
    """The changelog gathers what is not released yet, or has this version's chapter."""
    chapters = re.findall(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert {"Unreleased", adapter.__version__} & set(chapters)


LOCKS = ["requirements.txt", "deploy/image/requirements-build.txt"]


@pytest.mark.parametrize("lock", LOCKS)
def test_what_the_image_installs_is_what_the_tests_run_with(lock: str) -> None:
    """Each lock of the image has versions that the developers' lock has too, each with hashes."""
    text, ours = ((ROOT / name).read_text(encoding="utf-8") for name in (lock, "requirements-dev.txt"))
    pinned = set(re.findall(r"^(\S+==\S+)", text, re.MULTILINE))

    assert pinned
    assert pinned <= set(re.findall(r"^(\S+==\S+)", ours, re.MULTILINE))
    assert len(re.findall(r"^\S+==\S+ \\\n    --hash=sha256:", text, re.MULTILINE)) == len(pinned)


def test_the_image_builds_with_what_the_package_asks_for() -> None:
    """The locked build tool is the one that pyproject.toml names."""
    lock = (ROOT / "deploy/image/requirements-build.txt").read_text(encoding="utf-8")

    assert [one for one in PROJECT["build-system"]["requires"] if f"{one} \\\n" in lock]
