"""The chart: the values of prometheus-adapter's chart mean the same, and kube-apiserver takes what is made of all values."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
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
    text = yaml.safe_dump_all(_for(plane, chart.objects(name)))

    answer = plane.kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", text=text)

    assert len(answer.splitlines()) == len(chart.objects(name))


def _for(plane: ControlPlane, documents: Sequence[Document]) -> list[Document]:
    """Return manifests as this cluster can have them: no IPv6 addresses where its Services have none; all in a namespace."""
    documents = [
        {**one, "metadata": {"namespace": SPACE, **one["metadata"]}} if one["kind"] == "ConfigMap" else one
        for one in documents
    ]
    ranges = plane.api.get("/apis/networking.k8s.io/v1/servicecidrs/kubernetes").json()["spec"]["cidrs"]
    if any(":" in one for one in ranges):
        return list(documents)
    return [
        {**one, "spec": {**one["spec"], "ipFamilies": ["IPv4"]}} if "ipFamilies" in one.get("spec", {}) else one
        for one in documents
    ]
