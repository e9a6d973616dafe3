"""Asks for many objects in as few queries as the server takes: a query that fails is halved until its parts pass.

One half is tried before the others are sent, so a limit of the server costs about as many more queries as its
logarithm; what can only fail by itself, one object, is left to those who ask for it, and the rest is asked again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from adapter.errors import UpstreamError
from adapter.promql.limits import Limit, limit_of
from adapter.promql.model import QueryAnswer
from adapter.rules.fusion import FusedQuery, Member, Shape, asks_separately, fused
from adapter.rules.fusion.members import united
from adapter.runtime.limits import Limits
from adapter.runtime.parallel import each

# So many requests are asked for one by one about as cheaply as the one at fault is found among them.
_FEW: Final = 8
# How many queries of one question are on their way at a time; what a rule may have at all is the turns' to say.
_AT_ONCE: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A query that cannot be divided any more, or was not before patience ended, and why it failed."""

    query: FusedQuery
    error: UpstreamError


@dataclass(slots=True, kw_only=True)
class Narrowing:
    """Asks for members of one shape.

    Attributes:
        ask: asks one query within the deadline that all of them have together.
        answered: the answers, for all objects but those of the failures.
        queries: how many there were.
        names_help: whether a query without names failed, so that names should be written into it.
        gave_up: whether the failures are not those of single objects.
    """

    ask: Callable[[str], Awaitable[QueryAnswer]]
    limits: Limits
    shape: Shape
    answered: list[tuple[FusedQuery, QueryAnswer]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    queries: int = 0
    names_help: bool = False
    gave_up: bool = False
    _max_bytes: int = field(init=False)
    _max_objects: int = field(init=False)
    _failed: int = 0
    _patience: int = 0
    _are_few: bool = False
    _learned: dict[Limit, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._max_bytes = self.limits.max_bytes()
        self._max_objects = self.limits.max_objects(self.shape)

    async def of(self, members: Sequence[Member], *, widened: bool) -> None:
        """Ask for members; `widened` leaves their names out.

        Raises:
            UpstreamError: a failure that is nobody's in particular, as of the server as a whole.
        """
        # A query without names, two members at fault, and one to see that the rest is well.
        self._patience = 3 + 2 * _objects_of(members, self.shape).bit_length()
        self._are_few = len(members) <= _FEW
        widened = widened and bool(self.shape.label)
        try:
            waiting: Sequence[FusedQuery] = self._queries(members, widened=widened)
            while waiting:
                failed = await self._asked(waiting)
                waiting = await self._narrowed(failed) if failed else []
        finally:
            self._remember()

    @property
    def is_uneven(self) -> bool:
        """Say whether queries failed for no limit, and no single object was at fault."""
        return self._failed > int(self.names_help) and not self._learned and not self.failures

    # ---- asking

    async def _asked(self, queries: Sequence[FusedQuery]) -> list[Failure]:
        """Ask queries at the same time, keep the answers, and return those that failed."""
        found = await each([partial(self._one, query) for query in queries], _AT_ONCE)
        return [one for one in found if one is not None]

    async def _one(self, query: FusedQuery) -> Failure | None:
        self.queries += 1
        try:
            answer = await self.ask(query.promql)
        except UpstreamError as error:
            if limit_of(error) is None and not asks_separately(error):
                raise
            self._failed += 1
            return Failure(query=query, error=error)
        self.answered.append((query, answer))
        return None

    # ---- dividing

    async def _narrowed(self, failed: Sequence[Failure]) -> Sequence[FusedQuery]:
        """Find out how far the first of the failed queries must be divided, and return what is left to ask."""
        first, rest = failed[0], [part for one in failed[1:] for part in one.query.parts]
        if self._is_over(failed):
            return []
        if self._are_few and limit_of(first.error) is None:
            self.names_help, self.gave_up = first.query.widened, not first.query.widened
            self.failures += failed
            return []
        if first.query.widened and limit_of(first.error) is not Limit.LENGTH:
            self.names_help = True
            return self._queries([*first.query.parts, *rest], widened=False)
        before = self._max_bytes, self._max_objects
        while True:
            halves = self._halved(first)
            if len(halves) == 1 and halves[0] is first.query:
                self._max_bytes, self._max_objects = before  # its fault, and so no limit for others
                self.failures.append(first)
                break
            rest += [part for half in halves[1:] for part in half.parts]
            failure = await self._one(halves[0])
            if failure is None:
                break
            if self._is_over([failure], rest):
                return []
            first = failure
        return self._queries(rest, widened=first.query.widened)

    def _is_over(self, failed: Sequence[Failure], rest: Sequence[Member] = ()) -> bool:
        """Give up when so much has failed that it is not the fault of a few."""
        nothing_works = bool(self.failures) and not self.answered
        if not nothing_works and self._failed <= self._patience:
            return False
        self.gave_up = True
        self.failures += failed
        unasked = self._queries(rest, widened=False)
        self.failures += [Failure(query=query, error=failed[0].error) for query in unasked]
        return True

    def _queries(self, members: Sequence[Member], *, widened: bool) -> list[FusedQuery]:
        by_name = bool(self.shape.label) and not widened
        return [
            query
            for portion in _portions(united(members), self._max_objects, by_name=by_name)
            for query in fused(self.shape, portion, max_bytes=self._max_bytes, widened=widened)
        ]

    def _halved(self, failure: Failure) -> Sequence[FusedQuery]:
        """Return the queries that ask for the same in halves, by the bound that failed; the same one if none can."""
        query, limit = failure.query, limit_of(failure.error)
        if limit is not None:
            self._learned[limit] = str(failure.error)
        if limit is Limit.LENGTH:
            return self._shorter(query)
        objects = _objects_of(query.parts, self.shape, widened=query.widened)
        if objects == 1:
            return [query]
        half = -(-objects // 2)
        if limit is Limit.DATA:
            self._max_objects = half
        kept, self._max_objects = self._max_objects, half
        halves = self._queries(query.parts, widened=query.widened)
        self._max_objects = kept
        return halves

    def _shorter(self, query: FusedQuery) -> Sequence[FusedQuery]:
        """Return the queries that ask for the same with half the text that can be divided."""
        fixed = len(self.shape.text("").encode())
        size = fixed + (len(query.promql.encode()) - fixed) // 2
        while size > fixed:
            halves = fused(self.shape, query.parts, max_bytes=size, widened=query.widened)
            if len(halves) > 1 or len(halves[0].promql) < len(query.promql):
                self._max_bytes = size
                return halves
            size = fixed + (size - fixed) // 2
        return [query]

    def _remember(self) -> None:
        """Keep the limits that the server has shown, unless it was one object that met them by itself."""
        if any(limit_of(one.error) for one in self.failures):
            return
        found = {Limit.LENGTH: self._max_bytes, Limit.DATA: self._max_objects}
        for limit, why in self._learned.items():
            self.limits.learn(limit, self.shape, most=found[limit], why=why)


def _objects_of(members: Sequence[Member], shape: Shape, *, widened: bool = False) -> int:
    """Return how many things a query can be divided into: names, or namespaces where it has no names."""
    if widened or not shape.label:
        return len({member.namespace for member in members})
    return sum(len(member.names) for member in members)


def _portions(parts: Sequence[Member], most: int, *, by_name: bool) -> Iterator[Sequence[Member]]:
    """Yield members, each of another namespace, in portions of so many objects; names of one may come into several."""
    portion: list[Member] = []
    room = most
    for part in parts:
        names = part.names
        while room <= len(names) if by_name else room == 0:
            if by_name and room:
                portion.append(Member(namespace=part.namespace, names=names[:room]))
                names = names[room:]
            yield portion
            portion, room = [], most
        if not by_name or names:
            portion.append(Member(namespace=part.namespace, names=names))
            room -= len(names) if by_name else 1
    if portion:
        yield portion
