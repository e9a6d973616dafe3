"""The alerts, judged by promtool: each fires for what it is about, and not for what looks like it."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ALERTS = Path(__file__).parents[2] / "deploy" / "monitoring" / "alerts.yaml"
RULES: list[dict[str, Any]] = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"][0]["rules"]
POD = 'namespace="custom-metrics",job="tidegauge",pod="a"'
TARGET = {"namespace": "custom-metrics", "job": "tidegauge"}
HOUR, DAY = 60, 24 * 60  # minutes; each series has a sample a minute, and minute 0 is the second 0 of 1970


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Series in promtool's notation, and whether the alert fires after so many minutes, with these labels and text."""

    alert: str
    why: str
    series: Mapping[str, str]
    minutes: int
    fires: Mapping[str, str] | None = None
    says: str = ""


def _requests(good: str, bad: str, *, code: str = "500") -> dict[str, str]:
    labels = f'{POD},group="custom.metrics.k8s.io",verb="get"'
    return {
        f'tidegauge_requests_total{{{labels},code="200"}}': good,
        f'tidegauge_requests_total{{{labels},code="{code}"}}': bad,
    }


def _backend(good: str, bad: str, *, outcome: str) -> dict[str, str]:
    labels = f'{POD},backend="default",path="/api/v1/query"'
    return {
        f'tidegauge_backend_requests_total{{{labels},outcome="ok"}}': good,
        f'tidegauge_backend_requests_total{{{labels},outcome="{outcome}"}}': bad,
    }


def _rule(good: str, bad: str, *, outcome: str = "error") -> dict[str, str]:
    return {
        f'tidegauge_rule_queries_total{{{POD},rule="rps",outcome="ok"}}': good,
        f'tidegauge_rule_queries_total{{{POD},rule="rps",outcome="{outcome}"}}': bad,
    }


def _service(name: str, values: str, *, more: str = "0x99") -> dict[str, str]:
    return {
        f'aggregator_unavailable_apiservice{{job="apiserver",instance="1",name="{name}"}}': values,
        f'aggregator_unavailable_apiservice{{job="apiserver",instance="2",name="{name}"}}': more,
    }


def _breaker(closed: str, half_open: str = "0x99") -> dict[str, str]:
    return {
        f'tidegauge_backend_breaker_state{{{POD},backend="default",state="closed"}}': closed,
        f'tidegauge_backend_breaker_state{{{POD},backend="default",state="half-open"}}': half_open,
    }


def _watch(state: str, values: str) -> dict[str, str]:
    return {f'tidegauge_watch_state{{{POD},resource="pods",state="{state}"}}': values}


CUSTOM = "custom.metrics.k8s.io"
EXPIRY = f"tidegauge_serving_certificate_expiry_timestamp_seconds{{{POD}}}"
LAST = f"tidegauge_relist_last_success_timestamp_seconds{{{POD}}}"
FAILED = f"tidegauge_relist_failed_series_queries{{{POD}}}"
STALE = f'tidegauge_stale_answers_total{{{POD},rule="rps"}}'
RELOAD = f"tidegauge_config_last_reload_successful{{{POD}}}"
BUILD = f"tidegauge_build_info{{{POD}}}"
SECONDS_OF_A_DAY = 86400

