"""What may share a query: the shape of a request's query, or why it has none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from adapter.promql.ast import doubtful_number, parse_error, parse_query
from adapter.promql.expressions import Selected, expression_of
from adapter.promql.matchers import LabelMatcher, MatchOp
from adapter.promql.printing import text_of
from adapter.rules.fusion.allowed import TAKEN_AWAY
from adapter.rules.fusion.proof import Proof, RefusedError
from adapter.rules.fusion.skeletons import NAMES_MARK, NAMESPACE_MARK, Skeleton

# Stands for the adapter's own matchers in printed text, where it cannot occur otherwise: `quote` escapes it.
_HOLE = "\x00"
# The parser takes 5 ms for a regular expression of this length, in which nobody else is served.
_MAX_PARSED_CHARACTERS = 4096

_LITERAL = re.compile(r"(?:[^\\.+*?()|\[\]{}^$]|\\[^A-Za-z0-9]|\[[.]\])*")
_ESCAPE = re.compile(r"\\(.)|\[([.])\]", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a query is without its namespace and names; requests of the same shape may share a query.

    The adapter's own matchers belong between the pieces. These are rewritten already: groupings and matchings keep
    namespaces apart. Labels are empty where requests of this shape do not have them.
    """

    rule: str
    pieces: tuple[str, ...]
    namespace_label: str
    label: str
    keeps_namespace: bool  # as written, the query's samples have the namespace label

    @property
    def holes(self) -> int:
        """How often the adapter's matchers stand in the query."""
        return len(self.pieces) - 1

    def text(self, matchers: str) -> str:
        """Return the query with these matchers."""
        return matchers.join(self.pieces)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotFusable:
    """Why a query is asked by itself, and what would change that (empty if nothing does).

    `about` is the word of the query that the reason is about, empty if it is about no single one.
    """

    reason: str
    hint: str = ""
    about: str = ""


def shape_of(skeleton: Skeleton) -> Shape | NotFusable:
    """Return the shape of all plans with a skeleton."""
    unfit = _unfit(skeleton)
    if unfit is not None:
        return unfit
    own = _own_values(skeleton)
    text = _filled(skeleton, own)
    too_long = len(text) > _MAX_PARSED_CHARACTERS
    query = None if too_long else parse_query(text)
    if query is None:
        reason = "the query is too long" if too_long else f"our parser cannot read the query: {parse_error(text)}"
        return NotFusable(reason=reason)
    if doubtful := doubtful_number(text):
        hint = "write durations in seconds" if doubtful[-1].isalpha() else ""
        return NotFusable(reason=f"not every server takes {doubtful} for a number", hint=hint, about=doubtful)
    cutter = _Cutter(own=own)
    proof = Proof(namespace_label=skeleton.namespace_label, label=skeleton.label, cut=cutter.cut)
    try:
        proved = proof.whole(expression_of(query))
    except RefusedError as refused:
        return NotFusable(reason=refused.reason, hint=refused.hint, about=refused.about)
    if skeleton.is_marked and cutter.count != _marks(skeleton):
        return NotFusable(reason="the matchers of the request stand elsewhere than in a selector")
    return Shape(
        rule=skeleton.rule,
        pieces=tuple(text_of(proved.expression).split(_HOLE)),
        namespace_label=skeleton.namespace_label,
        label=skeleton.label,
        keeps_namespace=proved.keeps_namespace,
    )


def _unfit(skeleton: Skeleton) -> NotFusable | None:
    labels = [label for label in (skeleton.namespace_label, skeleton.label) if label]
    if not labels:
        return NotFusable(reason="all callers send the same query, so there is nothing to put together")
    if not skeleton.is_usable:
        return NotFusable(reason="the request names nothing, or the query holds control characters")
    if skeleton.namespace_label == skeleton.label:
        return NotFusable(reason=f"the label {skeleton.label} names both the object and its namespace")
    taken = TAKEN_AWAY.intersection(labels)
    return NotFusable(reason=f"functions take the label {min(taken)} away") if taken else None


def _own_values(skeleton: Skeleton) -> Mapping[str, frozenset[str]]:
    """Return the values of the adapter's labels: those of the request, or some that the text does not hold."""
    if not skeleton.is_marked:
        own = {skeleton.namespace_label: frozenset({skeleton.namespace}), skeleton.label: frozenset(skeleton.names)}
    else:
        number = 0
        while f"own{number}" in skeleton.text:
            number += 1
        own = dict.fromkeys((skeleton.namespace_label, skeleton.label), frozenset({f"own{number}"}))
    return {label: values for label, values in own.items() if label}


def _filled(skeleton: Skeleton, own: Mapping[str, frozenset[str]]) -> str:
    text = skeleton.text
    for label, mark in ((skeleton.namespace_label, NAMESPACE_MARK), (skeleton.label, NAMES_MARK)):
        if label and skeleton.is_marked:
            text = text.replace(mark, str(LabelMatcher(name=label, op=MatchOp.EQUAL, value=min(own[label]))))
    return text


def _marks(skeleton: Skeleton) -> int:
    return skeleton.text.count(NAMESPACE_MARK) + skeleton.text.count(NAMES_MARK)


@dataclass(slots=True, kw_only=True)
class _Cutter:
    """Cuts the adapter's matchers out of selectors, and counts them."""

    own: Mapping[str, frozenset[str]]
    count: int = field(default=0)

    def cut(self, selected: Selected) -> Selected | None:
        """Return a selector with a hole where the adapter's matchers were; None if it lacks one of them."""
        theirs, found = [], set()
        for matcher in selected.matchers:
            if matcher.name in self.own and _values_meant(matcher) == self.own[matcher.name]:
                found.add(matcher.name)
                self.count += 1
            else:
                theirs.append(matcher)
        return replace(selected, matchers=tuple(theirs), more=_HOLE) if len(found) == len(self.own) else None


def _values_meant(matcher: LabelMatcher) -> frozenset[str] | None:
    """Return the values that a matcher takes; None if they are not a plain list."""
    if matcher.op is MatchOp.EQUAL:
        return frozenset({matcher.value})
    if matcher.op is not MatchOp.MATCHES:
        return None
    values = matcher.value.split("|")
    if not all(map(_LITERAL.fullmatch, values)):
        return None
    return frozenset(_ESCAPE.sub(lambda found: found[1] or found[2], value) for value in values)
