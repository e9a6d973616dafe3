"""Label selectors and field selectors: read, printed canonically, matched."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from adapter.errors import InvalidSelector
from adapter.kube.gotext import quoted
from adapter.kube.labels import key_fault, value_fault


class Op(StrEnum):
    """How a requirement compares; the texts are apimachinery's names for the operators."""

    EQUALS = "="
    DOUBLE_EQUALS = "=="
    NOT_EQUALS = "!="
    IN = "in"
    NOT_IN = "notin"
    EXISTS = "exists"
    NOT_EXISTS = "!"
    GREATER = "gt"
    LESS = "lt"


_SHAPES = {
    Op.EQUALS: "{key}={values}",
    Op.DOUBLE_EQUALS: "{key}=={values}",
    Op.NOT_EQUALS: "{key}!={values}",
    Op.IN: "{key} in ({values})",
    Op.NOT_IN: "{key} notin ({values})",
    Op.EXISTS: "{key}",
    Op.NOT_EXISTS: "!{key}",
    Op.GREATER: "{key}>{values}",
    Op.LESS: "{key}<{values}",
}


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on a label; the values are sorted and different from each other."""

    key: str
    op: Op
    values: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(sorted(set(self.values))))

    def __str__(self) -> str:
        return _SHAPES[self.op].format(key=self.key, values=",".join(self.values))

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Say whether labels fulfil the condition; a label that is absent fulfils `!=`, `notin` and `!`."""
        value = labels.get(self.key)
        match self.op:
            case Op.EQUALS | Op.DOUBLE_EQUALS | Op.IN:
                return value in self.values
            case Op.NOT_EQUALS | Op.NOT_IN:
                return value not in self.values
            case Op.EXISTS:
                return value is not None
            case Op.NOT_EXISTS:
                return value is None
            case Op.GREATER | Op.LESS:
                return self._compares(value)

    def _compares(self, value: str | None) -> bool:
        number, limit = _int64(value or ""), _int64(self.values[0])
        if number is None or limit is None:
            return False
        return number > limit if self.op is Op.GREATER else number < limit


@dataclass(frozen=True, slots=True)
class Selector:
    """Conditions that must all be fulfilled, sorted by key; without any it selects everything and is falsy."""

    requirements: tuple[Requirement, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "requirements", tuple(sorted(self.requirements, key=lambda one: one.key)))

    def __bool__(self) -> bool:
        return bool(self.requirements)

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Say whether an object with these labels is selected."""
        return all(one.matches(labels) for one in self.requirements)


EVERYTHING = Selector()


def parse_selector(text: str) -> Selector:
    """Read a label selector; raise InvalidSelector with apimachinery's text, or if it is longer than anybody's."""
    _check_length(text)
    return Selector(_Parser(text).requirements())


# Some hundred times the longest selector that was ever seen; more would hold up everybody else's requests.
_CHARACTERS_AT_MOST = 131_072


def _check_length(text: str) -> None:
    if len(text) > _CHARACTERS_AT_MOST:
        raise InvalidSelector(f"the selector has {len(text)} characters, and {_CHARACTERS_AT_MOST} are allowed")


_TOKENS = re.compile(r"==|!=|[=!(),<>]|[^ \t\r\n=!(),<>]+")
_SYMBOLS = frozenset({"", "==", "!=", *"=!(),<>"})  # all that is not a word; the empty one ends the text
_OPERATORS = {
    "=": Op.EQUALS,
    "==": Op.DOUBLE_EQUALS,
    "!=": Op.NOT_EQUALS,
    "in": Op.IN,
    "notin": Op.NOT_IN,
    ">": Op.GREATER,
    "<": Op.LESS,
}


class _Parser:
    """Recursive descent over the grammar of apimachinery's labels.Parse; `in` and `notin` may also be words."""

    def __init__(self, text: str) -> None:
        self._tokens: list[str] = [*_TOKENS.findall(text), ""]
        self._position = 0

    @property
    def _ahead(self) -> str:
        return self._tokens[self._position]

    def _next(self) -> str:
        self._position += 1
        return self._tokens[self._position - 1]

    def requirements(self) -> tuple[Requirement, ...]:
        """Read everything."""
        found: list[Requirement] = []
        if not self._ahead:
            return ()
        if not self._begins_requirement():
            raise InvalidSelector(f"found '{self._ahead}', expected: !, identifier, or 'end of string'")
        while True:
            found.append(self._requirement())
            after = self._next()
            if not after:
                return tuple(found)
            if after != ",":
                raise InvalidSelector(f"found '{after}', expected: ',' or 'end of string'")
            if not self._begins_requirement():
                raise InvalidSelector(f"found '{self._ahead}', expected: identifier after ','")

    def _begins_requirement(self) -> bool:
        return self._ahead == "!" or self._ahead not in _SYMBOLS

    def _requirement(self) -> Requirement:
        negated = self._ahead == "!"
        if negated:
            self._next()
        key = self._word("expected: identifier")
        fault = key_fault(key)
        if fault:
            raise _bad_requirement(f"<nil>: Invalid value: {quoted(key)}: {fault}")
        if negated:
            return Requirement(key, Op.NOT_EXISTS)
        if self._ahead in ("", ","):
            return Requirement(key, Op.EXISTS)
        op = self._operator()
        values = self._value_set() if op in (Op.IN, Op.NOT_IN) else self._value()
        return _checked(Requirement(key, op, values))

    def _word(self, expected: str) -> str:
        word = self._next()
        if word in _SYMBOLS:
            raise _bad_requirement(f"found '{word}', {expected}")
        return word

    def _operator(self) -> Op:
        text = self._next()
        if text not in _OPERATORS:
            raise _bad_requirement(f"found '{text}', expected: in, notin, =, ==, !=, gt, lt")
        return _OPERATORS[text]

    def _value(self) -> tuple[str]:
        if self._ahead in ("", ","):
            return ("",)
        return (self._word("expected: identifier"),)

    def _value_set(self) -> tuple[str, ...]:
        opening = self._next()
        if opening != "(":
            raise _bad_requirement(f"found '{opening}' expected: '('")
        if self._ahead in _SYMBOLS - {",", ")"}:
            raise _bad_requirement(f"found '{self._ahead}', expected: ',', ')' or identifier")
        values = [self._member()]
        while self._next() == ",":
            values.append(self._member())
        return tuple(values)

    def _member(self) -> str:
        """Read one value of a set, which may be empty, up to the comma or parenthesis behind it."""
        if self._ahead in (",", ")"):
            return ""
        value = self._word("expected: ',', or identifier")
        if self._ahead not in (",", ")"):
            raise _bad_requirement(f"found '{self._ahead}', expected: ',' or ')'")
        return value


