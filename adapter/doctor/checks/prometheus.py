"""Whether Prometheus answers, lets the adapter in, and has series."""

from __future__ import annotations

import re
from typing import Final

from adapter.doctor.documents import at, items, text, words
from adapter.doctor.facts import Facts, Reply, SeenPrometheus, Unknown
from adapter.doctor.findings import Notes, Outcome, skipped

_GOOD: Final = 200
_LOGIN: Final = (401, 403)
# Nobody behind the address, as a proxy before it says it.
_AWAY: Final = (0, 502, 503, 504)
_OURS: Final = re.compile(r"services/proxy|pods/proxy")
_SHOWN_CHARACTERS: Final = 300


def look(facts: Facts) -> Outcome:
    """Look at what was answered to `vector(1)` and to the question for label names."""
    seen = facts.prometheus
    if isinstance(seen, Unknown):
        return skipped(seen)
    notes = Notes()
    if seen.service is not None and not seen.service_exists:
        where = (f"kubectl -n {seen.service.namespace} get services",)
        message = f"{seen.url} names the Service {seen.service}, which does not exist"
        notes.find("prometheus/unreachable", message, cure=(*where, "correct --prometheus-url"))
        return notes.outcome()
    if isinstance(seen.query, Unknown):
        return skipped(seen.query)
    if _is_kube_apiservers(seen.query):
        return Outcome(skipped=("you may not get services/proxy, over which Prometheus would be asked",))
    _look_at_query(notes, seen, seen.query)
    if not notes.findings and not notes.skipped:
        _look_at_labels(notes, seen)
    told = f"{seen.url}, {seen.way}" if notes.findings else f"{seen.url} answers, {seen.way}"
    return notes.outcome("" if notes.skipped else told)


def _is_kube_apiservers(reply: Reply) -> bool:
    """Say whether a refusal is not Prometheus' but that of the proxy on the way."""
    refused = reply.status in _LOGIN and text(reply.document, "kind") == "Status"
    return refused and bool(_OURS.search(reply.text))


def _look_at_query(notes: Notes, seen: SeenPrometheus, reply: Reply) -> None:
    facts = (f"{seen.url}, {seen.way}", _said(reply))
    place = seen.service
    pods = (
        (f"kubectl -n {place.namespace} get endpointslices -l kubernetes.io/service-name={place.name}",)
        if place
        else ()
    )
    if reply.status in _AWAY and not seen.sure:
        notes.skip("", Unknown(reason=f"{seen.url} cannot be reached from here: {_said(reply)}"))
    elif reply.status in _AWAY:
        notes.find("prometheus/unreachable", f"Prometheus does not answer at {seen.url}", seen=facts, cure=pods)
    elif reply.status in _LOGIN and seen.has_credentials:
        notes.skip("", Unknown(reason=f"{seen.url} wants a login, and the adapter has one that is not looked at here"))
    elif reply.status in _LOGIN:
        notes.find("prometheus/unauthorized", f"Prometheus turns away who has no login at {seen.url}", seen=facts)
    elif (
        reply.status != _GOOD or text(reply.document, "status") != "success" or not at(reply.document, "data", "result")
    ):
        notes.find("prometheus/not-prometheus", f"what answers at {seen.url} is no Prometheus API", seen=facts)
    else:
        _look_at_warnings(notes, seen, reply)


def _look_at_labels(notes: Notes, seen: SeenPrometheus) -> None:
    reply = seen.labels
    if isinstance(reply, Unknown):
        notes.skip("its series", reply)
    elif reply.status != _GOOD or text(reply.document, "status") != "success":
        notes.skip("its series", Unknown(reason=_said(reply)))
    elif not items(reply.document, "data"):
        notes.find("prometheus/no-series", f"Prometheus at {seen.url} has no series")
    else:
        _look_at_warnings(notes, seen, reply)


def _look_at_warnings(notes: Notes, seen: SeenPrometheus, reply: Reply) -> None:
    if warnings := words(reply.document, "warnings"):
        notes.find("prometheus/partial", f"Prometheus at {seen.url} answers in part", seen=warnings[:3])


def _said(reply: Reply) -> str:
    told = " ".join(reply.text.split())[:_SHOWN_CHARACTERS]
    return f"status {reply.status}: {told}" if reply.status else told
