"""Builds a template's tree from its tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from adapter.promql.template import nodes
from adapter.promql.template.cursor import Cursor, blamed
from adapter.promql.template.functions import FUNCTIONS, UNSUPPORTED
from adapter.promql.template.lexer import Kind, Token
from adapter.promql.template.literals import char_value, number_value, string_value
from adapter.promql.template.problems import TemplateSyntaxError

# Blocks and parentheses inside each other. A level costs about five frames of Python's stack when it runs; the rules
# files we know go three deep.
MAX_DEPTH = 64

_LITERALS: dict[Kind, Callable[[str], str | int | float]] = {
    Kind.STRING: string_value,
    Kind.CHAR: char_value,
    Kind.NUMBER: number_value,
}
_BOOLEANS = {"true": True, "false": False}
_NOT_EXECUTABLE = (nodes.Constant, nodes.Nil, nodes.Dot)
_NESTED_TEMPLATES = frozenset({"block", "define", "template"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldUse(nodes.Placed):
    """A place where a template names a field of the data it is given."""

    name: str


def parse(text: str) -> tuple[tuple[nodes.Node, ...], tuple[FieldUse, ...]]:
    """Return a template's nodes, and the fields of the data that it names, in the order of the text.

    Raises:
        TemplateSyntaxError: the first thing that is wrong.
    """
    parser = _Parser(text)
    body, stop = parser.body()
    if stop.kind is not Kind.END:
        raise blamed(f"unexpected <<{stop.text}>>", stop)
    return body, tuple(parser.uses)


class _Parser:
    """One pass over the tokens; its methods are named for what they read, as in Go's text/template/parse."""

    def __init__(self, text: str) -> None:
        self.uses: list[FieldUse] = []
        self._cursor = Cursor(text)
        self._variables = ["$"]
        self._depth = 0
        self._loops = 0
        self._dot_is_data = True  # false inside `range`, and inside a `with` of something else
        self._terms: Mapping[Kind, Callable[[Token, nodes.Span], nodes.Operand]] = {
            Kind.DOT: lambda _, at: nodes.Dot(at=at),
            Kind.NIL: lambda _, at: nodes.Nil(at=at),
            Kind.FIELD: self._field,
            Kind.VARIABLE: self._variable,
            Kind.OPEN: self._parenthesis,
            Kind.WORD: _word,
            **dict.fromkeys(_LITERALS, _literal),
        }

    def body(self) -> tuple[tuple[nodes.Node, ...], Token]:
        """Read until an `end`, an `else` or the end of the text; return what comes before it, and that token."""
        found: list[nodes.Node] = []
        while (token := self._cursor.take()).kind is not Kind.END:
            if token.kind is Kind.TEXT:
                found.append(nodes.Text(at=nodes.Span(token.offset, token.length), text=token.text))
                continue
            if self._cursor.at_keyword("end", "else"):
                return tuple(found), self._cursor.take()
            found.append(self._action(token))
        return tuple(found), token

    def _action(self, left: Token) -> nodes.Node:
        word = self._cursor.peek_word()
        if word.kind is Kind.KEYWORD and word.text in _NESTED_TEMPLATES:
            raise blamed(f"nested templates (<<{word.text}>>) are not supported", word)
        if word.kind is not Kind.KEYWORD:
            pipe = self._pipeline("command", Kind.RIGHT)
            return nodes.Action(at=self._cursor.since(left), pipe=pipe)
        self._cursor.take()
        if word.text in ("break", "continue"):
            return self._jump(left, word)
        with self._block(word):
            return self._range(left) if word.text == "range" else self._conditional(left, word.text)

    def _jump(self, left: Token, word: Token) -> nodes.Break | nodes.Continue:
        self._cursor.take_right(f"<<{word.text}>>")
        if not self._loops:
            raise blamed(f"<<{word.text}>> outside <<range>>", word)
        kind = nodes.Break if word.text == "break" else nodes.Continue
        return kind(at=self._cursor.since(left))

    def _conditional(self, left: Token, keyword: str) -> nodes.Conditional:
        branches: list[nodes.Branch] = []
        while True:
            pipe = self._pipeline(keyword, Kind.RIGHT)
            at = self._cursor.since(left)
            with self._dot(is_data=self._is_data(pipe) if keyword == "with" else self._dot_is_data):
                body, stop = self.body()
            branches.append(nodes.Branch(pipe=pipe, body=body))
            if stop.text != "else" or not self._cursor.at_keyword(keyword):
                break
            self._cursor.take()
        otherwise = self._otherwise(keyword, at, stop)
        return nodes.Conditional(at=at, branches=tuple(branches), otherwise=otherwise, moves_dot=keyword == "with")

    def _range(self, left: Token) -> nodes.Range:
        pipe = self._pipeline("range", Kind.RIGHT)
        at = self._cursor.since(left)
        self._loops += 1
        with self._dot(is_data=False):
            body, stop = self.body()
        self._loops -= 1
        return nodes.Range(at=at, pipe=pipe, body=body, otherwise=self._otherwise("range", at, stop))

    def _otherwise(self, keyword: str, opened: nodes.Span, stop: Token) -> tuple[nodes.Node, ...]:
        body: tuple[nodes.Node, ...] = ()
        if stop.text == "else":
            self._cursor.take_right("else")
            body, stop = self.body()
            if stop.text == "else":
                raise blamed("expected <<end>>, found <<else>>", stop)
        if stop.kind is Kind.END:
            raise TemplateSyntaxError(f"<<{keyword}>> without <<end>>", offset=opened.offset, length=opened.length)
        self._cursor.take_right("end")
        return body

    def _pipeline(self, context: str, closing: Kind) -> nodes.Pipe:
        start = self._cursor.peek_word()
        variables, assigns = self._declarations(context)
        commands: list[nodes.Command] = []
        while (token := self._cursor.peek_word()).kind is not closing:
            if token.kind not in self._terms:
                raise blamed(f'unexpected "{token.text}" in {context}', token)
            commands.append(self._command())
        at = self._cursor.since(start)
        self._cursor.take()
        if not commands:
            raise blamed(f"missing value for {context}", token)
        for stage, command in enumerate(commands[1:], start=2):
            if isinstance(command.words[0], _NOT_EXECUTABLE):
                where = command.at
                message = f"non executable command in pipeline stage {stage}"
                raise TemplateSyntaxError(message, offset=where.offset, length=where.length)
        return nodes.Pipe(at=at, commands=tuple(commands), variables=variables, assigns=assigns)

    def _declarations(self, context: str) -> tuple[tuple[str, ...], bool]:
        names: list[str] = []
        while (variable := self._cursor.peek_word()).kind is Kind.VARIABLE:
            after = self._cursor.peek(2 if self._cursor.peek(1).kind is Kind.SPACE else 1)
            if after.kind not in (Kind.ASSIGN, Kind.DECLARE) and after.text != ",":
                break
            self._cursor.take()
            self._cursor.take_word()
            names.append(variable.text)
            self._variables.append(variable.text)
            if after.text != ",":
                return tuple(names), after.kind is Kind.ASSIGN
            if context != "range" or len(names) > 1:
                raise blamed(f"too many declarations in {context}", variable)
            if self._cursor.peek_word().kind not in (Kind.VARIABLE, Kind.RIGHT, Kind.CLOSE):
                raise blamed("range can only initialize variables", self._cursor.peek())
        return tuple(names), False

    def _command(self) -> nodes.Command:
        start = self._cursor.peek_word()
        words: list[nodes.Operand] = []
        while True:
            self._cursor.peek_word()
            operand = self._operand()
            if operand is not None:
                words.append(operand)
            at = self._cursor.since(start)
            token = self._cursor.peek()
            if token.kind in (Kind.RIGHT, Kind.CLOSE):
                break
            self._cursor.take()
            if token.kind is Kind.PIPE:
                break
            if token.kind is not Kind.SPACE:
                raise blamed(f'unexpected "{token.text}" in operand', token)
        return nodes.Command(at=at, words=tuple(words))

    def _operand(self) -> nodes.Operand | None:
        start = self._cursor.peek()
        term = self._term()
        if term is None or self._cursor.peek().kind is not Kind.FIELD:
            return term
        if isinstance(term, _NOT_EXECUTABLE):
            raise blamed(f'unexpected "." after "{start.text}"', self._cursor.peek())
        first = self._cursor.peek()
        path: list[str] = []
        while self._cursor.peek().kind is Kind.FIELD:
            path.append(self._cursor.take().text[1:])
        at = self._cursor.since(start)
        match term:
            case nodes.Field():
                return nodes.Field(at=at, path=(*term.path, *path))
            case nodes.Variable():
                if term.name == "$":
                    self._use(first)
                return nodes.Variable(at=at, name=term.name, path=tuple(path))
            case _:
                if isinstance(term, nodes.Pipe) and self._is_data(term):
                    self._use(first)
                return nodes.Chain(at=at, operand=term, path=tuple(path))

    def _term(self) -> nodes.Operand | None:
        token = self._cursor.peek()
        read = self._terms.get(token.kind)
        if read is None:
            return None
        self._cursor.take()
        return read(token, nodes.Span(token.offset, token.length))

    def _field(self, token: Token, at: nodes.Span) -> nodes.Field:
        if self._dot_is_data:
            self._use(token)
        return nodes.Field(at=at, path=(token.text[1:],))

    def _variable(self, token: Token, at: nodes.Span) -> nodes.Variable:
        if token.text not in self._variables:
            raise blamed(f"undefined variable {token.text}", token)
        return nodes.Variable(at=at, name=token.text)

    def _parenthesis(self, token: Token, _at: nodes.Span) -> nodes.Pipe:
        with self._block(token):
            return self._pipeline("parenthesized pipeline", Kind.CLOSE)

    def _use(self, field: Token) -> None:
        self.uses.append(FieldUse(at=nodes.Span(field.offset, field.length), name=field.text[1:]))

    def _is_data(self, pipe: nodes.Pipe) -> bool:
        """Tell whether a pipeline is just the whole data, written `.` or `$`."""
        if len(pipe.commands) != 1 or len(pipe.commands[0].words) != 1:
            return False
        match pipe.commands[0].words[0]:
            case nodes.Dot():
                return self._dot_is_data
            case nodes.Variable(name="$", path=()):
                return True
            case nodes.Pipe() as inner:
                return self._is_data(inner)
        return False

    @contextmanager
    def _dot(self, *, is_data: bool) -> Iterator[None]:
        before, self._dot_is_data = self._dot_is_data, is_data
        yield
        self._dot_is_data = before

    @contextmanager
    def _block(self, opening: Token) -> Iterator[None]:
        """Count a level, and forget at its end the variables that it declared, unless it is a parenthesis."""
        if self._depth == MAX_DEPTH:
            raise blamed(f"nested more than {MAX_DEPTH} deep", opening)
        self._depth += 1
        known = len(self._variables)
        yield
        self._depth -= 1
        if opening.kind is Kind.KEYWORD:
            del self._variables[known:]


def _word(token: Token, at: nodes.Span) -> nodes.Operand:
    if token.text in _BOOLEANS:
        return nodes.Constant(at=at, value=_BOOLEANS[token.text])
    if token.text in FUNCTIONS:
        return nodes.Function(at=at, name=token.text)
    if token.text in UNSUPPORTED:
        raise blamed(f'function "{token.text}" is not supported', token)
    raise blamed(f'function "{token.text}" not defined', token)


def _literal(token: Token, at: nodes.Span) -> nodes.Constant:
    try:
        return nodes.Constant(at=at, value=_LITERALS[token.kind](token.text))
    except ValueError as error:
        raise blamed(str(error), token) from error
