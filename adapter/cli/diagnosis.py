"""What may help against an answer that is not what people hoped for."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

from adapter.cli.absent_metric import Search
from adapter.cli.absent_values import value_hints
from adapter.cli.asking import Asked
from adapter.cli.wording import close_matches, either, listed
from adapter.errors import InvalidPath, ObjectsUnavailable, UpstreamError
from adapter.kube.resources import Kinds
from adapter.kube.selectors import EVERYTHING
from adapter.rules.requests import BySelector, CustomMetricRequest
from adapter.runtime.provider import Groups
from adapter.runtime.wiring import Runtime

# What people know from kubectl; the API never takes them.
_SHORT_NAMES = {
    "cj": "cronjobs.batch",
    "deploy": "deployments.apps",
    "ds": "daemonsets.apps",
    "hpa": "horizontalpodautoscalers.autoscaling",
    "ing": "ingresses.networking.k8s.io",
    "no": "nodes",
    "ns": "namespaces",
    "po": "pods",
    "pv": "persistentvolumes",
    "pvc": "persistentvolumeclaims",
    "rs": "replicasets.apps",
    "sts": "statefulsets.apps",
    "svc": "services",
}
_PATHS = {
    "custom.metrics.k8s.io": "v1beta2/namespaces/NAMESPACE/RESOURCE/NAME/METRIC",
    "external.metrics.k8s.io": "v1beta1/namespaces/NAMESPACE/METRIC",
}


async def hints(asked: Asked, runtime: Runtime) -> tuple[str, ...]:
    """Return what may help, most likely first; each is a sentence."""
    return tuple(dict.fromkeys(await _hints(asked, runtime)))


async def _hints(asked: Asked, runtime: Runtime) -> Iterable[str]:
    match asked.request, asked.failed_step:
        case None, _:
            return _path_hints(asked.path, runtime.provider.groups) if _is_misread(asked) else ()
        case request, "rule" if not isinstance(asked.error, UpstreamError):
            return await Search(request=request, runtime=runtime).hints()
        case CustomMetricRequest() as request, "kind":
            return _kind_hints(str(request.resource), runtime.provider.kinds)
        case CustomMetricRequest() as request, "objects":
            return await _object_hints(asked, request, runtime)
        case CustomMetricRequest() as request, _:
            return await value_hints(asked, request, runtime)
    return ()


def _is_misread(asked: Asked) -> bool:
    """Say whether a path names nothing; other errors speak of the parameters and say what is wrong with them."""
    return asked.status == HTTPStatus.NOT_FOUND or asked.message == str(InvalidPath())


def _path_hints(path: str, installed: Groups) -> Iterable[str]:
    there = {"custom.metrics.k8s.io": installed.custom, "external.metrics.k8s.io": installed.external}
    for group, rest in _PATHS.items():
        if path.startswith(f"/apis/{group}") and not there[group]:
            yield f"no rule of the files feeds {group}, so this API is not served at all"
        elif path.startswith(f"/apis/{group}/"):
            yield f"a metric has the path /apis/{group}/{rest}"


def _kind_hints(resource: str, kinds: Kinds) -> Iterable[str]:
    if full := _SHORT_NAMES.get(resource.lower()):
        yield f"{resource} is a short name of kubectl's; the API takes {full}"
        return
    known = {str(kind.group_resource) if "." in resource else kind.plural for kind in kinds}
    if close := close_matches(resource, known):
        yield f"did you mean {either(close)}?"
    yield "a custom resource is known when its CustomResourceDefinition is among the objects"


async def _object_hints(asked: Asked, request: CustomMetricRequest, runtime: Runtime) -> Iterable[str]:
    kind = runtime.provider.kinds.resolve(request.resource)
    if kind is None or not isinstance(request.target, BySelector):
        return ()
    if kind.namespaced != bool(request.namespace):
        return ("name a namespace with -n" if kind.namespaced else "leave the namespace out",)
    if isinstance(asked.error, ObjectsUnavailable):
        return (f"--objects-file says which {kind.plural} there are; without it, ask for one of them by name",)
    everything = [one.name for one in await runtime.objects.picked(kind, request.namespace, EVERYTHING)]
    where = f" in the namespace {request.namespace}" if request.namespace else ""
    if not everything:
        return (f"there are no {kind.plural} at all{where}",)
    return (f"the {kind.plural}{where} are {listed(everything)}, and the labels of none are as the selector wants",)
