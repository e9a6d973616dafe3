"""What the adapter's metrics say, and that the table of them is complete and true."""

from __future__ import annotations

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from adapter import __version__
from adapter.runtime.rule_reports import RuleReport
from adapter.runtime.telemetry import METRICS, Telemetry

BACKEND = {"backend": "default", "server": "http://prom", "path": "/api/v1/query"}

OWN = "tidegauge_backend_requests_total"
CLASSIC = "prometheus_adapter_prometheus_client_request_duration_seconds"


def told(telemetry: Telemetry) -> dict[str, float]:
    """Return every sample by its name and labels."""
    families = text_string_to_metric_families(telemetry.render().decode())
    samples = (sample for family in families for sample in family.samples)
    return {
        f"{one.name}{{{','.join(f'{k}={v}' for k, v in sorted(one.labels.items()))}}}": one.value for one in samples
    }


def reporting() -> Telemetry:
    """Return a telemetry that was told everything once."""
    telemetry = Telemetry()
    telemetry.request_done(**BACKEND, outcome="ok", seconds=0.02, bytes_=300)
    telemetry.request_done(**BACKEND, outcome="timeout", seconds=5.0, bytes_=0)
    telemetry.breaker_changed(backend="default", state="open")
    telemetry.partial_answer(backend="default", refused=True)
    telemetry.cache_hit(age_seconds=3.0)
    telemetry.cache_miss()
    telemetry.cache_joined()
    telemetry.cache_size(entries=2, bytes_=1234.0)
    telemetry.relisted(seconds=0.5, failed=0, metrics=7, overlaps=1, at_seconds=1_700_000_000.0)
    telemetry.relisted(seconds=0.5, failed=2, metrics=8, overlaps=1, at_seconds=1_700_000_060.0)
    telemetry.looked_up(found=True)
    telemetry.looked_up(found=False)
    telemetry.rules_loaded(rules=3, problems={"warning": 4})
    telemetry.config_in_force(at_seconds=1234.5)
    telemetry.reload_ended(result="applied")
    telemetry.reload_ended(result="failed")
    telemetry.metrics_lost(metrics=2)
    telemetry.rules_found([RuleReport(rule="gone", series_names=9, metrics=9, good_at_seconds=9.0)])
    telemetry.rules_found([RuleReport(rule="load", series_names=3, metrics=2, good_at_seconds=1_700_000_000.0)])
    telemetry.rule_queried(rule="load", outcome="empty")
    telemetry.swept(outcome="ok", queries=2, answers=50)
    telemetry.limit_changed(backend="default", kind="data", change="lowered", limits=3)
    telemetry.stale_told(rule="load", age_seconds=12.0)
    telemetry.rule_refused(rule="load", reason="namespace")
    telemetry.policy_applied(rule="rules[0]", what="duplicates")
    telemetry.objects_read(ok=True, objects=9)
    telemetry.objects_read(ok=False, objects=9)
    telemetry.request_served(group="custom.metrics.k8s.io", verb="get", code=404, seconds=0.01)
    telemetry.request_served(group="made.up", verb="brew", code=404, seconds=0.01)
    telemetry.value_served(group="custom.metrics.k8s.io", age_seconds=1.2)
    telemetry.authentication(kind="token", outcome="refused")
    telemetry.authorization(kind="review", outcome="denied")
    telemetry.review_asked(kind="access", outcome="no", seconds=0.25)
    telemetry.review_reused(kind="access", how="cached")
    telemetry.certificate_verified(how="valid")
    telemetry.trust_read(source="configmap", outcome="ok")
    telemetry.kubernetes_request_done(verb="list", resource="pods", code="200", seconds=0.5)
    telemetry.audit_line(outcome="dropped")
    telemetry.certificate_shown(expires_at_seconds=1_700_000_000.0)
    telemetry.certificate_pass(ok=False)
    telemetry.exec_plugin_done(outcome="timeout", seconds=20.0)
    telemetry.watch_state(resource="pods", state="live")
    telemetry.watch_objects(resource="pods", objects=12)
    telemetry.watch_event(resource="pods", type_="ADDED")
    telemetry.watch_ended(resource="pods", reason="gone")
    telemetry.objects_listed(resource="pods", purpose="sync", outcome="ok", objects=12, seconds=0.1)
    telemetry.kinds_read(outcome="partial", kinds=70, failed_groups=1)
    return telemetry


