"""Objects of rbac.authorization.k8s.io/v1, with comments that say why each permission is needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from adapter.kube.commented_yaml import Noted

GROUP: Final = "rbac.authorization.k8s.io"
_API_VERSION: Final = f"{GROUP}/v1"

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A service account."""

    namespace: str
    name: str


def policy_rule(
    *, group: str, resources: Sequence[str], verbs: Sequence[str], names: Sequence[str] = (), why: Iterable[str] = ()
) -> Noted:
    """Return one rule of a role; without names it is about all objects of the resources."""
    rule: dict[str, Any] = {"apiGroups": [group], "resources": list(resources)}
    if names:
        rule["resourceNames"] = list(names)
    return Noted({**rule, "verbs": list(verbs)}, above=tuple(why))


def role(name: str, rules: Sequence[Noted], *, namespace: str = "", why: Iterable[str] = ()) -> Noted:
    """Return a Role, or a ClusterRole if there is no namespace."""
    kind = "Role" if namespace else "ClusterRole"
    return Noted(
        {"apiVersion": _API_VERSION, "kind": kind, "metadata": _metadata(name, namespace), "rules": list(rules)},
        above=tuple(why),
    )


def binding(
    name: str,
    *,
    role: str,
    account: Account,
    namespace: str = "",
    role_kind: str = "ClusterRole",
    why: Iterable[str] = (),
) -> Noted:
    """Return a RoleBinding, or a ClusterRoleBinding if there is no namespace."""
    kind = "RoleBinding" if namespace else "ClusterRoleBinding"
    return Noted(
        {
            "apiVersion": _API_VERSION,
            "kind": kind,
            "metadata": _metadata(name, namespace),
            "roleRef": {"apiGroup": GROUP, "kind": role_kind, "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": account.name, "namespace": account.namespace}],
        },
        above=tuple(why),
    )


def _metadata(name: str, namespace: str) -> Document:
    return {"name": name, "namespace": namespace} if namespace else {"name": name}
