"""Rules and requests for the law of fusion, as hypothesis strategies: mostly what people write, and much that is odd."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from fusion_world import BUCKETS, COUNTERS, GAUGES, INFO, NAMESPACES, PODS, RECORDED
from hypothesis import strategies as st
from rules_rig import KINDS

from adapter.kube.selectors import parse_selector
from adapter.promql.template import parse_template
from adapter.rules.catalog import Entry
from adapter.rules.fusion import allowed
from adapter.rules.query import Plan, plan_custom, plan_external
from adapter.rules.resource_plan import UsePlan, plan_nodes, plan_pods
from adapter.rules.resource_rule import UseRule
from adapter.rules.rule import Rule

AnyPlan = Plan | UsePlan
OWN = "<<.LabelMatchers>>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A template and the requests that it is rendered for."""

    api: str  # custom | external | pods | nodes
    template: str
    world: int
    requests: tuple[tuple[str, tuple[str, ...]], ...]
    selector: str = ""
    namespace_label: str = "namespace"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Rules whose queries are exchanged for a case's."""

    pods: Rule
    external: Rule
    exported_pods: Rule  # by `exported_namespace`
    exported_external: Rule

    def plans(self, case: Case) -> list[AnyPlan]:
        """Return the plans of a case's requests."""
        text = case.template.replace("W_", f"w{case.world}_")
        return [one for ns, names in case.requests if (one := self._plan(case, text, ns, names)) is not None]

    def _plan(self, case: Case, text: str, namespace: str, names: Sequence[str]) -> AnyPlan | None:
        template = parse_template(text)
        series = f"w{case.world}_g"
        exported = case.namespace_label != "namespace"
        match case.api:
            case "custom":
                rule = replace(self.exported_pods if exported else self.pods, query=template, query_text=text)
                kind = next(one for one in KINDS if one.singular == "pod")
                entry = Entry(metric="m", kind=kind, series=series, label="pod", rule=rule)
                selector = parse_selector(case.selector)
                return plan_custom(
                    entry,
                    namespace=namespace,
                    names=tuple(names),
                    metric_selector=selector,
                    kinds=KINDS,
                    asked_for="pods",
                )
            case "external":
                rule = replace(self.exported_external if exported else self.external, query=template, query_text=text)
                entry = Entry(metric="m", kind=None, series=series, label="", rule=rule)
                return plan_external(entry, namespace=namespace, selector=parse_selector(case.selector), kinds=KINDS)
            case _:
                use = UseRule(
                    id="cpu",
                    location=self.pods.location,
                    container_query=template,
                    node_query=template,
                    namespace_label=case.namespace_label,
                    pod_label="pod",
                    node_label="pod",
                    container_label="container",
                )
                if case.api == "pods":
                    return plan_pods(use, namespace=namespace, names=names)
                return plan_nodes(use, names=names)


def one_of_texts(*texts: str) -> st.SearchStrategy[str]:
    """Choose a text."""
    return st.sampled_from(texts)


