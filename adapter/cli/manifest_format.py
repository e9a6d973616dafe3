"""What the commands that print manifests may be asked to print."""

from __future__ import annotations

from enum import StrEnum

from adapter.kube.measure import Measure

__all__ = ["Extent", "ManifestFormat", "Measure", "MetricKind"]


class Extent(StrEnum):
    """Which permissions: those for the objects that rules are about, or all."""

    OBJECTS = "objects"
    ALL = "all"


class ManifestFormat(StrEnum):
    """How manifests are written."""

    YAML = "yaml"
    JSON = "json"


class MetricKind(StrEnum):
    """The types of metric, by the names of their keys."""

    PODS = "pods"
    OBJECT = "object"
    EXTERNAL = "external"
    RESOURCE = "resource"
