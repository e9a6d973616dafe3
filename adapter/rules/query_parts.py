"""What every query is made of: matchers, and the fields that templates see."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from adapter.promql.matchers import (
    LabelMatcher,
    MatchOp,
    escape_regex,
    is_legacy_label_name,
    is_legacy_metric_name,
    quote,
)
from adapter.promql.template import Template, TemplateValue

# What a value may hold that a template puts into PromQL itself, by LabelValuesByName: no quote, brace or space. A dot
# means any character in the regex that the template may write around it: no namespace has one (RFC 1123, labels), and
# in other names one stands between letters and digits only (RFC 1123, subdomains).
_PLAIN_NAMESPACE = re.compile(r"[A-Za-z0-9_:-]*")
# Names that mean themselves in a regular expression, with what stands between them.
_PLAIN_NAMES = re.compile(r"[A-Za-z0-9_:|-]*")
_PLAIN_NAME = re.compile(r"(?:[A-Za-z0-9_:-]+(?:\.[A-Za-z0-9_:-]+)*)?")


@dataclass(slots=True)
class Matchers:
    """The matchers of one query as they are collected, and their values for templates that ask by label name."""

    texts: list[str] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    odd_keys: list[str] = field(default_factory=list)

    def add(self, name: str, op: MatchOp, value: str, *, shown: str | None = None) -> None:
        """Add one matcher; `shown` is what a template sees as its value, by default the value itself."""
        self.texts.append(str(LabelMatcher(name=name, op=op, value=value)))
        self.values[name] = value if shown is None else shown

    def add_names(self, label: str, names: Sequence[str]) -> None:
        """Add the names that the label may have: one is compared, several make a regular expression."""
        if len(names) == 1:
            self.add(label, MatchOp.EQUAL, names[0])
        else:
            self.add(label, MatchOp.MATCHES, any_name(names), shown=regex_in_any_quotes("|".join(names)))


def any_name(names: Sequence[str]) -> str:
    """Return an RE2 expression that takes exactly these names."""
    plain = "|".join(names)
    if _PLAIN_NAMES.fullmatch(plain) and plain.count("|") == len(names) - 1:
        return plain  # as the names of nearly all pods are: one look at all of them, and not one at each
    return "|".join(map(escape_regex, names))


def regex_in_any_quotes(text: str) -> str:
    """Escape the one special character of a name so that it reads the same in PromQL's three kinds of quotes."""
    return text.replace(".", "[.]")


def may_be_written(template: Template, namespace: str, names: Sequence[str]) -> bool:
    """Say whether a template may see these names: one that writes them into PromQL itself may see mere names only."""
    if "LabelValuesByName" not in template.fields:
        return True
    return _PLAIN_NAMESPACE.fullmatch(namespace) is not None and all(map(_PLAIN_NAME.fullmatch, names))


def template_fields(series: str, matchers: Matchers, group_by: Sequence[str]) -> Mapping[str, TemplateValue]:
    """Return what a query template sees; `group_by` are label names."""
    texts = matchers.texts
    if series and not is_legacy_metric_name(series):
        # A name in UTF-8 cannot stand before the braces, so it goes into them.
        texts = [str(LabelMatcher(name="__name__", op=MatchOp.EQUAL, value=series)), *texts]
        series = ""
    labels = [label if is_legacy_label_name(label) else quote(label) for label in group_by]
    return {
        "Series": series,
        "LabelMatchers": ",".join(texts),
        "LabelValuesByName": matchers.values,
        "GroupBy": ",".join(labels),
        "GroupBySlice": labels,
    }
