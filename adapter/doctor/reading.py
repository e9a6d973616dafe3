"""From documents of kube-apiserver to facts, whatever shape they are in."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any, Final

from adapter.doctor.documents import at, is_true, items, mapping, mappings, number, text, texts, words
from adapter.doctor.facts import (
    ApiService,
    AskedMetric,
    Autoscaler,
    Condition,
    Endpoint,
    Place,
    Policy,
    Service,
    ServicePort,
)

_HTTPS: Final = 443
# In which key of a metric of this type its name stands.
_NAMES: Final = {
    "Pods": ("pods", "metric", "name"),
    "Object": ("object", "metric", "name"),
    "External": ("external", "metric", "name"),
    "Resource": ("resource", "name"),
    "ContainerResource": ("containerResource", "name"),
}


def name_of(document: Any) -> str:
    """Return an object's name."""
    return text(document, "metadata", "name")


def place_of(document: Any) -> Place:
    """Return an object's namespace and name."""
    return Place(namespace=text(document, "metadata", "namespace"), name=name_of(document))


def conditions_of(document: Any) -> tuple[Condition, ...]:
    """Return the conditions of an object's status."""
    return tuple(
        Condition(
            type=text(one, "type"), status=text(one, "status"), reason=text(one, "reason"), message=text(one, "message")
        )
        for one in mappings(document, "status", "conditions")
    )


def condition(conditions: tuple[Condition, ...], kind: str) -> Condition | None:
    """Return the condition of a type."""
    return next((one for one in conditions if one.type == kind), None)


def api_service_of(document: Any) -> ApiService:
    """Read an APIService."""
    spec = mapping(document, "spec")
    port = number(spec, "service", "port")
    return ApiService(
        name=name_of(document),
        group=text(spec, "group"),
        version=text(spec, "version"),
        service=Place(namespace=text(spec, "service", "namespace"), name=text(spec, "service", "name"))
        if text(spec, "service", "name")
        else None,
        port=_HTTPS if port is None else port,
        insecure=is_true(spec, "insecureSkipTLSVerify"),
        bundle=decoded(text(spec, "caBundle")),
        available=condition(conditions_of(document), "Available"),
    )


def decoded(encoded: str) -> bytes:
    """Return what a base64 text stands for; what is none of it stays as it is, and can be read by nobody."""
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return encoded.encode(errors="replace")


def service_of(document: Any) -> Service:
    """Read a Service."""
    return Service(
        place=place_of(document),
        type=text(document, "spec", "type") or "ClusterIP",
        external_name=text(document, "spec", "externalName"),
        ports=tuple(_service_ports(document)),
        selector=texts(document, "spec", "selector"),
    )


def _service_ports(document: Any) -> Iterator[ServicePort]:
    for one in mappings(document, "spec", "ports"):
        port = number(one, "port")
        if port is None or text(one, "protocol") not in ("", "TCP"):
            continue
        named, numbered = text(one, "targetPort"), number(one, "targetPort")
        target = named or (port if numbered is None else numbered)
        yield ServicePort(port=port, target=target, name=text(one, "name"))


def endpoints_of(documents: tuple[Any, ...]) -> tuple[Endpoint, ...]:
    """Read EndpointSlices; an endpoint that does not say whether it is ready is, as Kubernetes has it."""
    return tuple(
        Endpoint(
            address=address,
            ready=at(one, "conditions", "ready") is not False and not _leaves(one),
            ports=_ports(slice_),
        )
        for slice_ in documents
        for one in mappings(slice_, "endpoints")
        for address in words(one, "addresses")[:1]
    )


def _leaves(endpoint: Mapping[str, Any]) -> bool:
    return is_true(endpoint, "conditions", "terminating")


def _ports(slice_: Any) -> dict[str, int]:
    return {text(one, "name"): found for one in mappings(slice_, "ports") if (found := number(one, "port")) is not None}


def policy_of(document: Any) -> Policy:
    """Read a NetworkPolicy; one that names no types is about ingress, and about egress if it has rules for that."""
    spec = mapping(document, "spec")
    types = words(spec, "policyTypes") or ("Ingress", *(("Egress",) if items(spec, "egress") else ()))
    return Policy(
        name=name_of(document),
        selects=mapping(spec, "podSelector"),
        ingress=mappings(spec, "ingress") if "Ingress" in types else None,
        egress=mappings(spec, "egress") if "Egress" in types else None,
    )


def autoscaler_of(document: Any) -> Autoscaler:
    """Read a HorizontalPodAutoscaler of autoscaling/v2."""
    return Autoscaler(
        place=place_of(document),
        metrics=tuple(_metrics(document)),
        scaling_active=condition(conditions_of(document), "ScalingActive"),
    )


def _metrics(document: Any) -> Iterator[AskedMetric]:
    for one in mappings(document, "spec", "metrics"):
        kind = text(one, "type")
        if kind in _NAMES:
            described = mapping(one, "object", "describedObject")
            group = text(described, "apiVersion").rpartition("/")[0]
            name = text(one, *_NAMES[kind])
            yield AskedMetric(type=kind, name=name, kind=text(described, "kind"), group=group)


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Say whether a label selector (matchLabels, matchExpressions) picks labels; an empty one picks everything."""
    if any(labels.get(key) != value for key, value in mapping(selector, "matchLabels").items()):
        return False
    return all(_expression(one, labels) for one in mappings(selector, "matchExpressions"))


def _expression(one: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value, values = labels.get(text(one, "key")), words(one, "values")
    answers = {
        "In": value in values,
        "NotIn": value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }
    return answers.get(text(one, "operator"), True)
