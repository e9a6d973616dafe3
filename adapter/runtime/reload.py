"""The rules files, followed while serving: read aside, asked about, swapped whole; a bad one changes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from adapter.config.problems import Location, Problem, Severity
from adapter.errors import QueryRejected
from adapter.interpreter import collection_paused
from adapter.rules.rule import Rulebook
from adapter.runtime.clock import Clocks
from adapter.runtime.demand import Demand
from adapter.runtime.relist import Prepared, Relist
from adapter.runtime.rule_files import Mark, RuleFiles, Rules
from adapter.runtime.series_states import States

log = logging.getLogger(__name__)

# How often the files are looked at. kubelet brings a ConfigMap's change within a minute, so this adds nothing to it.
LOOK_SECONDS = 2.0
# How long Prometheus may take for what is new; four rounds of its own time limit of 5 s.
SHADOW_SECONDS = 20.0
# What was refused is tried again, as what stood against it may be over; a file that could not be read, too.
RETRY_SECONDS = 60.0
# Files that are being written are read again at once so often; after that the next look finds them.
_READINGS = 3
# Of what a message names; a log line with a thousand metrics helps nobody.
_NAMED = 10
_LOGGED_PROBLEMS = 20


class ReloadObserver(Protocol):
    """What a reload reports."""

    def config_in_force(self, *, at_seconds: float) -> None:
        """Note that the files as they are now are in force, since when in seconds since 1970."""

    def reload_ended(self, *, result: str) -> None:
        """Note a reload: applied, unchanged, failed (a bad file), refused (by --reload-protect)."""

    def metrics_lost(self, *, metrics: int) -> None:
        """Note how many metrics in use the last change of the files took away, or would take away."""

    def rules_loaded(self, *, rules: int, problems: Mapping[str, int]) -> None:
        """Note the rules that came into force, and how many problems their files have by severity."""


@dataclass(slots=True, kw_only=True)
class Reload:
    """Follows the rules files; `rules` are those in force, `problems` is why the files as they are now are not."""

    rules: Rules
    files: RuleFiles
    read: Callable[[], Rules]
    relist: Relist
    demand: Demand
    clocks: Clocks
    observer: ReloadObserver
    protect: bool = False  # whether rules that take away metrics in use are refused
    problems: tuple[Problem, ...] = ()
    _told: tuple[Problem, ...] = ()
    _retry_at: float = 0.0
    _requested: asyncio.Event = field(default_factory=asyncio.Event)

    def request(self) -> None:
        """Have the files read at once, as SIGHUP asks for."""
        self._requested.set()

    async def run(self) -> None:
        """Follow the files for ever."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._requested.wait()
            asked = self._requested.is_set()
            self._requested.clear()
            try:
                await (self.reload() if asked else self.look())
            except Exception:
                # The loop must outlive any fault of ours: the rules stay, the log names the fault.
                log.exception("rules not reloaded by an accident of the adapter's own, the old ones stay")
                self.observer.reload_ended(result="failed")

    async def look(self) -> None:
        """Reload when the files have changed and are at rest, or when it is time to try again what was not taken."""
        changed = await asyncio.to_thread(self.files.have_changed)
        if changed or (self.problems and self.clocks.monotonic() >= self._retry_at):
            await self.reload(asked=False)

    async def reload(self, *, asked: bool = True) -> None:
        """Read the files, and put them in force if they can be; `asked` says that somebody wants to hear of it."""
        read = await asyncio.to_thread(self._read_at_rest)
        if read is None:
            return
        mark, rules = read
        self.files.note_read(mark)
        self._retry_at = self.clocks.monotonic() + RETRY_SECONDS
        if rules.say_the_same(self.rules):
            self._stay(asked=asked)
            return
        problems = self._against(rules)
        if problems:
            self._refuse("failed", problems, asked=asked)
            return
        await self._try(rules, asked=asked)

    def _read_at_rest(self) -> tuple[Mark, Rules] | None:
        """Return the rules and the state the files were in; None when they are being written."""
        for _ in range(_READINGS):
            mark = self.files.mark()
            with collection_paused():
                rules = self.read()
            if self.files.mark() == mark:
                return mark, rules
        return None

    def _against(self, rules: Rules) -> tuple[Problem, ...]:
        """Return what forbids the rules, before anybody is asked."""
        errors = [one for one in rules.compiled.problems if one.severity is Severity.ERROR]
        if not errors and not rules.choice.same_backend(self.rules.choice):
            errors.append(_backend_changes(rules))
        return tuple(errors)

    async def _try(self, rules: Rules, *, asked: bool) -> None:
        prepared = await self.relist.prepare(rules.compiled.rulebook, limit_seconds=SHADOW_SECONDS)
        rejected = _rejected(prepared, self.relist.states)
        if rejected:
            self._refuse("failed", rejected, asked=asked)
            return
        lost = self.demand.lost(self.relist.catalog, prepared.draft.catalog)
        self.observer.metrics_lost(metrics=len(lost))
        if lost and self.protect:
            self._refuse("refused", (_metrics_in_use(lost, rules),), asked=asked)
            return
        installed = _apis(self.relist.rulebook)
        await self.relist.adopt(prepared)
        for api in sorted(installed - _apis(rules.compiled.rulebook)):
            log.warning("no rule is left for %s, which is not served any longer: delete its APIServices", api)
        self.rules, self.problems, self._told = rules, (), ()
        if lost:
            log.warning("the rules in force no longer give %s", _in_use(lost))
        self._report_applied()

    def _report_applied(self) -> None:
        found = self.rules.compiled.problems
        for problem in found:
            if problem.severity is not Severity.INFO:
                log.warning("%s", line_of(problem))
        rules = len(self.rules.compiled.rulebook.rules)
        log.info("rules reloaded rules=%s problems=%s", rules, len(found))
        self.observer.rules_loaded(rules=rules, problems=Counter(str(one.severity) for one in found))
        self.observer.config_in_force(at_seconds=self.clocks.wall())
        self.observer.reload_ended(result="applied")

    def _stay(self, *, asked: bool) -> None:
        """Keep the rules, since the files say what is in force."""
        if asked or self.problems:
            log.info("rules not reloaded, the files say what is in force")
            self.observer.metrics_lost(metrics=0)
            self.observer.config_in_force(at_seconds=self.clocks.wall())
            self.observer.reload_ended(result="unchanged")
        self.problems = self._told = ()

    def _refuse(self, result: str, problems: tuple[Problem, ...], *, asked: bool) -> None:
        """Keep the rules, and tell why: each reason once."""
        self.problems = problems
        if problems != self._told:
            for problem in problems[:_LOGGED_PROBLEMS]:
                log.error("%s", line_of(problem))
            log.error("rules not reloaded, the old ones stay problems=%s", len(problems))
        if problems != self._told or asked:
            self.observer.reload_ended(result=result)
        self._told = problems


