"""Problems for people and for their tools: text with a caret, JSON, SARIF, annotations of a GitHub workflow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any, Final
from urllib.parse import quote

from adapter.config.codes import CODES, CodeInfo
from adapter.config.display import excerpt, shown
from adapter.config.problems import Location, Problem, Severity
from adapter.config.secrets import shown_line
from adapter.config.source import split_lines

_INDENT: Final = "    "
# Problems whose line may hold a secret.
_UNQUOTED: Final = frozenset({"backend/header"})
_SARIF_LEVELS: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_GITHUB_COMMANDS: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}
_SARIF_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def problem_text(problem: Problem, source: str | None) -> str:
    """Return a problem for a terminal: place, code and message; the line with a caret if there is one; a hint.

    A problem that is no error says so before its message. `source` is the text of the problem's file.
    """
    severity = "" if problem.severity is Severity.ERROR else f"{problem.severity}: "
    lines = [f"{_place(problem.location)}: {problem.code}: {severity}{shown(problem.message)}"]
    if source is not None and problem.code not in _UNQUOTED:
        lines += [_INDENT + line for line in _quoted(source, problem.location)]
    if problem.hint:
        lines.append(f"{_INDENT}hint: {shown(problem.hint)}")
    return "\n".join(lines)


def _place(location: Location) -> str:
    file = shown(location.file)
    return f"{file}:{location.line}:{location.column}" if location.line else file


def _quoted(source: str, location: Location) -> Sequence[str]:
    lines = split_lines(source)
    if not 0 < location.line <= len(lines):
        return ()
    line = shown_line(lines, location.line - 1)
    return excerpt(line, location.column - 1, location.length) if line.strip() else ()


def to_json(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    """Return problems as JSON objects, one each; line and column count from 1 and are 0 where there is no place."""
    return [
        {
            "code": problem.code,
            "severity": problem.severity.value,
            "message": problem.message,
            "hint": problem.hint,
            "rule": problem.rule,
            "file": problem.location.file,
            "line": problem.location.line,
            "column": problem.location.column,
            "length": problem.location.length,
        }
        for problem in problems
    ]


def to_sarif(problems: Sequence[Problem], *, version: str, codes: Mapping[str, CodeInfo] = CODES) -> dict[str, Any]:
    """Return problems as a SARIF 2.1.0 log, for code scanning; `codes` has the titles, `version` is the tool's."""
    rules = sorted({problem.code for problem in problems})
    driver = {"name": "tidegauge", "version": version, "rules": [_sarif_rule(code, codes.get(code)) for code in rules]}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_sarif_result(problem, rules.index(problem.code)) for problem in problems],
    }
    return {"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}


def _sarif_rule(code: str, info: CodeInfo | None) -> dict[str, Any]:
    if info is None:
        return {"id": code}
    return {
        "id": code,
        "shortDescription": {"text": info.title},
        "fullDescription": {"text": info.why},
        "help": {"text": info.fix},
        "defaultConfiguration": {"level": _SARIF_LEVELS[info.severity]},
    }


def _sarif_result(problem: Problem, rule_index: int) -> dict[str, Any]:
    location = problem.location
    physical: dict[str, Any] = {"artifactLocation": {"uri": _uri(location.file)}}
    if location.line:
        physical["region"] = {
            "startLine": location.line,
            "startColumn": location.column,
            "endColumn": location.column + location.length,
        }
    return {
        "ruleId": problem.code,
        "ruleIndex": rule_index,
        "level": _SARIF_LEVELS[problem.severity],
        "message": {"text": _with_hint(problem)},
        "locations": [{"physicalLocation": physical}],
    }


def _uri(file: str) -> str:
    path = PurePath(file)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix(), errors="surrogateescape")


def _with_hint(problem: Problem) -> str:
    return f"{problem.message}\nhint: {problem.hint}" if problem.hint else problem.message


def to_github(problems: Iterable[Problem]) -> str:
    """Return problems as workflow commands, a line each; GitHub shows them beside the lines of a pull request."""
    return "".join(f"{_github_command(problem)}\n" for problem in problems)


def _github_command(problem: Problem) -> str:
    location = problem.location
    properties = {"file": location.file}
    if location.line:
        properties |= {
            "line": str(location.line),
            "col": str(location.column),
            "endColumn": str(location.column + location.length),
        }
    properties["title"] = problem.code
    fields = ",".join(f"{name}={_escaped_property(value)}" for name, value in properties.items())
    return f"::{_GITHUB_COMMANDS[problem.severity]} {fields}::{_escaped_data(_with_hint(problem))}"


def _escaped_data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escaped_property(text: str) -> str:
    return _escaped_data(text).replace(":", "%3A").replace(",", "%2C")
