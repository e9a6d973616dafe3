"""What a flag is: its kind of value, and how that is read from the command line."""

from __future__ import annotations

import csv
import ipaddress
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from adapter.kube.durations import parse_duration
from adapter.promql.matchers import quote

_NANOSECONDS: Final = 1_000_000_000
_TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_INTEGER: Final = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F]+|0[oO]?[0-7]*|0[bB][01]+|[1-9][0-9]*)", re.ASCII)
_SIZE: Final = re.compile(r"([0-9]{1,18})(Ki|Mi|Gi|k|K|M|G)?", re.ASCII)
_UNITS: Final = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, None: 1}
_INT_LIMIT: Final = 2**63
_MAX_PORT: Final = 65535


def _boolean(text: str) -> bool:
    if text not in _TRUE | _FALSE:
        raise ValueError(f"strconv.ParseBool: parsing {quote(text)}: invalid syntax")
    return text in _TRUE


def _integer(text: str) -> int:
    if len(text) > 100 or not _INTEGER.fullmatch(text):  # noqa: PLR2004 - far more than 64 bits can hold
        raise ValueError(f"strconv.ParseInt: parsing {quote(text)}: invalid syntax")
    digits = text.lstrip("+-")
    octal = digits.startswith("0") and digits[1:].isdigit()  # Go reads a leading zero as octal
    value = (-1 if text.startswith("-") else 1) * int(digits, 8 if octal else 0)
    if not -_INT_LIMIT <= value < _INT_LIMIT:
        raise ValueError(f"strconv.ParseInt: parsing {quote(text)}: value out of range")
    return value


def _floating(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"strconv.ParseFloat: parsing {quote(text)}: invalid syntax")
    return value


def _seconds(text: str) -> float:
    return parse_duration(text) / _NANOSECONDS


def _words(text: str) -> tuple[str, ...]:
    """Read one record of comma-separated values, as pflag does; quotes keep a comma."""
    try:
        return tuple(next(csv.reader([text], strict=True), ())) if text else ()
    except csv.Error as error:
        raise ValueError(f"parse error: {error}") from error


def _one_word(text: str) -> tuple[str, ...]:
    return (text,) if text else ()


def _size(text: str) -> int:
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError("not a number of bytes such as 67108864 or 64Mi")
    return int(match[1]) * _UNITS[match[2]]


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        raise ValueError(f"failed to parse IP: {quote(text)}") from error


def _bind(text: str) -> tuple[str, int] | None:
    """Read `address:port`, `[address]:port` or `:port` for all addresses; nothing and 0 are none."""
    if text in ("", "0"):
        return None
    host, colon, port = text.rpartition(":")
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port, re.ASCII) or not 0 < int(port) <= _MAX_PORT:
        raise ValueError("must be address:port, [address]:port or :port")
    return _address(host.removeprefix("[").removesuffix("]")) if host else "0.0.0.0", int(port)  # noqa: S104 - as asked


class Kind(Enum):
    """A kind of value: the word for it, and its reader, which raises ValueError in the words of Go."""

    STRING = ("string", str)
    BOOL = ("bool", _boolean)
    INT = ("int", _integer)
    FLOAT = ("float", _floating)
    DURATION = ("duration", _seconds)
    LIST = ("strings", _words)  # comma-separated; repetition adds
    REPEATED = ("stringArray", _one_word)  # repetition adds; a comma means nothing
    BYTES = ("bytes", _size)
    IP = ("ip", _address)
    BIND = ("address", _bind)

    def __init__(self, word: str, read: Callable[[str], Any]) -> None:
        self.word = word
        self.read = read

    @property
    def adds(self) -> bool:
        """Say whether a second time adds to the first; else the last one counts."""
        return self in (Kind.LIST, Kind.REPEATED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """A flag: `default` is written as on the command line; `idle` says why it has no effect, empty if it has one."""

    name: str
    group: str
    kind: Kind = Kind.STRING
    default: str = ""
    help: str = ""
    idle: str = ""
    shorthand: str = ""
    choices: tuple[str, ...] = ()
    positive: bool = False  # zero will not do
    setting: str = ""  # the attribute of Settings, where it does not follow from the name

    @property
    def attribute(self) -> str:
        """Return the attribute of Settings that the flag sets; a duration's is in seconds."""
        unit = "_seconds" if self.kind is Kind.DURATION else ""
        return self.setting or self.name.replace("-", "_") + unit

    @property
    def spelling(self) -> str:
        """Return the flag as messages name it, as pflag does."""
        return f"-{self.shorthand}, --{self.name}" if self.shorthand else f"--{self.name}"

    @property
    def effect(self) -> str:
        """Return what the flag does, or why it does nothing, for people."""
        if not (self.help and self.idle):
            return self.help or self.idle
        return f"{self.help} (no effect yet: {self.idle})"

    @property
    def has_default(self) -> bool:
        """Say whether there is a value if the flag is not given; an empty text is one."""
        return bool(self.default) or self.kind in (Kind.STRING, Kind.LIST, Kind.REPEATED, Kind.BIND)

    def read(self, text: str) -> Any:
        """Return the value of a text.

        Raises:
            ValueError: The text is no value of this flag; says why.
        """
        value = self.kind.read(text)
        if self.choices and value not in self.choices:
            raise ValueError(f"must be {' or '.join(self.choices)}")
        if isinstance(value, int | float) and not isinstance(value, bool):
            if value < 0:
                raise ValueError("must not be negative")
            if self.positive and value == 0:
                raise ValueError("must be more than 0")
        return value
