"""How protobuf writes fields, as Go's generated code of the Kubernetes APIs does it.

These are proto2 messages: a field that is no pointer in Go is written even if it is empty, a pointer, map or list only
if it is set; fields come in the order of their numbers, maps by key. The protobuf library writes the same bytes, but
only after each document has been copied into its objects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from adapter.kube.durations import parse_duration

# The bytes of one field of a message, tag included, made of the JSON form of the whole message.
Field = Callable[[Mapping[str, Any]], bytes]

_VARINT: Final = 0
_DELIMITED: Final = 2
_REMEMBERED: Final = 128  # as many different times as an answer has, nearly always
# Negative numbers are written as their 64 bit two's complement.
_UNSIGNED_64: Final = (1 << 64) - 1
# The numbers of one group, which nearly all lengths are.
_SHORT: Final = tuple(bytes((number,)) for number in range(0x80))


def varint(number: int) -> bytes:
    """Return a number in groups of seven bits, lowest first; a negative one takes ten bytes."""
    if 0 <= number < 0x80:  # noqa: PLR2004 - one group of seven bits
        return _SHORT[number]
    left = number & _UNSIGNED_64
    groups = bytearray()
    while left >= 0x80:  # noqa: PLR2004 - as above
        groups.append(left & 0x7F | 0x80)
        left >>= 7
    groups.append(left)
    return bytes(groups)


def delimited(content: bytes) -> bytes:
    """Return the content behind its length in bytes."""
    size = len(content)
    return (_SHORT[size] if size < 0x80 else varint(size)) + content  # noqa: PLR2004 - as in varint, without the call


def message(value: Mapping[str, Any], fields: Sequence[Field]) -> bytes:
    """Return the fields of a message, one behind the other."""
    return b"".join([field(value) for field in fields])


def text(number: int, key: str) -> Field:
    """Write a string, also an empty or absent one."""
    tag = _tag(number, _DELIMITED)
    empty = tag + b"\x00"

    def field(value: Mapping[str, Any]) -> bytes:
        content = value.get(key)
        return tag + delimited(content.encode()) if content else empty

    return field


def texts_in_a_row(first: int, *keys: str) -> Field:
    """Write strings whose numbers follow each other, also empty or absent ones: as `text` does, in one go."""
    tags = [(_tag(number, _DELIMITED), key) for number, key in enumerate(keys, first)]

    def field(value: Mapping[str, Any]) -> bytes:
        return b"".join(
            [tag + delimited(value[key].encode()) if value.get(key) else tag + b"\x00" for tag, key in tags]
        )

    return field


def texts(number: int, key: str) -> Field:
    """Write a list of strings, nothing if there are none."""
    tag = _tag(number, _DELIMITED)

    def field(value: Mapping[str, Any]) -> bytes:
        return b"".join([tag + delimited(one.encode()) for one in value.get(key) or ()])

    return field


def wrapped_texts(number: int, key: str) -> Field:
    """Write a message that holds nothing but a list of strings, if there is a list."""
    tag = _tag(number, _DELIMITED)
    items = texts(1, key)

    def field(value: Mapping[str, Any]) -> bytes:
        return b"" if value.get(key) is None else tag + delimited(items(value))

    return field


def integer(number: int, key: str) -> Field:
    """Write a number, also an absent one: as zero."""
    tag = _tag(number, _VARINT)

    def field(value: Mapping[str, Any]) -> bytes:
        return tag + varint(int(value.get(key) or 0))

    return field


def optional_integer(number: int, key: str) -> Field:
    """Write a number if there is one."""
    tag = _tag(number, _VARINT)

    def field(value: Mapping[str, Any]) -> bytes:
        found = value.get(key)
        return b"" if found is None else tag + varint(found)

    return field


def embedded(number: int, key: str, fields: Sequence[Field]) -> Field:
    """Write a message, also an empty or absent one."""
    tag = _tag(number, _DELIMITED)

    def field(value: Mapping[str, Any]) -> bytes:
        return tag + delimited(message(value.get(key) or {}, fields))

    return field


def optional(number: int, key: str, fields: Sequence[Field]) -> Field:
    """Write a message if there is one."""
    tag = _tag(number, _DELIMITED)

    def field(value: Mapping[str, Any]) -> bytes:
        found = value.get(key)
        return b"" if found is None else tag + delimited(message(found, fields))

    return field


def repeated(number: int, key: str, fields: Sequence[Field]) -> Field:
    """Write a list of messages, nothing if there are none."""
    tag = _tag(number, _DELIMITED)

    def field(value: Mapping[str, Any]) -> bytes:
        return b"".join([tag + delimited(message(one, fields)) for one in value.get(key) or ()])

    return field


def text_map(number: int, key: str) -> Field:
    """Write a map of strings, by key."""
    tag = _tag(number, _DELIMITED)

    def field(value: Mapping[str, Any]) -> bytes:
        found = value.get(key)
        if not found:
            return b""
        return b"".join([tag + delimited(_entry(name, found[name].encode())) for name in sorted(found)])

    return field


def quantity_map(number: int, key: str) -> Field:
    """Write a map of quantities, by key."""
    tag = _tag(number, _DELIMITED)

    def field(value: Mapping[str, Any]) -> bytes:
        found = value.get(key)
        if not found:
            return b""
        return b"".join([tag + delimited(_entry(name, _quantity(found[name]))) for name in sorted(found)])

    return field


def quantity(number: int, key: str) -> Field:
    """Write a quantity: a message that holds its text."""
    tag = _tag(number, _DELIMITED)

    def field(value: Mapping[str, Any]) -> bytes:
        return tag + delimited(_quantity(value[key]))

    return field


def time(number: int, key: str) -> Field:
    """Write a time of whole seconds; none is the zero time, an empty message."""
    tag = _tag(number, _DELIMITED)

    def field(value: Mapping[str, Any]) -> bytes:
        found = value.get(key)
        return tag + (b"\x00" if found is None else delimited(_seconds(found)))

    return field


def duration(number: int, key: str) -> Field:
    """Write a duration: a message that holds its nanoseconds."""
    tag = _tag(number, _DELIMITED)

    def field(value: Mapping[str, Any]) -> bytes:
        return tag + delimited(_nanoseconds(value[key]))

    return field


def _tag(number: int, wire_type: int) -> bytes:
    return varint(number << 3 | wire_type)


def _entry(name: str, content: bytes) -> bytes:
    return b"\x0a" + delimited(name.encode()) + b"\x12" + delimited(content)


def _quantity(written: str) -> bytes:
    return b"\x0a" + delimited(written.encode())


# The values of a list share their times, so these two remember what they were given last.


@lru_cache(maxsize=_REMEMBERED)
def _nanoseconds(written: str) -> bytes:
    return b"\x08" + varint(parse_duration(written))


@lru_cache(maxsize=_REMEMBERED)
def _seconds(written: str) -> bytes:
    # Field 2, the nanoseconds, is always zero: the JSON form has whole seconds only, and both forms must agree.
    return b"\x08" + varint(int(datetime.fromisoformat(written).timestamp())) + b"\x10\x00"
