"""How log lines look, text for people and JSON for machines, and which lines of others are let through."""

from __future__ import annotations

import asyncio
import logging
import sys
from datetime import UTC, datetime
from typing import Literal

import orjson

# klog's levels: 6 and more log each call to Prometheus.
_DEBUG_VERBOSITY = 6

# How long a line of a library is silent after it was written: any caller can bring such lines about.
_SILENCE_SECONDS = 60.0
# Lines that are told apart; there are some dozens.
_LINES_AT_MOST = 256


class _Text(logging.Formatter):
    """One line per record, and the lines of a traceback behind it."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Write the message on one line, so that nobody outside can write a line of his own."""
        return super().formatMessage(record).rstrip().replace("\r", "\\r").replace("\n", "\\n")


class _JsonLines(logging.Formatter):
    """One JSON object per record."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, tz=UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            # a word of the command line may hold what is no Unicode, which JSON has no form for
            "message": record.getMessage().rstrip().encode(errors="backslashreplace").decode(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line).decode()


class SeldomLines(logging.Filter):
    """Lets a library's line through once a minute, with the number of those that were held back.

    Lines are the same if their texts are before values are put in. What was cancelled is no news: we did it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record is written."""
        if record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError):
            return False
        key, now = (record.name, str(record.msg)), record.created
        told_at, held_back = self._told.get(key, (-_SILENCE_SECONDS, 0))
        if now - told_at < _SILENCE_SECONDS:
            self._told[key] = (told_at, held_back + 1)
            return False
        if held_back:
            record.msg, record.args = (
                f"{record.getMessage().rstrip()} ({held_back} more since the last such line)",
                None,
            )
        if len(self._told) >= _LINES_AT_MOST:
            self._told.clear()
        self._told[key] = (now, 0)
        return True


def set_up_logs(style: Literal["text", "json"], *, verbosity: int) -> None:
    """Send log lines to standard error, in the given style; klog's verbosity 6 means debug.

    Of libraries only warnings and errors are written, each of them seldom.
    """
    formatter = _JsonLines() if style == "json" else _Text()
    ours, others = _written("adapter", formatter), _written(None, formatter)
    ours.propagate = False
    ours.setLevel(logging.DEBUG if verbosity >= _DEBUG_VERBOSITY else logging.INFO)
    others.handlers[0].addFilter(SeldomLines())
    others.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


def _written(name: str | None, formatter: logging.Formatter) -> logging.Logger:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logger = logging.getLogger(name)
    logger.handlers = [handler]
    return logger
