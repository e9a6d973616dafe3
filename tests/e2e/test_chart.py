"""The chart: the values of prometheus-adapter's chart mean the same, and kube-apiserver takes what is made of all values."""

from __future__ import annotations

import copy
import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapter import __version__
from adapter.cli.main import main
from adapter.config.settings import parse_flags
from e2e.chart.facts import Document, Facts, facts_of, theirs
from e2e.rig.cluster import Cluster
from e2e.rig.control_plane import ControlPlane
from e2e.rig.helm import CHART, Helm, HelmError
from e2e.rig.programs import Programs

RELEASE, SPACE = "prometheus-adapter", "monitoring"  # those of the facts
CUSTOM_V1BETA1 = "v1beta1.custom.metrics.k8s.io"
DATA = Path(__file__).parent / "chart"
# With this name all objects are called as theirs; it goes first, so that a set may give another one.
NAMED = DATA / "theirs" / "named.yaml"
THEIRS: Mapping[str, Sequence[Path]] = {
    path.name.removesuffix(".values.yaml"): (NAMED, path) for path in sorted((DATA / "theirs").glob("*.values.yaml"))
} | {"chart-defaults": (DATA / "theirs" / "chart-defaults.yaml", NAMED)}
OURS: Mapping[str, Sequence[Path]] = {
    path.stem: (path,) for path in sorted((DATA / "ours").glob("*.yaml")) if path.stem != "recommended-with-rules"
} | {
    "recommended": (CHART / "values-recommended.yaml",),
    "recommended-with-rules": (CHART / "values-recommended.yaml", DATA / "ours" / "recommended-with-rules.yaml"),
}
SETS = {**THEIRS, **OURS}
DEFAULTS: Document = yaml.safe_load((CHART / "values.yaml").read_text())


@dataclass(frozen=True, slots=True)
class Difference:
    """Where our chart makes something else, and why. Names are regular expressions; `...` is any value, None is none."""

    thing: str
    path: str
    theirs: Any
    ours: Any
    because: str


DIFFERENCES = (
    Difference(r"APIService v1beta2\.custom\.metrics\.k8s\.io", "", None, "there", "both versions are registered, the newer one first"),
    Difference(r"APIService v1\.metrics\.k8s\.io", "", None, "there", "Kubernetes goes on to v1"),
    Difference("APIService .*", "apiVersion", "apiregistration.k8s.io/v1beta1", "apiregistration.k8s.io/v1", "v1beta1 was removed in Kubernetes 1.22"),
    Difference("APIService .*", r"spec\.service\.port", None, 8443, "without it kube-apiserver calls 443, where nobody listens"),
    Difference("APIService .*", r"metadata\.annotations\.certmanager\.k8s\.io/inject-ca-from", ..., None, "only cert-manager before 0.11 read it"),
    Difference("ClusterRoleBinding .*-hpa-controller", r"subjects\[(prometheus-adapter|existing)\]\..*", ..., None, "it is not the adapter that reads metrics"),
    Difference("ClusterRoleBinding .*-hpa-controller", r"subjects\[horizontal-pod-autoscaler\]\..*", None, ..., "it is the HPA controller"),
    Difference("PodDisruptionBudget .*", r"spec\.maxUnavailable", 1, None, "kube-apiserver refuses it beside minAvailable"),
    Difference("Deployment .*", r"spec\.template\.spec\.containers\[0\]\.name", "prometheus-adapter", "adapter", "nameOverride names the container too"),
    Difference("Deployment .*", r".*\.image", "registry.k8s.io/prometheus-adapter/prometheus-adapter:v0.12.0", f"ghcr.io/tidegauge/tidegauge:{__version__}", "our image"),
    Difference("Deployment .*", r".*\.annotations\.checksum/config", ..., None, "the adapter reads changed rules again by itself"),
    Difference("Deployment .*", r"spec\.template\.metadata\.name", ..., None, "nothing reads it"),
    Difference(".*", r".*labels\.helm\.sh/chart", "prometheus-adapter-5.3.0", f"tidegauge-{__version__}", "our chart"),
    Difference(".*", r".*labels\.app\.kubernetes\.io/version", "v0.12.0", __version__, "our version"),
)  # fmt: skip


