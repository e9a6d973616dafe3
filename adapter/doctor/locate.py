"""Which Service is the adapter's, what makes its pods, and who stands behind the Services of others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from adapter.doctor.facts import ApiService, Place, Seen, Service, Unknown, Workload, container_of
from adapter.doctor.pod_reading import workload_of
from adapter.doctor.reader import Reader, path_in
from adapter.doctor.reading import selects, service_of

_MAKERS: Final = (("Deployment", "deployments"), ("StatefulSet", "statefulsets"), ("DaemonSet", "daemonsets"))
_APPS: Final = "/apis/apps/v1"
_OURS: Final = "tidegauge"
# Programs that serve metrics APIs, by a word in an image's name or a label.
_OTHERS: Final = {
    "keda": "KEDA",
    "datadog": "Datadog",
    "prometheus-adapter": "prometheus-adapter",
    "metrics-server": "metrics-server",
    "stackdriver": "Google Cloud's custom metrics adapter",
    "azure-k8s-metrics": "Azure's metrics adapter",
    "k8s-cloudwatch": "AWS' CloudWatch adapter",
    "kube-metrics-adapter": "kube-metrics-adapter",
}
_LABEL: Final = "app.kubernetes.io/name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the person named; empty for what is to be found."""

    namespace: str = ""
    service: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A Service and what makes its pods."""

    service: Seen[Service | None]
    workload: Seen[Workload | None]


class Locator:
    """Looks Services and their workloads up, each namespace once."""

    def __init__(self, reader: Reader) -> None:
        """Look with a reader of the cluster."""
        self._reader = reader
        self._workloads: dict[str, Seen[tuple[Workload, ...]]] = {}

    async def behind(self, place: Place) -> Found:
        """Return a Service and what makes the pods that it selects, or would have to."""
        document = await self._reader.get(path_in(place.namespace, "services", place.name))
        service = document if isinstance(document, Unknown) else service_of(document) if document else None
        workloads = await self._of_namespace(place.namespace)
        if isinstance(workloads, Unknown):
            return Found(service=service, workload=workloads)
        return Found(service=service, workload=_maker(service, workloads, place))

    async def _of_namespace(self, namespace: str) -> Seen[tuple[Workload, ...]]:
        if namespace not in self._workloads:
            found: list[Workload] = []
            fault: Unknown | None = None
            for kind, plural in _MAKERS:
                documents = await self._reader.items(path_in(namespace, plural, api=_APPS))
                if isinstance(documents, Unknown):
                    fault = fault or documents
                else:
                    found.extend(workload_of(one, kind) for one in documents)
            self._workloads[namespace] = fault if fault and not found else tuple(found)
        return self._workloads[namespace]

    async def target(self, wanted: Wanted, there: Iterable[ApiService]) -> Seen[Place]:
        """Return the adapter's Service: the one named, one that APIServices lead to, or one that looks like it."""
        if wanted.service:
            return Place(namespace=wanted.namespace or "default", name=wanted.service)
        services = [one.service for one in there if one.service is not None]
        places = [one for one in dict.fromkeys(services) if wanted.namespace in ("", one.namespace)]
        rated = {place: likeness((await self.behind(place)).workload) for place in places}
        best = max(rated, key=lambda place: rated[place], default=None)
        if best is not None and rated[best] == likeness_of_ours():
            return best
        elsewhere = await self._by_workload(wanted.namespace)
        if isinstance(elsewhere, Place):
            return elsewhere
        if best is not None and rated[best]:
            return best
        return elsewhere or Unknown(reason="no APIService leads to one, and no Deployment looks like one")

    async def _by_workload(self, namespace: str) -> Seen[Place] | None:
        """Return the Service of a Deployment that looks like the adapter, wherever it is."""
        root = path_in(namespace, "deployments", api=_APPS) if namespace else f"{_APPS}/deployments"
        documents = await self._reader.items(root, parameters={"labelSelector": f"{_LABEL}={_OURS}"})
        documents = documents or await self._reader.items(root)
        if isinstance(documents, Unknown):
            return Unknown(reason=f"no APIService leads to one, and {documents.reason}")
        workloads = [workload_of(one, "Deployment") for one in documents]
        ours = next((one for one in workloads if likeness(one) == likeness_of_ours()), None)
        return await self._service_of(ours) if ours is not None else None

    async def _service_of(self, workload: Workload) -> Place:
        documents = await self._reader.items(path_in(workload.place.namespace, "services"))
        services = [] if isinstance(documents, Unknown) else [service_of(one) for one in documents]
        fitting = [one.place for one in services if _is_selected(one, workload)]
        return workload.place if workload.place in fitting or not fitting else fitting[0]


def likeness_of_ours() -> int:
    """Return how a workload is rated that is this adapter."""
    return 2


def likeness(workload: Seen[Workload | None]) -> int:
    """Rate a workload: 2 for this adapter, 1 for one with its flags (prometheus-adapter), 0 for anything else."""
    if workload is None or isinstance(workload, Unknown):
        return 0
    named = [workload.template.labels.get(_LABEL, ""), *(one.image for one in workload.template.containers)]
    if any(_OURS in one for one in named):
        return 2
    container = container_of(workload.template)
    return int(container is not None and any(word.startswith("--prometheus-url") for word in container.words))


def program_of(workload: Seen[Workload | None]) -> str:
    """Return which program makes the pods behind a Service, for people; empty if nobody can say."""
    if workload is None or isinstance(workload, Unknown):
        return ""
    images = [one.image for one in workload.template.containers]
    texts = [workload.place.name, *workload.template.labels.values(), *images]
    known = next((name for word, name in _OTHERS.items() if any(word in text for text in texts)), "")
    return known or (f"image {images[0]}" if images else "")


def _maker(service: Seen[Service | None], workloads: Sequence[Workload], place: Place) -> Workload | None:
    if isinstance(service, Service) and service.selector:
        fitting = [one for one in workloads if _is_selected(service, one)]
        if fitting:
            return max(fitting, key=likeness)
    named = [one for one in workloads if one.place == place]
    like = [one for one in workloads if likeness(one)]
    return next(iter(named or like), None)


def _is_selected(service: Service, workload: Workload) -> bool:
    wanted: Mapping[str, Any] = {"matchLabels": dict(service.selector)}
    return bool(service.selector) and selects(wanted, workload.template.labels)
