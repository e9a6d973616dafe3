"""The serving certificate that the adapter makes for itself."""

from __future__ import annotations

import base64
import copy
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from adapter.errors import KubernetesConflict, KubernetesForbidden, KubernetesNotFound
from adapter.server.managed.keeper import Keeper, ManagedOptions
from adapter.server.managed.material import Material, Wish, next_step, renewal_due
from adapter.server.managed.store import ApiServices, SecretStore

START = datetime(2026, 1, 1, tzinfo=UTC)
LIFE = timedelta(days=90)
NAMES = ("tidegauge.monitoring.svc", "localhost")
SECRET = "/api/v1/namespaces/monitoring/secrets/serving"
SERVICE = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io"


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio."""
    return "asyncio"


def wish(now: datetime = START, names: tuple[str, ...] = NAMES) -> Wish:
    """Return what a certificate is made for."""
    return Wish(names=names, life=LIFE, now=now)


def made(now: datetime = START) -> Material:
    """Return new material."""
    return next_step(None, wish(now)).material


def trusts(bundle: bytes, material: Material, now: datetime) -> bool:
    """Tell whether a client that trusts a bundle accepts the certificate for the Service's name."""
    store = Store(x509.load_pem_x509_certificates(bundle))
    verifier = PolicyBuilder().store(store).time(now).build_server_verifier(x509.DNSName(NAMES[0]))
    try:
        verifier.verify(x509.load_pem_x509_certificate(material.certificate), [])
    except x509.verification.VerificationError:
        return False
    return True


def test_first_certificate_is_for_the_service() -> None:
    """The first certificate is valid for the Service's name, and verified by the bundle that goes with it."""
    material = made()
    assert trusts(material.bundle, material, START)
    assert not trusts(made().bundle, material, START)


def test_nothing_is_done_before_it_is_due() -> None:
    """Material that is good stays as it is."""
    material = made()
    step = next_step(material, wish(START + LIFE / 2))
    assert (step.changed, step.material) == (False, material)


def test_renewed_under_the_same_authority() -> None:
    """After two thirds of its life the certificate is renewed, by the authority that clients trust already."""
    material = made()
    due = renewal_due(material.certificate)
    assert due == START + LIFE * 2 / 3
    renewed = next_step(material, wish(due)).material
    assert renewed.certificate != material.certificate
    assert renewed.bundle == material.bundle
    assert trusts(material.bundle, renewed, due)


def test_other_names_make_another_certificate() -> None:
    """A Service of another name gets a certificate of its own, under the same authority."""
    material = made()
    step = next_step(material, wish(names=("other.monitoring.svc",)))
    assert step.reason == "it has other names"
    assert step.material.bundle == material.bundle


def test_whoever_trusts_an_older_bundle_is_never_left_behind() -> None:
    """Over ten years of daily looks, a client that learned the bundle a day ago accepts what is shown, at each look."""
    material, bundle, rotations = made(), made().bundle, 0
    bundle = material.bundle
    for day in range(3650 + 365):
        now = START + timedelta(days=day)
        step = next_step(material, wish(now))
        rotations += step.reason == "the new authority is known by now"
        material = step.material
        assert trusts(bundle, material, now), (day, step.reason)
        bundle = material.bundle
        assert len(material.authorities) <= 2
    assert rotations >= 1


def test_a_step_to_a_new_authority_waits_for_trust() -> None:
    """The certificate moves to a new authority only after clients were told to trust both."""
    material = made()
    reasons = []
    for day in range(3650):
        step = next_step(material, wish(START + timedelta(days=day)))
        if step.changed:
            reasons.append((step.reason, step.after_trust))
        material = step.material
    assert ("the authority ends soon, a second one stands beside it now", False) in reasons
    assert ("the new authority is known by now", True) in reasons or ("it is due", True) in reasons


