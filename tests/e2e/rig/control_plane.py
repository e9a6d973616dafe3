"""etcd, kube-apiserver and kube-controller-manager, which end with us.

There is no kubelet and no scheduler: pods stay Pending until somebody patches their status (see `kubelet` and `node`).
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from rig.processes import Child, ChildEndedError, wait_until

from e2e.rig.audit import POLICY, AuditLog
from e2e.rig.front_proxy import FrontProxy
from e2e.rig.kubeconfig import certificate_user, write_kubeconfig
from e2e.rig.kubectl import Kubectl
from e2e.rig.pki import LOOPBACK, Authority, PairFiles, signing_keys
from e2e.rig.programs import Programs

ADMIN = "e2e-admin"
SYNC_SECONDS = 2  # an HPA's period here; 15 s in a cluster
_ISSUER = "https://kubernetes.default.svc"
_READY_SECONDS = 60.0
_TRIES = 3  # somebody may take a port between our look and the program's
_MANAGER = "system:kube-controller-manager"
_CONTROLLERS = (
    "horizontal-pod-autoscaler-controller",
    "deployment-controller",
    "replicaset-controller",
    "namespace-controller",
    "serviceaccount-controller",
)
# What pods need that talk to kube-apiserver and are reached by their Services.
# kube-apiserver's own proxy to Services reads Endpoints, its aggregator EndpointSlices.
_CONTROLLERS_OF_PODS = (
    "garbage-collector-controller",
    "endpoints-controller",
    "endpointslice-controller",
    "root-ca-certificate-publisher-controller",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Ports of loopback, all different; that of kube-apiserver is free on its address."""

    etcd: int
    etcd_peers: int
    api: int
    manager: int

    @classmethod
    def free(cls, address: str) -> Self:
        """Return ports that nobody listens on now; `address` is kube-apiserver's."""
        with contextlib.ExitStack() as stack:
            sockets = [stack.enter_context(socket.socket()) for _ in range(4)]
            for one, host in zip(sockets, (LOOPBACK, LOOPBACK, address, LOOPBACK), strict=True):
                one.bind((host, 0))
            numbers = [one.getsockname()[1] for one in sockets]
        return cls(etcd=numbers[0], etcd_peers=numbers[1], api=numbers[2], manager=numbers[3])


@dataclass(slots=True)
class Home:
    """A folder with everything that a control plane reads and writes."""

    folder: Path
    authority: Authority = field(default_factory=lambda: Authority("e2e-ca"))

    def write(self, name: str, content: bytes) -> Path:
        """Write a file and return its path."""
        path = self.folder / name
        path.write_bytes(content)
        return path

    def pair(self, name: str) -> PairFiles:
        """Return where a certificate and its key are kept."""
        return PairFiles(certificate=self.folder / f"{name}.crt", key=self.folder / f"{name}.key")


