"""The rule files that people start from, as they lie in `config`: described, tried out, and fit to go together."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from conformance.corpus import World
from conformance.reading import read_corpus

from adapter.config.load import load_rules
from adapter.kube.resources import kubernetes_kinds
from adapter.rules.checks import static_problems
from adapter.rules.compile import Terms, compile_rules

CONFIG = Path(__file__).parents[2] / "config"
README = (CONFIG / "README.md").read_text(encoding="utf-8")
# What is not there to start from: the demo's files. test_resource_presets.py is about the resource rules.
_NO_STARTERS = re.compile(r"demo.*|resource-.*")
STARTERS = sorted(path for path in CONFIG.glob("*.yaml") if not _NO_STARTERS.fullmatch(path.name))
WORLDS = {world.shipped: world for world in read_corpus() if world.shipped}
# A type of metric of the HorizontalPodAutoscaler, and what it can ask for.
TYPES = {"Pods": {"pods"}, "External": {"external"}}


def named(path: Path) -> str:
    """Return a file's name, for pytest."""
    return path.name


def entries(path: Path) -> list[dict[str, Any]]:
    """Return the metrics of a file as they are written."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert set(document) == {"metrics"}
    return list(document["metrics"])


def described_object(entry: dict[str, Any]) -> str:
    """Return what a metric is about: a kind of object, or `external`."""
    return "external" if entry.get("external") else str(entry["object"]["resource"])


def heading(path: Path) -> str:
    """Return the comment at the top of a file, without its marks."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return "\n".join(line[2:] for line in lines[: next(i for i, line in enumerate(lines) if not line.startswith("#"))])


def values_of(world: World) -> set[str]:
    """Return the names of the metrics of which some case has a value."""
    steps = [step for case in world.cases for step in case.steps]
    return {step.segments[-1] for step in steps if step.status == 200 and (step.items or step.external_items)}


@pytest.mark.parametrize("path", sorted(CONFIG.rglob("*.yaml")), ids=named)
def test_the_readme_names_each_file(path: Path) -> None:
    """A file that lies there stands in the table of files, with a link and with what it is for."""
    name = path.relative_to(CONFIG).as_posix()

    assert re.search(rf"^\| \[{re.escape(name)}\]\({re.escape(name)}\) \| .{{9,}} \| .* \|$", README, re.MULTILINE)


@pytest.mark.parametrize("path", STARTERS, ids=named)
def test_the_readme_describes_each_metric(path: Path) -> None:
    """The section of a file has a row for each metric: what it is of, its unit, and its description; and no other rows."""
    section = README.split(f"### {path.name}\n", 1)[1].split("\n#", 1)[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if "`" in line]

    assert [(name, of, value) for name, of, _, value in rows] == [
        (f"`{entry['metric']}`", described_object(entry), entry["description"]) for entry in entries(path)
    ]
    assert all(unit for _, _, unit, _ in rows)


@pytest.mark.parametrize("path", STARTERS, ids=named)
def test_the_heading_says_what_people_need(path: Path) -> None:
    """The comment at the top names every metric, says what the scrape needs, and where the names come from."""
    text = heading(path)

    assert [entry["metric"] for entry in entries(path) if entry["metric"] not in text.split()] == []
    assert "\nServes" in text
    assert "\nNeeds" in text
    assert "\nNames from: " in text or "\nNeeds: recording/" in text


@pytest.mark.parametrize("path", STARTERS, ids=named)
def test_the_example_can_be_pasted(path: Path) -> None:
    """The example at the top is a block of autoscaling/v2, or a call, about a metric of the file."""
    text = heading(path)
    metrics = {entry["metric"]: described_object(entry) for entry in entries(path)}
    if "kubectl get --raw" in text:
        (called,) = re.findall(r"/deployments\.apps/web/([a-z_]+)", text)
        assert metrics[called] == "deployments.apps"
        return
    (block,) = yaml.safe_load(text[text.index("  metrics:\n") :])["metrics"]
    asked = block[block["type"].lower()]
    of = metrics[asked["metric"]["name"]]

    if block["type"] == "Object":
        group = asked["describedObject"]["apiVersion"].partition("/")[0]
        assert of.endswith(f".{group}")
    else:
        assert of in TYPES[block["type"]]
    assert asked["target"]["type"] == "AverageValue"


@pytest.mark.parametrize("path", STARTERS, ids=named)
def test_each_metric_is_tried_out(path: Path) -> None:
    """The corpus has a world with the exporter's series for each file, and in it a case with a value for each metric."""
    assert path.name in WORLDS, f"{path.name} has no file in tests/conformance/cases that says `shipped: {path.name}`"
    missing = {entry["metric"] for entry in entries(path)} - values_of(WORLDS[path.name])

    assert missing == set()


def test_the_files_go_together() -> None:
    """All files at once, as people may combine them, have no problem: no metric and no id is there twice."""
    apart = {"requests-recommendation-recorded.yaml"}  # takes the place of requests-recommendation.yaml
    paths = [str(path) for path in STARTERS if path.name not in apart] + [str(CONFIG / "resource-node-exporter.yaml")]
    loaded, kinds = load_rules(paths, {}), kubernetes_kinds()
    compiled = compile_rules(loaded, Terms(kinds=kinds))

    assert [f"{one.code}: {one.message}" for one in compiled.problems] == []
    assert [f"{one.code}: {one.message}" for one in static_problems(compiled.rulebook, loaded, kinds)] == []
    assert len(compiled.rulebook.rules) >= 70


def test_the_two_recommendations_serve_the_same() -> None:
    """Recorded or not, the metrics of recommendations have one name and one object, so that callers need not care."""
    plain, recorded = (
        {(entry["metric"], described_object(entry)) for entry in entries(CONFIG / f"requests-recommendation{end}.yaml")}
        for end in ("", "-recorded")
    )

    assert plain == recorded
