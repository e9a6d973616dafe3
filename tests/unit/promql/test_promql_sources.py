"""Which selectors a query's values rest on, and how old a value is that rests on several."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest

from adapter.promql.ast import parse_query
from adapter.promql.sources import newest, sources_of

# a query; its selectors; the newest sample of each selector that has one (by its place); the value's
AGES = [
    ("sum(a{x='1'}) by (pod)", ['a{x="1"}'], {0: 5}, 5),
    ("rate(a[2m])", ["a"], {0: 5}, 5),
    ("rate(a[2m] offset 1h)", ["a"], {0: 5}, 5),
    ("rate(a[2m])", ["a"], {}, None),
    ("a / b", ["a", "b"], {0: 5, 1: 3}, 3),
    ("a / b", ["a", "b"], {0: 5}, None),
    ("a and b > 3", ["a", "b"], {0: 2, 1: 3}, 2),
    ("a or b", ["a", "b"], {0: 5, 1: 9}, 5),
    ("a or b", ["a", "b"], {1: 9}, 9),
    ("a or vector(0)", ["a"], {}, math.inf),
    ("a or vector(0)", ["a"], {0: 5}, 5),
    ("a unless b", ["a"], {0: 5}, 5),
    ("a * 2 + time()", ["a"], {0: 5}, 5),
    ("a + a offset 5m", ["a"], {0: 5}, 5),
    ("absent(a)", [], {}, math.inf),
    ("absent(a) * on() b", ["b"], {0: 4}, 4),
    ("histogram_quantile(0.9, sum(rate(a_bucket[5m])) by (le, pod))", ["a_bucket"], {0: 4}, 4),
    ("topk(3, -(a))", ["a"], {0: 4}, 4),
    ("max_over_time((sum(a) / sum(b))[10m:1m])", ["a", "b"], {0: 4, 1: 6}, 4),
    ("1 + 1", [], {}, math.inf),
    ("(a or b) / c", ["a", "b", "c"], {1: 7, 2: 8}, 7),
]


@pytest.mark.parametrize(("text", "selectors", "times", "expected"), AGES)
def test_a_value_is_as_old_as_what_it_needs(
    text: str, selectors: list[str], times: Mapping[int, float], expected: float | None
) -> None:
    """Operators need both sides, `or` the one that has a value, absence none at all."""
    query = parse_query(text)
    assert query is not None
    sources = sources_of(query)

    assert sources is not None
    assert list(sources.selectors) == selectors
    assert newest(sources.tree, times.get) == expected


def test_matchers_joined_by_or_cannot_be_told() -> None:
    """A selector that cannot be written again has no age."""
    query = parse_query('sum({__name__="a" or __name__="b"})')

    assert query is not None
    assert sources_of(query) is None
