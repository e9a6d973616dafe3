"""Kinds from API discovery, aggregated and legacy, and what is missing from it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cluster_rig import CORE, ApiServer, cluster, discovery, failure, group, resource

from adapter.errors import KubernetesUnavailable
from adapter.kube.resources import GroupResource, parse_group_resource

pytestmark = pytest.mark.anyio

OURS = group("custom.metrics.k8s.io", {"v1beta2": [resource("pods", "MetricValueList")]})
AGGREGATED = discovery(
    group("apps", {"v1": [resource("deployments", "Deployment")]}),
    group("extensions", {"v1beta1": [resource("deployments", "Deployment"), resource("jobs", "Job")]}),
    group(
        "autoscaling",
        {"v2": [resource("scalers", "Scaler")], "v1": [resource("scalers", "Scaler"), resource("olds", "Old")]},
    ),
    group("authorization.k8s.io", {"v1": [resource("reviews", "Review", verbs=("create",))]}),
    group("example.com", {"v1": [resource("zones", "Zone", namespaced=False)]}),
    OURS,
)
LEGACY: dict[str, Any] = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/api/v1": {
        "kind": "APIResourceList",
        "groupVersion": "v1",
        "resources": [
            {"name": "pods", "singularName": "", "namespaced": True, "kind": "Pod", "verbs": ["get", "list"]},
            {"name": "pods/status", "singularName": "", "namespaced": True, "kind": "Pod", "verbs": ["get"]},
            {"name": "bindings", "singularName": "", "namespaced": True, "kind": "Binding", "verbs": ["create"]},
        ],
    },
    "/apis": {
        "kind": "APIGroupList",
        "groups": [
            {
                "name": "autoscaling",
                "versions": [
                    {"groupVersion": "autoscaling/v1", "version": "v1"},
                    {"groupVersion": "autoscaling/v2", "version": "v2"},
                ],
                "preferredVersion": {"groupVersion": "autoscaling/v2", "version": "v2"},
            },
            {
                "name": "custom.metrics.k8s.io",
                "versions": [{"groupVersion": "custom.metrics.k8s.io/v1beta1", "version": "v1beta1"}],
            },
        ],
    },
    "/apis/autoscaling/v1": {
        "resources": [{"name": "scalers", "namespaced": True, "kind": "Scaler", "verbs": ["list"]}]
    },
    "/apis/autoscaling/v2": {
        "resources": [{"name": "scalers", "namespaced": True, "kind": "Scaler", "verbs": ["list"]}]
    },
}

MEANINGS = [
    ("pods", "Pod v1"),
    ("pod", "Pod v1"),
    ("nodes", "Node v1"),
    ("deployments", "Deployment apps/v1"),
    ("deployments.extensions", "Deployment extensions/v1beta1"),
    ("jobs", "Job extensions/v1beta1"),
    ("scalers", "Scaler autoscaling/v2"),
    ("olds.autoscaling", "Old autoscaling/v1"),
    ("zones.example.com", "Zone example.com/v1"),
    ("reviews", None),
    ("pods.custom.metrics.k8s.io", None),
]


@pytest.mark.parametrize(("text", "meaning"), MEANINGS)
async def test_a_resource_means_what_the_server_lists_first(tmp_path: Path, text: str, meaning: str | None) -> None:
    """Groups count in the server's order, versions in theirs; what cannot be listed, and our own metrics, do not."""
    async with cluster(tmp_path, ApiServer(documents={"/api": CORE, "/apis": AGGREGATED})) as rig:
        found = await rig.objects.look_up_kind(parse_group_resource(text))

        assert (found and f"{found.kind} {found.api_version.strip('/')}") == meaning
        if text.startswith("zones"):
            assert found is not None
            assert not found.namespaced


async def test_an_old_server_is_asked_group_by_group(tmp_path: Path) -> None:
    """Without the aggregated form every group version is asked, but never our own: that would be to wait for us."""
    server = ApiServer(documents=LEGACY)
    async with cluster(tmp_path, server) as rig:
        pods = await rig.objects.look_up_kind(GroupResource("pod"))
        scalers = await rig.objects.look_up_kind(GroupResource("scalers"))

        assert (pods and pods.namespaced, scalers and scalers.version) == (True, "v2")
        assert [str(kind.group_resource) for kind in rig.objects.kinds] == ["pods", "scalers.autoscaling"]
        assert not [one for one in server.asked if "custom.metrics" in one]


