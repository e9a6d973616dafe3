"""Who shares a query, and the matchers that take them all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

from adapter.promql.matchers import LabelMatcher, MatchOp, escape_regex
from adapter.rules.query import Plan
from adapter.rules.query_parts import any_name
from adapter.rules.resource_plan import UsePlan

T = TypeVar("T")

# What `(?:` and `)` cost, which a prefix that is written once must save.
_BRACKETS = 4
# Deeper nesting saves next to nothing: a pod's name has a workload, a hash and a suffix.
_MAX_NESTING = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """What one request asks for: objects of a namespace; empty where its shape has no such label."""

    namespace: str
    names: tuple[str, ...]


def member_of(plan: Plan | UsePlan) -> Member:
    """Return what a plan asks for."""
    return Member(namespace=plan.namespace, names=plan.names)


def united(members: Iterable[Member]) -> tuple[Member, ...]:
    """Return the members put together, one for each namespace, in order of namespace and of name."""
    names: dict[str, set[str]] = {}
    for member in members:
        names.setdefault(member.namespace, set()).update(member.names)
    return tuple(Member(namespace=one, names=tuple(sorted(names[one]))) for one in sorted(names))


def matchers_text(parts: Sequence[Member], *, namespace_label: str, label: str, widened: bool, factored: bool) -> str:
    """Return the adapter's matchers for members of a query; a widened one leaves the names out.

    In a factored one the common beginnings of namespaces stand once. Names are a plain list, which Prometheus looks up
    in its index: an expression with brackets it compares with every value that the label has. Of 125,000 pods 750 took
    Prometheus 2.42 a tenth of a second or more instead of 12 ms. For the same reason a widened query does not say that
    the label must be there, which took three quarters of the time of such a query, unless no namespace narrows it: what
    is of no object is left out of the answer.
    """
    texts = []
    if namespace_label:
        namespaces = sorted({part.namespace for part in parts})
        texts.append(_matcher(namespace_label, namespaces, any_of if factored else any_name))
    if label and not widened:
        texts.append(_matcher(label, sorted({name for part in parts for name in part.names}), any_name))
    elif label and not namespace_label:
        texts.append(str(LabelMatcher(name=label, op=MatchOp.NOT_EQUAL, value="")))
    return ",".join(texts)


def shares(parts: Sequence[Member], count: int, *, by_name: bool) -> list[Sequence[Member]]:
    """Return members in about so many shares, which ask for each object once; one share if they cannot be divided."""
    if len(parts) > 1:
        return list(_chunks(parts, count))
    (part,) = parts
    if not by_name or len(part.names) < 2:  # noqa: PLR2004 - one name is not divided
        return [parts]
    return [(Member(namespace=part.namespace, names=tuple(names)),) for names in _chunks(part.names, count)]


def _chunks(items: Sequence[T], count: int) -> Iterator[Sequence[T]]:
    size = -(-len(items) // min(count, len(items)))
    return (items[at : at + size] for at in range(0, len(items), size))


def _matcher(label: str, values: Sequence[str], listed: Callable[[Sequence[str]], str]) -> str:
    if len(values) == 1:
        return str(LabelMatcher(name=label, op=MatchOp.EQUAL, value=values[0]))
    return str(LabelMatcher(name=label, op=MatchOp.MATCHES, value=listed(values)))


def any_of(values: Sequence[str]) -> str:
    """Return an RE2 expression that takes exactly these values, which are sorted and differ; prefixes stand once."""
    return "|".join(_alternatives(values, 0, 0))


def _alternatives(values: Sequence[str], start: int, nesting: int) -> Iterator[str]:
    """Yield what the values are from `start` on, those with a common beginning together."""
    for _, group in groupby(values, key=lambda value: value[start : start + 1]):
        alike = list(group)
        if len(alike) == 1:
            yield escape_regex(alike[0][start:])
            continue
        shared = _shared(alike[0], alike[-1], start)  # they are sorted, so all between share it as well
        if nesting < _MAX_NESTING and (shared - start) * (len(alike) - 1) > _BRACKETS:
            yield f"{escape_regex(alike[0][start:shared])}(?:{'|'.join(_alternatives(alike, shared, nesting + 1))})"
        else:
            yield from (escape_regex(value[start:]) for value in alike)


def _shared(one: str, other: str, start: int) -> int:
    """Return how many characters two texts have in common at their beginning, where they have so many at the least."""
    least, most = start, min(len(one), len(other))
    while least < most:
        middle = (least + most + 1) // 2
        if other.startswith(one[least:middle], least):
            least = middle
        else:
            most = middle - 1
    return least
