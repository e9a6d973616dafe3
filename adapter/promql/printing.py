"""The PromQL of an expression: operands of operators stand in parentheses, and all text goes through `matchers`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

from adapter.promql.expressions import (
    Aggregated,
    Called,
    Expression,
    Joined,
    Negated,
    Number,
    Paren,
    Selected,
    Strange,
    Subquery,
)
from adapter.promql.matchers import is_legacy_label_name, quote, selector_text

_MILLISECOND = timedelta(milliseconds=1)
_UNITS = (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))  # that Prometheus never read otherwise


def text_of(expression: Expression) -> str:
    """Return an expression as PromQL.

    Raises:
        ValueError: a part of it is `Strange`.
    """
    write: Callable[[Any], str] = _WRITERS[type(expression)]
    return write(expression)


def _strange_text(node: Strange) -> str:
    raise ValueError(f"cannot be printed: {node.what}")


def _called_text(node: Called) -> str:
    return f"{node.function}({', '.join(map(text_of, node.arguments))})"


def _subquery_text(node: Subquery) -> str:
    step = "" if node.step is None else _duration(node.step)
    return f"{_operand(node.inner)}[{_duration(node.window)}:{step}]{_offset(node.offset)}"


def _number_text(node: Number) -> str:
    value = node.value
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Inf" if value > 0 else "-Inf"
    return repr(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)


def _selected_text(selected: Selected) -> str:
    text = selector_text(selected.metric, selected.matchers)
    if selected.more:
        inside = text.removesuffix("}") if text.endswith("}") else text + "{"
        text = inside + ("" if inside.endswith("{") else ",") + selected.more + "}"
    window = "" if selected.window is None else f"[{_duration(selected.window)}]"
    return text + window + _offset(selected.offset)


def _aggregated_text(node: Aggregated) -> str:
    grouping = node.grouping
    how = "" if grouping is None else f" {'without' if grouping.without else 'by'} {_labels(grouping.labels)} "
    return f"{node.operator}{how}({text_of(node.inner)})"


def _joined_text(node: Joined) -> str:
    words = [node.operator]
    if node.yields_bool:
        words.append("bool")
    if node.matching is not None:
        words.append(("on " if node.matching.on else "ignoring ") + _labels(node.matching.labels))
    if node.grouped is not None:
        words.append(f"group_{node.grouped.side} {_labels(node.grouped.labels)}")
    return " ".join([_operand(node.left), *words, _operand(node.right)])


def _operand(node: Expression) -> str:
    text = text_of(node)
    negative = isinstance(node, Number) and text.startswith("-")
    return f"({text})" if negative or isinstance(node, (Joined, Negated)) else text


def _labels(labels: Iterable[str]) -> str:
    return "(" + ", ".join(label if is_legacy_label_name(label) else quote(label) for label in labels) + ")"


def _offset(offset: timedelta) -> str:
    if not offset:
        return ""
    return f" offset -{_duration(-offset)}" if offset < timedelta(0) else f" offset {_duration(offset)}"


def _duration(length: timedelta) -> str:
    """Write a duration in parts that every server reads alike; Prometheus knows nothing finer than milliseconds."""
    left = length // _MILLISECOND
    parts = []
    for unit, milliseconds in _UNITS:
        count, left = divmod(left, milliseconds)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


_WRITERS: Mapping[type, Callable[[Any], str]] = {
    Number: _number_text,
    Selected: _selected_text,
    Paren: lambda node: f"({text_of(node.inner)})",
    Negated: lambda node: f"-{_operand(node.inner)}",
    Called: _called_text,
    Aggregated: _aggregated_text,
    Joined: _joined_text,
    Subquery: _subquery_text,
    Strange: _strange_text,
}
