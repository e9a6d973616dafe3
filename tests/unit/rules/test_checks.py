"""What `check` says about rules that compile, and that it says nothing about good ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from rules_rig import KINDS, compiled_from, loaded_from

from adapter.config.problems import Problem, Severity
from adapter.rules.checks import static_problems
from adapter.rules.codes import CODES

PODS = "resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}"
SERVICES = "resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}, svc: {resource: service}}}"
HITS = 'seriesQuery: hits_total{namespace!="",pod!=""}'
RATE = "metricsQuery: sum(rate(<<.Series>>{<<.LabelMatchers>>}[2m])) by (<<.GroupBy>>)"
ANY = 'seriesQuery: \'{__name__=~"app_.*",namespace!="",pod!=""}\''


def problems_of(text: str, directory: Path) -> tuple[Problem, ...]:
    """Return what the checks of a file that compiles say."""
    compiled = compiled_from(text, directory)
    assert not compiled.has_errors, compiled.problems
    return static_problems(compiled.rulebook, loaded_from(text, directory), KINDS)


def rule(*keys: str, section: str = "rules") -> str:
    """Return a file with one rule of these keys."""
    return f"{section}:\n- " + "\n  ".join(keys) + "\n"


def query(text: str, *, series: str = HITS, resources: str = PODS) -> str:
    """Return a file with one custom rule with this query."""
    return rule(series, resources, f"metricsQuery: |\n    {text}")


def external(text: str, *more: str, series: str = "seriesQuery: depth") -> str:
    """Return a file with one external rule with this query."""
    return rule(series, *(more or (PODS,)), f"metricsQuery: |\n    {text}", section="externalRules")


def anywhere(text: str) -> str:
    """Return a file with one external rule with this query, confined to no namespace."""
    return external(text, "resources: {namespaced: false}")


def metric(text: str, *more: str) -> str:
    """Return a file with one metric of pods, written from the answer's end."""
    keys = more or ("object: {resource: pods, label: pod}", "namespaceLabel: namespace")
    return rule("metric: m", *keys, f"query: |\n    {text}", section="metrics")


