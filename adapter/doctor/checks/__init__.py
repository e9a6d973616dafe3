"""The checks: each is one pure function from the facts to what it found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from adapter.doctor.checks import (
    apiservices,
    autoscalers,
    certificates,
    front_proxy,
    network,
    pods,
    prometheus,
    rights,
    rules,
    services,
    target,
)
from adapter.doctor.facts import Facts
from adapter.doctor.findings import Outcome

Check = Callable[[Facts], Outcome]

# In the order in which a request meets them; what people are shown, and what looks.
CHECKS: Final[Mapping[str, Check]] = {
    "adapter": target.look,
    "pods": pods.look,
    "rules": rules.look,
    "rights of the adapter": rights.look_at_account,
    "front proxy": front_proxy.look,
    "Service": services.look,
    "endpoints": services.look_at_endpoints,
    "NetworkPolicies": network.look_at_policies,
    "proxies": network.look_at_proxies,
    "certificate": certificates.look,
    "APIServices": apiservices.look,
    "Prometheus": prometheus.look,
    "state of the adapter": pods.look_at_state,
    "metrics": rules.look_at_metrics,
    "rights of the autoscaler": rights.look_at_autoscaler,
    "HPAs": autoscalers.look,
}


def examine(facts: Facts) -> Mapping[str, Outcome]:
    """Return what each check came to."""
    return {name: look(facts) for name, look in CHECKS.items()}
