"""Do real HorizontalPodAutoscalers follow the metrics, hold when there are none, and go on afterwards?"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import httpx
import pytest
from rig.processes import wait_until

from e2e.rig import objects
from e2e.rig.audit import Entry
from e2e.rig.control_plane import SYNC_SECONDS
from e2e.rig.load import Load, ask
from e2e.rig.objects import Document
from e2e.rig.registration import CUSTOM, EXTERNAL, RESOURCE
from e2e.rig.stage import RELIST_SECONDS, Stage

SPACE = "autoscaling"
_AUTOSCALER = "system:serviceaccount:kube-system:horizontal-pod-autoscaler"
_SECONDS = 60.0
_SYNCS = 3  # so many more looks of an autoscaler must change nothing
_CALLER_SECONDS = 10.0  # no request may take longer, whatever Prometheus does
_AVERAGE = 10  # the target of every metric, for each pod; of cpu in tenths of a core


@dataclass(slots=True, kw_only=True)
class Case:
    """A Deployment, its autoscaler's metric, and the load that a test sets."""

    name: str
    metric: Document
    path: str
    total: float = 0.0
    reason: str = ""  # of ScalingActive=False
    follow: Callable[[Stage, Case], None] = field(default=lambda _stage, _case: None)

    @property
    def wanted(self) -> int:
        """The replicas that the documented formula gives: ceil(usage / target)."""
        return math.ceil(self.total / _AVERAGE)


def _share(metric: str, factor: float = 1.0) -> Callable[[Stage, Case], None]:
    def follow(stage: Stage, case: Case) -> None:
        stage.follow_load(SPACE, case.name, lambda: case.total * factor, metric=metric)

    return follow


def _whole(series: str) -> Callable[[Stage, Case], None]:
    def follow(stage: Stage, case: Case) -> None:
        stage.series.follow(lambda: {series: case.total})

    return follow


def cases() -> list[Case]:
    """Return one case for each type of metric."""
    custom, external = f"{CUSTOM.path}/namespaces/{SPACE}", f"{EXTERNAL.path}/namespaces/{SPACE}"
    return [
        Case(
            name="by-pods",
            metric=objects.pods_metric("load", average=str(_AVERAGE)),
            path=f"{custom}/pods/*/load?labelSelector=app%3Dby-pods",
            reason="FailedGetPodsMetric",
            follow=_share("e2e_load{{{}}}"),
        ),
        Case(
            name="by-object",
            metric=objects.object_metric(
                "backlog", api_version="apps/v1", kind="Deployment", name="by-object", average=str(_AVERAGE)
            ),
            path=f"{custom}/deployments.apps/by-object/backlog",
            reason="FailedGetObjectMetric",
            follow=_whole(f'e2e_backlog{{namespace="{SPACE}",deployment="by-object"}}'),
        ),
        Case(
            name="by-external",
            metric=objects.external_metric("queue_depth", average=str(_AVERAGE), selector={"queue": "orders"}),
            path=f"{external}/queue_depth?labelSelector=queue%3Dorders",
            reason="FailedGetExternalMetric",
            follow=_whole(f'e2e_queue_depth{{namespace="{SPACE}",queue="orders"}}'),
        ),
        Case(
            name="by-cpu",
            metric=objects.resource_metric("cpu", average=str(_AVERAGE / 10)),
            path=f"{RESOURCE.path}/namespaces/{SPACE}/pods?labelSelector=app%3Dby-cpu",
            reason="FailedGetResourceMetric",
            follow=_share('e2e_cpu_cores{{container="main",{}}}', factor=0.1),
        ),
    ]


@pytest.fixture(scope="module")
def world(stage: Stage) -> Iterator[list[Case]]:
    """A Deployment of two pods with an autoscaler for each type of metric, and their series."""
    found = cases()
    stage.cluster.create_namespace(SPACE)
    for case in found:
        case.total = 20
        stage.cluster.apply(objects.deployment(case.name, SPACE, replicas=2))
        case.follow(stage, case)
    # Memory is never the measure here, but a pod without it is no pod of metrics.k8s.io.
    stage.follow_load(SPACE, "by-cpu", lambda: 2.0**20, metric='e2e_memory_bytes{{container="main",{}}}')
    for case in found:
        wait_until(case.path, partial(_answers, stage, case), timeout_seconds=_SECONDS)
        stage.cluster.apply(objects.hpa(case.name, SPACE, metrics=[case.metric]))
    for case in found:
        wait_until(f"{case.name} to scale", partial(_is_active, stage, case), timeout_seconds=_SECONDS)
    yield found
    stage.series.clear()
    stage.cluster.delete_namespace(SPACE)


def _answers(stage: Stage, case: Case) -> bool:
    answered = ask(stage.api, case.path)
    return answered.status == httpx.codes.OK and '"items":[]' not in answered.text


def _is_active(stage: Stage, case: Case) -> bool:
    return stage.cluster.has_condition("HorizontalPodAutoscaler", case.name, "ScalingActive", SPACE)


def _replicas(stage: Stage, case: Case) -> int:
    found = stage.cluster.get("Deployment", case.name, SPACE) or {}
    return int(found["spec"]["replicas"])


