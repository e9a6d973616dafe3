"""Questions that `check` asks a Prometheus, through prometheus-api-client, as the serving client would be let in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from posixpath import normpath
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException
from urllib3.exceptions import ReadTimeoutError
from urllib3.util.retry import Retry

from adapter.clients.credentials import open_credentials
from adapter.clients.inspection_door import Door, Login, NotOfferedError, short
from adapter.clients.options import PrometheusOptions
from adapter.config.urls import redacted_url
from adapter.errors import DeadlineExceeded, PrometheusUnavailable, QueryRejected
from adapter.promql.decode import number_of, time_of
from adapter.promql.model import Sample

__all__ = ["CheckingConnection", "NoVectorError", "NotOfferedError", "open_checking_connection"]

T = TypeVar("T")

_UNREADABLE = (AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError)


class NoVectorError(Exception):
    """The result of a query is no instant vector; the text says what it is."""


class CheckingConnection:
    """One Prometheus; each question has a time limit, and fails with an UpstreamError or NotOfferedError."""

    def __init__(self, *, connect: PrometheusConnect, session: requests.Session, door: Door, seconds: float) -> None:
        """Build it with `open_checking_connection`."""
        self._connect = connect
        self._session = session
        self._door = door
        self._seconds = seconds

    def close(self) -> None:
        """Let go of the sockets."""
        self._connect.close()

    @property
    def server(self) -> str:
        """The address without its secrets."""
        return redacted_url(self._connect.url)

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings of the last answer about data that is missing."""
        return self._door.warnings

    def version(self) -> str | None:
        """Return the version of a Prometheus; None for another server and for one that does not say."""
        url = f"{self._connect.url}/api/v1/status/buildinfo"
        try:
            found = self._asked(lambda: self._session.get(url, auth=self._connect.auth, timeout=self._seconds).json())
        except (NotOfferedError, QueryRejected):
            return None
        data = found.get("data") if isinstance(found, dict) else None
        if not isinstance(data, dict) or data.get("application", "Prometheus") != "Prometheus":
            return None
        return str(data["version"]) if "version" in data else None

    def metric_names(self, selector: str, *, start_seconds: float) -> frozenset[str]:
        """Return the metric names that a selector takes, by the label endpoint."""
        params = {"match[]": selector, "start": start_seconds}
        return self._asked(lambda: _texts(self._connect.get_label_values("__name__", params=params)))

    def label_names(self, selector: str, *, start_seconds: float) -> frozenset[str]:
        """Return the label names of the series that a selector takes."""
        params = {"match[]": selector, "start": start_seconds}
        return self._asked(lambda: _texts(self._connect.get_label_names(params=params)))

    def labels_by_metric(
        self, selector: str, *, start_seconds: float, end_seconds: float
    ) -> Mapping[str, frozenset[str]]:
        """Return the label names of each metric that a selector takes, by reading its series."""
        begin, end = (datetime.fromtimestamp(at, tz=UTC) for at in (start_seconds, end_seconds))
        params = {"match[]": selector}
        return self._asked(lambda: _grouped(self._connect.get_series(begin, end, params=params)))

    def samples(self, promql: str, *, at_seconds: float) -> tuple[Sample, ...]:
        """Return the samples of an instant query.

        Raises:
            NoVectorError: the result is a scalar, a string or a range vector.
        """
        found = self._asked(lambda: self._query(promql, at_seconds))
        if any("values" in one or "histograms" in one for one in found):
            raise NoVectorError("a range vector")
        return self._asked(lambda: tuple(map(_sample, found)))

    def sample_times(self, range_selector: str, *, at_seconds: float) -> tuple[tuple[float, ...], ...]:
        """Return the times of the samples of each series that a range selector takes, in seconds since 1970."""
        found = self._asked(lambda: self._query(range_selector, at_seconds))
        return self._asked(lambda: tuple(_times(one) for one in found))

    def metric_types(self, metric: str) -> frozenset[str]:
        """Return the types that targets give for a metric: counter, gauge, histogram, summary, ..."""
        try:
            found = self._asked(lambda: self._connect.get_metric_metadata(metric))
        except (NotOfferedError, QueryRejected):
            return frozenset()
        return self._asked(lambda: frozenset(str(one["type"]) for one in found))

    # ---- asking

    def _query(self, promql: str, at_seconds: float) -> list[dict[str, Any]]:
        params = {"time": at_seconds, "timeout": f"{self._seconds:g}s"}
        found = self._connect.custom_query(promql, params=params)
        if not isinstance(found, list):
            raise TypeError("the result is no list")
        if found and not isinstance(found[0], dict):
            raise NoVectorError("a string" if _is_text(found) else "a scalar")
        return found

    def _asked(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except (requests.Timeout, ReadTimeoutError) as error:
            raise DeadlineExceeded(f"no answer within {self._seconds:g} s") from error
        except requests.exceptions.JSONDecodeError as error:
            raise PrometheusUnavailable("the answer is not JSON", kind="bad_answer") from error
        except requests.exceptions.SSLError as error:
            raise PrometheusUnavailable(_tls_reason(error), kind="connection") from error
        except requests.RequestException as error:
            if error.args and isinstance(error.args[0], ReadTimeoutError):  # while the body was read
                raise DeadlineExceeded(f"no complete answer within {self._seconds:g} s") from error
            raise PrometheusUnavailable(_reason(error), kind="connection") from error
        except PrometheusApiClientException as error:
            raise PrometheusUnavailable(short(str(error)), kind="bad_answer") from error
        except _UNREADABLE as error:
            message = "the answer is none that the API documents"
            raise PrometheusUnavailable(message, kind="bad_answer") from error


def open_checking_connection(options: PrometheusOptions, *, clock: Callable[[], float]) -> CheckingConnection:
    """Return a connection that logs in, and trusts, as the options say; the clock is monotonic, in seconds.

    Raises:
        ConfigError: a file of the options cannot be read or used.
    """
    credentials = open_credentials(options)
    parts = urlsplit(options.url)
    path = ("/" + normpath(f"/{parts.path}").lstrip("/")).rstrip("/")  # as Go's path.Join does
    url = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], path, "", ""))
    session = requests.Session()
    session.headers.update(_joined(options.headers))
    session.params = _joined((*parse_qsl(parts.query, keep_blank_values=True), *options.params))
    door = Door(credentials=credentials, options=options, clock=clock)
    connect = PrometheusConnect(
        url=url,
        session=session,
        auth=Login(credentials),
        retry=Retry(0, read=False),
        timeout=options.timeout_seconds,
        method=options.verb,
    )
    for prefix in (url, "http://", "https://"):  # the first takes the place of the one that PrometheusConnect brings
        session.mount(prefix, door)
    return CheckingConnection(connect=connect, session=session, door=door, seconds=options.timeout_seconds)


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return pairs as requests takes them: several values of one name as one list."""
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def _tls_reason(error: requests.exceptions.SSLError) -> str:
    """Return what is wrong with the connection's certificates, without urllib3's wrapping."""
    text = str(error)
    at = text.find("certificate verify failed")
    return short(text[at:].partition(" (_ssl.c")[0]) if at >= 0 else short("TLS: " + _innermost(error))


def _reason(error: requests.RequestException) -> str:
    """Return the cause of a failed connection; the outer texts repeat the address, which may hold a secret."""
    return short(_innermost(error))


def _innermost(error: BaseException) -> str:
    cause: BaseException | None = error
    text = ""
    while cause is not None:
        text = cause.strerror or text if isinstance(cause, OSError) and cause.strerror else text
        cause = cause.__cause__ or cause.__context__
    return text or f"the connection failed ({type(error).__name__})"


# ---- from JSON to what we know


def _texts(found: Any) -> frozenset[str]:
    if found is None:
        return frozenset()
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise TypeError("not a list of texts")
    return frozenset(found)


def _grouped(series: Iterable[Mapping[str, str]] | None) -> Mapping[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for labels in series or ():
        found.setdefault(labels["__name__"], set()).update(labels)
    return {metric: frozenset(labels) for metric, labels in found.items()}


def _is_text(result: list[Any]) -> bool:
    try:
        float(result[1])
    except ValueError:
        return True
    return False


def _sample(item: Mapping[str, Any]) -> Sample:
    labels = {str(name): str(value) for name, value in item["metric"].items()}
    if "histogram" in item:
        at = time_of(item["histogram"][0])
        return Sample(labels=labels, value=float("nan"), timestamp_seconds=at, histogram=True)
    at, value = item["value"]
    return Sample(labels=labels, value=number_of(value), timestamp_seconds=time_of(at))


def _times(item: Mapping[str, Any]) -> tuple[float, ...]:
    return tuple(time_of(at) for at, _ in (*item.get("values", ()), *item.get("histograms", ())))
