"""The commands' page says what the commands do."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from transcript import Transcript
from walkthrough import Step, files_of, shell_lines_of, terminals_of

import adapter
from adapter.cli.main import main
from adapter.config.settings import parse_flags

if TYPE_CHECKING:
    from conftest import Shell

PAGE = (Path(adapter.__file__).parents[1] / "docs" / "cli.md").read_text()
PROMETHEUS = Path(__file__).with_name("docs.prometheus").read_text()
LAST_CODE = "echo $?"


@pytest.mark.parametrize("steps", terminals_of(PAGE), ids=lambda steps: steps[0].command[:40])
def test_examples_are_true(steps: list[Step], shell: Shell) -> None:
    """Each example prints what the page shows, and ends with the code that the page says."""
    files, codes = files_of(PAGE), [0]

    for step in steps:
        if step.command == LAST_CODE:
            assert step.shown == f"{codes[-1]}\n"
            continue
        outcome = shell.run(Transcript(story="", command=step.command, files=files, prometheus=PROMETHEUS))
        codes.append(outcome.code)
        if step.target:
            files[step.target] = outcome.out
        assert ("" if step.target else outcome.out) + outcome.err == step.shown


def test_the_way_to_serve_is_one_that_is_understood() -> None:
    """The flags of the example for serving are read without a warning."""
    (line,) = shell_lines_of(PAGE)

    assert parse_flags(shlex.split(line)[1:], {}).warnings == ()


def test_every_command_has_a_chapter(capsys: pytest.CaptureFixture[str]) -> None:
    """The page has a chapter for each command that help lists, in the same order."""
    main(["--help"])

    listed = re.findall(r"^  ([a-z-]+)  +[A-Z]", capsys.readouterr().out.partition("Commands:")[2], re.MULTILINE)
    assert listed == re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
