"""Environment variables in files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from adapter.config.load import load_rules

if TYPE_CHECKING:
    from pathlib import Path

ENVIRONMENT = {"HOST": "mimir", "PORT": "9009", "EMPTY": "", "NULL": "null", "NUMBER": "5", "SECRET": "hunter2\n"}


def write(folder: Path, text: str) -> str:
    """Write a file and return its path."""
    file = folder / "rules.yaml"
    file.write_text(text, encoding="utf-8")
    return str(file)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("${HOST}", "mimir"),
        ("a-${HOST}-${PORT}", "a-mimir-9009"),
        ("'${HOST}'", "mimir"),
        ("$${HOST}", "${HOST}"),
        ("$$${HOST}", "$${HOST}"),
        ("$HOST ${EMPTY}.", "$HOST ."),
        ("'${NULL}'", "null"),
    ],
)
def test_a_variable_is_replaced_under_backends(written: str, meant: str, tmp_path: Path) -> None:
    """Names in braces become values, two dollars make a literal, one alone is itself."""
    path = write(tmp_path, f"backends:\n  a:\n    url: http://x\n    params:\n      p: {written}\n")

    (file,) = load_rules([path], ENVIRONMENT).files

    assert file.model.backends["a"].params == {"p": meant}


def test_a_variable_may_be_a_number(tmp_path: Path) -> None:
    """A plain value is what it is after the replacement."""
    path = write(tmp_path, "backends:\n  a:\n    url: http://${HOST}:${PORT}\n    maxConnections: ${NUMBER}\n")

    (file,) = load_rules([path], ENVIRONMENT).files

    backend = file.model.backends["a"]
    assert (backend.url, backend.max_connections) == ("http://mimir:9009", 5)


def test_nothing_is_replaced_elsewhere(tmp_path: Path) -> None:
    """`${1}` belongs to the naming of metrics, and no query gets a value of the environment."""
    path = write(tmp_path, "rules: [{seriesQuery: '${HOST}', metricsQuery: up, name: {as: '${1}_x'}}]")

    (file,) = load_rules([path], ENVIRONMENT).files

    rule = file.model.rules[0]
    assert (rule.series_query, rule.name.as_ if rule.name else "") == ("${HOST}", "${1}_x")


def test_no_problem_shows_a_value(tmp_path: Path) -> None:
    """Whatever is wrong with a secret, no message, hint or place repeats it."""
    path = write(
        tmp_path,
        """
backends:
  a: {url: "${SECRET}", headers: {Authorization: "Bearer ${SECRET}"}}
  b: {url: "ftp://${SECRET}@x"}
  c: {url: "http://u:${SECRET}@x:y"}
""",
    )

    problems = load_rules([path], ENVIRONMENT).problems

    assert [one.code for one in problems].count("backend/url") == 3
    assert "hunter2" not in repr(problems)