def _has_followed(stage: Stage, case: Case) -> bool:
    found = stage.cluster.get("Deployment", case.name, SPACE) or {}
    return bool(found["status"].get("readyReplicas") == found["spec"]["replicas"] == case.wanted)


def _wait_for_looks(stage: Stage, world: list[Case]) -> None:
    """Wait until each autoscaler has asked some times more."""
    audit = stage.cluster.plane.audit
    audit.forget()

    def looks(case: Case) -> int:
        wanted = case.path.partition("?")[0].replace("*", "%2A")
        return audit.count(lambda one: _asked(one, wanted, case.name))

    wait_until(
        "the autoscalers to look", lambda: all(looks(case) >= _SYNCS for case in world), timeout_seconds=_SECONDS * 2
    )


def _asked(one: Entry, wanted: str, name: str) -> bool:
    path = one.path.replace("*", "%2A")
    own = f"app%3D{name}" in path or "app%3D" not in path
    return one.user == _AUTOSCALER and path.partition("?")[0] == wanted and own


def test_they_scale_by_the_documented_formula(stage: Stage, world: list[Case]) -> None:
    """Each type of metric takes its Deployment up and down to ceil(usage / target) replicas, and leaves it there."""
    for total in (47, 18):
        for case in world:
            case.total = total
        begin = time.monotonic()
        for case in world:
            wait_until(
                f"{case.name} to have {case.wanted} pods",
                partial(_has_followed, stage, case),
                timeout_seconds=_SECONDS,
            )
        print(f"{world[0].wanted} pods each after {time.monotonic() - begin:.1f} s")  # noqa: T201 - a figure
        _wait_for_looks(stage, world)
        assert {case.name: _replicas(stage, case) for case in world} == {case.name: case.wanted for case in world}


FAILURES: dict[str, Callable[[Stage], None]] = {
    "dies": lambda stage: stage.prometheus.kill(forget=True),
    "hangs": lambda stage: stage.prometheus.hang(),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_they_hold_and_recover(stage: Stage, world: list[Case], failure: str) -> None:
    """Without Prometheus no autoscaler moves and each request fails in time; with it they go on, by a catalog that was kept."""
    before = {case.name: _replicas(stage, case) for case in world}
    for case in world:
        case.total = 90  # what they would follow, if they could see it

    with contextlib.ExitStack() as stack:
        loads = [stack.enter_context(Load([stack.enter_context(stage.admin())], [case.path])) for case in world]
        FAILURES[failure](stage)
        for case in world:
            wait_until(
                f"{case.name} to notice",
                partial(_has_noticed, stage, case),
                timeout_seconds=_SECONDS,
            )
        _wait_for_looks(stage, world)
        answers = [ask(stage.api, case.path) for case in world]

    print(f"Prometheus {failure}: {[load.summary() for load in loads]}")  # noqa: T201 - figures
    assert [one.path for one in answers if one.status < httpx.codes.INTERNAL_SERVER_ERROR] == []
    under_way = [one for load in loads for one in load.answers]
    assert [one for one in under_way if one.seconds > _CALLER_SECONDS] == []
    assert [
        one for one in under_way if one.status != httpx.codes.OK and one.status < httpx.codes.INTERNAL_SERVER_ERROR
    ] == []
    assert [one for one in under_way if one.status == httpx.codes.OK and '"items":[]' in one.text] == []
    assert {case.name: _replicas(stage, case) for case in world} == before

    listed = _recover(stage, failure)
    begin = time.monotonic()
    for case in world:
        wait_until(case.path, partial(_answers, stage, case), timeout_seconds=RELIST_SECONDS)
    print(f"answers {time.monotonic() - begin:.1f} s after the first scrape (period: {RELIST_SECONDS} s)")  # noqa: T201 - a figure
    assert [names for names in listed if "pods/load" not in names] == []
    for case in world:
        wait_until(
            f"{case.name} to have {case.wanted} pods",
            partial(_has_followed, stage, case),
            timeout_seconds=_SECONDS + SYNC_SECONDS,
        )
    for case in world:
        case.total = 20
    for case in world:
        wait_until(f"{case.name} to calm", partial(_has_followed, stage, case), timeout_seconds=_SECONDS)


def _has_noticed(stage: Stage, case: Case) -> bool:
    found = stage.cluster.condition("HorizontalPodAutoscaler", case.name, "ScalingActive", SPACE) or {}
    return bool(found.get("reason") == case.reason)


def _recover(stage: Stage, failure: str) -> list[list[str]]:
    """Bring Prometheus back, and return what discovery listed at each look until its first scrape."""
    listed: list[list[str]] = []
    if failure == "hangs":
        stage.prometheus.resume()
    else:
        stage.prometheus.start()

    def scraped() -> bool:
        resources = stage.api.get(CUSTOM.path).raise_for_status().json()["resources"]
        listed.append([item["name"] for item in resources])
        return bool(stage.prometheus.values("e2e_queue_depth"))

    wait_until("the first scrape", scraped, timeout_seconds=_SECONDS)
    return listed
