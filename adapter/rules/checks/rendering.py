"""A query template as it would be sent, for each label that it may be grouped by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from adapter.config.schema import ResourceRule
from adapter.kube.resources import GroupResource, Kinds
from adapter.promql.ast import Query, parse_error, parse_query
from adapter.promql.template import Template, TemplateRunError, TemplateValue, parse_template
from adapter.rules.association import Association
from adapter.rules.checks.subject import Place, Subject, exact_name, names_namespaces
from adapter.rules.naming import Naming
from adapter.rules.rule import Api

# Stands for the adapter's own matchers: no series has it, and no person writes it.
MARK = "__tidegauge__"
_SERIES = "tidegauge_series"
_STAND_IN = "tidegauge-stand-in"
# What a rule with a resource template may be asked for; of the labels that it gives, this one is looked at.
_TEMPLATE_KIND = "pods"
# The endings of series names that the checks look at, longest first.
_ENDINGS = ("_total", "_bucket", "_count", "_sum")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendering:
    """The query for objects that one label names (empty: for none), and what our parser makes of it."""

    label: str
    text: str
    query: Query | None

    @property
    def tree(self) -> Any:
        """The root of the query's tree, None if it could not be read."""
        return self.query.tree if self.query else None

    @property
    def error(self) -> str:
        """Why the query could not be read, empty if it could."""
        return "" if self.query else parse_error(self.text) or "unknown reason"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryView:
    """One query template of a file: where it stands, what it is for, and its renderings, the likeliest label first."""

    place: Place
    what: str  # custom | external | container | node
    template: Template
    renderings: tuple[Rendering, ...]
    namespace_label: str
    namespaced: bool
    subject: Subject | None = None  # None in resource rules

    @property
    def text(self) -> str:
        """The template as written."""
        return self.template.text


def carries_matchers(matchers: Any) -> bool:
    """Say whether a selector's matchers hold the adapter's own, or a value that a template took from them."""
    return any(one.name == MARK or _STAND_IN in one.value for one in matchers)


# ---- rules


def view_of(subject: Subject) -> QueryView | None:
    """Return the query of a rule, None if it has none or its template cannot be rendered at all."""
    rule = subject.rule
    if rule.query is None:
        return None
    key = "query" if rule.fixed else "metricsQuery"
    place = Place(source=subject.place.source, path=(*subject.place.path, key), rule_id=rule.id)
    namespace = namespace_label_of(subject)
    labels = ("",) if rule.api is Api.EXTERNAL else object_labels(subject) or ("",)
    series = "" if rule.fixed else _series_stand_in(subject)
    renderings = _renderings(rule.query, series, namespace, labels)
    return QueryView(
        place=place,
        what=rule.api.value,
        template=rule.query,
        renderings=renderings,
        namespace_label=namespace,
        namespaced=_is_namespaced(subject),
        subject=subject,
    )


def namespace_label_of(subject: Subject) -> str:
    """Return the label that a rule maps to namespaces, empty if none."""
    rule = subject.rule
    if rule.fixed is not None:
        return rule.fixed.namespace_label
    return rule.association.namespace_label(subject.kinds) or ""


def object_labels(subject: Subject) -> tuple[str, ...]:
    """Return the labels that tell a custom rule's objects apart; namespaces count only if it maps nothing else."""
    rule = subject.rule
    if rule.fixed is not None:
        return (rule.fixed.label,)
    objects = [label for label, resource in rule.association.overrides if not names_namespaces(resource)]
    if rule.association.template is not None:
        kind = subject.kinds.resolve(GroupResource(_TEMPLATE_KIND))
        label = rule.association.label_of(kind, subject.kinds) if kind else None
        objects += [label] if label else []
    everything = [label for label, _ in rule.association.overrides]
    return tuple(dict.fromkeys(objects or everything))


def _is_namespaced(subject: Subject) -> bool:
    """Say whether some request for the rule's metrics is narrowed to one namespace."""
    rule = subject.rule
    if rule.api is Api.EXTERNAL:
        return rule.namespaced
    if rule.association.template is not None:
        return True
    kinds = [subject.kinds.resolve(resource) for _, resource in rule.association.overrides]
    return any(kind is None or kind.namespaced for kind in kinds)


def _series_stand_in(subject: Subject) -> str:
    """Return the series name to render with: the real one if there is only one, else one with the real ending."""
    selector = subject.selector
    exact = exact_name(selector) if selector else ""
    return exact or _SERIES + _ending(subject.rule.naming)


def _ending(naming: Naming) -> str:
    """Return the ending that all series of a rule have, as far as its name filters say so plainly."""
    wanted = (one.pattern.text.removesuffix("$").rstrip(")") for one in naming.filters if one.wanted)
    return next((ending for text in wanted for ending in _ENDINGS if text.endswith(ending)), "")


# ---- metrics.k8s.io


def resource_views(place: Place, rule: ResourceRule, association: Association, kinds: Kinds) -> Iterator[QueryView]:
    """Yield the queries of a resource rule that can be parsed as templates."""
    for key, text, resource in (
        ("containerQuery", rule.container_query, "pods"),
        ("nodeQuery", rule.node_query, "nodes"),
    ):
        kind = kinds.resolve(GroupResource(resource))
        label = (association.label_of(kind, kinds) if kind else None) or ""
        template = _parsed(text)
        if template is not None:
            namespace = association.namespace_label(kinds) or ""
            extra = (rule.container_label,) if key == "containerQuery" and rule.container_label else ()
            yield QueryView(
                place=Place(source=place.source, path=(*place.path, key), rule_id=place.rule_id),
                what=key.removesuffix("Query"),
                template=template,
                renderings=_renderings(template, "", namespace, (label,), extra=extra),
                namespace_label=namespace,
                namespaced=key == "containerQuery",
            )


def _parsed(text: str) -> Template | None:
    try:
        return parse_template(text) if text else None
    except ValueError:
        return None  # reported when the file was compiled


# ---- rendering


def _renderings(
    template: Template, series: str, namespace: str, labels: tuple[str, ...], *, extra: tuple[str, ...] = ()
) -> tuple[Rendering, ...]:
    found = []
    for label in labels:
        try:
            text = template.render(_fields(series, namespace, label, extra))
        except TemplateRunError:
            continue  # `template/run` says so
        if text.strip():
            found.append(Rendering(label=label, text=text, query=parse_query(text)))
    return tuple(found)


def _fields(series: str, namespace: str, label: str, extra: tuple[str, ...]) -> Mapping[str, TemplateValue]:
    group_by = [one for one in (label, *extra) if one]
    return {
        "Series": series,
        "LabelMatchers": f'{MARK}="x"',
        "LabelValuesByName": {name: _STAND_IN for name in (namespace, label) if name},
        "GroupBy": ",".join(group_by),
        "GroupBySlice": group_by,
    }
