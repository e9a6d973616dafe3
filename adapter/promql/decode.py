"""What a Prometheus answer says: bodies of its HTTP API become results, names, warnings, or one of our errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from math import inf, isfinite, nan
from typing import Any, Final, NoReturn

import orjson

from adapter.errors import PrometheusUnavailable, QueryRejected
from adapter.promql.model import OtherResult, QueryAnswer, Result, Sample, Scalar, Vector

# How 3.x marks notes on the query itself (util/annotations). Every other warning is about data that is missing.
_ANNOTATION_MARKS = ("PromQL warning:", "PromQL info:")
_FIRST_ERROR_STATUS = 400
# What Prometheus writes: Go's strconv.FormatFloat(value, 'f' or 'e', -1, 64). Python's float() reads far more.
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_SPECIAL_VALUES = {"NaN": nan, "+Inf": inf, "-Inf": -inf}
# The years 1 to 9999, which is all that RFC 3339 can write.
_FIRST_SECOND: Final = -62_135_596_800
_END_SECOND: Final = 253_402_300_800
# More objects than any one workload has; as a metric list they are 4 MB and some 150 ms in which nobody else is served.
MAX_SAMPLES: Final = 20_000
_MAX_WARNINGS: Final = 20  # one names the fault; a store behind Thanos adds one each
_MAX_TEXT_CHARACTERS: Final = 2000  # of an error or a warning: it goes to logs and messages


def decode_query(
    body: bytes,
    *,
    asked_at_seconds: float,
    http_status: int = 200,
) -> tuple[QueryAnswer, tuple[str, ...]]:
    """Return the answer to an instant query, and the warnings that say that data is missing from it.

    An answer without samples counts as evaluated at `asked_at_seconds`, the time that the query asked for.

    Raises:
        QueryRejected: the body is an error of the API.
        PrometheusUnavailable: of kind `bad_answer`, when the body is nothing that the API documents, or `too_large`,
            when it has more than MAX_SAMPLES samples.
    """
    document = _success(body, http_status)
    data = document.get("data")
    if not isinstance(data, dict) or "result" not in data:
        _fail("an answer without a result")
    kind = data.get("resultType")
    read = _RESULTS.get(kind) if isinstance(kind, str) else None
    if read is None:
        _fail("a result of an unknown type")
    result = read(data.pop("result"))
    annotations, partial = _warnings(document)
    answer = QueryAnswer(
        result=result,
        evaluated_at_seconds=_evaluated_at(result, asked_at_seconds),
        annotations=annotations,
    )
    return answer, partial


def decode_names(body: bytes, *, http_status: int = 200) -> tuple[frozenset[str], tuple[str, ...]]:
    """Return the label names or values that an answer lists, and the warnings that say that some are missing.

    Raises:
        QueryRejected: the body is an error of the API.
        PrometheusUnavailable: of kind `bad_answer`; the body is nothing that the API documents.
    """
    document = _success(body, http_status)
    if "data" not in document:
        _fail("an answer without data")
    names = _list(document["data"], "data")
    if not all(isinstance(name, str) for name in names):
        _fail("a name that is no text")
    return frozenset(names), _warnings(document)[1]


def _success(body: bytes, http_status: int) -> dict[str, Any]:
    """Return the document of an answer that reports success."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        page = body.lstrip()[:1] == b"<"
        what = "a web page (does the URL lead to a login or a proxy?)" if page else "something that is not JSON"
        raise PrometheusUnavailable(f"Prometheus answered with {what}", kind="bad_answer") from error
    if not isinstance(document, dict):
        _fail("JSON that is no object")
    status = document.get("status")
    if status == "error":
        reason, kind = document.get("error"), document.get("errorType")
        raise QueryRejected(
            reason[:_MAX_TEXT_CHARACTERS] if isinstance(reason, str) and reason else "no reason given",
            status=http_status,
            kind=kind[:_MAX_TEXT_CHARACTERS] if isinstance(kind, str) and kind else "unknown",
        )
    if status != "success" or http_status >= _FIRST_ERROR_STATUS:
        _fail("neither success nor an error of its API")
    return document


