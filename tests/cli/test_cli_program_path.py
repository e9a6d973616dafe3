"""The program's own path as its first argument, as charts pass it that were written for images without an entry point."""

from __future__ import annotations

import pytest

import adapter
from adapter.cli.main import EXIT_USAGE, main

VERSION = f"tidegauge {adapter.__version__}\n"
PATHS = ["/adapter", "/usr/local/bin/adapter", "/opt/tidegauge/bin/tidegauge"]
OTHER_WORDS = [
    pytest.param(["/adapter", "/adapter", "--version"], id="twice"),
    pytest.param(["adapter", "--version"], id="no absolute path"),
    pytest.param(["/usr/bin/python3", "--version"], id="another program"),
    pytest.param(["/adapter/", "--version"], id="a folder"),
]


@pytest.mark.parametrize("path", PATHS)
def test_the_path_of_the_program_is_no_word(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    """prometheus-adapter's chart passes /adapter to an image whose entry point it is already."""
    assert main([path, "--version"]) == 0
    assert capsys.readouterr().out == VERSION


@pytest.mark.parametrize("path", PATHS)
def test_flags_after_the_path_of_the_program_serve(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The flags that follow are the adapter's own: it is they that are judged."""
    assert main([path, "--secure-port=harbour"]) == EXIT_USAGE
    assert "secure-port" in capsys.readouterr().err


@pytest.mark.parametrize("words", OTHER_WORDS)
def test_other_first_words_are_words(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Only one path, and only the program's, is passed over; anything else is an unknown command."""
    assert main(words) == EXIT_USAGE
    assert VERSION not in capsys.readouterr().out
