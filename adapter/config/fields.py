"""The kinds of value that a rules file has: how each is read from a scalar, and what is said if it cannot be."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Annotated, Final, Literal, get_args

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from adapter.config.names import (
    MAX_NAME_CHARACTERS,
    has_control_characters,
    is_header_value,
    is_namespace_pattern,
    is_one_line,
)
from adapter.config.urls import url_fault
from adapter.config.words import Word, boolean, duration_seconds, number

_DURATION_PATTERN: Final = r"^([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$"
# The most that `staleIfError` may say: Prometheus itself shows no series for longer that is gone (its look-back).
MAX_STALE_SECONDS: Final = 300.0
_SCALAR: Final = {"type": ["string", "number", "boolean"]}


def refusal(code: str, message: str, hint: str = "") -> PydanticCustomError:
    """Return the error that a validator raises; `{field}` in the message becomes the name of the key."""
    return PydanticCustomError(code, "{message}", {"message": message, "hint": hint})


def type_refusal(wanted: str, found: object, hint: str = "") -> PydanticCustomError:
    """Return the error for a value of another type than the one wanted."""
    return refusal("schema/type", f"{{field}} must be {wanted}, not {_described(found)}", hint)


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a hint that names the known word nearest to this one, or nothing if none is near."""
    if len(word) > MAX_NAME_CHARACTERS:
        return ""
    spelled = {one.lower(): one for one in known}
    close = get_close_matches(word.lower(), spelled, n=1)
    return f'did you mean "{spelled[close[0]]}"?' if close else ""


def _described(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, Mapping):
        return "a mapping"
    if boolean(value) is not None:
        return "a boolean"
    return "text" if number(value) is None else "a number"


