"""Dockerfile and .dockerignore, as far as ours go: instructions, stages, variables, and what enters the build.

The forms are those of https://docs.docker.com/reference/dockerfile/; one that is not known here is an error, never passed over.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_KNOWN = frozenset(
    {
        "ADD",
        "ARG",
        "CMD",
        "COPY",
        "ENTRYPOINT",
        "ENV",
        "EXPOSE",
        "FROM",
        "HEALTHCHECK",
        "LABEL",
        "RUN",
        "SHELL",
        "STOPSIGNAL",
    }
    | {"USER", "VOLUME", "WORKDIR"}
)
_VARIABLE = re.compile(r"\$\{(\w+)(?::(?P<test>[+-])(?P<word>(?:[^{}]|\{[^{}]*\})*))?\}|\$(\w+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One instruction: keyword in capitals, flags (`--from=build`), the rest as written, and the line it begins at."""

    keyword: str
    flags: Mapping[str, str]
    value: str
    line: int

    @property
    def words(self) -> Sequence[str]:
        """The words of the exec form, or the words between spaces."""
        if self.value.startswith("["):
            return [str(word) for word in json.loads(self.value)]
        return shlex.split(self.value)

    @property
    def is_exec_form(self) -> bool:
        """Whether it runs without a shell."""
        return self.value.startswith("[")

    def pairs(self) -> dict[str, str]:
        """Return NAME=VALUE words; a name alone (ARG) has no value and is not in it."""
        return {name: value for name, equal, value in (word.partition("=") for word in self.words) if equal}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage: what it begins from, its name (empty: the last one has none), and its instructions after FROM."""

    base: str
    name: str
    instructions: Sequence[Instruction]

    def all(self, keyword: str) -> list[Instruction]:
        """Return the instructions of one keyword."""
        return [one for one in self.instructions if one.keyword == keyword]

    def last(self, keyword: str) -> Instruction:
        """Return the one that is in force; LookupError if there is none."""
        return self.all(keyword)[-1]


def instructions(text: str) -> list[Instruction]:
    """Return the instructions of a Dockerfile, continued lines joined and comments gone."""
    found: list[Instruction] = []
    parts: list[str] = []
    begin = 0
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("#") or not line.strip():
            continue
        begin = begin if parts else number
        parts.append(line.strip().removesuffix("\\"))
        if not line.rstrip().endswith("\\"):
            found.append(_instruction(" ".join(parts), begin))
            parts = []
    return found


def _instruction(text: str, line: int) -> Instruction:
    keyword, _, rest = text.partition(" ")
    if keyword.upper() not in _KNOWN:
        raise ValueError(f"line {line}: unknown instruction {keyword}")
    flags: dict[str, str] = {}
    rest = rest.strip()
    while match := re.match(r"--([a-z]+)=(\S+)\s+", rest):
        flags[match[1]] = match[2]
        rest = rest[match.end() :]
    return Instruction(keyword=keyword.upper(), flags=flags, value=rest, line=line)


def stages(text: str) -> tuple[dict[str, str], list[Stage]]:
    """Return the arguments before the first stage with their defaults, and the stages."""
    arguments: dict[str, str] = {}
    found: list[tuple[str, str, list[Instruction]]] = []
    for one in instructions(text):
        if one.keyword == "FROM":
            base, *name = re.split(r"\s+AS\s+", one.value, flags=re.IGNORECASE)
            found.append((base, name[0] if name else "", []))
        elif found:
            found[-1][2].append(one)
        else:
            arguments.update(one.pairs())
    return arguments, [Stage(base=base, name=name, instructions=tuple(rest)) for base, name, rest in found]


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """Put variables into a text: $NAME, ${NAME}, ${NAME:-word}, ${NAME:+word}; an unknown one is empty."""

    def value(match: re.Match[str]) -> str:
        own = variables.get(match[1] or match[4], "")
        match match["test"]:
            case "+":
                return expanded(match["word"], variables) if own else ""
            case "-":
                return own or expanded(match["word"], variables)
            case _:
                return own

    return _VARIABLE.sub(value, text)


@dataclass(frozen=True, slots=True)
class Ignore:
    """The rules of a .dockerignore, in order: (pattern, whether it takes in again)."""

    rules: Sequence[tuple[re.Pattern[str], bool]]

    @classmethod
    def read(cls, text: str) -> Ignore:
        """Read the file's text."""
        lines = [line.strip() for line in text.splitlines()]
        told = [line for line in lines if line and not line.startswith("#")]
        return cls([(_pattern(line.removeprefix("!")), line.startswith("!")) for line in told])

    def keeps_out(self, path: str) -> bool:
        """Say whether a path, relative to the context, is not sent; the last rule that it or a folder of it meets decides."""
        parts = path.split("/")
        paths = ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]
        out = False
        for pattern, again in self.rules:
            if any(pattern.fullmatch(one) for one in paths):
                out = not again
        return out


def _pattern(text: str) -> re.Pattern[str]:
    """Return the pattern: `**/` is any number of folders, `*` and `?` stay within a name."""
    parts = re.split(r"(\*\*/|\*|\?)", text.strip("/"))
    meaning = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(meaning.get(part, re.escape(part)) for part in parts))


def context_files(root: Path, sources: Iterable[str], ignore: Ignore) -> list[Path]:
    """Return the files of a COPY's sources that the .dockerignore lets in, relative to the context."""
    found: list[Path] = []
    for source in sources:
        path = root / source
        files = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())
        kept = [one.relative_to(root) for one in files if not ignore.keeps_out(str(one.relative_to(root)))]
        if not kept:
            raise FileNotFoundError(f"COPY {source}: nothing of it enters the build")
        found += kept
    return found
