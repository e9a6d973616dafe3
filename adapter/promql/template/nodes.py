"""The tree of a template."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Span(NamedTuple):
    """Where a part stands in the template's text, in characters from 0."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Something that stands somewhere in the text."""

    at: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant(Placed):
    """A literal: string, number, character (an int), true or false."""

    value: str | int | float | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Nil(Placed):
    """The word nil."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot(Placed):
    """The cursor, `.`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field(Placed):
    """Names looked up from the cursor: `.Series`, `.LabelValuesByName.pod`."""

    path: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable(Placed):
    """A variable and names looked up from it: `$x`, `$x.pod`; `$` is the whole data."""

    name: str
    path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Function(Placed):
    """The name of a function."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain(Placed):
    """Names looked up from what a parenthesis or a function yields: `(index .x 0).pod`."""

    operand: Operand
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(Placed):
    """Words between pipes: a function with its arguments, or one operand."""

    words: tuple[Operand, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipe(Placed):
    """Commands that feed each other, and the variables that take the result (`assigns`: by `=`, not by `:=`)."""

    commands: tuple[Command, ...]
    variables: tuple[str, ...] = ()
    assigns: bool = False


Operand = Constant | Nil | Dot | Field | Variable | Function | Chain | Pipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Placed):
    """Text that is printed as it stands, trimmed where a marker said so."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Action(Placed):
    """A pipeline whose result is printed, unless a variable takes it."""

    pipe: Pipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """One condition of an `if` or `with`, and what runs when it holds."""

    pipe: Pipe
    body: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditional(Placed):
    """`if` or `with` (`moves_dot`), its `else if`s or `else with`s in order, and its `else`."""

    branches: tuple[Branch, ...]
    otherwise: tuple[Node, ...]
    moves_dot: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Range(Placed):
    """A loop, and what runs when there is nothing to loop over."""

    pipe: Pipe
    body: tuple[Node, ...]
    otherwise: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Break(Placed):
    """Leaves the innermost loop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Continue(Placed):
    """Goes on with the next turn of the innermost loop."""


Node = Text | Action | Conditional | Range | Break | Continue
