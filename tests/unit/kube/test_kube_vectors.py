"""Every recorded line has a reader."""

from __future__ import annotations

from collections import Counter

from kube_vectors import SELECTORS_AND_MORE, lines

# The OPTS lines are list options, which the server reads; all the others are read by the modules beside this one.
READ = {"LABEL": 65, "FIELD": 19, "DUR": 16, "DURJSON": 12, "TIME": 7, "GR": 7}
READ_BY_THE_SERVER = {"OPTS": 26}


def test_every_line_has_a_reader() -> None:
    """A line of a new sort, or a sort with more lines, cannot lie there unread."""
    words = Counter(line.split(" ", 1)[0] for line in lines(SELECTORS_AND_MORE))

    assert words == READ | READ_BY_THE_SERVER
