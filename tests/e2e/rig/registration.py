"""What the adapter's manifests do: an account with rights, a Service, and an APIService for each API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rig.processes import wait_until

from e2e.rig import objects
from e2e.rig.cluster import Cluster
from e2e.rig.kubeconfig import token_user

SPACE: Final = "custom-metrics"
SERVICE: Final = "tidegauge"
HOST: Final = f"{SERVICE}.{SPACE}.svc"  # what the serving certificate must be good for
USER: Final = f"system:serviceaccount:{SPACE}:{SERVICE}"  # as the audit log names the adapter
READER: Final = "e2e-metrics-reader"  # a ClusterRole that may read every metric
_READ = ("get", "list", "watch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """A version of an API; the greatest priority of a group is its preferred version."""

    group: str
    version: str
    priority: int = 100

    @property
    def name(self) -> str:
        """The name of its APIService."""
        return f"{self.version}.{self.group}"

    @property
    def path(self) -> str:
        """Where it is served."""
        return f"/apis/{self.group}/{self.version}"


CUSTOM: Final = Api(group="custom.metrics.k8s.io", version="v1beta2", priority=200)
CUSTOM_OLD: Final = Api(group="custom.metrics.k8s.io", version="v1beta1")
EXTERNAL: Final = Api(group="external.metrics.k8s.io", version="v1beta1")
RESOURCE: Final = Api(group="metrics.k8s.io", version="v1beta1")
RESOURCE_NEW: Final = Api(group="metrics.k8s.io", version="v1", priority=200)
APIS: Final = (CUSTOM, CUSTOM_OLD, EXTERNAL, RESOURCE, RESOURCE_NEW)


class Registration:
    """Registers an extension server on a local port with a cluster, under the adapter's names."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def prepare(self) -> Path:
        """Create the namespace, the Service and the account with its rights; return a kubeconfig of the account."""
        cluster = self._cluster
        cluster.create_namespace(SPACE)
        cluster.apply(objects.local_service(SERVICE, SPACE))
        cluster.apply(
            objects.cluster_role("e2e-objects-reader", objects.rule(["*"], ["*"], _READ)),
            objects.cluster_role(READER, objects.rule([api.group for api in APIS], ["*"], ("get", "list"))),
        )
        cluster.create_account(SERVICE, SPACE, "system:auth-delegator", "e2e-objects-reader")
        account = (SERVICE, SPACE)
        reader = "extension-apiserver-authentication-reader"
        cluster.apply(objects.binding(reader, account=account, role_space="kube-system"))
        return cluster.plane.kubeconfig_for(SERVICE, token_user(cluster.token(SERVICE, SPACE)))

    def register(self, port: int, *, authority: bytes, apis: Sequence[Api] = APIS) -> None:
        """Create or change the APIServices."""
        service = (SERVICE, SPACE)
        for api in apis:
            self._cluster.apply(
                objects.api_service(
                    api.group, api.version, service=service, port=port, authority=authority, priority=api.priority
                )
            )

    def unregister(self, apis: Sequence[Api] = APIS) -> None:
        """Delete the APIServices."""
        for api in apis:
            self._cluster.delete("APIService", api.name)

    def unavailable(self, apis: Sequence[Api] = APIS) -> Mapping[str, str]:
        """Return why each API that is not Available is not."""
        found = {api.name: self._cluster.condition("APIService", api.name, "Available") for api in apis}
        return {
            name: f"{one['reason']}: {one['message']}" if one else "not looked at yet"
            for name, one in found.items()
            if not one or one["status"] != "True"
        }

    def wait_available(self, apis: Sequence[Api] = APIS, *, timeout_seconds: float = 30.0) -> None:
        """Wait until all are Available.

        Raises:
            TimeoutError: some are not; the text says why.
        """

        def probe() -> bool:
            if missing := self.unavailable(apis):
                raise RuntimeError(str(missing))
            return True

        wait_until("APIServices to be Available", probe, timeout_seconds=timeout_seconds, interval_seconds=0.05)
