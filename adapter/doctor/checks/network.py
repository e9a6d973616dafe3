"""What may stand between: NetworkPolicies, and variables that name a proxy."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from adapter.clients.kubernetes.proxies import proxy_of
from adapter.config.urls import redacted_url
from adapter.doctor.documents import items, mappings, number, text
from adapter.doctor.facts import Container, Facts, Policy, Template, Unknown, container_of
from adapter.doctor.findings import Notes, Outcome, skipped
from adapter.doctor.reading import selects

_PROXIES: Final = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def look_at_policies(facts: Facts) -> Outcome:
    """Look whether policies let anybody in to the adapter's port, and anything out."""
    if isinstance(facts.policies, Unknown):
        return skipped(facts.policies)
    if isinstance(facts.workload, Unknown):
        return skipped(facts.workload)
    if facts.workload is None:
        return Outcome(skipped=("there is no Deployment",))
    template, notes = facts.workload.template, Notes()
    ours = [one for one in facts.policies if selects(one.selects, template.labels)]
    inward = [one for one in ours if one.ingress is not None]
    if inward:
        _look_at_ingress(notes, inward, template, facts)
    outward = [one for one in ours if one.egress is not None]
    if outward and not any(one.egress for one in outward):
        notes.find("network-policy/egress", f"NetworkPolicies let nothing out of the pods: {_names(outward)}")
    return notes.outcome(f"for the pods: {_names(ours)}" if ours else "none selects the pods")


def _names(policies: Sequence[Policy]) -> str:
    return ", ".join(sorted(one.name for one in policies))


def _look_at_ingress(notes: Notes, policies: Sequence[Policy], template: Template, facts: Facts) -> None:
    port = _port(template, facts)
    rules = [rule for one in policies for rule in one.ingress or () if _allows(rule, port, template)]
    target = facts.workload.place.namespace if facts.workload and not isinstance(facts.workload, Unknown) else ""
    cure = (f"kubectl -n {target} describe networkpolicy {' '.join(sorted(one.name for one in policies))}",)
    if not rules:
        message = f"NetworkPolicies let nobody in to port {port or 'of the adapter'}: {_names(policies)}"
        notes.find("network-policy/ingress", message, cure=cure)
    elif all(_only_pods(rule) for rule in rules):
        message = f"NetworkPolicies let only pods in to port {port or 'of the adapter'}: {_names(policies)}"
        notes.find("network-policy/only-pods", message, cure=cure)


def _port(template: Template, facts: Facts) -> int:
    """Return the port that the adapter listens on, 0 if it is not known."""
    if not isinstance(facts.settings, Unknown):
        return facts.settings.secure_port
    container = container_of(template)
    return next(iter(container.ports.values()), 0) if container else 0


def _allows(rule: Mapping[str, Any], port: int, template: Template) -> bool:
    """Say whether a rule is about a port; one that names no ports is about all."""
    ports = mappings(rule, "ports")
    if not ports or not port:
        return True
    return any(_is_about(one, port, template) for one in ports)


def _is_about(one: Mapping[str, Any], port: int, template: Template) -> bool:
    if text(one, "protocol") not in ("", "TCP"):
        return False
    named, first = text(one, "port"), number(one, "port")
    if named:
        return any(container.ports.get(named) == port for container in template.containers)
    if first is None:
        return True
    return first <= port <= (number(one, "endPort") or first)


def _only_pods(rule: Mapping[str, Any]) -> bool:
    """Say whether a rule lets in pods, and no addresses."""
    peers = items(rule, "from")
    return bool(peers) and all(isinstance(one, Mapping) and "ipBlock" not in one for one in peers)


def look_at_proxies(facts: Facts) -> Outcome:
    """Look whether the variables of the container send to a proxy what is for the cluster."""
    if isinstance(facts.workload, Unknown):
        return skipped(facts.workload)
    container = container_of(facts.workload.template) if facts.workload else None
    if container is None:
        return Outcome(skipped=("there is no container",))
    notes = Notes()
    hidden = sorted(name for name in container.hidden_env if name.lower() in _PROXIES)
    if hidden:
        notes.skip("", Unknown(reason=f"the values of {', '.join(hidden)} are not written in the Deployment"))
        return notes.outcome()
    cure = (_cure(facts, container),)
    proxy = _proxy(f"https://{facts.cluster_address}:443", container) if facts.cluster_address else ""
    if proxy:
        message = f"what is for kube-apiserver ({facts.cluster_address}) goes to the proxy {proxy}"
        notes.find("proxy/kube-apiserver", message, seen=_variables(container), cure=cure)
    url = "" if isinstance(facts.prometheus, Unknown) else facts.prometheus.url
    proxy = _proxy(url, container) if url and _is_inside(url) else ""
    if proxy:
        notes.find(
            "proxy/prometheus", f"what is for {url} goes to the proxy {proxy}", seen=_variables(container), cure=cure
        )
    return notes.outcome("the container names none" if not _variables(container) else "what is inside is excepted")


def _proxy(url: str, container: Container) -> str:
    try:
        found = proxy_of(url, container.env)
    except ValueError:  # an address that cannot be read; the flags' own check says so
        return ""
    return redacted_url(found) if found else ""


def _variables(container: Container) -> tuple[str, ...]:
    return tuple(
        f"{name}={value if 'no_' in name.lower() else redacted_url(value)}"
        for name, value in sorted(container.env.items())
        if name.lower() in _PROXIES and value
    )


def _is_inside(url: str) -> bool:
    """Say whether a host is the cluster's: the name of a Service, or a private address."""
    try:
        host = urlsplit(url).hostname or ""
        return ipaddress.ip_address(host).is_private
    except ValueError:
        pass
    return "." not in host or host.endswith((".svc", ".cluster.local"))


def _cure(facts: Facts, container: Container) -> str:
    workload = facts.workload
    if isinstance(workload, Unknown) or workload is None:
        return "add the cluster's own addresses to NO_PROXY"
    kept = next((value for name, value in container.env.items() if name.lower() == "no_proxy" and value), "")
    more = ",".join(one for one in (kept, facts.cluster_address, ".svc", ".cluster.local") if one)
    return (
        f"kubectl -n {workload.place.namespace} set env {workload.kind.lower()}/{workload.place.name} NO_PROXY={more}"
    )
