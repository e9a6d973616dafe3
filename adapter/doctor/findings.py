"""What a look came to: findings with their codes, and what could not be looked at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from adapter.config.problems import Severity
from adapter.doctor.codes import CODES
from adapter.doctor.facts import Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong: what, the facts that say so, why it matters, and commands that cure or show it.

    A symptom has its cause elsewhere, mostly in another finding.
    """

    code: str
    severity: Severity
    message: str
    seen: tuple[str, ...] = ()
    cause: str
    cure: tuple[str, ...] = ()
    symptom: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one check came to; `seen` is one line for people, `skipped` says what could not be looked at, and why."""

    seen: str = ""
    findings: tuple[Finding, ...] = ()
    skipped: tuple[str, ...] = ()

    @property
    def result(self) -> str:
        """Return findings, skipped or ok; notes are no findings here, and what was left out is never ok."""
        if any(one.severity is not Severity.INFO for one in self.findings):
            return "findings"
        return "skipped" if self.skipped else "ok"


def finding(code: str, message: str, *, seen: Iterable[str] = (), cure: Iterable[str] = (), cause: str = "") -> Finding:
    """Return a finding with what its code says of all of its kind."""
    info = CODES[code]
    return Finding(
        code=code,
        severity=info.severity,
        message=message,
        seen=tuple(one for one in seen if one),
        cause=cause or info.cause,
        cure=tuple(cure) or (info.cure,),
        symptom=info.symptom,
    )


@dataclass(slots=True)
class Notes:
    """Collects what one check finds, in order."""

    findings: list[Finding] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def find(
        self, code: str, message: str, *, seen: Iterable[str] = (), cure: Iterable[str] = (), cause: str = ""
    ) -> None:
        """Add a finding."""
        self.findings.append(finding(code, message, seen=seen, cure=cure, cause=cause))

    def skip(self, what: str, why: Unknown) -> None:
        """Add what could not be looked at."""
        self.skipped.append(f"{what}: {why.reason}" if what else why.reason)

    def outcome(self, seen: str = "") -> Outcome:
        """Return all of it."""
        return Outcome(
            seen=seen, findings=tuple(dict.fromkeys(self.findings)), skipped=tuple(dict.fromkeys(self.skipped))
        )


def skipped(why: Unknown) -> Outcome:
    """Return the outcome of a check that could not be made at all."""
    return Outcome(skipped=(why.reason,))
