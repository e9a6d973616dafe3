"""A query without the namespace and the names of its request: what plans of one rule have in common, as text.

Most plans differ in the adapter's own matchers alone. These are cut out of the text as they were written into it, so
the tree has to be read and proved once for each skeleton and not once for each request. A cut that hits anything but a
matcher is noticed where the skeleton is read: it has more marks than its selectors have matchers.
"""

from __future__ import annotations

from dataclasses import dataclass

from adapter.promql.matchers import LabelMatcher, MatchOp
from adapter.rules.query import Plan
from adapter.rules.query_parts import any_name
from adapter.rules.resource_plan import UsePlan

# `quote` escapes control characters, so these stand in a query only if its author put them there.
NAMESPACE_MARK = "\x01"
NAMES_MARK = "\x02"


@dataclass(frozen=True, slots=True, kw_only=True)
class Skeleton:
    """A query's text, with marks where the adapter's matchers were, and the labels that these compare.

    A template may write the values by itself instead, by LabelValuesByName; then they are given here.
    """

    rule: str
    text: str
    namespace_label: str = ""
    label: str = ""
    namespace: str = ""
    names: tuple[str, ...] = ()
    is_usable: bool = True  # else its request names nothing, or the text holds marks by itself

    @property
    def is_marked(self) -> bool:
        """Say whether the adapter's matchers were found and cut out."""
        return not self.namespace and not self.names


def skeleton_of(plan: Plan | UsePlan) -> Skeleton:
    """Return the skeleton of a plan's query: equal skeletons have equal shapes, so shapes may be kept by it."""
    own = []
    if plan.namespace_label:
        own.append((plan.namespace_label, NAMESPACE_MARK, [plan.namespace]))
    if plan.label:
        own.append((plan.label, NAMES_MARK, list(plan.names)))
    text, marked = plan.promql, True
    usable = all(values and all(values) for _, _, values in own)
    usable = usable and NAMESPACE_MARK not in text and NAMES_MARK not in text
    # The longer label first: the matcher of `pod` may end that of `my_pod`.
    for label, mark, values in sorted(own, key=lambda one: -len(one[0])) if usable else ():
        text, before = text.replace(_matcher(label, values), mark), text
        marked = marked and text != before
    return Skeleton(
        rule=plan.rule.id,
        text=text if marked else plan.promql,
        namespace_label=plan.namespace_label,
        label=plan.label,
        namespace="" if marked else plan.namespace,
        names=() if marked else plan.names,
        is_usable=usable,
    )


def _matcher(label: str, values: list[str]) -> str:
    """Return a matcher as plans write it."""
    if len(values) == 1:
        return str(LabelMatcher(name=label, op=MatchOp.EQUAL, value=values[0]))
    return str(LabelMatcher(name=label, op=MatchOp.MATCHES, value=any_name(values)))
