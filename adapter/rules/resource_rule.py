"""Resource rules in force: how cpu and memory of metrics.k8s.io are measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from adapter.config.problems import Location
from adapter.promql.template import Template


@dataclass(frozen=True, slots=True, kw_only=True)
class UseRule:
    """How one resource is measured; a query or label that is empty was not given, and gives an empty list."""

    id: str  # resourceRules.cpu, resourceRules.memory
    location: Location
    container_query: Template | None = None
    node_query: Template | None = None
    namespace_label: str = ""
    pod_label: str = ""
    node_label: str = ""
    container_label: str = ""

    @property
    def may_share(self) -> bool:
        """Say that requests may share a query: resource rules have no `fuse`."""
        return True

    @property
    def measures_pods(self) -> bool:
        """Say whether there is a query for pods, and the labels that its samples are known by."""
        return self.container_query is not None and bool(self.pod_label and self.namespace_label)

    @property
    def measures_nodes(self) -> bool:
        """Say whether there is a query for nodes, and the label that its samples are known by."""
        return self.node_query is not None and bool(self.node_label)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceRules:
    """The rules for cpu and memory, and what both share; without one of the two nothing can be listed."""

    cpu: UseRule | None = None
    memory: UseRule | None = None
    window_seconds: float = 0.0  # reported with each value, as written
    cache_ttl_seconds: float = 0.0
    stale_if_error_seconds: float = 0.0  # as of other rules
    cut: bool = False  # cut to thousandths, as prometheus-adapter does, instead of rounding to the nearest

    @property
    def measures_pods(self) -> bool:
        """Say whether pods can be listed: cpu and memory are both measured."""
        return all(rule is not None and rule.measures_pods for _, rule in self)

    @property
    def measures_nodes(self) -> bool:
        """Say whether nodes can be listed: cpu and memory are both measured."""
        return all(rule is not None and rule.measures_nodes for _, rule in self)

    def __iter__(self) -> Iterator[tuple[str, UseRule | None]]:
        yield "cpu", self.cpu
        yield "memory", self.memory
