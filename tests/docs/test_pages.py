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
from adapter.rules.codes import ALL_CODES
from adapter.rules.compile import Terms, compile_rules
from adapter.runtime.telemetry import METRICS

ROOT = Path(__file__).parents[2]
FOLDERS = ("", "docs/**/", "deploy/**/", "config/**/")
PAGES = sorted({page for folder in FOLDERS for page in ROOT.glob(f"{folder}*.md")})
RULES = sorted(ROOT.glob("config/*.yaml"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """A relative link of a page names a file or folder that is there, and a heading that this page has."""
    lost = [
        f"{path}#{anchor}"
        for path, anchor in links_of(page)
        if not (target := page.parent / path if path else page).exists()
        or (anchor and anchor not in anchors_of(target))
    ]

    assert lost == []


def test_each_page_can_be_reached() -> None:
    """From the README, link by link, somebody comes to every page."""
    reached, ahead = set[Path](), [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        reached.add(page)
        targets = {(page.parent / path).resolve() for path, _ in links_of(page) if path}
        # Of a folder people are shown its README.
        found = {one / "README.md" if one.is_dir() else one for one in targets}
        ahead += [one for one in found - reached if one.suffix == ".md" and one.exists()]

    assert [str(page.relative_to(ROOT)) for page in PAGES if page not in reached] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_codes_and_metrics_that_a_page_names_are_there(page: Path) -> None:
    """A finding of `check`, or a metric of ours, that a page speaks of is one that there is."""
    families = "|".join(sorted({code.partition("/")[0] for code in ALL_CODES}))
    names = re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8"))
    codes = {name for name in names if re.fullmatch(rf"({families})/[a-z0-9-]+", name)}
    metrics = {found for name in names if (found := re.match(r"tidegauge_[a-z_]+", name))}
    known = {metric.name for metric in METRICS}

    assert sorted(codes - set(ALL_CODES)) == []
    assert sorted({one[0] for one in metrics} - known) == []


def prose_of(page: Path) -> str:
    """Return the text of a page without its blocks and code."""
    return re.sub(r"^ *```.*?^ *```$|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def links_of(page: Path) -> list[tuple[str, str]]:
    """Return path and anchor of each relative link of a page; either may be empty."""
    found = re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)[^)]*\)", prose_of(page))
    return [(path, anchor) for path, anchor in found if "://" not in path and not path.startswith("mailto:")]


def anchors_of(page: Path) -> set[str]:
    """Return the anchors that a page's headings have on GitHub."""
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    slugs = [re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings]
    return {f"{slug}-{earlier}" if (earlier := slugs[:at].count(slug)) else slug for at, slug in enumerate(slugs)}


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
    """The rule files that people start from give no finding but what their comments explain by its code."""
    loaded = load_rules([str(path)], {})
    kinds = kubernetes_kinds()
    compiled = compile_rules(loaded, Terms(kinds=kinds))

    assert not compiled.problems
    text = path.read_text(encoding="utf-8")
    assert not [one for one in static_problems(compiled.rulebook, loaded, kinds) if f"({one.code})" not in text]
    assert compiled.rulebook.rules or compiled.rulebook.resource


def test_there_is_a_page_for_everything_that_the_readme_names() -> None:
    """The table of the README leads to pages, not to promises."""
    table = (ROOT / "README.md").read_text(encoding="utf-8").split("## Where next")[1]

    assert len(re.findall(r"\]\(", table)) >= 9
