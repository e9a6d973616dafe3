"""What is asked of an installation: its Deployment, its pods, and what is around them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from adapter.config.problems import ConfigError, Problem
from adapter.config.settings import Settings, parse_flags
from adapter.doctor.documents import text
from adapter.doctor.facts import (
    ApiService,
    Container,
    Endpoint,
    Place,
    Pod,
    Policy,
    Reply,
    Seen,
    Unknown,
    Workload,
    container_of,
)
from adapter.doctor.locate import Found, Locator, Wanted, program_of
from adapter.doctor.pod_reading import pod_of
from adapter.doctor.reader import Reader, path_in
from adapter.doctor.reading import endpoints_of, policy_of

_IN_POD: Final = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}
_VARIABLE: Final = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)")
# Pods that are asked how they are; a Deployment of this adapter has two or three.
_MOST_PODS: Final = 10
_LOG_LINES: Final = "20"
NOBODY: Final = Unknown(reason="there is no adapter to look at")


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """The adapter's Service, what makes its pods, and the flags there."""

    target: Seen[Place]
    found: Found
    container: Container | None
    settings: Seen[Settings]
    flag_problems: tuple[Problem, ...] = ()


async def find_installed(locator: Locator, wanted: Wanted, there: Mapping[str, ApiService]) -> Installed:
    """Return the adapter, as it is installed."""
    target = await locator.target(wanted, there.values())
    if isinstance(target, Unknown):
        nothing = Found(service=NOBODY, workload=NOBODY)
        return Installed(target=target, found=nothing, container=None, settings=NOBODY)
    found = await locator.behind(target)
    workload = found.workload
    if isinstance(workload, Unknown) or workload is None:
        why = workload or Unknown(reason="there is no Deployment")
        return Installed(target=target, found=found, container=None, settings=why)
    container = container_of(workload.template)
    if container is None:
        why = Unknown(reason="the Deployment has no container")
        return Installed(target=target, found=found, container=None, settings=why)
    settings, problems = settings_of(container)
    return Installed(target=target, found=found, container=container, settings=settings, flag_problems=tuple(problems))


def settings_of(container: Container) -> tuple[Seen[Settings], Sequence[Problem]]:
    """Return what the flags of a container mean, or what is wrong with them."""
    words = [_expanded(word, container.env) for word in container.words]
    first = next((index for index, word in enumerate(words) if word.startswith("-")), len(words))
    try:
        return parse_flags(words[first:], _IN_POD).settings, ()
    except ConfigError as error:
        return Unknown(reason="the adapter's flags have errors"), error.problems


def _expanded(word: str, env: Mapping[str, str]) -> str:
    """Put variables into an argument as kubelet does; one that is not known stays as it is written."""
    return _VARIABLE.sub(lambda match: env.get(match[1], match[0]), word)


async def owners_of(locator: Locator, target: Seen[Place], there: Mapping[str, ApiService]) -> dict[str, str]:
    """Return which programs stand behind the Services of others."""
    places = dict.fromkeys(one.service for one in there.values() if one.service is not None and one.service != target)
    return {str(place): program_of((await locator.behind(place)).workload) for place in places}


async def endpoints_behind(reader: Reader, target: Seen[Place]) -> Seen[tuple[Endpoint, ...]]:
    """Return who is behind the adapter's Service."""
    if isinstance(target, Unknown):
        return NOBODY
    path = path_in(target.namespace, "endpointslices", api="/apis/discovery.k8s.io/v1")
    parameters = {"labelSelector": f"kubernetes.io/service-name={target.name}"}
    documents = await reader.items(path, parameters=parameters)
    return documents if isinstance(documents, Unknown) else endpoints_of(documents)


async def policies_around(reader: Reader, installed: Installed) -> Seen[tuple[Policy, ...]]:
    """Return the NetworkPolicies of the adapter's namespace."""
    workload = installed.found.workload
    if isinstance(workload, Unknown) or workload is None:
        return NOBODY
    path = path_in(workload.place.namespace, "networkpolicies", api="/apis/networking.k8s.io/v1")
    documents = await reader.items(path)
    return documents if isinstance(documents, Unknown) else tuple(map(policy_of, documents))


async def account_exists(reader: Reader, installed: Installed) -> Seen[bool]:
    """Say whether the ServiceAccount of the adapter's pods exists."""
    workload = installed.found.workload
    if isinstance(workload, Unknown) or workload is None:
        return NOBODY
    path = path_in(workload.place.namespace, "serviceaccounts", workload.template.account)
    document = await reader.get(path)
    return document if isinstance(document, Unknown) else document is not None


# ---- pods


async def pods_of(reader: Reader, installed: Installed) -> Seen[tuple[Pod, ...]]:
    """Return the adapter's pods, with what each says of itself."""
    workload = installed.found.workload
    if isinstance(workload, Unknown) or workload is None:
        return NOBODY
    root = path_in(workload.place.namespace, "pods")
    labels = workload.selector or workload.template.labels
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    documents = await reader.items(root, parameters={"labelSelector": selector} if selector else {})
    if isinstance(documents, Unknown):
        return documents
    port = 443 if isinstance(installed.settings, Unknown) else installed.settings.secure_port
    found = [pod_of(one) for one in documents]
    looked = await asyncio.gather(*(_asked(reader, one, port, workload) for one in found[:_MOST_PODS]))
    return (*looked, *found[_MOST_PODS:])


async def _asked(reader: Reader, pod: Pod, port: int, workload: Workload) -> Pod:
    """Return a pod with what it says itself: that it is ready, or why it ended."""
    if pod.leaving:
        return pod
    if pod.phase != "Running":
        return replace(pod, health=Unknown(reason="it does not run"), log=await _log(reader, pod, workload))
    reply = await reader.reply(
        path_in(workload.place.namespace, "pods", f"https:{pod.name}:{port}", "proxy", "readyz"),
        parameters={"verbose": ""},
    )
    health = _unless_forbidden(reply, "pods/proxy")
    ended = any(one.ended for one in pod.states)
    return replace(pod, health=health, log=await _log(reader, pod, workload) if ended else "")


async def _log(reader: Reader, pod: Pod, workload: Workload) -> str:
    """Return the end of the log of the run before, or of this one; empty if nobody has it."""
    container = container_of(workload.template)
    named = {"container": container.name, "tailLines": _LOG_LINES} if container else {"tailLines": _LOG_LINES}
    for parameters in ({**named, "previous": "true"}, named):
        reply = await reader.reply(path_in(workload.place.namespace, "pods", pod.name, "log"), parameters=parameters)
        if isinstance(reply, Reply) and reply.status == 200 and reply.text.strip():  # noqa: PLR2004 - HTTP's good
            return reply.text
    return ""


def _unless_forbidden(reply: Seen[Reply], resource: str) -> Seen[Reply]:
    """Tell kube-apiserver's own refusal from what stands behind its proxy."""
    if isinstance(reply, Reply) and text(reply.document, "kind") == "Status" and f'"{resource}"' in reply.text:
        return Unknown(reason=f"you may not get {resource}")
    return reply