CASES = [
    Case(alert="TidegaugeAbsent", why="none is scraped", series={"up": "1x99"}, minutes=6, fires={}),
    Case(alert="TidegaugeAbsent", why="the last one went", series={BUILD: "1x9 stale"}, minutes=17, fires={}),
    Case(
        alert="TidegaugeAbsent",
        why="one of two went",
        series={BUILD: "1x9 stale", BUILD.replace('pod="a"', 'pod="b"'): "1x99"},
        minutes=30,
    ),
    Case(alert="TidegaugeAbsent", why="a restart", series={BUILD: "1x9 stale _x2 1x99"}, minutes=12),
    Case(
        alert="TidegaugeApiUnavailable",
        why="one kube-apiserver does not reach it",
        series=_service(f"v1beta2.{CUSTOM}", "1x99"),
        minutes=6,
        fires={"name": f"v1beta2.{CUSTOM}"},
        says=f"kube-apiserver does not reach v1beta2.{CUSTOM}.",
    ),
    *(
        Case(
            alert="TidegaugeApiUnavailable",
            why=name,
            series=_service(name, "1x99"),
            minutes=6,
            fires={"name": name},
            says=f"kube-apiserver does not reach {name}.",
        )
        for name in (
            f"v1beta1.{CUSTOM}",
            "v1beta1.external.metrics.k8s.io",
            "v1beta1.metrics.k8s.io",
            "v1.metrics.k8s.io",
        )
    ),
    Case(
        alert="TidegaugeApiUnavailable",
        why="another API",
        series=_service("v1.packages.example.com", "1x99"),
        minutes=9,
    ),
    Case(
        alert="TidegaugeApiUnavailable",
        why="a name with an end",
        series=_service("v1.metrics.k8s.io.example", "1x99"),
        minutes=9,
    ),
    Case(
        alert="TidegaugeApiUnavailable",
        why="a short while",
        series=_service("v1.metrics.k8s.io", "1x3 0x99"),
        minutes=6,
    ),
    Case(
        alert="TidegaugeErrors",
        why="one of ten",
        series=_requests("0+9x99", "0+1x99"),
        minutes=20,
        fires={**TARGET, "group": CUSTOM},
        says=f"10% of the requests for {CUSTOM} fail.",
    ),
    Case(alert="TidegaugeErrors", why="one of fifty", series=_requests("0+49x99", "0+1x99"), minutes=20),
    Case(
        alert="TidegaugeErrors", why="errors of callers", series=_requests("0+1x99", "0+9x99", code="404"), minutes=20
    ),
    Case(alert="TidegaugeErrors", why="nobody asks", series=_requests("5x99", "5x99"), minutes=20),
    Case(
        alert="TidegaugePrometheusUnavailable",
        why="open, and half-open when it is scraped",
        series=_breaker("0x99", "0 1 0 1 0 1 0 1"),
        minutes=3,
        fires={**TARGET, "pod": "a", "backend": "default", "state": "closed"},
        says="Prometheus (default) does not answer.",
    ),
    Case(alert="TidegaugePrometheusUnavailable", why="closed", series=_breaker("1x99"), minutes=9),
    Case(
        alert="TidegaugePrometheusUnavailable",
        why="closed again in between",
        series=_breaker("0 0 1 0 0 1 0 0 1"),
        minutes=7,
    ),
    *(
        Case(
            alert="TidegaugePrometheusFailing",
            why=outcome,
            series=_backend("0+3x99", "0+1x99", outcome=outcome),
            minutes=20,
            fires={**TARGET, "backend": "default"},
            says="25% of the requests to Prometheus (default) fail.",
        )
        for outcome in ("timeout", "rejected", "unauthorized")
    ),
    *(
        Case(
            alert="TidegaugePrometheusFailing",
            why=outcome,
            series=_backend("0+3x99", "0+3x99", outcome=outcome),
            minutes=20,
        )
        for outcome in ("cancelled", "unsupported")
    ),
    Case(
        alert="TidegaugePrometheusFailing",
        why="one of twenty",
        series=_backend("0+19x99", "0+1x99", outcome="timeout"),
        minutes=20,
    ),
    Case(
        alert="TidegaugeRuleFailing",
        why="three of four",
        series=_rule("0+1x99", "0+3x99"),
        minutes=30,
        fires={**TARGET, "rule": "rps"},
        says="Most queries of the rule rps fail.",
    ),
    Case(alert="TidegaugeRuleFailing", why="one of four", series=_rule("0+3x99", "0+1x99"), minutes=30),
    Case(
        alert="TidegaugeRuleFailing", why="empty answers", series=_rule("0+1x99", "0+9x99", outcome="empty"), minutes=30
    ),
    Case(
        alert="TidegaugeOldAnswers",
        why="now and then",
        series={STALE: "0+1x99"},
        minutes=16,
        fires={**TARGET, "rule": "rps"},
        says="HPAs are told old values of the rule rps.",
    ),
    Case(alert="TidegaugeOldAnswers", why="once", series={STALE: "0 0 9x99"}, minutes=20),
    Case(
        alert="TidegaugeRelistFailing",
        why="two of them",
        series={FAILED: "2x99"},
        minutes=16,
        fires={**TARGET, "pod": "a"},
        says="2 series queries fail.",
    ),
    Case(alert="TidegaugeRelistFailing", why="one relist of three", series={FAILED: "0x9 1x9 0x9 1x9 0x9"}, minutes=39),
    Case(
        alert="TidegaugeRelistStale",
        why="an hour ago",
        series={LAST: "600x200"},
        minutes=81,
        fires={**TARGET, "pod": "a"},
    ),
    Case(alert="TidegaugeRelistStale", why="never", series={LAST: "0x200"}, minutes=71, fires={**TARGET, "pod": "a"}),
    Case(alert="TidegaugeRelistStale", why="as it should be", series={LAST: "0+60x200"}, minutes=150),
    Case(
        alert="TidegaugeReloadFailed", why="not taken", series={RELOAD: "0x99"}, minutes=6, fires={**TARGET, "pod": "a"}
    ),
    Case(alert="TidegaugeReloadFailed", why="in force", series={RELOAD: "1x99"}, minutes=9),
    Case(alert="TidegaugeReloadFailed", why="cured at once", series={RELOAD: "1 0 0 1x99"}, minutes=9),
    Case(
        alert="TidegaugeCertificateExpiring",
        why="six days left",
        series={EXPIRY: f"{6 * SECONDS_OF_A_DAY + HOUR * 60 + 60}x200"},
        minutes=HOUR + 1,
        fires={**TARGET, "pod": "a"},
        says="The serving certificate expires in 6d 0h 0m 0s.",
    ),
    Case(
        alert="TidegaugeCertificateExpiring",
        why="a month left",
        series={EXPIRY: f"{30 * SECONDS_OF_A_DAY}x200"},
        minutes=2 * HOUR,
    ),
    Case(alert="TidegaugeCertificateExpiring", why="made by others", series={EXPIRY: "0x200"}, minutes=2 * HOUR),
    *(
        Case(
            alert="TidegaugeWatchBroken",
            why=state,
            series=_watch(state, "1x99"),
            minutes=4,
            fires={**TARGET, "pod": "a", "resource": "pods"},
            says="Objects of pods are not known.",
        )
        for state in ("broken", "syncing")
    ),
    *(
        Case(alert="TidegaugeWatchBroken", why=state, series=_watch(state, "1x99"), minutes=9)
        for state in ("live", "listing")
    ),
    Case(alert="TidegaugeWatchBroken", why="it was for a minute", series=_watch("broken", "0 1 1 0x99"), minutes=9),
    Case(
        alert="TidegaugeTooManyRequests",
        why="again and again",
        series=_requests("0+9x99", "0+1x99", code="429"),
        minutes=20,
        fires={**TARGET, "group": CUSTOM},
        says=f"Requests for {CUSTOM} are turned away.",
    ),
    Case(
        alert="TidegaugeTooManyRequests", why="once", series=_requests("0+9x99", "0 0 0 1x99", code="429"), minutes=20
    ),
]


