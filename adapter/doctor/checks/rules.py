"""The rules: whether the adapter gets them, what is wrong with them, and whether they find anything."""

from __future__ import annotations

from adapter.config.problems import Problem, Severity
from adapter.doctor.documents import items, text
from adapter.doctor.facts import Facts, Unknown, api_services_of, groups_fed
from adapter.doctor.findings import Notes, Outcome, skipped
from adapter.doctor.questions import needs_of
from adapter.rules.permissions import Certainty

_SHOWN = 10
_GOOD = 200


def look(facts: Facts) -> Outcome:
    """Look at the files, their problems, and the kinds that they name."""
    if isinstance(facts.rules, Unknown):
        return skipped(facts.rules)
    notes = Notes()
    rules = facts.rules
    for path in rules.missing:
        where = "" if isinstance(facts.target, Unknown) else f" -n {facts.target.namespace}"
        cure = (f"kubectl{where} get configmaps", "mount the one with the rules there")
        notes.find("rules/missing", f"--config names {path}, and no volume of the pods gives it", cure=cure)
    errors = [one for one in rules.problems if one.severity is Severity.ERROR]
    for one in errors[:_SHOWN]:
        notes.find("rules/problem", f"{_place(one)}: {one.code}: {one.message}", cure=(one.hint,) if one.hint else ())
    fed = groups_fed(rules.rulebook)
    if not fed and not rules.missing and not errors:
        notes.find("rules/none", "there is no rule")
    for need in needs_of(facts):
        if need.certainty is not Certainty.KNOWN and facts.kinds_problem:
            notes.skip(str(need.resource), Unknown(reason=facts.kinds_problem))
        elif need.certainty is not Certainty.KNOWN:
            seen = tuple(f"rule {name}" for name in need.rules[:_SHOWN])
            notes.find("rules/absent-kind", f"the cluster has no kind {need.resource}", seen=seen)
    if isinstance(facts.kinds, Unknown):
        notes.skip("the kinds that the rules name", facts.kinds)
    count = len(rules.rulebook.rules)
    return notes.outcome(f"{count} rule{'s' if count != 1 else ''} for {', '.join(fed)}" if fed else "")


def _place(one: Problem) -> str:
    where = one.location
    return f"{where.file}:{where.line}:{where.column}" if where.line else where.file


def look_at_metrics(facts: Facts) -> Outcome:
    """Count the metrics that the adapter lists now, through kube-apiserver."""
    if isinstance(facts.rules, Unknown):
        return skipped(facts.rules)
    if isinstance(facts.api_services, Unknown):
        return skipped(facts.api_services)
    notes = Notes()
    told = []
    for group in groups_fed(facts.rules.rulebook):
        names = [name for name in api_services_of(group) if name in facts.api_services]
        ours = [name for name in names if facts.api_services[name].service == facts.target]
        reply = next((facts.apis[name] for name in ours if name in facts.apis), None)
        if reply is None or reply.status != _GOOD or not text(reply.document, "kind"):
            notes.skip(group, Unknown(reason=reply.text[:300] if reply and reply.text else "there is no answer"))
            continue
        found = len(items(reply.document, "resources"))
        told.append(f"{group} {found}")
        if not found:
            notes.find("rules/no-metrics", f"the adapter has rules for {group}, and lists no metric")
    return notes.outcome(", ".join(told))
