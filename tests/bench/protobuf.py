"""Just enough of protobuf's wire format to read an answer back; the adapter's own writer is not used, to check it too."""

from __future__ import annotations

from collections.abc import Iterator

Message = dict[int, list[bytes | int]]  # by the number of the field

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED = {_FIXED64: 8, _FIXED32: 4}


def parse(content: bytes) -> Message:
    """Read the fields of a message; embedded ones stay bytes.

    Raises:
        ValueError: that is none.
    """
    fields: Message = {}
    at = 0
    while at < len(content):
        key, at = _varint(content, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _varint(content, at)
            fields.setdefault(key >> 3, []).append(value)
            continue
        if kind == _BYTES:
            size, at = _varint(content, at)
        elif kind in _FIXED:
            size = _FIXED[kind]
        else:
            raise ValueError(f"no such wire type: {kind}")
        if at + size > len(content):
            raise ValueError("the message is cut short")
        fields.setdefault(key >> 3, []).append(content[at : at + size])
        at += size
    return fields


def messages(message: Message, field: int) -> Iterator[Message]:
    """Yield the messages of a repeated or optional field."""
    for one in message.get(field, ()):
        if isinstance(one, bytes):
            yield parse(one)


def text(message: Message, field: int) -> str:
    """Return a text, empty if there is none."""
    found = message.get(field, [b""])[-1]
    return found.decode() if isinstance(found, bytes) else ""


def number(message: Message, field: int) -> int:
    """Return an integer, 0 if there is none."""
    found = message.get(field, [0])[-1]
    return found if isinstance(found, int) else 0


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(content):
            raise ValueError("the message is cut short")
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
