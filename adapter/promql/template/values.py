"""The values of a template, as Go sees them: kinds, truth, order, length, elements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, TypeAlias

TemplateValue: TypeAlias = "str | int | float | bool | Mapping[str, TemplateValue] | Sequence[TemplateValue]"


class Uint8(int):
    """A byte of a string; an int to arithmetic, another type to printf."""


class Data:
    """The struct that a template is given: its fields, by name."""

    __slots__ = ("fields",)

    def __init__(self, fields: Mapping[str, TemplateValue]) -> None:
        self.fields = fields


Value: TypeAlias = "TemplateValue | Data | None"  # None is Go's invalid value and nil: a missing key, the word nil


class Kind(Enum):
    """What operations treat alike; the value is the name of the Go type that we have of this kind."""

    NIL = "<nil>"
    BOOL = "bool"
    INT = "int"
    UINT = "uint8"
    FLOAT = "float64"
    STRING = "string"
    SLICE = "[]string"
    MAP = "map[string]string"
    STRUCT = "struct"


_KINDS: Mapping[type, Kind] = {
    type(None): Kind.NIL,
    bool: Kind.BOOL,
    int: Kind.INT,
    Uint8: Kind.UINT,
    float: Kind.FLOAT,
    str: Kind.STRING,
    list: Kind.SLICE,
    tuple: Kind.SLICE,
    dict: Kind.MAP,
    Data: Kind.STRUCT,
}
_BASIC = frozenset({Kind.BOOL, Kind.INT, Kind.UINT, Kind.FLOAT, Kind.STRING})
_ORDERED = _BASIC - {Kind.BOOL}
_INTEGERS = frozenset({Kind.INT, Kind.UINT})


def kind_of(value: Value) -> Kind:
    """Return the kind of a value.

    Raises:
        TypeError: a template cannot be given such a value.
    """
    kind = _KINDS.get(type(value))
    if kind is None:
        abstract = ((Mapping, Kind.MAP), (str, Kind.STRING), (Sequence, Kind.SLICE))
        kind = next((kind for base, kind in abstract if isinstance(value, base)), None)
    if kind is None:
        raise TypeError(f"a template cannot be given a {type(value).__name__}")
    return kind


def truth(value: Value) -> bool:
    """Tell whether a value holds in `if`: it is not zero, not empty, not missing."""
    return isinstance(value, Data) or bool(value)


def equal(first: Value, *others: Value) -> bool:
    """Tell whether the first value equals one of the others.

    Raises:
        ValueError: they cannot be compared, or there is nothing to compare with.
    """
    if not others:
        raise ValueError("missing argument for comparison")
    return any(_equal(first, other) for other in others)


def less(first: Value, second: Value) -> bool:
    """Tell whether a value comes before another.

    Raises:
        ValueError: they have no order.
    """
    kinds = (kind_of(first), kind_of(second))
    if not _BASIC.issuperset(kinds):
        raise ValueError("invalid type for comparison")
    _check_comparable(*kinds)
    if not _ORDERED.issuperset(kinds):
        raise ValueError("invalid type for comparison")
    left: Any = first
    right: Any = second
    return bool(left < right)


def length(item: Value) -> int:
    """Return how many elements there are, in a string how many bytes.

    Raises:
        ValueError: it has no length.
    """
    if isinstance(item, str):
        return len(item.encode())
    if isinstance(item, Mapping | Sequence):
        return len(item)
    raise ValueError(f"len of type {kind_of(item).value}")


def element(item: Value, *keys: Value) -> Value:
    """Return what stands in an item under a key, in that under the next, and so on; "" for a key that a map lacks.

    Raises:
        ValueError: a key is of the wrong type or out of range, or the item has no elements.
    """
    if item is None:
        raise ValueError("index of untyped nil")
    for key in keys:
        item = _element(item, key)
    return item


def part(item: Value, *bounds: Value) -> Value:
    """Return item[i:j] of a string or slice; item[i:j:k] of a slice, whose k only has to fit.

    Raises:
        ValueError: a bound does not fit, or the item cannot be cut.
    """
    kind = kind_of(item)
    if kind not in (Kind.STRING, Kind.SLICE):
        raise ValueError(f"can't slice item of type {kind.value}")
    most = 2 if kind is Kind.STRING else 3
    if len(bounds) > most:
        raise ValueError(f"too many slice indexes for a {kind.value}: {len(bounds)}")
    size = length(item)
    places = [_place(bound, limit=size) for bound in bounds]
    start, end, last = [*places, *(0, size, size)[len(places) :]]
    if not start <= end <= last:
        raise ValueError(
            f"invalid slice index: {start} > {end}" if start > end else f"invalid slice index: {end} > {last}"
        )
    if isinstance(item, str):
        return _text(item.encode()[start:end])
    return item[start:end] if isinstance(item, Sequence) else None


def _equal(first: Value, second: Value) -> bool:
    kinds = (kind_of(first), kind_of(second))
    if Kind.NIL in kinds:
        return first is second
    if _BASIC.isdisjoint(kinds):
        raise ValueError(f"non-comparable types {kinds[0].value} and {kinds[1].value}")
    _check_comparable(*kinds)
    return bool(first == second)


def _check_comparable(first: Kind, second: Kind) -> None:
    if first is not second and not _INTEGERS.issuperset((first, second)):
        raise ValueError(f"incompatible types for comparison: {first.value} and {second.value}")


def _element(item: Value, key: Value) -> Value:
    kind = kind_of(item)
    if isinstance(item, Mapping):
        if not isinstance(key, str):
            raise ValueError(f"value has type {kind_of(key).value}; should be string")  # noqa: TRY004 - Go's text, and the caller's one error
        return item.get(key, "")
    if kind not in (Kind.STRING, Kind.SLICE):
        raise ValueError(f"can't index item of type {kind.value}")
    place = _place(key, limit=length(item) - 1)
    if isinstance(item, str):
        return Uint8(item.encode()[place])
    return item[place] if isinstance(item, Sequence) else None


def _place(index: Value, *, limit: int) -> int:
    kind = kind_of(index)
    if kind not in _INTEGERS or not isinstance(index, int):
        raise ValueError(f"cannot index slice/array with {'nil' if index is None else 'type ' + kind.value}")
    if not 0 <= index <= limit:
        raise ValueError(f"index out of range: {int(index)}")
    return index


def _text(cut: bytes) -> str:
    try:
        return cut.decode()
    except UnicodeDecodeError as error:
        raise ValueError("the slice cuts a character in two; indexes count bytes") from error
