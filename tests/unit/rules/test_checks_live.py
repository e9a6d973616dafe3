"""What is made of a server's answers: decisions only, no server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from rules_rig import KINDS, catalog_from, compiled_from, custom_plan, facts_from, loaded_from

from adapter.config.problems import Problem
from adapter.promql.ast import parse_query
from adapter.promql.model import Sample
from adapter.rules.checks import answered, discovered
from adapter.rules.checks.rendering import QueryView, view_of
from adapter.rules.checks.subject import Subject, subjects_of

PODS = "resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}"
RATE = "metricsQuery: sum(rate(<<.Series>>{<<.LabelMatchers>>}[2m])) by (<<.GroupBy>>)"
HITS = 'hits_total{namespace="shop",pod="web-1"}'


def rule(*keys: str, section: str = "rules") -> str:
    """Return a file with one rule of these keys."""
    return f"{section}:\n- " + "\n  ".join(keys) + "\n"


def subjects(text: str, directory: Path) -> tuple[Subject, ...]:
    """Return the rules of a file as checks see them."""
    return subjects_of(compiled_from(text, directory).rulebook, loaded_from(text, directory), KINDS)


def view(text: str, directory: Path) -> QueryView:
    """Return the query of a file's one rule."""
    (subject,) = subjects(text, directory)
    found = view_of(subject)
    assert found is not None
    return found


SERIES = [
    ("one that works", rule("seriesQuery: hits_total", PODS, RATE), [HITS], []),
    ("none", rule("seriesQuery: hits_total", PODS, RATE), [], ["live/no-series"]),
    ("another name", rule("seriesQuery: hits_total", PODS, RATE), ['misses_total{pod="x"}'], ["live/no-series"]),
    ("all refused", rule("seriesQuery: hits_total", PODS, RATE, "name: {matches: ^x}"), [HITS], ["live/nothing-named"]),
    ("no object", rule("seriesQuery: hits_total", PODS, RATE), ['hits_total{host="x"}'], ["live/no-object-label"]),
    ("no namespace", rule("seriesQuery: hits_total", PODS, RATE), ['hits_total{pod="x"}'], ["live/no-namespace-label"]),
    ("no pod", rule("seriesQuery: hits_total", PODS, RATE), ['hits_total{namespace="x"}'], ["live/label-absent"]),
    ("an external one", rule("seriesQuery: hits_total", PODS, RATE, section="externalRules"), [HITS], []),
    ("only namespaces, mapped so", rule("seriesQuery: a", "resources: {template: <<.Resource>>}", RATE), ['a{namespace="x"}'], []),
]  # fmt: skip


@pytest.mark.parametrize("row", SERIES, ids=[row[0] for row in SERIES])
def test_why_a_rule_gives_no_metric(row: tuple[str, str, list[str], list[str]], tmp_path: Path) -> None:
    """The first reason why there is no metric is named, and none that only follows from it."""
    _, text, series, expected = row
    (subject,) = subjects(text, tmp_path)
    facts = facts_from(compiled_from(text, tmp_path).rulebook, series)

    assert [one.code for one in discovered.series_problems(subject, facts)] == expected


def test_a_series_query_without_an_answer_says_nothing(tmp_path: Path) -> None:
    """What the server did not answer is unknown, and not empty."""
    (subject,) = subjects(rule("seriesQuery: hits_total", PODS, RATE), tmp_path)

    assert [*discovered.series_problems(subject, {})] == []


TIMES = [
    ([0, 15, 30, 45], 15.0),
    ([0, 15, 45, 60, 75], 15.0),  # one scrape failed
    ([0.0, 15.001, 30.0, 45.002], 15.0),  # scrapes are never quite on time
    ([7], None),
    ([], None),
]


@pytest.mark.parametrize(("times", "expected"), TIMES)
def test_the_interval_is_that_of_most_scrapes(times: list[float], expected: float | None) -> None:
    """A failed or late scrape does not change what the interval is taken for."""
    found = answered.interval_of(times)

    assert found == (None if expected is None else pytest.approx(expected, abs=0.01))


WINDOWS = [
    ("rate(a[2m])", {"a": 15.0}, []),
    ("rate(a[1m])", {"a": 15.0}, []),
    ("rate(a[59s])", {"a": 15.0}, ["window/tight"]),
    ("rate(a[30s])", {"a": 15.0}, ["window/tight"]),
    ("rate(a[29s])", {"a": 15.0}, ["window/short"]),
    ("max_over_time(a[15s])", {"a": 15.0}, []),  # one sample is enough
    ("rate(a[1m]) / rate(b[1m])", {"a": 15.0, "b": 60.0}, ["window/short"]),
    ("rate(a[10s])", {"a": 0.0}, []),  # unknown
    ("rate(a[10s])", {}, []),
    ("deriv(a[20s] offset 1h)", {"a": 15.0}, ["window/short"]),
    ("rate((a)[10s:5s])", {"a": 15.0}, []),  # a subquery samples by itself
]


@pytest.mark.parametrize(("query", "intervals", "expected"), WINDOWS)
def test_ranges_need_two_samples_and_better_four(
    query: str, intervals: Mapping[str, float], expected: list[str], tmp_path: Path
) -> None:
    """Below two intervals a rate has no value, below four one failed scrape makes a hole."""
    seen = view(rule("seriesQuery: a", PODS, f"metricsQuery: {query}"), tmp_path)
    parsed = parse_query(query)
    assert parsed is not None

    problems = answered.window_problems(seen, answered.windows_of(parsed), intervals)

    assert [one.code for one in problems] == expected


def sample(**labels: str) -> Sample:
    """Return a sample with these labels."""
    return Sample(labels=labels, value=1.0, timestamp_seconds=0.0)