METRICS = st.sampled_from([*GAUGES, *COUNTERS]).map(lambda one: f"W_{one}")
# Nearly all selectors are as they should be.
SELECTORS = st.one_of(
    *[METRICS.map(lambda one: f"{one}{{{OWN}}}")] * 12,
    st.just(f"<<.Series>>{{{OWN}}}"),
    st.just(f'<<.Series>>{{{OWN},code="200"}}'),
    METRICS.map(lambda one: f'{one}{{code!="500",{OWN}}}'),
    st.just(f'{{__name__=~"W_(g|k)",{OWN}}}'),
    st.just(f'{{__name__=~"W_(c|d)",{OWN}}}'),
    st.just(f"W_{RECORDED}{{{OWN}}}"),
    st.just(f'W_g{{namespace=~"shop|w.*",pod!="q11",{OWN}}}'),
    st.just(f'W_k{{{OWN},pod=~"p-1|p-2"}}'),
    st.just(f'W_g{{{OWN},exported_namespace!="shop",namespace=~".*"}}'),
    st.just(f'W_g{{team="",{OWN}}}'),
)
ODD_SELECTORS = one_of_texts(
    "W_g",
    'W_g{namespace="shop"}',
    'W_g{namespace="<<index .LabelValuesByName "namespace">>"}',
    'W_g{pod=~"<<index .LabelValuesByName "pod">>",namespace="<<index .LabelValuesByName "namespace">>"}',
    f'<<if eq (index .LabelValuesByName "namespace") "shop">>W_k<<else>>W_g<<end>>{{{OWN}}}',
    f"W_g{{{OWN}}} @ 0",
    'W_g{<<range $k, $v := .LabelValuesByName>><<$k>>=~"<<$v>>",<<end>>}',
)
WINDOWS = one_of_texts("[2m]", "[5m]", "[1m30s]", "[5m] offset 1m", "[2m] offset -1m")
OVER_TIME = sorted(
    name
    for name in allowed.FUNCTIONS
    if name.endswith("_over_time")
    or name in {"rate", "irate", "increase", "delta", "idelta", "deriv", "changes", "resets"}
)
GROUPS = one_of_texts(
    *["(<<.GroupBy>>)"] * 6,
    *["(<<.GroupBy>>, namespace)"] * 2,
    "(<<.GroupBy>>, code)",
    "(pod, container)",
    "(pod, namespace, container)",
)
NUMBERS = one_of_texts("2", "0.5", "-1", "time()", "(time() > bool 3)", "1e3", "pi()", "Inf", "-2 ^ 2")


@st.composite
def ranges(draw: st.DrawFn, depth: int) -> str:
    """Draw what has a range."""
    if draw(st.integers(0, 5)) == 0 and depth > 0:
        step = draw(one_of_texts("1m", "30s", ""))
        later = draw(one_of_texts("", "", " offset 1m"))
        return f"({draw(vectors(depth - 1))})[3m:{step}]{later}"
    return draw(SELECTORS) + draw(WINDOWS)


@st.composite
def grouped_by(draw: st.DrawFn) -> str:
    """Draw how an aggregation groups."""
    odd = draw(st.integers(0, 24))
    if odd == 0:
        return draw(one_of_texts("", "by ()", "by (namespace)", "by (code)", "without (pod)"))
    if odd < 5:
        return draw(
            one_of_texts("without (container)", "without (container, namespace)", "without ()", "without (code)")
        )
    return f"by {draw(GROUPS)}"


@st.composite
def called(draw: st.DrawFn, depth: int, name: str = "") -> str:
    """Draw a call, of a function if one is named."""
    name = name or draw(st.sampled_from([*OVER_TIME * 2, *sorted(set(allowed.FUNCTIONS) - set(OVER_TIME))]))
    if name in OVER_TIME:
        first = f"{draw(one_of_texts('0.5', '0.9'))}, " if name == "quantile_over_time" else ""
        return f"{name}({first}{draw(ranges(depth))})"
    if name == "histogram_quantile":
        by = draw(one_of_texts("<<.GroupBy>>, le", "le, pod, namespace", "pod, le"))
        buckets = f"rate(W_{BUCKETS}{{{OWN}}}[5m])"
        return f"histogram_quantile(0.9, {draw(one_of_texts(f'sum by ({by}) ({buckets})', buckets))})"
    if name == "predict_linear":
        return f"predict_linear({draw(ranges(depth))}, 60)"
    rest = {"clamp": ", 0, 1", "clamp_min": f", {draw(NUMBERS)}", "clamp_max": ", 3", "round": ", 0.5"}.get(name, "")
    return f"{name}({draw(vectors(depth - 1))}{rest})"


OPERATORS = sorted(allowed.ARITHMETIC | allowed.COMPARISONS | allowed.SETS)