GOOD = [
    ("a rate by object", rule(HITS, PODS, RATE)),
    ("a group in braces", rule(HITS, PODS, RATE, 'name: {matches: "^(.*)_total$", as: "${1}_per_second"}')),
    ("a group at the end", rule(HITS, PODS, RATE, 'name: {matches: "^(.*)_total$", as: "rate_$1"}')),
    ("a named group", rule(HITS, PODS, RATE, 'name: {matches: "^(?P<base>.*)_total$", as: "${base}_rate"}')),
    ("all of the name", rule(HITS, PODS, RATE, 'name: {matches: "hits", as: "$0"}')),
    ("a gauge", query("sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)", series="seriesQuery: depth")),
    ("no aggregation", query("rate(hits_total{<<.LabelMatchers>>}[1m])")),
    ("the object's label by name", query("sum by (pod) (rate(hits_total{<<.LabelMatchers>>}[1m]))")),
    ("more labels by name", query("sum by (namespace, pod) (rate(hits_total{<<.LabelMatchers>>}[1m]))")),
    ("without other labels", query("sum without (code) (rate(hits_total{<<.LabelMatchers>>}[1m]))")),
    ("the label counted out", query('count_values("pod", app_x{<<.LabelMatchers>>})')),
    (
        "a quantile",
        query("histogram_quantile(0.9, sum by (le, <<.GroupBy>>) (rate(h_bucket{<<.LabelMatchers>>}[5m])))"),
    ),
    ("a branch", query('sum(x{<<.LabelMatchers>>}) by (<<if eq .GroupBy "pod">>pod<<else>>nothing<<end>>)')),
    ("a count of targets", query("count(hits_total{<<.LabelMatchers>>}) by (<<.GroupBy>>)")),
    ("a gauge called count", query("sum(x_connections_count{<<.LabelMatchers>>}) by (<<.GroupBy>>)")),
    (
        "a part of a capacity",
        query("sum by (pod) (memory_used{<<.LabelMatchers>>} / memory_total{<<.LabelMatchers>>})"),
    ),
    (
        "a guarded division",
        query("sum by (pod) (a{<<.LabelMatchers>>}) / clamp_min(sum by (pod) (b{<<.LabelMatchers>>}), 1)"),
    ),
    (
        "a padded division",
        query("sum by (pod) (a{<<.LabelMatchers>>}) / (0.001 + sum by (pod) (b{<<.LabelMatchers>>}))"),
    ),
    ("a filtered divisor", query("sum by (pod) (a{<<.LabelMatchers>>}) / (sum by (pod) (b{<<.LabelMatchers>>}) > 0)")),
    ("a filtered result", query("(sum by (pod) (a{<<.LabelMatchers>>}) / sum by (pod) (b{<<.LabelMatchers>>})) >= 0")),
    ("a part of a whole", query("a{<<.LabelMatchers>>} / 1000")),
    ("a division by a count", query("sum by (pod) (a{<<.LabelMatchers>>}) / count by (pod) (b{<<.LabelMatchers>>})")),
    ("spaces around a minus", query("a{<<.LabelMatchers>>} - b{<<.LabelMatchers>>}")),
    ("dashes in a value", query('a{<<.LabelMatchers>>,x="b-c-d"} - 1')),
    ("an exclusion of a namespace", query('a{<<.LabelMatchers>>,namespace!="kube-system"}')),
    ("a narrow series query", query("a{<<.LabelMatchers>>}", series='seriesQuery: a{namespace="shop",pod!=""}')),
    ("a price", query('a{<<.LabelMatchers>>,price="5$ a"}')),
    ("an external sum", external("sum(depth{<<.LabelMatchers>>})")),
    ("an external name", external("depth{<<.LabelMatchers>>}", "resources: {namespaced: false}")),
    ("matchers last", anywhere('sum(depth{job="a",x="y",<<.LabelMatchers>>})')),
    ("matchers alone", anywhere("depth{<<.LabelMatchers>>}")),
    ("a comma for matchers", anywhere('depth{<<if .LabelMatchers>><<.LabelMatchers>>,<<end>>x="y"}')),
    ("matchers before others, in a namespace", external('sum(depth{job="a",<<.LabelMatchers>>,x="y"})')),
    (
        "matchers that are never empty",
        external(
            "depth{<<.LabelMatchers>>,x='y'}",
            "resources: {namespaced: false, overrides: {ns: {resource: namespace}}}",
            "allowNamespaces: [shop]",
        ),
    ),
    ("an external template", external("depth{<<.LabelMatchers>>}", "resources: {template: <<.Resource>>}")),
    ("an external number", external("vector(1)")),
    ("a metric of pods", metric("sum by (<<.GroupBy>>) (rate(hits_total{<<.LabelMatchers>>}[5m]))")),
    ("a metric of nodes", metric("load{<<.LabelMatchers>>}", "object: {resource: nodes, label: node}")),
    ("an external metric", metric("sum(depth{<<.LabelMatchers>>})", "external: true")),
    (
        "nodes need no namespace",
        query("load{<<.LabelMatchers>>}", resources="resources: {overrides: {n: {resource: node}}}"),
    ),
    (
        "a template by any kind",
        query("sum by (namespace) (a{<<.LabelMatchers>>})", resources="resources: {template: <<.Resource>>}"),
    ),
    ("a name for all, unused", rule(ANY, PODS, "name: {as: ratio}", "metricsQuery: app_a{<<.LabelMatchers>>}")),
    (
        "a regular expression for one name",
        rule("seriesQuery: '{__name__=~\"^hits_total$\"}'", PODS, RATE, "name: {as: x}"),
    ),
    ("a hold of minutes", rule(HITS, PODS, RATE, "onEmpty: hold", "holdFor: 5m", "cacheTTL: 10s")),
]