SAMPLES = [
    ("the one", [sample(pod="web-1")], "", []),
    ("none", [], "", ["live/no-value"]),
    ("of nobody", [sample(host="x")], "", ["live/result-without-label"]),
    ("of somebody else", [sample(pod="web-2")], "", ["live/result-without-label"]),
    ("two", [sample(pod="web-1", code="200"), sample(pod="web-1", code="500")], "", ["live/several-samples"]),
    ("two, by choice", [sample(pod="web-1", code="200"), sample(pod="web-1")], "onDuplicates: max", []),
    ("two, refused", [sample(pod="web-1", code="200"), sample(pod="web-1")], "onDuplicates: error", ["live/several-samples"]),
    ("others beside it", [sample(pod="web-1"), sample(pod="web-2")], "", []),
    ("a histogram", [Sample(labels={}, value=0.0, timestamp_seconds=0.0, histogram=True)], "", ["live/histogram"]),
]  # fmt: skip


@pytest.mark.parametrize("row", SAMPLES, ids=[row[0] for row in SAMPLES])
def test_what_the_samples_say(row: tuple[str, list[Sample], str, list[str]], tmp_path: Path) -> None:
    """An object that has series has one sample, or it is said why not."""
    _, samples, policy, expected = row
    text = rule("seriesQuery: hits_total", PODS, RATE, policy or "owner: me")
    plan = custom_plan(catalog_from(compiled_from(text, tmp_path).rulebook, [HITS]), "shop pods web-1 hits_total")

    assert [one.code for one in answered.sample_problems(view(text, tmp_path), plan, samples)] == expected


TYPES = [
    ("sum(a{<<.LabelMatchers>>})", {"counter"}, ["query/counter-without-rate"]),
    ("rate(a{<<.LabelMatchers>>}[5m])", {"counter"}, []),
    ("count(a{<<.LabelMatchers>>})", {"counter"}, []),
    ("resets(a{<<.LabelMatchers>>}[5m])", {"counter"}, []),
    ("sum(a{<<.LabelMatchers>>})", {"gauge"}, []),
    ("rate(a{<<.LabelMatchers>>}[5m])", {"gauge"}, ["query/rate-of-gauge"]),
    ("rate(a{<<.LabelMatchers>>}[5m])", {"gauge", "counter"}, []),  # targets do not agree
    ("sum(a{<<.LabelMatchers>>})", set(), []),
]


@pytest.mark.parametrize(("query", "types", "expected"), TYPES)
def test_what_the_types_say(query: str, types: set[str], expected: list[str], tmp_path: Path) -> None:
    """A type is believed only where all targets give the same."""
    seen = view(rule("seriesQuery: a", PODS, f"metricsQuery: {query}"), tmp_path)
    parsed = parse_query(query.replace("<<.LabelMatchers>>", ""))
    assert parsed is not None

    found = answered.type_problems(seen, parsed, {"a": frozenset(types)}, frozenset())

    assert [one.code for one in found] == expected


VERSIONS = [("2.53.1", True), ("3.0.0", False), ("3.5.0-rc.1", False), (None, False), ("", False), ("main", False)]


@pytest.mark.parametrize(("version", "expected"), VERSIONS)
def test_names_beyond_the_classic_alphabet(version: str | None, expected: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a column of the table
    """A server that does not say that it is an old Prometheus is not taken for one."""
    (subject,) = subjects(rule("seriesQuery: a", PODS.replace("pod:", "k8s.pod:"), RATE), tmp_path)

    assert bool([*discovered.utf8_names(subject, version)]) is expected


def overlaps(text: str, series: list[str], directory: Path, reported: frozenset[str] = frozenset()) -> list[Problem]:
    """Return the overlaps of the rules of a file in a world of series."""
    catalog = catalog_from(compiled_from(text, directory).rulebook, series)
    return [*discovered.overlaps(catalog, subjects(text, directory), reported)]


TWO = rule("seriesQuery: hits_total", PODS, RATE, 'name: {matches: "^(.*)_total$"}') + rule(
    "seriesQuery: '{__name__=~\"h.*\"}'", PODS, RATE, 'name: {matches: "^(hits)"}'
).removeprefix("rules:\n")


def test_overlapping_series_are_named_with_their_rules(tmp_path: Path) -> None:
    """All metrics that two rules share are one problem, at the rule that wins."""
    (found,) = overlaps(TWO, [HITS], tmp_path)

    assert (found.code, found.rule) == ("live/overlap", "rules[1]")
    assert 'the metric "hits" of pods (and 1 more metric) is claimed by hits_total' in found.message
    assert "hits_total of rule rules[0]" in found.message


def test_overlaps_that_the_files_show_are_not_said_twice(tmp_path: Path) -> None:
    """A rule whose overlap was found without a server is left out."""
    assert overlaps(TWO, [HITS], tmp_path, frozenset({"rules[1]"})) == []


def test_two_series_of_one_rule_can_claim_one_metric(tmp_path: Path) -> None:
    """A name that loses what tells two series apart is an overlap within the rule."""
    text = rule("seriesQuery: '{__name__=~\".*_total\"}'", PODS, RATE, 'name: {matches: "_(total)$"}')

    (found,) = overlaps(text, [HITS, HITS.replace("hits", "misses")], tmp_path)

    assert "by misses_total and by hits_total; this one is served" in found.message


def test_series_that_the_query_does_not_ask_for_claim_nothing(tmp_path: Path) -> None:
    """Where the query names its metrics itself, it makes no difference which series was discovered."""
    text = rule("seriesQuery: '{__name__=~\".*_total\"}'", PODS, "name: {as: x}", "metricsQuery: a{<<.LabelMatchers>>}")

    assert overlaps(text, [HITS, HITS.replace("hits", "misses")], tmp_path) == []
