"""Manifests: what is read, what is a problem, and that the one does not spoil the other."""

from __future__ import annotations

import pytest

from adapter.kube.documents import Manifests, ObjectMeta, read_manifests
from adapter.kube.resources import kubernetes_kinds

KINDS = kubernetes_kinds()

DEFINITION = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.acme.dev}
spec:
  group: acme.dev
  scope: Namespaced
  names: {plural: widgets, kind: Widget}
  versions:
  - {name: v1beta1, served: true, storage: true}
  - {name: foo, served: true, storage: false}
  - {name: v1, served: true, storage: false}
  - {name: v2, served: false, storage: false}
"""
WIDGET = """
apiVersion: acme.dev/v1beta1
kind: Widget
metadata: {name: w, namespace: shop}
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
"""


def read(*documents: str) -> Manifests:
    """Read documents as one file."""
    return read_manifests("\n---\n".join(documents), KINDS)


def shown(one: ObjectMeta) -> tuple[str, str, str, dict[str, str]]:
    """Return what matters of an object."""
    return str(one.kind.group_resource), one.namespace, one.name, dict(one.labels)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (POD, ("pods", "shop", "web", {"app": "web"})),
        ("{apiVersion: v1, kind: Pod, metadata: {name: web}}", ("pods", "default", "web", {})),
        ("{apiVersion: v1, kind: Pod, metadata: {name: web, labels: null}}", ("pods", "default", "web", {})),
        ("{apiVersion: v1, kind: Pod, metadata: {name: web, labels: {a: }}}", ("pods", "default", "web", {"a": ""})),
        ("{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: null}}", ("pods", "default", "web", {})),
        ("{apiVersion: v1, kind: Node, metadata: {name: n.1, namespace: shop}}", ("nodes", "", "n.1", {})),
        ("{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}}", ("deployments.apps", "default", "d", {})),
        ("{apiVersion: apps/v9, kind: Deployment, metadata: {name: d}}", ("deployments.apps", "default", "d", {})),
        ('{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web"}}', ("pods", "default", "web", {})),
        (
            "{apiVersion: v1, kind: Pod, metadata: {name: 2026-01-02, labels: {day: 2026-13-99}}}",
            ("pods", "default", "2026-01-02", {"day": "2026-13-99"}),
        ),
    ],
)
def test_reads_an_object(text: str, expected: object) -> None:
    """Namespaces default, cluster-scoped objects have none, labels may be null, and dates are texts as for kubectl."""
    manifests = read(text)

    assert [shown(one) for one in manifests.objects] == [expected]
    assert manifests.problems == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("just a text", "document 1: not an object: apiVersion, kind and metadata are expected"),
        ("[1, 2]", "document 1: not an object: apiVersion, kind and metadata are expected"),
        ("{kind: Pod, metadata: {name: web}}", "document 1: apiVersion is missing"),
        ("{apiVersion: 1, kind: Pod}", "document 1: apiVersion is 1, not a text: put it in quotes"),
        ("{apiVersion: v1, metadata: {name: web}}", "document 1: kind is missing"),
        ("{apiVersion: v1, kind: Pod}", "document 1: metadata is missing"),
        ("{apiVersion: v1, kind: Pod, metadata: [1]}", "document 1: metadata is not a mapping"),
        ("{apiVersion: v1, kind: Pod, metadata: {}}", "document 1: name is missing"),
        ("{apiVersion: v1, kind: Pod, metadata: {name: [a]}}", "document 1: name is a list, not a text"),
        ("{apiVersion: v1, kind: Pod, metadata: &a {name: *a}}", "document 1: name is a mapping, not a text"),
        ("{apiVersion: v1, kind: Pod, metadata: {name: 7}}", "document 1: name is 7, not a text: put it in quotes"),
        (
            "{apiVersion: v1, kind: Pod, metadata: {generateName: web-}}",
            "document 1: Pod has only a generateName, and no API server to make a name of it",
        ),
        (
            "{apiVersion: v1, kind: Pod, metadata: {name: web, labels: {v: 1.5}}}",
            'document 1: Pod web: label "v" is 1.5, and both must be texts: put them in quotes',
        ),
        (
            "{apiVersion: v1, kind: Pod, metadata: {name: web, labels: {v: yes}}}",
            'document 1: Pod web: label "v" is true, and both must be texts: put them in quotes',
        ),
        (
            "{apiVersion: v1, kind: Pod, metadata: {name: web, labels: {1: a}}}",
            'document 1: Pod web: label 1 is "a", and both must be texts: put them in quotes',
        ),
        (
            "{apiVersion: v1, kind: Pod, metadata: {name: web, labels: [a]}}",
            "document 1: Pod web: labels are not a mapping",
        ),
        (
            "{apiVersion: v1, kind: Pod, metadata: {name: web, labels: {a: b c}}}",
            'document 1: Pod web: label "a" is "b c": a valid label must be an empty string or consist of',
        ),
        (
            "{apiVersion: acme.dev/v1, kind: Widget, metadata: {name: w}}",
            "document 1: unknown kind Widget in acme.dev/v1; is its CustomResourceDefinition missing?",
        ),
        (DEFINITION.replace("served: true", "served: false"), "document 1: the definition has no served version"),
        (DEFINITION.replace("group: acme.dev", "group:"), "document 1: group is missing"),
        (DEFINITION.replace("names: {", "name: {"), "document 1: names is missing"),
        (
            "{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Pod, metadata: {}}, 3]}",
            "document 1, item 1: name is missing",
        ),
    ],
)
def test_tells_what_it_leaves_out(text: str, problem: str) -> None:
    """What cannot be used is told with its place, and the documents around it are read."""
    manifests = read(text, POD)

    assert any(one.startswith(problem) for one in manifests.problems), manifests.problems
    assert ("pods", "shop", "web", {"app": "web"}) in [shown(one) for one in manifests.objects]


@pytest.mark.parametrize("documents", [(DEFINITION, WIDGET), (WIDGET, DEFINITION)])
def test_a_definition_makes_its_kind_known(documents: tuple[str, str]) -> None:
    """A definition counts for the objects before and after it; its version is the preferred, not the stored one."""
    manifests = read(*documents)

    (kind,) = manifests.kinds
    assert (kind.version, kind.plural, kind.singular, kind.namespaced) == ("v1", "widgets", "widget", True)
    assert ("widgets.acme.dev", "shop", "w", {}) in [shown(one) for one in manifests.objects]
    assert manifests.problems == ()


@pytest.mark.parametrize(
    ("served", "preferred"),
    [
        (["v1", "v2"], "v2"),
        (["v2", "v10"], "v10"),
        (["v1beta2", "v1beta10", "v1alpha9"], "v1beta10"),
        (["v2beta1", "v1"], "v1"),
        (["v2alpha1", "v1beta1"], "v1beta1"),
        (["foo10", "foo1", "v1alpha1"], "v1alpha1"),
        (["foo2", "foo1", "v1beta"], "foo1"),
    ],
)
def test_prefers_versions_as_kubernetes_does(served: list[str], preferred: str) -> None:
    """Stable comes before beta and alpha, higher before lower, names of other forms last."""
    head = DEFINITION.partition("  versions:")[0]
    versions = ", ".join(f"{{name: {name}, served: true}}" for name in served)

    (kind,) = read(f"{head}  versions: [{versions}]\n").kinds

    assert kind.version == preferred


def test_reads_lists() -> None:
    """A List holds objects of any type; the items of a typed list, as the API gives them, take the list's type."""
    mixed = "{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Node, metadata: {name: n}}, {kind: Pod}]}"
    typed = "{apiVersion: apps/v1, kind: DeploymentList, items: [{metadata: {name: a}}, {metadata: {name: b}}]}"
    empty = "{apiVersion: v1, kind: PodList, items: null}"

    manifests = read(mixed, typed, empty)

    assert [(one.kind.kind, one.name) for one in manifests.objects] == [
        ("Node", "n"),
        ("Deployment", "a"),
        ("Deployment", "b"),
    ]
    assert manifests.problems == ("document 1, item 2: apiVersion is missing",)


def test_the_later_manifest_of_an_object_counts() -> None:
    """Two manifests of one object are one object, as after applying both."""
    manifests = read(POD, POD.replace("app: web", "app: shop"))

    assert [shown(one) for one in manifests.objects] == [("pods", "shop", "web", {"app": "shop"})]


@pytest.mark.parametrize("text", ["", "---\n---\n", "# only a comment\n", "null"])
def test_nothing_is_nothing(text: str) -> None:
    """Empty documents hold neither objects nor problems."""
    assert read_manifests(text, KINDS) == Manifests()


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "a: b: c",
        "\x00",
        "&a [*b]",
        "!!python/object:os.system {}",
        "{[]: 1}",
        "!!bool x",
        "!!timestamp x",
        "9" * 5000,
        "\ud800",
        "[" * 100_000,
        "- " * 100_000,
    ],
)
def test_refuses_what_is_not_yaml(text: str) -> None:
    """A file that is no YAML, wants Python objects, or nests without end is refused as a whole, and nothing crashes."""
    with pytest.raises(ValueError, match=r"^this is not YAML: "):
        read_manifests(text, KINDS)