@pytest.fixture(scope="module")
def helm(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Helm without a cluster."""
    return Helm(program=programs.helm, home=tmp_path_factory.mktemp("helm"))


class Chart:
    """What the chart makes of value sets, each made once."""

    def __init__(self, helm: Helm) -> None:
        self.helm = helm
        self.objects = functools.cache(self._objects)

    def _objects(self, name: str) -> list[Document]:
        return self.helm.template(*SETS[name], release=RELEASE, namespace=SPACE)

    def container(self, name: str) -> Document:
        """Return the adapter's container."""
        deployment = next(one for one in self.objects(name) if one["kind"] == "Deployment")
        found: Document = deployment["spec"]["template"]["spec"]["containers"][0]
        return found


@pytest.fixture(scope="module")
def chart(helm: Helm) -> Chart:
    """The chart's objects."""
    return Chart(helm)


@pytest.fixture(scope="module")
def installer(plane: ControlPlane, helm: Helm) -> Helm:
    """Helm that looks at the cluster, and may do everything there."""
    return Helm(program=helm.program, home=helm.home, kubeconfig=plane.kubeconfig)


@pytest.fixture(scope="module")
def world(plane: ControlPlane, cluster: Cluster) -> Iterator[None]:
    """The namespaces that the sets name, and the kinds of others that they use."""
    for name in (SPACE, "custom-metrics"):
        cluster.create_namespace(name)
    crds = [one for one in yaml.safe_load_all((DATA / "crds.yaml").read_text()) if one]
    cluster.apply(*crds)
    names = [f"crd/{one['metadata']['name']}" for one in crds]
    plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", *names)
    yield
    for name in (SPACE, "custom-metrics"):
        cluster.delete("Namespace", name)
    for name in (SPACE, "custom-metrics"):
        cluster.delete_namespace(name)
    plane.kubectl("delete", "--wait=false", *names)


# Values


def leaves(values: Document, *path: str) -> Iterator[tuple[str, ...]]:
    """Yield the paths of the values that have no others below them."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, *path, key)
        else:
            yield (*path, key)


def value_at(values: Any, path: Sequence[str]) -> Any:
    """Return the value at a path; raise KeyError if nothing stands there."""
    for key in path:
        if not isinstance(values, Mapping) or key not in values:
            raise KeyError(key)
        values = values[key]
    return values


def without(values: Document, path: Sequence[str]) -> Document:
    """Return values less one."""
    first, *rest = path
    return {
        key: without(value, rest) if rest and key == first else value
        for key, value in values.items()
        if rest or key != first
    }


def is_set(name: str, path: Sequence[str]) -> bool:
    """Say whether the last file of a set gives a value another one than the default."""
    try:
        given = value_at(yaml.safe_load(SETS[name][-1].read_text()), path)
    except KeyError:
        return False
    return bool(given != value_at(DEFAULTS, path))


def rendered_or_refused(helm: Helm, *files: Path) -> list[Document] | str:
    """Return the objects, or why there are none."""
    try:
        return helm.template(*files, release=RELEASE, namespace=SPACE)
    except HelmError as error:
        return str(error)


@pytest.mark.parametrize("path", [".".join(path) for path in leaves(DEFAULTS)])
def test_every_value_counts(helm: Helm, path: str, tmp_path: Path) -> None:
    """Each value of values.yaml is given another one by some set, and what is made depends on it."""
    keys = next(one for one in leaves(DEFAULTS) if ".".join(one) == path)
    users = [name for name in SETS if is_set(name, keys)]
    assert users, "no value set gives it another value"

    for name in users:
        *before, last = SETS[name]
        less = tmp_path / "less.yaml"
        less.write_text(yaml.safe_dump(without(yaml.safe_load(last.read_text()), keys)))
        if rendered_or_refused(helm, *SETS[name]) != rendered_or_refused(helm, *before, less):
            return
    pytest.fail(f"{', '.join(users)}: nothing changes without it")


def test_every_value_of_theirs_is_ours() -> None:
    """Each key of the default values of prometheus-adapter's chart has the same default here, but for the image and placeholder texts."""
    their = yaml.safe_load((DATA / "theirs" / "chart-defaults.yaml").read_text())

    other = {path for path in leaves(their) if value_at(DEFAULTS, path) != value_at(their, path)}

    assert other == {("image", "repository"), ("tls", "ca"), ("tls", "key"), ("tls", "certificate")}


def test_every_value_is_documented() -> None:
    """The README's table has each value once, with its default."""
    rows = re.findall(r"^\| `([\w.]+)` \| (.*?) \| .+ \|$", (CHART / "README.md").read_text(), re.MULTILINE)
    documented = {name: text.strip("`") for name, text in rows}
    assert len(documented) == len(rows)

    unknown = {name for name in documented if not any(name == path for path in _paths(DEFAULTS))}
    missing = {path for path in map(".".join, leaves(DEFAULTS)) if not any(_is_at(path, name) for name in documented)}
    wrong = {
        name: text
        for name, text in documented.items()
        if text != "see values.yaml" and text != _as_text(value_at(DEFAULTS, name.split(".")))
    }
    assert (unknown, missing, wrong) == (set(), set(), {})


def _paths(values: Document) -> set[str]:
    return {".".join(path[:size]) for path in leaves(values) for size in range(1, len(path) + 1)}


def _is_at(path: str, name: str) -> bool:
    return path == name or path.startswith(f"{name}.")


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


# What is made


def different(theirs: Facts, ours: Facts) -> set[tuple[str, str, str, str]]:
    """Return object, path, their fact and ours, as JSON, where they differ."""
    found: set[tuple[str, str, str, str]] = set()
    for thing in theirs.keys() | ours.keys():
        if thing not in theirs or thing not in ours:
            found.add(
                (
                    thing,
                    "",
                    json.dumps("there" if thing in theirs else None),
                    json.dumps("there" if thing in ours else None),
                )
            )
            continue
        their, our = theirs[thing], ours[thing]
        found |= {
            (thing, path, json.dumps(their.get(path)), json.dumps(our.get(path)))
            for path in their.keys() | our.keys()
            if their.get(path) != our.get(path)
        }
    return found


def is_meant(row: Difference, found: tuple[str, str, str, str]) -> bool:
    """Say whether a row of the table is about this difference."""
    thing, path, *values = found
    named = re.fullmatch(row.thing, thing) and re.fullmatch(row.path, path)
    return bool(named) and all(
        want is ... or json.dumps(want) == value for want, value in zip((row.theirs, row.ours), values, strict=True)
    )


def differences(chart: Chart, name: str) -> set[tuple[str, str, str, str]]:
    """Return where what we make of a set of theirs differs from what they make of it."""
    return different(theirs(name), facts_of(chart.objects(name)))


@pytest.mark.parametrize("name", THEIRS)
def test_their_values_make_the_same(chart: Chart, name: str) -> None:
    """Names, arguments, ports, volumes, permissions and the rest are those of prometheus-adapter's chart, but for the table."""
    unmeant = {one for one in differences(chart, name) if not any(is_meant(row, one) for row in DIFFERENCES)}

    assert not unmeant


def test_the_table_has_no_row_too_many(chart: Chart) -> None:
    """Each difference that is meant is seen in some set."""
    found = set().union(*(differences(chart, name) for name in THEIRS))

    assert [row for row in DIFFERENCES if not any(is_meant(row, one) for one in found)] == []


_DEPLOYMENT, _CONTAINER = "Deployment monitoring/prometheus-adapter-tidegauge", "spec.template.spec.containers[0]"
_READER = "ClusterRole tidegauge-resource-reader"
# What values make that prometheus-adapter's chart does not have: set, object, path, value; None is none.
MORE: Sequence[tuple[str, str, str, Any]] = (
    ("self-managed", "Deployment custom-metrics/gauge", f"{_CONTAINER}.args", [
        "/adapter", "--secure-port=6443", "--cert-dir=/tmp/cert", "--prometheus-url=http://prometheus.default.svc:9090", "--metrics-relist-interval=1m", "--v=4",
        "--config=/etc/adapter/config.yaml", "--self-managed-certificate=custom-metrics/gauge", "--self-managed-certificate-life=720h", "--self-managed-certificate-secret=gauge-keys",
    ]),
    ("self-managed", "Role custom-metrics/gauge-serving-cert", "rules", [
        '{"apiGroups": [""], "resourceNames": ["gauge-keys"], "resources": ["secrets"], "verbs": ["get", "update"]}', '{"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]}',
    ]),
    ("self-managed", "APIService v1beta2.custom.metrics.k8s.io", "spec.insecureSkipTLSVerify", None),
    ("recommended", "Role monitoring/prometheus-adapter-tidegauge-serving-cert", "rules", [
        '{"apiGroups": [""], "resourceNames": ["prometheus-adapter-tidegauge-serving-cert"], "resources": ["secrets"], "verbs": ["get", "update"]}',
        '{"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]}',
    ]),
    ("recommended", _READER, "rules", ['{"apiGroups": [""], "resources": ["namespaces", "pods", "services"], "verbs": ["get", "list", "watch"]}']),
    ("recommended", _DEPLOYMENT, f"{_CONTAINER}.readinessProbe.httpGet.path", "/readyz"),
    ("more-rbac", _READER, "rules", [
        '{"apiGroups": [""], "resources": ["nodes"], "verbs": ["list", "watch"]}', '{"apiGroups": ["apps"], "resources": ["deployments", "statefulsets"], "verbs": ["get", "list", "watch"]}',
    ]),
    ("behaviour", _DEPLOYMENT, f"{_CONTAINER}.args", [
        "/adapter", "--secure-port=6443", "--cert-dir=/tmp/cert", "--prometheus-url=http://prometheus.default.svc:9090", "--metrics-relist-interval=2m30s", "--v=8",
        "--config=/etc/adapter/config.yaml", "--compat=strict", "--cache-ttl=0s", "--reload-protect", "--prometheus-token-file=/var/run/token", "--request-timeout=8s",
    ]),
    ("digest", _DEPLOYMENT, f"{_CONTAINER}.args", [
        "/adapter", "--secure-port=6443", "--cert-dir=/tmp/cert", "--prometheus-url=https://prometheus-adapter.monitoring.svc/prometheus", "--metrics-relist-interval=1m", "--v=4",
        "--config=/etc/adapter/config.yaml",
    ]),
    ("monitoring", "Service monitoring/prometheus-adapter-tidegauge", "spec.ports[metrics].port", 9100),
    ("monitoring", "ServiceMonitor custom-metrics/prometheus-adapter-tidegauge", "spec.namespaceSelector.matchNames", ["monitoring"]),
    ("monitoring", "PrometheusRule custom-metrics/prometheus-adapter-tidegauge", "spec.groups[tidegauge].rules", yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())["groups"][0]["rules"]),
    ("network-policy", "NetworkPolicy monitoring/prometheus-adapter-tidegauge", "spec.policyTypes", ["Ingress", "Egress"]),
    ("network-policy-open", "NetworkPolicy monitoring/prometheus-adapter-tidegauge", "spec.egress", [
        {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}, {"ports": [{"port": 443, "protocol": "TCP"}, {"port": 6443, "protocol": "TCP"}]}, {"ports": [{"port": 443, "protocol": "TCP"}]},
    ]),
    ("every-kind-of-rule", _DEPLOYMENT, f"{_CONTAINER}.args", [
        "/adapter", "--secure-port=6443", "--cert-dir=/tmp/cert", "--metrics-relist-interval=1m", "--v=4", "--config=/etc/adapter/config.yaml",
    ]),
    ("existing-rules-name-prometheus", _DEPLOYMENT, f"{_CONTAINER}.args", [
        "/adapter", "--secure-port=6443", "--cert-dir=/tmp/cert", "--metrics-relist-interval=1m", "--v=4", "--config=/etc/adapter/config.yaml",
    ]),
    ("every-kind-of-rule", _DEPLOYMENT, "spec.template.metadata.annotations.checksum/config", None),
    ("every-kind-of-rule", "APIService v1beta2.custom.metrics.k8s.io", "apiVersion", "apiregistration.k8s.io/v1"),
    ("every-kind-of-rule", "APIService v1beta1.external.metrics.k8s.io", "apiVersion", "apiregistration.k8s.io/v1"),
    ("every-kind-of-rule", "APIService v1.metrics.k8s.io", "spec.versionPriority", 90),
    ("existing-rules-served", "APIService v1beta1.external.metrics.k8s.io", "apiVersion", "apiregistration.k8s.io/v1"),
    ("not-custom", "APIService v1beta2.custom.metrics.k8s.io", "apiVersion", None),
    ("not-registered", "APIService v1beta2.custom.metrics.k8s.io", "apiVersion", None),
    ("not-registered", "ClusterRole tidegauge-server-resources", "apiVersion", "rbac.authorization.k8s.io/v1"),
    ("recommended", "APIService v1beta2.custom.metrics.k8s.io", "apiVersion", None),
)  # fmt: skip


