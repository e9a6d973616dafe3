"""From what a person wrote to rules in force: every default put in place, every fault named."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePath
from typing import TypeVar

from adapter.config.fields import OnEmpty
from adapter.config.load import Loaded
from adapter.config.problems import Problem, Severity
from adapter.config.schema import (
    DEFAULT_HOLD_SECONDS,
    Metric,
    PolicyKeys,
    SeriesFilter,
    ValueShape,
)
from adapter.config.schema import Rule as WrittenRule
from adapter.kube.resources import GroupResource, parse_group_resource
from adapter.promql.ast import SeriesSelector, parse_error, parse_query
from adapter.promql.template import Template, TemplateRunError, TemplateValue
from adapter.rules.association import Association
from adapter.rules.compile_parts import FileCompiler, Path, Terms
from adapter.rules.naming import NameFilter, Naming, Pattern, compile_pattern, default_expansion
from adapter.rules.resource_compile import compile_resource_rules
from adapter.rules.rule import Api, Compat, EmptyPolicy, FixedMetric, Policies, Rule, Rulebook, Shape

__all__ = ["Compiled", "Terms", "compile_rules"]

W = TypeVar("W", bound=PolicyKeys)

# A stand-in for the adapter's own matchers, to find the selectors of a `metrics:` query that carry them.
_MARK = "__tidegauge__"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """The rules that can run, and all that was found on the way; with an error among them they must not be used."""

    rulebook: Rulebook
    problems: tuple[Problem, ...]

    @property
    def has_errors(self) -> bool:
        """Say whether something was found that forbids the use of the rules."""
        return any(problem.severity is Severity.ERROR for problem in self.problems)


def compile_rules(loaded: Loaded, terms: Terms) -> Compiled:
    """Return the rules of all files in their order, and every problem of the files, the loader's included."""
    problems = list(loaded.problems)
    rules: list[Rule] = []
    for file in loaded.files:
        compiler = _Compiler(file=file, terms=terms, problems=problems, many_files=len(loaded.files) > 1)
        rules.extend(compiler.rules())
    _report_duplicate_ids(rules, problems)
    resource_rules = compile_resource_rules(loaded.files, terms, problems)
    rulebook = Rulebook(
        rules=tuple(rules),
        custom=any(file.model.rules or any(not one.external for one in file.model.metrics) for file in loaded.files),
        external=any(
            file.model.external_rules or any(one.external for one in file.model.metrics) for file in loaded.files
        ),
        resource_rules=resource_rules,
    )
    return Compiled(rulebook=rulebook, problems=tuple(problems))


def _report_duplicate_ids(rules: Sequence[Rule], problems: list[Problem]) -> None:
    seen: dict[str, Rule] = {}
    for rule in rules:
        first = seen.setdefault(rule.id, rule)
        if first is not rule:
            problems.append(
                Problem(
                    code="rule/duplicate-id",
                    severity=Severity.ERROR,
                    message=f'the id "{rule.id}" is taken by the rule at {first.place}',
                    location=rule.location,
                    hint="give each rule an id of its own",
                    rule=rule.id,
                )
            )


