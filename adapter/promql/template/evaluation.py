"""What the parts of a template's actions come to: operands, pipelines, variables, calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import NoReturn

from adapter.promql.template import nodes
from adapter.promql.template.functions import FUNCTIONS, Signature
from adapter.promql.template.problems import TemplateRunError
from adapter.promql.template.values import Data, Value, kind_of, truth

# What a render may cost: a step for each node, for each hundred characters that a function reads or makes, and for each
# ten variables looked through. The templates of rules files take about twenty; so many steps take about a second.
MAX_STEPS = 100_000
_CHARACTERS_A_STEP = 100
_VARIABLES_A_STEP = 10


class _Missing(Enum):
    """The value that no pipe stage has handed over."""

    MISSING = auto()


_MISSING = _Missing.MISSING


class Evaluation:
    """The variables of one render, and what it has cost so far."""

    def __init__(self, data: Data) -> None:
        self.variables: list[tuple[str, Value]] = [("$", data)]  # the innermost last; blocks cut back what they added
        self._steps = 0

    def pipe(self, pipe: nodes.Pipe, dot: Value) -> Value:
        """Return what a pipeline comes to, having given it to the variables that take it.

        Raises:
            TemplateRunError: it cannot be evaluated.
        """
        value: Value | _Missing = _MISSING
        for command in pipe.commands:
            value = self._command(command, dot, value)
        result = None if value is _MISSING else value
        for name in pipe.variables:
            if pipe.assigns:
                self.assign(pipe, name, result)
            else:
                self.variables.append((name, result))
        return result

    def assign(self, pipe: nodes.Pipe, name: str, value: Value) -> None:
        """Give a value to the innermost variable of this name.

        Raises:
            TemplateRunError: there is none.
        """
        place = self._place_of(pipe, name)
        self.variables[place] = (name, value)

    def charge(self, node: nodes.Placed, steps: int) -> None:
        """Count what a render costs.

        Raises:
            TemplateRunError: it has cost too much.
        """
        self._steps += steps
        if self._steps > MAX_STEPS:
            fail(node, f"the template takes more than {MAX_STEPS} steps")

    def _place_of(self, node: nodes.Placed, name: str) -> int:
        for place in reversed(range(len(self.variables))):
            if self.variables[place][0] == name:
                self.charge(node, (len(self.variables) - place) // _VARIABLES_A_STEP)
                return place
        return fail(node, f"undefined variable: {name}")

    def _command(self, command: nodes.Command, dot: Value, piped: Value | _Missing) -> Value:
        first, *arguments = command.words
        if isinstance(first, nodes.Function):
            return self._call(first, arguments, dot, piped)
        if isinstance(first, nodes.Nil):
            fail(first, "nil is not a command")
        return self._operand(first, dot, has_arguments=bool(arguments) or piped is not _MISSING)

    def _operand(self, operand: nodes.Operand, dot: Value, *, has_arguments: bool = False) -> Value:
        self.charge(operand, 1)
        if isinstance(operand, nodes.Function):
            return self._call(operand, [], dot, _MISSING)
        value, path = self._start(operand, dot)
        if has_arguments and not path:
            fail(operand, "can't give argument to non-function")
        return self._lookup(operand, value, path, has_arguments=has_arguments)

    def _start(self, operand: nodes.Operand, dot: Value) -> tuple[Value, tuple[str, ...]]:
        """Return the value that an operand starts from, and the names to look up from there."""
        match operand:
            case nodes.Field():
                start = dot, operand.path
            case nodes.Variable():
                start = self.variables[self._place_of(operand, operand.name)][1], operand.path
            case nodes.Chain():
                start = self._operand(operand.operand, dot), operand.path
            case nodes.Pipe():
                start = self.pipe(operand, dot), ()
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
                    fail(node, f"can't evaluate field {name}: the fields are {', '.join(sorted(value.fields))}")
                value = value.fields[name]
            elif isinstance(value, Mapping):
                value = value.get(name)
            else:
                fail(node, f"can't evaluate field {name} in type {kind_of(value).value}")
            if has_arguments and place == len(path):
                fail(node, f"{name} has arguments but is not a function")
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
            fail(function, f"wrong number of args for {function.name}: want {least}{signature.needs} got {given}")
        values = [self._operand(argument, dot) for argument in arguments]
        if piped is not _MISSING:
            values.append(piped)
        return self._result(function, signature, values)

    def _result(self, function: nodes.Function, signature: Signature, values: list[Value]) -> Value:
        if signature.takes_format and not isinstance(values[0], str):
            fail(function, f"{function.name} wants a format, a string; got {kind_of(values[0]).value}")
        self.charge(function, sum(len(value) for value in values if isinstance(value, str)) // _CHARACTERS_A_STEP)
        try:
            result = signature.call(*values)
        except ValueError as error:
            raise TemplateRunError(
                f"error calling {function.name}: {error}",
                offset=function.at.offset,
                length=function.at.length,
            ) from error
        if isinstance(result, str):
            self.charge(function, len(result) // _CHARACTERS_A_STEP)
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
            fail(function, f"wrong number of args for {function.name}: want at least 1 got 0")
        value: Value = None
        for argument in arguments:
            value = self._operand(argument, dot)
            if truth(value) == (function.name == "or"):
                return value
        return value if piped is _MISSING else piped


def fail(node: nodes.Placed, message: str) -> NoReturn:
    """Raise the run error that a part of the template is to blame for."""
    raise TemplateRunError(message, offset=node.at.offset, length=node.at.length)