def _warnings(document: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the annotations of an answer, and its warnings about missing data."""
    texts = [text for key in ("warnings", "infos") for text in _list(document.get(key), key)]
    if not all(isinstance(text, str) for text in texts):
        _fail("a warning that is no text")
    texts = [text[:_MAX_TEXT_CHARACTERS] for text in texts[:_MAX_WARNINGS]]
    annotations = tuple(text for text in texts if text.startswith(_ANNOTATION_MARKS))
    return annotations, tuple(text for text in texts if not text.startswith(_ANNOTATION_MARKS))


def _evaluated_at(result: Result, asked_at_seconds: float) -> float:
    """Return when a result was evaluated; should a server mix times, the oldest, so that no value looks too new."""
    match result:
        case Vector(samples=samples):
            return min((sample.timestamp_seconds for sample in samples), default=asked_at_seconds)
        case Scalar(timestamp_seconds=seconds):
            return seconds
        case OtherResult():
            return asked_at_seconds


def _vector(rows: object) -> Vector:
    samples = _list(rows, "result")
    if len(samples) > MAX_SAMPLES:
        raise PrometheusUnavailable(
            f"Prometheus answered with {len(samples)} samples, more than {MAX_SAMPLES}: the query needs narrower "
            "selectors or an aggregation",
            kind="too_large",
        )
    for place, row in enumerate(samples):
        samples[place] = _sample(row)  # in place, so that a large answer is not held twice
    return Vector(samples=tuple(samples))


def _sample(row: object) -> Sample:
    if not isinstance(row, dict):
        _fail("a sample that is no object")
    labels = row.get("metric")
    if labels is None:
        labels = {}
    if not isinstance(labels, dict):
        _fail("labels that are no texts")
    for value in labels.values():  # a loop: a generator for each of thousands of samples costs as much again
        if type(value) is not str:
            _fail("labels that are no texts")
    if "value" in row:
        seconds, text = _pair(row["value"])
        return Sample(labels=labels, value=number_of(text), timestamp_seconds=seconds)
    if "histogram" in row:
        return Sample(labels=labels, value=nan, timestamp_seconds=_pair(row["histogram"])[0], histogram=True)
    return _fail("a sample without a value")


def _scalar(point: object) -> Scalar:
    seconds, text = _pair(point)
    return Scalar(value=number_of(text), timestamp_seconds=seconds)


def _pair(point: object) -> tuple[float, object]:
    """Return the time and the rest of `[seconds, ...]`."""
    if not isinstance(point, list) or len(point) != 2:  # noqa: PLR2004 - a pair
        _fail("a value that is no pair")
    seconds, rest = point
    return time_of(seconds), rest


def time_of(seconds: object) -> float:
    """Return a sample's time in seconds since 1970.

    Raises:
        PrometheusUnavailable: of kind `bad_answer`; it is no number, or not within the years 1 to 9999.
    """
    if type(seconds) is not float and type(seconds) is not int:
        _fail("a time that is no number")
    if not _FIRST_SECOND <= seconds < _END_SECOND:
        _fail("a time that is not within the years 1 to 9999")
    return float(seconds)


def number_of(text: object) -> float:
    """Return the number that Prometheus wrote as a text.

    Raises:
        PrometheusUnavailable: of kind `bad_answer`; Prometheus does not write numbers so.
    """
    if isinstance(text, str):
        if _NUMBER.fullmatch(text):
            number = float(text)
            if isfinite(number):
                return number
        elif text in _SPECIAL_VALUES:
            return _SPECIAL_VALUES[text]
    return _fail("a value that is no number")


def _list(value: object, name: str) -> list[Any]:
    """Return a JSON list; null stands for an empty one, as Go's encoder writes it."""
    if value is None:
        return []
    if not isinstance(value, list):
        _fail(f"{name} that is no list")
    return value


def _fail(what: str) -> NoReturn:
    raise PrometheusUnavailable(f"Prometheus answered with {what}", kind="bad_answer")


_RESULTS: Mapping[str, Callable[[object], Result]] = {
    "vector": _vector,
    "scalar": _scalar,
    "matrix": lambda _: OtherResult(kind="matrix"),
    "string": lambda _: OtherResult(kind="string"),
}
