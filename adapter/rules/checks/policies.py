"""What can be wrong with what a rule does beyond prometheus-adapter's keys."""

from __future__ import annotations

from collections.abc import Iterator

from adapter.config.problems import Problem
from adapter.config.schema import PolicyKeys
from adapter.rules.checks.subject import Subject
from adapter.rules.rule import Api

# The HorizontalPodAutoscaler asks every 15 s (kube-controller-manager --horizontal-pod-autoscaler-sync-period).
HPA_PERIOD_SECONDS = 15.0
# kube-metrics-adapter keeps a last good value for 15 minutes, and its users complain (kube-metrics-adapter#553).
LONG_HOLD_SECONDS = 900.0


def long_hold(subject: Subject) -> Iterator[Problem]:
    """Find values that are held for so long that they say nothing about now."""
    policy = subject.rule.policies.on_empty
    if policy.action == "hold" and policy.hold_seconds > LONG_HOLD_SECONDS:
        key = "holdFor" if _own(subject).hold_for is not None else "onEmpty"
        yield subject.place.problem(
            "hold/long",
            f"a value that is gone is served for up to {policy.hold_seconds / 60:g} minutes more",
            key,
            hint="five minutes outlast a restart of Prometheus",
        )


def long_cache(subject: Subject) -> Iterator[Problem]:
    """Find answers that are kept for longer than the autoscaler's period."""
    seconds = subject.rule.policies.cache_ttl_seconds
    if _own(subject).cache_ttl is not None and seconds > HPA_PERIOD_SECONDS:
        yield subject.place.problem(
            "cache/long",
            f"answers are kept for {seconds:g} s, and the autoscaler asks every {HPA_PERIOD_SECONDS:g} s",
            "cacheTTL",
            hint="10s is enough to let many autoscalers share a query",
        )


def duplicates_of_external(subject: Subject) -> Iterator[Problem]:
    """Find `onDuplicates` where it decides nothing: each sample of an external metric is an item."""
    if subject.rule.api is Api.EXTERNAL and _own(subject).on_duplicates is not None:
        yield subject.place.problem(
            "rule/no-effect",
            "`onDuplicates` decides nothing in an external metric: each sample is an item of the answer",
            "onDuplicates",
            hint="aggregate in the query: sum(...), max(...)",
        )


def _own(subject: Subject) -> PolicyKeys:
    return subject.written
