"""What can be wrong with the PromQL of a rule."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import promql_parser as promql

from adapter.config.problems import Problem
from adapter.promql.matchers import LabelMatcher, MatchOp
from adapter.promql.sources import sources_of
from adapter.rules.association import Association
from adapter.rules.checks import tree
from adapter.rules.checks.rendering import QueryView, Rendering, carries_matchers
from adapter.rules.checks.selector import as_regex, is_regex_as_text
from adapter.rules.checks.subject import excerpt

_STRINGS = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|`[^`]*`")
_DASHED = re.compile(r"(?<![\w:.}\])-])([A-Za-z_:][\w:]*(?:-[A-Za-z_:][\w:]*)+)")
# By the names of the library's operators, which cannot be keys themselves.
_MATCH_OPS = {
    "MatchOp.Equal": MatchOp.EQUAL,
    "MatchOp.NotEqual": MatchOp.NOT_EQUAL,
    "MatchOp.Re": MatchOp.MATCHES,
    "MatchOp.NotRe": MatchOp.NOT_MATCHES,
}


def unreadable(view: QueryView) -> Iterator[Problem]:
    """Find queries that our parser cannot read; a server may know more than it does."""
    for rendering in view.renderings:
        if rendering.query is None:
            yield view.place.problem(
                "query/unreadable",
                f"the query cannot be read: {rendering.error}",
                hint="if the server takes it (check it with --prometheus-url), it is served as it is",
            )
            return


def age_unknown(view: QueryView) -> Iterator[Problem]:
    """Find rules that say how old a value may be, of a query whose selectors we do not know."""
    if view.subject is None or view.subject.rule.policies.max_sample_age_seconds is None:
        return
    for rendering in view.renderings:
        if rendering.query is None or sources_of(rendering.query) is None:
            message = "the age of values is not known, since the query's selectors cannot be read"
            yield view.place.problem(
                "query/age-unknown", message, hint="leave `maxSampleAge` out, or write the query simpler"
            )
            return


def no_vector(view: QueryView) -> Iterator[Problem]:
    """Find queries whose result can never be served: range vectors and strings."""
    kinds = {
        promql.MatrixSelector: "a range vector",
        promql.SubqueryExpr: "a range vector",
        promql.StringLiteral: "a string",
    }
    for rendering in view.renderings:
        kind = kinds.get(type(rendering.tree))
        if kind:
            message = f"the result is {kind}, and only an instant vector can be served"
            yield view.place.problem("query/no-vector", message, hint="put a function around it, such as rate(...)")
            return


# ---- the adapter's matchers


def matchers_missing(view: QueryView) -> Iterator[Problem]:
    """Find queries that cannot be narrowed to the objects asked for."""
    if view.subject is not None and view.subject.rule.fixed is not None:
        return  # an error there, since the selectors with matchers are what is discovered
    read = [one for one in view.renderings if one.query is not None]
    lacking = [one for one in read if _selectors(one) and not any(map(_is_narrowed, _selectors(one)))]
    if lacking and len(lacking) == len(read):
        yield view.place.problem(
            "query/matchers-missing",
            "no selector carries <<.LabelMatchers>>, so the query ignores "
            + ("namespace and selector of the request" if view.what == "external" else "which objects are asked for"),
            hint="write metric_name{<<.LabelMatchers>>}",
        )


def hard_coded_namespace(view: QueryView) -> Iterator[Problem]:
    """Find selectors that name a namespace although the request does."""
    if not (view.namespace_label and view.namespaced):
        return
    for rendering in view.renderings[:1]:
        for selector in _selectors(rendering):
            for matcher in selector.matchers.matchers:
                if matcher.name == view.namespace_label and _is_one_namespace(matcher):
                    offset, length = excerpt(view.text, matcher.value)
                    yield view.place.problem(
                        "query/hard-coded-namespace",
                        f'the query names the namespace "{matcher.value}", so requests for any other '
                        + ("find nothing" if _is_narrowed(selector) else "get its values"),
                        hint="<<.LabelMatchers>> brings the namespace of the request; allowNamespaces says who may ask",
                        offset=offset,
                        length=length,
                    )


def _is_one_namespace(matcher: Any) -> bool:
    if carries_matchers([matcher]):
        return False
    if matcher.op == promql.MatchOp.Re:
        return matcher.value not in (".*", ".+")
    return bool(matcher.op == promql.MatchOp.Equal and matcher.value)


def regex_as_text(view: QueryView) -> Iterator[Problem]:
    """Find `!=` and `=` in the query with a value that is meant as a regular expression."""
    for rendering in view.renderings[:1]:
        for selector in _selectors(rendering):
            for one in selector.matchers.matchers:
                matcher = LabelMatcher(name=one.name, op=_MATCH_OPS[str(one.op)], value=one.value)
                if is_regex_as_text(matcher):
                    offset, length = excerpt(view.text, one.value)
                    yield view.place.problem(
                        "selector/regex-as-text",
                        f'"{matcher.name}{matcher.op}" compares letter by letter;'
                        " the value looks like a regular expression",
                        hint=f"write {matcher.name}{as_regex(matcher.op)} if a regular expression is meant",
                        offset=offset,
                        length=length,
                    )


# ---- the objects' label


def object_label_lost(view: QueryView) -> Iterator[Problem]:
    """Find queries whose result no longer says which object a value belongs to."""
    if view.what == "external":
        return
    read = [one for one in view.renderings if one.tree is not None and one.label]
    lost = [one for one in read if not tree.may_keep(one.tree, one.label)]
    if not lost or _keeps_another(view, lost[0]):
        return
    if len(lost) == len(read):
        yield view.place.problem(
            "query/group-by-missing",
            f'the result has no label "{lost[0].label}", so no value can be given to an object',
            hint=_group_by_hint(lost[0]),
        )
    else:
        labels = ", ".join(f'"{one.label}"' for one in lost)
        message = f"the grouping written out keeps no label {labels}, so objects named by that never have a value"
        yield view.place.problem("query/group-by-fixed", message, hint="group by (<<.GroupBy>>)")


def _keeps_another(view: QueryView, rendering: Rendering) -> bool:
    """Say whether the query groups by a label that the rule's template maps to some other kind."""
    subject = view.subject
    if subject is None or subject.rule.association.template is None:
        return False
    association: Association = subject.rule.association
    listed = {label for one in tree.aggregations(rendering.tree) if one.modifier for label in one.modifier.labels}
    return any(association.kind_of(label, subject.kinds) and tree.may_keep(rendering.tree, label) for label in listed)


