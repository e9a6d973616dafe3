"""Kinds, and the names that mean them."""

from __future__ import annotations

import re

import pytest
from kube_vectors import SELECTORS_AND_MORE, lines

from adapter.kube.resources import GroupResource, Kind, kubernetes_kinds, parse_group_resource

GROUPS = (
    "",
    "apiregistration.k8s.io",
    "apps",
    "events.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "node.k8s.io",
    "discovery.k8s.io",
    "resource.k8s.io",
    "flowcontrol.apiserver.k8s.io",
)

KINDS = kubernetes_kinds()
WIDGET = Kind(group="acme.dev", version="v2", kind="Widget", plural="widgets", singular="widget", namespaced=False)
CUSTOM_POD = Kind(group="acme.dev", version="v1", kind="Pod", plural="pods", singular="pod", namespaced=True)


@pytest.mark.parametrize("line", lines(SELECTORS_AND_MORE, "GR"))
def test_splits_group_resources(line: str) -> None:
    """A group-resource is split and printed as by Kubernetes."""
    match = re.fullmatch(r'GR "(.*)" -> resource="(.*)" group="(.*)" String="(.*)"', line)
    assert match, line

    found = parse_group_resource(match[1])

    assert (found.resource, found.group, str(found)) == (match[2], match[3], match[4])


@pytest.mark.parametrize(
    ("name", "group_resource"),
    [
        ("pods", "pods"),
        ("pod", "pods"),
        ("Pods", "pods"),
        ("deployment.apps", "deployments.apps"),
        ("deployments", "deployments.apps"),
        ("events", "events"),
        ("events.events.k8s.io", "events.events.k8s.io"),
        ("events.events", "events.events.k8s.io"),
        ("ingress.networking", "ingresses.networking.k8s.io"),
        ("networkpolicy", "networkpolicies.networking.k8s.io"),
        ("endpoints", "endpoints"),
        ("hpa", None),
        ("po", None),
        ("svc", None),
        ("pods.apps", None),
        ("ingresses.k8s.io", None),
        ("deployments.APPS", None),
        ("widgets", "widgets.acme.dev"),
        ("widget.acme", "widgets.acme.dev"),
        ("pods.acme.dev", "pods.acme.dev"),
        ("pods.ac", "pods.acme.dev"),
        ("", None),
        (".apps", None),
    ],
)
def test_resolves_names(name: str, group_resource: str | None) -> None:
    """Plural and singular in any case mean a kind, groups may be abbreviated, core is first, short names are none."""
    kinds = KINDS.extended([WIDGET, CUSTOM_POD])

    found = kinds.resolve(parse_group_resource(name))

    assert (str(found.group_resource) if found else None) == group_resource


def test_names_kinds_and_singulars() -> None:
    """A kind is found by its exact name and group, a singular by the resource's name alone."""
    assert KINDS.resolve_kind("apps", "Deployment") == KINDS.resolve(GroupResource("deployments"))
    assert KINDS.resolve_kind("", "Deployment") is None
    assert KINDS.resolve_kind("apps", "deployment") is None
    assert KINDS.singular_of("Ingresses") == "ingress"
    assert KINDS.singular_of("widgets") is None


def test_knows_kubernetes_own_kinds() -> None:
    """Every group that is served without a feature gate is there, core first and then by priority, no kind twice."""
    kinds = list(KINDS)

    assert tuple(dict.fromkeys(kind.group for kind in kinds)) == GROUPS
    assert (
        len({(kind.group, kind.kind) for kind in kinds}) == len({kind.group_resource for kind in kinds}) == len(kinds)
    )
    assert {kind.version for kind in kinds if kind.group != "autoscaling"} == {"v1"}
    assert all(kind.singular == kind.kind.lower() for kind in kinds)


def test_knows_what_has_a_namespace() -> None:
    """The core kinds that stand outside of namespaces are these."""
    roots = {kind.plural for kind in KINDS if not kind.group and not kind.namespaced}

    assert roots == {"componentstatuses", "namespaces", "nodes", "persistentvolumes"}


def test_a_kind_says_its_version_as_described_objects_do() -> None:
    """Core kinds have an empty group and yet a slash."""
    pod, autoscaler = KINDS.resolve_kind("", "Pod"), KINDS.resolve_kind("autoscaling", "HorizontalPodAutoscaler")

    assert pod
    assert pod.api_version == "/v1"
    assert autoscaler
    assert autoscaler.api_version == "autoscaling/v2"


def test_extending_makes_another_table() -> None:
    """A table never changes; what it knows already keeps its precedence."""
    extended = KINDS.extended([WIDGET, CUSTOM_POD])

    assert KINDS.resolve(GroupResource("widgets")) is None
    assert extended.resolve(GroupResource("pods")) == KINDS.resolve(GroupResource("pods"))
    assert len(list(extended)) == len(list(KINDS)) + 2
