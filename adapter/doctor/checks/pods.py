"""Whether the pods run, and if not, why; and what the adapter in them says of itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from adapter.doctor.facts import ContainerState, Facts, Place, Pod, Reply, Unknown, Workload
from adapter.doctor.findings import Notes, Outcome, skipped
from adapter.doctor.reading import condition

# The first relist is waited for 5 s, and probes come every 10 s: after this a pod is ready, or something is wrong.
_BEGINNING_TIME: Final = timedelta(seconds=30)
# Reasons of a container that is only just beginning.
_BEGINNING: Final = frozenset({"", "ContainerCreating", "PodInitializing"})
_CRASHING: Final = "CrashLoopBackOff"
# Lines of a log that are shown; the last ones say why a process ended.
_LOG_LINES: Final = 5
# `[+]rules ok: detail` and `[-]first-relist-default failed: detail`.
_CHECK: Final = re.compile(r"^\[([+-])\](\S+) (?:ok|failed|excluded)(?:: (.*))?$", re.MULTILINE)
_LONGEST_DETAIL: Final = 600


def look(facts: Facts) -> Outcome:
    """Look at the Deployment and at each of its pods."""
    if isinstance(facts.workload, Unknown):
        return skipped(facts.workload)
    notes = Notes()
    workload = facts.workload
    for problem in facts.flag_problems:
        hint = (problem.hint,) if problem.hint else ()
        notes.find("deployment/flags", problem.message, seen=_named(workload), cure=hint)
    if isinstance(facts.pods, Unknown):
        notes.skip("the pods", facts.pods)
        return notes.outcome()
    there = [one for one in facts.pods if not one.leaving]
    if not there and workload is not None:
        _look_for_reason(notes, workload)
    for pod in there:
        _look_at_pod(notes, pod, workload.place.namespace if workload else "", facts.now)
    if isinstance(facts.account, bool) and not facts.account and workload is not None:
        name = workload.template.account
        where = workload.place.namespace
        notes.find(
            "account/missing",
            f"there is no ServiceAccount {where}/{name}",
            cure=(f"kubectl -n {where} create serviceaccount {name}",),
        )
    if workload is not None and not workload.template.mounts_token:
        notes.find("account/no-token", f"the {workload.kind} {workload.place} mounts no token of its account")
    return notes.outcome(f"{sum(one.ready for one in there)} of {len(there)} ready" if there else "")


def _named(workload: Workload | None) -> Iterable[str]:
    return (f"{workload.kind} {workload.place}",) if workload else ()


def _look_for_reason(notes: Notes, workload: Workload) -> None:
    failure = condition(workload.conditions, "ReplicaFailure")
    said = f"{failure.reason}: {failure.message}" if failure and failure.status == "True" else ""
    name = workload.place.name
    scale = f"kubectl -n {workload.place.namespace} scale {workload.kind.lower()} {name} --replicas=1"
    describe = f"kubectl -n {workload.place.namespace} describe {workload.kind.lower()} {name}"
    notes.find(
        "pod/none",
        f"the {workload.kind} {workload.place} has no pod",
        seen=(f"{workload.replicas} wanted", said),
        cure=(scale,) if workload.replicas == 0 else (describe,),
    )


def _look_at_pod(notes: Notes, pod: Pod, namespace: str, now: datetime) -> None:
    describe, log = f"kubectl -n {namespace} describe pod {pod.name}", f"kubectl -n {namespace} logs {pod.name}"
    crashing = next((one for one in pod.states if _crashes(one)), None)
    waiting = next((one for one in pod.states if one.waiting not in _BEGINNING and one.waiting != _CRASHING), None)
    scheduled = condition(pod.conditions, "PodScheduled")
    if crashing is not None:
        ended = f"{crashing.name}: {crashing.ended}" if crashing.ended else crashing.name
        lines = pod.log.splitlines()[-_LOG_LINES:] or [crashing.ended_message or crashing.waiting_message]
        message = f"the pod {pod.name} ends again and again, {crashing.restarts} times until now"
        notes.find("pod/crashing", message, seen=(ended, *lines), cure=(f"{log} --previous",))
    elif waiting is not None:
        message = f"the pod {pod.name} does not start: {waiting.waiting}"
        notes.find("pod/not-starting", message, seen=(waiting.waiting_message,), cure=(describe,))
    elif scheduled is not None and scheduled.status == "False":
        message = f"no node takes the pod {pod.name}"
        notes.find("pod/pending", message, seen=(f"{scheduled.reason}: {scheduled.message}",), cure=(describe,))
    elif not pod.ready and pod.began is not None and now - pod.began < _BEGINNING_TIME:
        notes.skip(f"the pod {pod.name}", Unknown(reason="it has just begun, and is not ready yet"))
    elif not pod.ready:
        seen = [f"phase {pod.phase}" if pod.phase else "", *_ended(pod), *_failing(pod.health)]
        notes.find("pod/not-ready", f"the pod {pod.name} is not ready", seen=seen, cure=(describe, log))


def _crashes(one: ContainerState) -> bool:
    """Say whether a container ended; an init container that is done ended well, and is ready."""
    return one.waiting == _CRASHING or (bool(one.ended) and not one.ready and not one.ended.startswith("Completed"))


def _ended(pod: Pod) -> Iterator[str]:
    return (f"{one.name}: {one.ended}" for one in pod.states if one.ended and not one.ready)


def _failing(health: Reply | Unknown) -> Iterator[str]:
    if isinstance(health, Reply):
        yield from (f"{name}: {detail}" for ok, name, detail in _checks_of(health) if not ok)


def _checks_of(health: Reply) -> list[tuple[bool, str, str]]:
    """Return the checks of a probe's verbose answer: whether each is ok, its name, its detail."""
    return [(sign == "+", name, detail[:_LONGEST_DETAIL]) for sign, name, detail in _CHECK.findall(health.text)]


