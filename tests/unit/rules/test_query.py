"""The PromQL of each request, as prometheus-adapter writes it and where we write it better."""

from __future__ import annotations

from pathlib import Path

import pytest
from rules_rig import KINDS, catalog_from, custom_plan, external_plan, rulebook_from

from adapter.errors import MetricNotFound, UnsupportedSelector
from adapter.kube.selectors import EVERYTHING
from adapter.rules.query import plan_custom
from adapter.rules.rule import Compat

# prometheus-adapter's own legacy rules (label prefix kube_, rate 1m), which its tests use.
LEGACY = """
rules:
- seriesQuery: '{__name__=~"^container_.*",container!="POD",kube_namespace!="",kube_pod!=""}'
  resources: {template: "kube_<<.Resource>>"}
  name: {matches: "^container_(.*)_seconds_total$"}
  metricsQuery: sum(rate(<<.Series>>{<<.LabelMatchers>>,container!="POD"}[1m])) by (<<.GroupBy>>)
- seriesQuery: '{__name__=~"^container_.*",container!="POD",kube_namespace!="",kube_pod!=""}'
  seriesFilters: [{isNot: "^container_.*_seconds_total$"}]
  resources: {template: "kube_<<.Resource>>"}
  name: {matches: "^container_(.*)_total$"}
  metricsQuery: sum(rate(<<.Series>>{<<.LabelMatchers>>,container!="POD"}[1m])) by (<<.GroupBy>>)
- seriesQuery: '{__name__=~"^container_.*",container!="POD",kube_namespace!="",kube_pod!=""}'
  seriesFilters: [{isNot: "^container_.*_total$"}]
  resources: {template: "kube_<<.Resource>>"}
  name: {matches: "^container_(.*)$"}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>,container!="POD"}) by (<<.GroupBy>>)
- seriesQuery: '{kube_namespace!="",__name__!~"^container_.*"}'
  seriesFilters: [{isNot: ".*_total$"}]
  resources: {template: "kube_<<.Resource>>"}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
- seriesQuery: '{kube_namespace!="",__name__!~"^container_.*"}'
  seriesFilters: [{isNot: ".*_seconds_total"}]
  resources: {template: "kube_<<.Resource>>"}
  name: {matches: "^(.*)_total$"}
  metricsQuery: sum(rate(<<.Series>>{<<.LabelMatchers>>}[1m])) by (<<.GroupBy>>)
"""
LEGACY_SERIES = [
    'container_some_usage{kube_namespace="somens",kube_pod="somepod1",container="c"}',
    'container_some_count_total{kube_namespace="somens",kube_pod="somepod1",container="c"}',
    'container_some_time_seconds_total{kube_namespace="somens",kube_pod="somepod1",container="c"}',
    'ingress_hits_total{kube_namespace="somens",kube_service="somesvc",kube_ingress="i"}',
    'node_gigawatts{kube_namespace="somens",kube_node="somenode"}',
    'volume_claims_total{kube_namespace="somens",kube_persistentvolume="somepv"}',
    'kube_deployment_load{kube_namespace="somens",kube_deployment="web"}',
]
LEGACY_CASES = [
    (
        "somens pods somepod1,somepod2 some_usage",
        'sum(container_some_usage{kube_namespace="somens",kube_pod=~"somepod1|somepod2",container!="POD"}) by (kube_pod)',
    ),
    (
        "somens pods somepod1,somepod2 some_count",
        'sum(rate(container_some_count_total{kube_namespace="somens",kube_pod=~"somepod1|somepod2",container!="POD"}[1m])) by (kube_pod)',
    ),
    (
        "somens pods somepod1,somepod2 some_time",
        'sum(rate(container_some_time_seconds_total{kube_namespace="somens",kube_pod=~"somepod1|somepod2",container!="POD"}[1m])) by (kube_pod)',
    ),
    (
        "somens services somesvc ingress_hits param1=value1",
        'sum(rate(ingress_hits_total{param1="value1",kube_namespace="somens",kube_service="somesvc"}[1m])) by (kube_service)',
    ),
    (
        "somens ingresses.networking.k8s.io i ingress_hits",
        'sum(rate(ingress_hits_total{kube_namespace="somens",kube_ingress="i"}[1m])) by (kube_ingress)',
    ),
    (
        "- namespaces somens ingress_hits",
        'sum(rate(ingress_hits_total{kube_namespace="somens"}[1m])) by (kube_namespace)',
    ),
    ("- nodes somenode node_gigawatts", 'sum(node_gigawatts{kube_node="somenode"}) by (kube_node)'),
    (
        "- persistentvolumes somepv volume_claims",
        'sum(rate(volume_claims_total{kube_persistentvolume="somepv"}[1m])) by (kube_persistentvolume)',
    ),
    (
        "somens deployments.apps web kube_deployment_load",
        'sum(kube_deployment_load{kube_namespace="somens",kube_deployment="web"}) by (kube_deployment)',
    ),
]


