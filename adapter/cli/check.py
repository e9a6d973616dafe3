"""Every problem of rules files, found the way serving finds them and then some: `tidegauge check`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from adapter import __version__
from adapter.cli.flags import read_settings
from adapter.cli.output import Page, Streams, plural, write_json
from adapter.cli.problems import in_order, write_problems
from adapter.cli.report_format import ReportFormat
from adapter.cli.session import with_spinner
from adapter.config.load import Loaded
from adapter.config.problems import Problem, Severity
from adapter.config.report import to_github, to_json, to_sarif
from adapter.config.settings import Settings
from adapter.kube.resources import kubernetes_kinds
from adapter.rules.checks import static_problems
from adapter.rules.codes import ALL_CODES
from adapter.rules.rule import Rulebook
from adapter.runtime.clock import Clocks
from adapter.runtime.rule_files import read_rules
from adapter.runtime.wiring import open_runtime, read_objects

EXIT_GOOD = 0
EXIT_WARNINGS = 1
EXIT_ERRORS = 2

_UNREACHABLE = "live/unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was found, and how far was looked: `not_asked` says why no server was asked, empty if one was."""

    loaded: Loaded
    rulebook: Rulebook
    problems: Sequence[Problem]
    not_asked: str = ""

    @property
    def files(self) -> int:
        """Return how many files were looked at, those included of which nothing could be read."""
        named = (one.location.file for one in self.loaded.problems)
        return len({*named, *(one.source.file for one in self.loaded.files)})

    def count(self, severity: Severity) -> int:
        """Return how many problems of this severity there are."""
        return sum(one.severity is severity for one in self.problems)

    def exit_code(self, *, strict: bool) -> int:
        """Return 2 for errors, 1 for warnings if these count, else 0."""
        if self.count(Severity.ERROR):
            return EXIT_ERRORS
        return EXIT_WARNINGS if strict and self.count(Severity.WARNING) else EXIT_GOOD


async def check(
    paths: Sequence[str], *, flags: Sequence[str], format_: ReportFormat, strict: bool, streams: Streams
) -> int:
    """Print what is wrong with the files; the exit code is 0, 1 for warnings if `strict`, 2 for errors."""
    settings = read_settings([*(f"--config={path}" for path in paths), *flags], streams)
    report = await with_spinner(_report(settings), "asking Prometheus", streams)
    _WRITERS[format_](report, streams)
    return report.exit_code(strict=strict)


async def _report(settings: Settings) -> Report:
    environment = dict(os.environ)
    objects = read_objects(settings, kinds=kubernetes_kinds(), clocks=Clocks(), telemetry=None)
    rules = read_rules(settings, kinds=objects.kinds, environment=environment)
    loaded, compiled = rules.loaded, rules.compiled
    found = [*compiled.problems, *static_problems(compiled.rulebook, loaded, objects.kinds)]
    found = [one for one in found if not _is_consequence(one, rules.loaded)]
    report = Report(loaded=loaded, rulebook=compiled.rulebook, problems=in_order(found))
    if not settings.prometheus_url_given:
        return replace(report, not_asked="no --prometheus-url was given")
    if report.count(Severity.ERROR):
        return replace(report, not_asked="the files have errors")
    from adapter.cli.live_checks import live_problems  # noqa: PLC0415 - only a server that is asked needs it

    async with open_runtime(settings, environment=environment, relisting=False) as runtime:
        live = await live_problems(runtime)
    away = any(one.code == _UNREACHABLE for one in live)
    return replace(report, problems=in_order([*found, *live]), not_asked="it gave no answer" if away else "")


def _is_consequence(problem: Problem, loaded: Loaded) -> bool:
    """Say whether a warning may only come from what was left out of a rule because it could not be read."""
    if problem.severity is Severity.ERROR or problem in loaded.problems:
        return False
    broken = {(one.location.file, one.rule) for one in loaded.problems if one.severity is Severity.ERROR}
    return (problem.location.file, problem.rule) in broken


def _write_text(report: Report, streams: Streams) -> None:
    write_problems(report.problems, streams.out, loaded=report.loaded)
    if report.problems:
        streams.out.write("\n")
    Page(streams.out).line(summary(report), style=_style(report))
    streams.out.write(f"{_looked_at(report)}\n")


def summary(report: Report) -> str:
    """Return how much there is and how much of it is wrong, in one line."""
    size = f"{plural(report.files, 'file')}, {plural(len(report.rulebook.rules), 'usable rule')}"
    if report.rulebook.resource:
        size += " and resource rules"
    counts = [plural(count, name) for name, severity in _NAMES if (count := report.count(severity))]
    return f"{size}: {', '.join(counts) or 'no problems'}"


_NAMES = (("error", Severity.ERROR), ("warning", Severity.WARNING), ("note", Severity.INFO))


def _style(report: Report) -> str:
    return "bad" if report.count(Severity.ERROR) else "title" if report.count(Severity.WARNING) else "good"


def _looked_at(report: Report) -> str:
    if report.not_asked:
        return f"Checked: the files. Not checked: the series and queries in Prometheus, since {report.not_asked}."
    return "Checked: the files, and their series and queries in Prometheus."


def _write_json(report: Report, streams: Streams) -> None:
    write_json(streams.out, json_document(report))


def json_document(report: Report) -> dict[str, Any]:
    """Return the report for programs."""
    return {
        "problems": to_json(report.problems),
        "summary": {
            "files": report.files,
            "rules": len(report.rulebook.rules),
            "errors": report.count(Severity.ERROR),
            "warnings": report.count(Severity.WARNING),
            "prometheus": not report.not_asked,
        },
    }


def _write_sarif(report: Report, streams: Streams) -> None:
    write_json(streams.out, to_sarif(report.problems, version=__version__, codes=ALL_CODES))


def _write_github(report: Report, streams: Streams) -> None:
    streams.out.write(to_github(report.problems))
    streams.err.write(f"{summary(report)}\n{_looked_at(report)}\n")


_WRITERS = {
    ReportFormat.TEXT: _write_text,
    ReportFormat.JSON: _write_json,
    ReportFormat.SARIF: _write_sarif,
    ReportFormat.GITHUB: _write_github,
}
