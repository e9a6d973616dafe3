"""The events of a watch: one JSON document a line, in a body that has no end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

import httpx2
import orjson

from adapter.clients.kubernetes.failures import bad_answer, failure_of, status_message
from adapter.clients.kubernetes.target import Target
from adapter.errors import KubernetesUnavailable

_TYPES: Final = frozenset({"ADDED", "MODIFIED", "DELETED", "BOOKMARK"})


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One event; `type` is ADDED, MODIFIED, DELETED or BOOKMARK, `object` the object after it."""

    type: str
    object: dict[str, Any]


async def events_of(
    response: httpx2.Response, target: Target, *, idle_seconds: float, max_event_bytes: int
) -> AsyncGenerator[WatchEvent, None]:
    """Yield the events until kube-apiserver ends the watch, as it does after some minutes.

    Raises:
        ClusterGone: the resource version is too old: list again.
        KubernetesUnavailable: the watch broke, said nothing for too long (`timeout`), or said nonsense.
    """
    lines = _lines(response, target, idle_seconds=idle_seconds, max_event_bytes=max_event_bytes)
    async with aclosing(lines):
        async for line in lines:
            yield _event(line, target)


async def _lines(
    response: httpx2.Response, target: Target, *, idle_seconds: float, max_event_bytes: int
) -> AsyncGenerator[bytes, None]:
    chunks = aiter(response.aiter_bytes())
    begun = bytearray()
    while True:
        try:
            async with asyncio.timeout(idle_seconds):
                chunk = await anext(chunks, None)
        except TimeoutError as error:
            raise KubernetesUnavailable(
                f"kube-apiserver has said nothing in the watch of {target.resource} for {idle_seconds:g} s",
                kind="timeout",
            ) from error
        except (httpx2.TransportError, OSError) as error:
            raise KubernetesUnavailable(f"the watch of {target.resource} broke: {error}", kind="connection") from error
        if chunk is None:
            return
        begun += chunk
        *lines, rest = begun.split(b"\n")
        begun = rest
        if len(begun) > max_event_bytes:
            raise bad_answer(f"an event of more than {max_event_bytes} bytes", target)
        for line in lines:
            if line.strip():
                yield bytes(line)


def _event(line: bytes, target: Target) -> WatchEvent:
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise bad_answer("an event that is no JSON", target) from error
    if not isinstance(document, dict) or not isinstance(document.get("object"), dict):
        raise bad_answer("an event without an object", target)
    type_, about = document.get("type"), document["object"]
    if type_ == "ERROR":
        code = about.get("code")
        raise failure_of(code if isinstance(code, int) else 0, status_message(about), target)
    if type_ not in _TYPES:
        raise bad_answer(f"an event of the type {str(type_)[:50]}", target)
    return WatchEvent(type_, about)
