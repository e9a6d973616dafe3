"""Queries that look as if they could be fused, or as if they could not: what is said of each.

`REASON` is a part of why a query is asked by itself, and "" where requests share it. The unit tests ask for the verdict;
tests/integration/test_fusion_law.py asks a real Prometheus whether what is shared is equal.
"""

from __future__ import annotations

from typing import NamedTuple

OWN = "<<.LabelMatchers>>"
BY = "by (<<.GroupBy>>)"


class Trap(NamedTuple):
    """A query (metrics W_g, W_k are gauges, W_c, W_d counters), which API it is for, and what is said of it."""

    api: str  # custom | external
    query: str
    reason: str


_AGGREGATED = f"sum {BY} (W_g{{{OWN}}})"
_OTHER = f"sum {BY} (W_k{{{OWN}}})"

SHARED = [
    Trap("custom", query, "")
    for query in (
        f"W_g{{{OWN}}}",
        _AGGREGATED,
        f"sum by (<<.GroupBy>>, namespace) (W_g{{{OWN}}})",
        f"sum by (namespace, pod) (sum by (pod) (W_g{{{OWN}}}))",
        f"avg {BY} (avg by (<<.GroupBy>>, container) (W_g{{{OWN}}}))",
        f"sum without (container, code, team) (W_g{{{OWN}}})",
        f"sum without (namespace) (W_g{{{OWN}}})",
        f"stddev {BY} (W_g{{{OWN}}})",
        f"{_AGGREGATED} / {_OTHER}",
        f"{_AGGREGATED} / on (pod) {_OTHER}",
        f"{_AGGREGATED} / on (pod) sum by (pod, namespace) (W_k{{{OWN}}})",
        f"sum by (pod, namespace) (W_g{{{OWN}}}) / on (pod, namespace) sum by (pod, namespace) (W_k{{{OWN}}})",
        f"{_AGGREGATED} / on (pod, namespace) {_OTHER}",
        f"sum by (pod, namespace) (W_g{{{OWN}}}) - ignoring (namespace) {_OTHER}",
        f"sum by (pod, container) (W_g{{{OWN}}}) / on (pod) group_left () {_OTHER}",
        f"{_OTHER} * on (pod) group_right () sum by (pod, container, namespace) (W_g{{{OWN}}})",
        f"{_AGGREGATED} and {_OTHER}",
        f"{_AGGREGATED} unless {_OTHER}",
        f"{_AGGREGATED} or {_OTHER}",
        f"W_g{{{OWN}}} unless on (pod) {_OTHER}",
        f"W_g{{{OWN}}} and W_k{{{OWN}}}",
        f"{_AGGREGATED} > 0.5",
        f"{_AGGREGATED} > bool 0.5",
        f"{_AGGREGATED} > {_OTHER}",
        f"{_AGGREGATED} > on (pod) {_OTHER}",
        f"{_AGGREGATED} == bool {_OTHER}",
        f"-{_AGGREGATED} ^ 2",
        f"2 - -({_AGGREGATED}) * 3 ^ 2",
        f"{_AGGREGATED} * (time() > bool 3)",
        f"hour(timestamp(W_g{{{OWN}}}))",
        f"sum {BY} (W_g{{{OWN}}} offset 1m)",
        f"max_over_time(sum {BY} (rate(W_c{{{OWN}}}[2m]))[3m:1m])",
        f"max_over_time({_AGGREGATED}[3m:] offset 1m)",
        f"histogram_quantile(0.9, sum by (<<.GroupBy>>, le) (rate(W_h_bucket{{{OWN}}}[5m])))",
        f'rate({{__name__=~"W_(c|d)",{OWN}}}[5m])',
        f'sum {BY} (W_g{{namespace=~"shop|w.*",{OWN}}})',
        f'sum {BY} (W_g{{namespace!="",pod=~".*-.*",{OWN}}})',
        f"sum {BY} (W_recorded{{{OWN}}})",
        f"max {BY} (W_g{{{OWN}}} == W_g{{{OWN}}})",
        f"W_g{{{OWN}}} unless W_k{{{OWN}}}",
        f"W_g{{{OWN}}} * on (pod, container) group_left (team) max by (pod, container, team) (W_k{{{OWN}}})",
        f"sum {BY} (W_g{{{OWN}}} * on (pod) group_left () ({_OTHER} / on (pod) max by (pod, namespace) (W_k{{{OWN}}})))",
        f"sum by (pod, code) (W_g{{{OWN}}}) * on (pod) group_left (x) ({_OTHER} + 1 > bool -{_AGGREGATED})",
        f"max by (pod) (W_g{{{OWN}}}) < bool ignoring (container) group_right (code) avg by (pod, container) (W_k{{{OWN}}})",
        f"W_g{{{OWN}}} * ignoring (namespace, container, code, team) group_left () {_OTHER}",
        f"W_g{{{OWN}}} / ignoring (namespace) W_k{{{OWN}}}",
        f"sum by (pod, namespace) (W_g{{{OWN}}} / ignoring (namespace) W_k{{{OWN}}}) / {_OTHER}",
        f"({_AGGREGATED} > bool {_OTHER}) == bool 1",
        f"2 ^ -{_AGGREGATED} ^ 2",
        f"-W_g{{{OWN}}} - -1 ^ 2 % -W_k{{{OWN}}}",
        f"sum by (pod, <<.GroupBy>>, pod) (W_g{{{OWN}}})",
        f"{_AGGREGATED} / on (pod, pod) {_OTHER}",
        f'W_g{{namespace="",{OWN}}}',
        f'W_g{{{OWN},namespace!~"shop|.*-2",namespace!="x"}}',
        f'sum {BY} ({{__name__=~"W_(g|k)",{OWN}}})',
        f"sum {BY} (W_g{{{OWN}}}) # not {{ of }} a namespace\n/ {_OTHER}",
        f"histogram_quantile(0.5, sum by (pod, le, container) ({{__name__=~'W_(h_bucket|g)',{OWN}}}))",
        f"{_AGGREGATED} and on (pod) (W_k{{{OWN}}} > 0)",
        f"sum by (pod, namespace) (W_g{{{OWN}}}) or on (pod) W_k{{{OWN}}}",
        f"sum without (container) (sum without (code, namespace) (W_g{{{OWN}}}))",
    )
]
ALONE = [
    Trap("custom", query, reason)
    for query, reason in (
        (f"{_AGGREGATED} / W_k{{{OWN}}}", "only one side of / keeps the label namespace"),
        (f"{_AGGREGATED} unless W_k{{{OWN}}}", "only one side of unless"),
        (f"{_AGGREGATED} or on (pod) W_k{{{OWN}}}", "only one side of or"),
        (f"W_g{{{OWN}}} / on (pod, namespace) {_OTHER}", "only one side of /"),
        (f"{_AGGREGATED} / on () {_OTHER}", "does not match by the label pod"),
        (f"{_AGGREGATED} / on (namespace) {_OTHER}", "does not match by the label pod"),
        (f"{_AGGREGATED} / ignoring (pod) {_OTHER}", "does not match by the label pod"),
        (f"W_g{{{OWN}}} * on (pod) group_left (namespace) {_OTHER}", "takes over a label"),
        (f"sum(W_g{{{OWN}}}) * (hour() >= bool 0)", "sum does not keep the label pod"),
        (f"{_AGGREGATED} * (hour() >= bool 0)", "hour()"),
        (f"{_AGGREGATED} * on () group_left () vector(1)", "vector()"),
        (f"{_AGGREGATED} or vector(0)", "vector()"),
        (f"sum by (namespace) (W_g{{{OWN}}})", "sum does not keep the label pod"),
        (f"sum without (pod) (W_g{{{OWN}}})", "sum does not keep the label pod"),
        (f"sum {BY} (sum by (container) (W_g{{{OWN}}}))", "sum does not keep the label pod"),
        (f"sum by (namespace, pod) ({_AGGREGATED} / on (pod) W_k{{{OWN}}}) / W_k{{{OWN}}}", "only one side of /"),
        (f"{_AGGREGATED} * 5m", "not every server takes 5m for a number"),
        (f"{_AGGREGATED} > 1e999", "not every server takes 1e999 for a number"),
        (f"{_AGGREGATED} # as namespace='shop', but for <<.LabelMatchers>>", "stand elsewhere"),
        (f'sum by (pod, <<index .LabelValuesByName "namespace">>) (W_g{{{OWN}}})', "another query"),
        (f'sum {BY} (W_g{{{OWN}}} offset <<len (index .LabelValuesByName "pod")>>m)', "another query"),
        (f"topk {BY} (1, W_g{{{OWN}}})", "topk()"),
        (f"bottomk(1, W_g{{{OWN}}})", "bottomk()"),
        (f"quantile {BY} (0.5, W_g{{{OWN}}})", "quantile()"),
        (f'count_values {BY} ("v", W_g{{{OWN}}})', "count_values()"),
        (f'label_replace(W_g{{{OWN}}}, "pod", "$1", "container", "(.*)")', "label_replace()"),
        (f'label_join(W_g{{{OWN}}}, "pod", "-", "container")', "label_join()"),
        (f"absent(W_g{{{OWN}}})", "absent()"),
        (f"absent_over_time(W_g{{{OWN}}}[1m])", "absent_over_time()"),
        (f"scalar(W_g{{{OWN}}}) * {_AGGREGATED}", "scalar()"),
        (f"sort(W_g{{{OWN}}})", "sort()"),
        (f"sum {BY} (W_g{{{OWN}}} @ 0)", "@"),
        (f"max_over_time({_AGGREGATED}[3m:1m] @ 0)", "@"),
        (f"sum {BY} (W_g)", "all callers send the same query"),
        (f"sum {BY} (W_g{{{OWN}}} / on (pod) W_k)", "W_k does not have the matchers of the request"),
        (f'sum {BY} (W_g{{{OWN}}}) / sum {BY} (W_k{{namespace="shop"}})', "W_k does not have the matchers"),
        (f"{_AGGREGATED} * on (pod) group_left (team) kube_pod_labels", "kube_pod_labels does not have the matchers"),
        (f'sum {BY} (W_g{{{OWN} or code="200"}})', "`or` between matchers"),
        ("W_g{my<<.LabelMatchers>>}", "does not have the matchers"),
        (f"W_g{{{OWN},note='{OWN}'}}", "stand elsewhere than in a selector"),
        (f"W_g{{{OWN}}}[5m]", "gives ranges"),
        ("1 + 1", "all callers send the same query"),
        ("1 + <<if eq (index .LabelValuesByName `namespace`) `shop`>>1<<else>>2<<end>>", "gives a number"),
        (f"median {BY} (W_g{{{OWN}}})", "our parser cannot read the query"),
        (f"rate(W_c{{{OWN}}}[5m]) keep_metric_names", "our parser cannot read the query"),
        (
            f'W_<<if eq (index .LabelValuesByName "namespace") "shop">>g<<else>>k<<end>>{{{OWN}}}',
            "the template writes another query",
        ),
        (
            'W_g{namespace=~".*<<index .LabelValuesByName "namespace">>",pod=~"<<index .LabelValuesByName "pod">>"}',
            "does not have the matchers",
        ),
    )
]
EXTERNAL = [
    Trap("external", query, reason)
    for query, reason in (
        (f"sum(W_g{{{OWN}}})", ""),
        (f"sum by () (W_g{{{OWN}}})", ""),
        (f"sum by (pod) (W_g{{{OWN}}})", ""),
        (f"sum by (namespace) (W_g{{{OWN}}})", ""),
        (f"W_g{{{OWN}}}", ""),
        (f"sum(W_g{{{OWN}}}) / sum(W_k{{{OWN}}})", ""),
        (f"sum by (code) (W_g{{{OWN}}}) / on () group_left () sum(W_k{{{OWN}}})", ""),
        (f"sum(W_g{{{OWN}}}) > on () sum(W_k{{{OWN}}})", ""),
        (f"avg without (pod, container, code, namespace) (W_g{{{OWN}}})", ""),
        (f"histogram_quantile(0.5, sum by (le) (rate(W_h_bucket{{{OWN}}}[5m])))", ""),
        (f"sum(W_g{{{OWN}}}) / on () sum by (namespace) (W_k{{{OWN}}})", ""),
        (f"sum by (namespace) (W_g{{{OWN}}}) / on (namespace) group_left () sum by (namespace) (W_k{{{OWN}}})", ""),
        (f"count(W_g{{{OWN}}}) or on () sum by (namespace) (W_k{{{OWN}}})", "only one side of or"),
        (f"W_g{{{OWN}}} / on (namespace) group_left () sum(W_k{{{OWN}}})", "only one side of /"),
        (f"sum by (code) (W_g{{{OWN}}}) * on () group_left (namespace) sum(W_k{{{OWN}}})", "takes over a label"),
        (f"-sum(W_g{{{OWN}}}) == bool 0", ""),
        (f"sum without () (W_g{{{OWN}}})", ""),
        (f"sum(W_g{{{OWN}}}) * (hour() >= bool 0)", "hour()"),
        (f"sum(W_g{{{OWN}}}) or vector(0)", "vector()"),
        (f"sum(W_g{{{OWN}}}) / W_k{{{OWN}}}", "only one side of /"),
        (f"count(sum by (pod) (W_g{{{OWN}}})) / scalar(sum(W_k{{{OWN}}}))", "scalar()"),
    )
]
TRAPS = [*SHARED, *ALONE, *EXTERNAL]
