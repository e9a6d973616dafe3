"""Whether the autoscaler may read the metrics, and the adapter's own account do its work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from adapter.doctor.facts import HPA_ROLE, Facts, Question, Unknown
from adapter.doctor.findings import Notes, Outcome
from adapter.doctor.questions import (
    HPA_USER,
    STAND_IN,
    adapter_user,
    authentication_reading,
    certificate_keeping,
    delegation,
    listing,
    metric_reading,
)

_SHOWN = 10  # of questions that were answered with no; more helps nobody
_RBAC = "tidegauge rbac RULES   # prints the roles that the rules need"
_READER = "extension-apiserver-authentication-reader"
_KEEPING = "kubectl apply -f FILE   # the roles of docs/operations.md, A serving certificate of its own"


def look_at_autoscaler(facts: Facts) -> Outcome:
    """Look at the rights of the account that HPAs are looked after by."""
    notes = Notes()
    asked = metric_reading(facts)
    denied = _denied(notes, asked, facts)
    for group in dict.fromkeys(one.group for one in denied):
        of_group = [one for one in denied if one.group == group]
        stand_in = all(STAND_IN in (one.resource, one.subresource) for one in of_group)
        named = "any metric" if stand_in else "metrics"
        notes.find(
            "hpa/may-not-read",
            f"the account {HPA_USER} may not read {named} of {group}",
            seen=(*map(str, of_group[:_SHOWN]), _binding(facts)),
            cure=(_read_as(of_group[0]), _grant(facts)),
        )
    if not asked:
        notes.skip("", Unknown(reason="it is not known which APIs the adapter serves"))
    return notes.outcome(f"{len(asked) - len(denied)} of {len(asked)} allowed" if asked and not notes.skipped else "")


def _read_as(one: Question) -> str:
    """Return what shows the refusal; `kubectl auth can-i` knows no resources of custom and external metrics."""
    where = f"namespaces/{one.namespace or 'NAMESPACE'}"
    match one.group:
        case "custom.metrics.k8s.io":
            metric = "METRIC" if one.subresource == STAND_IN else one.subresource
            path = f"v1beta1/{where}/{one.resource}/*/{metric}"
        case "external.metrics.k8s.io":
            path = f"v1beta1/{where}/{'METRIC' if one.resource == STAND_IN else one.resource}"
        case _:
            return _can_i(one)
    return f"kubectl get --raw '/apis/{one.group}/{path}' --as={one.user}"


def _can_i(one: Question) -> str:
    resource = f"{one.resource}.{one.group}" if one.group else one.resource
    resource += f"/{one.name}" if one.name else ""
    sub = f" --subresource={one.subresource}" if one.subresource else ""
    where = f" -n {one.namespace}" if one.namespace else " --all-namespaces"
    return f"kubectl auth can-i {one.verb} {resource}{sub}{where} --as={one.user}"


def _grant(facts: Facts) -> str:
    """Return what gives the account its rights back: Kubernetes' own role has them, where it is bound."""
    if facts.hpa_binding is None:
        return (
            f"kubectl create clusterrolebinding {HPA_ROLE} --clusterrole={HPA_ROLE}"
            " --serviceaccount=kube-system:horizontal-pod-autoscaler"
        )
    return _RBAC


def _binding(facts: Facts) -> str:
    """Say what is known of Kubernetes' own role for the autoscaler."""
    if isinstance(facts.hpa_binding, Unknown):
        return ""
    if facts.hpa_binding is None:
        return f"the ClusterRoleBinding {HPA_ROLE}, which Kubernetes makes itself, is missing"
    return f"the ClusterRoleBinding {HPA_ROLE} is there: its role does not say enough, or its subject is another"


def look_at_account(facts: Facts) -> Outcome:
    """Look at the rights that the adapter itself needs."""
    user = adapter_user(facts)
    if not user:
        why = facts.workload if isinstance(facts.workload, Unknown) else Unknown(reason="there is no Deployment")
        return Outcome(skipped=(why.reason,))
    notes = Notes()
    for code, message, asked, cure in _duties(facts, user):
        denied = _denied(notes, asked, facts)
        if denied:
            notes.find(code, f"{user} {message}", seen=map(str, denied[:_SHOWN]), cure=(_can_i(denied[0]), cure))
    _look_at_lists(notes, facts, user)
    if isinstance(facts.rules, Unknown):
        notes.skip("listing objects", facts.rules)
    return notes.outcome(user if not notes.skipped else "")


def _duties(facts: Facts, user: str) -> Iterator[tuple[str, str, Sequence[Question], str]]:
    """Yield what the adapter has to do: the code of what is missing, words for it, what is asked, and what cures it."""
    _, _, namespace, account = user.split(":", 3)
    whose = f"--serviceaccount={namespace}:{account}"
    yield (
        "account/auth-delegator",
        "may not have callers checked",
        delegation(user),
        f"kubectl create clusterrolebinding {account}-auth-delegator --clusterrole=system:auth-delegator {whose}",
    )
    yield (
        "account/authentication-reader",
        "may not read the ConfigMap kube-system/extension-apiserver-authentication",
        () if _needs_no_lookup(facts) else authentication_reading(user),
        f"kubectl -n kube-system create rolebinding {account}-auth-reader --role={_READER} {whose}",
    )
    yield (
        "account/self-managed",
        "may not keep the serving certificate",
        certificate_keeping(facts, user),
        _KEEPING,
    )


def _needs_no_lookup(facts: Facts) -> bool:
    """Say whether flags tell whom to trust, or that nobody is to be asked."""
    if isinstance(facts.settings, Unknown):
        return False
    one = facts.settings
    return one.authentication_skip_lookup or bool(one.client_ca_file and one.requestheader_client_ca_file)


def _look_at_lists(notes: Notes, facts: Facts, user: str) -> None:
    denied = _denied(notes, listing(facts, user), facts)
    unlisted = [one for one in denied if one.verb == "list"]
    hidden = {(one.group, one.resource) for one in unlisted}
    unwatched = [one for one in denied if one.verb == "watch" and (one.group, one.resource) not in hidden]
    for code, found in (("account/may-not-list", unlisted), ("account/may-not-watch", unwatched)):
        if found:
            kinds = ", ".join(f"{one.resource}.{one.group}" if one.group else one.resource for one in found[:_SHOWN])
            notes.find(code, f"{user} may not {found[0].verb} {kinds}", cure=(_can_i(found[0]), _RBAC))


def _denied(notes: Notes, asked: Sequence[Question], facts: Facts) -> list[Question]:
    """Return the questions that were answered with no; those without an answer are noted."""
    denied = []
    for one in asked:
        answer = facts.rights.get(one, Unknown(reason="it was not asked"))
        if isinstance(answer, Unknown):
            notes.skip("", answer)
        elif not answer:
            denied.append(one)
    return denied
