"""The functions that a template can call, as Go's text/template has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from adapter.promql.template.printing import sprint, sprintf, sprintln
from adapter.promql.template.values import Value, element, equal, length, less, part, truth


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A function; it takes `needs` arguments, and any more if it is `variadic`."""

    call: Callable[..., Value]
    needs: int
    variadic: bool = False
    takes_format: bool = False  # the first argument must be a string


FUNCTIONS: Mapping[str, Signature | None] = {
    "and": None,  # these two stop early, so the run itself evaluates them
    "or": None,
    "not": Signature(call=lambda value: not truth(value), needs=1),
    "eq": Signature(call=equal, needs=1, variadic=True),
    "ne": Signature(call=lambda first, second: not equal(first, second), needs=2),
    "lt": Signature(call=less, needs=2),
    "le": Signature(call=lambda first, second: less(first, second) or equal(first, second), needs=2),
    "gt": Signature(call=lambda first, second: not (less(first, second) or equal(first, second)), needs=2),
    "ge": Signature(call=lambda first, second: not less(first, second), needs=2),
    "len": Signature(call=length, needs=1),
    "index": Signature(call=element, needs=1, variadic=True),
    "slice": Signature(call=part, needs=1, variadic=True),
    "print": Signature(call=sprint, needs=0, variadic=True),
    "printf": Signature(call=sprintf, needs=1, variadic=True, takes_format=True),
    "println": Signature(call=sprintln, needs=0, variadic=True),
}
# Go has these; no rules file known to us calls them.
UNSUPPORTED = frozenset({"call", "html", "js", "urlquery"})
