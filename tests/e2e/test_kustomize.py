"""Do the manifests fit together, in every combination, and does a real kube-apiserver take them?"""

from __future__ import annotations

import functools
import itertools
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from rig.processes import wait_until

from adapter import __version__
from adapter.cli.main import main
from adapter.config.load import load_rules
from adapter.config.settings import parse_flags
from adapter.kube.resources import kubernetes_kinds
from adapter.rules.compile import Terms, compile_rules
from e2e.rig.cluster import Cluster
from e2e.rig.programs import Programs
from e2e.rig.site import Site

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy" / "kubernetes"
CRDS = Path(__file__).parent / "kustomize" / "crds.yaml"
SPACES = ("custom-metrics", "monitoring")  # the second one is that of the overlay example-other-namespace
_SECONDS = 30.0

Document = dict[str, Any]
Rendered = tuple[Document, ...]
Render = Callable[[str], Rendered]

APIS = {
    "custom-metrics": {"v1beta1.custom.metrics.k8s.io": 100, "v1beta2.custom.metrics.k8s.io": 200},
    "external-metrics": {"v1beta1.external.metrics.k8s.io": 100},
    "resource-metrics": {"v1beta1.metrics.k8s.io": 100, "v1.metrics.k8s.io": 90},
}
# Three switches in four rows: each pair of them is met in all four positions.
OTHERS = (
    (),
    ("service-monitor", "prometheus-rule"),
    ("cert-manager", "prometheus-rule"),
    ("cert-manager", "service-monitor"),
)
SUBSETS = [names for size in range(4) for names in itertools.combinations(APIS, size)]
COMBINATIONS = [(*apis, *others) for apis in SUBSETS for others in OTHERS]
OVERLAYS = sorted(path.name for path in (DEPLOY / "overlays").iterdir())
CASES = [*map("+".join, COMBINATIONS), *OVERLAYS]
WITH_RULES = [case for case in CASES if any(api in case for api in APIS) or case in OVERLAYS]

# Roles that every cluster has.
THEIRS = {("ClusterRole", "system:auth-delegator"), ("Role", "extension-apiserver-authentication-reader")}
AUTOSCALER = {"kind": "ServiceAccount", "name": "horizontal-pod-autoscaler", "namespace": "kube-system"}


@pytest.fixture(scope="session")
def render(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Render:
    """Return what renders a case with the kustomize of kubectl, each case once."""
    home = tmp_path_factory.mktemp("kustomize")

    @functools.cache
    def rendered(case: str) -> Rendered:
        folder = DEPLOY / "overlays" / case if case in OVERLAYS else _combination(home / (case or "base"), case)
        argv = [str(programs.kubectl), "kustomize", str(folder)]
        done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")
        return tuple(yaml.safe_load_all(done.stdout))

    return rendered


def _combination(folder: Path, case: str) -> Path:
    """Write a kustomization of some components; kustomize takes relative paths only."""
    folder.mkdir()
    base = os.path.relpath(DEPLOY.resolve(), folder.resolve())
    document = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [f"{base}/base"],
        "components": [f"{base}/components/{name}" for name in case.split("+") if name],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(document))
    return folder


@pytest.fixture(scope="module")
def world(cluster: Cluster) -> Iterator[Cluster]:
    """A cluster with the kinds and the namespaces, which a dry run cannot make for what comes after them."""
    crds = list(yaml.safe_load_all(CRDS.read_text(encoding="utf-8")))
    names = [one["metadata"]["name"] for one in crds]
    _wait_gone(cluster, names)  # other tests' kinds of the same names may be going
    cluster.apply(*crds)
    for name in names:
        wait_until(
            f"{name} to be established",
            functools.partial(cluster.has_condition, "CustomResourceDefinition", name, "Established"),
            timeout_seconds=_SECONDS,
        )
    labels = yaml.safe_load((DEPLOY / "base" / "namespace.yaml").read_text(encoding="utf-8"))["metadata"]["labels"]
    for space in SPACES:
        metadata = {"name": space, "labels": labels}
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    yield cluster
    for space in SPACES:
        cluster.delete_namespace(space)
    for name in names:
        cluster.delete("CustomResourceDefinition", name)
    _wait_gone(cluster, names)


def _wait_gone(cluster: Cluster, crds: Sequence[str]) -> None:
    def gone() -> bool:
        return not any(cluster.get("CustomResourceDefinition", name) for name in crds)

    wait_until(f"{', '.join(crds)} to go", gone, timeout_seconds=_SECONDS)