# Nothing is wrong with these, and requests do not share a query: what the hint says to write, and what the caret is under.
ALONE = [
    (
        "the greatest ones",
        query("topk(3, rate(hits_total{<<.LabelMatchers>>}[1m]))"),
        "use max by the object's label",
        "topk",
    ),
    (
        "the label made anew",
        query('label_replace(sum(rate(hits_total{<<.LabelMatchers>>}[1m])), "pod", "x", "", "")'),
        "by a recording rule",
        "label_replace",
    ),
    (
        "the label from a join",
        query("sum by (a) (x{<<.LabelMatchers>>}) * on(a) group_right() y{<<.LabelMatchers>>}"),
        "aggregate by (<<.GroupBy>>)",
        "sum",
    ),
    (
        "the label included",
        query("x{<<.LabelMatchers>>} * on(a) group_left(pod) sum by (a, pod) (y)"),
        "write <<.LabelMatchers>> into each selector",
        "y",
    ),
    (
        "the label of one side of `or`",
        query("sum by (pod) (x{<<.LabelMatchers>>}) or vector(0)"),
        "set onEmpty",
        "vector",
    ),
    (
        "values by name",
        query('sum(x{namespace="<<index .LabelValuesByName "namespace">>"}) by (<<.GroupBy>>)'),
        "write <<.LabelMatchers>> into each selector",
        "x",
    ),
    (
        "a part without matchers",
        query("sum by (pod) (a{<<.LabelMatchers>>}) / sum by (pod) (capacity)"),
        "write <<.LabelMatchers>> into each selector",
        "capacity",
    ),
    (
        "a part that keeps the namespace",
        query("sum by (pod) (a{<<.LabelMatchers>>}) * b{<<.LabelMatchers>>}"),
        "aggregate both sides by the same labels",
        "",
    ),
    (
        "a branch on the namespace",
        query(
            'sum by (pod) (a{<<.LabelMatchers>>}) * <<if eq (index .LabelValuesByName "namespace") "shop">>2<<else>>1<<end>>'
        ),
        "no conditions",
        "",
    ),
    ("an external default", external("sum(depth{<<.LabelMatchers>>}) or vector(0)"), "set onEmpty", "vector"),
    (
        "an absence",
        metric("absent(a{<<.LabelMatchers>>})", "external: true", "namespaceLabel: namespace"),
        "set onEmpty",
        "absent",
    ),
    ("an hour", external("sum(depth{<<.LabelMatchers>>}) * (hour() >= bool 8)"), "time()", "hour"),
]

