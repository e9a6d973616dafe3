"""Objects from a file: found by their labels, followed when the file changes, kept when it breaks."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.errors import ObjectsUnavailable
from adapter.kube.resources import GroupResource, Kind, kubernetes_kinds
from adapter.kube.selectors import EVERYTHING, Selector, parse_selector
from adapter.runtime.object_file import FileObjects
from adapter.runtime.objects import NoObjects

pytestmark = pytest.mark.anyio

KINDS = kubernetes_kinds()


def kind_of(resource: str) -> Kind:
    """Return a kind that there is."""
    kind = KINDS.resolve(GroupResource(resource))
    assert kind is not None
    return kind


PODS, NODES = kind_of("pods"), kind_of("nodes")
LOOK_SECONDS = 1.0


def manifests(*pods: str, **labels: str) -> str:
    """Return pods of the namespace shop."""
    items = [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "shop", "labels": labels}}
        for name in pods
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


class Rig:
    """Objects from a file, and the clock that says when it is looked at."""

    def __init__(self, directory: Path, text: str) -> None:
        self.file = directory / "objects.yaml"
        self.file.write_text(text)
        self.now = 0.0
        self.reports: list[tuple[bool, int]] = []
        self.objects = FileObjects(str(self.file), kinds=KINDS, clock=lambda: self.now, observer=self)
        self.objects.load()

    def objects_read(self, *, ok: bool, objects: int) -> None:
        """Note a reading."""
        self.reports.append((ok, objects))

    async def looked(self, times: int = 1) -> tuple[str, ...]:
        """Look so many times, a second apart; return the pods that there are then."""
        names: tuple[str, ...] = ()
        for _ in range(times):
            self.now += LOOK_SECONDS
            await self.objects.synced_kinds()
            await self.objects.close()
            names = await self.names(PODS, "shop")
        return names

    async def names(self, kind: Kind, namespace: str, selector: Selector = EVERYTHING) -> tuple[str, ...]:
        """Return the names of the objects that a selector picks."""
        return tuple(one.name for one in await self.objects.picked(kind, namespace, selector))


async def test_a_change_is_followed_when_the_file_rests(tmp_path: Path) -> None:
    """A file that has changed is read once it looks the same twice: it may still be being written."""
    rig = Rig(tmp_path, manifests("a"))
    rig.file.write_text(manifests("a", "b"))

    assert await rig.looked() == ("a",)
    assert await rig.looked() == ("a", "b")
    assert rig.reports == [(True, 1), (True, 2)]


async def test_a_file_that_keeps_changing_is_left_alone(tmp_path: Path) -> None:
    """As long as each look finds another state, what was good stays."""
    rig = Rig(tmp_path, manifests("a"))

    for length in range(1, 4):
        rig.file.write_text(manifests("a", "b")[: -length * 10])
        assert await rig.looked() == ("a",)
    assert rig.reports == [(True, 1)]


BROKEN = {
    "cut off": '{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1"',
    "empty": "",
    "blank": "\n\n",
    "no manifest": "# pods\n---\n",
    "no object of it": "apiVersion: v1\nkind: Pod\n",
    "not YAML": "[" * 100,
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
async def test_a_broken_file_takes_nothing_away(tmp_path: Path, text: str) -> None:
    """A file that cannot be whole keeps the objects there were, and is told once; the next good one counts."""
    rig = Rig(tmp_path, manifests("a"))
    rig.file.write_text(text)

    assert await rig.looked(5) == ("a",)
    assert rig.reports == [(True, 1), (False, 1)]
    assert len(rig.objects.problems) == 1

    rig.file.write_text(manifests("b"))
    assert await rig.looked(2) == ("b",)
    assert rig.objects.problems == ()


async def test_an_empty_list_takes_all_away(tmp_path: Path) -> None:
    """Whoever means that there is no object writes a list without items."""
    rig = Rig(tmp_path, manifests("a"))
    rig.file.write_text(manifests())

    assert len(await rig.looked(2)) == 0


async def test_a_file_that_goes_keeps_its_objects(tmp_path: Path) -> None:
    """A file that is not there for a while, as when it is replaced, takes nothing away."""
    rig = Rig(tmp_path, manifests("a"))
    rig.file.unlink()
    assert await rig.looked(5) == ("a",)
    assert rig.reports == [(True, 1), (False, 1)]
    assert "last good objects stay" in rig.objects.problems[0]

    rig.file.write_text(manifests("b"))
    assert await rig.looked(2) == ("b",)
    assert rig.objects.problems == ()


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "."])
def test_only_regular_files_are_read(path: str) -> None:
    """A device, a pipe or a directory is refused instead of being read without an end."""
    objects = FileObjects(path, kinds=KINDS, clock=lambda: 0.0)

    with pytest.raises(ValueError, match="not a regular file"):
        objects.load()


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """A named pipe that nobody writes to is refused at once."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    with pytest.raises(ValueError, match="not a regular file"):
        FileObjects(str(pipe), kinds=KINDS, clock=lambda: 0.0).load()


DEFINITION = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: queues.acme.com}
spec:
  group: acme.com
  scope: Namespaced
  names: {kind: Queue, plural: queues, singular: queue}
  versions: [{name: v1, served: true, storage: true}]
