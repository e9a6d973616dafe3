"""The examples of a document: the files that it shows, and what it says a terminal shows."""

from __future__ import annotations

import re
from dataclasses import dataclass

BLOCK = re.compile(r"^```(?P<kind>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^\$ (?P<command>.+?)(?<!\\)\n(?P<shown>.*?)(?=^\$ |\Z)", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# (?P<name>[\w./-]+\.yaml)\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command, as it is written and on one line, where its output goes if not to the terminal, and what that shows."""

    written: str
    command: str
    target: str = ""
    shown: str = ""


def files_of(text: str) -> dict[str, str]:
    """Return the YAML blocks whose first line names a file."""
    blocks = (match["body"] for match in BLOCK.finditer(text) if match["kind"] == "yaml")
    return {name["name"]: body for body in blocks if (name := _FILE.match(body))}


def terminals_of(text: str) -> list[list[Step]]:
    """Return the steps of each console block."""
    return [steps_of(match["body"]) for match in BLOCK.finditer(text) if match["kind"] == "console"]


def shell_lines_of(text: str) -> list[str]:
    """Return the commands that are shown and not run."""
    return [line for match in BLOCK.finditer(text) if match["kind"] == "sh" for line in match["body"].splitlines()]


def steps_of(body: str) -> list[Step]:
    """Return the steps of one console block; a backslash at the end of a line continues a command."""
    steps: list[Step] = []
    for match in _COMMAND.finditer(body):
        command, _, target = re.sub(r"\s*\\\n\s*", " ", match["command"]).partition(" > ")
        steps.append(Step(written=match["command"], command=command, target=target, shown=match["shown"]))
    return steps