FOUND = [
    # ---- names
    ("naming/one-underscore", rule(HITS, PODS, RATE, 'name: {matches: "^(.*)_total$", as: "$1_per_second"}')),
    ("naming/unknown-group", rule(HITS, PODS, RATE, 'name: {matches: "^(.*)_total$", as: "$2"}')),
    ("naming/unknown-group", rule(HITS, PODS, RATE, 'name: {matches: "^(.*)_total$", as: "${base}"}')),
    ("rule/no-name", rule(HITS, PODS, RATE, 'name: {matches: "^hits(.*)_total$", as: "$1"}')),
    ("rule/no-name", rule(HITS, PODS, RATE, "name: {as: a/b}")),
    ("rule/no-name", external("sum(depth{<<.LabelMatchers>>})", PODS, "name: {as: status}")),
    ("rule/no-name", metric("depth{<<.LabelMatchers>>}", "external: true").replace("metric: m", "metric: finalize")),
    ("naming/one-name-for-many", rule(ANY, PODS, "name: {as: x}", "metricsQuery: <<.Series>>{<<.LabelMatchers>>}")),
    ("filter/never-passes", rule(HITS, PODS, RATE, "seriesFilters: [{isNot: _total$}]")),
    ("filter/never-passes", rule(HITS, PODS, RATE, 'name: {matches: "^misses_"}')),
    ("filter/never-passes", rule(ANY, PODS, RATE, "seriesFilters: [{is: _total$}, {isNot: _total$}]")),
    # ---- series queries
    ("selector/unreadable", rule("seriesQuery: sum(hits_total)", PODS, "metricsQuery: x{<<.LabelMatchers>>}")),
    ("selector/too-broad", rule("seriesQuery: '{namespace!=\"\"}'", PODS, RATE)),
    ("selector/too-broad", rule('seriesQuery: \'{__name__=~".+",pod!=""}\'', PODS, RATE)),
    ("selector/too-broad", rule('seriesQuery: \'{pod!="",__name__!~"^container_.*"}\'', PODS, RATE)),
    ("selector/regex-as-text", rule('seriesQuery: \'{__name__=~"a_.*",x!="^b_.*"}\'', PODS, RATE)),
    ("selector/regex-as-text", query('a{<<.LabelMatchers>>,status="5.*"}')),
    # ---- labels
    ("association/none", rule(HITS, RATE)),
    ("association/no-namespace", rule(HITS, RATE, "resources: {overrides: {pod: {resource: pod}}}")),
    (
        "association/no-namespace",
        external("depth{<<.LabelMatchers>>}", "resources: {overrides: {pod: {resource: pod}}}"),
    ),
    ("association/no-namespace", metric("a{<<.LabelMatchers>>}", "object: {resource: pods, label: pod}")),
    ("association/several-labels", rule(HITS, RATE, PODS.replace("pod:", "pod_name: {resource: pods}, pod:"))),
    (
        "association/external-default",
        rule("seriesQuery: a", "metricsQuery: a{<<.LabelMatchers>>}", section="externalRules"),
    ),
    # ---- templates
    ("template/unknown-field", query("sum(x{<<.LabelMatchers>>}) by (pod) + <<.LabelMatchersByName>>")),
    ("template/empty-field", external("sum(depth{<<.LabelMatchers>>}) by (<<.GroupBy>>)")),
    # ---- queries
    ("query/unreadable", query("sum(x{<<.LabelMatchers>>}[1m]) by (<<.GroupBy>>)")),
    ("query/unreadable", query("rollup_rate(x{<<.LabelMatchers>>}[1m])")),
    ("query/unreadable-for-some", anywhere('sum(depth{job="a",<<.LabelMatchers>>,x="y"})')),
    ("query/unreadable-for-some", anywhere('{<<.LabelMatchers>>,x="y"}')),
    ("query/unreadable-for-some", anywhere('a{<<.LabelMatchers>>} / b{<<- .LabelMatchers ->> , x="y"}')),
    ("query/unreadable-for-some", anywhere("sum({<<.LabelMatchers>>})")),
    ("query/unreadable-for-some", anywhere("depth{x='y'<<if .LabelMatchers>>,<<else>>,,<<end>><<.LabelMatchers>>}")),
    (
        "query/unreadable-for-some",
        query('a{<<.LabelMatchers>>} * <<if eq (index .LabelValuesByName "namespace") "bank">>(<<end>>1'),
    ),
    (
        "query/unreadable-for-some",
        anywhere('a{<<.LabelMatchers>>,code<<if index .LabelValuesByName "code">><<else>>!=""<<end>>}'),
    ),
    ("query/no-vector", query("x{<<.LabelMatchers>>}[1m]")),
    ("query/matchers-missing", query("sum(x) by (<<.GroupBy>>)")),
    ("query/matchers-missing", external("sum(depth)")),
    ("query/hard-coded-namespace", query('a{<<.LabelMatchers>>,namespace="shop"}')),
    ("query/hard-coded-namespace", query('a{<<.LabelMatchers>>} * on(pod) b{namespace=~"shop|bar"}')),
    ("query/hard-coded-namespace", external('sum(depth{<<.LabelMatchers>>,namespace="shop"})')),
    ("query/group-by-missing", query("sum(a{<<.LabelMatchers>>})")),
    ("query/group-by-missing", query("sum(a{<<.LabelMatchers>>}) by (namespace)")),
    ("query/group-by-missing", query("sum without (pod) (a{<<.LabelMatchers>>})")),
    ("query/group-by-missing", query("a{<<.LabelMatchers>>} * on(x) b{<<.LabelMatchers>>}")),
    ("query/group-by-missing", query("a{<<.LabelMatchers>>} * ignoring(pod) b{<<.LabelMatchers>>}")),
    ("query/group-by-missing", query("vector(1)")),
    ("query/group-by-missing", metric("sum(a{<<.LabelMatchers>>})")),
    ("query/group-by-fixed", query("sum(a{<<.LabelMatchers>>}) by (pod)", resources=SERVICES)),
    ("query/dash-in-name", query("desired-worker-scale{<<.LabelMatchers>>}")),
    ("query/counter-without-rate", query("sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)")),
    ("query/counter-without-rate", query("max_over_time(hits_total{<<.LabelMatchers>>}[5m])")),
    ("query/counter-without-rate", query("h_seconds_count{<<.LabelMatchers>>}")),
    ("query/rate-of-gauge", query("rate(cache_hit_ratio{<<.LabelMatchers>>}[5m])")),
    ("query/division-nan", query("rate(a_sum{<<.LabelMatchers>>}[5m]) / rate(a_count{<<.LabelMatchers>>}[5m])")),
    ("query/division-nan", query("a{<<.LabelMatchers>>} / (b{<<.LabelMatchers>>} - c{<<.LabelMatchers>>})")),
    # ---- policies
    ("hold/long", rule(HITS, PODS, RATE, "onEmpty: hold", "holdFor: 1h")),
    ("cache/long", rule(HITS, PODS, RATE, "cacheTTL: 1m")),
    ("stale/long", rule(HITS, PODS, RATE, "staleIfError: 16s")),
    ("stale/long", "defaults: {staleIfError: 1m}\n" + rule(HITS, PODS, RATE)),
    ("rule/no-effect", external("sum(depth{<<.LabelMatchers>>})", PODS, "onDuplicates: sum")),
]


