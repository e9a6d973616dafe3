"""Transcripts: what was typed, in which files, and what came of it, as one text that people can read."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# What differs from run to run, and what a transcript has instead.
_VARYING = (
    (re.compile(r"http://127\.0\.0\.1:\d+"), "http://localhost:9090"),
    (re.compile(r"evaluated \d+\.\d s ago"), "evaluated 0.0 s ago"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "2026-01-01T00:00:00Z"),
    (re.compile(r"(?<=  )\d+s(?=  |$)", re.MULTILINE), "0s"),  # ages in a table
)
HOST = "localhost:9090"
URL = f"http://{HOST}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """One case: the sentence that it shows, the command, the files, and what is expected."""

    story: str
    command: str
    files: Mapping[str, str] = field(default_factory=dict)
    prometheus: str | None = None
    out: str = ""
    err: str = ""
    code: int = 0

    def argv(self, url: str) -> list[str]:
        """Return the words behind the name of the program, with the address that the stand-in for Prometheus has."""
        program, *words = shlex.split(self.command)
        if program != "tidegauge":
            raise ValueError(f"a transcript runs tidegauge, not {program}")
        return [word.replace(HOST, url.removeprefix("http://")) for word in words]


def read_transcript(text: str) -> Transcript:
    """Read a case: its story, then sections: `--- FILE`, `--- prometheus`, `--- $ COMMAND`, `--- err`, `--- exit N`."""
    story, *sections = re.split(r"^--- ", text, flags=re.MULTILINE)
    found: dict[str, str] = {}
    for section in sections:
        title, _, body = section.partition("\n")
        found[title.strip()] = body
    command = next(title for title in found if title.startswith("$ "))
    code = next((title for title in found if title.startswith("exit ")), "exit 0")
    known = {command, code, "prometheus", "err"}
    return Transcript(
        story=" ".join(story.split()),
        command=command.removeprefix("$ "),
        files={name: body for name, body in found.items() if name not in known},
        prometheus=found.get("prometheus"),
        out=found[command],
        err=found.get("err", ""),
        code=int(code.removeprefix("exit ")),
    )


def steady(text: str) -> str:
    """Return output with everything that differs from run to run replaced."""
    for pattern, replacement in _VARYING:
        text = pattern.sub(replacement, text)
    return text
