"""Which rule and series serve which metric, and who wins where several claim one."""

from __future__ import annotations

from pathlib import Path

import pytest
from rules_rig import KINDS, catalog_from, compiled_from, facts_from, rulebook_from

from adapter.kube.resources import parse_group_resource
from adapter.rules.catalog import Catalog, build_catalog, claims_of, contested, may_give
from adapter.rules.discovery import SelectorFacts, needs_of
from adapter.rules.rule import Api

PODS = "{overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}"
TEMPLATE = '{template: "<<.Resource>>"}'


def listed(catalog: Catalog) -> list[str]:
    """Return the discovery list in one word each; a trailing `*` is a metric of something not namespaced."""
    return [f"{one.resource}/{one.metric}{'' if one.namespaced else '*'}" for one in catalog.custom]


CASES = [
    (f"[{{seriesQuery: a, resources: {PODS}}}]", ['a{namespace="n",pod="p"}'], ["namespaces/a*", "pods/a"]),
    (f"[{{seriesQuery: a, resources: {PODS}}}]", ['a{pod="p"}'], ["pods/a"]),
    (f"[{{seriesQuery: a, resources: {PODS}}}]", ['a{pod=""}'], []),
    (f"[{{seriesQuery: a, resources: {PODS}}}]", ["a{}", "b{}"], []),
    (f"[{{seriesQuery: a, resources: {TEMPLATE}}}]", ['a{pods="p",node="n",job="j"}'], ["jobs.batch/a", "nodes/a*", "pods/a"]),
    (f"[{{seriesQuery: a, resources: {TEMPLATE}}}]", ['a{instance="p",deployment="d"}'], ["deployments.apps/a"]),
    ('[{seriesQuery: a, resources: {template: "kube_<<.Group>>_<<.Resource>>"}}]', ['a{kube__pod="p",kube_apps_deployment="d"}'], ["deployments.apps/a"]),
    ("[{seriesQuery: a, resources: {overrides: {d: {group: apps, resource: Deployment}}}}]", ['a{d="x"}'], ["deployments.apps/a"]),
    ("[{seriesQuery: a, resources: {overrides: {d: {resource: nothing}}}}]", ['a{d="x"}'], []),
    ("[{seriesQuery: a, metricsQuery: x}]", ['a{pod="x"}'], []),
    (f"[{{seriesQuery: '{{pod!=\"\"}}', seriesFilters: [{{isNot: _total}}], resources: {PODS}}}]", ['a_total{pod="p"}', 'b{pod="p"}'], ["pods/b"]),
    (f"[{{seriesQuery: '{{pod!=\"\"}}', name: {{matches: '^(.*)_total$'}}, resources: {PODS}}}]", ['a_total{pod="p"}', 'b{pod="p"}'], ["pods/a"]),
    (f"[{{seriesQuery: a_total, name: {{matches: '^(.*)_total$', as: '$1_rate'}}, resources: {PODS}}}]", ['a_total{pod="p"}'], ["pods/"]),
]  # fmt: skip


@pytest.mark.parametrize(("rules", "series", "expected"), CASES)
def test_what_is_listed(tmp_path: Path, rules: str, series: list[str], expected: list[str]) -> None:
    """A series is a metric of every kind that one of its labels names, under the name that the rule gives."""
    assert listed(catalog_from(rulebook_from(f"rules: {rules}", tmp_path), series)) == expected


def test_the_list_is_the_same_each_time(tmp_path: Path) -> None:
    """The order does not depend on the order in which Prometheus answered."""
    rulebook = rulebook_from(f"rules: [{{seriesQuery: '{{pod!=\"\"}}', resources: {PODS}}}]", tmp_path)
    series = [f'{name}{{namespace="n",pod="p"}}' for name in "dacb"]

    assert catalog_from(rulebook, series).custom == catalog_from(rulebook, reversed(series)).custom


@pytest.mark.parametrize(("rules", "series", "expected"), CASES)
def test_what_a_rule_gives_it_may_give(tmp_path: Path, rules: str, series: list[str], expected: list[str]) -> None:
    """Whatever is listed is never ruled out when it is looked up, with and without what each series query names."""
    rulebook = rulebook_from(f"rules: {rules}", tmp_path)
    names = {one.metric for one in catalog_from(rulebook, series).custom}
    only = {need.query: need.parsed.metric for need in needs_of(rulebook.rules) if need.parsed}

    assert {one.partition("/")[2].rstrip("*") for one in expected} == names
    for name in names:
        assert any(may_give(rule, name, {}) and may_give(rule, name, only) for rule in rulebook.rules)


