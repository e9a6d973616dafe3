"""Whether there is an adapter at all."""

from __future__ import annotations

from adapter.doctor.facts import Facts, Unknown
from adapter.doctor.findings import Notes, Outcome


def look(facts: Facts) -> Outcome:
    """Say which Service is the adapter's."""
    notes = Notes()
    if isinstance(facts.target, Unknown):
        notes.find("adapter/not-found", "no adapter was found", seen=(facts.target.reason,))
        return notes.outcome()
    workload = facts.workload
    if workload is None:
        notes.find("adapter/not-found", f"no Deployment makes the pods of the Service {facts.target}")
        return notes.outcome(str(facts.target))
    made = "" if isinstance(workload, Unknown) else f", {workload.kind} {workload.place}"
    if isinstance(workload, Unknown):
        notes.skip("its Deployment", workload)
    return notes.outcome(f"Service {facts.target}{made}")