@pytest.mark.parametrize(("name", "text"), GOOD, ids=[name for name, _ in GOOD])
def test_good_rules_have_no_problem(name: str, text: str, tmp_path: Path) -> None:
    """What can work is never complained about: people switch off a check that cries wolf."""
    assert [f"{one.code}: {one.message}" for one in problems_of(text, tmp_path)] == []


@pytest.mark.parametrize(("name", "text", "hint", "about"), ALONE, ids=[row[0] for row in ALONE])
def test_what_could_be_shared_is_pointed_at(name: str, text: str, hint: str, about: str, tmp_path: Path) -> None:
    """A query that requests could share if it were written otherwise is pointed at: why, what it costs, what to write."""
    (problem,) = problems_of(text, tmp_path)
    place, lines = problem.location, text.split("\n")

    assert (problem.code, problem.severity) == ("query/not-shared", Severity.INFO)
    assert problem.message.startswith("each request costs a query of its own, because ")
    assert hint in problem.hint
    assert not about or lines[place.line - 1][place.column - 1 : place.column - 1 + place.length] == about


UNSAID = [
    ("fuse: never", rule(HITS, PODS, "fuse: never", "metricsQuery: topk(3, rate(hits_total{<<.LabelMatchers>>}[1m]))")),
    (
        "fuse: never for all",
        "defaults: {fuse: never}\n" + query("topk(3, rate(hits_total{<<.LabelMatchers>>}[1m]))"),
    ),
    ("one query for all", external("sum(depth{<<.LabelMatchers>>}) or vector(0)", "resources: {namespaced: false}")),
    ("nothing to write instead", query("sum by (pod) (a{<<.LabelMatchers>>} @ end())")),
]


@pytest.mark.parametrize(("name", "text"), UNSAID, ids=[name for name, _ in UNSAID])
def test_who_cannot_or_will_not_share_is_left_alone(name: str, text: str, tmp_path: Path) -> None:
    """Nothing is said of a rule that says `fuse: never`, nor where its author could do nothing."""
    assert problems_of(text, tmp_path) == ()


@pytest.mark.parametrize(("code", "text"), FOUND, ids=[f"{code}-{index}" for index, (code, _) in enumerate(FOUND)])
def test_what_cannot_work_is_found(code: str, text: str, tmp_path: Path) -> None:
    """Each rule of the table has the problem that stands beside it, and a place and a severity with it."""
    found = [one for one in problems_of(text, tmp_path) if one.code == code]

    assert found, [one.code for one in problems_of(text, tmp_path)]
    assert all(one.severity is CODES[code].severity for one in found)
    assert all(one.location.line > 0 and one.rule for one in found)


@pytest.mark.parametrize(("code", "text"), FOUND, ids=[f"{code}-{index}" for index, (code, _) in enumerate(FOUND)])
def test_one_fault_is_one_problem(code: str, text: str, tmp_path: Path) -> None:
    """A rule with one fault has that problem and no other in its wake."""
    others = {one.code for one in problems_of(text, tmp_path)} - {code}

    assert not others


PLACES = [
    ("$1_per_second", rule(HITS, PODS, RATE, 'name: {matches: "^(.*)_total$", as: "$1_per_second"}')),
    (".LabelMatchersByName", query("a{<<.LabelMatchers>>} + <<.LabelMatchersByName>>")),
    ("shop", query('a{<<.LabelMatchers>>,namespace="shop"}')),
    ("^b_.*", rule('seriesQuery: \'{__name__=~"a_.*",x!="^b_.*"}\'', PODS, RATE)),
    ("on", query("consumer_on{<<.LabelMatchers>>} and on () scaling_on{<<.LabelMatchers>>}")),
    ("<<.LabelMatchers>>", anywhere("a{<<.LabelMatchers>>} / b{<<.LabelMatchers>>,x='y'}")),
    ("cache_hit_ratio", query("rate(cache_hit_ratio{<<.LabelMatchers>>}[5m])")),
    ("pod_name", rule(HITS, RATE, PODS.replace("pod:", "po: {resource: pods}, pod_name:"))),
]


