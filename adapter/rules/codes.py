"""What can be wrong with rules, code by code: why it matters, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from adapter.config.codes import CODES as CONFIG_CODES
from adapter.config.codes import CodeInfo
from adapter.config.problems import Severity


def _error(title: str, why: str, fix: str) -> CodeInfo:
    return CodeInfo(title=title, severity=Severity.ERROR, why=why, fix=fix)


def _warning(title: str, why: str, fix: str) -> CodeInfo:
    return CodeInfo(title=title, severity=Severity.WARNING, why=why, fix=fix)


def _info(title: str, why: str, fix: str) -> CodeInfo:
    return CodeInfo(title=title, severity=Severity.INFO, why=why, fix=fix)


# Each code has a page in docs/checks. Where compiling a rule can say a code with another severity, its page says when.
CODES: Final[Mapping[str, CodeInfo]] = {
    # ---- what a rule is
    "rule/duplicate-id": _error(
        "two rules with one id",
        "The id names the rule in metrics, logs and answers, so it must name one rule.",
        "Give each rule an id of its own.",
    ),
    "rule/backend-not-in-force": _warning(
        "rule of another backend",
        "One backend is asked at a time; rules for the others are left out.",
        "Start an adapter for that backend, or remove `backend`.",
    ),
    "rule/no-effect": _info(
        "key has no effect here",
        "The key decides nothing for rules of this kind.",
        "Remove the key, or say in the query what is meant.",
    ),
    "rule/no-name": _warning(
        "name that no request can have",
        "The name of a metric is one segment of a path; an empty name, a slash or a reserved word is not.",
        "Give the metric another name.",
    ),
    "rule/overlap": _warning(
        "two rules give one metric",
        "A metric has one rule: the later one wins where both have series, and the other is never asked.",
        "Rename one of the metrics, or join the rules.",
    ),
    # ---- names
    "naming/as-missing": _error(
        "`as` is missing",
        "With several groups in `matches` it is not known which of them is the name.",
        'Add `as`, for example "${1}_per_second".',
    ),
    "naming/one-underscore": _warning(
        "$1_x is not ${1}_x",
        "A reference takes all letters, digits and underscores that follow, so $1_x is a group that does not exist.",
        "Write ${1}_x.",
    ),
    "naming/unknown-group": _warning(
        "group that does not exist",
        "A reference to a group that `matches` does not have stands for nothing.",
        "Put the part that is meant into parentheses in `matches`.",
    ),
    "naming/one-name-for-many": _warning(
        "one name for several metrics",
        "All metrics of the series query get the same name, and of these only the last is served.",
        "Name one metric in the series query, or derive the name from a group.",
    ),
    "regex/syntax": _error(
        "not a regular expression",
        "Names are filtered and renamed by RE2 expressions, as in prometheus-adapter.",
        "Correct the expression; RE2 has no look-around and no back-references.",
    ),
    "filter/never-passes": _warning(
        "filter that nothing passes",
        "The filters on the series' name, `matches` among them, exclude each other or the only series there can be.",
        "Correct the expression, or remove the filter.",
    ),
    # ---- series queries
    "selector/unreadable": _warning(
        "series query cannot be read",
        "A series query is one selector; anything else is refused by Prometheus, and nothing is discovered.",
        'Write metric{label!=""}, without functions and ranges.',
    ),
    "selector/too-broad": _warning(
        "series query names no metric",
        "Every metric with these labels is discovered; large servers take seconds and much memory to answer that.",
        "Name the metric, or a prefix of names.",
    ),
    "selector/regex-as-text": _warning(
        "regular expression compared as text",
        "`=` and `!=` compare letter by letter, so the condition holds never, or always.",
        "Write =~ or !~.",
    ),
    # ---- which label names what
    "association/unknown-resource": _warning(
        "unknown kind of object",
        "No kind of that name is known, so its label names nothing until there is one.",
        "Correct resource or group, or install the resource's definition.",
    ),
    "association/template": _error(
        "bad resource template",
        "The template is also read backwards, from label to resource, so it must contain <<.Resource>>.",
        'Write "<<.Resource>>" with a prefix if the labels have one.',
    ),
    "association/none": _warning(
        "no label names objects",
        "Custom metrics belong to objects; a rule that maps no label gives none.",
        "Add `resources` with overrides or a template.",
    ),
    "association/no-namespace": _warning(
        "no label names namespaces",
        "Requests name a namespace, which the query must be narrowed to.",
        "Map the label that holds the namespace.",
    ),
    "association/several-labels": _warning(
        "two labels for one kind",
        "A query can use one of them; series that only have the other are listed and have no value.",
        "Keep one label; write a second rule for the other.",
    ),
    "association/external-default": _warning(
        "external rule without resources",
        'The label "namespace" is taken; prometheus-adapter answers every request with an error.',
        "Map the namespace's label, or say namespaced: false.",
    ),
    # ---- templates
    "template/syntax": _error(
        "template cannot be read",
        "Queries and label templates are Go templates between << and >>.",
        "Correct the template at the place shown.",
    ),
    "template/run": _error(
        "template fails",
        "The template can be read, and filling it in fails.",
        "Follow the message; often a field's name is mistyped.",
    ),
    "template/unknown-field": _warning(
        "unknown field",
        "Filling the template in fails for each request, which is answered 404.",
        "Use Series, LabelMatchers, LabelValuesByName, GroupBy or GroupBySlice.",
    ),
    "template/empty-field": _info(
        "field that is always empty here",
        "External metrics have no object to group by, and resource rules no series.",
        "Write the labels or the metric's name out.",
    ),
    # ---- queries
    "query/syntax": _error(
        "query cannot be read",
        "The selectors of a `metrics` query are what is discovered, so they must be known.",
        "Correct the query, or write the rule under `rules`.",
    ),
    "query/unreadable": _warning(
        "query cannot be read",
        "Our parser does not know the query; it is sent as it is, and shares no work with others.",
        "Correct it, or check it against the server.",
    ),
    "query/unreadable-for-some": _warning(
        "query cannot be read for some requests",
        "The template is filled anew for each request; where its matchers are empty, a comma may be one too many.",
        "Put <<.LabelMatchers>> last in the braces.",
    ),
    "query/age-unknown": _error(
        "age of values cannot be known",
        "`maxSampleAge` asks how old the series of each selector are, and these cannot be read: requests would fail.",
        "Leave `maxSampleAge` out, or write the query in plain PromQL.",
    ),
    "query/no-vector": _warning(
        "result cannot be served",
        "Only instant vectors (and for single values scalars) have values for objects.",
        "Put a function such as rate() around the range.",
    ),
    "query/matchers-missing": _warning(
        "query ignores the request",
        "Without <<.LabelMatchers>> every request reads all series of all namespaces.",
        "Write metric{<<.LabelMatchers>>}.",
    ),
    "query/hard-coded-namespace": _warning(
        "namespace written out",
        "The request's namespace is matched too, or not at all: other namespaces get nothing, or this one's values.",
        "Remove the matcher; use allowNamespaces to restrict who may ask.",
    ),
    "query/group-by-missing": _warning(
        "result has lost the object",
        "A value is given to an object by the object's label in the result; without it no object has a value.",
        "Add by (<<.GroupBy>>).",
    ),
    "query/group-by-fixed": _info(
        "grouping fits only some kinds",
        "The rule maps several kinds of objects, and the labels written out name only some of them.",
        "Group by (<<.GroupBy>>), or map only what is grouped by.",
    ),
    "query/dash-in-name": _warning(
        "dash read as minus",
        "Names have no dashes in PromQL, so a-b{...} subtracts b{...} from a.",
        "Write the metric's real name, mostly with underscores.",
    ),
    "query/counter-without-rate": _warning(
        "counter without rate",
        "A counter only grows, so the autoscaler only scales up, until a restart sets it to zero.",
        "Take rate() or increase() of it.",
    ),
    "query/rate-of-gauge": _warning(
        "rate of a gauge",
        "Functions for counters take every fall of a value for a restart, so a gauge gives nonsense.",
        "Serve the gauge, or use deriv() or delta().",
    ),
    "query/division-nan": _info(
        "division that can be 0/0",
        "Without traffic the result is NaN, which is served as 0 if the rule says nothing else.",
        "Say onNaN, or keep the divisor from being zero.",
    ),
    "query/not-shared": _info(
        "requests do not share a query",
        "The query cannot be shown to keep namespaces and objects apart, so each request is a query of its own.",
        "Follow the hint, or say fuse: never.",
    ),
    # ---- policies
    "hold/long": _warning(
        "value held for long",
        "A value that is long gone decides how many replicas there are.",
        "Hold for a few minutes.",
    ),
    "cache/long": _info(
        "answers kept for long",
        "The autoscaler asks every 15 seconds and gets the same value several times.",
        "Keep answers for less than 15 seconds.",
    ),
    "stale/long": _warning(
        "last answer told for long",
        "While refreshes fail the autoscaler decides on one past value several times, as if it were new.",
        "Say 15s at most, or nothing: the autoscaler holds while a metric fails.",
    ),
    "resource-rule/several": _error(
        "resource rules in several files",
        "A cluster has one metrics.k8s.io, and which file it is answered from must not be chance.",
        "Keep `resourceRules` in one file.",
    ),
    "resource-rule/label-missing": _warning(
        "no label for pods, nodes or namespaces",
        "Without it the values cannot be given to pods or nodes, and `kubectl top` shows nothing.",
        "Add the label to overrides.",
    ),
    # ---- what a server says: windows
    "window/short": _warning(
        "range below two scrapes",
        "A rate needs two samples; in a shorter range there is often only one, and no value.",
        "Make the range at least four scrape intervals long.",
    ),
    "window/tight": _info(
        "range below four scrapes",
        "One failed scrape leaves a hole in the metric.",
        "Make the range at least four scrape intervals long.",
    ),
    # ---- what a server says: everything else
    "live/unreachable": _error(
        "server cannot be asked",
        "There is no answer, or none that can be read, so the rules were not checked against the server.",
        "Check address, certificates and token.",
    ),
    "live/no-answer": _warning(
        "question not answered",
        "The server took too long or failed over one question; the autoscaler would have got an error.",
        "Narrow the selector, or record the expression.",
    ),
    "live/selector-rejected": _error(
        "server rejects the series query",
        "Nothing can be discovered by a selector that the server does not take.",
        "Correct the selector as the server says.",
    ),
    "live/query-rejected": _error(
        "server rejects the query",
        "Every request for the rule's metrics is answered with an error.",
        "Correct the query as the server says.",
    ),
    "live/no-series": _warning(
        "no series",
        "The series query finds nothing on this server, so the rule gives no metric.",
        "Compare names and labels with the server's.",
    ),
    "live/nothing-named": _warning(
        "all series filtered",
        "The series query finds metrics, and the filters or `matches` refuse each of them.",
        "Correct the filters or `matches`.",
    ),
    "live/no-object-label": _warning(
        "series without objects",
        "No series carries a label that the rule maps to objects, so the rule gives no metric.",
        "Map the labels that the series have.",
    ),
    "live/label-absent": _info(
        "mapped label on no series",
        "A label that the rule maps is on no series, so there are no metrics for its kind of object.",
        "Remove the label from overrides, or correct its name.",
    ),
    "live/no-namespace-label": _warning(
        "series without a namespace",
        "The query is narrowed to a namespace by a label that no series carries, so it finds nothing.",
        "Map the label that holds the namespace.",
    ),
    "live/no-value": _warning(
        "metric without a value",
        "The metric is listed, and the query for an object that has series returns nothing.",
        "Look at the window, the matchers and what the query joins.",
    ),
    "live/result-without-label": _warning(
        "result has lost the object",
        "The result has values, and none of them says which object it belongs to.",
        "Group by (<<.GroupBy>>).",
    ),
    "live/several-samples": _warning(
        "several samples for one object",
        "One of them is taken by `onDuplicates`, by default the last in a fixed order.",
        "Aggregate: sum(...) by (<<.GroupBy>>).",
    ),
    "live/histogram": _warning(
        "result is a native histogram",
        "A histogram is no number; each request is answered with an error.",
        "Take a number from it, for example by histogram_quantile.",
    ),
    "live/partial-answer": _warning(
        "incomplete answer",
        "The server warns that data is missing; requests are refused rather than answered with part of the truth.",
        "Look at the servers behind this one.",
    ),
    "live/many-series": _warning(
        "series query takes many series",
        "Discovery asks for them again and again, and old servers answer slowly.",
        "Name the metrics that are needed.",
    ),
    "live/overlap": _warning(
        "several series claim one metric",
        "Only one of them is served: the last, as in prometheus-adapter.",
        "Rename, or narrow the filters.",
    ),
    "live/utf8-names": _warning(
        "name needs Prometheus 3",
        "Servers before 3.0 know only letters, digits, underscores and colons.",
        "Use the name as this server shows it.",
    ),
    "live/label-endpoints": _info(
        "no label endpoints",
        "The server does not narrow them by selector, so discovery reads whole series.",
        "Use a server or proxy that supports match[] there.",
    ),
    # ---- what else can end a start
    "file/objects": _error(
        "objects file cannot be read",
        "The file stands in for the cluster; without it no request can be answered.",
        "Give ordinary Kubernetes manifests, several YAML documents or a list.",
    ),
    "backend/several": _error(
        "several backends",
        "One server is asked, and nothing says which of them.",
        "Give --prometheus-url, or keep one entry.",
    ),
    "backend/credentials": _error(
        "credentials cannot be used",
        "Without certificates and token that can be read no question would be answered.",
        "Give PEM files with keys that have no password, and a token file that holds one token.",
    ),
    "serve/tls": _error(
        "certificate cannot be used",
        "The API server speaks HTTPS only.",
        "Give --tls-cert-file and --tls-private-key-file, or a --cert-dir that can be written.",
    ),
    "serve/cluster": _error(
        "cluster cannot be asked",
        "Objects, callers and permissions are all asked of kube-apiserver.",
        "Mount the token of the pod's service account, or give a kubeconfig that can be used.",
    ),
    "serve/bind-address": _error(
        "address cannot be listened on",
        "Nothing can be served at an address that is none of this machine's.",
        "Write an address of the machine; 0.0.0.0 or :: stand for all.",
    ),
    "serve/callers": _error(
        "callers cannot be authenticated",
        "An adapter that does not know the front proxy would refuse everybody who comes through kube-apiserver.",
        "Bind the Role extension-apiserver-authentication-reader, or give the authorities' files.",
    ),
}

# Every code there is, those of reading files included.
ALL_CODES: Final[Mapping[str, CodeInfo]] = {**CONFIG_CODES, **CODES}