SAMPLES = [
    (f"tidegauge_build_info{{python=*,version={__version__}}}", 1),
    (f"{OWN}{{backend=default,outcome=ok,path=/api/v1/query}}", 1),
    (f"{OWN}{{backend=default,outcome=timeout,path=/api/v1/query}}", 1),
    ("tidegauge_backend_request_duration_seconds_count{backend=default,path=/api/v1/query}", 2),
    ("tidegauge_backend_response_bytes_total{backend=default,path=/api/v1/query}", 300),
    ("tidegauge_backend_breaker_state{backend=default,state=open}", 1),
    ("tidegauge_backend_breaker_state{backend=default,state=closed}", 0),
    ("tidegauge_backend_breaker_state{backend=default,state=half-open}", 0),
    ("tidegauge_backend_partial_answers_total{action=refused,backend=default}", 1),
    (f"{CLASSIC}_count{{path=/api/v1/query,server=http://prom}}", 1),
    ("tidegauge_cache_requests_total{result=hit}", 1),
    ("tidegauge_cache_requests_total{result=miss}", 1),
    ("tidegauge_cache_requests_total{result=joined}", 1),
    ("tidegauge_cache_hit_age_seconds_sum{}", 3),
    ("tidegauge_cache_bytes{}", 1234),
    ("tidegauge_cache_entries{}", 2),
    ("tidegauge_relist_duration_seconds_sum{}", 1),
    ("tidegauge_relist_last_success_timestamp_seconds{}", 1_700_000_000),
    ("tidegauge_relist_failed_series_queries{}", 2),
    ("tidegauge_catalog_metrics{}", 8),
    ("tidegauge_catalog_overlaps{}", 1),
    ("tidegauge_lookups_total{result=found}", 1),
    ("tidegauge_lookups_total{result=absent}", 1),
    ("tidegauge_rules{}", 3),
    ("tidegauge_rule_series_names{rule=load}", 3),
    ("tidegauge_rule_metrics{rule=load}", 2),
    ("tidegauge_rule_last_success_timestamp_seconds{rule=load}", 1_700_000_000.0),
    ("tidegauge_rule_queries_total{outcome=empty,rule=load}", 1),
    ("tidegauge_sweeps_total{outcome=ok}", 1),
    ("tidegauge_sweep_queries_total{}", 2),
    ("tidegauge_sweep_answers_total{}", 50),
    ("tidegauge_query_limit_changes_total{backend=default,change=lowered,kind=data}", 1),
    ("tidegauge_query_limits{backend=default,kind=data}", 3),
    ("tidegauge_stale_answers_total{rule=load}", 1),
    ("tidegauge_rule_refusals_total{reason=namespace,rule=load}", 1),
    ("tidegauge_config_last_reload_successful{}", 0),
    ("tidegauge_config_last_reload_success_timestamp_seconds{}", 1234.5),
    ("tidegauge_config_reloads_total{result=applied}", 1),
    ("tidegauge_config_reloads_total{result=failed}", 1),
    ("tidegauge_config_metrics_lost{}", 2),
    ("tidegauge_rules_problems{severity=warning}", 4),
    ("tidegauge_rules_problems{severity=error}", 0),
    ("tidegauge_rule_policy_total{rule=rules[0],what=duplicates}", 1),
    ("tidegauge_objects{}", 9),
    ("tidegauge_objects_reloads_total{result=ok}", 1),
    ("tidegauge_objects_reloads_total{result=failed}", 1),
    ("tidegauge_requests_total{code=404,group=custom.metrics.k8s.io,verb=get}", 1),
    ("tidegauge_requests_total{code=404,group=other,verb=other}", 1),
    ("tidegauge_request_duration_seconds_count{group=custom.metrics.k8s.io}", 1),
    ("metrics_apiserver_metric_freshness_seconds_sum{group=custom.metrics.k8s.io}", 1.2),
    ("tidegauge_authentications_total{kind=token,outcome=refused}", 1),
    ("tidegauge_authorizations_total{kind=review,outcome=denied}", 1),
    ("tidegauge_reviews_total{kind=access,outcome=no}", 1),
    ("tidegauge_review_duration_seconds_sum{kind=access}", 0.25),
    ("tidegauge_reviews_reused_total{how=cached,kind=access}", 1),
    ("tidegauge_client_certificates_total{how=valid}", 1),
    ("tidegauge_trust_reads_total{outcome=ok,source=configmap}", 1),
    ("tidegauge_kubernetes_requests_total{code=200,resource=pods,verb=list}", 1),
    ("tidegauge_kubernetes_request_duration_seconds_sum{verb=list}", 0.5),
    ("tidegauge_exec_plugin_runs_total{outcome=timeout}", 1),
    ("tidegauge_audit_lines_total{outcome=dropped}", 1),
    ("tidegauge_serving_certificate_expiry_timestamp_seconds{}", 1_700_000_000),
    ("tidegauge_serving_certificate_looks_total{result=failed}", 1),
    ("tidegauge_watch_state{resource=pods,state=live}", 1),
    ("tidegauge_watch_state{resource=pods,state=broken}", 0),
    ("tidegauge_watch_objects{resource=pods}", 12),
    ("tidegauge_watch_events_total{resource=pods,type=ADDED}", 1),
    ("tidegauge_watch_ends_total{reason=gone,resource=pods}", 1),
    ("tidegauge_object_lists_total{outcome=ok,purpose=sync,resource=pods}", 1),
    ("tidegauge_kinds_reads_total{outcome=partial}", 1),
]


