"""Laws of quantities, durations and times."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from math import floor

from hypothesis import given
from hypothesis import strategies as st

from adapter.kube.documents import timestamp_text
from adapter.kube.durations import format_duration, parse_duration
from adapter.kube.quantity import MILLI_LIMIT, Format, Quantity, milli_text

SUFFIXES = {"n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 10**3), "": Fraction(1)}
SUFFIXES |= {"k": Fraction(10**3), "M": Fraction(10**6), "G": Fraction(10**9), "T": Fraction(10**12)}
SUFFIXES |= {"P": Fraction(10**15), "E": Fraction(10**18), "Ki": Fraction(2**10), "Mi": Fraction(2**20)}
SUFFIXES |= {"e-3": Fraction(1, 10**3), "e5": Fraction(10**5), "E+2": Fraction(10**2)}
FINEST = Fraction(1, 10**9)

BINARY_LIMIT = Quantity.from_int(2**63 - 1)

quantities = st.builds(
    Quantity,
    nano=st.one_of(
        st.integers(),
        st.integers(-(10**6), 10**6).map(lambda number: number * 10**9),
        st.builds(lambda number, power: number * 1024**power * 10**9, st.integers(-2000, 2000), st.integers(0, 5)),
        st.builds(lambda number, power: number * 10**power, st.integers(-2000, 2000), st.integers(0, 40)),
    ),
    format=st.sampled_from(list(Format)),
)


@st.composite
def written(draw: st.DrawFn) -> tuple[str, Fraction]:
    """Draw a text with the number that it means, before anything is rounded or capped."""
    sign = draw(st.sampled_from(["", "+", "-"]))
    whole = draw(st.from_regex(r"[0-9]{1,6}", fullmatch=True))
    decimals = draw(st.from_regex(r"(\.[0-9]{0,12})?", fullmatch=True))
    suffix = draw(st.sampled_from(sorted(SUFFIXES)))
    size = Fraction(f"{whole}.{decimals[1:]}0") * SUFFIXES[suffix]
    return f"{sign}{whole}{decimals}{suffix}", -size if sign == "-" else size


@given(quantities)
def test_a_printed_quantity_reads_back(quantity: Quantity) -> None:
    """What is printed means exactly what was there; only what Kubernetes caps in BinarySI is capped."""
    text = str(quantity)

    read = Quantity.parse(text)

    if text.endswith("i") and abs(quantity.nano) > BINARY_LIMIT.nano:
        assert abs(read.nano) == BINARY_LIMIT.nano
    else:
        assert read == quantity


@given(quantities)
def test_printing_is_canonical(quantity: Quantity) -> None:
    """Reading and printing again changes nothing."""
    text = str(Quantity.parse(str(quantity)))

    assert str(Quantity.parse(text)) == text


@given(written(), written())
def test_order_is_that_of_numbers(one: tuple[str, Fraction], other: tuple[str, Fraction]) -> None:
    """Quantities are ordered as the numbers they mean, rounded away from zero to the finest unit."""
    assert (Quantity.parse(one[0]) < Quantity.parse(other[0])) == (rounded(one[1]) < rounded(other[1]))
    assert (Quantity.parse(one[0]) == Quantity.parse(other[0])) == (rounded(one[1]) == rounded(other[1]))


@given(written())
def test_values_are_rounded_away_from_zero(drawn: tuple[str, Fraction]) -> None:
    """`value` and `milli_value` are never smaller in size than the number, and by less than one unit larger."""
    quantity, size = Quantity.parse(drawn[0]), abs(rounded(drawn[1]))

    assert 0 <= abs(quantity.value()) - size < 1
    assert 0 <= abs(quantity.milli_value()) - size * 1000 < 1
    assert quantity.value() * drawn[1] >= 0


def rounded(number: Fraction) -> Fraction:
    """Round away from zero to the finest unit."""
    units = -(-abs(number) // FINEST)
    return units * FINEST if number >= 0 else -units * FINEST


@given(st.one_of(st.integers(), st.integers(-(10**7), 10**7).map(lambda number: number * 1000)))
def test_the_fast_text_is_the_exact_one(milli: int) -> None:
    """The printer of the hot path prints what a quantity prints, clamped."""
    clamped = min(max(milli, -MILLI_LIMIT), MILLI_LIMIT)

    assert milli_text(milli) == str(Quantity.from_milli(clamped))


@given(quantities, quantities)
def test_sums_are_exact(one: Quantity, other: Quantity) -> None:
    """Adding commutes, and adds the numbers."""
    assert one + other == other + one
    assert (one + other).nano == one.nano + other.nano


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text breaks the readers of quantities and durations: they raise ValueError and nothing else."""
    for read in (Quantity.parse, parse_duration):
        try:
            read(text)
        except ValueError as error:
            assert str(error).startswith(("quantities must", "unable to parse", "time: "))  # noqa: PT017 - may not raise


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_printed_duration_reads_back(nanoseconds: int) -> None:
    """Every duration of 64 bits survives printing and reading."""
    assert parse_duration(format_duration(nanoseconds)) == nanoseconds


@given(st.floats(-62_135_596_800, 253_402_300_799, allow_nan=False))
def test_times_are_cut_to_the_second(seconds: float) -> None:
    """A printed time is the second in which the moment lies."""
    moment = datetime.fromisoformat(timestamp_text(seconds))

    assert moment.tzinfo is UTC or moment.utcoffset() == UTC.utcoffset(None)
    assert moment.timestamp() == floor(seconds)
