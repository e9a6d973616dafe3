"""Do the commands of the pages work, in their order, on a cluster? The times that each page takes are printed."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from docs.blocks import IN_CLUSTER, ROOT, Block, blocks_of, pages
from rig.processes import wait_until

from e2e.rig import objects
from e2e.rig.load import Load
from e2e.rig.site import MONITORING, PROJECT, Site
from e2e.rig.traffic import Traffic

_CUSTOM = ("v1beta1.custom.metrics.k8s.io", "v1beta2.custom.metrics.k8s.io")
_OLD_VALUES = PROJECT / "tests" / "e2e" / "predecessor.values.yaml"
_SHOP = (PROJECT / "deploy" / "examples" / "shop.yaml").read_text()
_TARGET = 10
# Pages with a test of their own, which looks at what comes of the commands; those of all others are run one after the other.
_OWN = ("docs/first-hpa.md", "docs/migrate.md")
_SECONDS = 90.0


def blocks(page: str) -> list[Block]:
    """Return what a page tells its reader to type in a cluster."""
    return [block for block in blocks_of(ROOT / page) if block.kind == IN_CLUSTER]


OTHERS = [name for page in pages() if (name := page.relative_to(ROOT).as_posix()) not in _OWN and blocks(name)]


def type_in(site: Site, block: Block) -> str:
    """Run a block as a reader would, and return what it printed."""
    begin = time.monotonic()
    done = site.shell(block.text)
    print(f"{block.place}: {time.monotonic() - begin:.1f} s")  # noqa: T201 - a figure
    assert done.returncode == 0, f"{block.place}:\n{done.stdout}\n{done.stderr}\nnode: {site.node.errors[-3:]}"
    return done.stdout


@pytest.fixture
def traffic(site: Site) -> Iterator[Traffic]:
    """Requests that the pods of shop/web get, as soon as there are any."""
    traffic = Traffic(site.cluster, "shop", "app=web", per_second=20.0)
    site.series.follow(traffic)
    yield traffic
    site.series.clear()


@pytest.fixture(autouse=True)
def _clean(site: Site) -> Iterator[None]:
    """Take away what a test has left that did not come to its end."""
    yield
    for release in site.shell(f"helm list --short --namespace {MONITORING}").stdout.split():
        uninstall(site, release)
    site.shell("kubectl delete --ignore-not-found -k deploy/kubernetes/overlays/example-custom")
    if site.cluster.get("Namespace", "shop"):
        uninstall(site)


def test_a_first_hpa(site: Site, traffic: Traffic) -> None:
    """Whoever follows the page gets an autoscaler that follows its application's requests."""
    *steps, last = blocks("docs/first-hpa.md")
    begin = time.monotonic()
    printed = []
    for step in steps:
        if step.text.startswith("kubectl get --raw '/api/v1/namespaces/monitoring"):
            site.prometheus.wait_for('http_requests_total{namespace="shop",pod!=""}')
            site.prometheus.wait_for('rate(http_requests_total{namespace="shop",pod!=""}[2m])')
        printed.append(type_in(site, step))
    print(f"docs/first-hpa.md: {time.monotonic() - begin:.0f} s for the commands, without reading")  # noqa: T201 - a figure

    try:
        assert any('"metric":{"name":"http_requests_per_second"' in text for text in printed)
        traffic.per_second = 20_000.0
        wait_until(
            "the autoscaler to scale",
            lambda: (site.cluster.get("Deployment", "web", "shop") or {})["spec"]["replicas"] > 2,
            timeout_seconds=_SECONDS,
        )
    finally:
        type_in(site, last)
        wait_until("shop to go", lambda: site.cluster.get("Namespace", "shop") is None, timeout_seconds=_SECONDS)


