"""Stands in for a node: the adapter's pods run as real processes in their network, all others only say that they do.

Such a process gets what the pod says: arguments, environment, volumes (which follow their objects), user, and a root that
is read-only. Its probes are asked, without the delays before the first one. It is started again when it ends.
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import json
import re
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx
from rig.processes import Child, ChildEndedError
from rig.sandbox import ENTRY_POINT, Sandbox

from e2e.rig.cluster import Cluster
from e2e.rig.network import Place, PodNetwork
from e2e.rig.objects import Document
from e2e.rig.volumes import VolumeMissingError, Volumes, field_of

NODE: Final = "e2e-node"
_LOOK_SECONDS = 0.2
_VARIABLE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)")
_PROBE_SECONDS = 5.0
_MESSAGE_LINES = 5  # of what a container wrote, in its last state


def is_adapter(pod: Document) -> bool:
    """Say whether a pod is one of ours, or of what we replace: by the command that its first arguments name."""
    container = pod["spec"]["containers"][0]
    return container["image"].rpartition("/")[2].split(":")[0] in {"tidegauge", "prometheus-adapter"}


@dataclass(slots=True)
class Running:
    """A pod whose process is ours."""

    pod: Document
    place: Place | None
    address: str
    volumes: Volumes
    log: Path
    child: Child | None = None
    restarts: int = 0
    said: Document = field(default_factory=dict)
    ended: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.pod["metadata"]["namespace"], self.pod["metadata"]["name"]


class Node:
    """A thread that runs pods; use it as a context manager.

    Attributes:
        errors: what went wrong in a look; the next one tries again.
        hosts: names that pods can resolve, and their addresses.
    """

    def __init__(
        self,
        cluster: Cluster,
        network: PodNetwork,
        folder: Path,
        *,
        hosts: Mapping[str, str],
        logs: dict[str, Path] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._cluster = cluster
        self._network = network
        self._folder = folder
        self._logs = {} if logs is None else logs
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="node", daemon=True)
        self._running: dict[str, Running] = {}
        self._started = 0
        self.hosts = dict(hosts)
        self.errors: list[Exception] = []

    def __enter__(self) -> Self:
        document = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}
        self._cluster.apply(document)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        # Children end with the thread that started them, so all of them are started here.
        try:
            while not self._end.wait(_LOOK_SECONDS):
                try:
                    self._look()
                except (httpx.HTTPError, OSError) as error:
                    self.errors.append(error)
        finally:
            for one in self._running.values():
                if one.child:
                    one.child.stop()

    def _look(self) -> None:
        answer = self._cluster.plane.api.get("/api/v1/pods").raise_for_status().json()
        pods: dict[str, Document] = {pod["metadata"]["uid"]: pod for pod in answer["items"]}
        for uid in [uid for uid in self._running if uid not in pods]:
            self._stop(self._running.pop(uid))
        for uid, pod in pods.items():
            try:
                self._look_at(uid, pod)
            except (httpx.HTTPError, ChildEndedError) as error:
                self.errors.append(error)  # one pod that cannot run does not stop the others

    def _look_at(self, uid: str, pod: Document) -> None:
        leaves = "deletionTimestamp" in pod["metadata"]
        if uid in self._running:
            one = self._running[uid]
            if leaves:
                self._remove(self._running.pop(uid))
            else:
                self._keep(one)
        elif leaves:
            self._delete(pod)
        elif is_adapter(pod):
            self._running[uid] = self._accept(pod)
        elif pod.get("status", {}).get("phase") == "Pending":
            self._pretend(pod)

    def _pretend(self, pod: Document) -> None:
        self._started += 1
        space, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        self._bind(pod)
        address = f"10.1.{self._started // 250}.{self._started % 250 + 1}"
        self._cluster.run_pod(name, space, address=address)

    def _bind(self, pod: Document) -> None:
        if not pod["spec"].get("nodeName"):
            self._cluster.bind_pod(pod["metadata"]["name"], pod["metadata"]["namespace"], NODE)

    # ---- one pod

    def _accept(self, pod: Document) -> Running:
        space, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        place = None if pod["spec"].get("hostNetwork") else self._network.place()
        folder = self._folder / f"{space}-{name}"
        folder.mkdir(parents=True, exist_ok=True)
        log = folder / "log"
        self._logs[f"pod {space}/{name}"] = log
        self._bind(pod)
        return Running(
            pod=pod,
            place=place,
            address=place.address if place else self._network.gateway,
            volumes=Volumes(self._cluster, pod, folder / "volumes"),
            log=log,
        )

    def _keep(self, one: Running) -> None:
        try:
            one.volumes.refresh()
            if one.child is None:
                one.child = self._start(one)
            one.child.check_alive()
        except VolumeMissingError as error:
            self._say(one, ready=False, waiting=("ContainerCreating", str(error)))
            return
        except ChildEndedError as error:
            one.child = None
            one.restarts += 1
            one.ended = str(error)
            self._say(one, ready=False, waiting=("CrashLoopBackOff", "back-off restarting failed container"))
            return
        self._say(one, ready=self._is_ready(one))

    def _start(self, one: Running) -> Child:
        spec = one.pod["spec"]
        container = spec["containers"][0]
        context = {**(spec.get("securityContext") or {}), **(container.get("securityContext") or {})}
        group = (spec.get("securityContext") or {}).get("fsGroup")
        environment = self._environment(one, container)
        words = [*(container.get("command") or [ENTRY_POINT]), *(container.get("args") or ())]
        sandbox = Sandbox(
            folder=one.log.parent / "sandbox",
            mounts=one.volumes.mounts(container),
            hosts=self.hosts,
            prefix=one.place.enter() if one.place else (),
            user=context.get("runAsUser", 10001),
            groups=[group] if group else [],
        )
        argv = sandbox.argv([_expanded(word, environment) for word in words], environment)
        return Child(one.pod["metadata"]["name"], argv, log=one.log)

    def _environment(self, one: Running, container: Document) -> dict[str, str]:
        plane = self._cluster.plane
        found = {
            "KUBERNETES_SERVICE_HOST": plane.address,
            "KUBERNETES_SERVICE_PORT": str(plane.port),
            "HOSTNAME": one.pod["metadata"]["name"],
            "HOME": "/",
        }
        for variable in container.get("env") or ():
            found[variable["name"]] = self._value(one, variable)
        return found

    def _value(self, one: Running, variable: Document) -> str:
        space, _ = one.key
        match variable.get("valueFrom"):
            case None:
                return str(variable.get("value", ""))
            case {"fieldRef": {"fieldPath": "status.podIP"}}:
                return one.address
            case {"fieldRef": {"fieldPath": path}}:
                return field_of(one.pod, path)
            case {"secretKeyRef": {"name": name, "key": key}}:
                secret = self._cluster.get("Secret", name, space) or {}
                return base64.b64decode(secret.get("data", {}).get(key, "")).decode()
            case {"configMapKeyRef": {"name": name, "key": key}}:
                return str((self._cluster.get("ConfigMap", name, space) or {}).get("data", {}).get(key, ""))
            case other:
                raise ValueError(f"the rig knows no such source of a variable: {other}")

    def _is_ready(self, one: Running) -> bool:
        container = one.pod["spec"]["containers"][0]
        probe = container.get("readinessProbe")
        if not probe:
            return True
        wanted = probe["httpGet"]
        named = {port.get("name"): port["containerPort"] for port in container.get("ports") or ()}
        port = named.get(wanted["port"], wanted["port"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # as kubelets do
        url = f"{wanted.get('scheme', 'HTTP').lower()}://{one.address}:{port}{wanted['path']}"
        try:
            return httpx.get(url, verify=context, timeout=_PROBE_SECONDS, trust_env=False).is_success
        except httpx.HTTPError:
            return False

    # ---- what the cluster is told

    def _say(self, one: Running, *, ready: bool, waiting: tuple[str, str] | None = None) -> None:
        container = one.pod["spec"]["containers"][0]["name"]
        now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        state = (
            {"waiting": {"reason": waiting[0], "message": waiting[1]}} if waiting else {"running": {"startedAt": now}}
        )
        last = {}
        if one.ended:
            message = "\n".join(one.ended.splitlines()[-_MESSAGE_LINES:])
            last = {"terminated": {"exitCode": 1, "reason": "Error", "message": message, "startedAt": now}}
        said = {"ready": ready, "waiting": waiting, "restarts": one.restarts}
        if said == one.said:
            return
        flag = "True" if ready else "False"
        conditions = {"Initialized": "True", "PodScheduled": "True", "ContainersReady": flag, "Ready": flag}
        status = {
            "phase": "Pending" if waiting and waiting[0] == "ContainerCreating" else "Running",
            "podIP": one.address,
            "podIPs": [{"ip": one.address}],
            "hostIP": self._network.gateway,
            "startTime": now,
            "conditions": [
                {"type": kind, "status": value, "lastTransitionTime": now} for kind, value in conditions.items()
            ],
            "containerStatuses": [
                {
                    "name": container,
                    "ready": ready,
                    "started": ready,
                    "restartCount": one.restarts,
                    "image": one.pod["spec"]["containers"][0]["image"],
                    "imageID": "",
                    "state": state,
                    "lastState": last,
                }
            ],
        }
        space, name = one.key
        self._cluster.patch("Pod", name, space, {"status": status}, part="status")
        one.said = said

    def _remove(self, one: Running) -> None:
        threading.Thread(target=self._end_and_delete, args=(one,), daemon=True).start()

    def _end_and_delete(self, one: Running) -> None:
        self._stop(one)
        with contextlib.suppress(httpx.HTTPError):
            self._delete(one.pod)

    def _stop(self, one: Running) -> None:
        child, one.child = one.child, None
        if child:
            child.stop()

    def _delete(self, pod: Document) -> None:
        space, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        self._cluster.plane.api.request(
            "DELETE",
            f"/api/v1/namespaces/{space}/pods/{name}",
            content=json.dumps({"gracePeriodSeconds": 0, "preconditions": {"uid": pod["metadata"]["uid"]}}),
            headers={"Content-Type": "application/json"},
        )


def _expanded(word: str, environment: Mapping[str, str]) -> str:
    """Return an argument with its $(VARIABLES), as Kubernetes expands them: an unknown one stays."""
    return _VARIABLE.sub(lambda found: environment.get(found[1], found[0]), word)
