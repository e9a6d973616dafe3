"""Objects of a cluster: watched, and what happens when that is not possible."""

from __future__ import annotations

import gc
from pathlib import Path
from urllib.parse import unquote

import httpx2
import pytest
from cluster_rig import ApiServer, Rig, Watching, cluster, failure, thing

from adapter.errors import KubernetesForbidden, KubernetesNotFound, KubernetesUnavailable, ObjectsUnavailable
from adapter.kube.resources import GroupResource, Kind
from adapter.kube.selectors import EVERYTHING, parse_selector
from adapter.runtime.watch.ports import WatchSettings

pytestmark = pytest.mark.anyio

PODS = "/api/v1/pods"
RUNNING = "/api/v1/pods?fieldSelector"


def shop(count: int = 3) -> ApiServer:
    """Return a server with some pods in the namespace `shop` and one elsewhere."""
    pods = [thing(f"web-{number}", app="web", tier="a" if number % 2 else "b") for number in range(count)]
    return ApiServer(objects={PODS: [*pods, thing("web-0", "other", app="web"), thing("lone")]})


async def kind_of(rig: Rig, name: str = "pods") -> Kind:
    """Return a kind of the cluster."""
    found = await rig.objects.look_up_kind(GroupResource(name))
    assert found is not None
    return found


async def names(rig: Rig, selector: str = "", namespace: str = "shop") -> tuple[str, ...]:
    """Return the names of pods."""
    picked = await rig.objects.picked(await kind_of(rig), namespace, parse_selector(selector))
    assert list(picked) == sorted(picked, key=lambda one: (one.namespace, one.name))
    return tuple(one.name for one in picked)


async def watched(rig: Rig, number: int = 1) -> Watching:
    """Return the last watch, when there are so many."""
    await rig.until(lambda: len(rig.server.watches) >= number)
    return rig.server.watches[-1]


SELECTORS = [
    ("app=web", "shop", ("web-0", "web-1", "web-2")),
    ("app=web,tier!=a", "shop", ("web-0", "web-2")),
    ("tier in (a)", "shop", ("web-1",)),
    ("tier", "shop", ("web-0", "web-1", "web-2")),
    ("!app", "shop", ("lone",)),
    ("app notin (web)", "shop", ("lone",)),
    ("", "shop", ("lone", "web-0", "web-1", "web-2")),
    ("app=web", "", ("web-0", "web-0", "web-1", "web-2")),
    ("app=web", "other", ("web-0",)),
    ("app=web", "nowhere", ()),
    ("app=nobody", "shop", ()),
    ("", "..", ()),
    ("", "shop?limit=1", ()),
]


@pytest.mark.parametrize(("selector", "namespace", "expected"), SELECTORS)
async def test_a_selector_picks_names(tmp_path: Path, selector: str, namespace: str, expected: tuple[str, ...]) -> None:
    """Objects come by namespace and name, from one namespace or all."""
    async with cluster(tmp_path, shop()) as rig:
        assert await names(rig, selector, namespace) == expected


@pytest.mark.parametrize(("selector", "expected"), [("tier=a,app=web", 60), ("tier in (a, b)", 120), ("tier=c", 0)])
async def test_many_objects_are_found_by_an_index_that_follows_the_events(
    tmp_path: Path, selector: str, expected: int
) -> None:
    """An index gives what looking through all objects gives, before and after changes."""
    async with cluster(tmp_path, shop(120)) as rig:
        before = await names(rig, selector)
        watching = await watched(rig)
        watching.send("MODIFIED", thing("web-1", app="web", tier="c"), "101")
        watching.send("DELETED", thing("web-0", app="web", tier="b"), "102")
        watching.send("ADDED", thing("new", app="web", tier="a"), "103")
        await rig.until(lambda: "event pods ADDED" in rig.told.lines)

        assert len(before) == expected
        after = {"tier=a,app=web": 60, "tier in (a, b)": 119, "tier=c": 1}
        assert len(await names(rig, selector)) == after[selector]