BROKEN = {
    "a key of another certificate": lambda one: replace(one, key=made().key),
    "a certificate of another authority": lambda one: replace(one, certificate=made().certificate, key=made().key),
    "no certificate": lambda one: replace(one, certificate=b""),
    "no PEM": lambda one: replace(one, certificate=b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"),
    "no authority": lambda one: replace(one, authorities=()),
}


@pytest.mark.parametrize("spoil", BROKEN.values(), ids=BROKEN)
def test_what_cannot_be_used_is_replaced(spoil: Any) -> None:
    """Material that does not belong together is made anew, with a reason."""
    step = next_step(spoil(made()), wish())
    assert step.reason.startswith("what there was cannot be used: ")
    assert trusts(step.material.bundle, step.material, START)


def test_after_a_long_stop_all_is_new() -> None:
    """An adapter that starts when even its authority has expired makes both anew."""
    late = START + LIFE * 50
    step = next_step(made(), wish(late))
    assert trusts(step.material.bundle, step.material, late)


class FakeCluster:
    """kube-apiserver's Secrets and APIServices, as documents by path; conflicts as the real one has them."""

    def __init__(self) -> None:
        self.documents: dict[str, dict[str, Any]] = {}
        self.forbidden: tuple[str, str] | None = None
        self.writes: list[tuple[str, str]] = []

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, object] | None = None,
        content_type: str = "application/json",
        timeout_seconds: float,
    ) -> dict[str, Any]:
        """Answer as kube-apiserver does."""
        assert timeout_seconds > 0
        if self.forbidden and (method, path) == self.forbidden:
            raise KubernetesForbidden(verb=method.lower(), resource=path)
        if method != "GET":
            self.writes.append((method, path))
        if method == "POST":
            return self._create(path, body)
        if path not in self.documents:
            raise KubernetesNotFound(path)
        if method == "PUT":
            self._replace(path, body)
        if method == "PATCH":
            assert content_type == "application/merge-patch+json"
            self._patch(path, body)
        return copy.deepcopy(self.documents[path])

    def _create(self, collection: str, body: Any) -> dict[str, Any]:
        path = f"{collection}/{body['metadata']['name']}"
        if path in self.documents:
            raise KubernetesConflict(path)
        self.documents[path] = {**body, "metadata": {**body["metadata"], "resourceVersion": "1"}}
        return self.documents[path]

    def _replace(self, path: str, body: Any) -> None:
        version = self.documents[path]["metadata"]["resourceVersion"]
        if body["metadata"]["resourceVersion"] != version:
            raise KubernetesConflict(path)
        self.documents[path] = {**body, "metadata": {**body["metadata"], "resourceVersion": str(int(version) + 1)}}

    def _patch(self, path: str, body: Any) -> None:
        spec = {**self.documents[path]["spec"], **body["spec"]}
        self.documents[path]["spec"] = {key: value for key, value in spec.items() if value is not None}


class Watched:
    """What the keeper reports."""

    def __init__(self) -> None:
        self.passes: list[bool] = []
        self.expires: list[float] = []

    def certificate_shown(self, *, expires_at_seconds: float) -> None:
        """Note the end."""
        self.expires.append(expires_at_seconds)

    def certificate_pass(self, *, ok: bool) -> None:
        """Note the outcome."""
        self.passes.append(ok)


class Replica:
    """One adapter: what it shows, and when it thinks it is."""

    def __init__(self, cluster: FakeCluster) -> None:
        self.now = START
        self.shown: list[Material] = []
        self.watched = Watched()
        options = ManagedOptions(namespace="monitoring", service="tidegauge", secret="serving", life=LIFE)
        self.keeper = Keeper(
            secrets=SecretStore(cluster, namespace="monitoring", name="serving"),
            services=ApiServices(
                cluster, namespace="monitoring", service="tidegauge", names=("v1beta1.metrics.k8s.io",)
            ),
            options=options,
            show=self.shown.append,
            clock=self._seconds,
            observer=self.watched,
        )

    def _seconds(self) -> float:
        return self.now.timestamp()


def api_service(service: str = "tidegauge", **spec: object) -> dict[str, Any]:
    """Return an APIService that leads to a Service."""
    return {"spec": {"service": {"namespace": "monitoring", "name": service, "port": 443}, **spec}}


def trusted(cluster: FakeCluster) -> bytes:
    """Return what the APIService trusts."""
    return base64.b64decode(cluster.documents[SERVICE]["spec"]["caBundle"])


@pytest.mark.anyio
async def test_first_look_makes_stores_shows_and_is_trusted() -> None:
    """In an empty cluster the first look makes a certificate that the APIService then trusts, verified."""
    cluster = FakeCluster()
    cluster.documents[SERVICE] = api_service(insecureSkipTLSVerify=True)
    replica = Replica(cluster)
    assert await replica.keeper.look()
    assert replica.keeper.ready.is_set()
    assert cluster.documents[SECRET]["type"] == "kubernetes.io/tls"
    assert trusts(trusted(cluster), replica.shown[-1], START)
    assert "insecureSkipTLSVerify" not in cluster.documents[SERVICE]["spec"]
    assert replica.watched.expires == [(START + LIFE).timestamp()]


