"""Templates that can be rendered: walks the tree with the values of one request, within bounds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import NoReturn

from adapter.promql.template import nodes
from adapter.promql.template.functions import FUNCTIONS, Signature
from adapter.promql.template.parser import FieldUse, parse
from adapter.promql.template.printing import MAX_BYTES, show
from adapter.promql.template.problems import TemplateRunError
from adapter.promql.template.values import Data, Kind, TemplateValue, Value, kind_of, truth

# What a render may cost: a step for each node and each hundred characters that a function reads or makes. The templates
# of rules files take about twenty; this many take about a second.
MAX_STEPS = 100_000
_CHARACTERS_A_STEP = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A template that has been read; `field_uses` says where it names which field of its data."""

    text: str
    field_uses: tuple[FieldUse, ...]
    _body: tuple[nodes.Node, ...]

    @property
    def fields(self) -> frozenset[str]:
        """The fields of the data that the template names; one that the data lacks fails only when it is reached."""
        return frozenset(use.name for use in self.field_uses)

    def render(self, fields: Mapping[str, TemplateValue]) -> str:
        """Return the text that the template makes of these fields.

        Raises:
            TemplateRunError: what it asks for cannot be done, or it does not come to an end soon.
        """
        run = _Run(Data(fields))
        run.walk(self._body, run.data)
        return "".join(run.printed)


def parse_template(text: str) -> Template:
    """Read a template.

    Raises:
        TemplateSyntaxError: it cannot be read, or uses what we do not support.
    """
    body, uses = parse(text)
    return Template(text=text, field_uses=uses, _body=body)


class _Flow(Enum):
    """How a body ended."""

    THROUGH = auto()
    BREAK = auto()
    CONTINUE = auto()


class _Missing(Enum):
    """The value that no pipe stage has handed over."""

    MISSING = auto()


_MISSING = _Missing.MISSING


