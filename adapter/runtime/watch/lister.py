"""LISTs for what cannot be watched: one for all who ask the same, kept for a few seconds."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass

from cachetools import TTLCache

from adapter.errors import ClusterGone, KubernetesForbidden, ObjectsUnavailable
from adapter.kube.documents import ObjectMeta
from adapter.kube.selectors import Selector
from adapter.runtime.watch.collection import Collection, object_of, pages
from adapter.runtime.watch.ports import Cluster, Timing, WatchObserver, WatchSettings

# Objects in all answers that are kept together; each takes about half a kilobyte.
_MAX_KEPT_OBJECTS = 100_000
# LISTs under way at a time: each is work that kube-apiserver does for one request.
_AT_ONCE = 4

Answer = tuple[ObjectMeta, ...] | KubernetesForbidden


@dataclass(frozen=True, slots=True)
class _Question:
    collection: Collection
    namespace: str
    selector: Selector


class Lister:
    """Lists objects with a selector, page by page."""

    def __init__(self, *, cluster: Cluster, observer: WatchObserver, settings: WatchSettings, timing: Timing) -> None:
        self._cluster = cluster
        self._observer = observer
        self._settings = settings
        self._timing = timing
        # A refusal is kept too, so that a missing permission costs no call per request.
        self._kept: TTLCache[_Question, Answer] = TTLCache(
            maxsize=_MAX_KEPT_OBJECTS, ttl=settings.listed_ttl_seconds, timer=timing.clock, getsizeof=_size
        )
        self._under_way: dict[_Question, asyncio.Task[Answer]] = {}
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def objects(self, collection: Collection, namespace: str, selector: Selector) -> tuple[ObjectMeta, ...]:
        """Return the objects that a selector picks, by namespace and name; `namespace` is empty for all of them.

        Raises:
            KubernetesForbidden: we may not list them.
            ObjectsUnavailable: there are too many.
            UpstreamError: what else the cluster says.
        """
        question = _Question(collection, namespace, selector)
        answer = self._kept.get(question)
        if answer is None:
            task = self._under_way.get(question) or self._begin(question)
            answer = await asyncio.shield(task)  # who leaves does not end it for the others
        if isinstance(answer, KubernetesForbidden):
            raise KubernetesForbidden(verb=answer.verb, resource=answer.resource, namespace=answer.namespace)
        return answer

    async def close(self) -> None:
        """End the LISTs that are under way."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, question: _Question) -> asyncio.Task[Answer]:
        task = self._under_way[question] = asyncio.create_task(self._answer(question))
        task.add_done_callback(lambda done: self._ended(question, done))
        return task

    def _ended(self, question: _Question, task: asyncio.Task[Answer]) -> None:
        self._under_way.pop(question, None)
        if not task.cancelled() and task.exception() is None:
            self._kept[question] = task.result()

    async def _answer(self, question: _Question) -> Answer:
        begin, found, outcome = self._timing.clock(), list[ObjectMeta](), "error"
        try:
            async with self._turns:
                found = await self._listed(question)
            outcome = "ok"
        except KubernetesForbidden as error:
            outcome = "forbidden"
            return error
        except ObjectsUnavailable:
            outcome = "too_many"
            raise
        except ClusterGone:
            outcome = "gone"
            raise
        finally:
            seconds = self._timing.clock() - begin
            self._observer.objects_listed(
                resource=question.collection.name,
                purpose="request",
                outcome=outcome,
                objects=len(found),
                seconds=seconds,
            )
        return tuple(sorted(found, key=lambda one: (one.namespace, one.name)))

    async def _listed(self, question: _Question) -> list[ObjectMeta]:
        try:
            return await self._paged(question)
        except ClusterGone:  # the pages expired under it
            return await self._paged(question)

    async def _paged(self, question: _Question) -> list[ObjectMeta]:
        found: list[ObjectMeta] = []
        parts = pages(
            self._cluster,
            question.collection,
            namespace=question.namespace,
            selector=question.selector,
            timeout_seconds=self._settings.page_timeout_seconds,
        )
        async with aclosing(parts):
            async for page in parts:
                found += (object_of(one, question.collection) for one in page.objects)
                if len(found) + page.remaining > self._settings.max_listed_objects:
                    most = self._settings.max_listed_objects
                    raise ObjectsUnavailable(f"more than {most} {question.collection.name} match the selector")
        return found


def _size(answer: Answer) -> int:
    return 1 + (0 if isinstance(answer, KubernetesForbidden) else len(answer))
