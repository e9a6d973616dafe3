"""The operator's page tells every metric of ours, as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapter.runtime.telemetry import METRICS, OwnMetric

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_own_metric_is_documented(metric: OwnMetric) -> None:
    """Name, type, labels and meaning stand in the table, word for word."""
    row = f"| {metric.name} | {metric.type} | {', '.join(metric.labels) or '-'} | {metric.meaning} |"

    assert row in PAGE.read_text(encoding="utf-8").splitlines()


def test_the_table_has_no_metric_that_is_gone() -> None:
    """A metric that no longer exists is not promised."""
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| tidegauge_")]
    names = {row.split("|")[1].strip() for row in rows}

    assert names == {metric.name for metric in METRICS if metric.name.startswith("tidegauge_")}