def line_of(problem: Problem) -> str:
    """Return a problem on one line, as `file:line:column: code: message`, with its hint."""
    place = problem.location
    where = f"{place.file}:{place.line}:{place.column}" if place.line else place.file
    hint = f" ({problem.hint})" if problem.hint else ""
    return " ".join(f"{where}: {problem.code}: {problem.message}{hint}".split())


def _apis(rulebook: Rulebook) -> set[str]:
    installed = {
        "custom.metrics.k8s.io": rulebook.custom,
        "external.metrics.k8s.io": rulebook.external,
        "metrics.k8s.io": rulebook.resource,
    }
    return {api for api, is_there in installed.items() if is_there}


def _rejected(prepared: Prepared, in_force: States) -> tuple[Problem, ...]:
    """Tell of each rule that came with a series query which Prometheus refuses.

    At the start the others serve without it; here there are old rules, which are better than part of the new ones.
    """
    refused = {
        query: state.error
        for query, state in prepared.states.items()
        if isinstance(state.error, QueryRejected) and query not in in_force
    }
    return tuple(
        Problem(
            code="reload/series-query",
            severity=Severity.ERROR,
            message=f"Prometheus refuses the series query {query}: {refused[query]}",
            location=rule.location,
            hint="write a series selector that Prometheus takes",
        )
        for rule in prepared.rulebook.rules
        for query in rule.series_queries
        if query in refused
    )


def _backend_changes(rules: Rules) -> Problem:
    name = rules.choice.name
    written = [file.source for file in rules.loaded.files if name in file.model.backends]
    return Problem(
        code="reload/backend",
        severity=Severity.ERROR,
        message=f'the files name another Prometheus ("{name}"), or another way to reach it, than the one in force',
        location=written[0].locate_key(("backends", name)) if written else _first_file(rules),
        hint="restart to change the backend",
    )


def _metrics_in_use(lost: Sequence[str], rules: Rules) -> Problem:
    return Problem(
        code="reload/metrics-in-use",
        severity=Severity.ERROR,
        message=f"the files do not give {_in_use(lost)}",
        location=_first_file(rules),
        hint="give them again, wait until nobody has read them for an hour, or restart",
    )


def _in_use(lost: Sequence[str]) -> str:
    more = f", and {len(lost) - _NAMED} more" if len(lost) > _NAMED else ""
    what = "a metric" if len(lost) == 1 else f"{len(lost)} metrics"
    return f"{what} that callers read within the last hour: {', '.join(lost[:_NAMED])}{more}"


def _first_file(rules: Rules) -> Location:
    return Location(file=next((file.source.file for file in rules.loaded.files), ""))
