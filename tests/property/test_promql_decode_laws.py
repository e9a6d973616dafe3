"""Laws of decoding: any body is an answer or one of our errors, and no value is made up."""

from __future__ import annotations

from collections.abc import Callable
from math import isnan
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from adapter.errors import PrometheusUnavailable, QueryRejected
from adapter.promql.decode import decode_names, decode_query
from adapter.promql.model import Scalar, Vector

KEYS = st.sampled_from(
    [
        "status",
        "data",
        "resultType",
        "result",
        "metric",
        "value",
        "histogram",
        "warnings",
        "infos",
        "error",
        "errorType",
    ],
)
LEAVES = st.sampled_from(["success", "error", "vector", "scalar", "matrix", "NaN", "1", "PromQL info: x"]) | (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=20,
)
ALMOST = st.fixed_dictionaries(
    {
        "status": st.just("success"),
        "data": st.fixed_dictionaries({"resultType": LEAVES, "result": JSON}) | JSON,
    },
    optional={"warnings": JSON, "infos": JSON},
)
BODIES = (JSON | ALMOST).map(orjson.dumps) | st.binary()
NUMBERS = st.floats(allow_nan=True, allow_infinity=True)
TIMES = st.floats(0, 1e10).map(lambda seconds: round(seconds, 3))
LABELS = st.dictionaries(st.text(), st.text(), max_size=4)


@settings(deadline=None, max_examples=400)
@given(BODIES, st.sampled_from([200, 400, 422, 503]))
def test_any_body_is_an_answer_or_one_of_our_errors(body: bytes, http_status: int) -> None:
    """No body, however broken, escapes as another error."""
    errors = [
        error_of(lambda: decode_query(body, asked_at_seconds=1.0, http_status=http_status)),
        error_of(lambda: decode_names(body, http_status=http_status)),
    ]

    assert all(error.status == http_status for error in errors if isinstance(error, QueryRejected))
    assert all(error.kind == "bad_answer" for error in errors if isinstance(error, PrometheusUnavailable))


def error_of(decode: Callable[[], object]) -> QueryRejected | PrometheusUnavailable | None:
    """Return which of our errors a decoding ends with."""
    try:
        decode()
    except (QueryRejected, PrometheusUnavailable) as error:
        return error
    return None


@settings(deadline=None)
@given(st.lists(st.tuples(LABELS, TIMES, NUMBERS), max_size=5), st.integers(1, 60))
def test_a_cut_answer_is_never_an_answer(samples: list[tuple[dict[str, str], float, float]], missing: int) -> None:
    """An answer that ends too early is an error, never a shorter vector."""
    cut = answer(samples)[:-missing]

    assert isinstance(error_of(lambda: decode_query(cut, asked_at_seconds=1.0)), PrometheusUnavailable)


@settings(deadline=None)
@given(st.lists(st.tuples(LABELS, TIMES, NUMBERS), max_size=5))
def test_every_sample_arrives_as_it_was_sent(samples: list[tuple[dict[str, str], float, float]]) -> None:
    """Labels, times and values of any size come through, in order."""
    decoded, _ = decode_query(answer(samples), asked_at_seconds=1.0)

    assert isinstance(decoded.result, Vector)
    assert len(decoded.result.samples) == len(samples)
    for sample, (labels, seconds, value) in zip(decoded.result.samples, samples, strict=True):
        assert (sample.labels, sample.timestamp_seconds) == (labels, seconds)
        assert same(sample.value, value)
    assert decoded.evaluated_at_seconds == min((seconds for _, seconds, _ in samples), default=1.0)


def answer(samples: list[tuple[dict[str, str], float, float]]) -> bytes:
    """Return the vector of these samples as a server sends it."""
    rows: list[Any] = [{"metric": labels, "value": [seconds, go_float(value)]} for labels, seconds, value in samples]
    return orjson.dumps({"status": "success", "data": {"resultType": "vector", "result": rows}})


def go_float(value: float) -> str:
    """Return a number as Go writes it."""
    return {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}.get(repr(value), repr(value))


def same(first: float, second: float) -> bool:
    """Tell whether two numbers are the same, NaN included."""
    return first == second or (isnan(first) and isnan(second))


@settings(deadline=None)
@given(TIMES, NUMBERS)
def test_a_scalar_arrives_as_it_was_sent(seconds: float, value: float) -> None:
    """A scalar is its time and its value."""
    body = orjson.dumps({"status": "success", "data": {"resultType": "scalar", "result": [seconds, go_float(value)]}})

    decoded, _ = decode_query(body, asked_at_seconds=1.0)

    assert isinstance(decoded.result, Scalar)
    assert (decoded.result.timestamp_seconds, same(decoded.result.value, value)) == (seconds, True)
    assert decoded.evaluated_at_seconds == seconds