@pytest.mark.parametrize(("sample", "value"), SAMPLES)
def test_reports_become_samples(sample: str, value: float) -> None:
    """Each report is counted under its name and labels, once."""
    found = {re.sub(r"python=[^,}]*", "python=*", name): number for name, number in told(reporting()).items()}

    assert found[sample] == value


def test_the_table_is_complete() -> None:
    """Every metric of ours that is shown is in the table, with its type and labels, and nothing else is in it."""
    shown = {
        (family.name, family.type)
        for family in text_string_to_metric_families(reporting().render().decode())
        if not family.name.startswith("process_")
    }

    assert shown == {(metric.name.removesuffix("_total"), metric.type) for metric in METRICS}


def test_rules_that_are_gone_are_not_shown() -> None:
    """A rule that a reload took away leaves no gauge behind."""
    assert not [name for name in told(reporting()) if "rule=gone" in name]


def test_every_sample_of_the_table_is_tested() -> None:
    """A metric that is added here is tested here."""
    tested = {re.sub(r"(_count|_sum)?\{.*", "", sample) for sample, _ in SAMPLES}

    assert tested == {metric.name for metric in METRICS}


def test_each_metric_says_what_it_is() -> None:
    """Every meaning is a sentence, since it becomes the metric's help and its line in the docs."""
    assert [metric.name for metric in METRICS if not re.fullmatch(r"[A-Z].*\.", metric.meaning)] == []


def test_two_telemetries_do_not_share() -> None:
    """Each runtime has a registry of its own."""
    reporting()

    assert f"{OWN}{{backend=default,outcome=ok,path=/api/v1/query}}" not in told(Telemetry())


def test_the_format_is_the_classic_one() -> None:
    """No series of creation times, and freshness in the buckets that custom-metrics-apiserver has."""
    text = reporting().render().decode()

    assert "_created" not in text
    assert re.findall(r'metric_freshness_seconds_bucket{.*le="([^"]*)"', text)[:3] == [
        "1.0",
        "1.364",
        str(1.364 * 1.364),
    ]
