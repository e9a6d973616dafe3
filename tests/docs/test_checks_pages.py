"""docs/checks: a page for every code, whose examples have the problem and whose remedies have not."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from adapter.config.load import load_rules
from adapter.config.problems import ConfigError
from adapter.config.settings import parse_flags
from adapter.kube.resources import kubernetes_kinds
from adapter.rules.checks import static_problems
from adapter.rules.codes import ALL_CODES
from adapter.rules.compile import Terms, compile_rules

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "checks"
PAGES = {page.stem: page.read_text(encoding="utf-8") for page in FOLDER.glob("*.md") if page.stem != "README"}
SLUGS = {code.replace("/", "-"): code for code in ALL_CODES}
TABLES = {"adapter/config/codes.py", "adapter/rules/codes.py"}
FAMILIES = {code.partition("/")[0] for code in ALL_CODES}

# These need a server to be true; tests/integration has them.
ON_A_SERVER = tuple(slug for slug in SLUGS if slug.startswith(("live-", "window-")))
# These end the start of the adapter, and are pinned where that is tested.
AT_THE_START = (
    "file-objects",
    "backend-several",
    "backend-credentials",
    "serve-tls",
    "serve-cluster",
    "serve-bind-address",
    "serve-callers",
)
# No value of this version leads there.
LAST_RESORT = ("schema-invalid",)


def block(slug: str, heading: str, language: str) -> str:
    """Return the code under a heading of a page, empty if there is none in this language."""
    section = PAGES.get(slug, "").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    found = re.search(rf"```{language}\n(.*?)```", section, flags=re.DOTALL)
    return found[1] if found else ""


def codes_of(paths: list[str]) -> set[str]:
    """Return what is found in files, by loading, compiling and checking them."""
    loaded, kinds = load_rules(paths, {}), kubernetes_kinds()
    compiled = compile_rules(loaded, Terms(kinds=kinds))
    static = static_problems(compiled.rulebook, loaded, kinds)
    return {one.code for one in (*compiled.problems, *static)}


def codes_of_text(text: str, directory: Path) -> set[str]:
    """Return what is found in the text of a file."""
    path = directory / "rules.yaml"
    path.write_text(text, encoding="utf-8")
    return codes_of([str(path)])


def codes_of_shell(text: str, directory: Path) -> set[str]:
    """Return what the last line says, a command of ours, after the lines before it have been run."""
    *before, last = text.strip().split("\n")
    (directory / "rules.yaml").unlink(missing_ok=True)
    subprocess.run(["bash", "-ec", "\n".join(before)], cwd=directory, check=True)
    program, command, *words = shlex.split(last)
    assert program == "tidegauge"
    if command == "check":
        (directory / "rules.yaml").touch() if not before else None
        return codes_of([str(directory / word) for word in words])
    with pytest.raises(ConfigError) as caught:
        parse_flags(words, {})
    return {one.code for one in caught.value.problems}


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    """The link that a message carries leads somewhere, and no page is about what is never said."""
    assert set(PAGES) == set(SLUGS)


def test_what_the_source_says_is_in_the_tables() -> None:
    """No problem is reported with a code that has no entry, and no entry is left over."""
    said = {
        node.value
        for path in (ROOT / "adapter").rglob("*.py")
        if path.relative_to(ROOT).as_posix() not in TABLES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _is_code(node.value)
    }

    assert said == set(ALL_CODES)


def _is_code(text: str) -> bool:
    return re.fullmatch(r"[a-z-]+/[a-z0-9-]+", text) is not None and text.partition("/")[0] in FAMILIES


@pytest.mark.parametrize("slug", sorted(SLUGS))
def test_a_page_answers_the_four_questions(slug: str) -> None:
    """Each page says what the code means, shows it, and says why it matters and what to do."""
    page, code = PAGES.get(slug, ""), SLUGS[slug]
    info = ALL_CODES[code]

    assert page.startswith(f"# {code}: {info.title}\n\nSeverity: {info.severity.value}.\n\n")
    wanted = (
        ["Why it matters", "How to fix it"] if slug in LAST_RESORT else ["Example", "Why it matters", "How to fix it"]
    )
    assert re.findall(r"^## (.*)$", page, flags=re.MULTILINE) == wanted


def test_the_index_names_every_page() -> None:
    """The index leads to each page once, with its title and severity."""
    index = (FOLDER / "README.md").read_text(encoding="utf-8")

    rows = re.findall(r"^\| \[`(.*?)`\]\((.*?)\.md\) \| (\w+) \| (.*) \|$", index, flags=re.MULTILINE)

    expected = {(code, slug, ALL_CODES[code].severity.value, ALL_CODES[code].title) for slug, code in SLUGS.items()}
    assert sorted(rows) == sorted(expected)


@pytest.mark.parametrize("slug", sorted(set(SLUGS) - {*ON_A_SERVER, *AT_THE_START, *LAST_RESORT}))
def test_the_example_has_the_problem(slug: str, tmp_path: Path) -> None:
    """What the page shows as wrong is found to be wrong, with this code."""
    text, shell = block(slug, "Example", "yaml"), block(slug, "Example", "sh")

    assert SLUGS[slug] in (codes_of_text(text, tmp_path) if text else codes_of_shell(shell, tmp_path))


@pytest.mark.parametrize("slug", sorted(slug for slug in SLUGS if block(slug, "How to fix it", "yaml")))
def test_the_remedy_has_no_problem(slug: str, tmp_path: Path) -> None:
    """What the page shows as right has neither this problem nor another that matters."""
    found = codes_of_text(block(slug, "How to fix it", "yaml"), tmp_path)

    unavoidable = {"rule/backend-not-in-force", "schema/label-name-utf8"} - {SLUGS[slug]}
    assert found - unavoidable == set()


@pytest.mark.parametrize("slug", sorted(ON_A_SERVER))
def test_examples_for_servers_can_be_tried(slug: str, tmp_path: Path) -> None:
    """An example that only a server shows to be wrong is a file that loads."""
    text = block(slug, "Example", "yaml")

    assert text
    assert not {code for code in codes_of_text(text, tmp_path) if ALL_CODES[code].severity.value == "error"}
