"""Cuts a template's text into tokens: the text between actions, and the words inside them."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import NoReturn

from adapter.promql.template.problems import TemplateSyntaxError

LEFT, RIGHT = "<<", ">>"
_SPACES = " \t\r\n"


class Kind(Enum):
    """What a token is."""

    TEXT = auto()
    LEFT = auto()
    RIGHT = auto()
    SPACE = auto()
    DECLARE = auto()
    ASSIGN = auto()
    PIPE = auto()
    OPEN = auto()
    CLOSE = auto()
    STRING = auto()
    CHAR = auto()
    NUMBER = auto()
    VARIABLE = auto()
    FIELD = auto()
    DOT = auto()
    NIL = auto()
    WORD = auto()
    KEYWORD = auto()
    OTHER = auto()
    END = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the template and where it starts; trimmed text is shorter than what stands there."""

    kind: Kind
    offset: int
    text: str

    @property
    def length(self) -> int:
        """How many characters it takes."""
        return len(self.text)


_KEYWORDS = frozenset({"block", "break", "continue", "define", "else", "end", "if", "range", "template", "with"})

# Words with a kind of their own.
_SPECIAL = {".": Kind.DOT, "nil": Kind.NIL, **dict.fromkeys(_KEYWORDS, Kind.KEYWORD)}

_LEFT_TRIM = re.compile(r"-[ \t\r\n]")
_RIGHT = re.compile(r"([ \t\r\n]-)?>>")
_WORDS = re.compile(
    r"""
    (?P<SPACE>    [ \t\r\n]+ )
  | (?P<DECLARE>  := )
  | (?P<ASSIGN>   = )
  | (?P<PIPE>     \| )
  | (?P<OPEN>     \( )
  | (?P<CLOSE>    \) )
  | (?P<STRING>   "(?:\\[^\n]|[^"\\\n])*" | `[^`]*` )
  | (?P<CHAR>     '(?:\\[^\n]|[^'\\\n])*' )
  | (?P<NUMBER>   [+-]?\.?[0-9](?:[eEpP][+-]|[\w.])* )
  | (?P<VARIABLE> \$\w* )
  | (?P<FIELD>    \.\w* )
  | (?P<WORD>     \w+ )
  | (?P<OTHER>    [!-~] )
    """,
    re.VERBOSE,
)
# What may follow a name at once, beside `>>` and the end.
_AFTER_NAME = frozenset(_SPACES + ".,|:()")
_NAMES = frozenset({Kind.VARIABLE, Kind.FIELD, Kind.WORD})
_DEPTH = {Kind.OPEN: 1, Kind.CLOSE: -1}
_UNTERMINATED = {
    '"': "unterminated quoted string",
    "`": "unterminated raw quoted string",
    "'": "unterminated character constant",
}


def tokens(text: str) -> Iterator[Token]:
    """Yield the tokens of a template, at last one of kind END.

    Raises:
        TemplateSyntaxError: at the first place that cannot be cut.
    """
    position, trims = 0, False  # of the text between two actions: where it starts, and whether a `->>` stood before it
    while True:
        opening = text.find(LEFT, position)
        end = len(text) if opening < 0 else opening
        start = end - len(text[position:end].lstrip(_SPACES)) if trims else position
        inside = opening + len(LEFT)
        trims_before = opening >= 0 and _LEFT_TRIM.match(text, inside) is not None
        if trims_before:
            inside += len("- ")
        piece = text[start:end].rstrip(_SPACES) if trims_before else text[start:end]
        if piece:
            yield Token(Kind.TEXT, start, piece)
        if opening < 0:
            yield Token(Kind.END, len(text), "")
            return
        if text.startswith("/*", inside):
            position, trims = _after_comment(text, inside)
        else:
            yield Token(Kind.LEFT, opening, LEFT)
            position, trims = yield from _action(text, opening, inside)


def _after_comment(text: str, start: int) -> tuple[int, bool]:
    end = text.find("*/", start + len("/*"))
    if end < 0:
        raise TemplateSyntaxError("unclosed comment", offset=start, length=len("/*"))
    closing = _RIGHT.match(text, end + len("*/"))
    if closing is None:
        raise TemplateSyntaxError('a comment must end right before ">>" or " ->>"', offset=end, length=len("*/"))
    return closing.end(), closing[1] is not None


def _action(text: str, opening: int, position: int) -> Generator[Token, None, tuple[int, bool]]:
    """Yield the tokens inside an action; return where the text behind it starts and whether its spaces go."""
    depth = 0
    while (closing := _RIGHT.match(text, position)) is None:
        token = _word(text, opening, position)
        depth += _DEPTH.get(token.kind, 0)
        if depth < 0:
            _fail(text, opening, position, "unexpected right parenthesis")
        yield token
        position = token.offset + len(token.text)
    if depth:
        _fail(text, opening, position, "unclosed left parenthesis")
    yield Token(Kind.RIGHT, closing.end() - len(RIGHT), RIGHT)
    return closing.end(), closing[1] is not None


def _word(text: str, opening: int, position: int) -> Token:
    found = _WORDS.match(text, position)
    if found is None or found.lastgroup is None:
        _fail(text, opening, position, "unrecognized character")
    kind, word, end = Kind[found.lastgroup], found[0], found.end()
    if kind is Kind.OTHER and word in _UNTERMINATED:
        _fail(text, opening, position, _UNTERMINATED[word])
    if text.startswith(LEFT, position):
        _fail(text, opening, position, f'unexpected "{LEFT}" inside an action')
    if kind is Kind.SPACE and text.startswith("->>", end):
        word = word[:-1]  # the last space belongs to the trim marker; it is not the only one, or we were not here
    if kind in _NAMES and end < len(text) and text[end] not in _AFTER_NAME and not text.startswith(RIGHT, end):
        _fail(text, opening, end, f"unexpected {text[end]!r} after {word}")
    if kind is Kind.NUMBER and text[end : end + 1] in ("+", "-"):
        _fail(text, opening, position, f"bad number syntax: {text[position : end + 1]}")
    return Token(_SPECIAL.get(word, kind), position, word)


def _fail(text: str, opening: int, position: int, message: str) -> NoReturn:
    """Raise for what stands at `position`, or for the `<<` before it where that one was evidently never closed."""
    closing, reopening = text.find(RIGHT, opening), text.find(LEFT, opening + len(LEFT))
    if closing < 0 or opening < reopening < closing:
        raise TemplateSyntaxError(f'unclosed "{LEFT}"', offset=opening, length=max(position - opening, len(LEFT)))
    raise TemplateSyntaxError(message, offset=position)
