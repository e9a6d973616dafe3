"""Quantities against what apimachinery printed and computed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import pytest
from kube_vectors import lines

from adapter.kube.quantity import MILLI_LIMIT, Format, Quantity, milli_text

FILES = {"quantities.txt": 183, "quantities-canonical.txt": 32}
FAILURES = 15

BUILDERS: tuple[tuple[str, Callable[[re.Match[str]], Quantity]], ...] = (
    (r'Parse\("(.*?)"\s*\)', lambda match: Quantity.parse(match[1])),
    (r"NewQuantity\((-?\d+)\)", lambda match: Quantity.from_int(int(match[1]))),
    (r"NewQuantity\((-?\d+),BinarySI\)", lambda match: Quantity.from_int(int(match[1]), Format.BINARY_SI)),
    (r"NewMilliQuantity\((-?\d+)\)", lambda match: Quantity.from_milli(int(match[1]))),
    (r"NewScaledQuantity\((-?\d+),Nano\)", lambda match: Quantity(nano=int(match[1]))),
    (r"prom-adapter int64\(\S+\)=(-?\d+)", lambda match: Quantity.from_milli(int(match[1]))),
    (r"add 900m to (\S+)", lambda match: Quantity.parse(match[1]) + Quantity.parse("900m")),
)

# Go prints some texts again as they were written, although they are not canonical. We never do.
REPRINTED_BY_GO = {
    "5.": "5",
    "1.234": "1234m",
    "12.345": "12345m",
    "123.456": "123456m",
    "1E6": "1e6",
    "1e0": "1",
    "1.500k": "1500",
    "+1": "1",
    "+1500": "1500",
}
# Above 999E, Go has no suffix and prints none: it says `1` for 10**21. We say what is meant.
CUT_BY_GO = {
    "1000000000000000000000": "1000E",
    "10000000000000000000000": "10000E",
    "-1000000000000000000000": "-1000E",
    "1000E": "1000E",
    "1000000P": "1000E",
}
# Numbers that Go neither computes right nor modulo 2**64: a sign is lost, or an overflow becomes 0 or noise.
GARBLED_BY_GO = {
    "Value": {"-0.0000000001", "-9223372036854775808", "1e19", "1e20", "1e21", "-1000000000000000000000"}
    | {"1000E", "1000000P"},
    "Milli": {"-0.0000000001", "6E", "1E", "1e19", "1e20", "1e21", "-1000000000000000000000", "1000E", "1000000P"},
}


class Line(NamedTuple):
    """One recorded line: how the quantity came about, and what Go said of it."""

    how: str
    text: str
    form: str | None
    value: int
    milli: int

    @property
    def input(self) -> str:
        """Return the text that was parsed, if one was."""
        match = re.fullmatch(BUILDERS[0][0], self.how)
        return match[1] if match else ""


def recorded() -> list[Line]:
    """Return the lines that are quantities."""
    found = []
    for line in (line for file in FILES for line in lines(file) if " ERR " not in line):
        match = re.fullmatch(
            r'(.*?)\s+(?:json|String="\S+"\s+canonical)="(\S+)"\s+(?:fmt=(\w+)\s+)?Value=(-?\d+) Milli=(-?\d+)', line
        )
        assert match, line
        found.append(Line(match[1], match[2], match[3], int(match[4]), int(match[5])))
    return found


def refused() -> list[tuple[str, str]]:
    """Return the texts that are no quantities, with the errors."""
    found = (line.split(" ERR ") for file in FILES for line in lines(file) if " ERR " in line)
    return [(how.removeprefix('Parse("').removesuffix('")'), error) for how, error in found]


def built(how: str) -> Quantity:
    """Build what a line describes, by the one builder that understands it."""
    (quantity,) = [build(match) for pattern, build in BUILDERS if (match := re.fullmatch(pattern, how))]
    return quantity


def test_every_line_is_read() -> None:
    """A line that is added to the files is tested, or fails here."""
    assert {file: len(lines(file)) for file in FILES} == FILES
    assert len(recorded()) + len(refused()) == sum(FILES.values())
    assert len(refused()) == FAILURES


def test_every_exception_is_used() -> None:
    """An exception that no line needs is not kept."""
    inputs = {line.input for line in recorded()}

    exceptions = {*REPRINTED_BY_GO, *CUT_BY_GO, *GARBLED_BY_GO["Value"], *GARBLED_BY_GO["Milli"]}

    assert exceptions <= inputs


@pytest.mark.parametrize("line", recorded(), ids=lambda line: line.how)
def test_prints_canonically(line: Line) -> None:
    """A quantity prints as Kubernetes prints it after any arithmetic, and keeps its format."""
    quantity = built(line.how)

    own = REPRINTED_BY_GO | CUT_BY_GO
    assert str(quantity) == own.get(line.input, line.text)
    assert line.form in (quantity.format, None)
    if line.input in REPRINTED_BY_GO:
        assert line.text == line.input


@pytest.mark.parametrize("line", recorded(), ids=lambda line: line.how)
@pytest.mark.parametrize("column", ["Value", "Milli"])
def test_computes_exactly(line: Line, column: str) -> None:
    """Values equal Go's where they fit 64 bits; where Go wraps around, ours are exact and equal modulo 2**64."""
    quantity = built(line.how)

    ours, theirs = {"Value": (quantity.value(), line.value), "Milli": (quantity.milli_value(), line.milli)}[column]

    if line.input in GARBLED_BY_GO[column]:
        assert (ours - theirs) % 2**64 != 0
    elif -(2**63) <= ours < 2**63:
        assert ours == theirs
    else:
        assert (ours - theirs) % 2**64 == 0


