"""Watches begin before the first question, where there will be one, and readiness waits for them, but not for ever."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path

import pytest
from cluster_rig import ApiServer, Rig, cluster, failure, thing
from relist_rig import FakeBackend, HandClock, Reports
from rules_rig import KINDS, rulebook_from

from adapter.kube.resources import GroupResource
from adapter.kube.selectors import parse_selector
from adapter.runtime.ahead import begin_watches
from adapter.runtime.health import FIRST_OBJECTS_SECONDS, Check, Health
from adapter.runtime.objects import NoObjects
from adapter.runtime.relist import Relist, RelistSettings

pytestmark = pytest.mark.anyio

PODS = "/api/v1/pods"
PODS_RULE = (
    "rules: [{seriesQuery: 'load', resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}}]"
)
SERVICES_RULE = (
    "rules: [{seriesQuery: 'load', resources: {overrides: {namespace: {resource: namespace}, s: {resource: service}}}}]"
)
USE = """
    containerQuery: sum(rate(load{<<.LabelMatchers>>}[1m])) by (<<.GroupBy>>)
    resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
    containerLabel: container
"""
USE_RULE = f"\nresourceRules:\n  window: 1m\n  cpu:{USE}  memory:{USE}"
BEGUN = [
    (PODS_RULE, ['load{namespace="a",pod="p"}'], ["list /api/v1/pods?limit=500"]),
    (PODS_RULE, ['other{namespace="a",pod="p"}'], []),
    (PODS_RULE, ['load{namespace="a"}'], []),
    (SERVICES_RULE, ['load{namespace="a",s="p"}'], []),
    (USE_RULE, [], ["list /api/v1/pods?fieldSelector=status.phase%3DRunning&limit=500"]),
    (PODS_RULE + USE_RULE, ['load{namespace="a",pod="p"}'], ["list /api/v1/pods?limit=500", "list /api/v1/pods?field"]),
]


def relist_of(text: str, folder: Path, *series: str) -> Relist:
    """Return a relist of rules over series."""

    async def kinds() -> object:
        return KINDS

    return Relist(
        rulebook=rulebook_from(text, folder),
        backend=FakeBackend(series_there=list(series)),
        kinds=kinds,  # type: ignore[arg-type]  # it returns kinds
        settings=RelistSettings(interval_seconds=60.0, max_age_seconds=60.0, concurrency=4),
        clocks=HandClock().clocks(),
        observer=Reports(),
    )


def shop() -> ApiServer:
    """Return a server with a pod."""
    return ApiServer(objects={PODS: [thing("web-0", app="web")]})


def lists(rig: Rig) -> list[str]:
    """Return the LISTs of pods so far."""
    return [one for one in rig.server.asked if one.startswith(f"list {PODS}")]


async def names(rig: Rig) -> tuple[str, ...]:
    """Return what a selector picks."""
    kind = await rig.objects.look_up_kind(GroupResource("pods"))
    assert kind is not None
    return await rig.objects.names(kind, "shop", parse_selector("app=web"))


@pytest.mark.parametrize(("rules", "series", "expected"), BEGUN)
async def test_pods_are_watched_as_soon_as_they_have_metrics(
    tmp_path: Path, rules: str, series: list[str], expected: list[str]
) -> None:
    """The first catalog with metrics of pods begins their watch; other objects, which HPAs name, begin none."""
    async with cluster(tmp_path, shop()) as rig:
        await rig.objects.refresh_kinds()
        relist = relist_of(rules, tmp_path, *series)
        relist.swapped = partial(begin_watches, rig.objects)
        await relist.relist()
        await relist.relist()
        await rig.settle()

        assert len(lists(rig)) == len(expected)
        assert all(one.startswith(begin) for one, begin in zip(lists(rig), expected, strict=True))
        await relist.close()


async def test_the_first_question_finds_what_was_begun_ahead(tmp_path: Path) -> None:
    """Nothing is listed twice, and what nobody asks for during an hour ends and is not begun again."""
    async with cluster(tmp_path, shop()) as rig:
        await rig.objects.refresh_kinds()
        rig.objects.expect_pods(running=False)
        assert list(rig.objects.syncing) == ["pods"]
        await rig.until(lambda: rig.server.watches)
        assert not rig.objects.syncing
        assert await names(rig) == ("web-0",)
        assert len(lists(rig)) == 1

        rig.time.now += 3601
        rig.server.watches[0].end()
        await rig.until(lambda: "pods stopped" in rig.told.states)
        rig.objects.expect_pods(running=False)
        await rig.settle()
        assert len(lists(rig)) == 1


async def test_what_may_not_be_watched_is_told_when_somebody_asks(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A missing permission that nobody needs is no warning; the first question makes it one, once."""
    server = shop()
    server.objects["/api/v1/namespaces/shop/pods"] = [thing("web-0", app="web")]
    server.fail("list /api/v1/pods", failure(403))
    caplog.set_level(logging.WARNING)
    async with cluster(tmp_path, server) as rig:
        await rig.objects.refresh_kinds()
        rig.objects.expect_pods(running=False)
        await rig.until(lambda: "pods listing" in rig.told.states)
        assert (caplog.messages, rig.objects.syncing, rig.objects.problems) == ([], (), ())

        assert await names(rig) == ("web-0",)
        assert await names(rig) == ("web-0",)
        assert [text.partition(":")[0] for text in caplog.messages] == ["listed for each request instead of watched"]


class Syncing(NoObjects):
    """Objects that are listed until a test says otherwise."""

    syncing: tuple[str, ...] = ("pods",)


def first_objects(health: Health) -> Check:
    """Return the check."""
    return next(check for check in health.checks("readyz") if check.name == "first-objects")


@pytest.mark.parametrize("how", ["listed", "late"])
async def test_readiness_waits_for_the_pods_and_not_for_ever(tmp_path: Path, how: str) -> None:
    """Until the first LIST has ended, or half a minute has passed, a replica is not ready; then it stays so."""
    clock, objects, relist = HandClock(), Syncing(KINDS), relist_of(PODS_RULE, tmp_path)
    health = Health(
        relist=relist, objects=objects, rules=_Rules(), backend="b", clocks=clock.clocks(), started_at=clock.now
    )
    await relist.relist()
    clock.now += 2

    waiting = first_objects(health)
    assert (waiting.ok, waiting.detail) == (False, "pods are still being listed after 2.0 s")
    if how == "late":
        clock.now += FIRST_OBJECTS_SECONDS
    else:
        objects.syncing = ()
    assert first_objects(health) == Check(name="first-objects", ok=True)
    objects.syncing = ("pods?status.phase=Running",)
    assert first_objects(health).ok
    assert "first-objects" not in [check.name for probe in ("livez", "healthz") for check in health.checks(probe)]
    await relist.close()


class _Rules:
    """Rules without a problem."""

    problems = ()
