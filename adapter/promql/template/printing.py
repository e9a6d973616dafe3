"""How Go's fmt prints values: Sprint, Sprintln and Sprintf, with the texts that it writes for misuse."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from adapter.promql.template.values import Kind, Value, kind_of
from adapter.promql.template.verbs import VERBS, Flags, string

# The longest text that a template, or a print inside it, may make: far beyond what a server takes as a query. It keeps
# a width, or a variable that doubles itself, from eating the memory.
MAX_BYTES = 1 << 20
# What fmt takes for a sane width or precision (fmt/print.go, tooLarge).
_SANE = 1_000_000

_PLAIN = Flags()
_FLAGS = {"#": "sharp", "0": "zero", "+": "plus", "-": "minus", " ": "space"}
# Float verbs that nobody needs in a query.
_EXOTIC_FLOAT_VERBS = frozenset("bxX")
# For errors only, so a misuse of any other value as a whole, not of its elements.
_ERROR_VERB = "w"


def bounded(pieces: Iterable[str]) -> str:
    """Join texts.

    Raises:
        ValueError: the result is longer than a template may make.
    """
    kept: list[str] = []
    size = 0
    for piece in pieces:
        size += len(piece.encode())
        if size > MAX_BYTES:
            raise ValueError(f"the text grows beyond {MAX_BYTES} bytes")
        kept.append(piece)
    return "".join(kept)


def sprint(*values: Value) -> str:
    """Print values with spaces between those that are no strings."""
    return bounded(_spaced(values))


def sprintln(*values: Value) -> str:
    """Print values with spaces between them and a line feed at the end."""
    return bounded([" ".join([show(value) for value in values]), "\n"])


def sprintf(text: str, *values: Value) -> str:
    """Print values into the places that a format has for them."""
    return bounded(_Format(text, values).pieces())


def show(value: Value, verb: str = "v", flags: Flags = _PLAIN) -> str:
    """Return what a verb prints for a value.

    Raises:
        ValueError: it is something that we do not print.
    """
    kind = kind_of(value)
    if kind is Kind.STRUCT:
        raise ValueError("the whole data cannot be printed; name one of its fields")
    if verb == "T":
        return string(kind.value, flags)
    if verb == "p" or (kind is Kind.FLOAT and (verb in _EXOTIC_FLOAT_VERBS or flags.sharp)):
        raise ValueError(f"printf does not support %{verb} of a {kind.value} here")
    if isinstance(value, Mapping) and verb != _ERROR_VERB:
        pairs = (f"{show(key, verb, flags)}:{show(value[key], verb, flags)}" for key in sorted(value))
        return _enclosed(pairs, kind, "map[", flags)
    if kind is Kind.SLICE and isinstance(value, Sequence) and verb != _ERROR_VERB:
        return _enclosed((show(item, verb, flags) for item in value), kind, "[", flags)
    if written := VERBS.get(kind, {}).get(verb):
        return written(value, flags)
    return f"%!{verb}({kind.value if value is None else f'{kind.value}={show(value, flags=flags)}'})"


def _enclosed(items: Iterable[str], kind: Kind, opening: str, flags: Flags) -> str:
    if flags.go_syntax:
        return f"{kind.value}{{{', '.join(items)}}}"
    return f"{opening}{' '.join(items)}]"


def _spaced(values: Sequence[Value]) -> Iterator[str]:
    after_string = True
    for value in values:
        is_string = isinstance(value, str)
        if not is_string and not after_string:
            yield " "
        yield show(value)
        after_string = is_string


class _Format:
    """One pass over a format, as fmt's doPrintf makes it: widths may come from values, and values may be numbered."""

    def __init__(self, text: str, values: Sequence[Value]) -> None:
        self._text = text
        self._values = values
        self._at = 0  # in the text
        self._next_value = 0
        self._reordered = False  # some directive named its value by number
        self._good_number = True

    def pieces(self) -> Iterator[str]:
        """Yield what is printed."""
        while (percent := self._text.find("%", self._at)) >= 0:
            yield self._text[self._at : percent]
            self._at = percent + 1
            yield from self._directive()
        yield self._text[self._at :]
        if not self._reordered and self._next_value < len(self._values):
            extra = [
                kind_of(None).value if value is None else f"{kind_of(value).value}={show(value)}"
                for value in self._left_over()
            ]
            yield f"%!(EXTRA {', '.join(extra)})"

    def _left_over(self) -> Sequence[Value]:
        return self._values[self._next_value :]

    def _directive(self) -> Iterator[str]:
        self._good_number = True
        flags = self._flags()
        numbered = self._number()
        if self._accept("*"):
            width = self._from_value()
            if width is None:
                yield "%!(BADWIDTH)"
            elif width < 0:
                flags = replace(flags, minus=True, zero=False)
            flags = replace(flags, width=abs(width or 0))
            numbered = False
        else:
            flags = replace(flags, width=self._digits())
            self._good_number &= not (numbered and flags.width is not None)
        if self._text.startswith(".", self._at) and self._at + 1 < len(self._text):
            self._at += 1
            self._good_number &= not numbered
            numbered = self._number()
            if self._accept("*"):
                precision = self._from_value()
                if precision is None or precision < 0:
                    precision = None
                    yield "%!(BADPREC)"
                flags = replace(flags, precision=precision)
                numbered = False
            else:
                flags = replace(flags, precision=self._digits() or 0)
        if not numbered:
            self._number()
        if self._at >= len(self._text):
            yield "%!(NOVERB)"
            return
        verb = self._text[self._at]
        self._at += 1
        yield self._printed(verb, flags)

    def _printed(self, verb: str, flags: Flags) -> str:
        if verb == "%":
            return "%"
        if not self._good_number:
            return f"%!{verb}(BADINDEX)"
        if self._next_value >= len(self._values):
            return f"%!{verb}(MISSING)"
        if verb == "v":
            flags = replace(flags, go_syntax=flags.sharp, sharp=False, plus=False)
        value = self._values[self._next_value]
        self._next_value += 1
        return show(value, verb, flags)

    def _flags(self) -> Flags:
        found: dict[str, bool] = {}
        while (name := _FLAGS.get(self._text[self._at : self._at + 1])) is not None:
            found[name] = True
            self._at += 1
        return Flags(**found)

    def _number(self) -> bool:
        """Read the number of a value, `[2]`, if one stands here; tell whether it could be read."""
        if not self._text.startswith("[", self._at):
            return False
        self._reordered = True
        closing = self._text.find("]", self._at)
        if closing < 0:
            self._at += 1
            self._good_number = False
            return False
        digits = self._text[self._at + 1 : closing]
        self._at = closing + 1
        readable = digits.isascii() and digits.isdecimal() and int(digits[:8]) <= 10 * _SANE
        if readable and 1 <= int(digits) <= len(self._values):
            self._next_value = int(digits) - 1
        else:
            self._good_number = False
        return readable

    def _digits(self) -> int | None:
        """Read a width or a precision, if one stands here; an insane one swallows the rest of the format."""
        number: int | None = None
        while (digit := self._text[self._at : self._at + 1]) and digit in "0123456789":
            if (number or 0) > _SANE:
                self._at = len(self._text)
                return None
            number = (number or 0) * 10 + int(digit)
            self._at += 1
        return number

    def _accept(self, mark: str) -> bool:
        found = self._text.startswith(mark, self._at)
        self._at += found
        return found

    def _from_value(self) -> int | None:
        """Take a width or a precision from the values; None if that is no sane integer."""
        if self._next_value >= len(self._values):
            return None
        value = self._values[self._next_value]
        self._next_value += 1
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) > _SANE:
            return None
        return value