@dataclass(slots=True, kw_only=True)
class _Compiler(FileCompiler):
    """Compiles the rules of one file."""

    many_files: bool

    def rules(self) -> Iterator[Rule]:
        model = self.file.model
        for section, written, api in (
            ("rules", model.rules, Api.CUSTOM),
            ("externalRules", model.external_rules, Api.EXTERNAL),
        ):
            for index, rule in enumerate(written):
                yield from self._guarded((section, index), rule, partial(self._rule, api=api))
        for index, metric in enumerate(model.metrics):
            yield from self._guarded(("metrics", index), metric, self._metric)

    def _guarded(self, path: Path, written: W, compile_one: Callable[[Path, W], Rule | None]) -> Iterator[Rule]:
        """Compile one rule; a rule with an error is left out, its problems stay."""
        self.rule_id = written.id or self._default_id(path)
        self.failed = False
        if not self.backend_serves(self.chosen(written, "backend"), at=(*path, "backend")):
            return
        rule = compile_one(path, written)
        if rule is not None and not self.failed:
            yield rule

    def _default_id(self, path: Path) -> str:
        name = f"{path[0]}[{path[1]}]"
        return f"{PurePath(self.file.source.file).name}:{name}" if self.many_files else name

    # ---- what both forms share

    def _policies(self, written: PolicyKeys, api: Api) -> Policies:
        ttl_seconds = self.chosen(written, "cache_ttl")
        stale_seconds = self.chosen(written, "stale_if_error")
        value = written.value or ValueShape()
        low, high = value.clamp or (None, None)
        return Policies(
            cache_ttl_seconds=self.terms.cache_ttl_seconds if ttl_seconds is None else ttl_seconds,
            stale_if_error_seconds=self.terms.stale_if_error_seconds if stale_seconds is None else stale_seconds,
            max_sample_age_seconds=self.chosen(written, "max_sample_age"),
            on_empty=_empty_policy(self.chosen(written, "on_empty"), self.chosen(written, "hold_for")),
            on_nan=self.chosen(written, "on_nan") or ("zero" if api is Api.CUSTOM else "drop"),
            on_duplicates=self.chosen(written, "on_duplicates") or "last",
            shape=Shape(
                scale=1.0 if value.scale is None else value.scale,
                low=low,
                high=high,
                round=value.round or "none",
                cut=self.terms.compat is Compat.STRICT,
            ),
            selector_labels=dict(self.chosen(written, "selector_labels") or {}),
            allow_namespaces=tuple(self.chosen(written, "allow_namespaces") or ()),
            may_share=self.chosen(written, "fuse") != "never",
        )

    # ---- prometheus-adapter's form

    def _rule(self, path: Path, written: WrittenRule, *, api: Api) -> Rule | None:
        if not written.series_query:
            return None  # the loader said so; prometheus-adapter starts too, and its discovery fails
        naming = self._naming(path, written)
        association = self.association((*path, "resources"), written.resources)
        query = self.template((*path, "metricsQuery"), written.metrics_query)
        if naming is None or association is None:
            return None
        return Rule(
            id=self.rule_id,
            api=api,
            location=self.location(path),
            series_queries=(written.series_query,),
            naming=naming,
            association=association,
            query=query,
            query_text=written.metrics_query,
            namespaced=written.resources is None or written.resources.namespaced is not False,
            policies=self._policies(written, api),
            compat=self.terms.compat,
            description=written.description or "",
            owner=written.owner or "",
        )

    def _naming(self, path: Path, written: WrittenRule) -> Naming | None:
        filters = [
            self._filter((*path, "seriesFilters", index), one) for index, one in enumerate(written.series_filters)
        ]
        name = written.name
        matches_text = name.matches if name else ""
        matches = self._pattern((*path, "name", "matches"), matches_text or ".*")
        if matches is None or not all(filters):
            return None
        expansion = (name.as_ if name else "") or default_expansion(matches)
        if expansion is None:
            self.report(
                "naming/as-missing",
                Severity.ERROR,
                f"must specify an 'as' value for name matcher \"{matches_text}\" associated with series query"
                f' "{written.series_query}"',
                (*path, "name"),
                hint='with more than one group, `as` says which becomes the name, for example "${1}_per_second"',
            )
            return None
        last = [NameFilter(pattern=matches, wanted=True)] if matches_text else []
        return Naming(filters=tuple([one for one in filters if one] + last), matches=matches, expansion=expansion)

    def _filter(self, path: Path, written: SeriesFilter) -> NameFilter | None:
        wanted = bool(written.is_)
        text = written.is_ if wanted else written.is_not
        pattern = self._pattern((*path, "is" if wanted else "isNot"), text or "")
        return NameFilter(pattern=pattern, wanted=wanted) if pattern else None

    def _pattern(self, path: Path, text: str) -> Pattern | None:
        try:
            return compile_pattern(text)
        except ValueError as error:
            self.report(
                "regex/syntax",
                Severity.ERROR,
                f"not an RE2 regular expression: {error}",
                path,
                hint="look-around and back-references do not exist in RE2",
            )
            return None

    # ---- our form, written from the answer's end

    def _metric(self, path: Path, written: Metric) -> Rule | None:
        template = self.template((*path, "query"), written.query)
        if template is None:
            return None
        series_queries = self._selectors_with_matchers((*path, "query"), template)
        if not series_queries:
            return None
        api = Api.EXTERNAL if written.external else Api.CUSTOM
        resource = parse_group_resource(written.object.resource) if written.object else None
        label = written.object.label if written.object else ""
        namespace_label = written.namespace_label or ""
        overrides = [(label, resource)] if resource else []
        overrides += [(namespace_label, GroupResource(resource="namespaces"))] if namespace_label else []
        everything = compile_pattern(".*")
        return Rule(
            id=self.rule_id,
            api=api,
            location=self.location(path),
            series_queries=series_queries,
            naming=Naming(matches=everything, expansion="$0"),
            association=Association(overrides=tuple(overrides)),
            query=template,
            query_text=written.query,
            namespaced=bool(namespace_label),
            policies=self._policies(written, api),
            compat=self.terms.compat,
            fixed=FixedMetric(metric=written.metric, resource=resource, label=label, namespace_label=namespace_label),
            description=written.description or "",
            owner=written.owner or "",
        )

    def _selectors_with_matchers(self, path: Path, template: Template) -> tuple[str, ...]:
        """Return the series queries of a `metrics:` entry: its selectors that carry our matchers, without these."""
        fields: Mapping[str, TemplateValue] = {
            "Series": "",
            "LabelMatchers": f'{_MARK}="x"',
            "LabelValuesByName": {},
            "GroupBy": _MARK,
            "GroupBySlice": [_MARK],
        }
        try:
            text = template.render(fields)
        except TemplateRunError as error:
            self.report("template/run", Severity.ERROR, str(error), path)
            return ()
        query = parse_query(text)
        if query is None:
            self.report(
                "query/syntax",
                Severity.ERROR,
                f"the query cannot be read, so its selectors are not known: {parse_error(text)}",
                path,
                hint="write it under `rules` with a seriesQuery if the server takes it",
            )
            return ()
        selectors = [one.selector for one in query.selectors if one.selector is not None]
        found = [str(_unmarked(one)) for one in selectors if _unmarked(one) != one]
        if not found:
            self.report(
                "query/matchers-missing",
                Severity.ERROR,
                "no selector of the query carries <<.LabelMatchers>>",
                path,
                hint="write metric_name{<<.LabelMatchers>>}",
            )
        return tuple(dict.fromkeys(found))


def _unmarked(selector: SeriesSelector) -> SeriesSelector:
    """Return a selector without the stand-in for the adapter's matchers."""
    return replace(selector, matchers=tuple(one for one in selector.matchers if one.name != _MARK))


def _empty_policy(written: OnEmpty | None, hold_seconds: float | None) -> EmptyPolicy:
    match written:
        case None | "omit":
            return EmptyPolicy()
        case "hold":
            return EmptyPolicy(action="hold", hold_seconds=hold_seconds or DEFAULT_HOLD_SECONDS)
        case "error":
            return EmptyPolicy(action="error")
        case "zero":
            return EmptyPolicy(action="value")
        case number:
            return EmptyPolicy(action="value", value=float(number))
