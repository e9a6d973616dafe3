"""One query for many requests, or a few where one would be too long."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from adapter.rules.fusion.members import Member, matchers_text, shares, united
from adapter.rules.fusion.shapes import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class FusedQuery:
    """A query for several requests; `parts` are the objects that it answers for, each namespace once.

    A widened query has all objects of its namespaces; else it names them, in whatever namespace they are.
    """

    promql: str
    shape: Shape
    parts: tuple[Member, ...]
    widened: bool = False

    def concerns(self, member: Member) -> bool:
        """Say whether a member needs this query's answer."""
        return any(
            part.namespace == member.namespace
            and (not self.shape.label or not set(part.names).isdisjoint(member.names))
            for part in self.parts
        )


def fused(shape: Shape, members: Iterable[Member], *, max_bytes: int, widened: bool = False) -> tuple[FusedQuery, ...]:
    """Return the queries that together answer for members of a shape; each object is asked for by one of them.

    `widened` leaves the names out and keeps the namespaces. A query is longer than `max_bytes` only if it cannot be
    divided: it asks for one object, or widened for one namespace.
    """
    return tuple(_divided(shape, united(members), max_bytes, widened=widened))


def _divided(shape: Shape, parts: Sequence[Member], max_bytes: int, *, widened: bool) -> list[FusedQuery]:
    if not parts:
        return []
    promql = _text(shape, parts, max_bytes, widened=widened)
    size, by_name = len(promql.encode()), bool(shape.label) and not widened
    # One more than the sizes say: a share has the fixed parts of the query as well.
    divided = shares(parts, size // max_bytes + 1, by_name=by_name) if size > max_bytes else [parts]
    if len(divided) == 1:
        return [FusedQuery(promql=promql, shape=shape, parts=tuple(parts), widened=widened)]
    return [query for share in divided for query in _divided(shape, share, max_bytes, widened=widened)]


def _text(shape: Shape, parts: Sequence[Member], max_bytes: int, *, widened: bool) -> str:
    """Return the query with plain lists; with a shorter expression for the namespaces where it would be too long."""

    def text(*, factored: bool) -> str:
        own = matchers_text(
            parts, namespace_label=shape.namespace_label, label=shape.label, widened=widened, factored=factored
        )
        return shape.text(own)

    plain = text(factored=False)
    return plain if len(plain.encode()) <= max_bytes else text(factored=True)
