"""What a call is about in the words of Kubernetes' permissions: verb, resource, namespace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_OF_ONE: Final = {"GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "POST": "create"}
_OF_MANY: Final = {"GET": "list", "POST": "create", "DELETE": "deletecollection"}
# How many segments go before the resource: /api/v1/..., /apis/apps/v1/...
_HEAD: Final = {"api": 2, "apis": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Who wants to grant a call writes these into a role; `resource` is a path where there is no resource."""

    verb: str
    resource: str
    namespace: str = ""


def target_of(method: str, path: str, parameters: Mapping[str, str]) -> Target:
    """Say what a call is about, as kube-apiserver's RequestInfo does."""
    parts = path.strip("/").split("/")
    head = _HEAD.get(parts[0], len(parts))
    group, rest = parts[1] if head > _HEAD["api"] and len(parts) > 1 else "", parts[head:]
    if not rest:
        # Of the paths that are no resources only those of discovery are asked, which are few.
        return Target(verb=_OF_ONE.get(method, method.lower()), resource="/" + "/".join(parts))
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2:  # noqa: PLR2004 - /namespaces/<name>/<resource>
        namespace, rest = rest[1], rest[2:]
    resource = f"{rest[0]}.{group}" if group else rest[0]
    if len(rest) > 2:  # noqa: PLR2004 - <resource>/<name>/<part of it>
        resource += f"/{rest[2]}"
    verbs = _OF_MANY if len(rest) == 1 else _OF_ONE
    verb = "watch" if "watch" in parameters else verbs.get(method, method.lower())
    return Target(verb=verb, resource=resource, namespace=namespace)