def _bad_requirement(text: str) -> InvalidSelector:
    return InvalidSelector(f"unable to parse requirement: {text}")


def _checked(requirement: Requirement) -> Requirement:
    """Return the requirement if its values may be label values, and integers where they are compared as such."""
    faults: list[str] = []
    for index, value in enumerate(requirement.values):
        if requirement.op in (Op.GREATER, Op.LESS) and _int64(value) is None:
            fault = "for 'Gt', 'Lt' operators, the value must be an integer"
            faults.append(f"values[{index}]: Invalid value: {quoted(value)}: {fault}")
        if invalid := value_fault(value):
            faults.append(f"values[{index}][{requirement.key}]: Invalid value: {quoted(value)}: {invalid}")
    if faults:
        raise _bad_requirement(faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]")
    return requirement


_INTEGER = re.compile(r"[+-]?[0-9]{1,100}")


def _int64(text: str) -> int | None:
    """Read a decimal integer as Go's ParseInt does, None if it is none or does not fit 64 bits."""
    if not _INTEGER.fullmatch(text):
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldTerm:
    """One condition on a field."""

    field: str
    value: str
    negated: bool = False

    def __str__(self) -> str:
        value = re.sub(r"([\\,=])", r"\\\1", self.value)
        return f"{self.field}{'!=' if self.negated else '='}{value}"


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """Conditions on fields that must all be fulfilled, in the order of their texts."""

    terms: tuple[FieldTerm, ...] = ()

    def __str__(self) -> str:
        return ",".join(map(str, self.terms))

    @property
    def fields(self) -> tuple[str, ...]:
        """Return the fields that are named, in order."""
        return tuple(term.field for term in self.terms)

    def requires_exact(self, field: str) -> str | None:
        """Return the value that a field must have, None if any of several would do."""
        return next((term.value for term in self.terms if term.field == field and not term.negated), None)


_KNOWN_FIELDS = ("metadata.name", "metadata.namespace")
# A backslash takes the next character with it, so that `\,` does not end a term.
_FIELD_TERM = re.compile(r"(?:\\.|[^\\,]|\\\Z)+", re.DOTALL)
_FIELD_OPERATOR = re.compile(r"!=|==|=")


def parse_field_selector(text: str) -> FieldSelector:
    """Read a field selector; raise InvalidSelector with apimachinery's text, or if it is longer than anybody's."""
    _check_length(text)
    terms = [_field_term(part, text) for part in sorted(_FIELD_TERM.findall(text))]
    return FieldSelector(tuple(term for term in terms if term.field or term.value))


def check_known_fields(selector: FieldSelector) -> None:
    """Raise InvalidSelector if a field is named that not every object has."""
    for field in selector.fields:
        if field not in _KNOWN_FIELDS:
            known = ", ".join(map(quoted, _KNOWN_FIELDS))
            raise InvalidSelector(f"{quoted(field)} is not a known field selector: only {known}")


def _field_term(part: str, whole: str) -> FieldTerm:
    operator = _FIELD_OPERATOR.search(part)
    if operator is None:
        raise InvalidSelector(f"invalid selector: '{whole}'; can't understand '{part}'")
    value = _unescaped(part[operator.end() :])
    return FieldTerm(field=part[: operator.start()], value=value, negated=operator[0] == "!=")


def _unescaped(value: str) -> str:
    return re.sub(r"\\(.?)|[,=]", _unescaped_one, value, flags=re.DOTALL)


def _unescaped_one(match: re.Match[str]) -> str:
    escaped = match[1]
    if escaped is None:
        raise InvalidSelector(f"invalid field selector: unescaped character in value: {ord(match[0])}")
    if escaped not in ("\\", ",", "="):
        raise InvalidSelector(f"invalid field selector: invalid escape sequence: {match[0]}")
    return escaped
