"""Which kube-apiserver is asked for what: objects, token reviews, access reviews; mostly all of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from adapter.clients.kubernetes import ClusterClient, ClusterObserver, ClusterOptions, open_cluster
from adapter.config.settings import Settings

_POD = ("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clusters:
    """The clusters by what they are asked for; None where there is none."""

    lister: ClusterClient | None = None
    authentication: ClusterClient | None = None
    authorization: ClusterClient | None = None
    _opened: tuple[ClusterClient, ...] = field(default=(), repr=False)

    async def close(self) -> None:
        """Close the connections."""
        for client in self._opened:
            await client.close()


def open_clusters(
    settings: Settings, *, environment: Mapping[str, str], observer: ClusterObserver, clock: Callable[[], float]
) -> Clusters:
    """Return a client for each purpose: of the kubeconfig that its flag names, else of the pod's own cluster.

    Purposes that share a kubeconfig share a client. Raises ConfigError for a kubeconfig that cannot be used.
    """
    in_pod = all(environment.get(name) for name in _POD)
    opened: dict[str, ClusterClient] = {}

    def client_of(kubeconfig: str) -> ClusterClient | None:
        if not kubeconfig and not in_pod:
            return None
        if kubeconfig not in opened:
            options = ClusterOptions(kubeconfig=kubeconfig, environment=environment)
            opened[kubeconfig] = open_cluster(options, observer=observer, clock=clock)
        return opened[kubeconfig]

    # An objects file takes the place of the cluster's objects, unless a cluster is named as well.
    lister = None if settings.objects_file and not settings.lister_kubeconfig else client_of(settings.lister_kubeconfig)
    authentication = client_of(settings.authentication_kubeconfig)
    authorization = client_of(settings.authorization_kubeconfig)
    return Clusters(
        lister=lister,
        authentication=authentication,
        authorization=authorization,
        _opened=tuple(opened.values()),
    )
