"""A line for each metric that was read, in the format of Kubernetes' audit log (audit.k8s.io/v1, level Metadata)."""

from __future__ import annotations

import contextlib
import logging
import queue
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from typing import Any, Final, Protocol

import orjson

_log = logging.getLogger(__name__)

# Lines that wait for the disk: some seconds of a busy adapter. What does not fit is dropped and counted.
_WAITING_AT_MOST: Final = 10_000
_STDOUT: Final = "-"
_MEBIBYTE: Final = 1024 * 1024


class AuditObserver(Protocol):
    """What the audit log reports."""

    def audit_line(self, *, outcome: str) -> None:
        """Note that a line was written, dropped because too many waited, or failed to be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditOptions:
    """Where the lines go (`-` is standard output), and when a file is put aside; no size is no limit."""

    path: str
    max_size_mebibytes: int = 100  # the default of k8s.io/apiserver, as is the next one
    max_backups: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asked."""

    name: str
    uid: str = ""
    groups: Sequence[str] = ()
    extra: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What was asked for, as authorization sees it."""

    verb: str
    group: str
    version: str
    resource: str
    subresource: str = ""
    namespace: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request that has been answered; times are in seconds since 1970."""

    audit_id: str
    uri: str
    user_agent: str
    source: str
    caller: Caller
    subject: Subject
    code: int
    received_at_seconds: float
    answered_at_seconds: float


def event(request: Request) -> dict[str, Any]:
    """Return the audit event of a request."""
    caller, subject = request.caller, request.subject
    user = {
        "username": caller.name,
        "uid": caller.uid,
        "groups": list(caller.groups),
        "extra": {key: list(values) for key, values in caller.extra.items()},
    }
    reference = {
        "resource": subject.resource,
        "namespace": subject.namespace,
        "name": subject.name,
        "apiGroup": subject.group,
        "apiVersion": subject.version,
        "subresource": subject.subresource,
    }
    return {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": request.audit_id,
        "stage": "ResponseComplete",
        "requestURI": request.uri,
        "verb": subject.verb,
        "user": {key: value for key, value in user.items() if value},
        "sourceIPs": [request.source],
        "userAgent": request.user_agent,
        "objectRef": {key: value for key, value in reference.items() if value},
        "responseStatus": {"metadata": {}, "code": request.code},
        "requestReceivedTimestamp": _microseconds(request.received_at_seconds),
        "stageTimestamp": _microseconds(request.answered_at_seconds),
    }


class AuditLog:
    """Writes lines on a thread of its own, so that no request waits for a disk."""

    def __init__(self, options: AuditOptions, *, observer: AuditObserver) -> None:
        """Open the file; raises OSError if it cannot be opened."""
        self._observer = observer
        self._lines: queue.Queue[str | None] = queue.Queue(_WAITING_AT_MOST)
        self._handler = _Quiet(_handler(options), observer)
        self._thread = threading.Thread(target=self._write, name="audit-log", daemon=True)
        self._thread.start()

    def note(self, request: Request) -> None:
        """Let a line be written; it is dropped, and counted, if too many wait already."""
        line = orjson.dumps(event(request)).decode()
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._observer.audit_line(outcome="dropped")

    def close(self) -> None:
        """Write what waits, and close the file."""
        self._lines.put(None)
        self._thread.join()
        self._handler.close()

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            self._handler.write(line)


class _Quiet:
    """A handler of logging that reports a full disk instead of printing tracebacks: once, until it can write again."""

    def __init__(self, handler: logging.Handler, observer: AuditObserver) -> None:
        self._handler = handler
        self._observer = observer
        self._error = ""
        handler.handleError = self._note_error  # type: ignore[method-assign,assignment]  # the hook logging offers

    def write(self, line: str) -> None:
        """Write one line."""
        told, self._error = self._error, ""
        self._handler.emit(logging.LogRecord("audit", logging.INFO, "", 0, line, None, None))
        self._observer.audit_line(outcome="failed" if self._error else "written")
        if self._error and not told:
            _log.error("audit log not written: %s", self._error)

    def close(self) -> None:
        """Close the file; what its disk did not take has been told already."""
        with contextlib.suppress(OSError):
            self._handler.close()

    def _note_error(self, _record: logging.LogRecord) -> None:
        self._error = str(sys.exc_info()[1])


def _handler(options: AuditOptions) -> logging.Handler:
    if options.path == _STDOUT:
        return logging.StreamHandler(sys.stdout)
    return RotatingFileHandler(
        options.path,
        maxBytes=options.max_size_mebibytes * _MEBIBYTE,
        backupCount=options.max_backups,
        encoding="utf-8",
    )


def _microseconds(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}Z"
