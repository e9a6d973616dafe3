"""Does a query keep objects apart? If so: the same query, in which namespaces are kept apart as well.

A query is a tree in which each selector has a hole for the adapter's own matchers. Filled for one request it answers
for one namespace; filled for many it must answer for each as if it were alone. That holds if every node is *local*: its
samples of one namespace and object come from its operands' samples of the same namespace and object and from nothing
else. Each node below is read, proved local and rewritten in one place; what is not understood is refused.

What has to be known of a vector on the way is whether its samples have the namespace label in the query as written. In
the rewritten query all have it. Where two vectors meet by their labels, that must not make samples meet that did not
meet before (`sum by (pod) (a) / b` gives nothing alone, since only b has the label) nor keep others apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from adapter.promql.expressions import (
    Aggregated,
    Called,
    Expression,
    Grouping,
    Joined,
    Matching,
    Negated,
    Number,
    Paren,
    Selected,
    Strange,
    Subquery,
)
from adapter.rules.fusion import allowed

Cut = Callable[[Selected], Selected | None]


class RefusedError(Exception):
    """The query cannot be proved to keep objects apart; `hint` says what would change that, if anything.

    `about` is the word of the query that the reason is about, empty if it is about no single one.
    """

    def __init__(self, reason: str, hint: str = "", *, about: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint
        self.about = about


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """A rewritten part, and what it gives: a number, or a vector with or without the namespace label as written."""

    expression: Expression
    is_vector: bool = True
    keeps_namespace: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Proves a tree; labels are empty where a query has no such matchers.

    `cut` takes the adapter's own matchers out of a selector and leaves the hole; None if it lacks one of them.
    """

    namespace_label: str
    label: str
    cut: Cut

    def whole(self, tree: Expression) -> Proved:
        """Return the rewritten query: an instant vector with the adapter's matchers in each selector.

        Raises:
            RefusedError: it cannot be proved.
        """
        root = tree
        while isinstance(root, Paren):
            root = root.inner
        if isinstance(root, Subquery) or (isinstance(root, Selected) and root.window is not None):
            raise RefusedError("the query gives ranges, not an instant vector")
        proved = self.of(tree)
        if not proved.is_vector:
            raise RefusedError("the query gives a number, which belongs to no object")
        return proved

    def of(self, node: Expression) -> Proved:
        """Return the rewritten part.

        Raises:
            RefusedError: it cannot be proved.
        """
        prove: Callable[[Proof, Any], Proved] = _PROVE[type(node)]
        return prove(self, node)

    def number(self, node: Number) -> Proved:
        """Prove a number."""
        return Proved(expression=node, is_vector=False)

    def strange(self, node: Strange) -> Proved:
        """Refuse what has no type here."""
        word = node.what.removesuffix("()")
        unfit = "is not understood" if word == node.what else "is not known to keep objects apart"
        raise RefusedError(f"{node.what} {unfit}", allowed.HINTS.get(word, ""), about=word)

    def selected(self, node: Selected) -> Proved:
        """Prove a selector: it has all of the adapter's own matchers."""
        opened = self.cut(node)
        if opened is None:
            name = node.metric or "a selector"
            raise RefusedError(
                f"{name} does not have the matchers of the request",
                "write <<.LabelMatchers>> into each selector",
                about=node.metric,
            )
        return Proved(expression=opened, keeps_namespace=bool(self.namespace_label))

    def paren(self, node: Paren) -> Proved:
        """Prove what stands in parentheses."""
        inner = self.of(node.inner)
        return replace(inner, expression=replace(node, inner=inner.expression))

    def negated(self, node: Negated) -> Proved:
        """Prove what has a minus before it."""
        inner = self.of(node.inner)
        return replace(inner, expression=replace(node, inner=inner.expression))

    def subquery(self, node: Subquery) -> Proved:
        """Prove a subquery: its steps are evaluations of the inner query, put together by all labels."""
        inner = self._vector(node.inner)
        return replace(inner, expression=replace(node, inner=inner.expression))

    def called(self, node: Called) -> Proved:
        """Prove a call: of a function that answers for each series by itself, or that is a number."""
        if node.function in allowed.NUMBERS and not node.arguments:
            return Proved(expression=node, is_vector=False)
        place = allowed.FUNCTIONS.get(node.function)
        if place is None or place >= len(node.arguments):
            name = f"{node.function}()"
            hint = allowed.HINTS.get(node.function, "")
            raise RefusedError(f"{name} may mix objects, or give samples of none", hint, about=node.function)
        proved = [self.of(one) for one in node.arguments]
        if any(one.is_vector is not (at == place) for at, one in enumerate(proved)):
            raise RefusedError(f"an argument of {node.function}() is not understood")
        arguments = tuple(one.expression for one in proved)
        return replace(proved[place], expression=replace(node, arguments=arguments))

    def aggregated(self, node: Aggregated) -> Proved:
        """Prove an aggregation: samples of two objects or namespaces never share a group."""
        if node.operator not in allowed.AGGREGATIONS:
            hint = allowed.HINTS.get(node.operator, "")
            raise RefusedError(f"{node.operator} is not known to keep objects apart", hint, about=node.operator)
        inner = self._vector(node.inner)
        grouping, keeps = self._grouped(node.operator, node.grouping or Grouping(labels=()))
        expression = replace(node, grouping=grouping, inner=inner.expression)
        return Proved(expression=expression, keeps_namespace=keeps and inner.keeps_namespace)

    def _grouped(self, operator: str, written: Grouping) -> tuple[Grouping, bool]:
        """Return the rewritten labels, and whether the written ones keep the namespace label."""
        namespace, label = self.namespace_label, self.label
        if label and (label in written.labels) is written.without:
            hint = "aggregate by (<<.GroupBy>>)"
            raise RefusedError(f"{operator} does not keep the label {label}", hint, about=operator)
        keeps = (namespace in written.labels) is not written.without
        if keeps or not namespace:
            return written, keeps
        if written.without:
            return replace(written, labels=tuple(one for one in written.labels if one != namespace)), False
        return replace(written, labels=(*written.labels, namespace)), False

    def joined(self, node: Joined) -> Proved:
        """Prove an operator: samples meet only within one object and namespace, and those that did before."""
        left, right = self.of(node.left), self.of(node.right)
        expression = replace(node, left=left.expression, right=right.expression)
        if not (left.is_vector and right.is_vector):
            if node.operator not in allowed.ARITHMETIC | allowed.COMPARISONS:
                raise RefusedError(f"{node.operator} with a number is not understood")
            keeps = left.keeps_namespace or right.keeps_namespace
            return Proved(expression=expression, is_vector=left.is_vector or right.is_vector, keeps_namespace=keeps)
        if node.operator not in allowed.ARITHMETIC | allowed.COMPARISONS | allowed.SETS:
            raise RefusedError(f"the operator {node.operator} is not understood")
        matching, keeps = self._matched(node, left, right)
        return Proved(expression=replace(expression, matching=matching), keeps_namespace=keeps)

    def _matched(self, node: Joined, left: Proved, right: Proved) -> tuple[Matching | None, bool]:
        """Return the rewritten matching, and whether the answer keeps the namespace label as written."""
        written = node.matching or Matching(labels=(), on=False)
        namespace, label = self.namespace_label, self.label
        if label and (label in written.labels) is not written.on:
            word = "on" if written.on else "ignoring"
            reason = f"{node.operator} {word} does not match by the label {label}"
            raise RefusedError(reason, f"match on ({label})", about=word)
        compares = (namespace in written.labels) is written.on
        same = left.keeps_namespace is right.keeps_namespace
        if namespace and not same and (compares or node.operator == "or"):
            raise RefusedError(
                f"only one side of {node.operator} keeps the label {namespace}",
                "aggregate both sides by the same labels",
            )
        keeps = self._kept(node, left, right, compares=compares)
        if compares or not namespace:
            return node.matching, keeps
        if written.on:
            return replace(written, labels=(*written.labels, namespace)), keeps
        return replace(written, labels=tuple(one for one in written.labels if one != namespace)), keeps

    def _kept(self, node: Joined, left: Proved, right: Proved, *, compares: bool) -> bool:
        """Say whether the answer keeps the namespace label: one to one, an answer has the labels that were compared."""
        if node.grouped is not None:
            if {self.namespace_label, self.label} & set(node.grouped.labels):
                raise RefusedError(f"group_{node.grouped.side} takes over a label of the object")
            return left.keeps_namespace if node.grouped.side == "left" else right.keeps_namespace
        if node.operator in allowed.SETS:
            return left.keeps_namespace
        return left.keeps_namespace and compares

    def _vector(self, node: Expression) -> Proved:
        proved = self.of(node)
        if not proved.is_vector:
            raise RefusedError("a number stands where a vector belongs")
        return proved


_PROVE: Mapping[type, Callable[[Proof, Any], Proved]] = {
    Number: Proof.number,
    Strange: Proof.strange,
    Selected: Proof.selected,
    Paren: Proof.paren,
    Negated: Proof.negated,
    Subquery: Proof.subquery,
    Called: Proof.called,
    Aggregated: Proof.aggregated,
    Joined: Proof.joined,
}