class ControlPlane:
    """A running control plane; use it as a context manager, and start it from the main thread.

    Attributes:
        url: of kube-apiserver.
        address, port: of kube-apiserver.
        authority: signs serving certificates and clients (`--client-ca-file`).
        front_proxy: what kube-apiserver shows to extension servers; it can be replaced while everything runs.
        admin: the certificate of a user who may do everything.
        kubeconfig: of that user.
        api: an HTTP client of that user.
        kubectl: the command as that user.
        audit: kube-apiserver's audit log.
        started_seconds: how long each program took until it was ready.
    """

    def __init__(self, programs: Programs, folder: Path, *, pods_at: str = "") -> None:
        """`pods_at` is this machine's address in the network of pods that really run: Services lead to them then.

        Without it a Service of type ExternalName leads to a port of loopback.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._programs = programs
        self._pods_at = pods_at
        self.address = pods_at or LOOPBACK
        self._home = Home(folder)
        self._stack = contextlib.ExitStack()
        self.authority = self._home.authority
        self.admin = self._home.pair("admin")
        self.front_proxy = FrontProxy(folder)
        self.children: list[Child] = []
        self.started_seconds: dict[str, float] = {}

    def __enter__(self) -> Self:
        for left in reversed(range(_TRIES)):
            try:
                self._start()
            except ChildEndedError as error:
                self.stop()
                if not left or "address already in use" not in str(error):
                    raise
            except BaseException:
                self.stop()
                raise
            else:
                break
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End everything, last started first."""
        self._stack.close()
        self.children.clear()

    @property
    def logs(self) -> dict[str, Path]:
        """Where each program writes."""
        return {child.name: child.log for child in self.children}

    def check_alive(self) -> None:
        """Do nothing while all programs run.

        Raises:
            ChildEndedError: one has ended; the text holds the end of its log.
        """
        for child in self.children:
            child.check_alive()

    def kubeconfig_for(self, name: str, user: dict[str, str]) -> Path:
        """Write a kubeconfig of another user (see `kubeconfig`), and return its path."""
        path = self._home.folder / f"{name}.kubeconfig"
        return write_kubeconfig(path, server=self.url, authority=self.authority.pem, user=user)

    def client(self, *, headers: dict[str, str] | None = None, pair: PairFiles | None = None) -> httpx.Client:
        """Return an HTTP client of kube-apiserver, with a client certificate or with headers such as a token."""
        context = ssl.create_default_context(cadata=self.authority.pem.decode())
        if pair:
            context.load_cert_chain(pair.certificate, pair.key)
        return httpx.Client(base_url=self.url, verify=context, headers=headers, timeout=70, trust_env=False)

    def _start(self) -> None:
        ports = Ports.free(self.address)
        self.port = ports.api
        self.url = f"https://{self.address}:{self.port}"
        self._write_files()
        self._run("etcd", self._etcd(ports), lambda: _is_good(f"http://127.0.0.1:{ports.etcd}/health"))
        self._run("kube-apiserver", self._kube_apiserver(ports), lambda: self.api.get("/readyz").is_success)
        self._run("kube-controller-manager", self._manager(ports), lambda: self._manager_is_good(ports.manager))

    def _write_files(self) -> None:
        home = self._home
        home.write("ca.crt", self.authority.pem)
        home.pair("serving").write(self.authority.server(["localhost", "kubernetes.default.svc"], address=self.address))
        admin, manager = self.authority.client(ADMIN, "system:masters"), self.authority.client(_MANAGER)
        self.admin.write(admin)
        home.write("audit-policy.yaml", POLICY.encode())
        private, public = signing_keys()
        home.write("tokens.key", private)
        home.write("tokens.pub", public)
        self.kubeconfig = self.kubeconfig_for("admin", certificate_user(admin))
        self.kubeconfig_for("manager", certificate_user(manager))
        self.audit = AuditLog(home.folder / "audit.log")
        self.kubectl = Kubectl(self._programs.kubectl, self.kubeconfig, cache=home.folder / "kubectl-cache")
        self.api = self._stack.enter_context(self.client(pair=self.admin))

    def _run(self, name: str, argv: Sequence[str | Path], is_ready: Callable[[], bool]) -> None:
        begin = time.monotonic()
        child = self._stack.enter_context(Child(name, argv, log=self._home.folder / f"{name}.log"))
        self.children.append(child)
        wait_until(name, lambda: child.check_alive() and is_ready(), timeout_seconds=_READY_SECONDS)
        self.started_seconds[name] = time.monotonic() - begin

    def _manager_is_good(self, port: int) -> bool:
        return self.api.get(f"https://127.0.0.1:{port}/healthz").is_success

    def _etcd(self, ports: Ports) -> list[str | Path]:
        clients, peers = f"http://127.0.0.1:{ports.etcd}", f"http://127.0.0.1:{ports.etcd_peers}"
        return [
            self._programs.etcd,
            f"--data-dir={self._home.folder / 'etcd'}",
            f"--listen-client-urls={clients}",
            f"--advertise-client-urls={clients}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}",
            "--unsafe-no-fsync",  # the data dies with us
        ]

    def _kube_apiserver(self, ports: Ports) -> list[str | Path]:
        folder, proxy = self._home.folder, self.front_proxy
        return [
            self._programs.kube_apiserver,
            f"--etcd-servers=http://127.0.0.1:{ports.etcd}",
            f"--bind-address={self.address}",
            f"--advertise-address={self.address}",
            f"--secure-port={ports.api}",
            f"--tls-cert-file={self._home.pair('serving').certificate}",
            f"--tls-private-key-file={self._home.pair('serving').key}",
            f"--client-ca-file={folder / 'ca.crt'}",
            "--service-cluster-ip-range=10.0.0.0/24,fd00:10::/112",  # Services may ask for both families
            f"--service-account-issuer={_ISSUER}",
            f"--service-account-key-file={folder / 'tokens.pub'}",
            f"--service-account-signing-key-file={folder / 'tokens.key'}",
            "--authorization-mode=RBAC",
            "--endpoint-reconciler-type=none",
            *self._routing(),
            f"--requestheader-client-ca-file={proxy.authority_file}",
            f"--requestheader-allowed-names={proxy.USER}",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={proxy.files.certificate}",
            f"--proxy-client-key-file={proxy.files.key}",
            f"--audit-policy-file={folder / 'audit-policy.yaml'}",
            f"--audit-log-path={folder / 'audit.log'}",
            "--audit-log-maxsize=2000",  # MB; a log that is rotated cannot be counted
        ]

    def _routing(self) -> Sequence[str]:
        if self._pods_at:
            return ("--enable-aggregator-routing=true",)  # to the addresses of pods: nobody serves those of Services
        # Pods need no token there, and a Service of type ExternalName reaches a local port.
        return ("--disable-admission-plugins=ServiceAccount", "--enable-aggregator-routing=false")

    def _manager(self, ports: Ports) -> list[str | Path]:
        folder = self._home.folder
        kubeconfig = folder / "manager.kubeconfig"
        return [
            self._programs.kube_controller_manager,
            f"--kubeconfig={kubeconfig}",
            f"--authentication-kubeconfig={kubeconfig}",
            f"--authorization-kubeconfig={kubeconfig}",
            "--bind-address=127.0.0.1",
            f"--secure-port={ports.manager}",
            f"--tls-cert-file={self._home.pair('serving').certificate}",
            f"--tls-private-key-file={self._home.pair('serving').key}",
            f"--controllers={','.join((*_CONTROLLERS, *(_CONTROLLERS_OF_PODS if self._pods_at else ())))}",
            f"--root-ca-file={folder / 'ca.crt'}",
            "--use-service-account-credentials=true",
            f"--service-account-private-key-file={folder / 'tokens.key'}",
            "--leader-elect=false",
            "--kube-api-qps=200",
            "--kube-api-burst=400",
            f"--horizontal-pod-autoscaler-sync-period={SYNC_SECONDS}s",
            "--horizontal-pod-autoscaler-initial-readiness-delay=1s",
            "--horizontal-pod-autoscaler-cpu-initialization-period=5s",
        ]


def _is_good(url: str) -> bool:
    return httpx.get(url, timeout=5, trust_env=False).is_success
