"""What a Prometheus says about rules: their series, labels, windows and samples, asked for as serving would."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from adapter.cli.live_asking import Asking, GaveUpError
from adapter.cli.live_discovery import LiveDiscovery
from adapter.clients.inspection import CheckingConnection, NotOfferedError, NoVectorError, open_checking_connection
from adapter.config.load import Loaded
from adapter.config.problems import Problem
from adapter.errors import AdapterError, QueryRejected
from adapter.kube.resources import Kinds
from adapter.kube.selectors import EVERYTHING
from adapter.promql.ast import Query, parse_query
from adapter.promql.model import Sample
from adapter.rules.catalog import Claims, Entry, build_catalog, claims_of
from adapter.rules.checks import answered, discovered, questions
from adapter.rules.checks.between import overlaps
from adapter.rules.checks.rendering import QueryView, view_of
from adapter.rules.checks.subject import Place, Subject, shown_query, subjects_of
from adapter.rules.checks.values import metrics_said
from adapter.rules.codes import CODES
from adapter.rules.query import Plan, plan_custom, plan_external
from adapter.rules.rule import Api, Rulebook
from adapter.runtime.wiring import Runtime

# What a query is tried with where there is no object with series.
_STAND_IN: Final = "tidegauge-stand-in"


async def live_problems(runtime: Runtime, progress: Callable[[str], None] = lambda _: None) -> list[Problem]:
    """Return what the server in force says about the rules; `progress` gets the id of each rule, on another thread.

    Raises:
        ConfigError: a certificate or token file cannot be read or used.
    """
    connection = open_checking_connection(runtime.rules.choice.options, clock=runtime.clocks.monotonic)
    left = threading.Event()

    def report(rule: str) -> None:
        if left.is_set():
            raise GaveUpError("nobody waits for the answer")
        progress(rule)

    def ask() -> list[Problem]:
        return problems_on_server(
            runtime.rules.compiled.rulebook,
            runtime.rules.loaded,
            connection,
            report,
            kinds=runtime.objects.kinds,
            at_seconds=runtime.clocks.wall(),
            max_age_seconds=runtime.relist.settings.max_age_seconds,
        )

    try:
        return await asyncio.to_thread(ask)
    finally:
        left.set()
        connection.close()


def problems_on_server(
    rulebook: Rulebook,
    loaded: Loaded,
    connection: CheckingConnection,
    progress: Callable[[str], None],
    *,
    kinds: Kinds,
    at_seconds: float,
    max_age_seconds: float,
) -> list[Problem]:
    """Return what a server says about rules at a time (seconds since 1970); whatever it answers, nothing is raised."""
    asking = Asking(connection=connection, at_seconds=at_seconds, start_seconds=at_seconds - max_age_seconds)
    checker = _Checker(rulebook=rulebook, subjects=subjects_of(rulebook, loaded, kinds), asking=asking, kinds=kinds)
    try:
        checker.run(progress)
    except GaveUpError as error:
        hint = "what was found before that is listed" if asking.problems else CODES["live/unreachable"].fix
        asking.say_of_server("live/unreachable", str(error), hint)
    return list(dict.fromkeys(asking.problems))


@dataclass(slots=True, kw_only=True)
class _Checker:
    """Checks all rules against one server, and keeps what it learns about metrics that they share."""

    rulebook: Rulebook
    subjects: Sequence[Subject]
    asking: Asking
    kinds: Kinds
    _intervals: dict[str, float] = field(default_factory=dict)
    _types: dict[str, frozenset[str]] = field(default_factory=dict)

    def run(self, progress: Callable[[str], None]) -> None:
        """Ask everything; `progress` gets the id of the rule that is looked at."""
        version = self._version()
        facts = LiveDiscovery(asking=self.asking, subjects=self.subjects, kinds=self.kinds).facts(progress)
        claims = claims_of(self.rulebook, facts, self.kinds)
        entries = _entries_by_rule(claims)
        for subject in self.subjects:
            progress(subject.rule.id)
            found = [*discovered.series_problems(subject, facts)]
            self._found([*found, *discovered.utf8_names(subject, version)])
            entry = min(entries.get(subject.rule.id, ()), key=_rareness, default=None)
            self._look_at_query(subject, entry, explained=bool(found))
        known = frozenset(problem.rule for problem in overlaps(self.subjects))
        self._found(discovered.overlaps(build_catalog(claims), self.subjects, known))

    def _version(self) -> str | None:
        try:
            return self.asking.tried(None, self.asking.connection.version)
        except NotOfferedError:
            return None

    def _found(self, problems: Iterable[Problem]) -> None:
        self.asking.problems.extend(problems)

    # ---- the rule's own query

    def _look_at_query(self, subject: Subject, entry: Entry | None, *, explained: bool) -> None:
        view = view_of(subject)
        real = self._real_object(subject, entry) if view and entry else None
        plan = self._plan(subject, entry, real) if view else None
        samples = self._answer(view, plan) if view and plan else None
        if view is None or plan is None or samples is None:
            return
        if entry is not None and real is not None:
            found = [*answered.sample_problems(view, plan, samples)]
            self._found(found or self._look_at_all(view, subject, entry))
        elif entry is not None and not explained:
            self._found(answered.nothing_now(view, entry.series or plan.rule.series_queries[0]))
        query = parse_query(plan.promql)
        if query is not None:
            self._look_at_windows(view, query)
            self._look_at_types(view, query)

    def _real_object(self, subject: Subject, entry: Entry) -> tuple[str, ...] | None:
        """Return the namespace and the name, as far as the entry has them, of an object that has series now."""
        labels = questions.labels_of_objects(subject, entry)
        samples = self.asking.samples(subject.place, questions.one_object(subject, entry))
        return tuple(samples[0].labels.get(label, "") for label in labels) if samples else None

    def _plan(self, subject: Subject, entry: Entry | None, real: tuple[str, ...] | None) -> Plan | None:
        """Return the query of a request for a real object, or for a stand-in where there is none."""
        entry = entry or _stand_in(subject, self.kinds)
        if entry is None:
            return None
        values = real or (_STAND_IN,) * len(questions.labels_of_objects(subject, entry))
        try:
            if subject.rule.api is Api.EXTERNAL:
                namespace = values[0] if values else _STAND_IN
                return plan_external(entry, namespace=namespace, selector=EVERYTHING, kinds=self.kinds)
            return plan_custom(
                entry,
                namespace=values[0] if len(values) > 1 else "",
                names=(values[-1],),
                metric_selector=EVERYTHING,
                kinds=self.kinds,
                asked_for=str(entry.kind.group_resource) if entry.kind else "",
            )
        except AdapterError:
            return None  # the checks of the files say why

    def _answer(self, view: QueryView, plan: Plan) -> tuple[Sample, ...] | None:
        """Return the samples of the rule's query; where there are none to be had, that has been reported."""
        asking = self.asking
        try:
            samples = asking.tried(
                view.place, lambda: asking.connection.samples(plan.promql, at_seconds=asking.at_seconds)
            )
        except QueryRejected as error:
            message = f"the server says: {error}; the query was {shown_query(plan.promql)}"
            self._found([view.place.problem("live/query-rejected", message, hint="correct the query")])
            return None
        except NoVectorError as error:
            if str(error) != "a scalar":
                message = f"the result is {error}, and only an instant vector can be served"
                self._found([view.place.problem("query/no-vector", message)])
            return None
        if samples is not None and asking.connection.warnings:
            message = f"the server warns: {'; '.join(asking.connection.warnings)}"
            self._found([view.place.problem("live/partial-answer", message)])
        return samples

    def _look_at_all(self, view: QueryView, subject: Subject, entry: Entry) -> Iterable[Problem]:
        """Find the object with the most samples, where the rule does not say what is to be done with several."""
        promql = questions.every_object(subject, entry)
        if not promql or not answered.several_are_unsaid(view):
            return
        labels = questions.labels_of_objects(subject, entry)
        for sample in self.asking.samples(view.place, promql):
            whose = [sample.labels.get(label, "") for label in labels]
            if sample.value > 1 and all(whose):
                yield answered.several_samples(view, int(sample.value), " in namespace ".join(reversed(whose)))

    def _look_at_windows(self, view: QueryView, query: Query) -> None:
        windows = answered.windows_of(query)
        for window in windows:
            if window.metric not in self._intervals:
                self._intervals[window.metric] = self._interval(view.place, query, window.metric)
        self._found(answered.window_problems(view, windows, self._intervals))

    def _interval(self, place: Place, query: Query, metric: str) -> float:
        """Return the seconds between the samples of a metric, 0 if that cannot be told."""
        asking = self.asking
        labels = asking.samples(place, questions.one_series(query, metric))
        if not labels:
            return 0.0
        selector = questions.samples_of(metric, labels[0])
        ask = asking.connection.sample_times
        times = asking.tried(place, lambda: ask(selector, at_seconds=asking.at_seconds))
        return next((found for one in times or () if (found := answered.interval_of(one))), 0.0)

    def _look_at_types(self, view: QueryView, query: Query) -> None:
        for metric in answered.metrics_of(query):
            if metric not in self._types:
                self._types[metric] = self._types_of(view.place, metric)
        self._found(answered.type_problems(view, query, self._types, metrics_said(view)))

    def _types_of(self, place: Place, metric: str) -> frozenset[str]:
        ask = self.asking.connection.metric_types
        found = (self.asking.tried(place, partial(ask, name)) for name in answered.names_with_a_type(metric))
        return next((known for types in found if types and (known := types - {"unknown"})), frozenset())