def _of(rendered: Rendered, *kinds: str) -> list[Document]:
    return [one for one in rendered if one["kind"] in kinds]


def _only(rendered: Rendered, kind: str) -> Document:
    (found,) = _of(rendered, kind)
    return found


def _pod(rendered: Rendered) -> Document:
    return dict(_only(rendered, "Deployment")["spec"]["template"]["spec"])


def _arguments(rendered: Rendered) -> list[str]:
    return list(_pod(rendered)["containers"][0]["args"])


def _mounted(rendered: Rendered) -> list[tuple[str, str]]:
    """Return name and content of the files at /etc/adapter, as the kubelet would put them there."""
    maps = {one["metadata"]["name"]: one["data"] for one in _of(rendered, "ConfigMap")}
    (volume,) = [one for one in _pod(rendered)["volumes"] if one["name"] == "config"]
    return [file for source in volume["projected"]["sources"] for file in maps[source["configMap"]["name"]].items()]


def _registered(rendered: Rendered) -> dict[str, int]:
    return {one["metadata"]["name"]: one["spec"]["versionPriority"] for one in _of(rendered, "APIService")}


# ---- kube-apiserver's opinion


@pytest.mark.parametrize("case", CASES)
def test_it_passes_a_dry_run(case: str, render: Render, world: Cluster) -> None:
    """kube-apiserver accepts every object, knows every field, and has no warning, also not about pod security."""
    text = yaml.safe_dump_all(render(case))

    done = world.plane.kubectl.run(
        "apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-", text=text
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == len(render(case))


# ---- whether the parts fit together


@pytest.mark.parametrize("case", CASES)
def test_names_lead_to_what_is_there(case: str, render: Render) -> None:
    """Roles, accounts, ports, volumes and selectors that one object names are those of another."""
    rendered = render(case)
    accounts = {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in _of(rendered, "ServiceAccount")}
    (home, _), pod = next(iter(accounts)), _pod(rendered)
    roles = {(one["kind"], one["metadata"]["name"]) for one in _of(rendered, "Role", "ClusterRole")}
    bindings = _of(rendered, "RoleBinding", "ClusterRoleBinding")
    labels = _only(rendered, "Deployment")["spec"]["template"]["metadata"]["labels"]
    ports = {port["name"]: port["containerPort"] for port in pod["containers"][0]["ports"]}
    selectors = [
        _only(rendered, "Deployment")["spec"]["selector"]["matchLabels"],
        _only(rendered, "Service")["spec"]["selector"],
        _only(rendered, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        _only(rendered, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        *(one["labelSelector"]["matchLabels"] for one in pod["topologySpreadConstraints"]),
    ]
    aggregated = {
        ("ClusterRole", one["metadata"]["name"])
        for one in _of(rendered, "ClusterRole")
        if "rbac.authorization.k8s.io/aggregate-to-view" in one["metadata"]["labels"]
    }

    assert {(one["roleRef"]["kind"], one["roleRef"]["name"]) for one in bindings} == roles - aggregated | THEIRS
    subjects = [subject for one in bindings for subject in one["subjects"] if subject != AUTOSCALER]
    assert {(subject["namespace"], subject["name"]) for subject in subjects} == accounts
    assert pod["serviceAccountName"] in {name for _, name in accounts}
    assert all(selector.items() <= labels.items() for selector in selectors)
    assert {port["targetPort"] for port in _only(rendered, "Service")["spec"]["ports"]} == set(ports)
    ingress = _only(rendered, "NetworkPolicy")["spec"]["ingress"]
    assert {port["port"] for rule in ingress for port in rule["ports"]} == set(ports.values())
    mounts = {one["name"] for one in pod["containers"][0]["volumeMounts"]}
    assert mounts == {one["name"] for one in pod["volumes"]}
    for one in _of(rendered, "APIService"):
        assert one["spec"]["service"] == {"name": _only(rendered, "Service")["metadata"]["name"], "namespace": home}
    spaces = {
        one["metadata"].get("namespace", home) for one in rendered if one["metadata"]["name"] != "tidegauge-auth-reader"
    }
    assert spaces == {home}
    (reader,) = [one for one in rendered if one["metadata"]["name"] == "tidegauge-auth-reader"]
    assert reader["metadata"]["namespace"] == "kube-system"


@pytest.mark.parametrize("case", CASES)
def test_the_flags_are_ours_and_agree_with_the_pod(case: str, render: Render) -> None:
    """Our own parser takes the arguments; ports, folders and names are those of the other objects."""
    rendered = render(case)
    pod = _pod(rendered)
    ports = {port["name"]: port["containerPort"] for port in pod["containers"][0]["ports"]}
    mounts = {one["name"]: one["mountPath"] for one in pod["containers"][0]["volumeMounts"]}

    settings = parse_flags(_arguments(rendered), {}).settings

    assert settings.config == (mounts["config"],)
    assert (settings.secure_port, settings.metrics_bind_address) == (ports["https"], ("0.0.0.0", ports["metrics"]))  # noqa: S104 - as the flag says
    assert settings.cert_dir.startswith(mounts["tmp"])
    assert settings.shutdown_delay_seconds + settings.request_timeout_seconds < pod["terminationGracePeriodSeconds"]


@pytest.mark.parametrize("case", WITH_RULES)
def test_the_rules_have_no_problem(
    case: str, render: Render, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`tidegauge check --strict` of the mounted folder finds nothing, and no file hides another one."""
    files = _mounted(render(case))
    for name, content in files:
        (tmp_path / name).write_text(content)

    code = main(["check", "--strict", str(tmp_path)])

    assert (code, capsys.readouterr().out.splitlines()[0].endswith("no problems")) == (0, True)
    assert len(dict(files)) == len(files)


@pytest.mark.parametrize("case", WITH_RULES)
def test_what_is_registered_is_what_the_rules_serve(case: str, render: Render, tmp_path: Path) -> None:
    """An API has its APIServices, with the priorities by which kube-apiserver prefers versions, exactly if it has rules."""
    rendered = render(case)
    for name, content in _mounted(rendered):
        (tmp_path / name).write_text(content)

    rulebook = compile_rules(load_rules([str(tmp_path)], {}), Terms(kinds=kubernetes_kinds())).rulebook

    served = {
        "custom-metrics": rulebook.custom,
        "external-metrics": rulebook.external,
        "resource-metrics": rulebook.resource,
    }
    assert _registered(rendered) == {
        name: priority for api, names in APIS.items() if served[api] for name, priority in names.items()
    }


@pytest.mark.parametrize("case", CASES)
def test_the_certificate_comes_from_one_place(case: str, render: Render) -> None:
    """Either the adapter makes it and may do what that takes, or cert-manager does, and the adapter may nothing of it."""
    rendered = render(case)
    service = _only(rendered, "Service")["metadata"]
    settings = parse_flags(_arguments(rendered), {}).settings
    by_cert_manager = [one for one in _of(rendered, "Certificate") if one["metadata"]["name"] == service["name"]]
    annotations = {
        one["metadata"].get("annotations", {}).get("cert-manager.io/inject-ca-from")
        for one in _of(rendered, "APIService")
    }
    granted = {
        (resource, name)
        for one in _of(rendered, "Role", "ClusterRole")
        for rule in one["rules"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", ["*"])
        if resource in {"secrets", "apiservices"}
    }

    assert not any("insecureSkipTLSVerify" in one["spec"] for one in _of(rendered, "APIService"))
    if by_cert_manager:
        (certificate,) = by_cert_manager
        secrets = {one["name"]: one["secret"]["secretName"] for one in _pod(rendered)["volumes"] if "secret" in one}
        mounts = {one["name"]: one["mountPath"] for one in _pod(rendered)["containers"][0]["volumeMounts"]}
        assert secrets == {"serving-cert": certificate["spec"]["secretName"]}
        assert settings.tls_cert_file == f"{mounts['serving-cert']}/tls.crt"
        assert settings.tls_private_key_file == f"{mounts['serving-cert']}/tls.key"
        assert certificate["spec"]["dnsNames"][0] == f"{service['name']}.{service['namespace']}.svc"
        assert annotations <= {f"{service['namespace']}/{certificate['metadata']['name']}"}
        assert (settings.self_managed_certificate, granted) == ("", set())
        return
    assert settings.self_managed_certificate == f"{service['namespace']}/{service['name']}"
    assert not settings.tls_cert_file
    assert granted >= {
        ("secrets", f"{service['name']}-serving-cert"),
        *(("apiservices", name) for name in _registered(rendered)),
    }
    assert annotations <= {None}


PRINTED: Sequence[tuple[str, str]] = (
    ("components/custom-metrics", "custom"),
    ("components/resource-metrics", "resource"),
    ("overlays/example-own-rules/rules", "custom"),
)


@pytest.mark.parametrize(("folder", "rules"), PRINTED)
def test_the_role_is_what_the_command_prints(
    folder: str, rules: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the adapter may read of the cluster is what its rules need: the file is the output of `tidegauge rbac`."""
    monkeypatch.chdir(DEPLOY / folder)

    code = main(["rbac", "--for", "objects", "--name", f"tidegauge-{rules}-metrics", f"{rules}.yaml"])

    kept = Path("objects-reader.yaml").read_text(encoding="utf-8")
    assert code == 0
    assert list(yaml.safe_load_all(capsys.readouterr().out)) == list(yaml.safe_load_all(kept))


def test_the_hpa_controllers_rights_are_its_own(render: Render) -> None:
    """What reads metrics is bound to the account of the HPA controller, and never to the adapter's."""
    bindings = _of(render("+".join(APIS)), "ClusterRoleBinding")
    readers = [one for one in bindings if one["roleRef"]["name"].endswith("-metrics-reader")]

    assert len(readers) == len(APIS)
    assert all(one["subjects"] == [AUTOSCALER] for one in readers)


def test_the_image_is_of_this_version(render: Render) -> None:
    """The manifests of a release start that release."""
    assert _pod(render("example-custom"))["containers"][0]["image"] == f"ghcr.io/tidegauge/tidegauge:{__version__}"


def test_every_component_is_in_some_case() -> None:
    """A component that is added is tried."""
    there = {path.name for path in (DEPLOY / "components").iterdir()}

    assert there == {name for names in COMBINATIONS for name in names}


# ---- whether it runs

SHOP = "kustomize-shop"
QUEUE = f"/apis/external.metrics.k8s.io/v1beta1/namespaces/{SHOP}"
OWN = "/api/v1/namespaces/custom-metrics/pods/http:{}:8081/proxy/metrics"


@pytest.fixture
def installed(render: Render, site: Site) -> Iterator[Site]:
    """A cluster in which the pods of the manifests run, with all three APIs and a queue; Prometheus is where they guess it."""
    text = yaml.safe_dump_all(render("+".join(APIS)))
    site.cluster.create_namespace(SHOP)
    site.series.set({f'rabbitmq_queue_messages_ready{{namespace="{SHOP}",queue="orders"}}': 7})
    site.apply(text)
    yield site
    site.delete(text)
    site.series.remove(f'rabbitmq_queue_messages_ready{{namespace="{SHOP}",queue="orders"}}')
    site.cluster.delete_namespace("custom-metrics")
    site.cluster.delete_namespace(SHOP)


def test_it_runs_with_these_permissions(installed: Site) -> None:
    """Both replicas get ready, are verified and asked by kube-apiserver, may do all that they try, and follow the rules."""
    site, services = installed, [name for names in APIS.values() for name in names]

    site.wait_rolled_out("tidegauge", "custom-metrics")
    site.wait_available(services)
    (queue,) = site.wait_for(f"{QUEUE}/rabbitmq_queue_messages_ready", items=1)["items"]
    site.wait_for("/apis/metrics.k8s.io/v1beta1/nodes")
    content = site.cluster.get("ConfigMap", "tidegauge-external-rules", "custom-metrics") or {}
    changed = content["data"]["external.yaml"].replace("  seriesQuery:", "  name: {as: waiting}\n  seriesQuery:")
    site.cluster.patch("ConfigMap", content["metadata"]["name"], "custom-metrics", {"data": {"external.yaml": changed}})
    (renamed,) = site.wait_for(f"{QUEUE}/waiting", items=1)["items"]

    assert [(one["metricLabels"], one["value"]) for one in (queue, renamed)] == [({"queue": "orders"}, "7")] * 2
    specs = [(site.cluster.get("APIService", name) or {})["spec"] for name in services]
    assert all("caBundle" in spec and "insecureSkipTLSVerify" not in spec for spec in specs)
    pods = site.cluster.items("Pod", "custom-metrics", selector="app.kubernetes.io/name=tidegauge")
    lines = [line for pod in pods for line in site.api.get(OWN.format(pod["metadata"]["name"])).text.splitlines()]
    asked = [line for line in lines if line.startswith("tidegauge_kubernetes_requests_total{")]
    assert 'tidegauge_watch_state{resource="nodes",state="live"} 1.0' in lines
    assert any('code="200"' in line for line in asked)
    assert not [line for line in asked if 'code="403"' in line]
