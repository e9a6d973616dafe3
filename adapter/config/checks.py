"""What is wrong with a rules file although each of its values is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.config.document import Fault, Path
from adapter.config.names import is_header_name, is_one_line
from adapter.kube.labels import key_fault
from adapter.promql.matchers import is_legacy_label_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapter.config.schema import BackendEntry, Defaults, Metric, PolicyKeys, ResourceRules, Rule, RulesFile


def check_file(file: RulesFile) -> Iterator[Fault]:
    """Yield what is wrong with a file as a whole, each fault with the path that it concerns."""
    for section, rules in (("rules", file.rules), ("externalRules", file.external_rules)):
        for index, rule in enumerate(rules):
            yield from _check_rule((section, index), rule)
            yield from _check_policies((section, index), rule, file.defaults)
    for index, metric in enumerate(file.metrics):
        yield from _check_metric(("metrics", index), metric)
        yield from _check_policies(("metrics", index), metric, file.defaults)
    for name, backend in file.backends.items():
        yield from _check_backend(("backends", name), name, backend)
    if file.defaults is not None:
        yield from _check_keys_of_defaults(("defaults",), file.defaults)
    if file.resource_rules is not None:
        yield from _check_resource_rules(("resourceRules",), file.resource_rules)


def has_rules(file: RulesFile) -> bool:
    """Say whether a file makes the adapter serve anything."""
    return bool(file.rules or file.external_rules or file.metrics or file.resource_rules)


def _check_rule(path: Path, rule: Rule) -> Iterator[Fault]:
    if not rule.series_query:
        yield Fault(
            code="rule/series-query-missing", path=(*path, "seriesQuery"), message="the rule has no seriesQuery"
        )
    if not rule.metrics_query:
        message = "the rule has no metricsQuery"
        yield Fault(code="rule/metrics-query-missing", path=(*path, "metricsQuery"), message=message)


def _check_metric(path: Path, metric: Metric) -> Iterator[Fault]:
    if not metric.metric:
        yield Fault(code="metric/name-missing", path=(*path, "metric"), message="the entry names no metric")
    if not metric.query:
        yield Fault(code="metric/query-missing", path=(*path, "query"), message="the entry has no query")
    if (metric.object is None) != metric.external:
        message = "a metric has either an `object` or `external: true`"
        hint = "add object: {resource: pods, label: pod}" if metric.object is None else "remove one of them"
        where, relied_on = (*path, "object"), ((*path, "external"),)
        yield Fault(code="metric/object-or-external", path=where, message=message, hint=hint, relies_on=relied_on)
    if metric.object is not None:
        for key, text in (("resource", metric.object.resource), ("label", metric.object.label)):
            if not text:
                where = (*path, "object", key)
                yield Fault(code="metric/object-incomplete", path=where, message=f"the object has no {key}")
        yield from _check_label_name((*path, "object", "label"), metric.object.label)
    yield from _check_label_name((*path, "namespaceLabel"), metric.namespace_label)


def _check_policies(path: Path, rule: PolicyKeys, defaults: Defaults | None) -> Iterator[Fault]:
    on_empty = rule.on_empty if rule.on_empty is not None or defaults is None else defaults.on_empty
    if rule.hold_for is not None and on_empty != "hold":
        message = "holdFor has no effect without `onEmpty: hold`"
        where, relied_on = (*path, "holdFor"), ((*path, "onEmpty"), ("defaults", "onEmpty"))
        yield Fault(code="rule/hold-for-unused", path=where, message=message, relies_on=relied_on)
    yield from _check_keys_of_defaults(path, rule)


def _check_keys_of_defaults(path: Path, rule: PolicyKeys | Defaults) -> Iterator[Fault]:
    if rule.allow_namespaces == []:
        message = "allowNamespaces is empty"
        yield Fault(code="rule/no-namespace", path=(*path, "allowNamespaces"), message=message)
    for key, label in (rule.selector_labels or {}).items():
        where = (*path, "selectorLabels", key)
        if fault := key_fault(key):
            yield Fault(code="rule/selector-label-key", path=where, message=f'"{key}": {fault}', at_key=True)
        yield from _check_label_name(where, label)


def _check_label_name(path: Path, label: str | None) -> Iterator[Fault]:
    if label and not is_legacy_label_name(label):
        message = f'"{label}" is a label name for Prometheus 3 only'
        yield Fault(code="schema/label-name-utf8", path=path, message=message)


def _check_resource_rules(path: Path, rules: ResourceRules) -> Iterator[Fault]:
    for resource, rule in (("cpu", rules.cpu), ("memory", rules.memory)):
        queries = (rule.container_query, rule.node_query) if rule else ("", "")
        for key, query in zip(("containerQuery", "nodeQuery"), queries, strict=True):
            if not query:
                lost = "pods" if key == "containerQuery" else "nodes"
                message = f"{resource} has no {key}, so no {lost} are listed"
                yield Fault(code="resource-rule/query-missing", path=(*path, resource, key), message=message)
    if rules.window == 0:
        yield Fault(code="resource-rule/window-missing", path=(*path, "window"), message="the window is 0s")


def _check_backend(path: Path, name: str, backend: BackendEntry) -> Iterator[Fault]:
    if not is_one_line(name):
        message = "the name of a backend must be short and fit on a line"
        yield Fault(code="backend/name", path=path, message=message, at_key=True)
    if name == "default":
        message = "`default` is the server of --prometheus-url"
        yield Fault(code="backend/name", path=path, message=message, at_key=True, hint="choose another name")
    if not backend.url:
        yield Fault(code="backend/url-missing", path=(*path, "url"), message=f'the backend "{name}" has no url')
    if bool(backend.client_cert_file) != bool(backend.client_key_file):
        message = "clientCertFile and clientKeyFile need each other"
        given = "clientCertFile" if backend.client_cert_file else "clientKeyFile"
        where, relied_on = (*path, given), ((*path, "clientCertFile"), (*path, "clientKeyFile"))
        yield Fault(code="backend/client-certificate", path=where, message=message, relies_on=relied_on)
    for header in backend.headers:
        if not is_header_name(header):
            where, message = (*path, "headers", header), f'"{header}" is not the name of a header'
            yield Fault(code="backend/header", path=where, message=message, at_key=True)
