"""The adapter's metrics about itself: one table of all of them, and the observers that feed them."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import mul
from typing import Final, Literal, TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from adapter import __version__
from adapter.runtime.rule_reports import RuleReport

M = TypeVar("M", Counter, Gauge, Histogram)

# From a cache hit to the longest time-out; a query of a few milliseconds is the usual case.
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_AGES: Final = (0.5, 1.0, 2.5, 5.0, 7.5, 10.0, 15.0, 30.0, 60.0)
# prometheus-adapter's own: DefBuckets of the Go client.
_GO_DEFAULT: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# custom-metrics-apiserver's own: 20 buckets from 1 s, each 1.364 times the one before.
_FRESHNESS: Final = tuple(accumulate([1.364] * 19, mul, initial=1.0))

_STATES: Final = ("closed", "open", "half-open")
_WATCH_STATES: Final = ("syncing", "live", "broken", "listing")
_GROUPS: Final = frozenset({"custom.metrics.k8s.io", "external.metrics.k8s.io", "metrics.k8s.io"})
_VERBS: Final = frozenset({"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"})
_UNANSWERED: Final = frozenset({"timeout", "connection", "cancelled"})


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnMetric:
    """A line of the table: what the docs say, and what the collector is made from."""

    name: str
    type: Literal["counter", "gauge", "histogram"]
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


def _counter(name: str, labels: tuple[str, ...], meaning: str) -> OwnMetric:
    return OwnMetric(name=name, type="counter", labels=labels, meaning=meaning)


def _gauge(name: str, labels: tuple[str, ...], meaning: str) -> OwnMetric:
    return OwnMetric(name=name, type="gauge", labels=labels, meaning=meaning)


def _histogram(name: str, labels: tuple[str, ...], meaning: str, buckets: tuple[float, ...]) -> OwnMetric:
    return OwnMetric(name=name, type="histogram", labels=labels, meaning=meaning, buckets=buckets)


# Every label has few values: backends and rules are those of the configuration, all else is a word of ours.
METRICS: Final[tuple[OwnMetric, ...]] = (
    _gauge("tidegauge_build_info", ("version", "python"), "Always 1; which build of the adapter this is."),
    # ---- what is asked of Prometheus
    _counter(
        "tidegauge_backend_requests_total",
        ("backend", "path", "outcome"),
        "HTTP requests to a Prometheus; the outcome is ok, rejected (400, 422), unsupported, cancelled, error (a bug), "
        "timeout, connection, unauthorized, redirect, status, unavailable (503), query_timeout (503), "
        "bad_answer, too_large (the answer), too_long (the request: 413, 414, 431).",
    ),
    _histogram(
        "tidegauge_backend_request_duration_seconds",
        ("backend", "path"),
        "How long requests to a Prometheus took, failed ones included.",
        _SECONDS,
    ),
    _counter(
        "tidegauge_backend_response_bytes_total",
        ("backend", "path"),
        "Bytes of the answers of a Prometheus, compressed as they came.",
    ),
    _gauge(
        "tidegauge_backend_breaker_state",
        ("backend", "state"),
        "Is 1 for the state of a Prometheus' breaker: closed (calls pass), open (none does), half-open (none does, a "
        "probe is under way).",
    ),
    _counter(
        "tidegauge_backend_partial_answers_total",
        ("backend", "action"),
        "Answers of a Prometheus with data missing: refused, or allowed by partialResponse.",
    ),
    _histogram(
        "prometheus_adapter_prometheus_client_request_duration_seconds",
        ("path", "server"),
        "How long requests to a Prometheus took that were answered, by its address without secrets; "
        "the name and labels are prometheus-adapter's.",
        _GO_DEFAULT,
    ),
    # ---- the cache of query results
    _counter(
        "tidegauge_cache_requests_total",
        ("result",),
        "Queries by where their answer came from: hit (the cache), miss (Prometheus), joined (a call under way).",
    ),
    _histogram("tidegauge_cache_hit_age_seconds", (), "How old answers were that came from the cache.", _AGES),
    _gauge("tidegauge_cache_bytes", (), "How much the cached answers hold, estimated."),
    _gauge("tidegauge_cache_entries", (), "How many answers are cached."),
    # ---- discovery
    _histogram("tidegauge_relist_duration_seconds", (), "How long relists took.", _SECONDS),
    _gauge(
        "tidegauge_relist_last_success_timestamp_seconds",
        (),
        "When the last relist ended in which every series query was answered, in seconds since 1970; 0 for never.",
    ),
    _gauge("tidegauge_relist_failed_series_queries", (), "Series queries that failed in the last relist."),
    _gauge("tidegauge_catalog_metrics", (), "Metrics that are served now, counted for each resource."),
    _gauge(
        "tidegauge_catalog_overlaps", (), "Metrics that more than one series or rule claims; one of them is served."
    ),
    _counter(
        "tidegauge_lookups_total",
        ("result",),
        "Look-ups of a metric that was not known when it was asked for: found, or absent.",
    ),
    # ---- rules
    _gauge("tidegauge_rules", (), "Rules in force."),
    _gauge("tidegauge_rules_problems", ("severity",), "Problems of the rule files in force: error, warning, info."),
    _gauge(
        "tidegauge_config_last_reload_successful",
        (),
        "Is 1 while the rules in force are those of the files as they are now, 0 when those were not taken.",
    ),
    _gauge(
        "tidegauge_config_last_reload_success_timestamp_seconds",
        (),
        "When the rules in force were read, or last found unchanged on request, in seconds since 1970.",
    ),
    _counter(
        "tidegauge_config_reloads_total",
        ("result",),
        "Reloads of the rules: applied, unchanged, failed (a bad file), refused (by --reload-protect).",
    ),
    _gauge(
        "tidegauge_config_metrics_lost",
        (),
        "Metrics read within the last hour that the last change of the rules took away, or would take away.",
    ),
    _gauge("tidegauge_rule_series_names", ("rule",), "Names of series that a rule's series queries have."),
    _gauge("tidegauge_rule_metrics", ("rule",), "Metrics that a rule serves now, counted for each resource."),
    _gauge(
        "tidegauge_rule_last_success_timestamp_seconds",
        ("rule",),
        "When all series queries of a rule had been answered last, in seconds since 1970; 0 for never.",
    ),
    _counter(
        "tidegauge_rule_queries_total",
        ("rule", "outcome"),
        "Queries that Prometheus was asked for a rule, and the outcome: ok, empty (no sample came), error.",
    ),
    _counter(
        "tidegauge_sweeps_total",
        ("outcome",),
        "Times that several requests were asked for together: ok, separate (each was asked for by itself then), error.",
    ),
    _counter(
        "tidegauge_sweep_queries_total",
        (),
        "Queries that Prometheus was asked for several requests together.",
    ),
    _counter(
        "tidegauge_sweep_answers_total",
        (),
        "Answers to requests that these queries gave, each of which would have been a query.",
    ),
    _counter(
        "tidegauge_query_limit_changes_total",
        ("backend", "kind", "change"),
        "Changes of the limits that a Prometheus has shown, on the length of a query or on its data: lowered (by a "
        "refusal), raised (to see whether more passes), lifted.",
    ),
    _gauge(
        "tidegauge_query_limits",
        ("backend", "kind"),
        "Limits that a Prometheus has shown and that queries are held to: length (of all), data (of one rule's shape).",
    ),
    _counter(
        "tidegauge_stale_answers_total",
        ("rule",),
        "Answers beyond their TTL that were told since their refresh had failed (staleIfError).",
    ),
    _counter(
        "tidegauge_rule_refusals_total",
        ("rule", "reason"),
        "Requests that a rule could not serve: namespace (allowNamespaces), selector (Prometheus has no word).",
    ),
    _counter(
        "tidegauge_rule_policy_total",
        ("rule", "what"),
        "How often a rule's policy decided about a sample or its absence: duplicates, nan, infinite, empty, held, ...",
    ),
    # ---- objects
    _gauge("tidegauge_objects", (), "Objects whose names and labels are known."),
    _counter("tidegauge_objects_reloads_total", ("result",), "How often the objects were read: ok, or failed."),
    # ---- what is asked of the adapter
    _counter(
        "tidegauge_requests_total",
        ("group", "verb", "code"),
        "Requests for metrics by API group, verb (get, list, watch, create, ..., or other) and HTTP status.",
    ),
    _histogram("tidegauge_request_duration_seconds", ("group",), "How long requests for metrics took.", _SECONDS),
    _histogram(
        "metrics_apiserver_metric_freshness_seconds",
        ("group",),
        "How old the oldest value of an answer was, by API group; the name and labels are custom-metrics-apiserver's.",
        _FRESHNESS,
    ),
    # ---- who calls, and what is asked of kube-apiserver
    _counter(
        "tidegauge_authentications_total",
        ("kind", "outcome"),
        "Requests by the kind of their credentials (front_proxy, client_certificate, token, anonymous) and the "
        "outcome: accepted, refused.",
    ),
    _counter(
        "tidegauge_authorizations_total",
        ("kind", "outcome"),
        "Decisions about requests by what decided (privileged, path, review) and the outcome: allowed, denied, failed.",
    ),
    _counter(
        "tidegauge_reviews_total",
        ("kind", "outcome"),
        "Reviews that kube-apiserver was asked for (token, access) and the outcome: yes, no, failed.",
    ),
    _histogram("tidegauge_review_duration_seconds", ("kind",), "How long reviews took, repeats included.", _SECONDS),
    _counter(
        "tidegauge_reviews_reused_total",
        ("kind", "how"),
        "Reviews that need not be asked for: cached, or joined (one that was under way).",
    ),
    _counter(
        "tidegauge_client_certificates_total",
        ("how",),
        "Looks at client certificates: valid, invalid, or cached (valid a moment ago).",
    ),
    _counter(
        "tidegauge_trust_reads_total",
        ("source", "outcome"),
        "Readings of whom to trust, from a file or the ConfigMap of kube-apiserver, and the outcome: ok, failed.",
    ),
    _counter(
        "tidegauge_audit_lines_total",
        ("outcome",),
        "Lines of the audit log: written, dropped (too many waited for the disk), failed.",
    ),
    _gauge(
        "tidegauge_serving_certificate_expiry_timestamp_seconds",
        (),
        "Until when the self-managed serving certificate is valid, in seconds since 1970.",
    ),
    _counter(
        "tidegauge_serving_certificate_looks_total",
        ("result",),
        "Looks at the serving certificate's Secret and the APIServices: ok, failed.",
    ),
    _counter(
        "tidegauge_kubernetes_requests_total",
        ("verb", "resource", "code"),
        "Requests to kube-apiserver; the code is the HTTP status, or timeout, connection, bad_answer, cancelled, "
        "error.",
    ),
    _histogram(
        "tidegauge_kubernetes_request_duration_seconds",
        ("verb",),
        "How long requests to kube-apiserver took; of watches, until they began.",
        _SECONDS,
    ),
    _counter(
        "tidegauge_exec_plugin_runs_total",
        ("outcome",),
        "Runs of a kubeconfig's exec plugin: ok, failed, timeout.",
    ),
    _gauge(
        "tidegauge_watch_state",
        ("resource", "state"),
        "Is 1 for the state that the watch of a resource is in: syncing, live, broken, listing (instead of watching).",
    ),
    _gauge("tidegauge_watch_objects", ("resource",), "Objects that a watch knows of."),
    _counter(
        "tidegauge_watch_events_total",
        ("resource", "type"),
        "Events of watches: ADDED, MODIFIED, DELETED, BOOKMARK.",
    ),
    _counter(
        "tidegauge_watch_ends_total",
        ("resource", "reason"),
        "Ends of watches: ended (by the server, as usual), idle, gone, forbidden, or the kind of an error.",
    ),
    _counter(
        "tidegauge_object_lists_total",
        ("resource", "purpose", "outcome"),
        "LISTs of objects, for a watch (sync) or for a request; the outcome is ok, gone, forbidden, too_many, error.",
    ),
    _counter(
        "tidegauge_kinds_reads_total",
        ("outcome",),
        "Readings of the kinds that the cluster has: ok, partial, failed.",
    ),
)


class Telemetry:
    """Takes what the other modules report, each through the Protocol that it declares itself."""

    def __init__(self) -> None:
        # When a series began is of no use here, and would be a quarter of the output. The switch is the library's only.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # not typed by the library
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        table = {metric.name: metric for metric in METRICS}
        self._counters = _collectors(table, "counter", Counter, self._registry)
        self._gauges = _collectors(table, "gauge", Gauge, self._registry)
        self._histograms = {
            name: Histogram(name, one.meaning, one.labels, buckets=one.buckets, registry=self._registry)
            for name, one in table.items()
            if one.type == "histogram"
        }
        self._gauges["tidegauge_build_info"].labels(__version__, platform.python_version()).set(1)

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format, version 0.0.4."""
        return generate_latest(self._registry)

    # ---- adapter.clients.transport, adapter.runtime.backends

    def request_done(self, *, backend: str, server: str, path: str, outcome: str, seconds: float, bytes_: int) -> None:
        """Note a request to a Prometheus."""
        self._counters["tidegauge_backend_requests_total"].labels(backend, path, outcome).inc()
        self._histograms["tidegauge_backend_request_duration_seconds"].labels(backend, path).observe(seconds)
        self._counters["tidegauge_backend_response_bytes_total"].labels(backend, path).inc(bytes_)
        if outcome not in _UNANSWERED:
            name = "prometheus_adapter_prometheus_client_request_duration_seconds"
            self._histograms[name].labels(path, server).observe(seconds)

    def breaker_changed(self, *, backend: str, state: str) -> None:
        """Note the state of a backend's breaker."""
        for one in _STATES:
            self._gauges["tidegauge_backend_breaker_state"].labels(backend, one).set(one == state)

    def partial_answer(self, *, backend: str, refused: bool) -> None:
        """Note an answer with data missing."""
        action = "refused" if refused else "allowed"
        self._counters["tidegauge_backend_partial_answers_total"].labels(backend, action).inc()

    # ---- adapter.server.auth

    def authentication(self, *, kind: str, outcome: str) -> None:
        """Note a request and what its credentials proved."""
        self._counters["tidegauge_authentications_total"].labels(kind, outcome).inc()

    def authorization(self, *, kind: str, outcome: str) -> None:
        """Note a decision about a request."""
        self._counters["tidegauge_authorizations_total"].labels(kind, outcome).inc()

    def review_asked(self, *, kind: str, outcome: str, seconds: float) -> None:
        """Note a review by kube-apiserver."""
        self._counters["tidegauge_reviews_total"].labels(kind, outcome).inc()
        self._histograms["tidegauge_review_duration_seconds"].labels(kind).observe(seconds)

    def review_reused(self, *, kind: str, how: str) -> None:
        """Note a review that need not be asked for."""
        self._counters["tidegauge_reviews_reused_total"].labels(kind, how).inc()

    def certificate_verified(self, *, how: str) -> None:
        """Note a look at a client certificate."""
        self._counters["tidegauge_client_certificates_total"].labels(how).inc()

    def trust_read(self, *, source: str, outcome: str) -> None:
        """Note a reading of whom to trust."""
        self._counters["tidegauge_trust_reads_total"].labels(source, outcome).inc()

    # ---- adapter.server.audit, adapter.server.managed

    def audit_line(self, *, outcome: str) -> None:
        """Note a line of the audit log."""
        self._counters["tidegauge_audit_lines_total"].labels(outcome).inc()

    def certificate_shown(self, *, expires_at_seconds: float) -> None:
        """Note until when the serving certificate is valid."""
        self._gauges["tidegauge_serving_certificate_expiry_timestamp_seconds"].set(expires_at_seconds)

    def certificate_pass(self, *, ok: bool) -> None:
        """Note a look at the Secret and the APIServices."""
        self._counters["tidegauge_serving_certificate_looks_total"].labels("ok" if ok else "failed").inc()

    # ---- adapter.clients.kubernetes

    def kubernetes_request_done(self, *, verb: str, resource: str, code: str, seconds: float) -> None:
        """Note a request to kube-apiserver."""
        self._counters["tidegauge_kubernetes_requests_total"].labels(verb, resource, code).inc()
        self._histograms["tidegauge_kubernetes_request_duration_seconds"].labels(verb).observe(seconds)

    def exec_plugin_done(self, *, outcome: str, seconds: float) -> None:  # noqa: ARG002 - how often it fails says enough
        """Note a run of an exec plugin."""
        self._counters["tidegauge_exec_plugin_runs_total"].labels(outcome).inc()

    # ---- adapter.runtime.watch

    def watch_state(self, *, resource: str, state: str) -> None:
        """Note a change of a watch's state."""
        for one in _WATCH_STATES:
            self._gauges["tidegauge_watch_state"].labels(resource, one).set(one == state)

    def watch_objects(self, *, resource: str, objects: int) -> None:
        """Note how many objects a watch knows of."""
        self._gauges["tidegauge_watch_objects"].labels(resource).set(objects)

    def watch_event(self, *, resource: str, type_: str) -> None:
        """Note an event of a watch."""
        self._counters["tidegauge_watch_events_total"].labels(resource, type_).inc()

    def watch_ended(self, *, resource: str, reason: str) -> None:
        """Note why a watch ended."""
        self._counters["tidegauge_watch_ends_total"].labels(resource, reason).inc()

    def objects_listed(self, *, resource: str, purpose: str, outcome: str, objects: int, seconds: float) -> None:  # noqa: ARG002 - the requests' metrics have the time
        """Note a LIST of objects."""
        self._counters["tidegauge_object_lists_total"].labels(resource, purpose, outcome).inc()

    def kinds_read(self, *, outcome: str, kinds: int, failed_groups: int) -> None:  # noqa: ARG002 - the log has the numbers
        """Note a reading of the kinds."""
        self._counters["tidegauge_kinds_reads_total"].labels(outcome).inc()

    # ---- adapter.runtime.cache

    def cache_hit(self, *, age_seconds: float) -> None:
        """Note an answer that was served from the cache, and how old it was."""
        self._counters["tidegauge_cache_requests_total"].labels("hit").inc()
        self._histograms["tidegauge_cache_hit_age_seconds"].observe(age_seconds)

    def cache_miss(self) -> None:
        """Note a query that had to be asked."""
        self._counters["tidegauge_cache_requests_total"].labels("miss").inc()

    def cache_joined(self) -> None:
        """Note a request that waited for a call which was already under way."""
        self._counters["tidegauge_cache_requests_total"].labels("joined").inc()

    def cache_size(self, *, entries: int, bytes_: float) -> None:
        """Note how full the cache is."""
        self._gauges["tidegauge_cache_entries"].set(entries)
        self._gauges["tidegauge_cache_bytes"].set(bytes_)

    # ---- adapter.runtime.relist

    def relisted(self, *, seconds: float, failed: int, metrics: int, overlaps: int, at_seconds: float) -> None:
        """Note a relist that has ended, at which second since 1970, and what it left."""
        self._histograms["tidegauge_relist_duration_seconds"].observe(seconds)
        self._gauges["tidegauge_relist_failed_series_queries"].set(failed)
        self._gauges["tidegauge_catalog_metrics"].set(metrics)
        self._gauges["tidegauge_catalog_overlaps"].set(overlaps)
        if not failed:
            self._gauges["tidegauge_relist_last_success_timestamp_seconds"].set(at_seconds)

    def looked_up(self, *, found: bool) -> None:
        """Note a look-up of a metric that was not in the catalog."""
        self._counters["tidegauge_lookups_total"].labels("found" if found else "absent").inc()

    # ---- rules and objects

    def rules_loaded(self, *, rules: int, problems: Mapping[str, int]) -> None:
        """Note the rules that came into force, and how many problems their files have by severity."""
        self._gauges["tidegauge_rules"].set(rules)
        for severity in ("error", "warning", "info"):
            self._gauges["tidegauge_rules_problems"].labels(severity).set(problems.get(severity, 0))

    def config_in_force(self, *, at_seconds: float) -> None:
        """Note that the files as they are now are in force."""
        self._gauges["tidegauge_config_last_reload_successful"].set(1)
        self._gauges["tidegauge_config_last_reload_success_timestamp_seconds"].set(at_seconds)

    def reload_ended(self, *, result: str) -> None:
        """Note a reload and what became of it."""
        self._counters["tidegauge_config_reloads_total"].labels(result).inc()
        if result in {"failed", "refused"}:
            self._gauges["tidegauge_config_last_reload_successful"].set(0)

    def metrics_lost(self, *, metrics: int) -> None:
        """Note how many metrics in use a change of the rules takes away."""
        self._gauges["tidegauge_config_metrics_lost"].set(metrics)

    def rules_found(self, reports: Sequence[RuleReport]) -> None:
        """Note what each rule in force has found; rules of before are no longer shown."""
        shown: Mapping[str, Callable[[RuleReport], float]] = {
            "tidegauge_rule_series_names": lambda one: one.series_names,
            "tidegauge_rule_metrics": lambda one: one.metrics,
            "tidegauge_rule_last_success_timestamp_seconds": lambda one: one.good_at_seconds or 0.0,
        }
        for name, value in shown.items():
            self._gauges[name].clear()
            for one in reports:
                self._gauges[name].labels(one.rule).set(value(one))

    def rule_queried(self, *, rule: str, outcome: str) -> None:
        """Note a query that Prometheus was asked for a rule."""
        self._counters["tidegauge_rule_queries_total"].labels(rule, outcome).inc()

    def swept(self, *, outcome: str, queries: int, answers: int) -> None:
        """Note that several requests were asked for together, in how many queries, and how many answers came of it."""
        self._counters["tidegauge_sweeps_total"].labels(outcome).inc()
        self._counters["tidegauge_sweep_queries_total"].inc(queries)
        self._counters["tidegauge_sweep_answers_total"].inc(answers)

    def limit_changed(self, *, backend: str, kind: str, change: str, limits: int) -> None:
        """Note a change of what a Prometheus takes in a query, and how many limits of that kind there are now."""
        self._counters["tidegauge_query_limit_changes_total"].labels(backend, kind, change).inc()
        self._gauges["tidegauge_query_limits"].labels(backend, kind).set(limits)

    def stale_told(self, *, rule: str, age_seconds: float) -> None:  # noqa: ARG002 - the values' freshness has it
        """Note an answer that was told although its refresh failed."""
        self._counters["tidegauge_stale_answers_total"].labels(rule).inc()

    def rule_refused(self, *, rule: str, reason: str) -> None:
        """Note a request that a rule could not serve."""
        self._counters["tidegauge_rule_refusals_total"].labels(rule, reason).inc()

    def policy_applied(self, *, rule: str, what: str) -> None:
        """Note that a rule's policy decided about a sample or an absence."""
        self._counters["tidegauge_rule_policy_total"].labels(rule, what).inc()

    def objects_read(self, *, ok: bool, objects: int) -> None:
        """Note that the objects were read again, and how many are known now."""
        self._counters["tidegauge_objects_reloads_total"].labels("ok" if ok else "failed").inc()
        self._gauges["tidegauge_objects"].set(objects)

    # ---- requests

    def request_served(self, *, group: str, verb: str, code: int, seconds: float) -> None:
        """Note a request for metrics of an API group, its verb and HTTP status, and how long it took."""
        known = group if group in _GROUPS else "other"
        verb = verb if verb in _VERBS else "other"
        self._counters["tidegauge_requests_total"].labels(known, verb, str(code)).inc()
        self._histograms["tidegauge_request_duration_seconds"].labels(known).observe(seconds)

    def value_served(self, *, group: str, age_seconds: float) -> None:
        """Note how old the oldest value of an answer was."""
        self._histograms["metrics_apiserver_metric_freshness_seconds"].labels(group).observe(age_seconds)


def _collectors(table: Mapping[str, OwnMetric], kind: str, make: type[M], registry: CollectorRegistry) -> dict[str, M]:
    return {
        name: make(name, one.meaning, one.labels, registry=registry) for name, one in table.items() if one.type == kind
    }
