"""What a caller gets: answers before they are written as a document."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from adapter.kube.documents import ExternalItem, MetricItem
from adapter.kube.selectors import EVERYTHING, Selector


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomAnswer:
    """The values of a metric of objects; `selector` is the metric selector that the caller sent."""

    metric: str
    items: tuple[MetricItem, ...]
    selector: Selector = EVERYTHING
    # Whoever writes the answer keeps its bytes here, by their form: an answer that is given again is not written again.
    written: dict[Hashable, object] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalAnswer:
    """The values of a metric of no object."""

    metric: str
    items: tuple[ExternalItem, ...]
    written: dict[Hashable, object] = field(default_factory=dict, compare=False, repr=False)  # as of a custom answer
