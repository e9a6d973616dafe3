"""What the target of an autoscaler is compared with."""

from __future__ import annotations

from enum import StrEnum


class Measure(StrEnum):
    """What a target is compared with: the value shared among all pods, the value as it is, or percent of requests."""

    AVERAGE = "average"
    VALUE = "value"
    UTILIZATION = "utilization"
