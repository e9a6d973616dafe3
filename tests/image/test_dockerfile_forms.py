"""How our reader of Dockerfile and .dockerignore understands their forms."""

from __future__ import annotations

import pytest

from image.dockerfile import Ignore, expanded, instructions, stages

VARIABLES = [
    ("$A", "a"),
    ("${A}b", "ab"),
    ("${NONE}", ""),
    ("${NONE:-word}", "word"),
    ("${A:-word}", "a"),
    ("${A:+@${A}}", "@a"),
    ("x${NONE:+@${A}}", "x"),
]
IGNORED = [
    ("*", ".git/config", True),
    ("*\n!adapter", "adapter/cli/main.py", False),
    ("*\n!adapter\n**/*.pyc", "adapter/cli/main.pyc", True),
    ("*\n!deploy/image/rootfs.py", "deploy/image/rootfs.py", False),
    ("*\n!deploy/image/rootfs.py", "deploy/image/build.sh", True),
    ("*\n!adapter\n**/__pycache__", "adapter/__pycache__/x.txt", True),
    ("**/__pycache__", "__pycache__/x", True),
    ("*.py", "adapter/cli.py", False),
]


@pytest.mark.parametrize(("text", "value"), VARIABLES)
def test_variables(text: str, value: str) -> None:
    """Variables mean what the builder's reference says."""
    assert expanded(text, {"A": "a", "EMPTY": ""}) == value


@pytest.mark.parametrize(("rules", "path", "out"), IGNORED)
def test_ignore_rules(rules: str, path: str, *, out: bool) -> None:
    """The last rule that a path or a folder of it meets decides."""
    assert Ignore.read(rules).keeps_out(path) is out


def test_instructions_and_stages() -> None:
    """Continued lines are one instruction, comments are none, flags stand apart, and FROM begins a stage."""
    text = 'ARG A=1\n# no\nFROM x AS one\nENV B=2 \\\n# no\n  C="3 4"\nFROM scratch\nCOPY --from=one /a /b\nRUN ["x", "y z"]\n'

    arguments, (one, last) = stages(text)

    assert arguments == {"A": "1"}
    assert (one.base, one.name, one.last("ENV").pairs()) == ("x", "one", {"B": "2", "C": "3 4"})
    assert (last.base, last.name, last.last("COPY").flags) == ("scratch", "", {"from": "one"})
    assert last.last("RUN").words == ["x", "y z"]
    assert [found.line for found in instructions(text)] == [1, 3, 4, 7, 8, 9]


def test_what_is_not_known_is_an_error() -> None:
    """An instruction that this reader does not carry out is not passed over."""
    with pytest.raises(ValueError, match="line 1: unknown instruction ONBUILD"):
        instructions("ONBUILD RUN x")
