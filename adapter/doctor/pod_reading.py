"""Workloads, pods and containers: from documents to facts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from adapter.doctor.documents import at, is_true, mapping, mappings, moment, number, text, texts, words
from adapter.doctor.facts import Container, ContainerState, Mount, Pod, Template, Volume, Workload
from adapter.doctor.reading import condition, conditions_of, name_of, place_of

# What a volume is made of, as its key names it, and in which key its name stands.
_SOURCES: Final = (("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName"))
# The sources of a projected volume are written a little differently.
_PROJECTED: Final = (("configMap", "ConfigMap", "name"), ("secret", "Secret", "name"))


def workload_of(document: Any, kind: str) -> Workload:
    """Read a Deployment, or what makes pods as one does."""
    replicas = number(document, "spec", "replicas")
    return Workload(
        kind=kind,
        place=place_of(document),
        template=template_of(mapping(document, "spec", "template")),
        selector=texts(document, "spec", "selector", "matchLabels"),
        replicas=1 if replicas is None else replicas,
        conditions=conditions_of(document),
    )


def template_of(document: Any) -> Template:
    """Read what pods are made of; a pod itself has the same form."""
    spec = mapping(document, "spec")
    return Template(
        labels=texts(document, "metadata", "labels"),
        account=text(spec, "serviceAccountName") or text(spec, "serviceAccount") or "default",
        mounts_token=at(spec, "automountServiceAccountToken") is not False or _projects_token(spec),
        containers=tuple(_container(one) for one in mappings(spec, "containers")),
        volumes={text(one, "name"): tuple(_volumes(one)) for one in mappings(spec, "volumes")},
    )


def _projects_token(spec: Mapping[str, Any]) -> bool:
    return any(
        "serviceAccountToken" in source
        for volume in mappings(spec, "volumes")
        for source in mappings(volume, "projected", "sources")
    )


def _container(document: Mapping[str, Any]) -> Container:
    env = mappings(document, "env")
    return Container(
        name=text(document, "name"),
        image=text(document, "image"),
        words=(*words(document, "command"), *words(document, "args")),
        ports=dict(_container_ports(document)),
        env={text(one, "name"): text(one, "value") for one in env if "valueFrom" not in one},
        hidden_env=(
            *(text(one, "name") for one in env if "valueFrom" in one),
            *("" for _ in mappings(document, "envFrom")),
        ),
        mounts=tuple(
            Mount(path=text(one, "mountPath"), volume=text(one, "name"), sub_path=text(one, "subPath"))
            for one in mappings(document, "volumeMounts")
        ),
    )


def _container_ports(document: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    for one in mappings(document, "ports"):
        found = number(one, "containerPort")
        if found is not None:
            yield text(one, "name") or str(found), found


def _volumes(document: Mapping[str, Any]) -> Iterator[Volume]:
    """Yield what a volume is made of, several parts if it is projected."""
    found = [
        *((document, source) for source in _SOURCES),
        *((part, source) for part in mappings(document, "projected", "sources") for source in _PROJECTED),
    ]
    named = [(mapping(part, key), kind, name) for part, (key, kind, name) in found if mapping(part, key)]
    for part, kind, name in named:
        keys = {text(one, "path"): text(one, "key") for one in mappings(part, "items")}
        yield Volume(source=kind, name=text(part, name), keys=keys)
    if not named:
        yield Volume(source=next((key for key in document if key != "name"), "volume"))


def pod_of(document: Any) -> Pod:
    """Read a pod."""
    conditions = conditions_of(document)
    ready = condition(conditions, "Ready")
    return Pod(
        name=name_of(document),
        labels=texts(document, "metadata", "labels"),
        phase=text(document, "status", "phase"),
        ready=ready is not None and ready.status == "True",
        leaving=bool(text(document, "metadata", "deletionTimestamp")),
        began=moment(document, "status", "startTime"),
        conditions=conditions,
        states=tuple(
            _state(one)
            for key in ("initContainerStatuses", "containerStatuses")
            for one in mappings(document, "status", key)
        ),
    )


def _state(document: Mapping[str, Any]) -> ContainerState:
    ended = mapping(document, "state", "terminated") or mapping(document, "lastState", "terminated")
    code = number(ended, "exitCode")
    return ContainerState(
        name=text(document, "name"),
        ready=is_true(document, "ready"),
        restarts=number(document, "restartCount") or 0,
        waiting=text(document, "state", "waiting", "reason"),
        waiting_message=text(document, "state", "waiting", "message"),
        ended=f"{text(ended, 'reason') or 'ended'}, exit code {code}" if ended else "",
        ended_message=text(ended, "message"),
    )
