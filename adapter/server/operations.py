"""How the adapter is: health, its own metrics, its version, and the index of its paths."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from adapter.server.calls import Answer, Call, all_values
from adapter.server.negotiation import encode

PROBES = ("healthz", "livez", "readyz")

_TEXT = "text/plain; charset=utf-8"
EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"
_NOSNIFF = ((b"x-content-type-options", b"nosniff"),)
_WITHHELD = "reason withheld"

# The release of Kubernetes whose API machinery these answers follow.
_KUBERNETES_MINOR = 36


class CheckResult(Protocol):
    """What one named check found; `detail` may be read by anyone, since probes ask without credentials."""

    @property
    def name(self) -> str: ...  # noqa: D102 - the class says it
    @property
    def ok(self) -> bool: ...  # noqa: D102 - the class says it
    @property
    def detail(self) -> str: ...  # noqa: D102 - the class says it


class HealthChecks(Protocol):
    """Who knows how the adapter is."""

    def checks(self, probe: str) -> Sequence[CheckResult]:
        """Return the results for `livez`, `readyz` or `healthz`, from memory."""


class Shutdown:
    """Whether the process has been told to stop: `readyz` fails from then on, and the server drains."""

    def __init__(self) -> None:
        self._told = asyncio.Event()

    @property
    def begun(self) -> bool:
        """Tell whether it has been told."""
        return self._told.is_set()

    def begin(self) -> None:
        """Tell it."""
        self._told.set()

    async def wait(self) -> None:
        """Return once it has been told."""
        await self._told.wait()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draining:
    """The check of `readyz` that fails while the server drains."""

    ok: bool
    name: str = "shutdown"
    detail: str = ""


class Operations:
    """Answers every path that is not of an API."""

    def __init__(
        self,
        *,
        health: HealthChecks,
        shutdown: Shutdown,
        render_metrics: Callable[[], bytes],
        version: str,
        api_paths: Callable[[], Sequence[str]],
    ) -> None:
        self._health = health
        self._shutdown = shutdown
        self._render_metrics = render_metrics
        self._api_paths = api_paths
        self._version = encode(_version_document(version), indented=True)

    def answer(self, call: Call) -> Answer:
        """Answer whatever the method is, as the API servers do; an unknown path gets the index of paths with a 404."""
        if call.path in {"/", "/index.html"}:
            return self._index(status=200)
        if call.path == "/metrics":
            return Answer(body=self._render_metrics(), content_type=EXPOSITION)
        probe, slash, name = call.path.removeprefix("/").partition("/")
        if probe not in PROBES:
            return self._index(status=404)
        checks = self._checks(probe)
        if not slash:
            return probe_answer(probe, checks, call)
        named = [check for check in checks if check.name == name]
        return check_answer(named[0]) if named else self._index(status=404)

    async def version(self) -> Answer:
        """Answer `/version`."""
        return Answer(body=self._version)

    def _checks(self, probe: str) -> list[CheckResult]:
        found = list(self._health.checks(probe))
        return [*found, _Draining(ok=not self._shutdown.begun)] if probe == "readyz" else found

    def _index(self, *, status: int) -> Answer:
        probes = [f"/{probe}" for probe in PROBES]
        checks = [f"/{probe}/{check.name}" for probe in PROBES for check in self._checks(probe)]
        paths = sorted({*self._api_paths(), *probes, *checks, "/metrics", "/version"})
        return Answer(status=status, body=encode({"paths": paths}, indented=True))


def probe_answer(probe: str, checks: Iterable[CheckResult], call: Call) -> Answer:
    """Answer a probe: `ok`, or a line for each check if it is asked for with `verbose` or if one of them fails."""
    asked = set(all_values(call.query, "exclude"))
    found = tuple(checks)
    lines = [f"[+]{check.name} excluded: ok" if check.name in asked else _line(check) for check in found]
    if strangers := sorted(asked - {check.name for check in found}):
        named = ", ".join(f'"{name}"' for name in strangers)
        lines.append(f"warn: some health checks cannot be excluded: no matches for {named}")
    failed = any(not check.ok for check in found if check.name not in asked)
    if not failed and "verbose" not in call.parameters:
        return Answer(body=b"ok", content_type=_TEXT, headers=_NOSNIFF)
    lines.append(f"{probe} check {'failed' if failed else 'passed'}")
    text = "".join(f"{line}\n" for line in lines)
    return Answer(status=500 if failed else 200, body=text.encode(), content_type=_TEXT, headers=_NOSNIFF)


def check_answer(check: CheckResult) -> Answer:
    """Answer a probe of one check."""
    if check.ok:
        return Answer(body=b"ok", content_type=_TEXT)
    text = f"internal server error: {check.detail or _WITHHELD}\n"
    return Answer(status=500, body=text.encode(), content_type=_TEXT, headers=_NOSNIFF)


def _line(check: CheckResult) -> str:
    detail = " ".join(check.detail.split())  # one line, whatever it quotes
    if check.ok:
        return f"[+]{check.name} ok: {detail}" if detail else f"[+]{check.name} ok"
    return f"[-]{check.name} failed: {detail or _WITHHELD}"


def _version_document(version: str) -> dict[str, str]:
    """Return what `version.Info` of apimachinery holds, as strings."""
    minor = str(_KUBERNETES_MINOR)
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return {
        "major": "1",
        "minor": minor,
        "emulationMajor": "1",
        "emulationMinor": minor,
        "minCompatibilityMajor": "1",
        "minCompatibilityMinor": str(_KUBERNETES_MINOR - 1),
        "gitVersion": f"v{version}",
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": platform.python_implementation(),
        "platform": f"{platform.system().lower()}/{machine}",
    }
