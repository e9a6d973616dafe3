"""Which files a command line names, and their text."""
# ruff: noqa: PTH112, PTH118, PTH207, PTH208 - pathlib would rewrite the paths that messages show

from __future__ import annotations

import glob
import os
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from pathlib import Path
from typing import TYPE_CHECKING, Final

from adapter.config.codes import CODES
from adapter.config.problems import Location, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# 8 MiB: about a thousand times the largest rules file known.
MAX_FILE_BYTES: Final = 8 * 1024 * 1024
_SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})
_UTF16: Final = {BOM_UTF16_LE: "utf-16-le", BOM_UTF16_BE: "utf-16-be"}
# What YAML 1.1 does not allow in a text (the parser would name no column).
_CONTROL: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def problem(code: str, message: str, location: Location, hint: str = "", rule: str = "") -> Problem:
    """Return a problem with the severity of its code."""
    severity = CODES[code].severity
    return Problem(code=code, severity=severity, message=message, location=location, hint=hint, rule=rule)


def find_files(paths: Sequence[str]) -> tuple[list[str], list[Problem]]:
    """Return the files that paths, directories and globs name, each once and in order, and what names none."""
    files: dict[str, str] = {}
    problems: list[Problem] = []
    for path in paths:
        try:
            found = list(_files_of(path))
        except OSError as error:
            problems.append(_unreadable(path, error))
            continue
        if not found:
            problems.append(_nothing(path))
        for file in found:
            identity = os.path.realpath(file)
            if identity in files:
                problems += [problem("file/given-twice", "the file is named more than once", Location(file=file))]
            else:
                files[identity] = file
    return list(files.values()), problems


def _files_of(path: str) -> Iterator[str]:
    """Yield the files of one path; with os.path, since pathlib would rewrite the path that messages show."""
    if os.path.isdir(path):
        names = sorted(name for name in os.listdir(path) if not name.startswith("."))
        found = [os.path.join(path, name) for name in names if Path(name).suffix in _SUFFIXES]
    elif os.path.lexists(path):
        found = [path]
    else:
        found = sorted(glob.glob(path, recursive=True)) if glob.has_magic(path) else []
    yield from (file for file in found if not os.path.isdir(file))


def _nothing(path: str) -> Problem:
    if os.path.isdir(path):
        return problem("file/none-found", "no .yaml, .yml or .json file in this directory", Location(file=path))
    if glob.has_magic(path):
        return problem("file/none-found", "no file matches", Location(file=path))
    return problem("file/not-found", "no such file or directory", Location(file=path))


def read_text(file: str) -> str | Problem:
    """Return the text of a file, or why it has none."""
    try:
        with Path(file).open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        return _unreadable(file, error)
    if len(content) > MAX_FILE_BYTES:
        limit = f"{MAX_FILE_BYTES // 1024 // 1024} MiB"
        return problem("file/too-large", f"the file is larger than {limit}, the limit", Location(file=file))
    return _decoded(file, content)


def _unreadable(file: str, error: OSError) -> Problem:
    return problem("file/unreadable", (error.strerror or type(error).__name__).lower(), Location(file=file))


def _decoded(file: str, content: bytes) -> str | Problem:
    encoding = _UTF16.get(content[:2], "utf-8")
    if encoding == "utf-8" and b"\0" in content:
        return problem("file/binary", "the file is not text", _place(file, content[: content.index(b"\0")]))
    body = content[2:] if encoding != "utf-8" else content.removeprefix(BOM_UTF8)
    try:
        text = body.decode(encoding)
    except UnicodeDecodeError as error:
        message = f"the file is not {encoding.upper()}: byte 0x{body[error.start]:02x}"
        return problem("file/encoding", message, _place(file, body[: error.start]), "save it as UTF-8")
    if match := _CONTROL.search(text):
        message = f"control characters are not allowed: U+{ord(match.group()):04X}"
        return problem("yaml/control-character", message, _place(file, text[: match.start()].encode()))
    return text


def _place(file: str, before: bytes) -> Location:
    lines = before.decode("utf-8", errors="replace").split("\n")
    return Location(file=file, line=len(lines), column=len(lines[-1]) + 1)
