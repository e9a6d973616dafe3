"""Many requests, one query: which may share one, how it is written, and how its answer is taken apart."""

from __future__ import annotations

from adapter.rules.fusion.members import Member, member_of
from adapter.rules.fusion.queries import FusedQuery, fused
from adapter.rules.fusion.rules import fusability, fusability_of_use
from adapter.rules.fusion.shapes import NotFusable, Shape, shape_of
from adapter.rules.fusion.skeletons import Skeleton, skeleton_of
from adapter.rules.fusion.split import Split, Unsplit, asks_separately, is_for_all, split

__all__ = [
    "FusedQuery",
    "Member",
    "NotFusable",
    "Shape",
    "Skeleton",
    "Split",
    "Unsplit",
    "asks_separately",
    "fusability",
    "fusability_of_use",
    "fused",
    "is_for_all",
    "member_of",
    "shape_of",
    "skeleton_of",
    "split",
]
