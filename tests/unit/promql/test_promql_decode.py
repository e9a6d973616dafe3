"""Answers of Prometheus: what they say, and what is not an answer."""

from __future__ import annotations

import json
from math import inf, isnan
from typing import Any

import pytest

from adapter.errors import PrometheusUnavailable, QueryRejected
from adapter.promql.decode import MAX_SAMPLES, decode_names, decode_query
from adapter.promql.model import OtherResult, QueryAnswer, Sample, Scalar, Vector

ASKED_AT = 1700000000.0


def body(result_type: Any, result: Any, **more: Any) -> bytes:
    """Return a successful answer with this result."""
    return json.dumps({"status": "success", "data": {"resultType": result_type, "result": result}, **more}).encode()


def decoded(answer: bytes) -> QueryAnswer:
    """Return what an answer without partial-answer warnings says."""
    query_answer, warnings = decode_query(answer, asked_at_seconds=ASKED_AT)
    assert warnings == ()
    return query_answer


def test_a_vector_keeps_labels_values_times_and_order() -> None:
    """The samples of a vector come in the server's order, each with its labels, its value and its time."""
    answer = decoded(
        body(
            "vector",
            [
                {"metric": {"pod": "b"}, "value": [1700000001.5, "1.5"]},
                {"metric": {}, "value": [1700000001, "-2e-05"]},
            ],
        )
    )

    assert answer == QueryAnswer(
        result=Vector(
            samples=(
                Sample(labels={"pod": "b"}, value=1.5, timestamp_seconds=1700000001.5),
                Sample(labels={}, value=-0.00002, timestamp_seconds=1700000001.0),
            )
        ),
        evaluated_at_seconds=1700000001.0,
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0.0),
        ("-0", 0.0),
        ("1e+06", 1e6),
        ("9007199254740993", 9007199254740992.0),
        ("1.7976931348623157e+308", 1.7976931348623157e308),
        ("+Inf", inf),
        ("-Inf", -inf),
    ],
)
def test_values_are_read_as_go_writes_them(text: str, value: float) -> None:
    """A value is the number that its text stands for."""
    answer = decoded(body("scalar", [ASKED_AT, text]))

    assert answer.result == Scalar(value=value, timestamp_seconds=ASKED_AT)


def test_nan_is_a_value() -> None:
    """NaN is a value like another; what it means is decided elsewhere."""
    result = decoded(body("scalar", [ASKED_AT, "NaN"])).result

    assert isinstance(result, Scalar)
    assert isnan(result.value)


def test_a_native_histogram_is_marked() -> None:
    """A native histogram is a sample without a number, so that nobody takes it for zero."""
    histogram = {"count": "3", "sum": "4.5", "buckets": [[0, "0.5", "1", "3"]]}

    result = decoded(body("vector", [{"metric": {"pod": "a"}, "histogram": [ASKED_AT, histogram]}])).result

    assert isinstance(result, Vector)
    (sample,) = result.samples
    assert (sample.histogram, isnan(sample.value), sample.labels) == (True, True, {"pod": "a"})


@pytest.mark.parametrize("result", [[], None])
def test_an_empty_vector_was_evaluated_when_it_was_asked_for(result: object) -> None:
    """An answer without samples still has its time; a list that Go left nil is an empty one."""
    answer = decoded(body("vector", result))

    assert answer == QueryAnswer(result=Vector(samples=()), evaluated_at_seconds=ASKED_AT)


@pytest.mark.parametrize(("kind", "result"), [("matrix", []), ("matrix", [{"values": 1}]), ("string", [1, "text"])])
def test_other_results_are_named(kind: str, result: object) -> None:
    """A matrix or a string is an answer, though none that can be served."""
    assert decoded(body(kind, result)).result == OtherResult(kind=kind)


def test_annotations_are_told_from_missing_data() -> None:
    """What 3.x notes about the query refuses nothing; any other warning says that the answer is partial."""
    answer, warnings = decode_query(
        body(
            "vector",
            [],
            warnings=["PromQL warning: bucket label missing (1:1)", "No StoreAPIs matched for this query"],
            infos=["PromQL info: metric might not be a counter", "remote read: timeout"],
        ),
        asked_at_seconds=ASKED_AT,
    )

    assert answer.annotations == (
        "PromQL warning: bucket label missing (1:1)",
        "PromQL info: metric might not be a counter",
    )
    assert warnings == ("No StoreAPIs matched for this query", "remote read: timeout")