async def test_a_group_that_fails_keeps_its_kinds_and_hides_only_its_own(tmp_path: Path) -> None:
    """A failing group is no absent group: what it had stays, and what it may have is an error, not a 404."""
    server = ApiServer(documents=LEGACY)
    server.fail("list /apis/autoscaling/v1", failure(503))
    async with cluster(tmp_path, server) as rig:
        assert await rig.objects.look_up_kind(GroupResource("scalers")) is not None
        assert rig.objects.problems == ("discovery of autoscaling/v1 fails",)
        rig.time.now += 10
        server.fail("list /apis/autoscaling/v2", failure(503))
        with pytest.raises(KubernetesUnavailable, match="autoscaling"):
            await rig.objects.look_up_kind(GroupResource("others", "autoscaling"))
        assert rig.objects.kinds.resolve(GroupResource("scalers")) is not None
        assert await rig.objects.look_up_kind(GroupResource("others")) is None


async def test_a_stale_group_keeps_its_kinds(tmp_path: Path) -> None:
    """In the aggregated form a group whose server is away is stale, and may have lost its resources."""
    server = ApiServer(documents={"/apis": AGGREGATED})
    async with cluster(tmp_path, server) as rig:
        await rig.objects.refresh_kinds()
        rig.time.now += 10
        server.documents["/apis"] = discovery(group("example.com", {"v1": []}, freshness="Stale"))
        await rig.objects.refresh_kinds()

        assert rig.objects.kinds.resolve(GroupResource("zones")) is not None
        assert rig.objects.kinds.resolve(GroupResource("scalers")) is None


async def test_a_kind_that_comes_later_is_found_when_it_is_missed(tmp_path: Path) -> None:
    """A miss reads discovery again, once for all who miss something within seconds."""
    server = ApiServer()
    widget = GroupResource("widgets", "example.com")
    async with cluster(tmp_path, server) as rig:
        await rig.objects.refresh_kinds()
        before = rig.objects.kinds
        server.documents["/apis"] = discovery(group("example.com", {"v1": [resource("widgets", "Widget")]}))

        assert await rig.objects.look_up_kind(widget) is None
        rig.time.now += 6
        found = await asyncio.gather(*(rig.objects.look_up_kind(widget) for _ in range(20)))

        assert all(one is not None for one in found)
        assert server.calls("list", "/apis") == 2
        assert rig.objects.kinds is not before


async def test_nobody_knows_before_discovery_was_answered(tmp_path: Path) -> None:
    """Until the first answer a kind is not absent but unknown; what is known survives a failure."""
    server = ApiServer()
    heal = server.fail("list /apis", httpx2.ConnectError("refused"))
    async with cluster(tmp_path, server) as rig:
        with pytest.raises(KubernetesUnavailable, match="refused"):
            await rig.objects.synced_kinds()
        rig.time.now += 1
        with pytest.raises(KubernetesUnavailable, match="refused"):
            await rig.objects.look_up_kind(GroupResource("pods"))
        assert rig.objects.problems
        heal()
        rig.time.now += 1
        assert await rig.objects.look_up_kind(GroupResource("pods")) is not None
        rig.time.now += 10
        server.fail("list /apis", httpx2.ConnectError("refused"))

        assert await rig.objects.look_up_kind(GroupResource("nothing")) is None
        assert (await rig.objects.synced_kinds()) is rig.objects.kinds
        assert rig.objects.kinds.resolve(GroupResource("pods")) is not None


async def test_the_loop_reads_soon_again_after_a_failure_and_seldom_after_a_success(tmp_path: Path) -> None:
    """Pauses grow while discovery fails; the table of kinds is the same object while nothing changes."""
    server = ApiServer()
    heal = server.fail("list /apis", failure(503))
    async with cluster(tmp_path, server) as rig:
        loop = asyncio.create_task(rig.objects.run())
        for reads in range(1, 7):
            await rig.until(lambda wanted=reads: len(rig.time.pauses) == wanted)
            rig.time.pass_(11)
        heal()
        await rig.until(lambda: len(rig.time.pauses) == 7)
        kinds = rig.objects.kinds
        rig.time.pass_(301)
        await rig.until(lambda: len(rig.time.pauses) == 8)
        loop.cancel()

        assert rig.time.pauses[:6] == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
        assert rig.time.pauses[6:] == [300.0, 300.0]
        assert rig.objects.kinds is kinds
        assert rig.told.lines[-1] == "kinds ok 3 0"


async def test_the_loop_outlives_what_nobody_foresaw(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A fault of ours is logged, is an error to who asks for kinds, and is tried again like any other failure."""
    server = ApiServer()
    heal = server.fail("list /apis", ValueError("nobody foresaw this"))
    async with cluster(tmp_path, server) as rig:
        loop = asyncio.create_task(rig.objects.run())
        await rig.until(lambda: rig.time.pauses)
        with pytest.raises(KubernetesUnavailable, match="API discovery failed"):
            await rig.objects.synced_kinds()
        assert rig.objects.problems == ("API discovery failed",)
        heal()
        rig.time.pass_(11)
        await rig.until(lambda: len(rig.time.pauses) == 2)
        loop.cancel()

        assert rig.objects.problems == ()
        assert await rig.objects.look_up_kind(GroupResource("pods")) is not None
        assert "nobody foresaw this" in caplog.text
