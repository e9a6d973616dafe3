"""Quantities: exact numbers, printed as Kubernetes prints them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum


class Format(StrEnum):
    """How a quantity prefers to be printed."""

    DECIMAL_SI = "DecimalSI"
    BINARY_SI = "BinarySI"
    DECIMAL_EXPONENT = "DecimalExponent"


# In thousandths, 9.2e15: a little less than where an HPA's MilliValue() wraps around int64.
MILLI_LIMIT = 9_200_000_000_000_000_000

_MILLI_SUFFIXES = ("m", "", "k", "M", "G", "T", "P")
_DECIMAL_EXPONENTS = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DECIMAL_SUFFIXES = {exponent: suffix for suffix, exponent in _DECIMAL_EXPONENTS.items()}
_BINARY_SUFFIXES = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_LARGEST_SUFFIX_EXPONENT = 18

_TEXT = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)")
_EXPONENT = re.compile(r"[eE]([+-]?[0-9]{1,9})")

_MILLI, _NANO = 10**6, 10**9  # how many units of 10^-9 there are in a thousandth, in one
_NANO_DIGITS = 9
_KIBI = 1024
_BINARY_LIMIT = (2**63 - 1) * _NANO  # Kubernetes caps BinarySI at int64, and no other format
_SIZE_LIMIT = 1000  # characters, and exponent: no float comes near, and no text makes us compute 10**(10**9)

_FORM_FAULT = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
_SUFFIX_FAULT = "unable to parse quantity's suffix"
_NUMBER_FAULT = "unable to parse numeric part of quantity"


def milli_text(milli: int) -> str:
    """Print thousandths in canonical DecimalSI, clamped to what an HPA can read: `1500m`, `42`, `1k`."""
    if milli % 1000 and -MILLI_LIMIT < milli < MILLI_LIMIT:
        return f"{milli}m"  # most values, so it comes first
    milli = min(max(milli, -MILLI_LIMIT), MILLI_LIMIT)
    if not milli:
        return "0"
    thousands = 0
    while not milli % 1000:
        milli //= 1000
        thousands += 1
    return f"{milli}{_MILLI_SUFFIXES[thousands]}"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Quantity:
    """A number of units of 10^-9, exact and unbounded; two are equal if their numbers are, whatever their formats."""

    nano: int
    format: Format = field(default=Format.DECIMAL_SI, compare=False)

    @classmethod
    def from_int(cls, number: int, form: Format = Format.DECIMAL_SI) -> Quantity:
        """Build a whole number."""
        return cls(nano=number * _NANO, format=form)

    @classmethod
    def from_milli(cls, milli: int, form: Format = Format.DECIMAL_SI) -> Quantity:
        """Build a number of thousandths."""
        return cls(nano=milli * _MILLI, format=form)

    @classmethod
    def parse(cls, text: str) -> Quantity:
        """Read a quantity, rounding away from zero to 10^-9; raise ValueError with Kubernetes' text."""
        match = _TEXT.fullmatch(text)
        if match is None:
            raise ValueError(_FORM_FAULT)
        sign, whole, decimals, suffix = match[1], match[2], match[3] or "", match[4]
        if not whole and not decimals:  # Go takes `Ki` for zero and `Pi` for an error
            raise ValueError(_FORM_FAULT)
        if len(text) > _SIZE_LIMIT:
            raise ValueError(_NUMBER_FAULT)
        form, factor, exponent = _suffix_meaning(suffix)
        mantissa = int(f"0{whole}{decimals}") * factor
        nano = _scaled(mantissa, exponent - len(decimals) + _NANO_DIGITS)
        if form is Format.BINARY_SI:
            nano = min(nano, _BINARY_LIMIT)
            form = Format.DECIMAL_SI if 0 < nano < _NANO else form
        return cls(nano=-nano if sign == "-" else nano, format=form)

    def __add__(self, other: Quantity) -> Quantity:
        return Quantity(nano=self.nano + other.nano, format=self.format if self.nano else other.format)

    def __str__(self) -> str:
        if not self.nano:
            return "0"
        if self.format is Format.BINARY_SI and abs(self.nano) >= _KIBI * _NANO and not self.nano % _NANO:
            return _binary_text(self.nano // _NANO)
        zeros = len(digits := str(self.nano)) - len(digits.rstrip("0"))
        exponent = zeros // 3 * 3 - _NANO_DIGITS
        if self.format is not Format.DECIMAL_EXPONENT:
            # Beyond E there is no suffix. Kubernetes then prints none, and so another number; we print 1000E.
            exponent = min(exponent, _LARGEST_SUFFIX_EXPONENT)
        suffix = _DECIMAL_SUFFIXES[exponent] if self.format is not Format.DECIMAL_EXPONENT else _exponent_text(exponent)
        return f"{self.nano // 10 ** (exponent + _NANO_DIGITS)}{suffix}"

    def value(self) -> int:
        """Return the whole number, rounded away from zero; exact, where Go's int64 wraps around."""
        return _divided(self.nano, _NANO)

    def milli_value(self) -> int:
        """Return thousandths, rounded away from zero; exact, where Go's int64 wraps around."""
        return _divided(self.nano, _MILLI)


def _suffix_meaning(suffix: str) -> tuple[Format, int, int]:
    """Return what a suffix says: the format, a factor, and a power of ten."""
    if suffix in _DECIMAL_EXPONENTS:
        return Format.DECIMAL_SI, 1, _DECIMAL_EXPONENTS[suffix]
    if suffix in _BINARY_SUFFIXES:
        return Format.BINARY_SI, _KIBI ** _BINARY_SUFFIXES.index(suffix), 0
    match = _EXPONENT.fullmatch(suffix)
    if match is None or abs(int(match[1])) > _SIZE_LIMIT:
        raise ValueError(_SUFFIX_FAULT)
    return Format.DECIMAL_EXPONENT, 1, int(match[1])


def _exponent_text(exponent: int) -> str:
    return f"e{exponent}" if exponent else ""


def _binary_text(number: int) -> str:
    """Print a whole number with the largest binary suffix that divides it."""
    thousands = 0
    while not number % _KIBI and thousands < len(_BINARY_SUFFIXES) - 1:
        number //= _KIBI
        thousands += 1
    return f"{number}{_BINARY_SUFFIXES[thousands]}"


def _scaled(number: int, exponent: int) -> int:
    """Return `number * 10**exponent`, rounded away from zero."""
    return number * 10**exponent if exponent >= 0 else _divided(number, 10**-exponent)


def _divided(number: int, divisor: int) -> int:
    """Divide, rounding away from zero."""
    return number // divisor if number < 0 else -(-number // divisor)
