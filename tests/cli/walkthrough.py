"""The examples of a document: the files that it shows, and what it says a terminal shows."""

from __future__ import annotations

import re
from dataclasses import dataclass

_BLOCK = re.compile(r"^```(?P<kind>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# (?P<name>[\w./-]+\.yaml)\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command, where its output goes if not to the terminal, and what the terminal shows."""

    command: str
    target: str = ""
    shown: str = ""


def files_of(text: str) -> dict[str, str]:
    """Return the YAML blocks whose first line names a file."""
    blocks = (match["body"] for match in _BLOCK.finditer(text) if match["kind"] == "yaml")
    return {name["name"]: body for body in blocks if (name := _FILE.match(body))}


def terminals_of(text: str) -> list[list[Step]]:
    """Return the steps of each console block."""
    return [_steps(match["body"]) for match in _BLOCK.finditer(text) if match["kind"] == "console"]


def shell_lines_of(text: str) -> list[str]:
    """Return the commands that are shown and not run."""
    return [line for match in _BLOCK.finditer(text) if match["kind"] == "sh" for line in match["body"].splitlines()]


def _steps(body: str) -> list[Step]:
    joined = body.replace(" \\\n   ", "")
    steps: list[Step] = []
    for part in re.split(r"^\$ ", joined, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        command, _, target = command.partition(" > ")
        steps.append(Step(command=command, target=target, shown=shown))
    return steps
