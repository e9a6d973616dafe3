"""The fenced blocks of the pages for people, and who runs each of those that are commands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
SHELL: Final = "sh"
IN_CLUSTER: Final = "sh cluster"
# Other words for commands, which nothing runs; `sh` and `sh cluster` are the only ones a page may use.
STRANGE: Final = frozenset({"bash", "shell", "console", "terminal", "zsh", "shell-session", "powershell", "bat"})

_FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,})(?P<kind>[^`]*)$")
_FILE = re.compile(r"# (?P<name>[\w./-]+\.ya?ml)\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block: the page (relative to the repository), the line of its opening fence, its info string, its text."""

    file: str
    line: int
    kind: str
    text: str

    @property
    def place(self) -> str:
        """Where it stands."""
        return f"{self.file}:{self.line}"

    @property
    def is_shell(self) -> bool:
        """Whether it is meant to be typed, marked rightly or not."""
        word = self.kind.partition(" ")[0]
        return word == SHELL or word in STRANGE

    @property
    def commands(self) -> tuple[str, ...]:
        """The lines that are typed: continued ones joined, comments and empty ones left out."""
        joined = re.sub(r"\s*\\\n\s*", " ", self.text)
        lines = (re.sub(r"(^|\s)#\s.*$", "", line).strip() for line in joined.splitlines())
        return tuple(line for line in lines if line)


class Runner(Enum):
    """Who runs a block."""

    END_TO_END = "tests/e2e, with a control plane"
    WALKTHROUGH = "tests/cli/test_cli_docs.py, which also compares what is shown"
    FINDINGS = "tests/docs/test_checks_pages.py, or the test of refused starts beside it"
    MAKE = "a step of .ci/run"
    DEMO = "tests/integration/test_docs_blocks.py, beside the demo"
    PROMETHEUS = "tests/integration/test_docs_blocks.py, with a Prometheus"
    SCRATCH = "tests/docs/test_blocks.py, in a scratch copy"


def pages(root: Path = ROOT) -> list[Path]:
    """Return the pages whose blocks are run: the README, docs, and the READMEs of what is shipped."""
    found = [root / "README.md", *root.glob("docs/**/*.md"), *root.glob("config/README.md")]
    return sorted([*found, *root.glob("deploy/**/README.md")])


def blocks_of(page: Path, root: Path = ROOT) -> list[Block]:
    """Return the blocks of a page in order; text in a list is freed of the list's indentation.

    Raises:
        ValueError: a block is not closed.
    """
    return list(_blocks(page.read_text(encoding="utf-8"), page.relative_to(root).as_posix()))


def shell_blocks(root: Path = ROOT) -> list[Block]:
    """Return the blocks of all pages that are meant to be typed."""
    return [block for page in pages(root) for block in blocks_of(page, root) if block.is_shell]


def files_of(page: Path, root: Path = ROOT) -> dict[str, str]:
    """Return the YAML blocks of a page whose first line is a comment with the name of a file."""
    texts = [block.text for block in blocks_of(page, root) if block.kind == "yaml"]
    return {name["name"]: text for text in texts if (name := _FILE.match(text))}


def runner_of(block: Block) -> Runner:
    """Return who runs a block; exactly one does."""
    return next(runner for runner, takes in _TAKES if takes(block))


def _is_make(block: Block) -> bool:
    return all(command.startswith("make ") for command in block.commands)


def _is_of_demo(block: Block) -> bool:
    return "https://127.0.0.1:PORT/" in block.text


def _asks_prometheus(block: Block) -> bool:
    return "--prometheus-url" in block.text


_TAKES: Final = (
    (Runner.END_TO_END, lambda block: block.kind == IN_CLUSTER),
    (Runner.WALKTHROUGH, lambda block: block.file == "docs/cli.md"),
    (Runner.FINDINGS, lambda block: block.file.startswith("docs/checks/")),
    (Runner.MAKE, _is_make),
    (Runner.DEMO, _is_of_demo),
    (Runner.PROMETHEUS, _asks_prometheus),
    (Runner.SCRATCH, lambda _block: True),
)


def _blocks(text: str, file: str) -> Iterator[Block]:
    lines = enumerate(text.splitlines(), start=1)
    for number, line in lines:
        if not (opening := _FENCE.match(line)):
            continue
        indent, fence = opening["indent"], opening["fence"]
        inside: list[str] = []
        for _, next_line in lines:
            if next_line.strip().startswith(fence) and not next_line.strip().strip("`"):
                break
            inside.append(next_line.removeprefix(indent))
        else:
            raise ValueError(f"{file}:{number}: the block has no end")
        yield Block(file=file, line=number, kind=opening["kind"].strip(), text="".join(f"{one}\n" for one in inside))