RULED_OUT = [
    ("{seriesQuery: a}", "a", True),
    ("{seriesQuery: a}", "b", False),
    ("{seriesQuery: a_total, name: {matches: '^(.*)_total$', as: '${1}_rate'}}", "a_rate", True),
    ("{seriesQuery: a_total, name: {matches: '^(.*)_total$', as: '${1}_rate'}}", "b_rate", False),
    ("{seriesQuery: a, seriesFilters: [{isNot: a}]}", "a", False),
    ("{seriesQuery: '{x!=\"\"}', name: {as: '${0}_rate'}}", "b_rate", True),
    ("{seriesQuery: '{x!=\"\"}', name: {as: '${0}_rate'}}", "b", False),
    ("{seriesQuery: '{x!=\"\"}', name: {as: fixed}}", "fixed", True),
    ("{seriesQuery: '{x!=\"\"}', name: {as: fixed}}", "b", False),
]


@pytest.mark.parametrize(("rule", "metric", "expected"), RULED_OUT)
def test_which_rules_may_give_a_metric(tmp_path: Path, rule: str, metric: str, *, expected: bool) -> None:
    """A rule is ruled out by the one series name that it takes, or by the shape of its names."""
    rulebook = rulebook_from(f"rules: [{rule[:-1]}, resources: {PODS}}}]", tmp_path)
    only = {need.query: need.parsed.metric for need in needs_of(rulebook.rules) if need.parsed}

    assert may_give(rulebook.rules[0], metric, only) is expected


def test_resources_of_a_metric(tmp_path: Path) -> None:
    """Hints name every resource on which a metric is served, and none where there is no such metric."""
    catalog = catalog_from(rulebook_from(f"rules: [{CASES[0][0][1:-1]}]", tmp_path), CASES[0][1])

    assert [str(one) for one in catalog.kinds_with("a")] == ["namespaces", "pods"]
    assert catalog.kinds_with("b") == ()
    assert [catalog.has(api, name) for api in Api for name in ("a", "b")] == [True, False, False, False]


OVERLAP = f"""
rules:
- {{id: old, seriesQuery: a, name: {{as: m}}, resources: {PODS}, metricsQuery: old}}
- {{id: new, seriesQuery: b, name: {{as: m}}, resources: {PODS}, metricsQuery: new}}
"""


def winner(catalog: Catalog) -> str:
    """Return the id of the rule that serves the metric m of pods."""
    kind = KINDS.resolve(parse_group_resource("pods"))
    assert kind is not None
    entry = catalog.custom_entry(kind, "m")
    assert entry is not None
    return entry.rule.id


def test_the_last_rule_wins_and_the_overlap_is_remembered(tmp_path: Path) -> None:
    """Of two rules for one metric the later one serves, as in prometheus-adapter, and both are named."""
    catalog = catalog_from(rulebook_from(OVERLAP, tmp_path), ['a{pod="p"}', 'b{pod="p"}'])

    assert winner(catalog) == "new"
    assert [(one.winner.rule.id, [loser.rule.id for loser in one.losers]) for one in catalog.overlaps] == [
        ("new", ["old"])
    ]


def test_a_dead_series_does_not_win(tmp_path: Path) -> None:
    """Label endpoints still list a series that has ended; the one that is alive serves."""
    rulebook = rulebook_from(OVERLAP, tmp_path)
    claims = claims_of(rulebook, facts_from(rulebook, ['a{pod="p"}', 'b{pod="p"}']), KINDS)

    catalog = build_catalog(claims, dead=frozenset({("b", "b", "pod")}))

    assert winner(catalog) == "old"


def test_when_all_are_dead_the_last_one_stays(tmp_path: Path) -> None:
    """Who is alive only breaks ties: it takes no metric away."""
    rulebook = rulebook_from(OVERLAP, tmp_path)
    claims = claims_of(rulebook, facts_from(rulebook, ['a{pod="p"}', 'b{pod="p"}']), KINDS)

    assert winner(build_catalog(claims, dead=contested(claims))) == "new"


def test_only_contested_series_need_a_look(tmp_path: Path) -> None:
    """Where nothing is claimed twice, nobody has to be asked who is alive."""
    rulebook = rulebook_from(OVERLAP, tmp_path)

    assert not contested(claims_of(rulebook, facts_from(rulebook, ['a{pod="p"}']), KINDS))


def test_several_families_under_one_name_take_the_last_by_name(tmp_path: Path) -> None:
    """A rule that gives many series one name serves the last of them, in a fixed order."""
    text = f"rules: [{{seriesQuery: '{{pod!=\"\"}}', name: {{as: m}}, resources: {PODS}}}]"
    catalog = catalog_from(rulebook_from(text, tmp_path), ['z{pod="p"}', 'a{pod="p"}'])
    kind = KINDS.resolve(parse_group_resource("pods"))
    assert kind is not None
    entry = catalog.custom_entry(kind, "m")

    assert entry is not None
    assert entry.series == "z"


