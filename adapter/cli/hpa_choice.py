"""Which type of metric an autoscaler shall have, and why another one cannot work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from adapter.cli.hpa_candidates import Candidate, candidates, known_names, resource_names
from adapter.cli.manifest_format import MetricKind
from adapter.cli.rules_looked_at import LookedAt
from adapter.cli.usage import UsageError
from adapter.cli.wording import close_matches, either, listed
from adapter.kube.resources import Kind, parse_group_resource
from adapter.rules.association import NAMESPACES, ROOT_RESOURCES
from adapter.rules.permissions import rule_name

# What metrics.k8s.io tells.
USES: Final = ("cpu", "memory")
# Of several types the one that people mean: each pod's own value, then a value of no object.
_PREFERRED: Final = (MetricKind.PODS, MetricKind.EXTERNAL, MetricKind.OBJECT)
_OBJECT_FORM: Final = "--object RESOURCE/NAME, for example --object services/web"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the command line says of the metric; empty text means that it does not."""

    metric: str
    kind: MetricKind | None = None
    object: str = ""
    namespace: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The type of metric, its object if it has one, and the rule if one is known; doubts are for the side."""

    kind: MetricKind
    object_kind: Kind | None = None
    object_name: str = ""
    candidate: Candidate | None = None
    doubts: tuple[str, ...] = ()


def choose(wish: Wish, looked: LookedAt) -> Choice:
    """Return what the rules, or without rules the command line, say.

    Raises:
        UsageError: it cannot work, or cannot be told.
    """
    rulebook = looked.rulebook
    has_rules = bool(rulebook.rules) or rulebook.resource
    found = candidates(wish.metric, looked)
    wanted = wish.kind or (MetricKind.OBJECT if wish.object else None)
    if wanted is MetricKind.RESOURCE or (wanted is None and not found and wish.metric in USES):
        return _resource(wish, looked, has_rules=has_rules)
    if has_rules:
        return _by_rules(wish, looked, found, wanted)
    if wanted is None:
        raise UsageError(
            "say which type of metric it is with --kind pods, object, external or resource, or let the rules decide "
            "with --config RULES"
        )
    kind, name = _object(wish, looked) if wanted is MetricKind.OBJECT else (None, "")
    return Choice(kind=wanted, object_kind=kind, object_name=name)


def _resource(wish: Wish, looked: LookedAt, *, has_rules: bool) -> Choice:
    if wish.metric not in USES:
        raise UsageError(f'metrics.k8s.io tells cpu and memory of pods, and nothing called "{wish.metric}"')
    if wish.object:
        raise UsageError(f"{wish.metric} is measured for the pods that are scaled, so leave out --object")
    absent = has_rules and not looked.rulebook.resource
    doubt = "the rules have no resourceRules, so something else must serve metrics.k8s.io, such as metrics-server"
    return Choice(kind=MetricKind.RESOURCE, doubts=(doubt,) if absent else ())


def _by_rules(wish: Wish, looked: LookedAt, found: Sequence[Candidate], wanted: MetricKind | None) -> Choice:
    if not found:
        raise UsageError(_unknown(wish.metric, looked))
    possible = {kind for one in found for kind in one.kinds}
    kind = wanted or next(one for one in _PREFERRED if one in possible)
    fitting = [one for one in found if kind in one.kinds]
    if not fitting:
        raise UsageError(_other_kind(wish, found, kind))
    if kind is MetricKind.OBJECT:
        if not wish.object:
            served = resource_names(fitting)
            raise UsageError(
                f"{wish.metric} is a metric of {listed(served) or 'objects'}: say of which one, for example with "
                f"--object {served[0] if served else 'services'}/NAME"
            )
        return _of_object(wish, looked, fitting)
    if wish.object:
        raise UsageError(f"--object is for the type object, and not for {kind.value}")
    if kind is MetricKind.PODS:
        fitting = sorted(fitting, key=lambda one: one.any_resource)
    return _checked(Choice(kind=kind, candidate=fitting[0]), wish, looked)


def _of_object(wish: Wish, looked: LookedAt, fitting: Sequence[Candidate]) -> Choice:
    kind, name = _object(wish, looked)
    mine = [one for one in fitting if one.resource == kind.group_resource]
    mine = mine or [one for one in fitting if one.any_resource]
    if not mine:
        served = listed(resource_names(fitting))
        raise UsageError(f"{wish.metric} is a metric of {served}, and not of {kind.group_resource}")
    return _checked(Choice(kind=MetricKind.OBJECT, object_kind=kind, object_name=name, candidate=mine[0]), wish, looked)


def _checked(choice: Choice, wish: Wish, looked: LookedAt) -> Choice:
    """Return the choice with its doubts; refuse a namespace that the rule does not serve."""
    candidate = choice.candidate
    if candidate is None:
        return choice
    policies, name = candidate.rule.policies, rule_name(candidate.rule)
    is_namespace = choice.object_kind is not None and choice.object_kind.group_resource == NAMESPACES
    # An autoscaler asks in its own namespace, for objects outside of namespaces, too.
    namespace = wish.namespace or (choice.object_name if is_namespace else "")
    if namespace and not policies.allows(namespace):
        allowed = listed(policies.allow_namespaces)
        raise UsageError(f"rule {name} does not serve the namespace {namespace}: allowNamespaces has {allowed}")
    return Choice(
        kind=choice.kind,
        object_kind=choice.object_kind,
        object_name=choice.object_name,
        candidate=candidate,
        doubts=tuple(_doubts(candidate, looked)),
    )


def _doubts(candidate: Candidate, looked: LookedAt) -> Iterator[str]:
    name = rule_name(candidate.rule)
    if candidate.sure:
        return
    if not looked.failing.keys().isdisjoint(candidate.rule.series_queries):
        yield f"whether rule {name} gives it is not known"
    elif looked.entries is not None:
        yield f"rule {name} may give it, but has no such series now; `tidegauge explain` shows what is missing"
    else:
        yield f"whether rule {name} gives it depends on the series: --prometheus-url looks at them"


def _object(wish: Wish, looked: LookedAt) -> tuple[Kind, str]:
    """Return kind and name of the object, if an autoscaler can ask for it."""
    resource, _, name = wish.object.partition("/")
    if not resource or not name or name == "*" or not is_path_segment(name):
        told = f'"{wish.object}" names no object' if wish.object else "the type object needs one"
        raise UsageError(f"{told}: write {_OBJECT_FORM}")
    kind = looked.kinds.resolve(parse_group_resource(resource))
    if kind is None:
        names = {str(one.group_resource) for one in looked.kinds}
        near = close_matches(resource, names)
        hint = f"did you mean {either(near)}?" if near else "give its CustomResourceDefinition with --objects-file"
        raise UsageError(f'no kind of object is called "{resource}"; {hint}')
    if not kind.namespaced:
        _check_scope(kind, name, wish)
    return kind, name


def _check_scope(kind: Kind, name: str, wish: Wish) -> None:
    """Refuse what an autoscaler does not get: it asks for every object in its own namespace, but for that itself."""
    resource = kind.group_resource
    if resource == NAMESPACES and wish.namespace in ("", name):
        return
    if resource == NAMESPACES:
        raise UsageError(
            f"an autoscaler asks for its own namespace whatever it names: {wish.namespace} would get its own value and "
            f"not that of {name}"
        )
    if not kind.group and kind.plural in ROOT_RESOURCES:
        raise UsageError(
            f"{resource} live in no namespace, and an autoscaler asks for objects in its own, which is a 404 for "
            f"{resource}: write the rule below externalRules with `namespaced: false`, and take the type external"
        )


def is_path_segment(text: str) -> bool:
    """Say whether kube-apiserver takes a text for a name in an autoscaler."""
    return bool(text) and text not in (".", "..") and not set(text) & set("/%") and text.isprintable()


def _unknown(metric: str, looked: LookedAt) -> str:
    known = known_names(looked)
    near = close_matches(metric, known)
    text = f'no rule gives a metric "{metric}"'
    if looked.entries is None and metric not in known:
        series = _renamed(metric, looked)
        if series:
            return f"{text}; {series}"
    if near:
        return f"{text}; did you mean {either(near)}?"
    return f"{text}; these are known: {listed(known)}" if known else f"{text}; `tidegauge list` shows what there is"


def _renamed(metric: str, looked: LookedAt) -> str:
    """Say what the series of this name is called as a metric, empty if no rule is about it alone."""
    for rule in looked.rulebook.rules:
        if rule.fixed is None and rule.series_queries[0].partition("{")[0].strip() == metric:
            name = rule.naming.metric_name(metric)
            if name:
                return f'rule {rule_name(rule)} serves the series "{metric}" as "{name}"'
    return ""


def _other_kind(wish: Wish, found: Sequence[Candidate], kind: MetricKind) -> str:
    names = listed(dict.fromkeys(rule_name(one.rule) for one in found))
    if any(MetricKind.EXTERNAL in one.kinds for one in found):
        return f"{wish.metric} of rule {names} is an external metric, not one of {_PLURALS[kind]}: take --kind external"
    if kind is MetricKind.EXTERNAL:
        return f"{wish.metric} of rule {names} is a metric of {listed(resource_names(found))}, and no external one"
    served = resource_names(found)
    return (
        f"rule {names} maps no label to pods, so {wish.metric} is no metric of theirs, but of {listed(served)}: take "
        f"--object {served[0]}/NAME"
    )


_PLURALS: Final = {MetricKind.PODS: "pods", MetricKind.OBJECT: "objects", MetricKind.EXTERNAL: "no object"}
