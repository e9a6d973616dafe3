"""The pages for people: links lead somewhere, and the commands that are shown exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from adapter.cli.main import main
from adapter.config.load import load_rules
from adapter.config.settings import parse_flags
from adapter.kube.resources import kubernetes_kinds
from adapter.rules.checks import static_problems
from adapter.rules.compile import Terms, compile_rules

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/**/*.md")])
RULES = sorted(ROOT.glob("config/*.yaml"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """A relative link of a page names a file or folder that is there."""
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    missing = [one for one in links if "://" not in one and not (page.parent / one).exists()]

    assert not missing


def commands() -> list[list[str]]:
    """Return the `tidegauge` command lines of the README, continued lines joined."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.split("  #")[0] for line in text.splitlines() if line.startswith("tidegauge ")]
    return [shlex.split(line)[1:] for line in lines]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_the_readme_shows_commands_that_exist(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Each command of the README has the sub-command and the flags that it shows."""
    if words[0].startswith("-"):
        assert parse_flags(words, {}).settings.config
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["tidegauge"])
        assert main([words[0], "--help"]) == 0
    shown = capsys.readouterr().out

    assert all(flag in shown for flag in words if flag.startswith("--"))


@pytest.mark.parametrize("path", [one for one in RULES if "objects" not in one.name], ids=lambda path: path.name)
def test_shipped_rules_have_no_problem(path: Path) -> None:
    """The rule files that people start from give no finding at all."""
    loaded = load_rules([str(path)], {})
    kinds = kubernetes_kinds()
    compiled = compile_rules(loaded, Terms(kinds=kinds))

    assert not compiled.problems
    assert not list(static_problems(compiled.rulebook, loaded, kinds))
    assert compiled.rulebook.rules or compiled.rulebook.resource


def test_there_is_a_page_for_everything_that_the_readme_names() -> None:
    """The table of the README leads to pages, not to promises."""
    table = (ROOT / "README.md").read_text(encoding="utf-8").split("## Where next")[1]

    assert len(re.findall(r"\]\(", table)) >= 9