def look_at_state(facts: Facts) -> Outcome:
    """Read what readyz of each pod says: relists, rules, failing series queries."""
    if isinstance(facts.pods, Unknown):
        return skipped(facts.pods)
    notes = Notes()
    told = 0
    for pod in facts.pods:
        if pod.leaving or isinstance(pod.health, Unknown) or not _checks_of(pod.health):
            if not pod.leaving:
                notes.skip(f"the pod {pod.name}", _no_answer(pod.health))
            continue
        told += 1
        _look_at_health(notes, pod, pod.health, _place(facts))
    if not facts.pods:
        return Outcome(skipped=("there is no pod",))
    return notes.outcome(f"{told} of {len(facts.pods)} asked" if told else "")


def _place(facts: Facts) -> Place:
    return Place(namespace="", name="") if isinstance(facts.target, Unknown) else facts.target


def _no_answer(health: Reply | Unknown) -> Unknown:
    if isinstance(health, Unknown):
        return health
    text = " ".join(health.text.split())[:_LONGEST_DETAIL]
    return Unknown(reason=f"readyz was answered with {health.status or 'nothing'}: {text}")


def _look_at_health(notes: Notes, pod: Pod, health: Reply, place: Place) -> None:
    log = f"kubectl -n {place.namespace} logs {pod.name}"
    for ok, name, detail in _checks_of(health):
        if not ok:
            notes.find("adapter/not-ready", f"{pod.name} is not ready: {name}", seen=(detail,), cure=(log,))
        elif name == "rules" and detail:
            cure = ("tidegauge check RULES   # the file of the ConfigMap", log)
            notes.find("adapter/rules-not-in-force", f"{pod.name} does not take the rules", seen=(detail,), cure=cure)
        elif name.startswith("series-queries") and detail:
            message = f"{pod.name} gets no answer to series queries of its rules"
            notes.find("adapter/series-queries", message, seen=(detail,), cure=(log,))
