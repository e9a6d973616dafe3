"""Did a query fail because it is too large for the server? Told from what servers say, which no two say alike.

The words are those of Prometheus (and its remote read), Thanos, Mimir, Cortex and VictoriaMetrics; statuses 413, 414
and 431 are those of servers and of the proxies before them. Limits on one series, or on a span of time, are not among
them: a query for fewer objects meets them as well.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from adapter.errors import PartialAnswer, PrometheusUnavailable, QueryRejected, UpstreamError


class Limit(StrEnum):
    """What there is too much of: the query's own text, or the data that it reads or gives."""

    LENGTH = "length"
    DATA = "data"


_KINDS: Final = {"too_long": Limit.LENGTH, "too_large": Limit.DATA}

_WORDS: Final[tuple[tuple[Limit, re.Pattern[str]], ...]] = tuple(
    (limit, re.compile("|".join(words), re.IGNORECASE))
    for limit, words in (
        (
            Limit.LENGTH,
            (
                r"too long query",  # VictoriaMetrics, -search.maxQueryLen
                r"query is too long",
                r"max-query-expression-size-bytes",  # Mimir
                r"raw query size in bytes exceeds",
                r"request body too large",  # Go's net/http, of a form that is posted
                r"POST too large",
            ),
        ),
        (
            Limit.DATA,
            (
                r"too many samples",  # Prometheus, --query.max-samples
                r"exceeded (?:series|chunks?|samples?|bytes|postings) limit",  # Thanos; Prometheus' remote read
                r"limit \S+ violated",  # Thanos
                r"exceeded the maximum number of (?:estimated )?(?:series|chunks|samples)",  # Mimir
                r"err-mimir-max-(?:estimated-)?(?:series|chunks|chunks-bytes|memory-consumption)-per-query",
                r"exceeded the aggregated \S+ size limit",
                r"estimated amount of memory consumed by a single query",
                r"hit the max number of (?:series|chunks|samples)",  # Cortex
                r"hit the aggregated \S+ size limit",
                r"number of matching timeseries exceeds",  # VictoriaMetrics
                r"more than \d+ time series found",
                r"-search\.max(?:UniqueTimeseries|SamplesPerQuery|MemoryPerQuery|ResponseSeries|Series)\b",
                r"received message larger than max",  # gRPC between the parts of any of them
            ),
        ),
    )
)


def limit_of(error: UpstreamError) -> Limit | None:
    """Return what a query had too much of; None where it failed for another reason."""
    if isinstance(error, PrometheusUnavailable):
        return _KINDS.get(error.kind)
    if not isinstance(error, (QueryRejected, PartialAnswer)):
        return None
    text = str(error)
    return next((limit for limit, words in _WORDS if words.search(text)), None)
