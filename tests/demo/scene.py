"""Everything that runs in the demo: workload, Prometheus, objects file, adapter; each ends with the demo."""

from __future__ import annotations

import contextlib
import ssl
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml
from rig.find_prometheus import find_prometheus
from rig.processes import Child, free_port, scratch_folder, wait_until
from rig.prometheus import PrometheusFiles, PrometheusProcess

from demo.workload import APPS, NAMESPACE, Load, MetricsServer, Workload

TOP = Path(__file__).resolve().parents[2]
RULES = TOP / "config" / "demo.yaml"
OBJECTS = TOP / "config" / "demo-objects.yaml"
HPAS = TOP / "deploy" / "demo" / "hpas.yaml"
COMMAND = Path(sys.executable).with_name("tidegauge")
_READY_SECONDS = 30.0
_EXPLAIN_SECONDS = 20.0
_PROMETHEUS = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
- job_name: shop
  http_sd_configs:
  - {{url: "http://{address}/targets", refresh_interval: 1s}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What the demo looks at."""

    workload: Workload
    prometheus_url: str
    adapter: httpx.Client
    adapter_url: str
    certificate: Path
    objects: Path
    log: Path
    check_alive: Callable[[], object]

    def scale(self, app: str, replicas: int) -> None:
        """Change the number of an app's pods, in the workload and in the objects that the adapter sees."""
        self.workload.scale(app, replicas)
        write_objects(self.objects, self.workload)


def objects_at_first() -> list[dict[str, Any]]:
    """Return the manifests that are shipped as an example."""
    return list(yaml.safe_load_all(OBJECTS.read_text()))


def pods_at_first() -> dict[str, int]:
    """Return how many pods each app begins with."""
    apps = [found["metadata"]["labels"]["app"] for found in objects_at_first() if found["kind"] == "Pod"]
    return {app: apps.count(app) for app in APPS}


def write_objects(path: Path, workload: Workload) -> None:
    """Write the manifests of now: the example's, with the pods that run. The file is replaced whole."""
    others = [found for found in objects_at_first() if found["kind"] != "Pod"]
    pods = [_pod(app, name) for app in APPS for name in workload.pods(app)]
    new = path.with_suffix(".new")
    new.write_text(yaml.safe_dump_all([*others, *pods]))
    new.replace(path)


def _pod(app: str, name: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": NAMESPACE, "labels": {"app": app}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}


@contextlib.contextmanager
def open_scene(*, load: Load, port: int | None, say: Callable[[str], None]) -> Iterator[Scene]:
    """Start everything; `say` gets a line of progress for each step.

    Raises:
        PrometheusMissingError: there is no Prometheus, and none can be fetched.
        ChildEndedError: something ended at once; the text has the end of its log.
        TimeoutError: something was not ready in time.
    """
    with contextlib.ExitStack() as stack:
        home = stack.enter_context(scratch_folder("tidegauge-demo-"))
        workload = Workload(load=load, pods=pods_at_first(), clock=time.time)
        metrics = stack.enter_context(MetricsServer(workload))
        say(f"workload    http://{metrics.address}/targets")
        files = PrometheusFiles(binaries=find_prometheus(), home=home / "prometheus")
        config = _PROMETHEUS.format(address=metrics.address)
        prometheus = stack.enter_context(PrometheusProcess.start(files, config=config))
        say(f"prometheus  {prometheus.url}")
        objects = home / "objects.yaml"
        write_objects(objects, workload)
        certificates = home / "certificates"
        adapter, adapter_url = _start_adapter(
            stack, home=home, port=port, flags=[*_flags(prometheus.url, objects), "--cert-dir", str(certificates)]
        )
        client = stack.enter_context(_client(adapter_url))
        wait_until("the adapter", lambda: adapter.check_alive() and _is_ready(client), timeout_seconds=_READY_SECONDS)
        say(f"adapter     {adapter_url}")
        yield Scene(
            workload=workload,
            prometheus_url=prometheus.url,
            adapter=client,
            adapter_url=adapter_url,
            certificate=certificates / "apiserver.crt",
            objects=objects,
            log=adapter.log,
            check_alive=lambda: adapter.check_alive() and prometheus.check_alive(),
        )


def _flags(prometheus_url: str, objects: Path) -> list[str]:
    """Flags that the adapter and `explain` share."""
    return ["--config", str(RULES), "--prometheus-url", prometheus_url, "--objects-file", str(objects)]


def _start_adapter(
    stack: contextlib.ExitStack, *, home: Path, port: int | None, flags: Sequence[str]
) -> tuple[Child, str]:
    chosen = port or free_port()
    argv = [COMMAND, *flags, "--secure-port", str(chosen), "--bind-address", "127.0.0.1"]
    argv += ["--metrics-relist-interval", "5s", "--metrics-max-age", "1m"]
    child = stack.enter_context(Child("the adapter", argv, log=home / "adapter.log"))
    return child, f"https://127.0.0.1:{chosen}"


def _client(url: str) -> httpx.Client:
    """Return a client that trusts any certificate, as `curl -k` does: the adapter has just made its own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return httpx.Client(base_url=url, verify=context, timeout=10, trust_env=False)


def _is_ready(client: httpx.Client) -> bool:
    return client.get("/readyz").status_code == httpx.codes.OK
