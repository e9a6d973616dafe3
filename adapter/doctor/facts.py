"""What was seen of a cluster: plain facts, each of them there, absent (None), or not to be had (Unknown)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeAlias, TypeVar

from adapter.config.problems import Problem
from adapter.config.settings import Settings
from adapter.kube.resources import Kinds
from adapter.rules.rule import Rulebook

T = TypeVar("T")

CUSTOM: Final = "custom.metrics.k8s.io"
EXTERNAL: Final = "external.metrics.k8s.io"
RESOURCE: Final = "metrics.k8s.io"
# The role, and the binding of the same name, that Kubernetes makes for the autoscaler's account.
HPA_ROLE: Final = "system:controller:horizontal-pod-autoscaler"
# The APIServices that an adapter may have, of each group the one that clients ask for first.
API_SERVICES: Final = (
    f"v1beta2.{CUSTOM}",
    f"v1beta1.{CUSTOM}",
    f"v1beta1.{EXTERNAL}",
    f"v1beta1.{RESOURCE}",
    f"v1.{RESOURCE}",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """What could not be looked at; `reason` is for people: `you may not get secrets in namespace x`."""

    reason: str


Seen: TypeAlias = T | Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An object of a namespace."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A condition of an object's status."""

    type: str
    status: str  # True, False, Unknown
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiService:
    """An APIService; `service` is None where kube-apiserver serves the API itself."""

    name: str
    group: str
    version: str
    service: Place | None = None
    port: int = 443
    insecure: bool = False
    bundle: bytes = b""  # PEM
    available: Condition | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """How something was answered over HTTP; status 0 is no answer at all, and `text` says why."""

    status: int
    text: str = ""
    document: Any = None  # of a JSON body


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePort:
    """A port of a Service; `target` is a number, or the name of a container's port."""

    port: int
    target: int | str
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A Service."""

    place: Place
    type: str = "ClusterIP"
    external_name: str = ""
    ports: tuple[ServicePort, ...] = ()
    selector: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An address behind a Service, with the ports of its slice by their names."""

    address: str
    ready: bool
    ports: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """Where a container has a volume, or one file of it."""

    path: str
    volume: str
    sub_path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """Where the files of a volume come from; `keys` maps paths to keys, empty for all keys as they are."""

    source: str  # ConfigMap, Secret, or another word
    name: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A container as its template has it; `env` has the variables whose values are written there."""

    name: str
    image: str = ""
    words: tuple[str, ...] = ()  # command and args
    ports: Mapping[str, int] = field(default_factory=dict)  # by name, or by the number where there is no name
    env: Mapping[str, str] = field(default_factory=dict)
    hidden_env: tuple[str, ...] = ()  # names of the variables whose values stand elsewhere
    mounts: tuple[Mount, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """What pods are made of."""

    labels: Mapping[str, str] = field(default_factory=dict)
    account: str = "default"
    mounts_token: bool = True
    containers: tuple[Container, ...] = ()
    volumes: Mapping[str, tuple[Volume, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What makes the pods."""

    kind: str
    place: Place
    template: Template
    selector: Mapping[str, str] = field(default_factory=dict)
    replicas: int = 1
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerState:
    """How a container is: what it waits for, how it ended, how it ended before."""

    name: str
    ready: bool = False
    restarts: int = 0
    waiting: str = ""  # reason, such as CrashLoopBackOff
    waiting_message: str = ""
    ended: str = ""  # reason and exit code of the last end
    ended_message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """A pod; `health` is what its readyz says, `log` the end of its log where it crashes."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    phase: str = ""
    ready: bool = False
    leaving: bool = False  # it is being deleted
    began: datetime | None = None  # when a node took it
    conditions: tuple[Condition, ...] = ()
    states: tuple[ContainerState, ...] = ()
    health: Seen[Reply] = Unknown(reason="it was not asked")
    log: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """The certificate that the adapter serves with, in PEM, and where that was seen.

    It is `whole` if the certificates between it and its authority, if there are any, would be seen behind it.
    """

    pem: bytes
    where: str
    whole: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question about somebody's rights, as a SubjectAccessReview puts it."""

    user: str
    verb: str
    group: str
    resource: str
    subresource: str = ""
    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        resource = f"{self.resource}/{self.subresource}" if self.subresource else self.resource
        named = f'"{self.name}" of ' if self.name else ""
        where = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{self.verb} {named}{resource}{f'.{self.group}' if self.group else ''}{where}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenRules:
    """The rules that the adapter is given; `missing` are the files that its arguments name and nothing gives."""

    rulebook: Rulebook
    problems: tuple[Problem, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenPrometheus:
    """Prometheus: its address without secrets, the way it was asked, and what it said.

    `query` answers `vector(1)`, `labels` the question for label names; `service` is None where the address names no
    Service of the cluster, and `service_exists` says whether there is such a Service.
    """

    url: str
    way: str
    query: Seen[Reply]
    labels: Seen[Reply]
    service: Place | None = None
    service_exists: bool = True
    has_credentials: bool = False  # the adapter logs in, and we do not
    sure: bool = True  # whether no answer to us means none to the adapter


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A NetworkPolicy; `ingress` and `egress` are its rules, None where it says nothing of that direction."""

    name: str
    selects: Mapping[str, Any]
    ingress: tuple[Mapping[str, Any], ...] | None = None
    egress: tuple[Mapping[str, Any], ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedMetric:
    """A metric that an HPA asks for; `resource` and `group` are those of the described object of an Object metric."""

    type: str  # Pods, Object, External, Resource, ContainerResource
    name: str
    kind: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Autoscaler:
    """A HorizontalPodAutoscaler."""

    place: Place
    metrics: tuple[AskedMetric, ...] = ()
    scaling_active: Condition | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that was seen."""

    now: datetime
    server: str
    target: Seen[Place]  # the adapter's Service
    api_services: Seen[Mapping[str, ApiService]]
    owners: Mapping[str, str] = field(default_factory=dict)  # other Services: what program stands behind them
    apis: Mapping[str, Reply] = field(default_factory=dict)  # how kube-apiserver answers discovery, by APIService
    service: Seen[Service | None]
    endpoints: Seen[tuple[Endpoint, ...]]
    workload: Seen[Workload | None]
    pods: Seen[tuple[Pod, ...]]
    account: Seen[bool]  # whether the ServiceAccount exists
    settings: Seen[Settings]
    flag_problems: tuple[Problem, ...] = ()
    served: Seen[Served | None]
    front_proxy: Seen[Mapping[str, str] | None]  # the data of the ConfigMap
    files: Mapping[str, Seen[bytes | None]] = field(default_factory=dict)  # files of the container, by their paths
    rights: Mapping[Question, Seen[bool]] = field(default_factory=dict)
    hpa_binding: Seen[Mapping[str, Any] | None] = Unknown(reason="it was not looked at")  # the document
    kinds: Seen[Kinds]
    kinds_problem: str = ""  # which groups of kinds nobody can tell, empty if there are none
    rules: Seen[SeenRules]
    prometheus: Seen[SeenPrometheus]
    policies: Seen[tuple[Policy, ...]]
    cluster_address: str = ""  # of kube-apiserver inside the cluster
    autoscalers: Seen[tuple[Autoscaler, ...]]


def container_of(template: Template) -> Container | None:
    """Return the container that is the adapter: the one with its flags, else the first."""
    flags = ("--prometheus-url", "--secure-port", "--config")
    named = (one for one in template.containers if any(word.startswith(flags) for word in one.words))
    return next(named, None) or next(iter(template.containers), None)


def groups_fed(rulebook: Rulebook) -> Sequence[str]:
    """Return the API groups that rules feed."""
    fed = ((CUSTOM, rulebook.custom), (EXTERNAL, rulebook.external), (RESOURCE, rulebook.resource))
    return [group for group, is_fed in fed if is_fed]


def api_services_of(group: str) -> Sequence[str]:
    """Return the names of the APIServices that an API group may have."""
    return [name for name in API_SERVICES if name.partition(".")[2] == group]