async def test_no_request_lists_in_the_steady_state(tmp_path: Path) -> None:
    """A hundred requests cost the LIST and the watch of the first one."""
    async with cluster(tmp_path, shop()) as rig:
        for _ in range(100):
            await names(rig, "app=web")
        await watched(rig)

        assert (rig.server.calls("list"), rig.server.calls("watch")) == (1, 1)
        assert rig.server.watches[0].parameters["resourceVersion"] == "100"
        assert rig.server.watches[0].parameters["allowWatchBookmarks"] == "true"
        assert rig.told.states == ["pods syncing", "pods live"]
        assert rig.told.objects["pods"] == 5


async def test_a_list_comes_in_pages(tmp_path: Path) -> None:
    """Every page is read before the first answer."""
    server = shop(25)
    server.page_objects = 10
    async with cluster(tmp_path, server) as rig:
        assert len(await names(rig)) == 26
        assert [one.rpartition("continue=")[2] for one in server.asked if "continue" in one] == ["10", "20"]


async def test_pages_that_expire_are_listed_anew(tmp_path: Path) -> None:
    """A 410 for the rest of a LIST starts it from its beginning."""
    server = shop(25)
    server.page_objects = 10
    server.fail("continue=20", failure(410), times=1)
    async with cluster(tmp_path, server) as rig:
        kind = await kind_of(rig)
        rig.time.sleep = _no_pause  # type: ignore[method-assign]  # the pause before the second LIST
        rig.objects._timing = rig.time.timing()
        assert len(await rig.objects.picked(kind, "shop", EVERYTHING)) == 26


async def _no_pause(_seconds: float) -> None:
    """Pause for no time."""


async def test_null_is_an_empty_list_and_no_list_is_an_error(tmp_path: Path) -> None:
    """Of nothing Go writes null; an answer that is no list is a failure, and never an empty list."""
    server = ApiServer(objects={PODS: []})
    async with cluster(tmp_path, server) as rig:
        assert await names(rig) == ()

    broken = ApiServer(documents={PODS: {"kind": "Status"}})
    async with cluster(tmp_path, broken) as rig:
        with pytest.raises(KubernetesUnavailable) as caught:
            await names(rig)
        assert caught.value.kind == "bad_answer"


async def test_a_watch_goes_on_where_it_was(tmp_path: Path) -> None:
    """A watch that ends as usual begins again at the last event or bookmark, without a LIST."""
    async with cluster(tmp_path, shop()) as rig:
        await names(rig)
        first = await watched(rig)
        first.send("BOOKMARK", {"metadata": {}}, "150")
        await rig.until(lambda: "event pods BOOKMARK" in rig.told.lines)
        rig.time.now += 400
        first.end()
        second = await watched(rig, 2)

        assert second.parameters["resourceVersion"] == "150"
        assert rig.server.calls("list") == 1
        assert "ended pods ended" in rig.told.lines


@pytest.mark.parametrize("how", ["event", "status"])
async def test_a_version_that_is_gone_leads_to_a_new_list(tmp_path: Path, how: str) -> None:
    """A 410, as a status or as an ERROR event of a good answer, lists again after a pause; the names stay meanwhile."""
    async with cluster(tmp_path, shop()) as rig:
        await names(rig)
        first = await watched(rig)
        rig.time.now += 60
        rig.server.objects[PODS] = [thing("only", app="web")]
        if how == "event":
            first.send("ERROR", {"kind": "Status", "code": 410, "reason": "Expired"})
        else:
            rig.server.fail("watch /api/v1/pods", failure(410), times=1)
            first.end()
        await rig.until(lambda: "ended pods gone" in rig.told.lines)

        assert await names(rig, "app=web") == ("web-0", "web-1", "web-2")
        rig.time.pass_(2)
        await watched(rig, 2)
        assert await names(rig, "app=web") == ("only",)