METRICS = """
metrics:
- metric: latency
  object: {resource: deployments.apps, label: deployment}
  namespaceLabel: namespace
  query: histogram_quantile(0.95, sum(rate(l_bucket{<<.LabelMatchers>>,x="1"}[5m])) by (le, <<.GroupBy>>)) / sum(up{<<.LabelMatchers>>})
- metric: depth
  external: true
  query: sum(queue{<<.LabelMatchers>>})
"""


def test_metrics_written_from_the_answers_end(tmp_path: Path) -> None:
    """Such a metric is listed when each selector that carries the matchers has a series with the object's label."""
    rulebook = rulebook_from(METRICS, tmp_path)
    whole = ['l_bucket{deployment="d",x="1"}', 'up{deployment="d"}', "queue{}"]

    assert [need.query for need in needs_of(rulebook.rules)] == ['l_bucket{x="1"}', "up", "queue"]
    assert listed(catalog_from(rulebook, whole)) == ["deployments.apps/latency"]
    assert listed(catalog_from(rulebook, whole[1:])) == []
    assert listed(catalog_from(rulebook, ['l_bucket{deployment="d",x="1"}', "up{}"])) == []
    assert catalog_from(rulebook, whole).external == ("depth",)


PROBLEMS = [
    ("rules: [{seriesQuery: a, seriesFilters: [{is: '('}]}]", "regex/syntax"),
    ("rules: [{seriesQuery: a, name: {matches: '(a)(b)'}}]", "naming/as-missing"),
    ("rules: [{seriesQuery: a, metricsQuery: '<<.Series'}]", "template/syntax"),
    ("rules: [{seriesQuery: a, resources: {template: 'x'}}]", "association/template"),
    ("rules: [{seriesQuery: a, resources: {overrides: {x: {resource: nothing}}}}]", "association/unknown-resource"),
    ("rules: [{seriesQuery: a, id: x}, {seriesQuery: b, id: x}]", "rule/duplicate-id"),
    ("rules: [{seriesQuery: a, backend: other}]", "rule/backend-not-in-force"),
    ("metrics: [{metric: m, external: true, query: 'sum('}]", "query/syntax"),
    ("metrics: [{metric: m, external: true, query: 'sum(a)'}]", "query/matchers-missing"),
    ("resourceRules: {cpu: {containerQuery: '<<'}}", "template/syntax"),
]


@pytest.mark.parametrize(("text", "code"), PROBLEMS)
def test_faults_of_rules_are_named(tmp_path: Path, text: str, code: str) -> None:
    """Every fault has a code and a place in the file."""
    problems = [one for one in compiled_from(text, tmp_path).problems if one.code == code]

    assert problems
    assert problems[0].location.line == 1
    assert problems[0].location.column > 1


def test_a_rule_of_another_backend_is_left_out(tmp_path: Path) -> None:
    """The backend in force is never asked for what belongs to another."""
    text = "rules: [{seriesQuery: a, backend: other}, {seriesQuery: b, backend: mine}, {seriesQuery: c}]"

    rules = compiled_from(text, tmp_path, backend="mine").rulebook.rules

    assert [rule.series_queries for rule in rules] == [("b",), ("c",)]


NEEDS = [
    ('a{pod!="",namespace!=""}', PODS, (), True),
    ("a", PODS, ("namespace", "pod"), False),
    ('a{pod=~".+"}', PODS, ("namespace",), True),
    ('a{pod=~".*"}', PODS, ("namespace", "pod"), False),
    ('a{pod="x"}', PODS, ("namespace",), True),
]


@pytest.mark.parametrize(("query", "resources", "labels", "names"), NEEDS)
def test_a_demanded_label_needs_no_call_of_its_own(
    tmp_path: Path, *, query: str, resources: str, labels: tuple[str, ...], names: bool
) -> None:
    """One call for the names serves all labels that the series query demands itself."""
    rulebook = rulebook_from(f"rules: [{{seriesQuery: '{query}', resources: {resources}}}]", tmp_path)
    [need] = needs_of(rulebook.rules)

    assert need.unanswered(()) == labels
    assert need.needs_names is names


def test_rules_that_share_a_series_query_ask_once(tmp_path: Path) -> None:
    """A series query that several rules have is one question."""
    text = f"rules: [{{seriesQuery: a, resources: {PODS}}}, {{seriesQuery: a, resources: {TEMPLATE}}}]"

    [need] = needs_of(rulebook_from(text, tmp_path).rules)

    assert need.labels == {"namespace", "pod"}
    assert need.label_names


def test_facts_of_nothing_are_empty() -> None:
    """A label that no metric carries has no metrics."""
    assert SelectorFacts().with_label("pod") == frozenset()
