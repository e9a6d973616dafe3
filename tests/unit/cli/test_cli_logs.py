"""How log lines look, and how seldom those of libraries are written."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator

import pytest

from adapter.cli.logs import SeldomLines, set_up_logs

BEGIN = 1795174497.0


@pytest.fixture(autouse=True)
def _loggers() -> Iterator[None]:
    """Leave the process' loggers as they were."""
    loggers = [logging.getLogger(name) for name in (None, "adapter")]
    before = [(logger.handlers, logger.level, logger.propagate) for logger in loggers]
    yield
    logging.captureWarnings(capture=False)
    for logger, (handlers, level, propagate) in zip(loggers, before, strict=True):
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


def test_text(capsys: pytest.CaptureFixture[str]) -> None:
    """A line holds time, level, name and text, also of a library; newlines make no further line."""
    set_up_logs("text", verbosity=0)

    logging.getLogger("adapter.server").info("serving port=%s", 6443)
    logging.getLogger("adapter.server").debug("unsaid")
    logging.getLogger("uvicorn.error").info("unsaid")
    logging.getLogger("uvicorn.error").warning("Invalid\n%s\n", "2026 INFO forged")

    lines = [line.split(" ", 2)[2] for line in capsys.readouterr().err.splitlines()]
    assert lines == [
        "INFO adapter.server serving port=6443",
        "WARNING uvicorn.error Invalid\\n2026 INFO forged",
    ]


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    """As JSON a line holds the same, and text that is no Unicode is written all the same."""
    set_up_logs("json", verbosity=6)

    logging.getLogger("adapter.clients").debug("said %s", "\udcff")
    logging.getLogger("asyncio").error("a\nb")

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["level"], line["logger"], line["message"]) for line in lines] == [
        ("debug", "adapter.clients", "said \\udcff"),
        ("error", "asyncio", "a\nb"),
    ]


def record(text: str, *, seconds: float, value: object = "") -> logging.LogRecord:
    """Return a warning, made so long after the beginning."""
    made = logging.LogRecord("uvicorn.error", logging.WARNING, "", 0, text, (value,), None)
    made.created = BEGIN + seconds
    return made


def test_a_line_that_callers_bring_about() -> None:
    """A line of a library is written once a minute, whatever its values, and then says how many were held back."""
    seldom = SeldomLines()

    let_through = [seldom.filter(record("bad %s", seconds=n, value=n)) for n in range(60)]
    later = record("bad %s", seconds=60, value=60)
    other = seldom.filter(record("worse %s", seconds=1))

    assert let_through == [True, *[False] * 59]
    assert seldom.filter(later)
    assert later.getMessage() == "bad 60 (59 more since the last such line)"
    assert other


def test_what_was_cancelled() -> None:
    """A request that was cut off is no error of the application."""
    made = record("Exception in ASGI application %s", seconds=0)
    cancelled = asyncio.CancelledError()
    made.exc_info = (type(cancelled), cancelled, None)

    assert not SeldomLines().filter(made)
