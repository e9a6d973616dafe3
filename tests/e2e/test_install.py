"""Does what is rendered work as it stands: objects applied, pods run with these very arguments, and an autoscaler follows?"""

from __future__ import annotations

import base64
import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest
import yaml
from rig.processes import wait_until

from e2e.rig import objects
from e2e.rig.objects import Document
from e2e.rig.pki import Authority
from e2e.rig.site import MONITORING, Site, documents
from e2e.rig.traffic import Traffic

SHOP = "install-shop"
THEIRS = "tests/e2e/chart/theirs"
_SECONDS = 90.0
_AT_REST = 2
_APIS = {"custom.metrics.k8s.io", "external.metrics.k8s.io", "metrics.k8s.io"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A rendering.

    Attributes:
        command: prints it.
        metric: of the pods of the shop, which an autoscaler follows; empty if only the APIs are looked at.
        before: makes what the values expect to be there.
        after: does what others do to the objects, such as cert-manager.
    """

    command: str
    metric: str = ""
    before: Callable[[Site], None] = field(default=lambda _site: None)
    after: Callable[[Site, Sequence[Document]], None] = field(default=lambda _site, _rendered: None)


def _chart(*values: str, sets: Sequence[str] = ()) -> str:
    words = [*(f"--values {one}" for one in values), *(f"--set {one}" for one in sets)]
    return f"helm template prometheus-adapter deploy/helm/tidegauge --namespace {MONITORING} --set nameOverride=prometheus-adapter {' '.join(words)}"


def _theirs(name: str, *, sets: Sequence[str] = ()) -> str:
    return _chart(f"{THEIRS}/chart-defaults.yaml", f"{THEIRS}/{name}.values.yaml", sets=sets)


def _account(site: Site) -> None:
    site.cluster.create_namespace("custom-metrics")
    site.cluster.apply(objects.service_account("existing", "custom-metrics"))
    # Values that create no account expect its owner to have given it what this role's name says everywhere else.
    role = "extension-apiserver-authentication-reader"
    site.cluster.apply(objects.cluster_role(role, objects.rule([""], ["configmaps"], ["get", "list", "watch"])))


_RULES = """
rules:
- seriesQuery: http_requests_total{namespace!="",pod!=""}
  resources: {template: <<.Resource>>}
  metricsQuery: sum(rate(<<.Series>>{<<.LabelMatchers>>}[1m])) by (<<.GroupBy>>)
"""


def _rules(site: Site) -> None:
    site.cluster.apply(_config_map("my-rules", {"config.yaml": _RULES}))


def _authority(site: Site) -> None:
    site.cluster.apply(_config_map("prom-ca", {"ca.crt": "nobody reads it"}))


def _config_map(name: str, data: dict[str, str]) -> Document:
    metadata = {"name": name, "namespace": MONITORING}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def _issue(site: Site, rendered: Sequence[Document]) -> None:
    """Do what cert-manager does: issue the certificates that are asked for, and write the authority where it is asked for."""
    authority = Authority("cert-manager")
    for wanted in (one for one in rendered if one["kind"] == "Certificate" and "dnsNames" in one["spec"]):
        pair = authority.server(wanted["spec"]["dnsNames"])
        data = {"tls.crt": pair.certificate, "tls.key": pair.key}
        site.cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": wanted["spec"]["secretName"], "namespace": wanted["metadata"]["namespace"]},
                "data": {key: base64.b64encode(content).decode() for key, content in data.items()},
            }
        )
    for one in rendered:
        if one["kind"] == "APIService":
            assert "cert-manager.io/inject-ca-from" in one["metadata"]["annotations"]
            bundle = base64.b64encode(authority.pem).decode()
            site.cluster.patch("APIService", one["metadata"]["name"], "", {"spec": {"caBundle": bundle}})


CASES = {
    "defaults-of-theirs": Case(command=_theirs("default"), metric="http_requests"),
    "all-three": Case(
        command=_theirs("all-three"),
        metric="http_requests_per_second",
    ),
    "cert-manager": Case(command=_theirs("cert-manager"), after=_issue),
    "custom-rules": Case(command=_theirs("custom-rules", sets=["prometheus.path="])),
    "existing-rules": Case(command=_theirs("existing-rules"), before=_rules),
    "host-network-extras": Case(
        # Where a proxy is set, kube-apiserver's address has to be left out of it, also for prometheus-adapter.
        command=_theirs("host-network-extras", sets=["env[1].name=NO_PROXY", "env[1].value=10.0.0.0/8"]),
        before=_authority,
    ),
    "rbac-and-account": Case(command=_theirs("rbac-and-account"), before=_account),
    "recommended": Case(
        command=_chart(
            "deploy/helm/tidegauge/values-recommended.yaml",
            "tests/e2e/predecessor.values.yaml",
        ),
        metric="http_requests_per_second",
    ),
    "kustomize-custom": Case(
        command="kubectl kustomize deploy/kubernetes/overlays/example-custom", metric="http_requests_per_second"
    ),
    "kustomize-all": Case(command="kubectl kustomize deploy/kubernetes/overlays/example-all", after=_issue),
    "kustomize-other-namespace": Case(command="kubectl kustomize deploy/kubernetes/overlays/example-other-namespace"),
}


@pytest.fixture(scope="module")
def shop(site: Site) -> Iterator[Traffic]:
    """Two pods that get requests."""
    site.cluster.create_namespace(SHOP)
    site.cluster.apply(objects.deployment("web", SHOP, replicas=_AT_REST))
    traffic = Traffic(site.cluster, SHOP, "app=web", per_second=20.0)
    site.series.follow(traffic)
    yield traffic
    site.series.clear()
    site.cluster.delete_namespace(SHOP)


@pytest.mark.parametrize("name", CASES)
def test_it_works_as_rendered(site: Site, shop: Traffic, name: str) -> None:
    """The objects are accepted, the pods get ready with their arguments, the APIs are Available, and autoscalers follow."""
    case = CASES[name]
    rendered = rendered_by(site, case.command)
    case.before(site)
    with applied(site, rendered):
        case.after(site, rendered)
        deployment = next(one for one in rendered if one["kind"] == "Deployment")
        services = [one["metadata"]["name"] for one in rendered if one["kind"] == "APIService"]
        begin = time.monotonic()
        site.wait_rolled_out(deployment["metadata"]["name"], deployment["metadata"]["namespace"])
        site.wait_available(services)
        print(f"{name}: {', '.join(services)} Available after {time.monotonic() - begin:.1f} s")  # noqa: T201 - a figure
        if case.metric:
            follows(site, shop, case.metric)


def test_a_certificate_that_is_given(site: Site, shop: Traffic) -> None:
    """With `tls` in the values kube-apiserver verifies the certificate that these hold."""
    authority = Authority("given")
    pair = authority.server([f"prometheus-adapter.{MONITORING}.svc"])
    values = {"ca": authority.pem.decode(), "certificate": pair.certificate.decode(), "key": pair.key.decode()}
    path = site.folder / "given.yaml"
    path.write_text(yaml.safe_dump({"tls": {"enable": True, **values}}))
    rendered = rendered_by(site, _theirs("tls-given") + f" --values {path}")

    with applied(site, rendered):
        site.wait_rolled_out("prometheus-adapter", MONITORING)
        services = [one for one in rendered if one["kind"] == "APIService"]
        site.wait_available([one["metadata"]["name"] for one in services])

    assert all(base64.b64decode(one["spec"]["caBundle"]) == authority.pem for one in services)


def rendered_by(site: Site, command: str) -> list[Document]:
    """Return what a command prints."""
    done = site.shell(command)
    assert done.returncode == 0, done.stderr
    return documents(done.stdout)


@contextlib.contextmanager
def applied(site: Site, rendered: Sequence[Document]) -> Iterator[None]:
    """Apply objects of Kubernetes' own kinds, those of other owners being only looked at; take all away at the end."""
    known = [
        one for one in rendered if not one["apiVersion"].startswith(("cert-manager.io/", "monitoring.coreos.com/"))
    ]
    for space in sorted({one["metadata"].get("namespace", "") for one in known} - {""}):
        if site.cluster.get("Namespace", space) is None:
            site.cluster.create_namespace(space)
    text = yaml.safe_dump_all(known)
    try:
        site.apply(text)
        yield
    finally:
        site.delete(text)
        for one in rendered:
            if one["kind"] == "Certificate":
                site.cluster.delete("Secret", one["spec"]["secretName"], one["metadata"]["namespace"])
        wait_until("the pods to end", lambda: not _pods_of(site, rendered), timeout_seconds=_SECONDS)
        site.cluster.delete_namespace("custom-metrics")


def _pods_of(site: Site, rendered: Sequence[Document]) -> list[Document]:
    space = next(one for one in rendered if one["kind"] == "Deployment")["metadata"]["namespace"]
    return (
        []
        if space == ""
        else [one for one in site.cluster.items("Pod", space) if one["metadata"]["name"] != "prometheus-0"]
    )


def follows(site: Site, shop: Traffic, metric: str) -> None:
    """Assert that an autoscaler reads a metric of the shop's pods, and scales by it."""
    path = f"/apis/custom.metrics.k8s.io/v1beta2/namespaces/{SHOP}/pods/*/{metric}"
    site.wait_for(path, items=_AT_REST)
    site.cluster.patch("Deployment", "web", SHOP, {"spec": {"replicas": _AT_REST}}, part="scale")
    shop.per_second = 20.0
    site.cluster.apply(objects.hpa("web", SHOP, metrics=[objects.pods_metric(metric, average="1k")], minimum=_AT_REST))
    try:
        wait_until(
            "the autoscaler to read it",
            lambda: site.cluster.has_condition("HorizontalPodAutoscaler", "web", "ScalingActive", SHOP),
            timeout_seconds=_SECONDS,
        )
        shop.per_second = 1_000_000.0
        wait_until(
            "the autoscaler to scale",
            lambda: (site.cluster.get("Deployment", "web", SHOP) or {})["spec"]["replicas"] > _AT_REST,
            timeout_seconds=_SECONDS,
        )
    finally:
        shop.per_second = 20.0
        site.cluster.delete("HorizontalPodAutoscaler", "web", SHOP)