@pytest.mark.parametrize(
    ("document", "status", "message", "kind"),
    [
        (
            {"status": "error", "errorType": "bad_data", "error": "1:3: parse error"},
            400,
            "1:3: parse error",
            "bad_data",
        ),
        ({"status": "error", "errorType": "execution", "error": "many-to-many"}, 422, "many-to-many", "execution"),
        ({"status": "error", "errorType": "timeout", "error": "query timed out"}, 503, "query timed out", "timeout"),
        ({"status": "error"}, 200, "no reason given", "unknown"),
        ({"status": "error", "errorType": 5, "error": ["x"]}, 500, "no reason given", "unknown"),
        ({"status": "error", "error": "x", "data": {"resultType": "vector", "result": []}}, 200, "x", "unknown"),
    ],
)
def test_an_error_of_the_api_is_a_rejection(document: object, status: int, message: str, kind: str) -> None:
    """An error body keeps the server's words, its kind and the HTTP status, for queries as for names."""
    answer = json.dumps(document).encode()

    with pytest.raises(QueryRejected) as of_query:
        decode_query(answer, asked_at_seconds=ASKED_AT, http_status=status)
    with pytest.raises(QueryRejected) as of_names:
        decode_names(answer, http_status=status)

    for error in (of_query.value, of_names.value):
        assert (str(error), error.status, error.kind) == (message, status, kind)


SAMPLE = {"metric": {"pod": "a"}, "value": [1, "1"]}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"", "something that is not JSON"),
        (b"\xff\xfe", "something that is not JSON"),
        (b" \n<html>Sign in</html>", "a web page (does the URL lead to a login or a proxy?)"),
        (body("vector", [SAMPLE])[:-9], "something that is not JSON"),
        (b"[" * 100_000, "something that is not JSON"),
        (b'{"status":"success","data":' + b"[" * 2000 + b"]" * 2000 + b"}", "something that is not JSON"),
        (b"[]", "JSON that is no object"),
        (b"null", "JSON that is no object"),
        (b"{}", "neither success nor an error of its API"),
        (b'{"status":1,"data":{}}', "neither success nor an error of its API"),
        (b'{"status":"success"}', "an answer without a result"),
        (b'{"status":"success","data":null}', "an answer without a result"),
        (b'{"status":"success","data":[]}', "an answer without a result"),
        (b'{"status":"success","data":{"resultType":"vector"}}', "an answer without a result"),
        (body("streams", []), "a result of an unknown type"),
        (body(["vector"], []), "a result of an unknown type"),
        (body("vector", {}), "result that is no list"),
        (body("vector", ["x"]), "a sample that is no object"),
        (body("vector", [{"metric": [], "value": [1, "1"]}]), "labels that are no texts"),
        (body("vector", [{"metric": {"a": 1}, "value": [1, "1"]}]), "labels that are no texts"),
        (body("vector", [{"metric": {}}]), "a sample without a value"),
        (body("vector", [{"metric": {}, "value": "1"}]), "a value that is no pair"),
        (body("vector", [{"metric": {}, "value": [1, "1", 2]}]), "a value that is no pair"),
        (body("vector", [{"metric": {}, "value": ["1", "1"]}]), "a time that is no number"),
        (body("vector", [{"metric": {}, "value": [True, "1"]}]), "a time that is no number"),
        (body("vector", [{"metric": {}, "value": [1, 1]}]), "a value that is no number"),
        (body("vector", [{"metric": {}, "histogram": {}}]), "a value that is no pair"),
        *(
            (
                b'{"status":"success","data":{"resultType":"scalar","result":[%s,"1"]}}' % seconds,
                "a time that is not within the years 1 to 9999",
            )
            for seconds in (b"1e300", b"-1e300", b"253402300800", b"-62135596801", b"1" * 30)
        ),
        (body("vector", [{"metric": {}, "histogram": [1e300, {}]}]), "a time that is not within the years 1 to 9999"),
        (body("scalar", [1]), "a value that is no pair"),
        (body("scalar", None), "a value that is no pair"),
        (body("vector", [], warnings="partial"), "warnings that is no list"),
        (body("vector", [], infos=[{}]), "a warning that is no text"),
        *(
            (body("scalar", [1, text]), "a value that is no number")
            for text in (
                "",
                "1_000",
                " 1",
                "1 ",
                "0x10",
                "nan",
                "inf",
                "Infinity",
                "e",
                "1e",
                "Inf",
                "+1",
                ".5",
                "5.",
                "1 000",
                "1\n",
                "+NaN",
                "9" * 5000 + "e9999999999",
                "--1",
                "1e999",
                "\uff11",
                "abc",
            )
        ),
    ],
)
def test_what_is_no_answer_says_why(answer: bytes, message: str) -> None:
    """A body that the API does not document is never read as a value, and the error says what is wrong with it."""
    with pytest.raises(PrometheusUnavailable) as caught:
        decode_query(answer, asked_at_seconds=ASKED_AT)

    assert (str(caught.value), caught.value.kind) == (f"Prometheus answered with {message}", "bad_answer")