@st.composite
def joined(draw: st.DrawFn, depth: int, operator: str = "") -> str:
    """Draw an operator between two operands, this one if it is given."""
    left = draw(vectors(depth - 1))
    operator = operator or draw(st.sampled_from(OPERATORS))
    yields = " bool" if operator in allowed.COMPARISONS and draw(st.booleans()) else ""
    if operator not in allowed.SETS and draw(st.integers(0, 3)) == 0:
        number = draw(NUMBERS)
        return draw(one_of_texts(f"({left}) {operator}{yields} {number}", f"{number} {operator}{yields} ({left})"))
    how = draw(MATCHINGS)
    right = draw(vectors(depth - 1))
    if operator not in allowed.SETS and how and draw(st.integers(0, 3)) == 0:
        return draw(grouped(left, right, f"{operator}{yields}{how}"))
    if draw(st.integers(0, 3)):
        # Aggregated alike: what people write, and what matches most often.
        group = draw(GROUPS)
        left, right = f"sum by {group} ({left})", f"max by {group} ({right})"
    return f"({left}) {operator}{yields}{how} ({right})"


MATCHINGS = one_of_texts(
    *[""] * 8,
    *[" on (<<.GroupBy>>)", " on (pod, namespace)", " on (pod)", " on (pod, code)"] * 2,
    *[" ignoring (code, container)", " ignoring (namespace)", " ignoring (code, container, team)"] * 2,
    *[" ignoring (pod)", " on (namespace)", " on ()"],
)


@st.composite
def grouped(draw: st.DrawFn, many: str, one: str, operator: str) -> str:
    """Draw an operator with many samples on one side."""
    one_each = f"max by (pod, namespace, label_app) (W_{INFO}{{{OWN}}})"
    if draw(st.integers(0, 3)) == 0:
        return f"({many}) * on (<<.GroupBy>>, namespace) group_left (label_app) {one_each}"
    many = draw(one_of_texts(many, f"sum by (pod, namespace, container) ({many})"))
    one = draw(one_of_texts(one, f"max by (pod, namespace) ({one})", f"max by (pod) ({one})"))
    side = draw(one_of_texts("left", "right"))
    labels = draw(one_of_texts("", "", "(team)", "(namespace)"))
    left, right = (many, one) if side == "left" else (one, many)
    return f"({left}) {operator} group_{side} {labels} ({right})"


@st.composite
def featured(draw: st.DrawFn, feature: str, depth: int) -> str:
    """Draw an instant vector with a kind of node, as `wanted_kinds` names it."""
    kind, _, name = feature.partition(":")
    inner = draw(vectors(depth - 1))
    other = draw(vectors(depth - 1))
    if kind == "function" and name not in allowed.NUMBERS:
        return draw(called(depth, name))
    if kind == "operator":
        alike = f"max by (pod) ({inner})"
        # What equals itself, and what is left of it: chance gives few samples there.
        likely = f"{alike} {name} {alike}" if name in {"==", ">=", "<="} else None
        likely = f"{alike} unless ({alike} > 1)" if name == "unless" else likely
        return likely if likely and draw(st.booleans()) else draw(joined(depth, name))
    if kind.startswith("group_"):
        one = draw(one_of_texts(*["max by (pod)"] * 3, "max by (pod, team)"))
        sides = (f"sum by (pod, namespace, container) ({inner})", f"{one} ({other})")
        left, right = sides if kind == "group_left" else sides[::-1]
        return f"{left} * on (pod) {kind} {draw(one_of_texts('', '(team)'))} {right}"
    labels = "(pod)" if kind == "on" else draw(one_of_texts("(namespace)", "(code)"))
    operator = draw(one_of_texts("/", "<", "and"))
    texts = {
        "function": f"({inner}) * {name}()",
        "aggregation": f"{name} {draw(grouped_by())} ({inner})",
        **dict.fromkeys(
            ("on", "ignoring"), f"sum by (pod) ({inner}) {operator} {kind} {labels} max by (pod) ({other})"
        ),
        "bool": f"({inner}) > bool 0.5",
        "with a number": f"({inner}) {draw(one_of_texts('/', '^', '>'))} {draw(NUMBERS)}",
        "number": f"3 + ({inner})",
        "minus": f"-({inner})",
        "subquery": f"max_over_time(({inner})[2m:30s])",
        "offset": f"W_g{{{OWN}}} offset 1m",
        "without": f"sum without (container, code) ({inner})",
        "by": f"sum by (<<.GroupBy>>) ({inner})",
        "range": draw(called(depth, "rate")),
    }
    return texts.get(kind, f"({inner})")


