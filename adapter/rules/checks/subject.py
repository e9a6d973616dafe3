"""What a check looks at: one rule with the place where it is written, and its query as it would be sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from adapter.config.load import Loaded, LoadedFile
from adapter.config.problems import Location, Problem
from adapter.config.schema import Metric
from adapter.config.schema import Rule as WrittenRule
from adapter.config.source import Source
from adapter.kube.resources import GroupResource, Kinds
from adapter.promql.ast import SeriesSelector, parse_series_selector
from adapter.promql.matchers import METRIC_NAME_LABEL, LabelMatcher, MatchOp, is_legacy_metric_name
from adapter.rules.codes import CODES
from adapter.rules.rule import Rule, Rulebook

Path = tuple[str | int, ...]

_SHOWN_CHARACTERS = 500  # six lines of a terminal
_NAMESPACES = frozenset({"namespace", "namespaces"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A node of a rules file, and the rule that it belongs to."""

    source: Source
    path: Path
    rule_id: str

    def problem(
        self, code: str, message: str, *below: str | int, hint: str = "", offset: int = 0, length: int | None = None
    ) -> Problem:
        """Return a problem at this node or a node below it; its severity is the code's."""
        where = self.source.locate((*self.path, *below), offset=offset, length=length)
        return self._problem(code, message, where, hint)

    def problem_at_key(self, code: str, message: str, *below: str | int, hint: str = "") -> Problem:
        """Return a problem at the key of a node below this one."""
        return self._problem(code, message, self.source.locate_key((*self.path, *below)), hint)

    def _problem(self, code: str, message: str, where: Location, hint: str) -> Problem:
        severity = CODES[code].severity
        return Problem(code=code, severity=severity, message=message, location=where, hint=hint, rule=self.rule_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A rule in force beside what was written; `selector` is its series query as far as our parser reads it."""

    rule: Rule
    written: WrittenRule | Metric
    file: LoadedFile
    place: Place
    kinds: Kinds
    selector: SeriesSelector | None

    @property
    def exact_series(self) -> str:
        """The one series name that the rule can take, empty if it may take several."""
        return exact_name(self.selector) if self.selector else ""

    @property
    def api_name(self) -> str | None:
        """The one name that the rule can give, None if that depends on the series."""
        if self.rule.fixed is not None:
            return self.rule.fixed.metric
        if "$" not in self.rule.naming.expansion:
            return self.rule.naming.expansion
        return self.rule.naming.metric_name(self.exact_series) if self.exact_series else None


def subjects_of(rulebook: Rulebook, loaded: Loaded, kinds: Kinds) -> tuple[Subject, ...]:
    """Return the rules in force beside what was written, in order; rules that did not compile are left out."""
    in_force: dict[Location, list[Rule]] = {}
    for rule in rulebook.rules:
        in_force.setdefault(rule.location, []).append(rule)
    found = []
    for file, path, written in _written_rules(loaded):
        rules = in_force.get(file.source.locate(path))
        if rules:
            rule = rules.pop(0)
            place = Place(source=file.source, path=path, rule_id=rule.id)
            selector = parse_series_selector(rule.series_queries[0])
            found.append(Subject(rule=rule, written=written, file=file, place=place, kinds=kinds, selector=selector))
    return tuple(found)


def _written_rules(loaded: Loaded) -> Iterator[tuple[LoadedFile, Path, WrittenRule | Metric]]:
    for file in loaded.files:
        model = file.model
        for section, entries in (("rules", model.rules), ("externalRules", model.external_rules)):
            for index, written in enumerate(entries):
                yield file, (section, index), written
        for index, metric in enumerate(model.metrics):
            yield file, ("metrics", index), metric


def exact_name(selector: SeriesSelector) -> str:
    """Return the only series name that a selector takes, also if it is written as a regular expression."""
    if selector.metric:
        return selector.metric
    return next((name for one in selector.matchers if (name := _literal_name(one))), "")


def _literal_name(matcher: LabelMatcher) -> str:
    if matcher.name != METRIC_NAME_LABEL or matcher.op is not MatchOp.MATCHES:
        return ""
    name = matcher.value.removeprefix("^").removesuffix("$")
    return name if is_legacy_metric_name(name) else ""


def names_namespaces(resource: GroupResource) -> bool:
    """Say whether a resource is the namespaces, in singular or plural."""
    return resource.resource.lower() in _NAMESPACES and not resource.group


def shown_query(promql: str) -> str:
    """Return a query as a message repeats it: on one line, and not without end."""
    one_line = " ".join(promql.split())
    return one_line if len(one_line) <= _SHOWN_CHARACTERS else one_line[: _SHOWN_CHARACTERS - 1] + "…"


def excerpt(text: str, needle: str) -> tuple[int, int | None]:
    """Return where `needle` first stands in `text` and how long it is; the whole text if it does not."""
    at = text.find(needle) if needle else -1
    return (at, len(needle)) if at >= 0 else (0, None)
