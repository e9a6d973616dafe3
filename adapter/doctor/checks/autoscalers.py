"""Which HPAs do not get their metrics."""

from __future__ import annotations

import re
from typing import Final

from adapter.doctor.facts import CUSTOM, EXTERNAL, RESOURCE, Autoscaler, Facts, Unknown
from adapter.doctor.findings import Notes, Outcome, skipped
from adapter.doctor.questions import wanted_groups

# FailedGetPodsMetric, FailedGetObjectMetric, FailedGetExternalMetric, FailedGetResourceMetric, ...
_REASON: Final = re.compile(r"FailedGet(\w*)Metric")
_GROUPS: Final = {
    "Pods": CUSTOM,
    "Object": CUSTOM,
    "External": EXTERNAL,
    "Resource": RESOURCE,
    "ContainerResource": RESOURCE,
}
_SHOWN: Final = 20


def look(facts: Facts) -> Outcome:
    """List the HPAs whose ScalingActive is False for want of a metric of an API that the adapter serves."""
    if isinstance(facts.autoscalers, Unknown):
        return skipped(facts.autoscalers)
    notes = Notes()
    wanted = wanted_groups(facts)
    ours = [one for one in facts.autoscalers if any(_GROUPS.get(metric.type) in wanted for metric in one.metrics)]
    failing = [one for one in ours if _fails(one, wanted)]
    for one in failing[:_SHOWN]:
        state = one.scaling_active
        seen = (f"{state.reason}: {state.message}",) if state else ()
        describe = f"kubectl -n {one.place.namespace} describe hpa {one.place.name}"
        notes.find("hpa/failing", f"the HPA {one.place} does not get its metrics", seen=seen, cure=(describe,))
    more = len(failing) - _SHOWN
    if more > 0:
        notes.find("hpa/failing", f"{more} more HPAs do not get their metrics", cure=("kubectl get hpa -A",))
    return notes.outcome(
        f"{len(ours) - len(failing)} of {len(ours)} get their metrics" if ours else "none asks for its APIs"
    )


def _fails(one: Autoscaler, wanted: object) -> bool:
    state = one.scaling_active
    if state is None or state.status != "False":
        return False
    found = _REASON.fullmatch(state.reason)
    return found is not None and _GROUPS.get(found[1]) in set(wanted)  # type: ignore[call-overload]  # names of groups
