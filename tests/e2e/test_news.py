"""Is what comes after the start served without a restart: a metric, and a kind of object?"""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from e2e.rig.load import ask
from e2e.rig.registration import CUSTOM
from e2e.rig.stage import RELIST_SECONDS, Stage, values

SPACE = "news"
_SECONDS = 30.0
GROUP = "e2e.example"
# Kind, whether it lives in namespaces, its label in the rules, path of one object's metric.
KINDS = [
    ("Widget", True, f"{CUSTOM.path}/namespaces/{SPACE}/widgets.{GROUP}/one/wear"),
    ("Region", False, f"{CUSTOM.path}/regions.{GROUP}/one/wear"),
]


@pytest.fixture(scope="module", autouse=True)
def space(stage: Stage) -> Iterator[None]:
    """A namespace for these tests."""
    stage.cluster.create_namespace(SPACE)
    yield
    stage.series.clear()
    stage.cluster.delete_namespace(SPACE)


def test_a_new_metric(stage: Stage) -> None:
    """A metric whose first series is scraped after the start is answered at its next request or relist."""
    path = f"{CUSTOM.path}/namespaces/{SPACE}/metrics/novelty"
    assert ask(stage.api, path).status == httpx.codes.NOT_FOUND

    stage.series.set({f'e2e_novelty{{namespace="{SPACE}"}}': 5})
    stage.prometheus.wait_for("e2e_novelty")
    begin = time.monotonic()
    stage.wait_for(path, timeout_seconds=RELIST_SECONDS * 2)

    print(f"a new metric is answered {time.monotonic() - begin:.1f} s after its first scrape")  # noqa: T201 - a figure
    assert values(stage.cluster.plane.kubectl.raw(path)) == {SPACE: 5}


@pytest.mark.parametrize(("kind", "namespaced", "path"), KINDS, ids=[kind for kind, _, _ in KINDS])
def test_a_new_kind(stage: Stage, kind: str, namespaced: bool, path: str) -> None:  # noqa: FBT001 - a table's column
    """A rule for a kind that is installed after the start begins to serve, in namespaces and in the cluster."""
    label, space = kind.lower(), f',namespace="{SPACE}"' if namespaced else ""
    assert ask(stage.api, path).status == httpx.codes.NOT_FOUND

    stage.cluster.create_crd(kind, group=GROUP, namespaced=namespaced)
    place = {"namespace": SPACE} if namespaced else {}
    stage.cluster.apply({"apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": {"name": "one", **place}})
    stage.series.set({f'e2e_wear{{{label}="one"{space}}}': 4})
    stage.prometheus.wait_for(f'e2e_wear{{{label}="one"}}')
    begin = time.monotonic()
    stage.wait_for(path, timeout_seconds=_SECONDS)

    print(f"a new {kind} is answered {time.monotonic() - begin:.1f} s after its first scrape")  # noqa: T201 - a figure
    assert values(stage.cluster.plane.kubectl.raw(path)) == {"one": 4}
    assert values(stage.cluster.plane.kubectl.raw(path.replace("/one/", "/*/"))) == {"one": 4}