@pytest.mark.parametrize(("request_text", "promql"), LEGACY_CASES)
def test_the_legacy_rules_give_the_same_queries(tmp_path: Path, request_text: str, promql: str) -> None:
    """prometheus-adapter's own golden cases come out the same, character by character."""
    catalog = catalog_from(rulebook_from(LEGACY, tmp_path), LEGACY_SERIES)

    assert custom_plan(catalog, request_text).promql == promql


ONE_RULE = """
rules:
- seriesQuery: 'load{namespace!="",pod!=""}'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  selectorLabels: {app.kubernetes.io/name: app}
  metricsQuery: '%s'
"""
SERIES = ['load{namespace="ns",pod="a",code="200"}']

SELECTORS = [
    ("code=200", 'code="200",'),
    ("code==200", 'code="200",'),
    ("code!=200", 'code!="200",'),
    ("code in (200)", 'code=~"200",'),
    ("code in (500,200)", 'code=~"200|500",'),
    ("code notin (500)", 'code!~"500",'),
    ("code notin (500,404)", 'code!~"404|500",'),
    ("code", 'code!="",'),
    ("!code", 'code="",'),
    ("code in ()", 'code=~"",'),
    ("code in (a,)", 'code=~"|a",'),
    ("code in (2.0)", 'code=~"2.0",'),
    ("code=200,code!=500", 'code="200",code!="500",'),
    ("z=1,a=2", 'a="2",z="1",'),
    ("app.kubernetes.io/name=web", 'app="web",'),
]


@pytest.mark.parametrize(("selector", "matchers"), SELECTORS)
def test_metric_selectors_become_matchers(tmp_path: Path, selector: str, matchers: str) -> None:
    """Each operator has the matcher that prometheus-adapter gives it, before the adapter's own."""
    rulebook = rulebook_from(ONE_RULE % "<<.Series>>{<<.LabelMatchers>>}", tmp_path)

    plan = custom_plan(catalog_from(rulebook, SERIES), f"ns pods a load {selector}")

    assert plan.promql == f'load{{{matchers}namespace="ns",pod="a"}}'


def test_several_values_of_a_selector_match_themselves_only(tmp_path: Path) -> None:
    """The dot of a value is no wildcard, except under strict, where values pass raw as they always did."""
    text = ONE_RULE % "<<.Series>>{<<.LabelMatchers>>}"
    fixed = catalog_from(rulebook_from(text, tmp_path), SERIES)
    strict = catalog_from(rulebook_from(text, tmp_path, compat=Compat.STRICT), SERIES)

    assert r'v=~"1\\.0|2\\.0"' in custom_plan(fixed, "ns pods a load v in (1.0,2.0)").promql
    assert 'v=~"1.0|2.0"' in custom_plan(strict, "ns pods a load v in (1.0,2.0)").promql


@pytest.mark.parametrize(
    ("selector", "part"),
    [
        ("code>5", "cannot be compared"),
        ("code<5", "cannot be compared"),
        ("a.b/c=d", "selectorLabels"),
        ("a-b=d", "selectorLabels"),
    ],
)
def test_selectors_that_prometheus_cannot_put_say_what_to_write(tmp_path: Path, selector: str, part: str) -> None:
    """A selector without a meaning in PromQL is the caller's error, with advice."""
    catalog = catalog_from(rulebook_from(ONE_RULE % "<<.Series>>{<<.LabelMatchers>>}", tmp_path), SERIES)

    with pytest.raises(UnsupportedSelector, match=part):
        custom_plan(catalog, f"ns pods a load {selector}")


