"""The audit log."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from adapter.server.audit import AuditLog, AuditOptions, Caller, Request, Subject, event

REQUEST = Request(
    audit_id="0b1c",
    uri="/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/%2A/rps?labelSelector=app%3Dweb",
    user_agent="kube-controller-manager",
    source="10.0.0.1",
    caller=Caller(name="alice", groups=("dev", "system:authenticated"), extra={"scopes": ("a", "b")}),
    subject=Subject(
        verb="get",
        group="custom.metrics.k8s.io",
        version="v1beta2",
        resource="pods",
        subresource="rps",
        namespace="shop",
        name="*",
    ),
    code=200,
    received_at_seconds=1_763_638_496.5,
    answered_at_seconds=1_763_638_496.75,
)


class Counted:
    """What the log reports."""

    def __init__(self) -> None:
        self.outcomes: list[str] = []

    def audit_line(self, *, outcome: str) -> None:
        """Note an outcome."""
        self.outcomes.append(outcome)


def test_event_is_that_of_kubernetes() -> None:
    """An event says who read what when, in the shape of audit.k8s.io/v1."""
    assert event(REQUEST) == {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": "0b1c",
        "stage": "ResponseComplete",
        "requestURI": "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/%2A/rps?labelSelector=app%3Dweb",
        "verb": "get",
        "user": {
            "username": "alice",
            "groups": ["dev", "system:authenticated"],
            "extra": {"scopes": ["a", "b"]},
        },
        "sourceIPs": ["10.0.0.1"],
        "userAgent": "kube-controller-manager",
        "objectRef": {
            "resource": "pods",
            "namespace": "shop",
            "name": "*",
            "apiGroup": "custom.metrics.k8s.io",
            "apiVersion": "v1beta2",
            "subresource": "rps",
        },
        "responseStatus": {"metadata": {}, "code": 200},
        "requestReceivedTimestamp": "2025-11-20T11:34:56.500000Z",
        "stageTimestamp": "2025-11-20T11:34:56.750000Z",
    }


def test_lines_are_in_the_file_once_it_is_closed(tmp_path: Path) -> None:
    """Closing the log loses no line."""
    file, counted = tmp_path / "audit.log", Counted()
    log = AuditLog(AuditOptions(path=str(file)), observer=counted)
    for _ in range(100):
        log.note(REQUEST)
    log.close()
    lines = file.read_text().splitlines()
    assert [orjson.loads(line)["auditID"] for line in lines] == ["0b1c"] * 100
    assert counted.outcomes == ["written"] * 100


def test_large_files_are_put_aside(tmp_path: Path) -> None:
    """A file that reaches its size is put aside, and no more than so many are kept."""
    file = tmp_path / "audit.log"
    log = AuditLog(AuditOptions(path=str(file), max_size_mebibytes=1, max_backups=1), observer=Counted())
    for _ in range(4000):
        log.note(REQUEST)
    log.close()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["audit.log", "audit.log.1"]
    assert (tmp_path / "audit.log.1").stat().st_size <= 1024 * 1024


def test_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    """A dash writes to standard output."""
    log = AuditLog(AuditOptions(path="-"), observer=Counted())
    log.note(REQUEST)
    log.close()
    assert orjson.loads(capsys.readouterr().out)["verb"] == "get"


def test_full_disk_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    """A disk that takes nothing is counted for each line and told once; no request fails for it."""
    counted = Counted()
    log = AuditLog(AuditOptions(path="/dev/full", max_size_mebibytes=0), observer=counted)
    log.note(REQUEST)
    log.note(REQUEST)
    log.close()
    assert counted.outcomes == ["failed", "failed"]
    assert [record.message for record in caplog.records if "audit log" in record.message] == [
        "audit log not written: [Errno 28] No space left on device"
    ]
