"""kube-apiserver's audit log: who asked for what, and how often."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

POLICY = """apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
"""
_ANSWERED = "ResponseComplete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A request that has been answered; resource is `resource[.group][/subresource]`, empty for other paths."""

    user: str
    agent: str
    verb: str
    resource: str
    namespace: str
    path: str
    code: int

    @classmethod
    def read(cls, event: Mapping[str, Any]) -> Entry:
        """Return the entry of an audit.k8s.io/v1 Event."""
        of = event.get("objectRef", {})
        resource = ".".join(part for part in (of.get("resource", ""), of.get("apiGroup", "")) if part)
        return cls(
            user=event["user"]["username"],
            agent=event.get("userAgent", ""),
            verb=event["verb"],
            resource="/".join(part for part in (resource, of.get("subresource", "")) if part),
            namespace=of.get("namespace", ""),
            path=event["requestURI"],
            code=event.get("responseStatus", {}).get("code", 0),
        )


class AuditLog:
    """Reads the log from where it was last left; a watch appears when it has ended."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def forget(self) -> None:
        """Leave out everything until now."""
        self._offset = self._path.stat().st_size if self._path.exists() else 0

    def entries(self) -> list[Entry]:
        """Return what was answered since `forget`, oldest first."""
        with self._path.open("rb") as log:
            log.seek(self._offset)
            lines = log.read().splitlines(keepends=True)
        events = [json.loads(line) for line in lines if line.endswith(b"\n")]  # the last line may be under way
        return [Entry.read(event) for event in events if event["stage"] == _ANSWERED]

    def count(self, matches: Callable[[Entry], bool]) -> int:
        """Return how many entries since `forget` match."""
        return sum(map(matches, self.entries()))

    def table(self, *, user: str) -> Counter[tuple[str, str]]:
        """Return how often a user did what since `forget`, by verb and resource (or path)."""
        return Counter((one.verb, one.resource or one.path) for one in self.entries() if one.user == user)


def lists(user: str) -> Callable[[Entry], bool]:
    """Match LISTs by a user, whatever of."""
    return lambda one: one.user == user and one.verb == "list"


def access_reviews(user: str) -> Callable[[Entry], bool]:
    """Match SubjectAccessReviews by a user."""
    return lambda one: one.user == user and one.resource == "subjectaccessreviews.authorization.k8s.io"


def token_reviews(user: str) -> Callable[[Entry], bool]:
    """Match TokenReviews by a user."""
    return lambda one: one.user == user and one.resource == "tokenreviews.authentication.k8s.io"