def _group_by_hint(rendering: Rendering) -> str:
    without = [one for one in tree.aggregations(rendering.tree) if one.modifier is None]
    if without:
        return f"write {without[0].op}(...) by (<<.GroupBy>>)"
    return "group by (<<.GroupBy>>), and keep that label in joins"


def dash_in_name(view: QueryView) -> Iterator[Problem]:
    """Find `my-metric{...}`, which PromQL reads as `my` minus `metric{...}`."""
    for rendering in view.renderings[:1]:
        bare = set(_bare_operands(rendering))
        for match in _DASHED.finditer(_STRINGS.sub(lambda found: '"' * len(found[0]), rendering.text)):
            if match[1].split("-")[0] in bare:
                offset, length = excerpt(view.text, match[1])
                yield view.place.problem(
                    "query/dash-in-name",
                    f'"{match[1]}" is a subtraction: names have no dashes',
                    hint=f"is {match[1].replace('-', '_')} meant? around a minus, write spaces",
                    offset=offset,
                    length=length,
                )


def _bare_operands(rendering: Rendering) -> Iterator[str]:
    """Yield the metrics without matchers from which something is subtracted."""
    for node, _ in tree.with_ancestors(rendering.tree) if rendering.tree is not None else ():
        if isinstance(node, promql.BinaryExpr) and str(node.op) == "-":
            for one in (node.lhs, getattr(node.lhs, "lhs", None)):
                if isinstance(one, promql.VectorSelector) and not one.matchers.matchers:
                    yield tree.metric_name(one)


# ---- what the checks share


def _selectors(rendering: Rendering) -> list[Any]:
    if rendering.tree is None:
        return []
    return [one for one, _ in tree.with_ancestors(rendering.tree) if isinstance(one, promql.VectorSelector)]


def _is_narrowed(selector: Any) -> bool:
    groups = [selector.matchers.matchers, *selector.matchers.or_matchers]
    return any(carries_matchers(group) for group in groups)