def _rule_of(alert: str) -> dict[str, Any]:
    (found,) = [rule for rule in RULES if rule["alert"] == alert]
    return found


def _test_file(case: Case) -> dict[str, Any]:
    """Write a case as promtool's unit test; only labels and the summary are compared, by rules with no other text."""
    expected = []
    if case.fires is not None:
        rule = _rule_of(case.alert)
        summary = {"summary": case.says or rule["annotations"]["summary"]}
        expected = [{"exp_labels": {**case.fires, **rule["labels"]}, "exp_annotations": summary}]
    alerts = [{"eval_time": f"{case.minutes}m", "alertname": case.alert, "exp_alerts": expected}]
    series = [{"series": name, "values": values} for name, values in case.series.items()]
    return {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": series, "alert_rule_test": alerts}],
    }


def _promtool(binaries: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(binaries / "promtool"), *words], check=False, capture_output=True, text=True, timeout=60)


def test_the_file_is_a_rule_file(prometheus_binaries: Path) -> None:
    """Promtool reads it, expressions and templates of texts included, and has no objection."""
    done = _promtool(prometheus_binaries, "check", "rules", "--lint=all", "--lint-fatal", str(ALERTS))

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("case", CASES, ids=[f"{case.alert}-{case.why}" for case in CASES])
def test_an_alert_fires_when_it_should(case: Case, prometheus_binaries: Path, tmp_path: Path) -> None:
    """With these series, at that minute, the alert fires with these labels, or does not."""
    rule = _rule_of(case.alert)
    short = {**rule, "annotations": {"summary": rule["annotations"]["summary"]}}
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "one", "rules": [short]}]}))
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(_test_file(case)))

    done = _promtool(prometheus_binaries, "test", "rules", str(tmp_path / "test.yaml"))

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_case_of_both_kinds() -> None:
    """Each alert is seen firing, and is seen quiet although there are series of its kind."""
    names = {rule["alert"] for rule in RULES}

    assert {case.alert for case in CASES if case.fires is not None} == names
    assert {case.alert for case in CASES if case.fires is None} == names