class _Run:
    """One render: what is printed so far, the variables, and what it has cost."""

    def __init__(self, data: Data) -> None:
        self.data = data
        self.printed: list[str] = []
        self._size = 0
        self._steps = 0
        self._variables: list[tuple[str, Value]] = [("$", data)]

    def walk(self, body: tuple[nodes.Node, ...], dot: Value) -> _Flow:
        """Print what these nodes say; `dot` is what the cursor stands on."""
        for node in body:
            flow = self._node(node, dot)
            if flow is not _Flow.THROUGH:
                return flow
        return _Flow.THROUGH

    def _node(self, node: nodes.Node, dot: Value) -> _Flow:
        self._charge(node, 1)
        match node:
            case nodes.Text():
                self._print(node, node.text)
            case nodes.Action():
                value = self._pipe(node.pipe, dot)
                if not node.pipe.variables:
                    self._print(node, "<no value>" if value is None else self._shown(node, value))
            case nodes.Conditional():
                return self._conditional(node, dot)
            case nodes.Range():
                return self._range(node, dot)
            case nodes.Break():
                return _Flow.BREAK
            case nodes.Continue():
                return _Flow.CONTINUE
        return _Flow.THROUGH

    def _conditional(self, node: nodes.Conditional, dot: Value) -> _Flow:
        known = len(self._variables)
        body, inner = node.otherwise, dot
        for branch in node.branches:
            value = self._pipe(branch.pipe, dot)
            if truth(value):
                body, inner = branch.body, value if node.moves_dot else dot
                break
        flow = self.walk(body, inner)
        del self._variables[known:]
        return flow

    def _range(self, node: nodes.Range, dot: Value) -> _Flow:
        known = len(self._variables)
        value = self._pipe(node.pipe, dot)
        inside = len(self._variables)
        empty = True
        flow = _Flow.THROUGH
        for key, item in self._turns(node, value):
            empty = False
            self._charge(node, 1)
            self._set_loop_variables(node, key, item)
            flow = self.walk(node.body, item)
            del self._variables[inside:]
            if flow is _Flow.BREAK:
                break
        if empty:
            flow = self.walk(node.otherwise, dot)
        del self._variables[known:]
        return flow if empty else _Flow.THROUGH

    def _turns(self, node: nodes.Range, value: Value) -> Iterable[tuple[Value, Value]]:
        if value is None:
            return ()
        if isinstance(value, Mapping):
            return ((key, value[key]) for key in sorted(value))
        kind = kind_of(value)
        if kind is Kind.SLICE and isinstance(value, Sequence):
            return enumerate(value)
        if kind in (Kind.INT, Kind.UINT) and isinstance(value, int):
            if len(node.pipe.variables) > 1:
                _fail(node, f"can't use {value} to iterate over more than one variable")
            return ((None, type(value)(turn)) for turn in range(value))
        return _fail(node, f"range can't iterate over {self._shown(node, value)}")

    def _set_loop_variables(self, node: nodes.Range, key: Value, item: Value) -> None:
        names = node.pipe.variables
        values = (key, item)[-len(names) :] if names else ()
        if node.pipe.assigns:
            for name, value in zip(names, values, strict=True):
                self._assign(node.pipe, name, value)
        elif names:
            self._variables[-len(names) :] = zip(names, values, strict=True)

    def _pipe(self, pipe: nodes.Pipe, dot: Value) -> Value:
        value: Value | _Missing = _MISSING
        for command in pipe.commands:
            value = self._command(command, dot, value)
        result = None if value is _MISSING else value
        for name in pipe.variables:
            if pipe.assigns:
                self._assign(pipe, name, result)
            else:
                self._variables.append((name, result))
        return result

    def _assign(self, pipe: nodes.Pipe, name: str, value: Value) -> None:
        place = self._place_of(pipe, name)
        self._variables[place] = (name, value)

    def _place_of(self, node: nodes.Placed, name: str) -> int:
        for place in reversed(range(len(self._variables))):
            if self._variables[place][0] == name:
                return place
        return _fail(node, f"undefined variable: {name}")

    def _command(self, command: nodes.Command, dot: Value, piped: Value | _Missing) -> Value:
        first, *arguments = command.words
        if isinstance(first, nodes.Function):
            return self._call(first, arguments, dot, piped)
        if isinstance(first, nodes.Nil):
            _fail(first, "nil is not a command")
        return self._operand(first, dot, has_arguments=bool(arguments) or piped is not _MISSING)

    def _operand(self, operand: nodes.Operand, dot: Value, *, has_arguments: bool = False) -> Value:
        self._charge(operand, 1)
        if isinstance(operand, nodes.Function):
            return self._call(operand, [], dot, _MISSING)
        value, path = self._start(operand, dot)
        if has_arguments and not path:
            _fail(operand, "can't give argument to non-function")
        return self._lookup(operand, value, path, has_arguments=has_arguments)

    def _start(self, operand: nodes.Operand, dot: Value) -> tuple[Value, tuple[str, ...]]:
        """Return the value that an operand starts from, and the names to look up from there."""
        match operand:
            case nodes.Field():
                start = dot, operand.path
            case nodes.Variable():
                start = self._variables[self._place_of(operand, operand.name)][1], operand.path
            case nodes.Chain():
                start = self._operand(operand.operand, dot), operand.path
            case nodes.Pipe():
                start = self._pipe(operand, dot), ()
            case nodes.Constant():
                start = operand.value, ()
            case nodes.Dot():
                start = dot, ()
            case _:
                start = None, ()
        return start

    def _lookup(self, node: nodes.Placed, value: Value, path: tuple[str, ...], *, has_arguments: bool) -> Value:
        for place, name in enumerate(path, start=1):
            if value is None:
                continue  # Go: a missing key has missing keys
            if isinstance(value, Data):
                if name not in value.fields:
                    _fail(node, f"can't evaluate field {name}: the fields are {', '.join(sorted(value.fields))}")
                value = value.fields[name]
            elif isinstance(value, Mapping):
                value = value.get(name)
            else:
                _fail(node, f"can't evaluate field {name} in type {kind_of(value).value}")
            if has_arguments and place == len(path):
                _fail(node, f"{name} has arguments but is not a function")
        return value

    def _call(
        self,
        function: nodes.Function,
        arguments: Sequence[nodes.Operand],
        dot: Value,
        piped: Value | _Missing,
    ) -> Value:
        signature = FUNCTIONS[function.name]
        given = len(arguments) + (piped is not _MISSING)
        if signature is None:
            return self._and_or(function, arguments, dot, piped)
        if given < signature.needs or (given > signature.needs and not signature.variadic):
            least = "at least " if signature.variadic else ""
            _fail(function, f"wrong number of args for {function.name}: want {least}{signature.needs} got {given}")
        values = [self._operand(argument, dot) for argument in arguments]
        if piped is not _MISSING:
            values.append(piped)
        return self._result(function, signature, values)

    def _result(self, function: nodes.Function, signature: Signature, values: list[Value]) -> Value:
        if signature.takes_format and not isinstance(values[0], str):
            _fail(function, f"{function.name} wants a format, a string; got {kind_of(values[0]).value}")
        self._charge(function, sum(len(value) for value in values if isinstance(value, str)) // _CHARACTERS_A_STEP)
        try:
            result = signature.call(*values)
        except ValueError as error:
            raise TemplateRunError(
                f"error calling {function.name}: {error}",
                offset=function.at.offset,
                length=function.at.length,
            ) from error
        if isinstance(result, str):
            self._charge(function, len(result) // _CHARACTERS_A_STEP)
        return result

    def _and_or(
        self,
        function: nodes.Function,
        arguments: Sequence[nodes.Operand],
        dot: Value,
        piped: Value | _Missing,
    ) -> Value:
        """Return the first argument that decides, without evaluating those behind it, or else the last."""
        if not arguments and piped is _MISSING:
            _fail(function, f"wrong number of args for {function.name}: want at least 1 got 0")
        value: Value = None
        for argument in arguments:
            value = self._operand(argument, dot)
            if truth(value) == (function.name == "or"):
                return value
        return value if piped is _MISSING else piped

    def _shown(self, node: nodes.Placed, value: Value) -> str:
        try:
            return show(value)
        except ValueError as error:
            return _fail(node, str(error))

    def _print(self, node: nodes.Placed, text: str) -> None:
        self._size += len(text.encode())
        if self._size > MAX_BYTES:
            _fail(node, f"the text grows beyond {MAX_BYTES} bytes")
        self.printed.append(text)

    def _charge(self, node: nodes.Placed, steps: int) -> None:
        self._steps += steps
        if self._steps > MAX_STEPS:
            _fail(node, f"the template takes more than {MAX_STEPS} steps")


def _fail(node: nodes.Placed, message: str) -> NoReturn:
    raise TemplateRunError(message, offset=node.at.offset, length=node.at.length)
