"""How `tidegauge doctor` tells what it found: a table of what was looked at, and each finding with its cure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from adapter.cli.output import Page, Streams, plural, write_json
from adapter.config.problems import Severity
from adapter.doctor.findings import Finding, Outcome

_MARKS = {"ok": "✓", "findings": "✗", "skipped": "-"}
_PLAIN_MARKS = {"ok": "ok", "findings": "!!", "skipped": "-"}
_STYLES = {Severity.ERROR: "bad", Severity.WARNING: "title", Severity.INFO: ""}
_WORDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
# Causes before what follows from them, and errors before warnings.
_ORDER = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}
_REASONS_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What all checks came to, by their names."""

    server: str
    outcomes: Mapping[str, Outcome]

    @property
    def findings(self) -> Sequence[Finding]:
        """Return all findings, causes before symptoms."""
        every = [one for outcome in self.outcomes.values() for one in outcome.findings]
        return sorted(dict.fromkeys(every), key=lambda one: (_ORDER[one.severity], one.symptom))

    def count(self, severity: Severity) -> int:
        """Return how many findings of a severity there are."""
        return sum(one.severity is severity for one in self.findings)

    @property
    def skipped(self) -> int:
        """Return how many checks could not be made, or not whole."""
        return sum(bool(one.skipped) for one in self.outcomes.values())

    @property
    def exit_code(self) -> int:
        """Return 1 if there are errors or warnings, else 0."""
        return int(any(one.severity is not Severity.INFO for one in self.findings))


def write_text_report(report: Report, streams: Streams) -> None:
    """Write a report for people."""
    page = Page(streams.out)
    marks = _MARKS if _can_show(streams.out) else _PLAIN_MARKS
    page.table(("", "LOOKED AT", "SEEN"), _rows(report, marks))
    for one in report.findings:
        page.line()
        _write_finding(page, one)
    page.line()
    page.line(summary(report), style=_style(report))


def _can_show(stream: TextIO) -> bool:
    try:
        "".join(_MARKS.values()).encode(getattr(stream, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _rows(report: Report, marks: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for name, outcome in report.outcomes.items():
        reasons = [f"not looked at: {one}" for one in outcome.skipped[:_REASONS_SHOWN]]
        more = len(outcome.skipped) - len(reasons)
        told = [outcome.seen, _counted(outcome), *reasons, f"{more} more" if more > 0 else ""]
        yield marks[outcome.result], name, "; ".join(one for one in told if one)


def _counted(outcome: Outcome) -> str:
    codes = dict.fromkeys(one.code for one in outcome.findings)
    return ", ".join(codes)


def _write_finding(page: Page, one: Finding) -> None:
    word = f"{_WORDS[one.severity]}{' (symptom)' if one.symptom else ''}"
    page.entry(f"{one.code}: {word}: ", one.message, style=_STYLES[one.severity])
    for fact in one.seen:
        page.entry("    seen:  ", fact, style="")
    page.entry("    cause: ", one.cause, style="")
    for command in one.cure:
        page.entry("    cure:  ", command, style="good")


def summary(report: Report) -> str:
    """Return what it comes to, in one line; what was not looked at is never called healthy."""
    named = [(Severity.ERROR, "error"), (Severity.WARNING, "warning"), (Severity.INFO, "note")]
    found = ", ".join(plural(count, noun) for severity, noun in named if (count := report.count(severity)))
    looked = plural(len(report.outcomes), "check")
    left = f"; {report.skipped} of them could not be made, or not whole" if report.skipped else ""
    good = "nothing wrong was found" if report.skipped else "healthy"
    return f"{report.server}: {looked}{left}: {found or good}"


def _style(report: Report) -> str:
    if report.count(Severity.ERROR):
        return "bad"
    return "title" if report.exit_code or report.skipped else "good"


def write_json_report(report: Report, streams: Streams) -> None:
    """Write a report for programs."""
    write_json(streams.out, document_of(report))


def document_of(report: Report) -> Mapping[str, Any]:
    """Return the report as a document."""
    return {
        "server": report.server,
        "checks": [
            {"name": name, "result": one.result, "seen": one.seen, "skipped": list(one.skipped)}
            for name, one in report.outcomes.items()
        ],
        "findings": [
            {
                "code": one.code,
                "severity": str(one.severity),
                "symptom": one.symptom,
                "message": one.message,
                "seen": list(one.seen),
                "cause": one.cause,
                "cure": list(one.cure),
            }
            for one in report.findings
        ],
        "summary": {
            "errors": report.count(Severity.ERROR),
            "warnings": report.count(Severity.WARNING),
            "notes": report.count(Severity.INFO),
            "skipped": report.skipped,
        },
    }
