"""docs/rules.md against the models of the rules file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from adapter.config import schema
from adapter.config.load import load_rules
from adapter.config.problems import Severity
from adapter.config.schema import FileModel

PAGE = (Path(__file__).parents[2] / "docs" / "rules.md").read_text(encoding="utf-8")
POLICIES = set(schema.PolicyKeys.model_fields)
SECTIONS: dict[str, type[FileModel]] = {
    "The file": schema.RulesFile,
    "A rule": schema.Rule,
    "A filter": schema.SeriesFilter,
    "Resources": schema.Resources,
    "A resource": schema.GroupResourceRef,
    "A name": schema.NameMapping,
    "A metric": schema.Metric,
    "An object": schema.ObjectRef,
    "Policies": schema.PolicyKeys,
    "A value": schema.ValueShape,
    "Defaults": schema.Defaults,
    "A backend": schema.BackendEntry,
    "Resource rules": schema.ResourceRules,
    "A resource rule": schema.ResourceRule,
}


def documented_keys(heading: str) -> list[str]:
    """Return the keys in the first table of a section."""
    section = re.split(rf"^#+ {re.escape(heading)}$", PAGE, flags=re.MULTILINE)[1]
    table = re.search(r"^\| key \|.*?\n\|---.*?\n((?:\|.*\n)+)", section, flags=re.MULTILINE)
    assert table, heading
    return [key for line in table[1].splitlines() for key in re.findall(r"`(\w+)`", line.split("|")[1])]


@pytest.mark.parametrize("heading", SECTIONS)
def test_each_object_is_documented_in_full(heading: str) -> None:
    """The table of an object has each of its keys once, in the order of the model, and no other."""
    model = SECTIONS[heading]
    inherited = POLICIES if issubclass(model, schema.PolicyKeys) and model is not schema.PolicyKeys else set()
    keys = [info.alias or name for name, info in model.model_fields.items() if name not in inherited]

    assert sorted(documented_keys(heading)) == sorted(keys)


def test_each_model_has_a_section() -> None:
    """No model of the rules file is left out of the reference."""
    models = {one for one in vars(schema).values() if isinstance(one, type) and issubclass(one, FileModel)}

    assert models - {FileModel} == set(SECTIONS.values())


@pytest.mark.parametrize("example", re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL))
def test_the_examples_load(example: str, tmp_path: Path) -> None:
    """Each example of the page is a rules file without errors."""
    file = tmp_path / "rules.yaml"
    file.write_text(example, encoding="utf-8")

    loaded = load_rules([str(file)], {"THANOS_HOST": "thanos:10902", "THANOS_CREDENTIALS": "eDp5"})

    assert [one.message for one in loaded.problems if one.severity is Severity.ERROR] == []