@pytest.mark.parametrize(("shown", "text"), PLACES)
def test_the_caret_stands_under_what_is_meant(shown: str, text: str, tmp_path: Path) -> None:
    """The place of a problem is the few characters that are wrong, wherever they stand in the file."""
    place = problems_of(text, tmp_path)[0].location
    line = text.split("\n")[place.line - 1]

    assert line[place.column - 1 : place.column - 1 + place.length] == shown


def test_rules_that_give_one_metric_are_named_together(tmp_path: Path) -> None:
    """Of two rules that give one metric the later one is reported, and the message says where the earlier one is."""
    text = rule(HITS, PODS, RATE, "name: {as: rps}") + rule("seriesQuery: x_total", PODS, RATE, "name: {as: rps}")[7:]

    (problem,) = problems_of(text, tmp_path)

    assert (problem.code, problem.rule) == ("rule/overlap", "rules[1]")
    assert f"rule rules[0] ({tmp_path}/rules.yaml:2)" in problem.message


BY_SERVICE = (
    HITS,
    "resources: {overrides: {namespace: {resource: namespace}, svc: {resource: service}}}",
    "metricsQuery: sum(rate(<<.Series>>{<<.LabelMatchers>>}[2m])) by (svc)",
    "name: {as: x}",
)
BY_POD = rule(HITS, PODS, RATE, "name: {as: x}")
OVERLAPS = [
    ("one derivation", [rule(HITS, PODS, RATE), rule(HITS, PODS, RATE)], True),
    ("other filters", [rule(ANY, PODS, RATE, "seriesFilters: [{is: a}]"), rule(ANY, PODS, RATE)], False),
    ("other kinds", [BY_POD, rule(*BY_SERVICE)], False),
    ("other names", [BY_POD, rule(HITS, PODS, RATE, "name: {as: y}")], False),
    ("one name", [BY_POD, rule("seriesQuery: other_total", PODS, RATE, "name: {as: x}")], True),
]


