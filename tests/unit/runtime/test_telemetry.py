"""What the adapter's metrics say, and that the table of them is complete and true."""

from __future__ import annotations

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from adapter import __version__
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
    telemetry.policy_applied(rule="rules[0]", what="duplicates")
    telemetry.objects_read(ok=True, objects=9)
    telemetry.objects_read(ok=False, objects=9)
    telemetry.request_served(group="custom.metrics.k8s.io", code=404, seconds=0.01)
    telemetry.request_served(group="made.up", code=404, seconds=0.01)
    telemetry.value_served(group="custom.metrics.k8s.io", age_seconds=1.2)
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
    ("tidegauge_rules_problems{severity=warning}", 4),
    ("tidegauge_rules_problems{severity=error}", 0),
    ("tidegauge_rule_policy_total{rule=rules[0],what=duplicates}", 1),
    ("tidegauge_objects{}", 9),
    ("tidegauge_objects_reloads_total{result=ok}", 1),
    ("tidegauge_objects_reloads_total{result=failed}", 1),
    ("tidegauge_requests_total{code=404,group=custom.metrics.k8s.io}", 1),
    ("tidegauge_requests_total{code=404,group=other}", 1),
    ("tidegauge_request_duration_seconds_count{group=custom.metrics.k8s.io}", 1),
    ("metrics_apiserver_metric_freshness_seconds_sum{group=custom.metrics.k8s.io}", 1.2),
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
