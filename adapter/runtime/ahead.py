"""Watches that requests will need, begun before the first of them: a large cluster takes seconds to list.

Only pods are watched ahead. The HorizontalPodAutoscaler asks for pods with a selector, and for any other object by its
name, which needs no list.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Protocol

from adapter.kube.resources import GroupResource
from adapter.rules.catalog import Catalog
from adapter.rules.rule import Rulebook

_PODS = GroupResource("pods")


class ExpectsPods(Protocol):
    """What can be told that pods will be asked for."""

    def expect_pods(self, *, running: bool) -> None:
        """Begin the watch of pods, or of running ones, unless that was done once."""


def begin_watches(objects: ExpectsPods, rulebook: Rulebook, catalog: Catalog) -> None:
    """Have the pods watched that a catalog has metrics of, and those that cpu and memory are told of."""
    if _has_pods(catalog):
        objects.expect_pods(running=False)
    uses = rulebook.resource_rules
    if uses is not None and uses.measures_pods:
        objects.expect_pods(running=True)


def _has_pods(catalog: Catalog) -> bool:
    """Say whether there is a metric of pods; the list is sorted by the resource's text, and may be long."""
    place = bisect_left(catalog.custom, str(_PODS), key=lambda one: str(one.resource))
    return place < len(catalog.custom) and catalog.custom[place].resource == _PODS
