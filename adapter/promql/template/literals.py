"""Go's literals: what a quoted string, a character or a number of a template stands for."""

from __future__ import annotations

import re
from math import isinf

_SIMPLE_ESCAPES = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
}
# \xFF and \377 are bytes in Go, \u and \U code points.
_ESCAPE = re.compile(
    r"\\(?:(?P<simple>[abfnrtv\\'\"])|x(?P<hex>[0-9a-fA-F]{2})|(?P<octal>[0-7]{3})"
    r"|u(?P<short>[0-9a-fA-F]{4})|U(?P<long>[0-9a-fA-F]{8})|(?P<wrong>.?))",
    re.DOTALL,
)
_SURROGATES = range(0xD800, 0xE000)
_LAST_CODE_POINT = 0x10FFFF
_LAST_BYTE = 0xFF

_INTEGER = re.compile(r"[+-]?(?:0[xX](?:_?[0-9a-fA-F])+|0[bB](?:_?[01])+|0[oO]?(?:_?[0-7])+|[1-9](?:_?[0-9])*|0)")
_LEGACY_OCTAL = re.compile(r"\A([+-]?0)_?([0-7])")
_DECIMAL_FLOAT = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_HEX_FLOAT = re.compile(r"[+-]?0[xX](?:[0-9a-fA-F]+(?:\.[0-9a-fA-F]*)?|\.[0-9a-fA-F]+)[pP][+-]?[0-9]+")
_BETWEEN_DIGITS = re.compile(r"(?<=[0-9])_(?=[0-9])")
_BETWEEN_HEX_DIGITS = re.compile(r"(?<=[0-9a-fA-FxX])_(?=[0-9a-fA-F])")
_INTEGERS = range(-(2**63), 2**63)


def string_value(literal: str) -> str:
    """Return what a Go string literal, double- or back-quoted, stands for.

    Raises:
        ValueError: an escape is wrong, or the bytes it names are not UTF-8.
    """
    body = literal[1:-1]
    if literal[0] == "`":
        return body.replace("\r", "")  # as Go does with raw strings
    if "\\" not in body:
        return body
    pieces: list[bytes] = []
    end = 0
    for found in _ESCAPE.finditer(body):
        value = _escape_value(found, quote='"')
        pieces += [body[end : found.start()].encode(), value if isinstance(value, bytes) else value.encode()]
        end = found.end()
    pieces.append(body[end:].encode())
    try:
        return b"".join(pieces).decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"{literal} is not UTF-8 text") from error


def char_value(literal: str) -> int:
    """Return the code point of a Go character literal.

    Raises:
        ValueError: it does not hold exactly one character.
    """
    body = literal[1:-1]
    found = _ESCAPE.fullmatch(body)
    if found:
        value = _escape_value(found, quote="'")
        return value[0] if isinstance(value, bytes) else ord(value)
    if len(body) != 1:
        raise ValueError(f"malformed character constant: {literal}")
    return ord(body)


def number_value(literal: str) -> int | float:
    """Return what a Go number stands for where nothing asks for a type: an int, or a float if it is written as one.

    Raises:
        ValueError: it is no number, it is a complex one, or it does not fit.
    """
    if literal.endswith("i"):
        raise ValueError(f"complex numbers such as {literal} are not supported")
    if _INTEGER.fullmatch(literal):
        value = int(_LEGACY_OCTAL.sub(r"\1o\2", literal), 0)
        if value not in _INTEGERS:
            raise ValueError(f"{literal} overflows int")
        return value
    number = _float_value(literal)
    if number is None or isinf(number):
        raise ValueError(f"illegal number syntax: {literal}")
    return number


def _float_value(text: str) -> float | None:
    hexadecimal = _BETWEEN_HEX_DIGITS.sub("", text)
    if _HEX_FLOAT.fullmatch(hexadecimal):
        try:
            return float.fromhex(hexadecimal)
        except OverflowError:
            return None
    decimal = _BETWEEN_DIGITS.sub("", text)
    if _DECIMAL_FLOAT.fullmatch(decimal) and any(mark in decimal for mark in ".eE"):
        return float(decimal)
    return None


def _escape_value(found: re.Match[str], *, quote: str) -> str | bytes:
    kind, digits = found.lastgroup, found[found.lastgroup or 0]
    if kind == "simple" and (digits == quote or digits in _SIMPLE_ESCAPES):
        return _SIMPLE_ESCAPES.get(digits, digits)
    if kind in ("hex", "octal"):
        code = int(digits, 16 if kind == "hex" else 8)
        if code <= _LAST_BYTE:
            return bytes([code])
    if kind in ("short", "long"):
        code = int(digits, 16)
        if code <= _LAST_CODE_POINT and code not in _SURROGATES:
            return chr(code)
    raise ValueError(f"wrong escape {found[0]}")
