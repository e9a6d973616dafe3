"""Templates that can be rendered: walks the tree with the values of one request, within bounds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from adapter.promql.template import nodes
from adapter.promql.template.evaluation import Evaluation, fail
from adapter.promql.template.parser import FieldUse, parse
from adapter.promql.template.printing import MAX_BYTES, show
from adapter.promql.template.values import Data, Kind, TemplateValue, Value, kind_of, truth


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


class _Run:
    """One render: what is printed so far."""

    def __init__(self, data: Data) -> None:
        self.data = data
        self.printed: list[str] = []
        self._size = 0
        self._values = Evaluation(data)

    def walk(self, body: tuple[nodes.Node, ...], dot: Value) -> _Flow:
        """Print what these nodes say; `dot` is what the cursor stands on."""
        for node in body:
            flow = self._node(node, dot)
            if flow is not _Flow.THROUGH:
                return flow
        return _Flow.THROUGH

    def _node(self, node: nodes.Node, dot: Value) -> _Flow:
        self._values.charge(node, 1)
        match node:
            case nodes.Text():
                self._print(node, node.text)
            case nodes.Action():
                value = self._values.pipe(node.pipe, dot)
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
        known = len(self._values.variables)
        body, inner = node.otherwise, dot
        for branch in node.branches:
            value = self._values.pipe(branch.pipe, dot)
            if truth(value):
                body, inner = branch.body, value if node.moves_dot else dot
                break
        flow = self.walk(body, inner)
        del self._values.variables[known:]
        return flow

    def _range(self, node: nodes.Range, dot: Value) -> _Flow:
        known = len(self._values.variables)
        value = self._values.pipe(node.pipe, dot)
        inside = len(self._values.variables)
        empty = True
        flow = _Flow.THROUGH
        for key, item in self._turns(node, value):
            empty = False
            self._values.charge(node, 1)
            self._set_loop_variables(node, key, item)
            flow = self.walk(node.body, item)
            del self._values.variables[inside:]
            if flow is _Flow.BREAK:
                break
        if empty:
            flow = self.walk(node.otherwise, dot)
        del self._values.variables[known:]
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
                fail(node, f"can't use {value} to iterate over more than one variable")
            return ((None, type(value)(turn)) for turn in range(value))
        return fail(node, f"range can't iterate over {self._shown(node, value)}")

    def _set_loop_variables(self, node: nodes.Range, key: Value, item: Value) -> None:
        names = node.pipe.variables
        values = (key, item)[-len(names) :] if names else ()
        if node.pipe.assigns:
            for name, value in zip(names, values, strict=True):
                self._values.assign(node.pipe, name, value)
        elif names:
            self._values.variables[-len(names) :] = zip(names, values, strict=True)

    def _shown(self, node: nodes.Placed, value: Value) -> str:
        try:
            return show(value)
        except ValueError as error:
            return fail(node, str(error))

    def _print(self, node: nodes.Placed, text: str) -> None:
        self._size += len(text.encode())
        if self._size > MAX_BYTES:
            fail(node, f"the text grows beyond {MAX_BYTES} bytes")
        self.printed.append(text)