"""


async def test_kinds_stay_while_definitions_do(tmp_path: Path) -> None:
    """New objects of old kinds leave the table of kinds as it is; a definition makes another one."""
    rig = Rig(tmp_path, manifests("a"))
    before = rig.objects.kinds
    rig.file.write_text(manifests("a", "b"))
    await rig.looked(2)
    assert rig.objects.kinds is before

    rig.file.write_text(DEFINITION)
    await rig.looked(2)
    assert rig.objects.kinds.resolve(GroupResource("queues")) is not None


async def test_nobody_waits_for_a_reading(tmp_path: Path) -> None:
    """While a changed file is read, requests are answered from what there was."""
    rig = Rig(tmp_path, manifests("a"))
    rig.file.write_text(manifests("a", "b"))
    rig.now += LOOK_SECONDS
    await rig.objects.synced_kinds()
    rig.now += LOOK_SECONDS

    assert await rig.names(PODS, "shop") == ("a",)
    await rig.objects.close()
    assert await rig.names(PODS, "shop") == ("a", "b")


async def test_an_object_is_there_or_not(tmp_path: Path) -> None:
    """Whether one object exists is told by kind, namespace and name."""
    rig = Rig(tmp_path, manifests("a"))

    asked = [(PODS, "shop", "a"), (PODS, "shop", "b"), (PODS, "other", "a"), (NODES, "", "a")]
    assert [await rig.objects.exists(*one) for one in asked] == [True, False, False, False]


STATUSES = [
    ("none is written", "", True),
    ("Running", "status: {phase: Running}", True),
    ("Succeeded", "status: {phase: Succeeded}", False),
    ("Pending", "status: {phase: Pending}", False),
    ("no phase", "status: {conditions: []}", True),
    ("no text", "status: {phase: 3}", True),
    ("no mapping", "status: done", True),
]


@pytest.mark.parametrize(("name", "status", "runs"), STATUSES, ids=[row[0] for row in STATUSES])
async def test_pods_that_run(name: str, status: str, runs: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a column of the table
    """A pod of the file runs, unless its status says otherwise."""
    rig = Rig(tmp_path, f"apiVersion: v1\nkind: Pod\nmetadata: {{name: a, namespace: shop}}\n{status}\n")

    assert [one.name for one in await rig.objects.running_pods("shop", EVERYTHING)] == (["a"] if runs else [])


async def test_pods_and_nodes_are_picked_by_labels(tmp_path: Path) -> None:
    """Pods of one namespace or of all, and nodes, in order of their names, as far as a selector picks them."""
    texts = [
        f"apiVersion: v1\nkind: {kind}\nmetadata: {{name: {name}, namespace: {namespace}, labels: {{app: {app}}}}}\n"
        for kind, namespace, name, app in (
            ("Pod", "b", "q", "web"),
            ("Pod", "b", "p", "web"),
            ("Pod", "a", "z", "web"),
            ("Pod", "a", "y", "api"),
            ("Node", "", "n2", "web"),
            ("Node", "", "n1", "api"),
        )
    ]
    objects = Rig(tmp_path, "---\n".join(texts)).objects
    web = parse_selector("app=web")

    assert [(one.namespace, one.name) for one in await objects.running_pods("", web)] == [
        ("a", "z"),
        ("b", "p"),
        ("b", "q"),
    ]
    assert [one.name for one in await objects.running_pods("a", EVERYTHING)] == ["y", "z"]
    assert await objects.running_pods("absent", EVERYTHING) == ()
    assert [one.name for one in await objects.nodes(EVERYTHING)] == ["n1", "n2"]
    assert [one.name for one in await objects.nodes(web)] == ["n2"]


async def test_without_a_source_nothing_is_known() -> None:
    """Neither a cluster nor a file: that is an error, never an empty list."""
    nobody = NoObjects(KINDS)

    with pytest.raises(ObjectsUnavailable):
        await nobody.picked(PODS, "shop", EVERYTHING)
    with pytest.raises(ObjectsUnavailable):
        await nobody.exists(PODS, "shop", "a")
    with pytest.raises(ObjectsUnavailable):
        await nobody.running_pods("", EVERYTHING)
    with pytest.raises(ObjectsUnavailable):
        await nobody.nodes(EVERYTHING)


LABELS = st.dictionaries(st.sampled_from("abc"), st.sampled_from(["", "1", "2"]), max_size=3)
SELECTORS = ["", "a=1", "a=1,b=2", "a==2,c", "a in (1,2)", "a!=1", "!a", "a notin (1),b=1", "a=,b="]


@given(objects=st.lists(LABELS, max_size=8), text=st.sampled_from(SELECTORS))
async def test_the_index_picks_what_the_selector_matches(
    tmp_path_factory: pytest.TempPathFactory, objects: Sequence[Mapping[str, str]], text: str
) -> None:
    """Looking by labels finds what looking at each object would, in order of names."""
    items = [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"p{number}", "namespace": "shop", "labels": labels}}
        for number, labels in enumerate(objects)
    ]
    rig = Rig(tmp_path_factory.mktemp("objects"), json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    selector = parse_selector(text)

    expected = tuple(f"p{number}" for number, labels in enumerate(objects) if selector.matches(labels))

    assert await rig.names(PODS, "shop", selector) == expected
    assert await rig.names(PODS, "", selector) == expected
    assert await rig.names(PODS, "other", selector) == ()
    assert await rig.names(NODES, "", selector) == ()
