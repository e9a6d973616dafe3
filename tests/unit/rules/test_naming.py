"""Series names become API names as Go's regexp would make them."""

from __future__ import annotations

import pytest

from adapter.rules.naming import NameFilter, Naming, compile_pattern, default_expansion, references

# pattern, expansion, series, API name (Go 1.26 regexp.Expand gives the same)
EXPANSIONS = [
    ("^(.*)_total$", "${1}_per_second", "http_requests_total", "http_requests_per_second"),
    ("^(.*)_total$", "$1", "http_requests_total", "http_requests"),
    ("^(.*)_total$", "$1_per_second", "http_requests_total", ""),
    ("^(.*)_total$", "$1-rate", "http_requests_total", "http_requests-rate"),
    ("^(?P<what>.*)_total$", "${what}_rate", "http_requests_total", "http_requests_rate"),
    ("^(?P<what>.*)_total$", "$what", "http_requests_total", "http_requests"),
    ("^(a)(b)?", "$1$2", "ac", "a"),
    (".*", "$0", "up", "up"),
    ("up", "fixed", "up", "fixed"),
    ("(up)", "$$1", "up", "$1"),
    ("(up)", "$", "up", "$"),
    ("(up)", "a$", "up", "a$"),
    ("(up)", "${1", "up", "${1"),
    ("(up)", "${}", "up", "${}"),
    ("(up)", "$2", "up", ""),
    ("(up)", "${01}", "up", ""),
    ("(up)", "$1$1", "up", "upup"),
    ("p", "x", "up", "x"),
    ("^container_(.*)_seconds_total$", "$1", "container_cpu_usage_seconds_total", "cpu_usage"),
    ("(?i)^UP$", "$0", "up", "up"),
]


@pytest.mark.parametrize(("pattern", "expansion", "series", "expected"), EXPANSIONS)
def test_names_follow_go(pattern: str, expansion: str, series: str, expected: str) -> None:
    """Only the expansion becomes the name; unknown groups are empty and what was not matched is dropped."""
    naming = Naming(matches=compile_pattern(pattern), expansion=expansion)

    assert naming.metric_name(series) == expected


def test_a_name_that_does_not_match_has_no_api_name() -> None:
    """A series outside `name.matches` is no metric, rather than one with an odd name."""
    naming = Naming(matches=compile_pattern("^a$"), expansion="$0")

    assert naming.metric_name("b") is None


@pytest.mark.parametrize(
    ("pattern", "expected"), [(".*", "$0"), ("(.*)_total", "$1"), ("(a)(b)", None), ("(?:a)", "$0")]
)
def test_the_default_expansion_counts_the_groups(pattern: str, expected: str | None) -> None:
    """Without `as` the whole name is taken, or the only group; several groups need one."""
    assert default_expansion(compile_pattern(pattern)) == expected


FILTERS = [
    ("_total", True, "http_requests_total", True),
    ("_total", True, "http_requests", False),
    ("_total", False, "http_requests_total", False),
    ("_total", False, "http_requests", True),
    ("^_total", True, "http_requests_total", False),
    ("", True, "anything", True),
]


@pytest.mark.parametrize(("pattern", "wanted", "series", "passes"), FILTERS)
def test_filters_search_anywhere_in_the_name(*, pattern: str, wanted: bool, series: str, passes: bool) -> None:
    """Filters are searches, not anchored, as Go's MatchString."""
    assert NameFilter(pattern=compile_pattern(pattern), wanted=wanted).passes(series) is passes


def test_the_first_refusing_filter_is_named() -> None:
    """Filters are ANDed, and the one that refuses a series can be shown."""
    takes = NameFilter(pattern=compile_pattern("a"), wanted=True)
    refuses = NameFilter(pattern=compile_pattern("b"), wanted=False)
    naming = Naming(filters=(takes, refuses), matches=compile_pattern(".*"), expansion="$0")

    assert naming.refused_by("ab") is refuses
    assert naming.refused_by("ac") is None


@pytest.mark.parametrize("pattern", ["(", "a{2,1}", "(?=a)", r"(a)\1", "[z-a]", "*"])
def test_what_re2_does_not_know_is_refused_with_its_reason(pattern: str) -> None:
    """A pattern that Go would refuse is a ValueError that says why, never a slow match."""
    with pytest.raises(ValueError, match=r"\w"):
        compile_pattern(pattern)


def test_references_name_the_groups_of_an_expansion() -> None:
    """The groups that an expansion refers to can be compared with those that there are."""
    assert references("$1_x ${2} $$ $name") == ("1_x", "2", "name")


MAY_GIVE = [
    ("rps", "rps", True),
    ("rps", "other", False),
    ("$1", "anything", True),
    ("${1}_per_second", "http_requests_per_second", True),
    ("${1}_per_second", "_per_second", True),
    ("${1}_per_second", "http_requests", False),
    ("http_$1", "http_requests", True),
    ("http_$1", "grpc_requests", False),
    ("a${1}b${2}c", "a1b2c", True),
    ("a${1}b${2}c", "abc", True),
    ("a${1}b${2}c", "a1c", False),
    ("a${1}bc", "abc", True),
    ("ab${1}bc", "abc", False),  # the parts do not overlap
    ("$$${1}", "$x", True),
    ("$$${1}", "x", False),
    ("${1}_${2}_${3}", "_" * 60_000 + "x", True),
]


@pytest.mark.parametrize(("expansion", "metric", "may"), MAY_GIVE, ids=lambda value: str(value)[:24])
def test_which_names_an_expansion_may_give(expansion: str, metric: str, *, may: bool) -> None:
    """What stands around the groups of an expansion stands in each name that it gives; the groups may hold anything."""
    naming = Naming(matches=compile_pattern("(.*)(.*)(.*)"), expansion=expansion)

    assert naming.may_give(metric) is may