@pytest.mark.anyio
async def test_second_look_writes_nothing() -> None:
    """As long as nothing is due, nothing is written and nothing is shown again."""
    cluster = FakeCluster()
    cluster.documents[SERVICE] = api_service()
    replica = Replica(cluster)
    await replica.keeper.look()
    cluster.writes.clear()
    assert await replica.keeper.look()
    assert (cluster.writes, len(replica.shown)) == ([], 1)


@pytest.mark.anyio
async def test_replicas_share_one_certificate() -> None:
    """A second replica shows what the first one stored."""
    cluster = FakeCluster()
    first, second = Replica(cluster), Replica(cluster)
    await first.keeper.look()
    await second.keeper.look()
    assert first.shown == second.shown


@pytest.mark.anyio
async def test_two_replicas_that_rotate_in_turn_never_lose_a_client() -> None:
    """Over eleven years, with looks in turn, each replica always shows what the APIService trusts."""
    cluster = FakeCluster()
    cluster.documents[SERVICE] = api_service()
    replicas = [Replica(cluster), Replica(cluster)]
    for day in range(0, 4015, 5):
        for replica in replicas:
            replica.now = START + timedelta(days=day)
            assert await replica.keeper.look()
            for other in replicas:
                if other.shown:
                    assert trusts(trusted(cluster), other.shown[-1], min(other.now, replica.now)), day


@pytest.mark.anyio
async def test_slower_writer_reads_what_the_faster_one_wrote() -> None:
    """A replica whose write comes too late takes the other one's certificate."""
    cluster = FakeCluster()
    first, second = Replica(cluster), Replica(cluster)
    real = cluster.request
    raced: list[str] = []

    async def late(method: str, path: str, **call: Any) -> dict[str, Any]:
        if method == "POST" and not raced:
            raced.append(path)
            await second.keeper.look()
        return await real(method, path, **call)

    cluster.request = late  # type: ignore[method-assign]  # the race, at the seam
    assert await first.keeper.look()
    assert first.shown == second.shown


@pytest.mark.anyio
async def test_foreign_secret_is_not_touched() -> None:
    """A Secret that somebody else keeps is never overwritten; the log says what to do."""
    cluster = FakeCluster()
    cluster.documents[SECRET] = {"metadata": {"name": "serving", "resourceVersion": "7"}, "data": {"tls.crt": "eA=="}}
    replica = Replica(cluster)
    assert not await replica.keeper.look()
    assert (cluster.writes, replica.shown, replica.watched.passes) == ([], [], [False])


@pytest.mark.anyio
async def test_empty_secret_that_is_ours_is_filled() -> None:
    """A Secret that was made beforehand, with our label and no data, is filled: no right to create is needed."""
    cluster = FakeCluster()
    labels = {"app.kubernetes.io/managed-by": "tidegauge"}
    cluster.documents[SECRET] = {"metadata": {"name": "serving", "resourceVersion": "7", "labels": labels}}
    cluster.forbidden = ("POST", "/api/v1/namespaces/monitoring/secrets")
    assert await Replica(cluster).keeper.look()
    assert set(cluster.documents[SECRET]["data"]) == {"tls.crt", "tls.key", "ca.crt", "ca.key"}


@pytest.mark.anyio
async def test_other_api_services_are_left_alone() -> None:
    """An APIService that leads to another Service keeps its own authority."""
    cluster = FakeCluster()
    cluster.documents[SERVICE] = api_service("metrics-server", caBundle="eA==")
    assert await Replica(cluster).keeper.look()
    assert trusted(cluster) == b"x"


@pytest.mark.anyio
async def test_serves_although_api_services_may_not_be_patched() -> None:
    """Without the right to patch APIServices the certificate is shown all the same, and the failure is reported."""
    cluster = FakeCluster()
    cluster.documents[SERVICE] = api_service()
    cluster.forbidden = ("PATCH", SERVICE)
    replica = Replica(cluster)
    assert not await replica.keeper.look()
    assert replica.keeper.ready.is_set()
    assert replica.watched.passes == [False]
