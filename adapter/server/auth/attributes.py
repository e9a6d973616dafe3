"""What a request wants to do, in the words of Kubernetes' authorization (apiserver's RequestInfo)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from adapter.errors import RequestError
from adapter.kube.selectors import FieldSelector, Op, Selector, parse_field_selector, parse_selector
from adapter.server.list_options import ListOptions, read_list_options

_VERBS: Final[Mapping[str, str]] = {
    "GET": "get",
    "HEAD": "get",
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
_SPECIAL_VERBS: Final = frozenset({"watch", "proxy"})
_WITHOUT_SUBRESOURCE: Final = frozenset({"proxy"})
_NAMESPACE_SUBRESOURCES: Final = frozenset({"status", "finalize"})
_COLLECTION_VERBS: Final = frozenset({"list", "watch", "deletecollection"})
# apis, group, version, and at least one more.
_RESOURCE_PARTS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRequirement:
    """One condition of a selector as a review carries it; `operator` is In, NotIn, Exists or DoesNotExist."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """What a request wants: a verb on a resource, or on a path if `resource_request` is False."""

    verb: str
    path: str
    resource_request: bool = False
    namespace: str = ""
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    field_requirements: tuple[FieldRequirement, ...] = ()
    label_requirements: tuple[FieldRequirement, ...] = ()


def attributes_of(method: str, path: str, parameters: Mapping[str, str]) -> Attributes:
    """Return what a request wants; `path` is percent-decoded, `parameters` has the first value of each name.

    Nothing is refused here: what no route takes is authorized like everything else, and is a 404 then.
    """
    parts = path.strip("/").split("/")
    if parts[0] != "apis" or len(parts) < _RESOURCE_PARTS:
        return Attributes(verb=method.lower(), path=path)
    _, group, version, *parts = parts
    verb = _VERBS.get(method, "")
    if parts[0] in _SPECIAL_VERBS:
        verb, *parts = parts
    namespace, parts = _namespace(parts)
    resource, name, subresource = (*parts[:3], "", "", "")[:3]
    found = Attributes(
        verb=verb,
        path=path,
        resource_request=True,
        namespace=namespace,
        group=group,
        version=version,
        resource=resource,
        name=name,
        subresource="" if verb in _WITHOUT_SUBRESOURCE else subresource,
    )
    return _collection(found, parameters) if not name or verb in _COLLECTION_VERBS else found


def _namespace(parts: list[str]) -> tuple[str, list[str]]:
    """Split the namespace off, and leave it where the namespace itself, or its own subresource, is what is wanted."""
    match parts:
        case ["namespaces", namespace, below, *_] if below not in _NAMESPACE_SUBRESOURCES:
            return namespace, parts[2:]
        case ["namespaces", namespace, *_]:
            return namespace, parts
    return "", parts


def _collection(found: Attributes, parameters: Mapping[str, str]) -> Attributes:
    """Return the attributes of what names no object: a list, a watch, or a deletion of them all."""
    if not found.name and found.verb == "get":
        options = _options(parameters)
        watched = parameters.get("watch", "false").lower() not in {"false", "0"}
        name = options.field_selector.requires_exact("metadata.name") if options else None
        found = replace(
            found, verb="watch" if watched else "list", name=name if name and _may_be_a_name(name) else found.name
        )
    elif not found.name and found.verb == "delete":
        found = replace(found, verb="deletecollection")
    if found.verb not in _COLLECTION_VERBS:
        return found
    return replace(
        found,
        field_requirements=_field_requirements(parameters.get("fieldSelector", "")),
        label_requirements=_label_requirements(parameters.get("labelSelector", "")),
    )


def _options(parameters: Mapping[str, str]) -> ListOptions | None:
    """Return the list options, None if any of them cannot be read: then no field names an object."""
    try:
        return read_list_options(parameters)
    except RequestError:
        return None


def _may_be_a_name(name: str) -> bool:
    return name not in {".", ".."} and not {"/", "%"} & set(name)


_OPERATORS: Final[Mapping[Op, str]] = {
    Op.EQUALS: "In",
    Op.DOUBLE_EQUALS: "In",
    Op.IN: "In",
    Op.NOT_EQUALS: "NotIn",
    Op.NOT_IN: "NotIn",
    Op.EXISTS: "Exists",
    Op.NOT_EXISTS: "DoesNotExist",
}


def _label_requirements(text: str) -> tuple[FieldRequirement, ...]:
    """Return what a review can say of a label selector; it has no words for `>` and `<`."""
    try:
        selector = parse_selector(text)
    except RequestError:
        selector = Selector()
    return tuple(
        FieldRequirement(key=one.key, operator=_OPERATORS[one.op], values=one.values)
        for one in selector.requirements
        if one.op in _OPERATORS
    )


def _field_requirements(text: str) -> tuple[FieldRequirement, ...]:
    try:
        selector = parse_field_selector(text)
    except RequestError:
        selector = FieldSelector()
    return tuple(
        FieldRequirement(key=term.field, operator="NotIn" if term.negated else "In", values=(term.value,))
        for term in selector.terms
    )
