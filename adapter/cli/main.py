"""The command `tidegauge`: flags alone serve, as prometheus-adapter's do; everything else is a sub-command."""

from __future__ import annotations

import os
import shlex
import sys
import traceback
from collections.abc import Sequence

EXIT_USAGE = 2  # what a shell calls a misuse: command line, flags, files
EXIT_UNEXPECTED = 70  # EX_SOFTWARE of sysexits.h
EXIT_INTERRUPTED = 130  # 128 + SIGINT
EXIT_NOBODY_READS = 141  # 128 + SIGPIPE

_DEBUG = "--debug"
_HELP = ("-h", "--help")
_OWN_NAMES = ("adapter", "tidegauge")
_NO_SENTENCE = ("-", "/", "http://", "https://")
_TRUE = frozenset({"1", "true", "yes", "on"})


def run() -> None:
    """Run the command line of this process and end it."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that knows no Unicode must not turn an answer into an error.
        getattr(stream, "reconfigure", lambda **_: None)(errors="backslashreplace")
    sys.exit(main(sys.argv[1:]))


def main(argv: Sequence[str]) -> int:
    """Run one command line; return its exit code."""
    words = _without_own_path(list(argv))
    debug = os.environ.get("TIDEGAUGE_DEBUG", "").lower() in _TRUE
    if not _serves(words):
        debug = debug or _DEBUG in words
        words = [word for word in words if word != _DEBUG]
    try:
        code = _dispatch(words)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        _write_no_more()
        return EXIT_NOBODY_READS
    except Exception as error:  # noqa: BLE001 - the edge of the process: one line for people, or all of it for us
        _write_no_more()
        return _unexpected(error, debug=debug)
    return code


def _without_own_path(words: list[str]) -> list[str]:
    """Pass over our own path: prometheus-adapter's chart gives /adapter to an image whose entry point it is already."""
    own = bool(words) and words[0].startswith("/") and words[0].rpartition("/")[2] in _OWN_NAMES
    return words[1:] if own else words


def _serves(words: Sequence[str]) -> bool:
    """Say whether the words are the adapter's own flags."""
    if not words:
        return False
    first = words[0]
    return first == "serve" or (first.startswith("-") and first not in (*_HELP, "--version", _DEBUG))


def _dispatch(words: Sequence[str]) -> int:
    if list(words) == ["--version"]:
        from adapter import __version__  # noqa: PLC0415 - each command loads what it needs

        print(f"tidegauge {__version__}")  # noqa: T201 - the command's output
        return 0
    if _serves(words):
        from adapter.cli.serve import serve  # noqa: PLC0415 - each command loads what it needs

        return serve(words[1:] if words[0] == "serve" else words)
    from adapter.cli.commands import run_command  # noqa: PLC0415 - each command loads what it needs

    if not words:
        run_command(["--help"])
        return EXIT_USAGE
    return run_command(_unquoted(words))


def _unquoted(words: Sequence[str]) -> Sequence[str]:
    """Take a request apart that was quoted whole, as the shell wants for its `*`: 'pods/* rps -n shop'."""
    match words:
        case ["explain" | "get" as command, request, *rest] if " " in request and not request.startswith(_NO_SENTENCE):
            try:
                return [command, *shlex.split(request), *rest]
            except ValueError:  # a quote without its partner: the command says what it thinks of the request
                return words
        case _:
            return words


def _write_no_more() -> None:
    """Drop what cannot be written; Python would try again at its end, and complain."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _unexpected(error: Exception, *, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    else:
        text = f"tidegauge: unexpected {type(error).__name__}: {error}".replace("\n", " ")
        print(f"{text} (TIDEGAUGE_DEBUG=1 shows where)", file=sys.stderr)  # noqa: T201 - the process ends with it
    return EXIT_UNEXPECTED
