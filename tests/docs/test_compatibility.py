"""What the compatibility page promises is pinned by tests that exist, and the recorded differences are all named."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")
EXPECTED = ROOT / "tests" / "conformance" / "prometheus-adapter-expected.jsonl"
PINS = sorted(set(re.findall(r"`(tests/[^`]+)`", PAGE)))


@pytest.mark.parametrize("pin", PINS)
def test_every_pin_exists(pin: str) -> None:
    """A test that the page names is there, file and function."""
    path, _, name = pin.partition("::")
    file = ROOT / path

    assert file.exists()
    assert not name or f"def {name}(" in file.read_text(encoding="utf-8")


def test_every_recorded_difference_has_a_reason_that_the_page_names() -> None:
    """No answer is expected to differ from prometheus-adapter's without a reason for people."""
    reasons = {json.loads(line)["why"] for line in EXPECTED.read_text(encoding="utf-8").splitlines()}
    named = set(re.findall(r"^\| ([^|`]+) \|", PAGE.split("## The recorded answers")[1], re.MULTILINE))

    assert reasons <= named
