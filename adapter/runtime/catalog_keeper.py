"""The catalog in force: put together from what is known, swapped whole, followed when kinds come and go."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from adapter.interpreter import uncollected
from adapter.kube.resources import Kinds
from adapter.rules.catalog import Catalog, Identity, build_catalog, claims_of, contested
from adapter.rules.discovery import SelectorFacts
from adapter.rules.rule import Rulebook

log = logging.getLogger(__name__)

# More metric names than this take over 10 ms to put together, so a thread does it and requests go on.
NAMES_AT_ONCE = 1000
# How often a catalog is put together again because other rules came meanwhile; the next relist does the rest.
_RENEWALS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a catalog is made of."""

    rulebook: Rulebook
    facts: Mapping[str, SelectorFacts]


Identities = frozenset[Identity]
Dead = Callable[[Identities, Kinds], Awaitable[Identities]]  # which of some series have ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A catalog that is not in force, and the series that count as dead in it."""

    catalog: Catalog
    dead: Identities


def _nobody(_: Catalog) -> None:
    """Tell nobody."""


@dataclass(slots=True, kw_only=True)
class CatalogKeeper:
    """Owns the catalog. `known` says what it is made of now, `dead` asks Prometheus which of some series have ended."""

    known: Callable[[], Known]
    dead: Dead
    catalog: Catalog = field(default_factory=Catalog)
    swapped: Callable[[Catalog], None] = _nobody  # told of each catalog that comes into force
    _kinds: Kinds | None = None  # those that the catalog was put together with
    _dead: Identities = frozenset()
    _making: asyncio.Lock = field(default_factory=asyncio.Lock)  # or what was begun first could be swapped in last
    _following: asyncio.Task[None] | None = None
    _burying: asyncio.Task[None] | None = None

    async def renew(self, kinds: Kinds) -> None:
        """Put the catalog together; where several series claim one metric, Prometheus says first which are alive."""
        asked: Identities = frozenset()
        for _ in range(_RENEWALS):
            async with self._making:
                catalog, disputed = await _made(self.known(), kinds, self._dead)
                if disputed <= asked:
                    self._dead = self._dead if disputed else frozenset()
                    self._swap(catalog, kinds)
                    return
            # Other rules may have come meanwhile, whose disputes nobody has asked about.
            asked = disputed
            self._dead = await self.dead(disputed, kinds)
        async with self._making:
            catalog, _ = await _made(self.known(), kinds, self._dead)
            self._swap(catalog, kinds)

    async def draft(self, known: Known, kinds: Kinds | None, *, dead: Dead) -> Draft:
        """Return the catalog that other rules would give; what is in force is not touched."""
        kinds = self._kinds if kinds is None else kinds
        if kinds is None:
            return Draft(catalog=self.catalog, dead=frozenset())
        catalog, disputed = await _made(known, kinds, self._dead)
        if not disputed:
            return Draft(catalog=catalog, dead=frozenset())
        found = await dead(disputed, kinds)
        catalog, _ = await _made(known, kinds, found)
        return Draft(catalog=catalog, dead=found)

    async def replace(
        self, known: Callable[[], Known], kinds: Kinds | None, *, dead: Identities, swap: Callable[[], None]
    ) -> None:
        """Put the catalog of other rules in force, and call `swap` at the same moment: no reader sees half of it."""
        async with self._making:
            kinds = self._kinds if kinds is None else kinds
            if kinds is None:  # where no kind was ever known there is no catalog yet
                swap()
                return
            catalog, _ = await _made(known(), kinds, dead)
            swap()
            self._dead = dead
            self._swap(catalog, kinds)

    def follow(self, kinds: Kinds) -> None:
        """Have the catalog put together in the background, if kinds have come or gone since it was."""
        if self._kinds is None or kinds is self._kinds or self._following is not None:
            return
        if tuple(kinds) == tuple(self._kinds):
            self._kinds = kinds
            return
        self._following = asyncio.create_task(self._follow(kinds), name="follow kinds")

    async def followed(self) -> None:
        """Wait until the catalog has followed the kinds; Prometheus is not waited for."""
        if self._following is not None:
            await asyncio.shield(self._following)

    async def close(self) -> None:
        """Cancel what is under way."""
        tasks = [task for task in (self._following, self._burying) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, kinds: Kinds) -> None:
        try:
            async with self._making:
                catalog, disputed = await _made(self.known(), kinds, self._dead)
                self._swap(catalog, kinds)
            if disputed and self._burying is None:
                self._burying = asyncio.create_task(self._bury(kinds), name="bury dead series")
        except Exception:
            log.exception("the catalog could not follow the kinds, it stays")
        finally:
            self._following = None

    async def _bury(self, kinds: Kinds) -> None:
        try:
            await self.renew(kinds)
        except Exception:
            log.exception("which series are alive could not be told, the catalog stays")
        finally:
            self._burying = None

    def _swap(self, catalog: Catalog, kinds: Kinds) -> None:
        self.catalog, self._kinds = catalog, kinds
        self.swapped(catalog)


async def _made(known: Known, kinds: Kinds, dead: Identities) -> tuple[Catalog, Identities]:
    if sum(len(facts.names) for facts in known.facts.values()) <= NAMES_AT_ONCE:
        return _put_together(known, kinds, dead)
    # Not where answers are made: they do not wait for it.
    return await asyncio.to_thread(uncollected, lambda: _put_together(known, kinds, dead))


def _put_together(known: Known, kinds: Kinds, dead: Identities) -> tuple[Catalog, Identities]:
    """Return the catalog, and the series whose life decides who wins."""
    claims = claims_of(known.rulebook, known.facts, kinds)
    return build_catalog(claims, dead=dead), contested(claims)