@pytest.mark.parametrize(("name", "rules", "expected"), OVERLAPS, ids=[name for name, _, _ in OVERLAPS])
def test_overlap_needs_one_name_and_one_kind(name: str, rules: list[str], expected: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a column of the table
    """Rules overlap when they give one metric of one kind; one series in two metrics is what people do."""
    text = rules[0] + rules[1].removeprefix("rules:\n")

    assert ("rule/overlap" in {one.code for one in problems_of(text, tmp_path)}) is expected


def test_a_broad_selector_that_rules_share_is_reported_once(tmp_path: Path) -> None:
    """Prometheus is asked once for a series query that three rules share, so it is one problem."""
    one = rule("seriesQuery: '{namespace!=\"\"}'", PODS, RATE)
    text = one + one.removeprefix("rules:\n").replace("RATE", "") * 2

    assert [found.code for found in problems_of(text, tmp_path)].count("selector/too-broad") == 1


NAN = [
    ("said by the rule", "", "onNaN: drop", []),
    ("said by the file", "defaults: {onNaN: zero}\n", "owner: me", []),
    ("said by nobody", "", "owner: me", ["query/division-nan"]),
]


@pytest.mark.parametrize(("name", "head", "key", "expected"), NAN, ids=[row[0] for row in NAN])
def test_who_says_what_nan_means_is_not_reminded(
    name: str, head: str, key: str, expected: list[str], tmp_path: Path
) -> None:
    """A division that can be 0/0 is pointed at only where neither the rule nor its file says what NaN becomes."""
    text = head + rule(HITS, PODS, key, "metricsQuery: a{<<.LabelMatchers>>} / b{<<.LabelMatchers>>}")

    assert [one.code for one in problems_of(text, tmp_path)] == expected


RESOURCE = """
resourceRules:
  cpu:
    containerQuery: {container}
    nodeQuery: sum(rate(node_cpu_seconds_total{{<<.LabelMatchers>>}}[5m])) by (<<.GroupBy>>)
    resources: {{overrides: {{namespace: {{resource: namespace}}, pod: {{resource: pod}}{node}}}}}
    containerLabel: container
  memory:
    containerQuery: sum(mem{{<<.LabelMatchers>>}}) by (<<.GroupBy>>)
    nodeQuery: sum(mem{{<<.LabelMatchers>>}}) by (<<.GroupBy>>)
    resources: {{overrides: {{namespace: {{resource: namespace}}, pod: {{resource: pod}}, n: {{resource: node}}}}}}
    containerLabel: container
  window: 5m
"""
CPU = "sum(rate(cpu_seconds_total{<<.LabelMatchers>>}[5m])) by (<<.GroupBy>>)"
NODE = ", n: {resource: node}"
RESOURCE_CASES = [
    ("good", CPU, NODE, []),
    ("no nodes", CPU, "", ["resource-rule/label-missing"]),
    ("a counter", "sum(cpu_seconds_total{<<.LabelMatchers>>}) by (<<.GroupBy>>)", NODE, ["query/counter-without-rate"]),
    ("no matchers", "sum(rate(cpu_seconds_total[5m])) by (<<.GroupBy>>)", NODE, ["query/matchers-missing"]),
    ("a part alone", "sum by (pod) (a{<<.LabelMatchers>>} / on (pod) b)", NODE, ["query/not-shared"]),
    ("no grouping", "sum(rate(cpu_seconds_total{<<.LabelMatchers>>}[5m]))", NODE, ["query/group-by-missing"]),
]


@pytest.mark.parametrize(
    ("name", "container", "node", "expected"), RESOURCE_CASES, ids=[row[0] for row in RESOURCE_CASES]
)
def test_resource_rules_are_looked_at_too(
    name: str, container: str, node: str, expected: list[str], tmp_path: Path
) -> None:
    """The queries of metrics.k8s.io have the faults that those of rules have."""
    text = RESOURCE.format(container=f"'{container}'", node=node)

    assert [one.code for one in problems_of(text, tmp_path)] == expected


SAMPLE = r"""
rules:
- seriesQuery: '{__name__=~"^container_.*",container!="POD",namespace!="",pod!=""}'
  resources: {overrides: {namespace: {resource: "namespace"}, pod: {resource: "pod"}}}
  name: {matches: "^container_(.*)_seconds_total$"}
  metricsQuery: sum(rate(<<.Series>>{<<.LabelMatchers>>,container!="POD"}[2m])) by (<<.GroupBy>>)
- seriesQuery: '{namespace!="",__name__!="^container_.*"}'
  name: {matches: "^(.*)_total$"}
  resources: {template: "<<.Resource>>"}
  metricsQuery: sum(rate(<<.Series>>{<<.LabelMatchers>>,container!="POD"}[2m])) by (<<.GroupBy>>)
- seriesQuery: 'cheddar{sharp="true"}'
  name: {as: "cheesy_goodness"}
  resources: {overrides: {brand: {group: "cheese.io", resource: "brand"}}}
  metricsQuery: 'count(cheddar{sharp="true"})'
externalRules:
- seriesQuery: '{__name__="queue_consumer_lag",name!=""}'
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (name)
- seriesQuery: '{__name__="queue_depth",topic!=""}'
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (name)
  resources: {namespaced: false}
"""


def test_the_defects_of_a_well_known_sample_are_found(tmp_path: Path) -> None:
    """Each rule of prometheus-adapter's sample file that cannot work is found once its quotes are mended."""
    found = [(one.rule, one.code) for one in problems_of(SAMPLE, tmp_path)]

    assert found == [
        ("rules[1]", "selector/too-broad"),
        ("rules[1]", "selector/regex-as-text"),
        ("rules[2]", "query/matchers-missing"),
        ("rules[2]", "query/group-by-missing"),
        ("externalRules[0]", "association/external-default"),
    ]


def test_severities_are_those_of_the_table() -> None:
    """No check of the files alone is an error: prometheus-adapter starts with all of it, and so do we."""
    errors = {code for code, info in CODES.items() if info.severity is Severity.ERROR}

    assert not errors & {code for code, _ in FOUND}
