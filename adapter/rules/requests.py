"""What a caller asked for, parsed once at the edge."""

from __future__ import annotations

from dataclasses import dataclass

from adapter.kube.resources import GroupResource
from adapter.kube.selectors import EVERYTHING, Selector


@dataclass(frozen=True, slots=True, kw_only=True)
class ByName:
    """One object, by its name."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BySelector:
    """All objects whose labels the selector picks."""

    selector: Selector = EVERYTHING


Target = ByName | BySelector


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomMetricRequest:
    """A metric of objects: `namespace` is empty for a root-scoped path, `resource` is what the path says."""

    namespace: str
    resource: GroupResource
    target: Target
    metric: str
    metric_selector: Selector = EVERYTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalMetricRequest:
    """A metric of no object, as a caller in `namespace` may see it."""

    namespace: str
    metric: str
    selector: Selector = EVERYTHING


MetricRequest = CustomMetricRequest | ExternalMetricRequest
