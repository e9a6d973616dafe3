"""Do certificates change under load without a failed request: the adapter's own, files of others, the front proxy's?"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from rig.processes import wait_until

from e2e.rig import objects
from e2e.rig.adapter import Adapter
from e2e.rig.cluster import Cluster
from e2e.rig.load import Load, ask
from e2e.rig.pki import Authority, PairFiles
from e2e.rig.registration import APIS, CUSTOM, EXTERNAL, HOST, SERVICE, SPACE, Registration
from e2e.rig.stage import FLAGS, RULES, Stage

_SECONDS = 90.0  # kube-apiserver looks at its files again each minute, and sooner when the kernel tells
_CLIENTS = 3
PATHS = [
    CUSTOM.path,
    f"{CUSTOM.path}/namespaces/default/metrics/load",
    f"{EXTERNAL.path}/namespaces/default/queue_depth",
]
# TO BE SET when the flags are documented: a serving certificate of its own, that lives for less than the test waits.
SELF_MANAGED_FLAGS: tuple[str, ...] = (
    f"--self-managed-certificate={SPACE}/{SERVICE}",
    "--self-managed-certificate-secret=tidegauge-serving",
    "--self-managed-certificate-life=60s",
)


@pytest.fixture
def load(stage: Stage) -> Iterator[Load]:
    """Requests through kube-apiserver for as long as the test runs."""
    stage.series.set({'e2e_load{namespace="default"}': 1, 'e2e_queue_depth{namespace="default",queue="a"}': 1})
    for path in PATHS:
        stage.wait_for(path)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(stage.admin()) for _ in range(_CLIENTS)]
        with Load(clients, PATHS) as load:
            yield load
    stage.series.clear()


def _served(port: int) -> bytes:
    """Return the certificate that a new connection gets."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname=HOST) as tls,
    ):
        return tls.getpeercert(binary_form=True) or b""


def _wait_for_requests(load: Load, count: int = 200) -> None:
    """Wait for some more requests."""
    enough = len(load.answers) + count
    wait_until("more requests", lambda: len(load.answers) >= enough, timeout_seconds=_SECONDS)


def test_certificate_files_change(stage: Stage, load: Load) -> None:
    """Certificate files are read again when they change; kube-apiserver trusts the new authority before."""
    adapter, new = stage.adapter, Authority("e2e-serving-ca")
    before = _served(adapter.port)
    _wait_for_requests(load)

    stage.registration.register(adapter.port, authority=adapter.authority.pem + new.pem)
    _wait_for_requests(load)
    adapter.serving.write(new.server([HOST]))
    wait_until("the new certificate", lambda: _served(adapter.port) != before, timeout_seconds=_SECONDS)
    stage.registration.register(adapter.port, authority=new.pem)
    adapter.authority = new
    _wait_for_requests(load)
    stage.registration.wait_available()

    print(f"serving certificate replaced: {load.summary()}")  # noqa: T201 - figures
    assert load.failures == []


def test_the_front_proxy_s_authority_is_replaced(stage: Stage, load: Load) -> None:
    """kube-apiserver's certificate for us is signed by another authority, without a failed request."""
    proxy, adapter = stage.cluster.plane.front_proxy, stage.adapter
    old, new = proxy.authority, Authority("e2e-front-proxy-ca")
    headers = {"X-Remote-User": "probe", "X-Remote-Group": "system:masters"}
    folder = proxy.files.key.parent
    probe = PairFiles(certificate=folder / "probe.crt", key=folder / "probe.key")
    probe.write(new.client(proxy.USER))
    _wait_for_requests(load)

    def is_known() -> bool:
        with adapter.client(pair=probe, headers=headers) as client:
            return ask(client, CUSTOM.path).status == httpx.codes.OK

    assert not is_known()
    proxy.trust_also(new)
    wait_until("the adapter to know the new authority", is_known, timeout_seconds=_SECONDS)
    proxy.sign_with(new)
    _wait_for_requests(load, count=1000)
    proxy.trust_only(new)
    _wait_for_requests(load)
    stage.registration.wait_available()

    print(f"front proxy's authority replaced: {load.summary()}")  # noqa: T201 - figures
    assert load.failures == []
    assert proxy.authority is not old


@pytest.fixture
def own_certificate(cluster: Cluster, stage: Stage, tmp_path: Path, logs: dict[str, Path]) -> Iterator[Adapter]:
    """An adapter that makes its serving certificate, with the rights for its Secret and its APIServices; it takes the place of the other."""
    registration = Registration(cluster)
    cluster.apply(
        objects.cluster_role(
            "e2e-certificate-keeper",
            objects.rule([""], ["secrets"], ["get", "create", "update"]),
            objects.rule(["apiregistration.k8s.io"], ["apiservices"], ["get", "list", "patch"]),
        )
    )
    cluster.apply(objects.binding("e2e-certificate-keeper", account=(SERVICE, SPACE)))
    adapter = Adapter(
        tmp_path / "adapter",
        kubeconfig=registration.prepare(),
        prometheus_url=stage.prometheus.url,
        rules=RULES,
        flags=(*FLAGS, *SELF_MANAGED_FLAGS),
        makes_certificate=True,
    )
    logs["adapter"] = adapter.log
    stage.adapter.stop()
    with adapter:
        registration.register(adapter.port, authority=Authority("nobody").pem)
        registration.wait_available(timeout_seconds=_SECONDS)
        yield adapter
    stage.adapter.start()
    registration.register(stage.adapter.port, authority=stage.adapter.authority.pem)
    registration.wait_available()


def test_the_own_certificate_rotates(own_certificate: Adapter, load: Load, cluster: Cluster) -> None:
    """The certificate that the adapter makes is verified by kube-apiserver, and renewed before it ends, without a failed request."""
    seen = {_served(own_certificate.port)}
    bundles = {(cluster.get("APIService", APIS[0].name) or {})["spec"]["caBundle"]}

    def rotated() -> bool:
        seen.add(_served(own_certificate.port))
        bundles.add((cluster.get("APIService", APIS[0].name) or {})["spec"]["caBundle"])
        return len(seen) > 2

    wait_until("two rotations", rotated, timeout_seconds=300)
    _wait_for_requests(load)

    print(f"{len(seen) - 1} rotations, {len(bundles) - 1} of the authority: {load.summary()}")  # noqa: T201 - figures
    assert load.failures == []