async def test_an_error_event_in_a_good_answer_is_a_failure(tmp_path: Path) -> None:
    """A server that answers 200 and then says ERROR, again and again, is asked more and more seldom."""
    async with cluster(tmp_path, shop()) as rig:
        await names(rig)
        for number in range(1, 9):
            watching = await watched(rig, number)
            watching.send("ERROR", {"kind": "Status", "code": 500, "message": "etcd"})
            await rig.until(lambda wanted=number: rig.told.lines.count("ended pods status") == wanted)
            rig.time.pass_(11)

        pauses = [pause for pause in rig.time.pauses if pause]
        assert pauses[:6] == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
        with pytest.raises(KubernetesUnavailable, match="have not been heard of"):
            await names(rig)


async def test_the_last_names_stay_for_a_minute_and_not_longer(tmp_path: Path) -> None:
    """A cluster that cannot be asked is no reason for an error at once, and no reason to tell old truths for ever."""
    async with cluster(tmp_path, shop()) as rig:
        await names(rig)
        watching = await watched(rig)
        rig.time.now += 300
        heal = rig.server.fail("pods", httpx2.ConnectError("refused"))
        watching.cut()
        await rig.until(lambda: "pods broken" in rig.told.states)

        rig.time.pass_(55)
        assert await names(rig, "!app") == ("lone",)
        rig.time.pass_(10)
        await rig.settle()
        with pytest.raises(KubernetesUnavailable, match="not been heard of for 65 s"):
            await names(rig)
        assert rig.objects.problems

        heal()
        rig.time.pass_(11)
        second = await watched(rig, 2)
        second.send("ADDED", thing("late"), "200")
        await rig.until(lambda: rig.told.objects["pods"] == 6)
        assert await names(rig, "!app") == ("late", "lone")
        assert rig.objects.problems == ()


async def test_the_first_failure_is_told_at_once(tmp_path: Path) -> None:
    """Who asks before there has ever been a LIST gets the error, and the names as soon as there are any."""
    server = shop()
    heal = server.fail("list /api/v1/pods", httpx2.ConnectError("refused"))
    async with cluster(tmp_path, server) as rig:
        with pytest.raises(KubernetesUnavailable, match="refused"):
            await names(rig)
        heal()
        rig.time.pass_(11)
        await watched(rig)

        assert await names(rig, "!app") == ("lone",)


@pytest.mark.parametrize("verb", ["list", "watch"])
async def test_a_watch_outlives_what_nobody_foresaw(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, verb: str
) -> None:
    """A fault of ours is logged and tried again like any other failure."""
    server = shop()
    heal = server.fail(f"{verb} /api/v1/pods", ValueError("nobody foresaw this"))
    async with cluster(tmp_path, server) as rig:
        if verb == "list":
            with pytest.raises(KubernetesUnavailable, match="the watch of pods failed"):
                await names(rig)
        else:
            await names(rig)
        await rig.until(lambda: "ended pods error" in rig.told.lines)
        heal()
        rig.time.pass_(11)
        (await watched(rig)).send("ADDED", thing("late"), "200")
        await rig.until(lambda: rig.told.objects["pods"] == 6)

        assert await names(rig, "!app") == ("late", "lone")
        assert "nobody foresaw this" in caplog.text


async def test_a_first_list_that_takes_too_long_is_a_timeout(tmp_path: Path) -> None:
    """A request waits for the first LIST for a bounded time."""
    async with cluster(tmp_path, shop(), WatchSettings(sync_timeout_seconds=0)) as rig:
        with pytest.raises(KubernetesUnavailable) as caught:
            await names(rig)
        assert caught.value.kind == "timeout"


