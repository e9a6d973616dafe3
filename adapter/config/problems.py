"""What is wrong in a file, as data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a problem matters: an error ends the load, a warning does not."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A place in a file: line and column count from 1, `length` is how many characters the caret underlines."""

    file: str
    line: int = 0
    column: int = 0
    length: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong: `code` names its page in docs/checks, `hint` says what to do."""

    code: str
    severity: Severity
    message: str
    location: Location
    hint: str = ""
    rule: str = ""  # the rule's id, where one is concerned


class ConfigError(Exception):
    """A configuration that cannot be used; `problems` holds all that is wrong with it, never just the first."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(f"{len(problems)} problems in the configuration")
        self.problems = problems
