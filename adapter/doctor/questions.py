"""Which rights somebody needs: the questions that kube-apiserver is asked, and that checks look up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from adapter.doctor.documents import mappings, text
from adapter.doctor.facts import (
    API_SERVICES,
    CUSTOM,
    EXTERNAL,
    RESOURCE,
    AskedMetric,
    Facts,
    Question,
    Unknown,
    api_services_of,
    groups_fed,
)
from adapter.kube.resources import Kinds
from adapter.rules.permissions import Certainty, Known, ObjectNeed, object_needs

HPA_USER = "system:serviceaccount:kube-system:horizontal-pod-autoscaler"
# What a right is asked for where nobody asks for a metric yet, and none is known.
STAND_IN = "tidegauge-doctor"
# Questions about HPAs: what the first ones may read is what the others may.
_MOST_READINGS = 20
_CONFIG_MAP = "extension-apiserver-authentication"


def adapter_user(facts: Facts) -> str:
    """Return the adapter's account as kube-apiserver names it; empty if it is not known."""
    workload, target = facts.workload, facts.target
    if workload is None or isinstance(workload, Unknown) or isinstance(target, Unknown):
        return ""
    return f"system:serviceaccount:{workload.place.namespace}:{workload.template.account}"


def every_question(facts: Facts) -> Sequence[Question]:
    """Return all that the checks want to know."""
    user = adapter_user(facts)
    own = (*delegation(user), *authentication_reading(user), *listing(facts, user), *certificate_keeping(facts, user))
    return tuple(dict.fromkeys([*(own if user else ()), *metric_reading(facts)]))


def delegation(user: str) -> Sequence[Question]:
    """Return what checking callers needs."""
    return (
        Question(user=user, verb="create", group="authentication.k8s.io", resource="tokenreviews"),
        Question(user=user, verb="create", group="authorization.k8s.io", resource="subjectaccessreviews"),
    )


def authentication_reading(user: str) -> Sequence[Question]:
    """Return what learning of the front proxy needs."""
    return tuple(
        Question(user=user, verb=verb, group="", resource="configmaps", namespace="kube-system", name=_CONFIG_MAP)
        for verb in ("get", "list", "watch")
    )


def listing(facts: Facts, user: str) -> Sequence[Question]:
    """Return what picking objects by labels needs, for each kind that rules name and the cluster has."""
    return tuple(
        Question(user=user, verb=verb, group=one.resource.group, resource=one.resource.resource)
        for one in needs_of(facts)
        if one.certainty is Certainty.KNOWN
        for verb in ("list", "watch")
    )


def needs_of(facts: Facts) -> Sequence[ObjectNeed]:
    """Return the resources that rules name; not those of templates, which may mean every kind there is."""
    if isinstance(facts.rules, Unknown) or isinstance(facts.kinds, Unknown):
        return ()
    return object_needs(facts.rules.rulebook, Known(kinds=facts.kinds, template_resources=()))


def certificate_keeping(facts: Facts, user: str) -> Sequence[Question]:
    """Return what the self-managed certificate needs; nothing if there is none."""
    settings = facts.settings
    if isinstance(settings, Unknown) or not settings.self_managed_certificate:
        return ()
    namespace, _, service = settings.self_managed_certificate.partition("/")
    secret = settings.self_managed_certificate_secret or f"{service}-serving-cert"
    secrets = [("create", ""), ("get", secret), ("update", secret)]
    there = API_SERVICES if isinstance(facts.api_services, Unknown) else tuple(facts.api_services)
    return (
        *(
            Question(user=user, verb=verb, group="", resource="secrets", namespace=namespace, name=name)
            for verb, name in secrets
        ),
        *(
            Question(user=user, verb=verb, group="apiregistration.k8s.io", resource="apiservices", name=name)
            for name in there
            for verb in ("get", "patch")
        ),
    )


def metric_reading(facts: Facts) -> Sequence[Question]:
    """Return what the autoscaler's account needs: of what HPAs ask for, and else of what there is."""
    asked = tuple(dict.fromkeys(_of_autoscalers(facts)))[:_MOST_READINGS]
    served = {one.group for one in asked}
    return (*asked, *(_of_api(facts, group) for group in wanted_groups(facts) if group not in served))


def wanted_groups(facts: Facts) -> Sequence[str]:
    """Return the API groups that the rules feed, or, where they are not known, those that lead to the adapter."""
    if not isinstance(facts.rules, Unknown):
        return groups_fed(facts.rules.rulebook)
    if isinstance(facts.api_services, Unknown):
        return ()
    ours = [one.group for one in facts.api_services.values() if one.service == facts.target]
    return tuple(dict.fromkeys(ours))


def _of_autoscalers(facts: Facts) -> Iterable[Question]:
    if isinstance(facts.autoscalers, Unknown):
        return
    wanted = wanted_groups(facts)
    for one in facts.autoscalers:
        for metric in one.metrics:
            question = _of_metric(metric, one.place.namespace, facts.kinds)
            if question is not None and question.group in wanted:
                yield question


def _of_metric(metric: AskedMetric, namespace: str, kinds: Kinds | Unknown) -> Question | None:
    if metric.type in ("Resource", "ContainerResource"):
        return Question(user=HPA_USER, verb="list", group=RESOURCE, resource="pods", namespace=namespace)
    if metric.type == "External":
        return Question(user=HPA_USER, verb="list", group=EXTERNAL, resource=metric.name, namespace=namespace)
    resource = "pods"
    if metric.type == "Object":
        kind = None if isinstance(kinds, Unknown) else kinds.resolve_kind(metric.group, metric.kind)
        if kind is None:
            return None
        resource = str(kind.group_resource)
        namespace = namespace if kind.namespaced else ""
    return Question(
        user=HPA_USER, verb="get", group=CUSTOM, resource=resource, subresource=metric.name, namespace=namespace
    )


def _of_api(facts: Facts, group: str) -> Question:
    """Return the question about one metric that the API has now."""
    if group == RESOURCE:
        return Question(user=HPA_USER, verb="list", group=group, resource="pods")
    names = [
        text(one, "name")
        for name in api_services_of(group)
        if name in facts.apis
        for one in mappings(facts.apis[name].document, "resources")
    ]
    name = next((one for one in names if one), "")
    if group == EXTERNAL:
        return Question(user=HPA_USER, verb="list", group=group, resource=name or STAND_IN)
    resource, _, metric = name.partition("/")
    return Question(user=HPA_USER, verb="get", group=group, resource=resource or "pods", subresource=metric or STAND_IN)