@pytest.mark.parametrize(("name", "thing", "path", "value"), MORE)
def test_what_is_ours_alone(chart: Chart, name: str, thing: str, path: str, value: Any) -> None:
    """Values that prometheus-adapter's chart does not have make what they say."""
    assert facts_of(chart.objects(name)).get(thing, {}).get(path) == value


@pytest.mark.parametrize("name", SETS)
def test_lint(helm: Helm, name: str) -> None:
    """Helm's own checks find nothing, warnings included."""
    helm("lint", "--strict", CHART, *(f"--values={path}" for path in SETS[name]))


@pytest.mark.parametrize("name", SETS)
def test_the_adapter_takes_it(chart: Chart, name: str, tmp_path: Path) -> None:
    """The arguments are good ones, and the rules have no error."""
    program, *flags = chart.container(name)["args"]
    rules = [
        one["data"]["config.yaml"]
        for one in chart.objects(name)
        if one["kind"] == "ConfigMap" and "config.yaml" in one["data"]
    ]
    file = tmp_path / "config.yaml"

    parsed = parse_flags(flags, {})
    for text in rules:
        file.write_text(text)

    assert program == "/adapter"
    assert parsed.warnings == ()
    assert not rules or main(["check", str(file)]) == 0


@pytest.mark.parametrize("name", SETS)
def test_kube_apiserver_takes_it(world: None, plane: ControlPlane, chart: Chart, name: str) -> None:
    """A server-side dry run accepts every object."""
    for document in (documents := copy.deepcopy(chart.objects(name))):
        if document["kind"] == "ConfigMap":  # one of extraManifests that leaves its namespace to helm
            document["metadata"].setdefault("namespace", SPACE)
    text = yaml.safe_dump_all(documents)

    answer = plane.kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", text=text)

    assert len(answer.splitlines()) == len(chart.objects(name))


