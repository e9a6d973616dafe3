"""Flags of serving on commands that ask once: a Deployment's command line can be copied behind them as it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from adapter.cli.flags import CONFIG, SHARED
from adapter.config.flag_table import FLAGS
from adapter.config.flags import Flag, Kind

_COMMANDS: Final = frozenset({"explain", "get", "list"})
_OTHERS: Final = {flag.name: flag for flag in FLAGS if flag not in SHARED and flag not in CONFIG}
_SHORT: Final = {flag.shorthand: flag for flag in _OTHERS.values() if flag.shorthand}
_BOOLEANS: Final = {flag.name: flag for flag in SHARED if flag.kind is Kind.BOOL}


def without_serving_flags(words: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """Return a command line without the flags that only serving has, and how these are spelled.

    They are read as serving reads them: all but switches take the next word if they have no `=`. Switches that both
    have are left as `--switch`, or out if they are `--switch=false`.
    """
    if not words or words[0] not in _COMMANDS:
        return list(words), ()
    kept: list[str] = []
    dropped: dict[str, None] = {}
    rest = iter(words)
    for word in rest:
        if word == "--":
            kept += [word, *rest]
        elif (flag := _flag_of(word)) is not None:
            dropped[f"--{flag.name}" if word.startswith("--") else f"-{flag.shorthand}"] = None
            if flag.kind is not Kind.BOOL and not _has_value(word):
                next(rest, None)
        else:
            kept += _switch(word)
    return kept, tuple(dropped)


def _flag_of(word: str) -> Flag | None:
    if word.startswith("--"):
        return _OTHERS.get(_name(word))
    return _SHORT.get(word[1:2]) if word.startswith("-") else None


def _name(word: str) -> str:
    return word[2:].partition("=")[0].replace("_", "-")


def _has_value(word: str) -> bool:
    return "=" in word or (not word.startswith("--") and len(word) > len("-v"))


def _switch(word: str) -> list[str]:
    """Return a switch as the commands take it; what is neither true nor false stays for them to refuse."""
    flag = _BOOLEANS.get(_name(word)) if word.startswith("--") and "=" in word else None
    if flag is None:
        return [word]
    try:
        return [f"--{flag.name}"] if flag.read(word.partition("=")[2]) else []
    except ValueError:
        return [word]
