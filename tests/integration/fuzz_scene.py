"""The process that a fuzzer sends its requests to: an adapter with every kind of rule, which checks its callers."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fuzz_laws import SENTINEL
from fuzz_wire import Address, Answer, Caller, Client, Request
from rig.certificates import Authority, Pair
from rig.processes import Child, free_port, wait_until

START_SECONDS = 30.0
RUN = [sys.executable, "-c", "from adapter.cli.main import run; run()"]
# Enough pods for an answer that is worth compressing.
CROWD = 1000

RULES = """
rules:
- id: load
  seriesQuery: shop_load{namespace!="",pod!=""}
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  name: {matches: "^shop_(.*)$", as: "${1}"}
  metricsQuery: max(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
- id: secret
  seriesQuery: secret_load{namespace!="",pod!=""}
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: max(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
  allowNamespaces: [vault]
- id: orders
  seriesQuery: orders{namespace!="",deployment!=""}
  resources: {overrides: {namespace: {resource: namespace}, deployment: {group: apps, resource: deployment}}}
  metricsQuery: max(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
- id: nodes
  seriesQuery: node_load{node!=""}
  resources: {overrides: {node: {resource: node}}}
  metricsQuery: max(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
- id: ranged
  seriesQuery: ranged{namespace!="",pod!=""}
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: max(<<.Series>>{<<range $k, $v := .LabelValuesByName>><<$k>>=~"<<$v>>",<<end>>}) by (pod)
- id: held
  seriesQuery: held{namespace!="",pod!=""}
  resources: {template: "<<.Resource>>"}
  metricsQuery: max(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
  onEmpty: hold
  holdFor: 5m
  onNaN: drop
  onDuplicates: last
  maxSampleAge: 2m
  value: {clamp: [0, 1000000], round: none}
  selectorLabels: {app.kubernetes.io/name: app}
  fuse: auto
externalRules:
- id: zero
  seriesQuery: emptied{namespace!=""}
  resources: {overrides: {namespace: {resource: namespace}}}
  metricsQuery: max(<<.Series>>{<<.LabelMatchers>>}) by (queue)
  onEmpty: zero
  selectorLabels: {example.com/app: app}
- id: depth
  seriesQuery: queue_depth{namespace!=""}
  resources: {overrides: {namespace: {resource: namespace}}}
  metricsQuery: max(<<.Series>>{<<.LabelMatchers>>}) by (queue)
- id: jobs
  seriesQuery: jobs_waiting
  resources: {namespaced: false}
  metricsQuery: max(<<.Series>>{<<.LabelMatchers>>})
metrics:
- metric: latency
  object: {resource: deployments.apps, label: deployment}
  namespaceLabel: namespace
  query: max(orders{<<.LabelMatchers>>}) by (<<.GroupBy>>)
resourceRules:
  cpu:
    containerQuery: max(container_cpu{<<.LabelMatchers>>}) by (<<.GroupBy>>)
    nodeQuery: max(machine_cpu{<<.LabelMatchers>>}) by (<<.GroupBy>>)
    resources: &resources {overrides: {node: {resource: node}, namespace: {resource: namespace}, pod: {resource: pod}}}
    containerLabel: container
  memory:
    containerQuery: max(container_memory{<<.LabelMatchers>>}) by (<<.GroupBy>>)
    nodeQuery: max(machine_memory{<<.LabelMatchers>>}) by (<<.GroupBy>>)
    resources: *resources
    containerLabel: container
  window: 1m
"""
WEB = [f'namespace="shop",pod="web-{number}"' for number in (1, 2)]
SERIES = [
    f"{series} gauge {SENTINEL.decode()}"
    for series in (
        *(f'shop_load{{{pod},code="200"}}' for pod in WEB),
        *(f'shop_load{{namespace="crowd",pod="crowd-{number}"}}' for number in range(CROWD)),
        *(f"{name}{{{pod}}}" for name in ("secret_load", "ranged", "held") for pod in WEB),
        'emptied{namespace="shop",queue="a",app="web"}',
        'orders{namespace="shop",deployment="web"}',
        'node_load{node="n1"}',
        *(f'queue_depth{{namespace="shop",queue="{queue}"}}' for queue in "ab"),
        "jobs_waiting",
        *(f'container_{what}{{{pod},container="app"}}' for what in ("cpu", "memory") for pod in WEB),
        'machine_cpu{node="n1"}',
        'machine_memory{node="n1"}',
    )
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A running adapter."""

    child: Child
    address: Address
    audit: Path

    def get(self, path: str, **headers: str) -> Answer:
        """Ask as a master, over a connection of its own."""
        given = tuple((name.encode(), value.encode()) for name, value in headers.items())
        client = Client(self.address)
        try:
            return client.ask(Request(caller="master", method="GET", target=path.encode(), headers=given))
        finally:
            client.close()


def manifest(kind: str, name: str, *, namespace: str = "", api_version: str = "v1", app: str = "web") -> str:
    """Write an object."""
    where = f", namespace: {namespace}" if namespace else ""
    return f"{{apiVersion: {api_version}, kind: {kind}, metadata: {{name: {name}{where}, labels: {{app: {app}}}}}}}"


def objects() -> str:
    """Write all objects."""
    rows = [
        *(manifest("Pod", f"web-{number}", namespace="shop") for number in (1, 2)),
        *(manifest("Pod", f"crowd-{number}", namespace="crowd", app="crowd") for number in range(CROWD)),
        manifest("Deployment", "web", namespace="shop", api_version="apps/v1"),
        manifest("Node", "n1"),
        *(manifest("Namespace", name) for name in ("shop", "crowd")),
    ]
    return "apiVersion: v1\nkind: List\nitems:\n" + "".join(f"- {row}\n" for row in rows)


def written(folder: Path, name: str, pair: Pair) -> tuple[Path, Path]:
    """Write a certificate and its key."""
    (folder / f"{name}.crt").write_bytes(pair.certificate)
    (folder / f"{name}.key").write_bytes(pair.key)
    return folder / f"{name}.crt", folder / f"{name}.key"


def contexts(folder: Path, *, clients: Authority, proxies: Authority) -> Mapping[Caller, ssl.SSLContext]:
    """Return how each caller speaks TLS; the adapter's own certificate is there already."""
    shown: Mapping[Caller, Pair | None] = {
        "nobody": None,
        "master": clients.issue("root", organizations=["system:masters"]),
        "groups": clients.issue("alice", organizations=["dev", "ops"]),
        "proxy": proxies.issue("front-proxy-client"),
        "wrong proxy": proxies.issue("somebody-else", organizations=["system:masters"]),
        "forged": Authority("clients").issue("root", organizations=["system:masters"]),
    }
    found: dict[Caller, ssl.SSLContext] = {}
    for caller, pair in shown.items():
        found[caller] = ssl.create_default_context(cafile=str(folder / "certificates" / "apiserver.crt"))
        if pair is not None:
            found[caller].load_cert_chain(*written(folder, caller.replace(" ", "-"), pair))
    return found


@contextmanager
def running(prometheus_url: str, folder: Path) -> Iterator[Scene]:
    """Run the adapter, which checks its callers, until the block ends."""
    clients, proxies = Authority("clients"), Authority("proxies")
    (folder / "rules.yaml").write_text(RULES)
    (folder / "objects.yaml").write_text(objects())
    (folder / "clients.crt").write_bytes(clients.pem)
    (folder / "proxies.crt").write_bytes(proxies.pem)
    port = free_port()
    flags = {
        "--config": folder / "rules.yaml",
        "--objects-file": folder / "objects.yaml",
        "--prometheus-url": prometheus_url,
        "--bind-address": "127.0.0.1",
        "--secure-port": port,
        "--cert-dir": folder / "certificates",
        "--client-ca-file": folder / "clients.crt",
        "--requestheader-client-ca-file": folder / "proxies.crt",
        "--requestheader-allowed-names": "front-proxy-client",
        "--requestheader-uid-headers": "X-Remote-Uid",
        "--authentication-skip-lookup": "true",
        "--audit-log-path": folder / "audit",
        # A busy machine is not what is looked for here.
        "--prometheus-timeout": "15s",
        "--request-timeout": "20s",
    }
    argv = [*RUN, *(f"{name}={value}" for name, value in flags.items())]
    with Child("tidegauge", argv, log=folder / "log") as child:
        certificate = folder / "certificates" / "apiserver.crt"
        wait_until("a certificate", lambda: child.check_alive() and certificate.exists(), timeout_seconds=START_SECONDS)
        address = Address(port=port, contexts=contexts(folder, clients=clients, proxies=proxies))
        scene = Scene(child=child, address=address, audit=folder / "audit")
        wait_until(
            "the adapter",
            lambda: child.check_alive() and scene.get("/readyz").status == 200,
            timeout_seconds=START_SECONDS,
        )
        yield scene