# What cannot work, and what is worth knowing

REFUSED = {
    "an unknown value": ("replica: 2", "additional properties 'replica' not allowed"),
    "an unknown value of ours": ("metrics: {enable: true}", "additional properties 'enable' not allowed"),
    "a wrong kind of value": ("rules: {default: 'yes'}", "at '/rules/default': got string, want boolean"),
    "no duration": ("metricsRelistInterval: 60", "at '/metricsRelistInterval'"),
    "a block taken away": ("tls: null", "missing property 'tls'"),
    "tls without texts": ("tls: {enable: true, ca: CA, key: KEY}", "tls.certificate: is empty, and tls.enable needs it"),
    "tls with their placeholders": ("tls: {enable: true, ca: '# Public CA file'}", "tls.ca: is empty"),
    "two certificates": ("{certManager: {enabled: true}, selfManagedCertificate: {enabled: true}}", "certManager.enabled and selfManagedCertificate.enabled: there is one serving certificate"),
    "no address": ("prometheus: {url: prometheus.example.com}", 'prometheus.url: "prometheus.example.com" is no http:// or https:// address'),
    "no server": ("prometheus: {url: ''}", "prometheus.url: is empty, and neither rules.backends nor rules.existing names a server"),
    "two servers": ("rules: {backends: {b: {url: 'http://b'}, a: {url: 'http://a'}}}", "rules.backends: a, b: one server is in force"),
    "an empty budget": ("podDisruptionBudget: {enabled: true, maxUnavailable: null}", "minAvailable or maxUnavailable has to be given"),
    "one port twice": ("{metrics: {enabled: true, port: 6443}}", "metrics.port: 6443 is listenPort too"),
    "nothing to scrape": ("serviceMonitor: {enabled: true}", "serviceMonitor.enabled: needs metrics.enabled"),
    "half a permission": ("rbac: {resources: [{resources: [deployments]}]}", "rbac.resources[0]: apiGroups and resources have to be given"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_values_that_cannot_work(helm: Helm, case: str, tmp_path: Path) -> None:
    """Values that cannot work are refused with a sentence that names them."""
    values, reason = REFUSED[case]
    file = tmp_path / "values.yaml"
    file.write_text(values)

    with pytest.raises(HelmError, match=re.escape(reason)):
        helm.template(file, release=RELEASE, namespace=SPACE)


IMAGES = {
    "{}": f"ghcr.io/tidegauge/tidegauge:{__version__}",
    "{repository: registry.k8s.io/prometheus-adapter/prometheus-adapter}": f"ghcr.io/tidegauge/tidegauge:{__version__}",
    "{repository: k8s.gcr.io/prometheus-adapter/prometheus-adapter, tag: v0.9.1}": f"ghcr.io/tidegauge/tidegauge:{__version__}",
    "{repository: directxman12/k8s-prometheus-adapter-amd64, tag: latest}": f"ghcr.io/tidegauge/tidegauge:{__version__}",
    "{repository: gcr.io/k8s-staging-prometheus-adapter/prometheus-adapter-arm64}": f"ghcr.io/tidegauge/tidegauge:{__version__}",
    "{tag: v0.12.0}": f"ghcr.io/tidegauge/tidegauge:{__version__}",
    "{tag: 0.2.0}": "ghcr.io/tidegauge/tidegauge:0.2.0",
    "{repository: example.com/tidegauge, tag: v0.12.0}": "example.com/tidegauge:v0.12.0",
    "{repository: example.com/prometheus-adapter/prometheus-adapter, tag: v0.12.0}": "example.com/prometheus-adapter/prometheus-adapter:v0.12.0",
    "{repository: example.com/tidegauge, digest: 'sha256:" + "a" * 64 + "'}": "example.com/tidegauge@sha256:" + "a" * 64,
}  # fmt: skip


@pytest.mark.parametrize("values", IMAGES)
def test_the_image(helm: Helm, values: str, tmp_path: Path) -> None:
    """What names prometheus-adapter's own image gets ours; every other address stays."""
    file = tmp_path / "values.yaml"
    file.write_text(f"image: {values}")

    objects = helm.template(file, release=RELEASE, namespace=SPACE)

    deployment = next(one for one in objects if one["kind"] == "Deployment")
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == IMAGES[values]


def test_the_version_is_ours() -> None:
    """Chart and application have the version of the package."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())

    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)


def test_the_catch_all_rules(chart: Chart, capsys: pytest.CaptureFixture[str]) -> None:
    """The default rules are those that `config-gen` prints."""
    config = next(one for one in chart.objects("availability") if one["kind"] == "ConfigMap")["data"]["config.yaml"]

    main(["config-gen"])

    assert yaml.safe_load(config) == {"rules": yaml.safe_load(capsys.readouterr().out)["rules"]}


NOTES: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {  # set -> what stands there, what does not
    "chart-defaults": (
        (
            "kubectl get apiservice v1beta2.custom.metrics.k8s.io",
            "kubectl get --raw /apis/custom.metrics.k8s.io/v1beta2",
            "tidegauge doctor",
            f"registry.k8s.io/prometheus-adapter/prometheus-adapter is prometheus-adapter's own; ghcr.io/tidegauge/tidegauge:{__version__} runs instead",
            "insecureSkipTLSVerify",
            "rules.default: six catch-all rules",
            "replicas: with one",
        ),
        ("external.metrics.k8s.io", "mean nothing"),
    ),
    "theirs-with-strays": (("Values that mean nothing here: rbac.psp, serviceAccount.automount.",), ()),
    "recommended": (("No API is registered",), ("insecureSkipTLSVerify", "catch-all", "replicas:")),
    "recommended-with-rules": (("v1beta2.custom.metrics.k8s.io",), ("Worth knowing",)),
    "every-kind-of-rule": (("answers for Prometheus at https://mimir.example.com/prometheus.",), ()),
    "existing-rules-name-prometheus": (("answers for Prometheus at what ConfigMap my-rules names.",), ()),
    "existing-rules-served": (("v1beta1.external.metrics.k8s.io", "v1.metrics.k8s.io", "kubectl top nodes"), ("catch-all",)),
}  # fmt: skip


@pytest.mark.parametrize("name", NOTES)
def test_notes(world: None, installer: Helm, name: str) -> None:
    """Helm's notes say what to do next, what was replaced, and what is unsafe."""
    there, not_there = NOTES[name]
    values = [f"--values={path}" for path in SETS[name]]

    text = installer("install", RELEASE, CHART, f"--namespace={SPACE}", "--dry-run=client", *values)

    notes = text.partition("NOTES:")[2]
    assert [one for one in there if one not in notes] == []
    assert [one for one in not_there if one in notes] == []


@pytest.fixture
def install(world: None, installer: Helm, cluster: Cluster) -> Iterator[Callable[..., Document]]:
    """Install or upgrade with `--set` values; returns the spec of v1beta1.custom.metrics.k8s.io."""

    def upgrade(*values: str) -> Document:
        sets = [f"--set={one}" for one in (*values, "nameOverride=prometheus-adapter", "replicas=0")]
        installer("upgrade", "--install", RELEASE, CHART, f"--namespace={SPACE}", *sets)
        return _registration(cluster)

    yield upgrade
    installer("uninstall", RELEASE, f"--namespace={SPACE}", "--ignore-not-found")


def _registration(cluster: Cluster) -> Document:
    found = cluster.get("APIService", CUSTOM_V1BETA1)
    assert found
    spec: Document = found["spec"]
    return {key: spec[key] for key in ("insecureSkipTLSVerify", "caBundle") if key in spec}


OURS_ALONE = "selfManagedCertificate.enabled=true"


def test_the_adapter_s_own_authority_stays(install: Callable[..., Document], cluster: Cluster) -> None:
    """What the adapter has written into an APIService is kept by each upgrade, also when it is another one then."""
    first = install(OURS_ALONE)
    after: list[Document] = []
    for authority in ("b25l", "dHdv"):
        cluster.patch("APIService", CUSTOM_V1BETA1, "", {"spec": {"caBundle": authority}})
        after.append(install(OURS_ALONE, f"logLevel={len(after)}"))

    assert first == {}
    assert after == [{"caBundle": "b25l"}, {"caBundle": "dHdv"}]


def test_certificates_are_taken_over(install: Callable[..., Document], cluster: Cluster) -> None:
    """Nothing is refused for a moment: skip-verify stays until the adapter has registered its authority, and the way back is open."""
    skipping = install()
    waiting = install(OURS_ALONE)
    cluster.patch("APIService", CUSTOM_V1BETA1, "", {"spec": {"caBundle": "b25l", "insecureSkipTLSVerify": None}})
    verified = install(OURS_ALONE, "logLevel=1")
    given = install("tls.enable=true", "tls.ca=CA", "tls.key=KEY", "tls.certificate=CERT")
    back = install(OURS_ALONE)
    cluster.patch("APIService", CUSTOM_V1BETA1, "", {"spec": {"caBundle": "dHdv"}})
    skipping_again = install()

    assert (skipping, waiting, skipping_again) == ({"insecureSkipTLSVerify": True},) * 3
    assert (verified, given, back) == ({"caBundle": "b25l"}, {"caBundle": "Q0E="}, {"caBundle": "Q0E="})


def test_a_known_authority_is_trusted_at_once(install: Callable[..., Document], cluster: Cluster) -> None:
    """An APIService that is registered when the adapter has its certificate already trusts that from its first moment."""
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "kept", "namespace": SPACE}}
    cluster.apply({**secret, "data": {"ca.crt": "b25l"}})

    found = install(OURS_ALONE, "selfManagedCertificate.secretName=kept")

    cluster.delete("Secret", "kept", SPACE)
    assert found == {"caBundle": "b25l"}
