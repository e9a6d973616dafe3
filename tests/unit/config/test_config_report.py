"""Problems as text with a caret, JSON, SARIF and workflow annotations."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.config.problems import Location, Problem, Severity
from adapter.config.report import problem_text, to_github, to_json, to_sarif

RULES = """\
rules:
- seriesQuery: up
  metricsQuery: sum(rate(<<.Series>>{<<.Label)
\tname: x
  "a\tb\u4e2d\u6587": \x1b[31mc
"""


def a_problem(line: int = 3, column: int = 38, length: int = 8, **more: object) -> Problem:
    """Return a problem of RULES, by default at the template that is not closed."""
    given_: dict[str, object] = {
        "code": "template/syntax",
        "severity": Severity.ERROR,
        "message": 'unclosed "<<"',
        "location": Location(file="rules.yaml", line=line, column=column, length=length),
        "hint": "close it with >>",
        "rule": "http",
    }
    return Problem(**{**given_, **more})  # type: ignore[arg-type]  # each test gives what it is about


def test_a_problem_is_a_place_a_line_a_caret_and_a_hint() -> None:
    """The text has the form that editors jump to, then the line, then what to do."""
    assert problem_text(a_problem(), RULES).splitlines() == [
        'rules.yaml:3:38: template/syntax: unclosed "<<"',
        "    metricsQuery: sum(rate(<<.Series>>{<<.Label)",
        "                                       ^~~~~~~~",
        "    hint: close it with >>",
    ]


@pytest.mark.parametrize(
    ("problem", "source", "lines"),
    [
        (a_problem(hint=""), None, ['rules.yaml:3:38: template/syntax: unclosed "<<"']),
        (a_problem(line=99), RULES, ['rules.yaml:99:38: template/syntax: unclosed "<<"', "    hint: close it with >>"]),
        (
            a_problem(location=Location(file="rules.yaml"), hint=""),
            RULES,
            ['rules.yaml: template/syntax: unclosed "<<"'],
        ),
        (
            a_problem(severity=Severity.WARNING, hint=""),
            None,
            ['rules.yaml:3:38: template/syntax: warning: unclosed "<<"'],
        ),
        (a_problem(severity=Severity.INFO, hint=""), None, ['rules.yaml:3:38: template/syntax: info: unclosed "<<"']),
    ],
)
def test_what_there_is_not_is_left_out(problem: Problem, source: str | None, lines: list[str]) -> None:
    """Without a source, a place or a hint the rest is there; what is no error says so."""
    assert problem_text(problem, source).splitlines() == lines


@pytest.mark.parametrize(
    ("line", "column", "length", "shown", "caret"),
    [
        (4, 2, 4, "    name: x", "    ^~~~"),
        (4, 1, 1, "        name: x", "    ^~~~"),
        (5, 3, 7, '    "a    b中文": \\x1b[31mc', "    ^~~~~~~~~~~~"),
        (5, 7, 2, '    "a    b中文": \\x1b[31mc', "           ^~~~"),
        (5, 11, 1, '    "a    b中文": \\x1b[31mc', "                 ^"),
        (5, 12, 1, '    "a    b中文": \\x1b[31mc', "                  ^~~~"),
        (2, 500, 3, "    - seriesQuery: up", "                     ^"),
    ],
)
def test_the_caret_stands_under_what_is_shown(line: int, column: int, length: int, shown: str, caret: str) -> None:
    """Tabs, wide letters and escaped control characters move the caret as they move the text."""
    text = problem_text(a_problem(line=line, column=column, length=length, hint=""), RULES)

    first, second = text.splitlines()[1:]
    assert first == shown
    assert second == caret


def test_a_long_line_is_shown_around_its_caret() -> None:
    """Of a line that no screen holds, the part with the caret is shown."""
    source = "a: " + "x" * 5000 + "<<.Bad" + "y" * 5000

    line, caret = problem_text(a_problem(line=1, column=5004, length=6, hint=""), source).splitlines()[1:]

    assert len(line) < 160
    assert line[caret.index("^") :].startswith("<<.Bad")
    assert (line.strip()[0], line[-1]) == ("…", "…")


@given(text=st.text(min_size=1), message=st.text(), file=st.text(min_size=1), column=st.integers(1, 300))
def test_nothing_of_a_file_reaches_the_terminal_raw(text: str, message: str, file: str, column: int) -> None:
    """No text makes the report move the cursor, ring the bell or turn the writing direction."""
    location = Location(file=file, line=1, column=column, length=3)

    report = problem_text(a_problem(location=location, message=message, hint=message), text)

    assert {unicodedata.category(one) for one in report if one != "\n"}.isdisjoint({"Cc", "Cf", "Cs", "Zl", "Zp"})
    report.encode()


def test_passwords_of_addresses_are_not_shown() -> None:
    """The log of a pipeline gets the line, and not the password in it; the caret stays in place."""
    source = "url: https://scott:tiger@prometheus:99999/\n"

    text = problem_text(a_problem(line=1, column=6, length=37, hint=""), source)

    assert "tiger" not in text
    assert "https://scott:xxxxx@prometheus:99999/" in text


def test_a_bad_header_is_not_shown() -> None:
    """The line of a header that cannot be sent holds the header's value, so it is left out."""
    text = problem_text(a_problem(code="backend/header", line=1, column=1), "Authorization: tiger\n")

    assert "tiger" not in text


def test_json_is_one_object_for_each() -> None:
    """Programs get every field, as it is."""
    assert to_json([a_problem()]) == [
        {
            "code": "template/syntax",
            "severity": "error",
            "message": 'unclosed "<<"',
            "hint": "close it with >>",
            "rule": "http",
            "file": "rules.yaml",
            "line": 3,
            "column": 38,
            "length": 8,
        }
    ]


def test_sarif_names_the_tool_its_rules_and_the_places() -> None:
    """Code scanners get a log of SARIF 2.1.0 whose results point at their rules and at regions of files."""
    elsewhere = a_problem(code="schema/type", severity=Severity.WARNING, location=Location(file="/etc/ä b.yaml"))

    log = json.loads(json.dumps(to_sarif([a_problem(), elsewhere], version="1.2.3")))

    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert (log["version"], driver["name"], driver["version"]) == ("2.1.0", "tidegauge", "1.2.3")
    assert [rule["id"] for rule in driver["rules"]] == ["schema/type", "template/syntax"]
    first, second = run["results"]
    assert (first["ruleId"], first["level"]) == ("template/syntax", "error")
    assert driver["rules"][first["ruleIndex"]]["id"] == first["ruleId"]
    assert first["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "rules.yaml"},
        "region": {"startLine": 3, "startColumn": 38, "endColumn": 46},
    }
    assert second["level"] == "warning"
    assert second["locations"][0]["physicalLocation"] == {"artifactLocation": {"uri": "file:///etc/%C3%A4%20b.yaml"}}


def test_github_annotations_are_escaped() -> None:
    """Whatever a message or a path holds, a workflow command stays one line with its own fields."""
    location = Location(file="a,b:c%.yaml", line=2, column=3, length=4)

    text = to_github([a_problem(location=location, message="100%\r\nbad, really: yes", hint="")])

    assert text == (
        "::error file=a%2Cb%3Ac%25.yaml,line=2,col=3,endColumn=7,title=template/syntax::100%25%0D%0Abad, really: yes\n"
    )


@pytest.mark.parametrize(
    ("severity", "command"),
    [(Severity.ERROR, "::error "), (Severity.WARNING, "::warning "), (Severity.INFO, "::notice ")],
)
def test_github_knows_three_severities(severity: Severity, command: str) -> None:
    """Each severity has its workflow command; a problem without a place names its file alone."""
    text = to_github([a_problem(severity=severity, location=Location(file="a.yaml"))])

    assert text == f'{command}file=a.yaml,title=template/syntax::unclosed "<<"%0Ahint: close it with >>\n'