def _read_text(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise type_refusal("text", value)
    return str(value)


def _read_flag(value: object) -> bool:
    flag = boolean(value)
    if flag is None:
        quoted = isinstance(value, Word) and boolean(Word(value, plain=True)) is not None
        raise type_refusal("true or false", value, "leave the quotes out" if quoted else "")
    return flag


def _read_number(value: object) -> float:
    found = number(value)
    if found is None:
        quoted = isinstance(value, Word) and number(Word(value, plain=True)) is not None
        raise type_refusal("a number", value, "leave the quotes out" if quoted else "")
    return found


def _read_count(value: object) -> int:
    found = _read_number(value)
    if not (1 <= found < 2**63 and found.is_integer()):
        raise refusal("schema/range", "{field} must be a whole number from 1")
    return int(found)


def _read_seconds(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf:
        return float(value)  # from Python, where the unit is in the field's name
    if value is not None and not isinstance(value, str):
        raise type_refusal("a duration", value, "for example 10s, 5m or 1h30m")
    text = value or ""
    try:
        return duration_seconds(text)
    except ValueError as error:
        bare = number(Word(text, plain=True)) is not None
        hint = f"add a unit: {text}s" if bare else "for example 10s, 5m, 1h30m, 1d or 0"
        raise refusal("schema/duration", str(error), hint) from error


def _read_some_seconds(value: object) -> float:
    seconds = _read_seconds(value)
    if seconds == 0:
        raise refusal("schema/range", "{field} must be more than 0")
    return seconds


def _read_stale_seconds(value: object) -> float:
    seconds = _read_seconds(value)
    if seconds > MAX_STALE_SECONDS:
        hint = "absence is for onEmpty: hold; a Prometheus that fails for longer has to show"
        raise refusal("schema/range", f"{{field}} must not be above {MAX_STALE_SECONDS / 60:g}m", hint)
    return seconds


def _read_scale(value: object) -> float:
    found = _read_number(value)
    if found == 0 or math.isinf(found):
        raise refusal("schema/range", "{field} must be a finite number other than 0")
    return found


def _read_clamp(value: object) -> tuple[float, float]:
    ends = [number(end) for end in value] if isinstance(value, list | tuple) else []
    if len(ends) != 2 or ends[0] is None or ends[1] is None:  # noqa: PLR2004 - the two ends of a range
        raise refusal("schema/type", "{field} must be a list of two numbers", "for example [0, 1000]")
    low, high = ends[0], ends[1]
    if low > high:
        raise refusal("schema/range", f"{{field}} must not end below its start: {low:g} > {high:g}")
    return low, high


def _read_on_empty(value: object) -> str | float:
    if (found := number(value)) is not None and math.isfinite(found):
        return found
    words = ["omit", "error", "zero", "hold"]
    if isinstance(value, str) and value in words:
        return str(value)
    hint = nearest(value, words) if isinstance(value, str) else ""
    raise refusal("schema/choice", "{field} must be omit, error, zero, hold or a number", hint)


def _choice(literal: object) -> BeforeValidator:
    """Return the validator that takes the words of a Literal."""
    words = list(get_args(literal))

    def read(value: object) -> str:
        if isinstance(value, str) and value in words:
            return str(value)
        hint = nearest(value, words) if isinstance(value, str) else ""
        raise refusal("schema/choice", f"{{field}} must be {', '.join(words[:-1])} or {words[-1]}", hint)

    return BeforeValidator(read)


def _read_id(value: object) -> str:
    text = _read_text(value)
    if not is_one_line(text):
        message = f"{{field}} must be one line of at most {MAX_NAME_CHARACTERS} characters, and not empty"
        raise refusal("schema/id", message)
    return text


def _read_label_name(value: object) -> str:
    text = _read_text(value)
    if not text or has_control_characters(text):
        raise refusal("schema/label-name", f'"{text}" is not a label name', "for example namespace or exported_pod")
    return text


def _read_namespace_pattern(value: object) -> str:
    text = _read_text(value)
    if not is_namespace_pattern(text):
        message = f'"{text}" can match no namespace'
        hint = "namespaces are lower-case letters, digits and dashes; *, ? and [a-z] stand for others"
        raise refusal("rule/namespace-pattern", message, hint)
    return text


def _read_header_value(value: object) -> str:
    text = _read_text(value)
    if not is_header_value(text):
        hint = "a token read from a file often ends with a line break"
        raise refusal("backend/header", "the value of {field} contains a control character", hint)
    return text


def _read_url(value: object) -> str:
    text = _read_text(value)
    if text and (fault := url_fault(text)):
        raise refusal("backend/url", f"not the address of a server: {fault}", "for example https://prometheus:9090")
    return text


_SECONDS_SCHEMA: Final = {"anyOf": [{"type": "string", "pattern": _DURATION_PATTERN}, {"const": "0"}, {"const": 0}]}

Text = Annotated[str, BeforeValidator(_read_text), WithJsonSchema(_SCALAR)]
Flag = Annotated[bool, BeforeValidator(_read_flag), WithJsonSchema({"type": "boolean"})]
Count = Annotated[int, BeforeValidator(_read_count), WithJsonSchema({"type": "integer", "minimum": 1})]
Seconds = Annotated[float, BeforeValidator(_read_seconds), WithJsonSchema(_SECONDS_SCHEMA)]
SomeSeconds = Annotated[
    float, BeforeValidator(_read_some_seconds), WithJsonSchema({"type": "string", "pattern": _DURATION_PATTERN})
]
StaleSeconds = Annotated[float, BeforeValidator(_read_stale_seconds), WithJsonSchema(_SECONDS_SCHEMA)]
Scale = Annotated[float, BeforeValidator(_read_scale), WithJsonSchema({"type": "number", "not": {"const": 0}})]
Clamp = Annotated[
    tuple[float, float],
    BeforeValidator(_read_clamp),
    WithJsonSchema({"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}),
]
OnEmpty = Annotated[
    Literal["omit", "error", "zero", "hold"] | float,
    BeforeValidator(_read_on_empty),
    WithJsonSchema({"anyOf": [{"enum": ["omit", "error", "zero", "hold"]}, {"type": "number"}]}),
]
OnNaNWord = Literal["zero", "drop", "error"]
OnDuplicatesWord = Literal["last", "error", "sum", "max", "min", "avg", "first"]
RoundWord = Literal["none", "nearest", "up", "down"]
FuseWord = Literal["auto", "never"]
VerbWord = Literal["GET", "POST"]
PartialResponseWord = Literal["refuse", "allow"]
OnNaN = Annotated[OnNaNWord, _choice(OnNaNWord)]
OnDuplicates = Annotated[OnDuplicatesWord, _choice(OnDuplicatesWord)]
Round = Annotated[RoundWord, _choice(RoundWord)]
Fuse = Annotated[FuseWord, _choice(FuseWord)]
Verb = Annotated[VerbWord, _choice(VerbWord)]
PartialResponse = Annotated[PartialResponseWord, _choice(PartialResponseWord)]
RuleId = Annotated[str, BeforeValidator(_read_id), WithJsonSchema({**_SCALAR, "minLength": 1})]
LabelName = Annotated[str, BeforeValidator(_read_label_name), WithJsonSchema({"type": "string", "minLength": 1})]
NamespacePattern = Annotated[
    str, BeforeValidator(_read_namespace_pattern), WithJsonSchema({**_SCALAR, "pattern": r"^[]a-z0-9*?![-]+$"})
]
HeaderValue = Annotated[str, BeforeValidator(_read_header_value), WithJsonSchema(_SCALAR)]
Url = Annotated[str, BeforeValidator(_read_url), WithJsonSchema({"type": "string"})]