async def test_a_forbidden_watch_is_a_list_for_each_selector(tmp_path: Path) -> None:
    """Without the verb watch, selectors are listed, once for all who ask within seconds."""
    server = shop()
    server.objects["/api/v1/namespaces/shop/pods"] = [thing("web-0", app="web")]
    server.fail("watch /api/v1/pods", failure(403))
    async with cluster(tmp_path, server) as rig:
        await names(rig, "app=web")
        await rig.until(lambda: "pods listing" in rig.told.states)
        for _ in range(10):
            assert await names(rig, "app=web") == ("web-0",)
        rig.time.now += 6
        await names(rig, "app=web")

        assert server.calls("list", "/api/v1/namespaces/shop/pods") == 2
        assert "labelSelector=app%3Dweb" in server.asked[-1]
        assert rig.told.lines.count("listed pods request ok 1") == 2


async def test_a_missing_permission_is_named(tmp_path: Path) -> None:
    """Where neither the cluster nor the namespace may be listed, the error says what to grant, and costs one call."""
    server = shop()
    server.fail("pods", failure(403))
    async with cluster(tmp_path, server) as rig:
        for _ in range(3):
            with pytest.raises(KubernetesForbidden) as caught:
                await names(rig)
        assert str(caught.value).startswith("the adapter may not list pods in namespace shop")
        assert server.calls("list", "/api/v1/namespaces/shop/pods") == 1


async def test_a_namespace_may_be_listed_where_the_cluster_may_not(tmp_path: Path) -> None:
    """Rights in one namespace are enough for that namespace."""
    server = ApiServer(objects={"/api/v1/namespaces/shop/pods": [thing("web-0")]})
    server.fail(" /api/v1/pods", failure(403))
    async with cluster(tmp_path, server) as rig:
        assert await names(rig) == ("web-0",)


async def test_too_many_objects_are_listed_by_selector(tmp_path: Path) -> None:
    """A resource with more objects than may be kept is not kept, and a LIST of too many is an error."""
    server = shop(20)
    server.page_objects = 5
    server.objects["/api/v1/namespaces/shop/pods"] = [one for one in server.objects[PODS] if "shop" in str(one)]
    async with cluster(tmp_path, server, WatchSettings(max_objects=10, max_listed_objects=30)) as rig:
        assert len(await names(rig)) == 21
        assert "listed pods sync too_many 0" in rig.told.lines

    async with cluster(tmp_path, server, WatchSettings(max_objects=10, max_listed_objects=15)) as rig:
        with pytest.raises(ObjectsUnavailable, match="more than 15"):
            await names(rig)