def test_success_behind_an_error_status_is_no_answer() -> None:
    """A proxy that answers 502 with the body of a success is not believed."""
    with pytest.raises(PrometheusUnavailable, match="neither success nor an error"):
        decode_query(body("vector", []), asked_at_seconds=ASKED_AT, http_status=502)


@pytest.mark.parametrize("seconds", [0, 0.001, -62135596800, 253402300799.999])
def test_any_time_that_can_be_written_is_read(seconds: float) -> None:
    """A time within the years 1 to 9999 is as good as any other."""
    assert decoded(body("scalar", [seconds, "1"])).evaluated_at_seconds == seconds


def test_duplicate_keys_are_read_as_json_reads_them() -> None:
    """The last of two equal keys counts."""
    answer = b"""{"status":"error","status":"success","data":{"resultType":"scalar","result":[1,"1"]}}"""

    assert decoded(answer).result == Scalar(value=1.0, timestamp_seconds=1.0)


def test_an_answer_has_a_largest_number_of_samples() -> None:
    """More samples than any workload has objects are an error that says what to do, and never a part of them."""
    whole = decoded(body("vector", [SAMPLE] * MAX_SAMPLES)).result
    with pytest.raises(
        PrometheusUnavailable, match="20001 samples, more than 20000: the query needs narrower"
    ) as caught:
        decoded(body("vector", [SAMPLE] * (MAX_SAMPLES + 1)))

    assert isinstance(whole, Vector)
    assert (len(whole.samples), caught.value.kind) == (MAX_SAMPLES, "too_large")


def test_no_text_of_a_server_is_long() -> None:
    """Errors and warnings, which go to logs and to callers, are cut to what a person reads."""
    refused = json.dumps({"status": "error", "error": "x" * 10**6, "errorType": "y" * 10**6}).encode()

    with pytest.raises(QueryRejected) as caught:
        decoded(refused)
    _, warnings = decode_names(body("vector", [], data=[], warnings=["z" * 10**6] * 1000))

    assert (len(str(caught.value)), len(caught.value.kind), len(warnings)) == (2000, 2000, 20)
    assert max(map(len, warnings)) == 2000


@pytest.mark.parametrize(
    ("document", "names", "warnings"),
    [
        ({"data": ["pod", "namespace", "pod"]}, {"pod", "namespace"}, ()),
        ({"data": []}, set(), ()),
        ({"data": None}, set(), ()),
        ({"data": ["é.x"], "warnings": ["store missing"], "infos": ["PromQL info: x"]}, {"é.x"}, ("store missing",)),
    ],
)
def test_names(document: dict[str, Any], names: set[str], warnings: tuple[str, ...]) -> None:
    """A list of label names or values is a set of texts, with the warnings that say that some are missing."""
    answer = json.dumps({"status": "success", **document}).encode()

    assert decode_names(answer) == (frozenset(names), warnings)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b'{"status":"success"}', "an answer without data"),
        (b'{"status":"success","data":{}}', "data that is no list"),
        (b'{"status":"success","data":[1]}', "a name that is no text"),
        (b'{"status":"success","data":["a"],"warnings":[1]}', "a warning that is no text"),
        (b"<html>", "a web page (does the URL lead to a login or a proxy?)"),
    ],
)
def test_what_are_no_names_says_why(answer: bytes, message: str) -> None:
    """A body that lists no names is never read as an empty list."""
    with pytest.raises(PrometheusUnavailable) as caught:
        decode_names(answer)

    assert (str(caught.value), caught.value.kind) == (f"Prometheus answered with {message}", "bad_answer")
