"""How Go's printf verbs print single values: strings, integers, floats, booleans."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from math import isfinite, isnan
from typing import Any

from adapter.promql.goquoting import is_printable, quoted_char
from adapter.promql.template.values import Kind

_CODE_POINTS = range(0x110000)
_SURROGATES = range(0xD800, 0xE000)
_REPLACEMENT = "\ufffd"
# Exponents between which %g and %v write no exponent (strconv.FormatFloat).
_PLAIN_EXPONENTS = range(-4, 6)
_DEFAULT_PRECISION = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """What stands between % and the verb; `go_syntax` is `#` before v, where it has a meaning of its own."""

    plus: bool = False
    minus: bool = False
    sharp: bool = False
    space: bool = False
    zero: bool = False
    go_syntax: bool = False
    width: int | None = None
    precision: int | None = None


def pad(text: str, flags: Flags, *, zeros: bool = True) -> str:
    """Return `text` filled up to the width, with zeros if the flags ask for them and they are allowed."""
    if not flags.width:
        return text
    if flags.minus:
        return text.ljust(flags.width)
    return text.rjust(flags.width, "0" if flags.zero and zeros else " ")


def string(text: str, flags: Flags) -> str:
    """Return what %s makes of a string: at most so many characters, in at least so much space."""
    return pad(text[: flags.precision], flags)


def _quoted(text: str, flags: Flags) -> str:
    text = text[: flags.precision]
    if flags.sharp and all(_fits_backquotes(char) for char in text):
        return pad(f"`{text}`", flags)
    return pad('"' + "".join([quoted_char(char, delimiter='"', ascii_only=flags.plus) for char in text]) + '"', flags)


def _fits_backquotes(char: str) -> bool:
    return char == "\t" or (char >= " " and char not in "`\x7f\ufeff")


def _string_value(text: str, flags: Flags) -> str:
    return _quoted(text, flags) if flags.go_syntax else string(text, flags)


def _string_hex(text: str, flags: Flags) -> str:
    data = text.encode()[: flags.precision]
    prefix = "0x" if flags.sharp and data else ""
    if flags.space:
        return pad(" ".join([f"{prefix}{byte:02x}" for byte in data]), flags)
    return pad(prefix + data.hex(), flags)


def _boolean(value: bool, flags: Flags) -> str:  # noqa: FBT001 - a formatter takes the value it formats
    return pad("true" if value else "false", flags)


def _integer(value: int, flags: Flags, *, form: str = "d", prefix: str = "") -> str:
    if value == 0 and flags.precision == 0:
        return pad("", flags, zeros=False)
    sign = "-" if value < 0 else "+" if flags.plus else " " if flags.space else ""
    digits = format(abs(value), form)
    if flags.precision is not None:
        digits = digits.rjust(flags.precision, "0")
    elif flags.zero and not flags.minus and flags.width:
        digits = digits.rjust(flags.width - len(sign), "0")
    if flags.sharp and form == "o":
        digits = digits if digits.startswith("0") else "0" + digits
    elif flags.sharp and form != "d":
        digits = f"0{form}{digits}"
    return pad(sign + prefix + digits, flags, zeros=False)


def _byte_value(value: int, flags: Flags) -> str:
    return f"0x{value:x}" if flags.go_syntax else _integer(value, flags)


def _char_of(code: int) -> str:
    return chr(code) if code in _CODE_POINTS and code not in _SURROGATES else _REPLACEMENT


def _char(value: int, flags: Flags) -> str:
    return pad(_char_of(value), flags)


def _quoted_code(value: int, flags: Flags) -> str:
    return pad(f"'{quoted_char(_char_of(value), delimiter=chr(39), ascii_only=flags.plus)}'", flags)


def _unicode(value: int, flags: Flags) -> str:
    text = "U+" + format(value % 2**64, "X").rjust(max(flags.precision or 0, 4), "0")
    if flags.sharp and value in _CODE_POINTS and is_printable(chr(value)):
        text += f" '{chr(value)}'"
    return pad(text, flags, zeros=False)


def _float(value: float, flags: Flags, *, form: str) -> str:
    if not isfinite(value):
        return _not_finite(value, flags)
    text = _digits(abs(value), form, flags.precision)
    sign = "-" if str(value).startswith("-") else "+" if flags.plus else " " if flags.space else ""
    if sign and flags.zero and not flags.minus and flags.width:
        return sign + text.rjust(flags.width - 1, "0")
    return pad(sign + text, flags)


def _not_finite(value: float, flags: Flags) -> str:
    sign = " " if flags.space and not flags.plus else "+"
    if isnan(value):
        return pad((sign if flags.plus or flags.space else "") + "NaN", flags, zeros=False)
    return pad(("-" if value < 0 else sign) + "Inf", flags, zeros=False)


def _digits(value: float, form: str, precision: int | None) -> str:
    if precision is not None:
        return format(value, f".{precision}{form}")
    if form not in ("g", "G"):
        return format(value, f".{_DEFAULT_PRECISION}{form}")
    # The fewest digits that read back as this value: Python's repr finds the same as Go's strconv.
    shortest = Decimal(repr(value)).normalize()
    if shortest.adjusted() in _PLAIN_EXPONENTS:
        return format(shortest, "f")
    first, *others = map(str, shortest.as_tuple().digits)
    mantissa = f"{first}.{''.join(others)}" if others else first
    return f"{mantissa}{'e' if form == 'g' else 'E'}{shortest.adjusted():+03d}"


_INTEGER_VERBS: Mapping[str, Callable[[Any, Flags], str]] = {
    "v": _integer,
    "d": _integer,
    "b": partial(_integer, form="b"),
    "o": partial(_integer, form="o"),
    "O": partial(_integer, form="o", prefix="0o"),
    "x": partial(_integer, form="x"),
    "X": partial(_integer, form="X"),
    "c": _char,
    "q": _quoted_code,
    "U": _unicode,
}
VERBS: Mapping[Kind, Mapping[str, Callable[[Any, Flags], str]]] = {
    Kind.NIL: {"v": lambda _, flags: pad(Kind.NIL.value, flags)},
    Kind.STRING: {
        "v": _string_value,
        "s": string,
        "q": _quoted,
        "x": _string_hex,
        "X": lambda text, flags: _string_hex(text, flags).upper(),
    },
    Kind.BOOL: {"v": _boolean, "t": _boolean},
    Kind.INT: _INTEGER_VERBS,
    Kind.UINT: {**_INTEGER_VERBS, "v": _byte_value},
    Kind.FLOAT: {
        "v": partial(_float, form="g"),
        "g": partial(_float, form="g"),
        "G": partial(_float, form="G"),
        "e": partial(_float, form="e"),
        "E": partial(_float, form="E"),
        "f": partial(_float, form="f"),
        "F": partial(_float, form="f"),
    },
}
