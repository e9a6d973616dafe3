"""Durations as Go writes them: `1m30s`, `1.5s`, `500ms`."""

from __future__ import annotations

import re

_MICROSECOND, _MILLISECOND, _SECOND = 1_000, 1_000_000, 1_000_000_000
_MINUTE, _HOUR = 60 * _SECOND, 3600 * _SECOND

_UNITS = {
    "ns": 1,
    "us": _MICROSECOND,
    "\u00b5s": _MICROSECOND,  # the micro sign
    "\u03bcs": _MICROSECOND,  # the Greek letter mu
    "ms": _MILLISECOND,
    "s": _SECOND,
    "m": _MINUTE,
    "h": _HOUR,
}
_SMALL_UNITS = ((_MILLISECOND, "ms"), (_MICROSECOND, "\u00b5s"), (1, "ns"))

_PART = re.compile(r"([0-9]*)(?:\.([0-9]*))?([^0-9.]*)")
_LIMIT = 2**63  # nanoseconds; Go keeps a duration in 64 bits, which is about 292 years
_LIMIT_DIGITS = 19
_FRACTION_LIMIT = (_LIMIT - 1) // 10


def parse_duration(text: str) -> int:
    """Return the nanoseconds of a Go duration; raise ValueError with the text of Go's time.ParseDuration."""
    negative = text.startswith("-")
    rest = text[1:] if text.startswith(("-", "+")) else text
    if rest == "0":
        return 0
    total = 0
    position = 0
    while position < len(rest) or not rest:
        match = _PART.match(rest, position)
        if match is None or match.end() == position:
            raise _invalid(text)
        total += _part_nanoseconds(match, text)
        if total > _LIMIT:
            raise _invalid(text)
        position = match.end()
    if negative:
        return -total
    if total == _LIMIT:
        raise _invalid(text)
    return total


def format_duration(nanoseconds: int) -> str:
    """Print nanoseconds as Go's Duration.String does: the largest fitting units, hours at most, `0s` for zero."""
    sign, size = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    if size == 0:
        return "0s"
    if size < _SECOND:
        unit, name = next(one for one in _SMALL_UNITS if size >= one[0])
        return f"{sign}{_decimal(size, unit)}{name}"
    hours, rest = divmod(size, _HOUR)
    minutes, rest = divmod(rest, _MINUTE)
    seconds = f"{_decimal(rest, _SECOND)}s"
    if hours:
        return f"{sign}{hours}h{minutes}m{seconds}"
    return f"{sign}{minutes}m{seconds}" if minutes else f"{sign}{seconds}"


def _part_nanoseconds(match: re.Match[str], text: str) -> int:
    """Return the nanoseconds of one number with its unit."""
    digits, fraction, name = match[1], match[2] or "", match[3]
    # int() refuses more than 4,300 digits, zeros among them
    whole = digits.lstrip("0") or "0"
    if not (digits or fraction) or len(whole) > _LIMIT_DIGITS or int(whole) > _LIMIT:
        raise _invalid(text)
    if not name:
        raise ValueError(f"time: missing unit in duration {_quoted(text)}")
    if name not in _UNITS:
        raise ValueError(f"time: unknown unit {_quoted(name)} in duration {_quoted(text)}")
    unit = _UNITS[name]
    return int(whole) * unit + _fraction_nanoseconds(fraction, unit)


def _fraction_nanoseconds(digits: str, unit: int) -> int:
    """Return the digits behind the point in nanoseconds: in floating point, as Go, so that the last digit agrees."""
    value, scale = 0, 1.0
    for digit in digits:
        if value > _FRACTION_LIMIT:
            break
        value = value * 10 + int(digit)
        scale *= 10
    return int(value * (unit / scale))


def _decimal(size: int, unit: int) -> str:
    """Print `size / unit` exactly; the unit is a power of ten."""
    whole, rest = divmod(size, unit)
    if not rest:
        return str(whole)
    return f"{whole}.{rest:0{len(str(unit)) - 1}d}".rstrip("0")


def _invalid(text: str) -> ValueError:
    return ValueError(f"time: invalid duration {_quoted(text)}")


def _quoted(text: str) -> str:
    """Quote as Go's time package does, not as fmt does: bytes that are not printable ASCII are written in hex."""
    escaped = text.replace("\\", r"\\").replace('"', r"\"")
    return f'"{"".join(map(_quoted_one, escaped))}"'


def _quoted_one(character: str) -> str:
    if " " <= character <= "\x7f":
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode(errors="surrogatepass"))
