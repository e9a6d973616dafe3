"""Does kube-apiserver take what `tidegauge rbac` and `tidegauge hpa-snippet` print, and do the roles let in whom they should?"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from adapter.cli.main import main
from adapter.server.auth import attributes_of
from e2e.rig.cluster import Cluster
from e2e.rig.control_plane import ControlPlane

SPACE = "snippets"
RULES = """
rules:
- id: http-rps
  seriesQuery: http_requests_total{namespace!="",pod!=""}
  resources:
    overrides:
      namespace: {resource: namespace}
      pod: {resource: pod}
      deployment: {group: apps, resource: deployment}
  name: {matches: "^(.*)_total$", as: "${1}_per_second"}
  metricsQuery: sum(rate(<<.Series>>{<<.LabelMatchers>>}[2m])) by (<<.GroupBy>>)
- id: node-load
  seriesQuery: node_load1{node!=""}
  resources: {overrides: {node: {resource: node}}}
  metricsQuery: max(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
externalRules:
- id: queue-depth
  seriesQuery: queue_depth{namespace!=""}
  resources: {overrides: {namespace: {resource: namespace}}}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (queue)
resourceRules:
  cpu:
    containerQuery: sum(cpu{<<.LabelMatchers>>}) by (<<.GroupBy>>)
    nodeQuery: sum(node_cpu{<<.LabelMatchers>>}) by (<<.GroupBy>>)
    resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}, node: {resource: node}}}
    containerLabel: container
  memory:
    containerQuery: sum(memory{<<.LabelMatchers>>}) by (<<.GroupBy>>)
    nodeQuery: sum(node_memory{<<.LabelMatchers>>}) by (<<.GroupBy>>)
    resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}, node: {resource: node}}}
    containerLabel: container
  window: 1m
"""
_CUSTOM = "/apis/custom.metrics.k8s.io/v1beta2"
_EXTERNAL = "/apis/external.metrics.k8s.io/v1beta1"
_RESOURCE = "/apis/metrics.k8s.io/v1beta1"


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rules file."""
    path = tmp_path_factory.mktemp("snippets") / "rules.yaml"
    path.write_text(RULES)
    return path


@pytest.fixture(scope="module")
def space(cluster: Cluster) -> Iterator[str]:
    """A namespace."""
    yield cluster.create_namespace(SPACE)
    cluster.delete_namespace(SPACE)


def _printed(*words: str) -> str:
    """Return what a command prints, which must succeed."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    assert code == 0, err.getvalue()
    return out.getvalue()


def _apply(plane: ControlPlane, text: str, folder: Path, *flags: str) -> str:
    path = folder / "printed.yaml"
    path.write_text(text)
    return plane.kubectl("apply", "--filename", str(path), *flags)


@pytest.mark.parametrize(
    "words",
    [
        ("http_requests_per_second", "--target=500m", "--selector=code in (500,503),!canary"),
        ("http_requests_per_second", "--target=1k", "--object=deployments.apps/web"),
        ("http_requests_per_second", "--target=1.5", "--object=deployments.apps/web", "--target-type=average"),
        ("http_requests_per_second", "--target=10", f"--object=namespaces/{SPACE}"),
        ("queue_depth", "--target=30", "--selector=queue=orders,env!=test", "--min=2", "--max=40"),
        ("queue_depth", "--target=1Ki", "--target-type=value"),
        ("cpu", "--target=60%"),
        ("memory", "--target=200Mi"),
        ("cpu",),
    ],
    ids=" ".join,
)
def test_autoscalers_are_taken(
    plane: ControlPlane, space: str, rules: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """A printed autoscaler passes kube-apiserver's strict validation, in both formats."""
    for form in ("yaml", "json"):
        text = _printed(
            "hpa-snippet", *words, "--deployment=web", f"--namespace={space}", f"--config={rules}", f"--format={form}"
        )

        told = _apply(plane, text, tmp_path, "--dry-run=server", "--validate=strict")

        assert told == "horizontalpodautoscaler.autoscaling/web created (server dry run)\n"


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_roles_are_taken(plane: ControlPlane, space: str, rules: Path, tmp_path: Path, form: str) -> None:
    """Printed roles and bindings pass kube-apiserver's strict validation, in both formats."""
    text = _printed(
        "rbac",
        str(rules),
        f"--namespace={space}",
        "--name=snippet",
        f"--self-managed-certificate={space}/snippet",
        f"--format={form}",
    )

    told = _apply(plane, text, tmp_path, "--dry-run=server", "--validate=strict")

    assert told.count("(server dry run)") == 10