@st.composite
def odd_calls(draw: st.DrawFn, depth: int) -> str:
    """Draw what is not fused, or only where it does no harm."""
    inner = draw(vectors(depth - 1))
    return draw(
        one_of_texts(
            f"topk(1, {inner})",
            f"topk by (pod) (1, {inner})",
            f"quantile by (pod) (0.5, {inner})",
            f'label_replace({inner}, "pod", "$1", "container", "(.*)")',
            f'label_replace({inner}, "x", "$1", "namespace", "(.*)")',
            f"absent({inner})",
            f"scalar({inner})",
            f"vector(1) + {inner}",
            f"({inner}) or vector(0)",
            f"({inner}) * scalar({inner})",
            f"({inner}) * (hour() >= bool 0)",
            f"sort({inner})",
            f"bottomk by (<<.GroupBy>>, namespace) (1, {inner})",
            f'label_join({inner}, "namespace", "-", "pod")',
            f"absent_over_time({draw(SELECTORS)}[2m])",
            f"({inner}) > 5m",
            f'count_values by (pod) ("v", {inner})',
            draw(ODD_SELECTORS),
        )
    )


@st.composite
def vectors(draw: st.DrawFn, depth: int) -> str:
    """Draw an instant vector."""
    if depth <= 0:
        return draw(SELECTORS) + draw(one_of_texts("", "", "", " offset 1m"))
    kind = draw(one_of_texts(*["selector", "minus", "odd"], *["aggregation"] * 4, *["call"] * 3, *["operator"] * 3))
    if kind == "aggregation":
        operator = draw(st.sampled_from(sorted(allowed.AGGREGATIONS)))
        return f"{operator} {draw(grouped_by())} ({draw(vectors(depth - 1))})"
    if kind == "odd":
        return draw(odd_calls(depth)) if draw(st.integers(0, 3)) == 0 else draw(vectors(depth - 1))
    drawn = {"selector": SELECTORS, "minus": vectors(depth - 1), "call": called(depth), "operator": joined(depth)}
    return f"{'-' if kind == 'minus' else ''}({draw(drawn[kind])})"


@st.composite
def cases(draw: st.DrawFn, worlds: int, feature: str) -> Case:
    """Draw a case whose query has a kind of node."""
    api = draw(one_of_texts("custom", "custom", "custom", "external", "external", "pods", "nodes"))
    template = draw(featured(feature, draw(st.integers(1, 3))))
    if draw(st.integers(0, 2)) and api != "external":
        template = f"{draw(st.sampled_from(sorted(allowed.AGGREGATIONS)))}({template}) by (<<.GroupBy>>)"
    template = draw(one_of_texts(*["{}"] * 6, "{} # of { each", "# {\n {}", "({}\n)")).replace("{}", template)
    namespace_label = draw(one_of_texts("namespace", "namespace", "exported_namespace"))
    if namespace_label != "namespace" and draw(st.booleans()):
        template = re.sub(r"\bnamespace\b", namespace_label, template)
    if api == "external":
        label = draw(one_of_texts("code", "namespace", "pod"))
        template = template.replace("<<.GroupBy>>", label).replace("namespace, namespace", "namespace")
    names = st.lists(st.sampled_from(PODS), min_size=1, max_size=4, unique=True).map(tuple)
    namespace = st.sampled_from(NAMESPACES)
    requests = draw(st.lists(st.tuples(namespace, names), min_size=2, max_size=5, unique=True))
    if api == "external":
        requests = [(namespace, ()) for namespace in dict.fromkeys(namespace for namespace, _ in requests)]
    selector = draw(
        one_of_texts(
            *[""] * 6,
            *("code=200", "code!=200", "container in (a,b)", "!team", "pod in (p-1,p-2)", "pod=p-1"),
            *("namespace!=web", "namespace=shop", "exported_namespace in (shop,web)"),
        )
    )
    return Case(
        api=api,
        template=template,
        world=draw(st.integers(0, worlds - 1)),
        requests=tuple(requests),
        selector=selector if api in {"custom", "external"} else "",
        namespace_label=namespace_label,
    )
