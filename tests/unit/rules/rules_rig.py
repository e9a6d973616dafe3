"""What the tests of the rules share: rules from text, facts from series, requests in one line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from adapter.config.load import Loaded, load_rules
from adapter.kube.resources import Kinds, kubernetes_kinds, parse_group_resource
from adapter.kube.selectors import parse_selector
from adapter.promql.ast import parse_series_selector
from adapter.promql.matchers import MatchOp
from adapter.promql.model import QueryAnswer, Sample, Vector
from adapter.rules.catalog import Catalog, build_catalog, claims_of
from adapter.rules.compile import Compiled, Terms, compile_rules
from adapter.rules.discovery import SelectorFacts, facts_of_series, needs_of
from adapter.rules.query import Plan, plan_custom, plan_external
from adapter.rules.rule import Compat, Rulebook

KINDS: Kinds = kubernetes_kinds()
EVALUATED_AT = 1_000_000.0


def loaded_from(text: str, directory: object) -> Loaded:
    """Write a rules file and load it."""
    path = f"{directory}/rules.yaml"
    with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123 - a test's own file
        file.write(text)
    return load_rules([path], {})


def compiled_from(text: str, directory: object, *, compat: Compat = Compat.FIXED, backend: str = "default") -> Compiled:
    """Compile a rules file."""
    return compile_rules(loaded_from(text, directory), Terms(kinds=KINDS, compat=compat, backend=backend))


def rulebook_from(text: str, directory: object, *, compat: Compat = Compat.FIXED) -> Rulebook:
    """Compile a rules file that must have no error."""
    compiled = compiled_from(text, directory, compat=compat)
    assert not compiled.has_errors, compiled.problems
    return compiled.rulebook


def labels_of(series: str) -> tuple[str, Mapping[str, str]]:
    """Split `name{a="b"}` into its name and labels."""
    name, _, rest = series.partition("{")
    return name, dict(re.findall(r'([^{},="]+)="([^"]*)"', rest))


def facts_from(rulebook: Rulebook, series: Iterable[str]) -> dict[str, SelectorFacts]:
    """Return what Prometheus would say of each series query if these were all its series."""
    world = [labels_of(one) for one in series]
    facts = {}
    for need in needs_of(rulebook.rules):
        found: dict[str, frozenset[str]] = {}
        for name, labels in world:
            if takes(need.query, name, labels):
                found[name] = found.get(name, frozenset()) | frozenset(
                    label for label, value in labels.items() if value
                )
        facts[need.query] = facts_of_series(found)
    return facts


def takes(selector: str, name: str, labels: Mapping[str, str]) -> bool:
    """Say whether a series selector takes a series."""
    parsed = parse_series_selector(selector)
    assert parsed is not None, selector
    everything = {**labels, "__name__": name}
    metric = {"__name__": parsed.metric} if parsed.metric else {}
    if any(everything.get(key, "") != value for key, value in metric.items()):
        return False
    return all(_holds(everything.get(one.name, ""), one.op, one.value) for one in parsed.matchers)


def _holds(value: str, op: MatchOp, wanted: str) -> bool:
    match op:
        case MatchOp.EQUAL:
            return value == wanted
        case MatchOp.NOT_EQUAL:
            return value != wanted
        case MatchOp.MATCHES:
            return re.fullmatch(wanted, value) is not None
        case MatchOp.NOT_MATCHES:
            return re.fullmatch(wanted, value) is None


def catalog_from(rulebook: Rulebook, series: Iterable[str]) -> Catalog:
    """Return the catalog that a relist would build from these series."""
    return build_catalog(claims_of(rulebook, facts_from(rulebook, series), KINDS))


def custom_plan(catalog: Catalog, request: str) -> Plan:
    """Plan `NAMESPACE RESOURCE NAME[,NAME] METRIC [SELECTOR]`; `-` is no namespace."""
    namespace, resource, names, metric, *selector = request.split(" ", 4)
    kind = KINDS.resolve(parse_group_resource(resource))
    assert kind is not None
    entry = catalog.custom_entry(kind, metric)
    assert entry is not None, sorted(map(str, catalog.custom))
    return plan_custom(
        entry,
        namespace="" if namespace == "-" else namespace,
        names=tuple(names.split(",")),
        metric_selector=parse_selector(selector[0] if selector else ""),
        kinds=KINDS,
        asked_for=resource,
    )


def external_plan(catalog: Catalog, request: str) -> Plan:
    """Plan `NAMESPACE METRIC [SELECTOR]`."""
    namespace, metric, *selector = request.split(" ", 2)
    entry = catalog.external_entry(metric)
    assert entry is not None, catalog.external
    return plan_external(
        entry, namespace=namespace, selector=parse_selector(selector[0] if selector else ""), kinds=KINDS
    )


def vector(*samples: tuple[Mapping[str, str], float]) -> QueryAnswer:
    """Return an instant vector."""
    return QueryAnswer(
        result=Vector(
            samples=tuple(
                Sample(labels=labels, value=value, timestamp_seconds=EVALUATED_AT) for labels, value in samples
            )
        ),
        evaluated_at_seconds=EVALUATED_AT,
    )