def test_the_change_over_fails_no_request(site: Site, traffic: Traffic) -> None:
    """Whoever follows the page comes from prometheus-adapter's objects to ours, there and back and there again.

    Not one request fails meanwhile, and an autoscaler that followed the old adapter follows the new one.
    """
    site.apply(_SHOP)
    site.cluster.apply(
        objects.hpa("web", "shop", metrics=[objects.pods_metric("http_requests_per_second", average=str(_TARGET))])
    )
    done = site.shell(
        f"helm install prometheus-adapter tests/e2e/predecessor --namespace {MONITORING} --values {_OLD_VALUES} --wait"
    )
    assert done.returncode == 0, done.stderr
    paths = [
        "/apis/custom.metrics.k8s.io/v1beta1/namespaces/shop/pods/*/http_requests_per_second",
        "/apis/custom.metrics.k8s.io/v1beta1",
        "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/all_requests",
    ]
    for path in paths:
        site.wait_for(path, items=0 if path.endswith("v1beta1") else 1)
    wait_until("the old adapter's metrics to count", lambda: is_active(site), timeout_seconds=_SECONDS)

    clients = [site.cluster.plane.client(pair=site.cluster.plane.admin) for _ in range(3)]
    begin = time.monotonic()
    with Load(clients, paths) as load:
        for step in blocks("docs/migrate.md"):
            type_in(site, step)
        replicas = (site.cluster.get("Deployment", "web", "shop") or {})["spec"]["replicas"]
        traffic.per_second = 20_000.0
        wait_until(
            "the autoscaler to follow the new adapter",
            lambda: (site.cluster.get("Deployment", "web", "shop") or {})["spec"]["replicas"] > replicas,
            timeout_seconds=_SECONDS,
        )
    print(f"docs/migrate.md: {time.monotonic() - begin:.0f} s; meanwhile {load.summary()}")  # noqa: T201 - a figure
    for client in clients:
        client.close()
    owners = {name: site.cluster.get("APIService", name) for name in (*_CUSTOM, "v1beta1.external.metrics.k8s.io")}
    left = site.shell(f"kubectl get all,cm,sa,secret -n {MONITORING} -o name | grep prometheus-adapter || true").stdout
    uninstall(site)

    assert load.failures == []
    assert left == ""
    for name, owner in owners.items():
        assert owner, name
        assert owner["spec"]["service"]["name"] == "tidegauge", name
        assert owner["spec"].get("caBundle"), name
        assert not owner["spec"].get("insecureSkipTLSVerify"), name


def test_in_one_step(site: Site, traffic: Traffic) -> None:
    """The shorter way works too: the new adapter takes the old one's place, under its names; what failed is printed."""
    site.apply(_SHOP)
    values = f"--namespace {MONITORING} --values {_OLD_VALUES} --wait"
    path = "/apis/custom.metrics.k8s.io/v1beta1/namespaces/shop/pods/*/http_requests_per_second"
    done = site.shell(f"helm install prometheus-adapter tests/e2e/predecessor {values}")
    assert done.returncode == 0, done.stderr
    site.wait_for(path, items=1)
    step = next(
        line for line in one_line_commands("docs/migrate.md") if line.startswith("helm upgrade prometheus-adapter")
    )

    with site.cluster.plane.client(pair=site.cluster.plane.admin) as client, Load([client], [path]) as load:
        done = site.shell(f"cp {_OLD_VALUES} ~/old-values.yaml; {step}")
        assert done.returncode == 0, done.stderr
        site.wait_rolled_out("prometheus-adapter", MONITORING)
        site.wait_for("/apis/custom.metrics.k8s.io/v1beta2")
    print(f"in one step: {load.summary()}")  # noqa: T201 - a figure
    image = (site.cluster.get("Deployment", "prometheus-adapter", MONITORING) or {})["spec"]["template"]["spec"]
    uninstall(site, "prometheus-adapter")

    assert image["containers"][0]["image"].startswith("ghcr.io/tidegauge/tidegauge:")


@pytest.mark.parametrize("page", OTHERS)
def test_other_pages(site: Site, traffic: Traffic, page: str) -> None:
    """Each command of the other pages works, in order, beside an adapter that is installed as the first page does it."""
    steps = blocks(page)
    installs = any("helm install" in step.text or "apply --server-side -k" in step.text for step in steps)
    site.apply(_SHOP)
    if not installs:
        install(site)
    for step in steps:
        type_in(site, step)


def install(site: Site) -> None:
    """Install the chart with the rules of the first page, and wait until a metric is answered."""
    done = site.shell(
        f"kubectl -n {MONITORING} create configmap tidegauge-rules --from-file=config.yaml=config/http-server.yaml\n"
        f"helm install tidegauge deploy/helm/tidegauge --namespace {MONITORING}"
        " --values deploy/helm/tidegauge/values-recommended.yaml --set prometheus.url=http://prometheus.monitoring.svc"
        " --set rules.existing=tidegauge-rules --set apiServices.custom=true --wait"
    )
    assert done.returncode == 0, done.stderr
    site.wait_available(_CUSTOM)
    site.wait_for("/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/http_requests_per_second", items=1)


def uninstall(site: Site, release: str = "tidegauge") -> None:
    """Take the adapter and its application away, as far as they are there."""
    site.shell(f"helm uninstall {release} --namespace {MONITORING} --wait --ignore-not-found")
    site.shell(f"kubectl -n {MONITORING} delete configmap tidegauge-rules --ignore-not-found")
    site.delete(_SHOP)
    wait_until("shop to go", lambda: site.cluster.get("Namespace", "shop") is None, timeout_seconds=_SECONDS)


def is_active(site: Site) -> bool:
    """Say whether the autoscaler of shop/web reads its metric."""
    return site.cluster.has_condition("HorizontalPodAutoscaler", "web", "ScalingActive", "shop")


def one_line_commands(page: str) -> list[str]:
    """Return the commands that a page names within its text."""
    return [part for part in (ROOT / page).read_text().replace("\n", " ").split("`") if part.startswith("helm ")]