def _entries_by_rule(claims: Claims) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for entries in claims.values():
        for entry in entries:
            found.setdefault(entry.rule.id, []).append(entry)
    return found


def _rareness(entry: Entry) -> int:
    """Return how seldom a metric of this kind is asked for: pods first, namespaces last."""
    if entry.kind is None or entry.kind.plural == "pods":
        return 0
    if entry.kind.plural == "namespaces":
        return 3
    return 1 if entry.kind.namespaced else 2


def _stand_in(subject: Subject, kinds: Kinds) -> Entry | None:
    """Return an entry for a rule that has no series, so that its query can be tried all the same."""
    rule = subject.rule
    series = "" if rule.fixed else subject.exact_series or "tidegauge_series"
    if rule.api is Api.EXTERNAL:
        return Entry(metric="", kind=None, series=series, label="", rule=rule)
    if rule.fixed is not None:
        kind = kinds.resolve(rule.fixed.resource) if rule.fixed.resource else None
        return Entry(metric="", kind=kind, series="", label=rule.fixed.label, rule=rule) if kind else None
    found = (
        Entry(metric="", kind=kind, series=series, label=label, rule=rule)
        for label, resource in rule.association.overrides
        if (kind := kinds.resolve(resource))
    )
    return min(found, key=_rareness, default=None)
