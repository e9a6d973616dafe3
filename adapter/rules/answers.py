"""What a caller gets: answers before they are written as a document."""

from __future__ import annotations

from dataclasses import dataclass

from adapter.kube.documents import ExternalItem, MetricItem
from adapter.kube.selectors import EVERYTHING, Selector


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomAnswer:
    """The values of a metric of objects; `selector` is the metric selector that the caller sent."""

    metric: str
    items: tuple[MetricItem, ...]
    selector: Selector = EVERYTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalAnswer:
    """The values of a metric of no object."""

    metric: str
    items: tuple[ExternalItem, ...]
