"""What the scalars of a file mean: YAML 1.1 as yaml.v2 resolves it, and Prometheus' durations."""

from __future__ import annotations

import math
import re
from typing import Final, Self

_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE: Final = frozenset({"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"})
_FALSE: Final = frozenset({"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"})
_NUMBER: Final = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_INFINITY: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)")
_TAGS: Final = {"!!null", "!!bool", "!!int", "!!float"}
_LONG_TAG: Final = "tag:yaml.org,2002:"

# Prometheus' model.ParseDuration: each unit once, from the longest to the shortest.
_DURATION: Final = re.compile(
    r"(?:([0-9]+)y)?(?:([0-9]+)w)?(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?(?:([0-9]+)ms)?", re.ASCII
)
_UNIT_MILLISECONDS: Final = (31_536_000_000, 604_800_000, 86_400_000, 3_600_000, 60_000, 1_000, 1)
_MAX_MILLISECONDS: Final = (2**63 - 1) // 1_000_000  # Go keeps a duration in 64 bits of nanoseconds
_MAX_DURATION_CHARACTERS: Final = 100


class Word(str):
    """A scalar of a file: its raw text, which is what every text field takes; `plain` if it may also be a number."""

    __slots__ = ("plain",)

    plain: bool

    def __new__(cls, text: str, *, plain: bool) -> Self:
        """Return the text, remembering whether it was written without quotes."""
        word = super().__new__(cls, text)
        word.plain = plain
        return word


def resolve(text: str, *, style: str, tag: str) -> Word | None:
    """Return what a scalar stands for: None for YAML's null, else its text."""
    short = "!!" + tag.removeprefix(_LONG_TAG) if tag.startswith(_LONG_TAG) else tag
    if short == "!!null" or (not tag and not style and text in _NULLS):
        return None
    return Word(text, plain=short in _TAGS or (not tag and not style))


def boolean(value: object) -> bool | None:
    """Return the truth value of a plain scalar, or None if it has none."""
    if isinstance(value, bool):
        return value
    if not isinstance(value, Word) or not value.plain:
        return None
    return True if value in _TRUE else False if value in _FALSE else None


def number(value: object) -> float | None:
    """Return the number that a plain scalar is, infinities included, or None if it is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return None if math.isnan(value) else float(value)
    if not isinstance(value, Word) or not value.plain:
        return None
    if _INFINITY.fullmatch(value):
        return -math.inf if value.startswith("-") else math.inf
    return float(value) if _NUMBER.fullmatch(value) else None


def duration_seconds(text: str) -> float:
    """Return the seconds of a Prometheus duration such as 10s, 5m, 1h30m, 1d or 0.

    Raises:
        ValueError: The text is not a duration; the words are those of Prometheus.
    """
    if text == "0":
        return 0.0
    if not text:
        raise ValueError("empty duration string")
    match = _DURATION.fullmatch(text) if len(text) <= _MAX_DURATION_CHARACTERS else None
    if match is None:
        raise ValueError(f'not a valid duration string: "{text[:_MAX_DURATION_CHARACTERS]}"')
    amounts = zip(match.groups(default="0"), _UNIT_MILLISECONDS, strict=True)
    milliseconds = sum(int(amount) * unit for amount, unit in amounts)
    if milliseconds > _MAX_MILLISECONDS:
        raise ValueError("duration out of range")
    return milliseconds / 1000
