"""Reads an answer of the series endpoint as it comes in, and keeps only which labels each metric has."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import ijson

from adapter.clients.body import bad_answer
from adapter.errors import PrometheusUnavailable, QueryRejected

Event = tuple[str, Any]

_FIRST_ERROR_STATUS: Final = 400
_METRIC_NAME: Final = "__name__"
# As in adapter.promql.decode: these are notes on a query, all other warnings say that data is missing.
_ANNOTATION_MARKS: Final = ("PromQL warning:", "PromQL info:")

# What is kept grows with metric names times labels: 50,000 names with 40 labels each, some 200 MB, and no further.
_MAX_KEPT: Final = 2_000_000
_MAX_WARNINGS: Final = 20
_MAX_TEXT_CHARACTERS: Final = 2000  # of a warning or an error: it goes to logs and messages
# The parser keeps a text until it has all of it, and we the labels of one series. Prometheus' largest series have some
# kilobytes, so an answer in which none ends for 4 MiB is no list of series.
_MAX_UNFINISHED_BYTES: Final = 4 * 1024 * 1024

# How deep in {"status": ..., "data": [{"__name__": ...}], "warnings": ["..."]} an event is.
_TOP, _ENTRY = 1, 2
_OPENING: Final = frozenset({"start_map", "start_array"})
_CLOSING: Final = frozenset({"end_map", "end_array"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesNames:
    """The label names of each metric name; with warnings some series are missing."""

    labels_by_metric: Mapping[str, frozenset[str]]
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class _Found:
    """What has been read so far."""

    labels: dict[str, set[str]] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)  # one copy of each label name
    kept: int = 0
    series: int = 0
    texts: dict[str, str] = field(default_factory=dict)  # status, error, errorType
    has_data: bool = False
    warnings: list[str] = field(default_factory=list)

    def add(self, metric: str, labels: list[str]) -> None:
        self.series += 1
        known = self.labels.setdefault(metric, set())
        if not known.issuperset(labels):
            before = len(known)
            known.update(self.words.setdefault(label, label) for label in labels)
            self.kept += len(known) - before
            if self.kept > _MAX_KEPT:
                raise PrometheusUnavailable("Prometheus answered with too many metric names", kind="too_large")


class SeriesReader:
    """Takes a body in pieces; 64 KiB take about half a millisecond."""

    def __init__(self) -> None:
        self._found = _Found()
        # With integers of any length, and decimals, the parser dies of one with more than 4300 digits.
        self._parser = ijson.basic_parse_coro(_events(self._found), use_float=True)
        self._unfinished_bytes = 0

    def feed(self, piece: bytes) -> None:
        """Read the next piece.

        Raises:
            PrometheusUnavailable: it is not JSON, not such an answer, or has too many names to keep.
        """
        before = self._found.series
        try:
            self._parser.send(piece)
        except (ijson.JSONError, UnicodeDecodeError) as error:
            raise bad_answer("something that is not JSON") from error
        self._unfinished_bytes = 0 if self._found.series > before else self._unfinished_bytes + len(piece)
        if self._unfinished_bytes > _MAX_UNFINISHED_BYTES:
            raise PrometheusUnavailable("Prometheus answered with a series that does not end", kind="too_large")

    def finish(self, *, http_status: int) -> SeriesNames:
        """Return what was read, once all of it was fed.

        Raises:
            QueryRejected: the answer is an error of the API.
            PrometheusUnavailable: of kind `bad_answer`; the answer is cut off, or nothing that the API documents.
        """
        try:
            self._parser.close()
        except (ijson.JSONError, UnicodeDecodeError) as error:
            raise bad_answer("JSON that is cut off") from error
        found = self._found
        if found.texts.get("status") == "error":
            reason, kind = found.texts.get("error"), found.texts.get("errorType")
            raise QueryRejected(reason or "no reason given", status=http_status, kind=kind or "unknown")
        if found.texts.get("status") != "success" or not found.has_data or http_status >= _FIRST_ERROR_STATUS:
            raise bad_answer("neither success nor an error of its API")
        return SeriesNames(labels_by_metric=_frozen(found.labels), warnings=tuple(found.warnings))


def _frozen(labels: Mapping[str, set[str]]) -> dict[str, frozenset[str]]:
    """Return one set for all metrics that have the same labels: few shapes make up most of a Prometheus."""
    shapes: dict[frozenset[str], frozenset[str]] = {}
    frozen = {metric: frozenset(names) for metric, names in labels.items()}
    return {metric: shapes.setdefault(names, names) for metric, names in frozen.items()}


@ijson.coroutine  # type: ignore[untyped-decorator]  # ijson has no types
def _events(found: _Found) -> Generator[None, Event, None]:
    """Take the parser's events; nothing but the labels of the series at hand is held."""
    depth = 0
    key = ""
    while True:
        event, value = yield
        if event in _OPENING:
            _check_place(depth, key, event)
            if depth == _ENTRY and key == "data":
                metric, labels = yield from _one_series()
                found.add(metric, labels)
            else:
                depth += 1
        elif event in _CLOSING:
            depth -= 1
        elif event == "map_key":
            key = value if depth == _TOP else key
            found.has_data |= key == "data"
        else:
            _note_scalar(found, (depth, key), event, value)


def _one_series() -> Generator[None, Event, tuple[str, list[str]]]:
    """Take the events of one series, to the end of its object."""
    metric = ""
    labels: list[str] = []
    while True:
        event, value = yield
        if event == "map_key":
            labels.append(value)
        elif event == "string":
            if labels[-1] == _METRIC_NAME:
                metric = value
            elif not value:  # the same as no label
                labels.pop()
        elif event == "end_map":
            return metric, labels
        else:
            raise bad_answer("a series whose labels are no texts")


def _check_place(depth: int, key: str, event: str) -> None:
    """Refuse an answer of another shape: it would count as one without series."""
    if depth == 0 and event != "start_map":
        raise bad_answer("JSON that is no object")
    if depth == _TOP and key == "data" and event != "start_array":
        raise bad_answer("data that is no list")
    if depth == _ENTRY and key == "data" and event != "start_map":
        raise bad_answer("a series that is no object")


def _note_scalar(found: _Found, place: tuple[int, str], event: str, value: Any) -> None:
    match place:
        case (depth, "data") if (depth, event) != (_TOP, "null"):  # Go writes an empty list as null
            raise bad_answer("data that is no list of series")
        case (1, "status" | "error" | "errorType" as key) if event == "string":
            found.texts[key] = value[:_MAX_TEXT_CHARACTERS]
        case (2, "warnings" | "infos") if event == "string":
            if len(found.warnings) < _MAX_WARNINGS and not value.startswith(_ANNOTATION_MARKS):
                found.warnings.append(value[:_MAX_TEXT_CHARACTERS])