ODD_KEYS = [
    ("load", "load"),
    ('<<index .LabelValuesByName "a.b/c">>', "d"),
]


@pytest.mark.parametrize(("template", "promql"), ODD_KEYS)
def test_a_key_that_is_no_label_hurts_only_where_it_would_be_a_matcher(
    tmp_path: Path, template: str, promql: str
) -> None:
    """A query without <<.LabelMatchers>> ignores selectors, as with prometheus-adapter, and may ask for a value by its key."""
    catalog = catalog_from(rulebook_from(ONE_RULE % template, tmp_path), SERIES)

    plan = custom_plan(catalog, "ns pods a load a.b/c=d")

    assert plan.promql == promql
    assert plan.odd_keys == ("a.b/c",)


def test_names_in_a_regex_match_themselves_only(tmp_path: Path) -> None:
    """A node called n.1 does not match n-1."""
    catalog = catalog_from(rulebook_from(ONE_RULE % "<<.Series>>{<<.LabelMatchers>>}", tmp_path), SERIES)

    assert r'pod=~"a\\.1|b"' in custom_plan(catalog, "ns pods a.1,b load").promql


TEMPLATES = [
    ("<<.GroupBySlice>> <<.GroupBy>>", "ns pods a load", "[pod] pod"),
    ("<<.LabelValuesByName>>", "ns pods a load foo in (bar,baz)", "map[foo:bar|baz namespace:ns pod:a]"),
    ('<<index .LabelValuesByName "pod">>', "ns pods a,b load", "a|b"),
    ('<<index .LabelValuesByName "pod">>', "ns pods a.1,b load", "a[.]1|b"),
    ('<<index .LabelValuesByName "none">>x', "ns pods a load", "x"),
    (
        '<<range $k, $v := .LabelValuesByName>><<if ne $k "namespace">><<$k>>=<<$v>>;<<end>><<end>>',
        "ns pods a load",
        "pod=a;",
    ),
]


@pytest.mark.parametrize(("template", "request_text", "promql"), TEMPLATES)
def test_templates_get_the_fields_of_prometheus_adapter(
    tmp_path: Path, template: str, request_text: str, promql: str
) -> None:
    """All five fields are there, with prometheus-adapter's contents."""
    catalog = catalog_from(rulebook_from(ONE_RULE % template.replace("'", "''"), tmp_path), SERIES)

    assert custom_plan(catalog, request_text).promql == promql


@pytest.mark.parametrize("namespace", ["....", "s.op", "a|b", ".*"])
def test_a_namespace_is_never_a_pattern(tmp_path: Path, namespace: str) -> None:
    """A template may write a namespace into a regex, so one with a dot, which none has, is refused before."""
    rulebook = rulebook_from(ONE_RULE % '<<.Series>>{namespace=~"<<index .LabelValuesByName "namespace">>"}', tmp_path)
    catalog = catalog_from(rulebook, SERIES)

    with pytest.raises(MetricNotFound, match="no object can have this name"):
        custom_plan(catalog, f"{namespace} pods a load")


@pytest.mark.parametrize(
    "name", ['a"}', "a'b", "a`b", "a\\", "a b", "a)or(b", "a{", "a\nb", ".", "....", ".a", "a..b", ".*"]
)
def test_a_name_that_no_object_can_have_never_reaches_a_template_by_itself(tmp_path: Path, name: str) -> None:
    """LabelValuesByName puts text where the author wants it, so odd text is refused before."""
    rulebook = rulebook_from(ONE_RULE % '<<index .LabelValuesByName "pod">>', tmp_path)
    catalog = catalog_from(rulebook, SERIES)
    entry = next(one for (resource, _), one in catalog.by_custom.items() if str(resource) == "pods")

    with pytest.raises(MetricNotFound, match="no object can have this name"):
        plan_custom(entry, namespace="ns", names=(name,), metric_selector=EVERYTHING, kinds=KINDS, asked_for="pods")


RUN_ERRORS = ["<<.Serie>>", "<<index .GroupBySlice 5>>", "<<if false>>x<<end>>", "   "]