@pytest.mark.parametrize(("text", "error"), refused())
def test_refuses_with_kubernetes_words(text: str, error: str) -> None:
    """What is no quantity is refused in the words that people search for."""
    with pytest.raises(ValueError, match=f"^{re.escape(error)}$"):
        Quantity.parse(text)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("1e1001", "unable to parse quantity's suffix"),
        ("1e999999999", "unable to parse quantity's suffix"),
        ("1e9999999999999999999", "unable to parse quantity's suffix"),
        ("9" * 1001, "unable to parse numeric part of quantity"),
        ("Ki", "quantities must match the regular expression"),
        ("-", "quantities must match the regular expression"),
        ("\u0661", "quantities must match the regular expression"),
    ],
)
def test_refuses_what_nobody_means(text: str, error: str) -> None:
    """Numbers beyond all floats, no digits at all, and digits of other scripts are refused at once."""
    with pytest.raises(ValueError, match=f"^{re.escape(error)}"):
        Quantity.parse(text)


@pytest.mark.parametrize(
    ("milli", "text"),
    [
        (0, "0"),
        (1, "1m"),
        (-1500, "-1500m"),
        (42_000, "42"),
        (-1_000_000, "-1k"),
        (1_500_000, "1500"),
        (10**18, "1P"),
        (MILLI_LIMIT - 1, "9199999999999999999m"),
        (MILLI_LIMIT, "9200T"),
        (MILLI_LIMIT + 1, "9200T"),
        (10**30, "9200T"),
        (-MILLI_LIMIT - 1, "-9200T"),
    ],
)
def test_thousandths_are_clamped(milli: int, text: str) -> None:
    """No value is printed that an HPA's 64-bit arithmetic could not read."""
    assert milli_text(milli) == text


def test_equal_numbers_are_equal() -> None:
    """The format does not count in comparisons, as with Kubernetes' Cmp."""
    assert Quantity.parse("1Ki") == Quantity.parse("1024")
    assert Quantity.parse("1Ki") > Quantity.parse("1k")
    assert len({Quantity.parse("1"), Quantity.parse("1000m")}) == 1


def test_a_sum_takes_the_format_of_what_is_not_zero() -> None:
    """Summing memory that begins with zero stays binary, as in Kubernetes' Add."""
    total = Quantity.from_int(0) + Quantity.parse("1Mi") + Quantity.parse("1k")

    assert total.format is Format.BINARY_SI
    assert str(Quantity.from_int(0) + Quantity.parse("2Mi")) == "2Mi"
