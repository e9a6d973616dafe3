"""Asks kube-apiserver for a verdict once for all who want it at the same time, and keeps verdicts for a short time."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from cachetools import TLRUCache

from adapter.errors import KubernetesUnavailable, UpstreamError
from adapter.server.auth.ports import AuthObserver

_log = logging.getLogger(__name__)

Verdict = TypeVar("Verdict")

# As long as the webhooks of k8s.io/apiserver wait for one call.
_CALL_SECONDS: Final = 10.0
# A request may take 9 s (the HPA's worker waits for it): who asks on its behalf ends with it.
_LOOKUP_SECONDS: Final = 9.0
# Five tries, half a second apart and half as long again each time, spread by a fifth (k8s.io/apiserver's back-off).
_PAUSES_SECONDS: Final = (0.5, 0.75, 1.125, 1.6875)
_JITTER: Final = 0.2
# Made-up tokens must not become a flood at kube-apiserver: the HPA has five workers, people fewer.
_CALLS_AT_A_TIME: Final = 64
# So many more may wait for a slot; each is gone after nine seconds.
_LOOKUPS_AT_A_TIME: Final = 2048
_SERVER_ERROR, _TOO_MANY = 500, 429


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered(Generic[Verdict]):
    """A verdict, for how long it may be used again (0: not at all), and whether it is a yes."""

    verdict: Verdict
    ttl_seconds: float
    is_yes: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewTools:
    """What reviews are made with: a clock that measures time in seconds, how to wait, chance from 0 to 1."""

    clock: Callable[[], float]
    observer: AuthObserver
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    chance: Callable[[], float] = field(default=random.random)


Ask = Callable[[float], Awaitable[Answered[Verdict]]]  # is told how many seconds the call may take


class Reviews(Generic[Verdict]):
    """Verdicts by key, bounded; failures are never kept."""

    def __init__(self, *, kind: str, max_entries: int, tools: ReviewTools) -> None:
        """`kind` is token or access."""
        self._kind = kind
        self._tools = tools
        self._kept: TLRUCache[bytes, Answered[Verdict]] = TLRUCache(
            maxsize=max_entries, ttu=lambda _key, answered, now: now + answered.ttl_seconds, timer=tools.clock
        )
        self._under_way: dict[bytes, asyncio.Task[Verdict]] = {}
        self._slots = asyncio.Semaphore(_CALLS_AT_A_TIME)
        self._told = ""

    async def get(self, key: bytes, ask: Ask[Verdict], *, within_seconds: float) -> Verdict:
        """Return a verdict: kept, shared with a call under way, or asked for.

        A caller that is cancelled does not cancel the call, which others may wait for.

        Raises:
            UpstreamError: kube-apiserver gave none.
            TimeoutError: there was none within so many seconds.
        """
        kept = self._kept.get(key)
        if kept is not None:
            self._tools.observer.review_reused(kind=self._kind, how="cached")
            return kept.verdict
        task = self._under_way.get(key)
        if task is None:
            if len(self._under_way) >= _LOOKUPS_AT_A_TIME:
                raise KubernetesUnavailable("too many reviews are under way", kind="busy")
            task = asyncio.create_task(self._look_up(key, ask))
            self._under_way[key] = task
            task.add_done_callback(lambda done: self._ended(key, done))
        else:
            self._tools.observer.review_reused(kind=self._kind, how="joined")
        async with asyncio.timeout(max(0.0, within_seconds)):
            return await asyncio.shield(task)

    async def close(self) -> None:
        """Cancel the calls under way and wait for them."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look_up(self, key: bytes, ask: Ask[Verdict]) -> Verdict:
        begin = self._tools.clock()
        outcome = "failed"
        try:
            async with asyncio.timeout(_LOOKUP_SECONDS), self._slots:
                answered = await self._asked(ask, begin)
            outcome = "yes" if answered.is_yes else "no"
        except (UpstreamError, TimeoutError) as error:
            self._tell(str(error) or "no answer in time")
            raise
        finally:
            self._tools.observer.review_asked(kind=self._kind, outcome=outcome, seconds=self._tools.clock() - begin)
        self._tell("")
        if answered.ttl_seconds > 0:
            self._kept[key] = answered
        return answered.verdict

    async def _asked(self, ask: Ask[Verdict], begin: float) -> Answered[Verdict]:
        """Ask, and ask again while it may help."""
        for pause in _PAUSES_SECONDS:
            try:
                return await ask(self._call_seconds(begin))
            except KubernetesUnavailable as error:
                if not _passes(error):
                    raise
            await self._tools.sleep(pause * (1.0 + _JITTER * self._tools.chance()))
        return await ask(self._call_seconds(begin))

    def _call_seconds(self, begin: float) -> float:
        left = begin + _LOOKUP_SECONDS - self._tools.clock()
        return max(0.001, min(_CALL_SECONDS, left))  # no client takes nothing for a limit

    def _ended(self, key: bytes, task: asyncio.Task[Verdict]) -> None:
        del self._under_way[key]
        if not task.cancelled():
            task.exception()  # read, so that a failure whose callers have all left is not reported as forgotten

    def _tell(self, fault: str) -> None:
        """Log a failure when it begins and when it ends."""
        if fault and fault != self._told:
            _log.warning("%s reviews fail: %s", self._kind, fault)
        elif self._told and not fault:
            _log.info("%s reviews are answered again", self._kind)
        self._told = fault


def _passes(error: KubernetesUnavailable) -> bool:
    """Tell whether a failure may be over in a moment."""
    if error.kind == "status":
        return error.status is not None and (error.status >= _SERVER_ERROR or error.status == _TOO_MANY)
    return error.kind in {"timeout", "connection"}
