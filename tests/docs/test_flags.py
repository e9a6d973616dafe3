"""docs/cli-flags.md against the table that the command line is read by."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from adapter.config.flag_table import FLAGS, GROUPS
from adapter.config.flags import Flag

ADAPTER = Path(__file__).parents[2] / "adapter"
PAGE = (Path(__file__).parents[2] / "docs" / "cli-flags.md").read_text(encoding="utf-8")


def row(flag: Flag) -> str:
    """Return the line of the page that a flag has."""
    names = f"`-{flag.shorthand}`, `--{flag.name}`" if flag.shorthand else f"`--{flag.name}`"
    default = f"`{flag.default}`" if flag.default else ""
    effect = f"accepted, without effect: {flag.idle}" if flag.idle and not flag.help else flag.effect
    return f"| {names} | {flag.kind.word} | {default} | {effect} |"


@pytest.mark.parametrize("group", GROUPS)
def test_each_group_is_documented_in_full(group: str) -> None:
    """The page has one row for each flag of a group, in order, and no row beside them."""
    section = PAGE.split(f"\n## {group}\n")[1].split("\n## ")[0]

    rows = [line for line in section.splitlines() if line.startswith("| ")][1:]

    assert rows == [row(flag) for flag in FLAGS if flag.group == group]


@pytest.mark.parametrize("layer", ["server", "runtime", "clients"])
def test_flags_that_messages_name_are_there(layer: str) -> None:
    """Advice that names a flag names one that there is."""
    known = {flag.name for flag in FLAGS}
    told = {
        (str(path.relative_to(ADAPTER)), found)
        for path in (ADAPTER / layer).rglob("*.py")
        for found in re.findall(r"(?<![\w-])--([a-z][a-z0-9-]*[a-z0-9])\b(?!-)", path.read_text())
    }
    assert told
    assert [one for one in sorted(told) if one[1] not in known] == []
