"""No object of a cluster, however odd, and no answer, however broken, ends the look with anything but a report."""

from __future__ import annotations

import asyncio
import copy
import io
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from doctor_cluster import FakeCluster, documents, facts_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapter.cli.doctor_report import Report, document_of, write_text_report
from adapter.cli.output import Streams
from adapter.doctor.checks import examine

ODD: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, -1, 2**40, 2**62, 1.5, "", "x", "../../x", "/", "\0", "é\n\x1b[31m", "$(A)", "http://[", "*", "%", "443"]),
    st.text(max_size=20),
    st.lists(st.one_of(st.none(), st.text(max_size=3), st.integers(), st.just({})), max_size=3),
    st.dictionaries(st.text(max_size=5), st.one_of(st.none(), st.text(max_size=5), st.just([])), max_size=2),
)  # fmt: skip
HEALTHY = documents()


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of everything in a document."""
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*path, key))
    if isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, (*path, index))


PLACES = [(path, place) for path, document in HEALTHY.items() if path != "/version" for place in places(document)]


def look(cluster: FakeCluster) -> None:
    """Look, and write what was found in both formats."""
    with tempfile.TemporaryDirectory() as folder:
        facts = asyncio.run(facts_of(cluster, Path(folder)))
    report = Report(server=facts.server, outcomes=examine(facts))
    out = io.StringIO()
    write_text_report(report, Streams(out=out, err=out))
    json.dumps(document_of(report), allow_nan=False)
    assert "\x1b" not in out.getvalue()


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(changes=st.lists(st.tuples(st.sampled_from(PLACES), ODD), min_size=1, max_size=4))
def test_odd_objects(changes: list[tuple[tuple[str, tuple[str | int, ...]], Any]]) -> None:
    """Whatever stands in place of what should, a report comes of it."""
    odd = copy.deepcopy(HEALTHY)
    for (path, place), value in changes:
        inner: Any = odd
        try:
            for key in (path, *place)[:-1]:
                inner = inner[key]
            inner[(path, *place)[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue  # another change has taken this place away

    look(FakeCluster(documents={key: value for key, value in odd.items() if not isinstance(value, bool | float | int)}))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    path=st.sampled_from([one for one in HEALTHY if one != "/version"]),
    answer=st.one_of(st.sampled_from([301, 401, 403, 404, 429, 500, 503]), st.text(max_size=30), st.binary(max_size=9)),
)
def test_odd_answers(path: str, answer: Any) -> None:
    """Whatever one path is answered with, a report comes of it."""
    cluster = FakeCluster(
        documents={**HEALTHY, path: answer.decode("latin-1") if isinstance(answer, bytes) else answer}
    )

    look(cluster)
