"""Aggregated discovery (apidiscovery.k8s.io/v2): every group in one document; kube-apiserver asks once a minute.

The metrics of custom.metrics.k8s.io and external.metrics.k8s.io are left out of it: they would make every client's
discovery larger, and change it whenever a metric appears, while nobody reads them there. The list of each version has
them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from adapter.kube.documents import ResourceEntry
from adapter.server.calls import Answer, Call
from adapter.server.negotiation import Conversion

CONTENT_TYPE: Final = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
# How it is asked for: a conversion of `/apis`. Its older version, v2beta1, left Kubernetes with 1.35.
AGGREGATED: Final = Conversion(as_="APIGroupDiscoveryList", group="apidiscovery.k8s.io", version="v2")

# What each version of a group lists: group -> version -> resources, both in the order of preference.
Groups = Mapping[str, Mapping[str, Sequence[ResourceEntry]]]


def group_discovery_list(groups: Groups) -> dict[str, Any]:
    """Return the document; metrics are left out."""
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": [
            {"metadata": {"name": name}, "versions": [_version(*version) for version in versions.items()]}
            for name, versions in groups.items()
        ],
    }


def _version(name: str, entries: Sequence[ResourceEntry]) -> dict[str, Any]:
    resources = [
        {
            "resource": entry.name,
            "responseKind": {"group": "", "version": "", "kind": entry.kind},
            "scope": "Namespaced" if entry.namespaced else "Cluster",
            "singularResource": "",
            "verbs": list(entry.verbs),
        }
        for entry in entries
    ]
    return {"version": name, "resources": resources, "freshness": "Current"}


def aggregated_answer(call: Call, groups: Groups) -> Answer:
    """Answer with the document, or with 304 to whoever has it already."""
    body = orjson.dumps(group_discovery_list(groups), option=orjson.OPT_APPEND_NEWLINE)
    tag = f'"{hashlib.sha512(body).hexdigest().upper()}"'
    headers = (
        (b"etag", tag.encode("ascii")),
        (b"vary", b"Accept"),
        (b"cache-control", b"public"),
    )
    if call.if_none_match == tag:
        return Answer(status=304, body=b"", headers=headers, content_type=CONTENT_TYPE)
    return Answer(body=body, headers=headers, content_type=CONTENT_TYPE)
