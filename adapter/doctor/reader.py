"""Asks kube-apiserver, within a deadline; what cannot be had becomes a reason that people can read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

import orjson

from adapter.clients.kubernetes import ClusterClient
from adapter.doctor.documents import mappings, text
from adapter.doctor.facts import Question, Reply, Seen, Unknown
from adapter.errors import KubernetesForbidden, KubernetesNotFound, UpstreamError

# kube-apiserver answers within milliseconds; an extension server behind it gets five seconds from the aggregator.
CALL_SECONDS: Final = 8.0
# Questions at a time: as many as a browser has connections.
_AT_ONCE: Final = 8
_PAGE: Final = 500
# More objects than this of one kind are not looked at: 10,000.
_PAGES: Final = 20
# The discovery of a thousand metrics takes some 200 kB.
_MAX_BYTES: Final = 16 * 1024 * 1024
# Of an answer that is text; readyz names each failing series query.
_MAX_TEXT: Final = 64 * 1024
_EMPTY: Final[Mapping[str, str]] = MappingProxyType({})


class Reader:
    """Reads one cluster; nothing is raised for what it answers."""

    def __init__(self, cluster: ClusterClient, *, clock: Callable[[], float], timeout_seconds: float) -> None:
        """`clock` is monotonic; after `timeout_seconds` from now nothing more is asked."""
        self._cluster = cluster
        self._clock = clock
        self._end = clock() + timeout_seconds
        self._turns = asyncio.Semaphore(_AT_ONCE)

    @property
    def left_seconds(self) -> float:
        """Return how long one more call may take; nothing if the time is over."""
        return min(CALL_SECONDS, self._end - self._clock())

    async def get(
        self, path: str, *, parameters: Mapping[str, str] = _EMPTY, body: Mapping[str, object] | None = None
    ) -> Seen[Mapping[str, Any] | None]:
        """Return a document, None if there is none; with a body it is the answer to that."""
        async with self._turns:
            left = self.left_seconds
            if left <= 0:
                return Unknown(reason="the time was over; give more with --timeout")
            try:
                return await self._cluster.request(
                    "POST" if body is not None else "GET", path, parameters=parameters, body=body, timeout_seconds=left
                )
            except KubernetesNotFound:
                return None
            except UpstreamError as error:
                return Unknown(reason=reason_of(error))

    async def items(self, path: str, *, parameters: Mapping[str, str] = _EMPTY) -> Seen[tuple[Mapping[str, Any], ...]]:
        """Return all objects of a list, page by page; a list that there is not is empty."""
        found: list[Mapping[str, Any]] = []
        going_on = ""
        for _ in range(_PAGES):
            more = {"continue": going_on} if going_on else {}
            page = await self.get(path, parameters={**parameters, "limit": str(_PAGE), **more})
            if isinstance(page, Unknown):
                return page
            found.extend(mappings(page, "items"))
            going_on = text(page, "metadata", "continue")
            if not going_on:
                return tuple(found)
        return Unknown(reason=f"there are more than {len(found)} objects at {path}")

    async def reply(self, path: str, *, parameters: Mapping[str, str] = _EMPTY) -> Seen[Reply]:
        """Return how a path is answered, whatever the status."""
        async with self._turns:
            left = self.left_seconds
            if left <= 0:
                return Unknown(reason="the time was over; give more with --timeout")
            try:
                status, content = await self._cluster.answer(
                    path, parameters=parameters, max_bytes=_MAX_BYTES, timeout_seconds=left
                )
            except UpstreamError as error:
                return Reply(status=0, text=reason_of(error))
        return reply_of(status, content)

    async def may(self, question: Question) -> Seen[bool]:
        """Ask whether somebody may do something."""
        attributes = {
            "verb": question.verb,
            "group": question.group,
            "version": "*",
            "resource": question.resource,
            "subresource": question.subresource,
            "namespace": question.namespace,
            "name": question.name,
        }
        spec = {
            "user": question.user,
            "groups": _groups_of(question.user),
            "resourceAttributes": {key: value for key, value in attributes.items() if value},
        }
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        document = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        answer = await self.get(path, body=document)
        if isinstance(answer, Unknown):
            return answer
        status = (answer or {}).get("status")
        allowed = status.get("allowed") if isinstance(status, Mapping) else None
        return allowed if isinstance(allowed, bool) else Unknown(reason="the access review was not answered")


def path_in(namespace: str, *rest: str, api: str = "/api/v1") -> str:
    """Return the path of something in a namespace; names come from documents, and may be anything."""
    return "/".join((api, "namespaces", *(quote(one, safe=":", errors="replace") for one in (namespace, *rest))))


def _groups_of(user: str) -> list[str]:
    """Return the groups that every ServiceAccount is in."""
    namespace = user.split(":")[2]
    return ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]


def reply_of(status: int, content: bytes) -> Reply:
    """Return an answer with the document in it, if there is one."""
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError:
        document = None
    message = text(document, "message") or text(document, "error")
    return Reply(status=status, text=message or content[:_MAX_TEXT].decode(errors="replace"), document=document)


def reason_of(error: UpstreamError) -> str:
    """Say for people why something could not be had; the errors' own words are those of the adapter's log."""
    if isinstance(error, KubernetesForbidden):
        where = f" in namespace {error.namespace}" if error.namespace else ""
        return f"you may not {error.verb} {error.resource}{where}"
    return str(error)