def _may(cluster: Cluster, account: str, attributes: Mapping[str, str]) -> bool:
    """Ask kube-apiserver as the adapter does."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": f"system:serviceaccount:{SPACE}:{account}",
            "groups": ["system:serviceaccounts", f"system:serviceaccounts:{SPACE}", "system:authenticated"],
            "resourceAttributes": attributes,
        },
    }
    answer = cluster.plane.api.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", json=review)
    return bool(answer.raise_for_status().json()["status"]["allowed"])


def _asked(path: str) -> dict[str, str]:
    """Return what the adapter asks a review about for a path."""
    found = attributes_of("GET", path, {})
    return {
        "verb": found.verb,
        "group": found.group,
        "version": found.version,
        "resource": found.resource,
        "subresource": found.subresource,
        "name": found.name,
        "namespace": found.namespace,
    }


def test_a_reader_reads_the_metrics_and_no_others(
    cluster: Cluster, plane: ControlPlane, space: str, rules: Path, tmp_path: Path
) -> None:
    """With the printed role a consumer is allowed each request for a metric of the rules, and none for another."""
    _apply(plane, _printed("rbac", str(rules), f"--reader={space}/consumer"), tmp_path)
    mine = [
        f"{_CUSTOM}/namespaces/{space}/pods/*/http_requests_per_second",
        f"{_CUSTOM}/namespaces/{space}/deployments.apps/web/http_requests_per_second",
        f"{_CUSTOM}/namespaces/{space}/metrics/http_requests_per_second",
        f"{_CUSTOM}/nodes/*/node_load1",
        f"{_EXTERNAL}/namespaces/{space}/queue_depth",
        f"{_RESOURCE}/namespaces/{space}/pods",
        f"{_RESOURCE}/nodes/n1",
    ]
    others = [
        f"{_CUSTOM}/namespaces/{space}/pods/*/node_load1",
        f"{_CUSTOM}/namespaces/{space}/services/web/http_requests_per_second",
        f"{_CUSTOM}/namespaces/{space}/metrics/node_load1",
        f"{_EXTERNAL}/namespaces/{space}/other",
    ]

    assert {path: _may(cluster, "consumer", _asked(path)) for path in (*mine, *others)} == {
        **dict.fromkeys(mine, True),
        **dict.fromkeys(others, False),
    }


def test_the_adapter_may_list_what_it_has_to(
    cluster: Cluster, plane: ControlPlane, space: str, rules: Path, tmp_path: Path
) -> None:
    """With the printed role the adapter may list and watch the objects of the rules, and no Secrets."""
    _apply(plane, _printed("rbac", str(rules), "--name=snippet", f"--namespace={space}", "--for=objects"), tmp_path)

    def may(verb: str, resource: str, group: str = "") -> bool:
        return _may(cluster, "tidegauge", {"verb": verb, "group": group, "version": "v1", "resource": resource})

    wanted = [("pods", ""), ("namespaces", ""), ("nodes", ""), ("deployments", "apps")]
    assert all(may(verb, *one) for verb in ("list", "watch") for one in wanted)
    assert not any((may("list", "secrets"), may("get", "pods"), may("list", "services")))


def test_kubernetes_own_role_reads_all_metrics(cluster: Cluster) -> None:
    """The controller of autoscalers may read every custom and external metric without a role of ours, as the comment says."""
    found: dict[str, Any] = cluster.get("ClusterRole", "system:controller:horizontal-pod-autoscaler") or {}
    granted = {
        group: set(one["verbs"]) for one in found["rules"] for group in one["apiGroups"] if one["resources"] == ["*"]
    }

    assert {"get", "list"} <= granted["custom.metrics.k8s.io"]
    assert {"get", "list"} <= granted["external.metrics.k8s.io"]
    assert json.dumps(found).count('"metrics.k8s.io"') == 1
