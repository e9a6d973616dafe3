"""What a role must allow so that its holder can read metrics, in the words in which the adapter asks kube-apiserver."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from adapter.cli.usage import UsageError
from adapter.cli.wording import close_matches, either, listed
from adapter.kube.commented_yaml import Noted
from adapter.kube.rbac_documents import policy_rule
from adapter.kube.resource_documents import GROUP as RESOURCE_GROUP
from adapter.kube.resources import GroupResource
from adapter.rules.association import NAMESPACES
from adapter.rules.catalog import may_give
from adapter.rules.permissions import MetricRead, rule_name
from adapter.rules.rule import Api, Rulebook

CUSTOM_GROUP: Final = "custom.metrics.k8s.io"
EXTERNAL_GROUP: Final = "external.metrics.k8s.io"
_GROUPS: Final = {Api.CUSTOM: CUSTOM_GROUP, Api.EXTERNAL: EXTERNAL_GROUP}
# `pods/*/METRIC` is a get of the subresource METRIC; `METRIC` without a name is a list.
_VERBS: Final = {Api.CUSTOM: "get", Api.EXTERNAL: "list"}
# The metrics of a namespace itself are asked for as namespaces/NAMESPACE/metrics/METRIC.
_OF_NAMESPACES: Final = "metrics"
# A role is one object in etcd, which takes a megabyte and a half; of more metrics all are allowed.
_METRICS_AT_MOST: Final = 1000


def reader_rules(rulebook: Rulebook, reads: Iterable[MetricRead], *, only: Sequence[str] = ()) -> list[Noted]:
    """Return the rules of a role for all metrics, or for those that `only` names.

    Raises:
        UsageError: no rule gives a metric that `only` names.
    """
    reads = list(reads)
    if only:
        reads = _narrowed(reads, only)
    found = [*_of_api(reads, Api.CUSTOM), *_of_api(reads, Api.EXTERNAL)]
    if rulebook.resource and not only:
        why = "resourceRules: cpu and memory, as `kubectl top` and HPAs of type Resource ask for them"
        found.append(policy_rule(group=RESOURCE_GROUP, resources=["pods", "nodes"], verbs=["get", "list"], why=[why]))
    return found


def _narrowed(reads: Sequence[MetricRead], only: Sequence[str]) -> list[MetricRead]:
    known = {metric for read in reads for _, metric in read.metrics or ()}
    for metric in only:
        if metric in known or any(_may_be_of(read, metric) for read in reads):
            continue
        near = close_matches(metric, known)
        hint = f"; did you mean {either(near)}?" if near else "; `tidegauge list` shows the metrics there are"
        raise UsageError(f'--metric: no rule gives "{metric}"{hint}')
    return [narrowed for read in reads if (narrowed := _with_only(read, only)) is not None]


def _may_be_of(read: MetricRead, metric: str) -> bool:
    return read.metrics is None and may_give(read.rule, metric, {})


def _with_only(read: MetricRead, only: Sequence[str]) -> MetricRead | None:
    if read.metrics is None:
        return read if any(_may_be_of(read, metric) for metric in only) else None
    metrics = tuple(one for one in read.metrics if one[1] in only)
    return replace(read, metrics=metrics) if metrics else None


def _of_api(reads: Sequence[MetricRead], api: Api) -> Iterator[Noted]:
    mine = [read for read in reads if read.rule.api is api]
    everything = _why_everything(mine)
    if everything:
        yield policy_rule(group=_GROUPS[api], resources=["*"], verbs=[_VERBS[api]], why=[everything])
        return
    for read in mine:
        yield from _of_rule(read)


def _why_everything(reads: Sequence[MetricRead]) -> str:
    """Say why the metrics cannot be named one by one, empty if they can; RBAC has no word for `pods/*`."""
    if unknown := [rule_name(read.rule) for read in reads if read.metrics is None]:
        return (
            f"All metrics, since those of {listed(unknown)} depend on the series in Prometheus; "
            "--prometheus-url has those of today named"
        )
    count = sum(len(read.metrics or ()) for read in reads)
    return f"All metrics, since there are {count}" if count > _METRICS_AT_MOST else ""


def _of_rule(read: MetricRead) -> Iterator[Noted]:
    api, why = read.rule.api, rule_name(read.rule)
    metrics = read.metrics or ()
    whole = sorted({metric for resource, metric in metrics if resource == NAMESPACES})
    others = sorted({_resource(resource, metric) for resource, metric in metrics if resource != NAMESPACES})
    if others:
        yield policy_rule(group=_GROUPS[api], resources=others, verbs=[_VERBS[api]], why=[why])
    if whole:
        yield policy_rule(
            group=_GROUPS[api],
            resources=[_OF_NAMESPACES],
            names=whole,
            verbs=[_VERBS[api]],
            why=[f"{why}, of namespaces themselves"],
        )


def _resource(resource: GroupResource | None, metric: str) -> str:
    return f"{resource}/{metric}" if resource else metric
