"""The syntax of a Kubernetes command line, as the Go library pflag reads it."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final

from adapter.config.flags import Flag, Kind
from adapter.config.urls import without_passwords
from adapter.promql.matchers import quote

_BOOLEAN_WORDS: Final = frozenset({"true", "false", "True", "False", "TRUE", "FALSE", "1", "0"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Slip:
    """Something wrong with a command line, in the words of pflag; `fatal` is false if it can be passed over."""

    code: str
    message: str
    hint: str = ""
    fatal: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandLine:
    """The flags of a command line in their order, with their texts, and all that is wrong with it."""

    given: tuple[tuple[Flag, str], ...]
    slips: tuple[Slip, ...]


def read_command_line(argv: Sequence[str], flags: Sequence[Flag]) -> CommandLine:
    """Return the flags of a command line; underscores in names count as dashes, as klog's flags have them."""
    reader = _Reader(
        words=deque(argv),
        named={flag.name: flag for flag in flags},
        short={flag.shorthand: flag for flag in flags if flag.shorthand},
    )
    while reader.words:
        reader.read_word(reader.words.popleft())
    return CommandLine(given=tuple(reader.given), slips=tuple(reader.slips))


@dataclass(slots=True, kw_only=True)
class _Reader:
    words: deque[str]
    named: Mapping[str, Flag]
    short: Mapping[str, Flag]
    given: list[tuple[Flag, str]] = field(default_factory=list)
    slips: list[Slip] = field(default_factory=list)
    _after_bool: str = ""

    def read_word(self, word: str) -> None:
        before, self._after_bool = self._after_bool, ""
        if word == "--":
            for rest in self.words:
                self._stray(rest, "")
            self.words.clear()
        elif word.startswith("--"):
            self._read_long(word)
        elif word.startswith("-") and word != "-":
            self._read_short(word[1:])
        else:
            self._stray(word, before)

    def _stray(self, word: str, before: str) -> None:
        if before and word in _BOOLEAN_WORDS:  # prometheus-adapter ignores it; what was meant is something else
            message = f"{quote(word)} after {before} is ignored"
            self.slips.append(Slip(code="flag/stray", message=message, hint=f"write {before}={word}", fatal=False))
        else:
            message = f"unexpected argument {quote(without_passwords(word))}"
            self.slips.append(Slip(code="flag/stray", message=message, hint="flags begin with --"))

    def _read_long(self, word: str) -> None:
        name, equals, text = word[2:].partition("=")
        if not name or name.startswith("-"):
            self.slips.append(Slip(code="flag/syntax", message=f"bad flag syntax: {_without_value(word)}"))
        elif name == "help":
            return  # the caller has seen to it
        elif (flag := self.named.get(name.replace("_", "-"))) is None:
            self._unknown(f"unknown flag: --{name}", name, valued=bool(equals))
        else:
            self._take(flag, text if equals else None, word, f"--{name}")

    def _read_short(self, letters: str) -> None:
        letter, rest = letters[0], letters[1:]
        flag = self.short.get(letter)
        if letter == "h":
            return  # the caller has seen to it
        if flag is None:
            name = letters.partition("=")[0]
            message = f"unknown shorthand flag: '{letter}' in -{name}"
            self._unknown(message, name, valued="=" in letters)
        elif len(name := letters.partition("=")[0]) > 1 and name.replace("_", "-") in self.named:
            # -config=x would read as -c onfig=x
            message = f"unknown shorthand flag: '{name[1]}' in -{name}"
            self._unknown(message, name, valued="=" in letters)
        else:
            self._take(
                flag, (rest.removeprefix("=") if len(rest) > 1 else rest) or None, f"'{letter}' in -{letters}", ""
            )

    def _take(self, flag: Flag, text: str | None, word: str, name: str) -> None:
        if text is not None:
            self.given.append((flag, text))
        elif flag.kind is Kind.BOOL:
            self.given.append((flag, "true"))
            self._after_bool = name
        elif self.words:
            self.given.append((flag, self.words.popleft()))
        else:
            self.slips.append(Slip(code="flag/value", message=f"flag needs an argument: {word}"))

    def _unknown(self, message: str, name: str, *, valued: bool) -> None:
        if not valued and self.words and not self.words[0].startswith("-"):
            self.words.popleft()  # most flags take a value, which is not a second mistake
        close = get_close_matches(name.replace("_", "-")[:100], self.named, n=1)
        hint = f"did you mean --{close[0]}?" if close else "see --help"
        self.slips.append(Slip(code="flag/unknown", message=message, hint=hint))


def _without_value(word: str) -> str:
    return word.partition("=")[0] + "=" if "=" in word else word