@pytest.mark.parametrize("template", RUN_ERRORS)
def test_a_template_that_fails_is_a_404_with_its_reason(tmp_path: Path, template: str) -> None:
    """prometheus-adapter answers 404 as well; we say which rule failed."""
    catalog = catalog_from(rulebook_from(ONE_RULE % template, tmp_path), SERIES)

    with pytest.raises(MetricNotFound, match=r"^the server could not find the metric load for pods: rule rules\[0\]"):
        custom_plan(catalog, "ns pods a load")


def test_without_a_namespace_label_a_namespaced_request_is_a_404(tmp_path: Path) -> None:
    """Without it the answer would mix the objects of all namespaces; prometheus-adapter answers 404 as well."""
    text = "rules: [{seriesQuery: load, resources: {overrides: {pod: {resource: pod}}}, metricsQuery: x}]"
    catalog = catalog_from(rulebook_from(text, tmp_path), SERIES)

    with pytest.raises(MetricNotFound, match="maps no label to namespaces"):
        custom_plan(catalog, "ns pods a load")


EXTERNAL = """
externalRules:
- {seriesQuery: queue, resources: {overrides: {ns: {resource: namespace}}}, metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)'}
- {seriesQuery: plain, metricsQuery: '<<.Series>>{<<.LabelMatchers>>}'}
- {seriesQuery: everywhere, resources: {namespaced: false}, metricsQuery: '<<.Series>>{<<.LabelMatchers>>}'}
- {seriesQuery: templated, resources: {template: "kube_<<.Resource>>"}, metricsQuery: '<<.Series>>{<<.LabelMatchers>>}'}
- {seriesQuery: fenced, resources: {namespaced: false, overrides: {ns: {resource: namespace}}}, allowNamespaces: [shop, "team-*"], metricsQuery: '<<.Series>>{<<.LabelMatchers>>}'}
"""
EXTERNAL_CASES = [
    ("shop queue foo=bar", 'sum(queue{foo="bar",ns="shop"}) by ()'),
    ("shop plain", 'plain{namespace="shop"}'),
    ("shop everywhere", "everywhere{}"),
    ("shop everywhere namespace=other", 'everywhere{namespace="other"}'),
    ("shop templated", 'templated{kube_namespace="shop"}'),
    ("shop fenced", 'fenced{ns=~"shop|team-.*"}'),
    ("shop fenced ns=other", 'fenced{ns="other",ns=~"shop|team-.*"}'),
]


@pytest.mark.parametrize(("request_text", "promql"), EXTERNAL_CASES)
def test_external_queries(tmp_path: Path, request_text: str, promql: str) -> None:
    """The caller's namespace is matched unless the rule says not to, and no selector widens what a rule allows."""
    series = [
        f'{name}{{namespace="shop",ns="shop"}}' for name in ("queue", "plain", "everywhere", "templated", "fenced")
    ]
    catalog = catalog_from(rulebook_from(EXTERNAL, tmp_path), series)

    assert external_plan(catalog, request_text).promql == promql


@pytest.mark.parametrize(
    "resources", ["{overrides: {node: {resource: node}}}", "{overrides: {ns: {resource: nothing}}}"]
)
def test_an_external_rule_without_a_namespace_label_serves_nobody(tmp_path: Path, resources: str) -> None:
    """A rule that should match the caller's namespace and cannot must not show the series of all namespaces."""
    text = f"externalRules: [{{seriesQuery: depth, resources: {resources}, metricsQuery: '<<.Series>>{{<<.LabelMatchers>>}}'}}]"
    catalog = catalog_from(rulebook_from(text, tmp_path), ['depth{node="n",ns="other"}'])

    with pytest.raises(MetricNotFound, match="maps no label to namespaces"):
        external_plan(catalog, "shop depth")


def test_utf8_names_are_quoted(tmp_path: Path) -> None:
    """A metric name that cannot stand before braces goes into them, and such a label is quoted, as Prometheus 3 reads it."""
    text = """
rules:
- seriesQuery: '{__name__="my.metric"}'
  resources: {overrides: {k8s.namespace: {resource: namespace}, k8s.pod: {resource: pod}}}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
"""
    catalog = catalog_from(rulebook_from(text, tmp_path), ['my.metric{k8s.namespace="ns",k8s.pod="a"}'])

    assert (
        custom_plan(catalog, "ns pods a my.metric").promql
        == 'sum({__name__="my.metric","k8s.namespace"="ns","k8s.pod"="a"}) by ("k8s.pod")'
    )
