"""Which APIServices there are, to whom they lead, and what kube-apiserver says of them."""

from __future__ import annotations

from collections.abc import Mapping

from adapter.doctor.facts import RESOURCE, ApiService, Facts, Unknown, api_services_of, groups_fed
from adapter.doctor.findings import Notes, Outcome, skipped

# Which version clients cannot do without; of custom.metrics.k8s.io either will do.
_NEEDED = {f"v1beta1.{RESOURCE}"}


def look(facts: Facts) -> Outcome:
    """Compare the APIServices with the rules and with the adapter's Service."""
    if isinstance(facts.api_services, Unknown):
        return skipped(facts.api_services)
    notes = Notes()
    fed = None if isinstance(facts.rules, Unknown) else frozenset(groups_fed(facts.rules.rulebook))
    for one in facts.api_services.values():
        _look_at_one(notes, one, facts, fed)
    insecure = [one.name for one in facts.api_services.values() if one.insecure and one.service == facts.target]
    if insecure:
        notes.find("apiservice/insecure", f"insecureSkipTLSVerify is set in the APIServices {', '.join(insecure)}")
    if fed is not None and not isinstance(facts.target, Unknown):
        _look_for_missing(notes, facts.api_services, facts, fed)
    return notes.outcome(_seen(facts.api_services, facts))


def _look_at_one(notes: Notes, one: ApiService, facts: Facts, fed: frozenset[str] | None) -> None:
    if one.service != facts.target:
        _look_at_other(notes, one, facts, fed)
        return
    if fed is not None and one.group not in fed:
        notes.find(
            "apiservice/no-rules",
            f"the APIService {one.name} leads to the adapter, and no rule feeds {one.group}",
            cure=(f"kubectl delete apiservice {one.name}",),
        )
    state = one.available
    if state is None or state.status != "True":
        said = f"{state.reason}: {state.message}" if state else "kube-apiserver has not looked at it yet"
        notes.find(
            "apiservice/not-available",
            f"the APIService {one.name} is not Available",
            seen=(said,),
            cure=(f"kubectl describe apiservice {one.name}",),
        )


def _look_at_other(notes: Notes, one: ApiService, facts: Facts, fed: frozenset[str] | None) -> None:
    owner = "kube-apiserver itself" if one.service is None else f"the Service {one.service}"
    known = facts.owners.get(str(one.service), "")
    message = f"the APIService {one.name} leads to {owner}" + (f" ({known})" if known else "")
    if isinstance(facts.target, Unknown):
        return  # nobody can say whose it should be
    if fed is not None and one.group not in fed:
        notes.find("apiservice/others", message)
        return
    notes.find(
        "apiservice/other-owner",
        message,
        seen=(f"the adapter's Service is {facts.target}",),
        cure=(f"kubectl get apiservice {one.name} -o yaml   # who made it", "let one of the two serve this API only"),
    )


def _look_for_missing(notes: Notes, there: Mapping[str, ApiService], facts: Facts, fed: frozenset[str]) -> None:
    for group in sorted(fed):
        names = api_services_of(group)
        needed = [name for name in names if name in _NEEDED] or names
        if not any(name in there for name in needed):
            notes.find(
                "apiservice/missing",
                f"rules feed {group}, and there is no APIService {' or '.join(needed)}",
                seen=(f"it has to lead to the Service {facts.target}",),
            )


def _seen(there: Mapping[str, ApiService], facts: Facts) -> str:
    ours = [one for one in there.values() if one.service == facts.target]
    if not ours:
        return "none leads to the adapter"
    good = [one for one in ours if one.available is not None and one.available.status == "True"]
    return f"{len(good)} of {len(ours)} Available"
