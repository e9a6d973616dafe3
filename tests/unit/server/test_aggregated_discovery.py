"""Every group in one discovery document."""

from __future__ import annotations

import orjson

from adapter.kube.documents import ResourceEntry
from adapter.server.aggregated import Groups, aggregated_answer
from adapter.server.calls import Call

NODES = ResourceEntry(name="nodes", namespaced=False, kind="NodeMetrics", verbs=("get", "list"))
PODS = ResourceEntry(name="pods", namespaced=True, kind="PodMetrics", verbs=("get", "list"))
CALL = Call(path="/apis")


def test_document_is_that_of_the_reference() -> None:
    """The document of metrics.k8s.io is, byte for byte, the one that the API machinery writes."""
    answer = aggregated_answer(CALL, {"metrics.k8s.io": {"v1beta1": (NODES, PODS)}})
    assert answer.body == (
        b'{"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","metadata":{},"items":[{"metadata":'
        b'{"name":"metrics.k8s.io"},"versions":[{"version":"v1beta1","resources":[{"resource":"nodes","responseKind":'
        b'{"group":"","version":"","kind":"NodeMetrics"},"scope":"Cluster","singularResource":"","verbs":["get","list"]},'
        b'{"resource":"pods","responseKind":{"group":"","version":"","kind":"PodMetrics"},"scope":"Namespaced",'
        b'"singularResource":"","verbs":["get","list"]}],"freshness":"Current"}]}]}\n'
    )
    assert answer.content_type == "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    assert dict(answer.headers)[b"cache-control"] == b"public"


def test_who_has_it_gets_nothing() -> None:
    """The same document is not sent twice; another one is."""
    groups: Groups = {"metrics.k8s.io": {"v1beta1": (NODES,)}}
    tag = dict(aggregated_answer(CALL, groups).headers)[b"etag"].decode()
    again = aggregated_answer(Call(path="/apis", if_none_match=tag), groups)
    assert (again.status, again.body) == (304, b"")
    other = aggregated_answer(Call(path="/apis", if_none_match=tag), {"metrics.k8s.io": {"v1beta1": (NODES, PODS)}})
    assert other.status == 200


def test_versions_keep_their_order() -> None:
    """The preferred version comes first, and one without resources to list is there, empty."""
    answer = aggregated_answer(CALL, {"custom.metrics.k8s.io": {"v1beta2": (), "v1beta1": ()}})
    versions = orjson.loads(answer.body)["items"][0]["versions"]
    assert [(one["version"], one["resources"]) for one in versions] == [("v1beta2", []), ("v1beta1", [])]