async def test_a_page_that_nobody_waits_for_any_more_fails_quietly(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The next page is asked for while one is read; where the first is enough to give up, its failure is nobody's."""
    server = shop(20)
    server.page_objects = 5
    server.objects["/api/v1/namespaces/shop/pods"] = []
    server.fail("continue=", failure(500))
    async with cluster(tmp_path, server, WatchSettings(max_objects=3)) as rig:
        assert await names(rig) == ()
        await rig.settle()
        gc.collect()

        assert "pods listing" in rig.told.states
        assert server.calls("list") == 1
        assert not [one for one in caplog.messages if "never retrieved" in one]


async def test_events_beyond_the_bound_end_the_watch(tmp_path: Path) -> None:
    """A resource that grows beyond what may be kept is listed from then on."""
    server = shop(1)
    server.objects["/api/v1/namespaces/shop/pods"] = [thing("a")]
    async with cluster(tmp_path, server, WatchSettings(max_objects=3)) as rig:
        await names(rig)
        (await watched(rig)).send("ADDED", thing("more"), "101")
        await rig.until(lambda: "pods listing" in rig.told.states)

        assert await names(rig) == ("a",)
        assert rig.told.objects["pods"] == 0


async def test_more_watches_than_allowed_are_lists(tmp_path: Path) -> None:
    """The number of watches has a bound, and the next resource is still served."""
    server = shop()
    server.objects["/api/v1/nodes"] = [thing("n1", "")]
    async with cluster(tmp_path, server, WatchSettings(max_watches=1)) as rig:
        await names(rig)

        picked = await rig.objects.picked(await kind_of(rig, "nodes"), "", EVERYTHING)
        assert [one.name for one in picked] == ["n1"]
        assert server.calls("watch", "/api/v1/nodes") == 0


async def test_a_watch_that_nobody_needs_ends(tmp_path: Path) -> None:
    """After an hour without a question a watch is not begun again, until there is one."""
    async with cluster(tmp_path, shop()) as rig:
        await names(rig)
        watching = await watched(rig)
        rig.time.now += 3601
        watching.end()
        await rig.until(lambda: "pods stopped" in rig.told.states)

        assert await names(rig, "!app") == ("lone",)
        assert rig.server.calls("list") == 2


async def test_running_pods_have_a_watch_of_their_own(tmp_path: Path) -> None:
    """The field selector is the API server's; a pod that stops running leaves this watch."""
    async with cluster(tmp_path, shop()) as rig:
        found = await rig.objects.running_pods("shop", parse_selector("app=web"))
        watching = await watched(rig)

        assert [(one.namespace, one.name, dict(one.labels)["app"]) for one in found] == [
            ("shop", f"web-{number}", "web") for number in range(3)
        ]
        assert watching.parameters["fieldSelector"] == "status.phase=Running"
        watching.send("DELETED", thing("web-0", app="web"), "101")
        await rig.until(lambda: "event pods?status.phase=Running DELETED" in rig.told.lines)
        found = await rig.objects.running_pods("", parse_selector("app=web"))
        assert [(one.namespace, one.name) for one in found] == [
            ("other", "web-0"),
            ("shop", "web-1"),
            ("shop", "web-2"),
        ]


async def test_nodes_live_in_no_namespace(tmp_path: Path) -> None:
    """Nodes are found by label; a namespace has none."""
    server = ApiServer(objects={"/api/v1/nodes": [thing("n2", "", zone="a"), thing("n1", "", zone="a")]})
    async with cluster(tmp_path, server) as rig:
        found = await rig.objects.nodes(parse_selector("zone=a"))

        assert [(one.namespace, one.name) for one in found] == [("", "n1"), ("", "n2")]
        assert await rig.objects.picked(await kind_of(rig, "nodes"), "shop", EVERYTHING) == ()


async def test_a_definition_that_is_gone_makes_discovery_be_read_again(tmp_path: Path) -> None:
    """A LIST that says 404 is no empty list, and the next request knows that the kind is gone."""
    server = shop()
    async with cluster(tmp_path, server) as rig:
        kind = await kind_of(rig, "deployments")
        rig.time.now += 10
        server.documents["/apis"] = {"kind": "APIGroupDiscoveryList", "items": []}
        with pytest.raises(KubernetesNotFound):
            await rig.objects.picked(kind, "shop", EVERYTHING)

        assert rig.objects.kinds.resolve(GroupResource("deployments")) is None


@pytest.mark.parametrize("watching", ["watched", "listed"])
async def test_an_object_exists_or_not(tmp_path: Path, watching: str) -> None:
    """One name is looked for among the watched objects, or asked for, whatever characters it has."""
    server = shop()
    server.objects["/api/v1/namespaces/shop/pods"] = []
    if watching == "listed":
        server.fail("watch", failure(405))
    async with cluster(tmp_path, server) as rig:
        pods = await kind_of(rig)
        await rig.objects.picked(pods, "shop", EVERYTHING)
        await watched(rig) if watching == "watched" else await rig.until(lambda: "pods listing" in rig.told.states)

        assert not await rig.objects.exists(pods, "shop", "a,b=c")
        assert not await rig.objects.exists(pods, "..", "web-0")
        assert await rig.objects.exists(pods, "shop", "web-0") == (watching == "watched")
        if watching == "listed":
            selectors = [one for one in server.asked if "metadata.name" in one]
            assert [unquote(one).partition("fieldSelector=")[2].partition("&")[0] for one in selectors] == [
                "metadata.name=a\\,b\\=c",
                "metadata.name=web-0",
            ]
