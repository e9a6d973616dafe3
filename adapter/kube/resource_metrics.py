"""Use of processor and memory, as metrics.k8s.io tells it: by pod and container, and by node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerUse:
    """What one container uses: by resource (`cpu` in cores, `memory` in bytes), each in thousandths."""

    name: str
    milli: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class PodUse:
    """What the containers of one pod use; `timestamp_seconds` since 1970 is the oldest sample's."""

    namespace: str
    name: str
    labels: Mapping[str, str]
    timestamp_seconds: float
    window_seconds: float
    containers: tuple[ContainerUse, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeUse:
    """What one node uses, as of a container."""

    name: str
    labels: Mapping[str, str]
    timestamp_seconds: float
    window_seconds: float
    milli: Mapping[str, int]
