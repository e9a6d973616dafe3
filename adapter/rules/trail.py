"""The trail of one request: what was decided at each step, and why. `explain` prints it; nothing else keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One decision: a short name, whether the request went on, one sentence, and the facts behind it."""

    name: str
    ok: bool
    text: str
    facts: Mapping[str, Any] = field(default_factory=dict)


class Trail:
    """Collects the steps of one request; `NO_TRAIL` stands in where nobody asked why."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def note(self, name: str, text: str, *, ok: bool = True, **facts: Any) -> None:
        """Write one step down."""
        self.steps.append(Step(name=name, ok=ok, text=text, facts=facts))


class _Silent(Trail):
    """A trail that keeps nothing, so that a request that is not explained pays nothing."""

    def note(self, name: str, text: str, *, ok: bool = True, **facts: Any) -> None:
        """Forget the step."""


NO_TRAIL: Trail = _Silent()
