"""The commands that pages show: each is run by somebody, and those that need nothing are run here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from docs.blocks import (
    IN_CLUSTER,
    ROOT,
    SHELL,
    Block,
    Runner,
    blocks_of,
    pages,
    runner_of,
    shell_blocks,
)
from docs.scratch import Scratch
from test_checks_pages import AT_THE_START, block

from adapter.rules.codes import ALL_CODES

BLOCKS = shell_blocks()
# What make is told in pages, and the step of .ci/run that does the same.
MAKE_STEPS = {
    "make test": "step test make test",
    "make demo": "step demo timeout 180 make demo ONCE=1",
    "make bench": "step bench timeout 600 make bench QUICK=1",
}
# A cluster, an image or a chart cannot be had without help.
_NEEDS_MORE = re.compile(r"^(sudo )?(kubectl|helm|docker|podman|kind|minikube)\b")


def of(runner: Runner) -> list[Block]:
    """Return the blocks that somebody runs."""
    return [one for one in BLOCKS if runner_of(one) is runner]


def test_there_are_blocks_to_run() -> None:
    """The reader finds the blocks: none found would be none run."""
    assert {Runner.MAKE, Runner.DEMO, Runner.PROMETHEUS, Runner.FINDINGS} <= {runner_of(one) for one in BLOCKS}


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_blocks_of_commands_say_what_they_need(page: Path) -> None:
    """A block of commands is `sh`, or `sh cluster`; only the page that is compared word for word shows a terminal."""
    strange = {
        one.place: one.kind
        for one in blocks_of(page)
        if one.is_shell and one.kind not in (SHELL, IN_CLUSTER) and runner_of(one) is not Runner.WALKTHROUGH
    }

    assert strange == {}


def test_what_needs_a_cluster_says_so() -> None:
    """A block that calls kubectl or helm is marked, so that the end-to-end suite runs it."""
    unmarked = [one.place for one in BLOCKS if one.kind == SHELL and any(map(_NEEDS_MORE.match, one.commands))]

    assert unmarked == []


@pytest.mark.parametrize("one", of(Runner.MAKE), ids=lambda one: one.place)
def test_what_make_is_told_is_a_step_of_the_checks(one: Block) -> None:
    """Each target that a page shows is made by the checks of every change, as the list here says."""
    checks = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    targets = {" ".join(command.split()[:2]) for command in one.commands}

    assert targets <= set(MAKE_STEPS)
    assert {MAKE_STEPS[target] for target in targets} <= set(checks)


def test_contributors_are_shown_targets_that_exist() -> None:
    """What CONTRIBUTING has people type is in the Makefile."""
    (shown,) = [one for one in blocks_of(ROOT / "CONTRIBUTING.md") if one.is_shell]
    known = re.findall(r"^([a-z0-9-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)

    assert [one for one in shown.commands if one.removeprefix("make ") not in known] == []


@pytest.mark.parametrize("one", of(Runner.FINDINGS), ids=lambda one: one.place)
def test_commands_of_findings_are_the_example(one: Block) -> None:
    """A page about a finding has one block of commands, its example, which is run by that page's test."""
    assert one.text == block(Path(one.file).stem, "Example", "sh")


@pytest.mark.parametrize("slug", AT_THE_START)
def test_starts_that_are_refused(slug: str, tmp_path: Path) -> None:
    """What a page shows as a start that is refused ends with 2, and with the page's code."""
    page = ROOT / "docs" / "checks" / f"{slug}.md"
    (one,) = (each for each in blocks_of(page) if each.is_shell)
    scratch = Scratch.open(tmp_path, page)
    (scratch.folder / "rules.yaml").write_text("rules: []\n")

    done = scratch.run(one)

    (code,) = (each for each in ALL_CODES if each.replace("/", "-") == slug)
    assert (done.returncode, f"{code}:" in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize("page", sorted({one.file for one in BLOCKS if runner_of(one) is not Runner.FINDINGS}))
def test_blocks_that_need_nothing_work(page: str, tmp_path: Path) -> None:
    """The blocks of a page, in order, in one folder with the files that the page shows."""
    scratch = Scratch.open(tmp_path, ROOT / page)

    for one in of(Runner.SCRATCH):
        if one.file == page:
            scratch.check(one)


def test_a_block_in_a_list_is_read(tmp_path: Path) -> None:
    """Indentation of a list is no part of a block, a longer fence may hold a shorter one, and lines are counted from 1."""
    page = tmp_path / "page.md"
    page.write_text(
        "1. so\n\n   ```sh cluster\n   kubectl get pods \\\n     -A  # all\n   ```\n\n````text\n```\n````\n"
    )

    first, second = blocks_of(page, tmp_path)

    assert (first.line, first.kind, first.commands) == (3, "sh cluster", ("kubectl get pods -A",))
    assert (second.line, second.kind, second.text) == (8, "text", "```\n")


def test_a_block_without_an_end_is_an_error(tmp_path: Path) -> None:
    """A fence that is never closed would hide the rest of the page."""
    page = tmp_path / "page.md"
    page.write_text("```sh\ntrue\n")

    with pytest.raises(ValueError, match=r"page\.md:1"):
        blocks_of(page, tmp_path)
