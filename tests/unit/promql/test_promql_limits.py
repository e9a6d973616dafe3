"""Whether a failure means that a query was too large, in the words of those who speak Prometheus' API."""

from __future__ import annotations

import pytest

from adapter.errors import DeadlineExceeded, PartialAnswer, PrometheusUnavailable, QueryRejected, UpstreamError
from adapter.promql.limits import Limit, limit_of


def rejected(text: str) -> UpstreamError:
    """Return a refusal in these words."""
    return QueryRejected(text, status=422, kind="execution")


CASES = [
    # ---- Prometheus, and its remote read
    ("query processing would load too many samples into memory in query execution", Limit.DATA),
    ("expanding series: exceeded sample limit (50000000)", Limit.DATA),
    # ---- Thanos
    ("expanding series: proxy Series(): rpc error: exceeded series limit: limit 30 violated (got 31)", Limit.DATA),
    ("rpc error: code = ResourceExhausted desc = exceeded bytes limit while fetching postings", Limit.DATA),
    ("exceeded chunks limit: rpc error: code = Code(422) desc = limit 30 exceeded", Limit.DATA),
    # ---- Mimir
    ("the query exceeded the maximum number of series (limit: 10 series) (err-mimir-max-series-per-query)", Limit.DATA),
    ("the query exceeded the maximum number of estimated chunks (limit: 1 chunks)", Limit.DATA),
    ("the query exceeded the aggregated chunks size limit (limit: 9 bytes)", Limit.DATA),
    ("something (err-mimir-max-estimated-memory-consumption-per-query)", Limit.DATA),
    ("the raw query size in bytes exceeds the limit (query size: 10, limit: 20)", Limit.LENGTH),
    ("something (err-mimir-max-query-expression-size-bytes)", Limit.LENGTH),
    # ---- Cortex
    ("the query hit the max number of series limit (limit: 100000 series)", Limit.DATA),
    ("the query hit the aggregated data size limit (limit: 1 bytes)", Limit.DATA),
    # ---- VictoriaMetrics
    ("too long query; got 27614 bytes; mustn't exceed `-search.maxQueryLen=16384` bytes", Limit.LENGTH),
    ("the number of matching timeseries exceeds 300000; either narrow down the search", Limit.DATA),
    ("more than 300001 time series found on the time range", Limit.DATA),
    ("cannot select more than -search.maxSamplesPerQuery=1000000000 samples", Limit.DATA),
    ("the response contains more than -search.maxResponseSeries=100 time series: 101 series", Limit.DATA),
    ("not enough memory for processing; increasing -search.maxMemoryPerQuery", Limit.DATA),
    # ---- others
    ("http: request body too large", Limit.LENGTH),
    ("rpc error: code = ResourceExhausted desc = grpc: received message larger than max (5 vs. 4)", Limit.DATA),
    ("vector cannot contain metrics with the same labelset", None),
    ("the query time range exceeds the limit (query length: 721h0m0s, limit: 720h0m0s)", None),
    ("exceeded maximum resolution of 11,000 points per timeseries", None),
    ("cannot process more than -search.maxSamplesPerSeries=30000000 samples per series", None),
    ('parse error: unexpected character: "too"', None),
]


@pytest.mark.parametrize(("text", "limit"), CASES)
def test_a_refusal_says_whether_a_limit_was_met(text: str, limit: Limit | None) -> None:
    """Each server has words of its own; limits on one series or a span of time are none that a division helps with."""
    assert limit_of(rejected(text)) is limit
    assert limit_of(PartialAnswer((text,))) is limit


KINDS = [
    (PrometheusUnavailable("414", kind="too_long"), Limit.LENGTH),
    (PrometheusUnavailable("more than 20000 samples", kind="too_large"), Limit.DATA),
    (PrometheusUnavailable("too many samples, said a broken proxy", kind="status"), None),
    (PrometheusUnavailable("no answer in time", kind="timeout"), None),
    (DeadlineExceeded("too long query"), None),
]


@pytest.mark.parametrize(("error", "limit"), KINDS)
def test_a_status_and_our_own_bounds_are_limits_too(error: UpstreamError, limit: Limit | None) -> None:
    """413, 414 and 431, and an answer beyond what is read, count; failures of the server do not."""
    assert limit_of(error) is limit
