"""Laws of `allowNamespaces` and of the namespace in a path: a caller cannot reach further than was allowed."""

from __future__ import annotations

from contextlib import suppress
from fnmatch import fnmatchcase

import pytest
import re2
from hypothesis import example, given
from hypothesis import strategies as st
from rules_rig import KINDS, catalog_from, rulebook_from

from adapter.errors import AdapterError
from adapter.kube.resources import GroupResource
from adapter.kube.selectors import Op, Requirement, Selector
from adapter.promql.ast import parse_query
from adapter.promql.matchers import MatchOp
from adapter.rules.catalog import Catalog
from adapter.rules.namespaces import namespaces_regex
from adapter.rules.query import plan_external
from adapter.server.auth import attributes_of
from adapter.server.metric_apis import custom_request, external_request, has_custom_route, has_external_route

RULES = """
externalRules:
- {seriesQuery: own, resources: {overrides: {ns: {resource: namespace}}}, metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>})', selectorLabels: {app.kubernetes.io/ns: ns}}
- {seriesQuery: fenced, resources: {namespaced: false, overrides: {ns: {resource: namespace}}}, allowNamespaces: [shop, "team-*", "n?"], metricsQuery: '<<.Series>>{<<.LabelMatchers>>}', selectorLabels: {app.kubernetes.io/ns: ns}}
"""
NAMESPACE = st.one_of(
    st.sampled_from(["shop", "team-a", "team-", "n1", "ns", "other", "shop|other", ".*", "team-\nx", 'x"} or y{a="']),
    st.from_regex(r"\A[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?\Z"),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
)
KEY = st.sampled_from(["ns", "namespace", "app.kubernetes.io/ns", "code"])
VALUE = st.from_regex(r"\A([A-Za-z0-9]([-A-Za-z0-9_.]{0,10}[A-Za-z0-9])?)?\Z")
REQUIREMENT = st.one_of(
    st.builds(Requirement, KEY, st.sampled_from([Op.EQUALS, Op.NOT_EQUALS]), st.tuples(VALUE)),
    st.builds(
        Requirement, KEY, st.sampled_from([Op.IN, Op.NOT_IN]), st.lists(VALUE, min_size=1, max_size=3).map(tuple)
    ),
    st.builds(Requirement, KEY, st.sampled_from([Op.EXISTS, Op.NOT_EXISTS])),
)
SELECTOR = st.lists(REQUIREMENT, max_size=4).map(lambda found: Selector(tuple(found)))


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """Return two external metrics: one of the caller's namespace, one of all those that are allowed."""
    return catalog_from(rulebook_from(RULES, tmp_path_factory.mktemp("rules")), ['own{ns="a"}', 'fenced{ns="a"}'])


def matchers(catalog: Catalog, metric: str, namespace: str, selector: Selector) -> list[tuple[str, MatchOp, str]]:
    """Return the matchers of each selector of the query, as the real parser reads them."""
    entry = catalog.external_entry(metric)
    assert entry is not None
    query = parse_query(plan_external(entry, namespace=namespace, selector=selector, kinds=KINDS).promql)
    assert query is not None
    [selection] = query.selectors
    assert selection.selector is not None
    return [(one.name, one.op, one.value) for one in selection.selector.matchers]


@given(namespace=NAMESPACE, selector=SELECTOR)
def test_a_selector_leaves_the_namespace(catalog: Catalog, namespace: str, selector: Selector) -> None:
    """Whatever a caller selects by, the series are those of the namespace in the path: all matchers of a query must hold."""
    found = matchers(catalog, "own", namespace, selector)

    assert ("ns", MatchOp.EQUAL, namespace) in found
    assert len(found) == len(selector.requirements) + 1


@given(namespace=NAMESPACE, other=NAMESPACE, selector=SELECTOR)
def test_a_selector_leaves_the_fence(catalog: Catalog, namespace: str, other: str, selector: Selector) -> None:
    """A rule of all namespaces shows those it allows, as its patterns say, whatever a caller selects by."""
    entry = catalog.external_entry("fenced")
    assert entry is not None

    fences = [
        value
        for name, op, value in matchers(catalog, "fenced", namespace, selector)
        if name == "ns" and op is MatchOp.MATCHES and bool(re2.fullmatch(f"(?s:{value})", "team-zz"))
    ]

    assert any(bool(re2.fullmatch(f"(?s:{fence})", other)) is entry.rule.policies.allows(other) for fence in fences)


PATTERN = st.text("ab-z19*?![]", min_size=1, max_size=8)


@given(patterns=st.lists(PATTERN, min_size=1, max_size=3), name=st.text("abz19-", min_size=1, max_size=6))
def test_a_pattern_means_the_same_in_promql(patterns: list[str], name: str) -> None:
    """The regex that a query gets takes the namespaces that the shell's patterns take, and RE2 can read it."""
    found = re2.fullmatch(f"(?s:{namespaces_regex(patterns)})", name)

    assert bool(found) is any(fnmatchcase(name, one) for one in patterns)


SEGMENT = st.sampled_from(
    [
        "",
        "namespaces",
        "ns",
        "other",
        "*",
        "pods",
        "nodes",
        "metrics",
        "status",
        "finalize",
        "watch",
        "proxy",
        "m",
        "deployments.apps",
    ]
)
PARAMETERS = st.dictionaries(
    st.sampled_from(["fieldSelector", "labelSelector", "watch", "limit"]),
    st.sampled_from(["metadata.name=other", "metadata.namespace=other", "a=b", "1", "true", "x y"]),
    max_size=3,
)
# Below these words the API servers read a path by its own rules, and no object is of such a kind.
SPECIAL = ("watch", "proxy")


@given(parts=st.lists(SEGMENT, min_size=1, max_size=6), parameters=PARAMETERS)
@example(parts=["namespaces", "ns", "pods", "", "m"], parameters={"fieldSelector": "metadata.name=other"})
def test_what_is_answered_is_what_was_authorized(parts: list[str], parameters: dict[str, str]) -> None:
    """A path of custom metrics is answered for the namespace, resource, object and metric that the caller's rights were asked for."""
    if not has_custom_route(parts) or parts[0] in SPECIAL:
        return
    attributes = attributes_of("GET", f"/apis/custom.metrics.k8s.io/v1beta2/{'/'.join(parts)}", parameters)
    with suppress(AdapterError):
        request = custom_request(parts, parameters)
        name = getattr(request.target, "name", "*")
        if request.resource == GroupResource("namespaces"):
            # The namespace is the object: its right is that of somebody inside of it.
            assert (attributes.namespace or attributes.name or "*") == name
            return
        assert attributes.namespace == request.namespace
        assert attributes.resource == str(request.resource)
        assert (attributes.name or "*") == name
        assert attributes.subresource == request.metric


@given(parts=st.lists(SEGMENT, min_size=1, max_size=6), parameters=PARAMETERS)
def test_external_metrics_are_listed_in_their_namespace(parts: list[str], parameters: dict[str, str]) -> None:
    """A path of external metrics is answered for the namespace and the metric that were asked for, as a list."""
    if not has_external_route(parts):
        return
    attributes = attributes_of("GET", f"/apis/external.metrics.k8s.io/v1beta1/{'/'.join(parts)}", parameters)
    with suppress(AdapterError):
        request = external_request(parts, parameters)
        assert (attributes.verb, attributes.namespace, attributes.resource) == (
            "list",
            request.namespace,
            request.metric,
        )
