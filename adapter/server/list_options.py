"""What the query parameters of a request say, read as Kubernetes' API servers read them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from adapter.errors import ForbiddenOption, InvalidOption, InvalidSelector, WatchNotSupported
from adapter.kube.durations import parse_duration
from adapter.kube.gotext import quoted
from adapter.kube.selectors import FieldSelector, Selector, check_known_fields, parse_field_selector, parse_selector

_NANOSECONDS = 1_000_000_000
_INTEGER = re.compile(r"([+-]?)([0-9]+)")
_INT64 = 1 << 63
_MATCHES = ("Exact", "NotOlderThan")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOptions:
    """The parameters that every list understands; limits and watches are read, so that what is malformed is refused."""

    label_selector: Selector
    field_selector: FieldSelector
    limit: int = 0
    timeout_seconds: int | None = None
    watch: bool = False
    allow_watch_bookmarks: bool = False
    send_initial_events: bool | None = None
    resource_version: str = ""
    resource_version_match: str = ""


def deadline_seconds(parameters: Mapping[str, str], *, longest_seconds: float) -> float:
    """Return how long a request may take: `timeout`, unless it is absent, not positive or longer than we allow."""
    text = parameters.get("timeout", "")
    if not text:
        return longest_seconds
    try:
        seconds = parse_duration(text) / _NANOSECONDS
    except ValueError as error:
        raise InvalidOption(f"invalid timeout specified in the request URL - {error}") from error
    return seconds if 0 < seconds < longest_seconds else longest_seconds


def read_list_options(parameters: Mapping[str, str]) -> ListOptions:
    """Read the list options; raises InvalidOption for numbers first, then InvalidSelector, as apimachinery does."""
    timeout_seconds = _integer(parameters, "timeoutSeconds")
    limit = _integer(parameters, "limit")
    return ListOptions(
        label_selector=parse_selector(parameters.get("labelSelector", "")),
        field_selector=parse_field_selector(parameters.get("fieldSelector", "")),
        limit=limit or 0,
        timeout_seconds=timeout_seconds,
        watch=_boolean(parameters, "watch") or False,
        allow_watch_bookmarks=_boolean(parameters, "allowWatchBookmarks") or False,
        send_initial_events=_boolean(parameters, "sendInitialEvents"),
        resource_version=parameters.get("resourceVersion", ""),
        resource_version_match=parameters.get("resourceVersionMatch", ""),
    )


def check_described_object(options: ListOptions, *, name: str) -> None:
    """Refuse a field selector of custom metrics that names another object than the path does."""
    check_known_fields(options.field_selector)
    if name and options.field_selector.fields and options.field_selector.requires_exact("metadata.name") != name:
        raise InvalidSelector("fieldSelector metadata.name doesn't match requested name")


def check_listable(options: ListOptions, *, kind: str, group: str) -> None:
    """Refuse what only a watch or a versioned store can do; custom metrics ignore all of this."""
    if options.watch:
        raise WatchNotSupported(kind=kind, group=group)
    if options.resource_version_match:
        _check_version_match(options)
    if options.send_initial_events is not None:
        raise _forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list")


def _check_version_match(options: ListOptions) -> None:
    """Refuse a match that says nothing here (ValidateListOptions of apimachinery); the first thing wrong is named."""
    name, match = "resourceVersionMatch", options.resource_version_match
    if not options.resource_version:
        raise _forbidden(name, "resourceVersionMatch is forbidden unless resourceVersion is provided")
    if match not in _MATCHES:
        supported = ", ".join(quoted(text) for text in (*_MATCHES, ""))
        detail = f"Unsupported value: {quoted(match)}: supported values: {supported}"
        raise ForbiddenOption(field=name, detail=detail, cause="FieldValueNotSupported")
    if match == "Exact" and options.resource_version == "0":
        raise _forbidden(name, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"')


def _forbidden(name: str, text: str) -> ForbiddenOption:
    return ForbiddenOption(field=name, detail=f"Forbidden: {text}")


def _integer(parameters: Mapping[str, str], name: str) -> int | None:
    """Read an int64 in base 10, as strconv.ParseInt does."""
    text = parameters.get(name)
    if text is None:
        return None
    match = _INTEGER.fullmatch(text)
    if match is None:
        raise _not_an_integer(text, "invalid syntax")
    sign, digits = match[1], match[2].lstrip("0") or "0"
    # int() refuses more than 4,300 digits, and no int64 has more than these
    number = int(sign + digits) if len(digits) <= len(str(_INT64)) else _INT64
    if not -_INT64 <= number < _INT64:
        raise _not_an_integer(text, "value out of range")
    return number


def _not_an_integer(text: str, why: str) -> InvalidOption:
    return InvalidOption(f"strconv.ParseInt: parsing {quoted(text)}: {why}")


def _boolean(parameters: Mapping[str, str], name: str) -> bool | None:
    """Read a flag: only `false` and `0` are false, and being named without a value is true."""
    text = parameters.get(name)
    return None if text is None else text.lower() not in {"false", "0"}
