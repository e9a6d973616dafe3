"""Does the doctor find what is wrong with a real installation, by its code, and nothing else?"""

from __future__ import annotations

import base64
import contextlib
import copy
import datetime as dt
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from rig.processes import wait_until

from e2e.rig.helm import Helm
from e2e.rig.kubeconfig import token_user
from e2e.rig.objects import Document
from e2e.rig.programs import Programs
from e2e.rig.site import Site

SPACE: Final = "custom-metrics"
NAME: Final = "tidegauge"
HOST: Final = f"{NAME}.{SPACE}.svc"
CUSTOM, EXTERNAL = "v1beta2.custom.metrics.k8s.io", "v1beta1.external.metrics.k8s.io"
HPA_ROLE: Final = "system:controller:horizontal-pod-autoscaler"
_SECONDS = 120.0  # kube-apiserver looks at an APIService at least every 30 s, and twice after a change in between
_DAY = dt.timedelta(days=1)

_PODS_RULE = {
    "seriesQuery": 'e2e_load{namespace!="",pod!=""}',
    "resources": {"overrides": {"namespace": {"resource": "namespace"}, "pod": {"resource": "pod"}}},
    "name": {"matches": "^e2e_(.*)$", "as": "$1"},
    "metricsQuery": "sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)",
}
_QUEUES_RULE = {
    "seriesQuery": 'e2e_queue_depth{namespace!=""}',
    "resources": {"overrides": {"namespace": {"resource": "namespace"}}},
    "name": {"matches": "^e2e_(.*)$", "as": "$1"},
    "metricsQuery": "sum(<<.Series>>{<<.LabelMatchers>>}) by (queue)",
}


class Signer:
    """An authority that also signs what is not as it should be."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.pem = self._sign(self._name, self._key, (), _now() - _DAY, _now() + 900 * _DAY, is_authority=True)

    def pair(self, *names: str, ends: dt.timedelta = 365 * _DAY) -> dict[str, str]:
        """Return the data of a Secret with a serving certificate that ends so long from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "serving")])
        certificate = self._sign(subject, key, names, _now() - 30 * _DAY, _now() + ends, is_authority=False)
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return {"tls.crt": certificate.decode(), "tls.key": key.private_bytes(*form).decode()}

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        names: Sequence[str],
        begins: dt.datetime,
        ends: dt.datetime,
        *,
        is_authority: bool,
    ) -> bytes:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(map(x509.DNSName, names)), critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the doctor said: its exit code and its document."""

    code: int
    document: Document
    text: str

    def codes(self, *severities: str) -> set[str]:
        """Return the codes of findings of these severities."""
        return {one["code"] for one in self.document["findings"] if one["severity"] in severities}

    @property
    def results(self) -> dict[str, str]:
        """Return the result of each check."""
        return {one["name"]: one["result"] for one in self.document["checks"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """An installation, as its manifests are when it is well."""

    site: Site
    manifests: tuple[Document, ...]
    signer: Signer

    def copy(self) -> dict[tuple[str, str], Document]:
        """Return the manifests by kind and name, to be changed."""
        return {(one["kind"], one["metadata"]["name"]): copy.deepcopy(one) for one in self.manifests}

    def become(self, wanted: dict[tuple[str, str], Document]) -> None:
        """Let the cluster have these manifests, and none of the others."""
        gone = [one for one in self.manifests if (one["kind"], one["metadata"]["name"]) not in wanted]
        if gone:
            self.site.delete(yaml.safe_dump_all(gone))
        self.site.apply(yaml.safe_dump_all(wanted.values()))

    def ask(self, *options: str, kubeconfig: Path | None = None) -> Seen:
        """Run the doctor."""
        environment = {"KUBECONFIG": str(kubeconfig)} if kubeconfig else {}
        done = self.site.shell(
            f"tidegauge doctor --format json {' '.join(options)} || echo $? >&2", environment=environment
        )
        assert done.stdout, done.stderr
        return Seen(code=int(done.stderr.strip() or 0), document=json.loads(done.stdout), text=done.stdout)

    def wait_until_well(self) -> None:
        """Wait until the doctor finds nothing."""

        def probe() -> bool:
            seen = self.ask()
            if seen.code or set(seen.results.values()) != {"ok"}:
                raise RuntimeError(seen.text[-3000:])
            return True

        wait_until("the installation to be well", probe, timeout_seconds=_SECONDS, interval_seconds=0.5)


@pytest.fixture(scope="module")
def patient(site: Site, programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Patient]:
    """The chart with a given certificate, two rules, and their series."""
    signer = Signer("e2e-doctor-ca")
    pair = signer.pair(HOST)
    values = {
        "fullnameOverride": NAME,
        "prometheus": {"url": "http://prometheus.monitoring.svc", "port": 9090},
        "rules": {"default": False, "custom": [_PODS_RULE], "external": [_QUEUES_RULE]},
        "tls": {"enable": True, "ca": signer.pem.decode(), "key": pair["tls.key"], "certificate": pair["tls.crt"]},
        "readinessProbe": {"httpGet": {"path": "/readyz"}, "initialDelaySeconds": 0},
        "extraArguments": ["--metrics-relist-interval=5s"],
    }
    folder = tmp_path_factory.mktemp("doctor")
    path = folder / "values.yaml"
    path.write_text(yaml.safe_dump(values))
    helm = Helm(program=programs.helm, home=folder / "helm")
    manifests = tuple(helm.template(path, release=NAME, namespace=SPACE))
    labels = '{namespace="shop",pod="web-1"}'
    site.cluster.create_namespace(SPACE)
    site.series.set({f"e2e_load{labels}": 3, 'e2e_queue_depth{namespace="shop",queue="a"}': 4})
    patient = Patient(site=site, manifests=manifests, signer=signer)
    patient.become(patient.copy())
    patient.wait_until_well()
    yield patient
    site.delete(yaml.safe_dump_all(manifests))
    site.series.clear()
    site.cluster.delete_namespace(SPACE)


Manifests = dict[tuple[str, str], Document]
Harm = Callable[[Patient, Manifests], AbstractContextManager[None] | None]


def _container(manifests: Manifests) -> Document:
    found: Document = manifests["Deployment", NAME]["spec"]["template"]["spec"]["containers"][0]
    return found


def _flag(manifests: Manifests, *flags: str) -> None:
    names = tuple(flag.partition("=")[0] for flag in flags)
    container = _container(manifests)
    kept = [word for word in container["args"] if not word.startswith(names)]
    container["args"] = [*kept, *flags]


def _api_services(manifests: Manifests) -> list[Document]:
    return [one for (kind, _), one in manifests.items() if kind == "APIService"]


def _other_authority(_patient: Patient, manifests: Manifests) -> None:
    bundle = base64.b64encode(Signer("e2e-somebody").pem).decode()
    for one in _api_services(manifests):
        one["spec"]["caBundle"] = bundle


def _serving(*names: str, ends: dt.timedelta = 365 * _DAY) -> Harm:
    def harm(patient: Patient, manifests: Manifests) -> None:
        secret = manifests["Secret", NAME]
        pair = patient.signer.pair(*names, ends=ends)
        encoded = {key: base64.b64encode(text.encode()).decode() for key, text in pair.items()}
        secret.pop("stringData", None)
        secret["data"] = {**secret.get("data", {}), **encoded}

    return harm


def _selector(_patient: Patient, manifests: Manifests) -> None:
    manifests["Service", NAME]["spec"]["selector"] = {"app": "somebody"}


def _no_replica(_patient: Patient, manifests: Manifests) -> None:
    manifests["Deployment", NAME]["spec"]["replicas"] = 0


def _port(_patient: Patient, manifests: Manifests) -> None:
    for one in _api_services(manifests):
        one["spec"]["service"]["port"] = 8443


def _target_port(_patient: Patient, manifests: Manifests) -> None:
    for one in manifests["Service", NAME]["spec"]["ports"]:
        one["targetPort"] = 9443


@contextlib.contextmanager
def _keda(patient: Patient, manifests: Manifests) -> Iterator[None]:
    meta = {"name": "keda-operator-metrics-apiserver", "namespace": "keda"}
    labels = {"app": meta["name"]}
    image = "ghcr.io/kedacore/keda-metrics-apiserver:2.17.0"
    spec = {"containers": [{"name": "main", "image": image}]}
    template = {"metadata": {"labels": labels}, "spec": spec}
    deployment = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    theirs = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "keda"}},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta,
            "spec": {"selector": labels, "ports": [{"port": 443}]},
        },
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": deployment},
    ]
    manifests["APIService", EXTERNAL]["spec"]["service"] = {**meta, "port": 443}
    patient.site.apply(yaml.safe_dump_all(theirs))
    yield
    patient.site.delete(yaml.safe_dump_all(theirs))


def _without(kind: str, *names: str) -> Harm:
    def harm(_patient: Patient, manifests: Manifests) -> None:
        for name in names:
            del manifests[kind, name]

    return harm


@contextlib.contextmanager
def _no_rights_of_the_autoscaler(patient: Patient, manifests: Manifests) -> Iterator[None]:
    for name in (f"{NAME}-hpa-controller", f"{NAME}-hpa-controller-external-metrics"):
        del manifests["ClusterRoleBinding", name]
    kubectl = patient.site.cluster.plane.kubectl
    binding = json.loads(kubectl("get", "clusterrolebinding", HPA_ROLE, "-o", "json"))
    kubectl("delete", "clusterrolebinding", HPA_ROLE)
    yield
    kept = {key: binding["metadata"][key] for key in ("name", "labels", "annotations") if key in binding["metadata"]}
    patient.site.apply(yaml.safe_dump({**binding, "metadata": kept}))


def _small_role(_patient: Patient, manifests: Manifests) -> None:
    _take_away(manifests, "pods")


def _no_authentication_reader(_patient: Patient, manifests: Manifests) -> None:
    del manifests["RoleBinding", f"{NAME}-auth-reader"]
    _take_away(manifests, "configmaps")  # which prometheus-adapter's chart lets it read everywhere


def _take_away(manifests: Manifests, resource: str) -> None:
    for rule in manifests["ClusterRole", f"{NAME}-resource-reader"]["rules"]:
        rule["resources"] = [one for one in rule["resources"] if one != resource]


@contextlib.contextmanager
def _prometheus_down(patient: Patient, _manifests: Manifests) -> Iterator[None]:
    patient.site.prometheus.kill()
    yield
    patient.site.prometheus.start()
    patient.site.prometheus.wait_for("e2e_queue_depth")


class _Refusing(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(403)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"no")

    def log_message(self, *_: object) -> None:
        """Say nothing: a line per request helps nobody."""


@contextlib.contextmanager
def _prometheus_says_no(patient: Patient, manifests: Manifests) -> Iterator[None]:
    address = patient.site.cluster.plane.address
    with ThreadingHTTPServer((address, 0), _Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        _flag(manifests, f"--prometheus-url=http://{address}:{server.server_address[1]}")
        yield
        server.shutdown()


def _front_proxy_of_another_name(patient: Patient, manifests: Manifests) -> None:
    trust = patient.site.cluster.get("ConfigMap", "extension-apiserver-authentication", "kube-system") or {}
    pem = trust["data"]["requestheader-client-ca-file"]
    meta = {"name": "front-proxy", "namespace": SPACE}
    manifests["ConfigMap", "front-proxy"] = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": meta,
        "data": {"ca.crt": pem},
    }
    spec = manifests["Deployment", NAME]["spec"]["template"]["spec"]
    spec["volumes"].append({"name": "front-proxy", "configMap": {"name": "front-proxy"}})
    _container(manifests)["volumeMounts"].append({"name": "front-proxy", "mountPath": "/front-proxy"})
    _flag(
        manifests,
        "--requestheader-client-ca-file=/front-proxy/ca.crt",
        "--requestheader-allowed-names=somebody-else",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
    )


def _rules(*rules: Any) -> Harm:
    def harm(_patient: Patient, manifests: Manifests) -> None:
        text = yaml.safe_dump({"rules": [_PODS_RULE, *rules], "externalRules": [_QUEUES_RULE]})
        manifests["ConfigMap", NAME]["data"]["config.yaml"] = text

    return harm


def _of_widgets() -> Document:
    overrides = {"namespace": {"resource": "namespace"}, "widget": {"group": "absent.example", "resource": "widget"}}
    return {**_PODS_RULE, "seriesQuery": 'e2e_load{namespace!="",widget!=""}', "resources": {"overrides": overrides}}


def _unknown_flag(_patient: Patient, manifests: Manifests) -> None:
    _flag(manifests, "--no-such-flag=1")


def _wall(_patient: Patient, manifests: Manifests) -> None:
    meta = {"name": "wall", "namespace": SPACE}
    spec = {"podSelector": {}, "policyTypes": ["Ingress"]}
    manifests["NetworkPolicy", "wall"] = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": meta,
        "spec": spec,
    }


def _proxy(_patient: Patient, manifests: Manifests) -> None:
    _container(manifests)["env"] = [{"name": "HTTPS_PROXY", "value": "http://127.0.0.1:1"}]


def _no_secret(_patient: Patient, manifests: Manifests) -> None:
    del manifests["Secret", NAME]
    manifests["Deployment", NAME]["spec"]["template"]["metadata"].setdefault("annotations", {})["again"] = "1"


@dataclass(frozen=True, slots=True)
class Case:
    """What is done, the code that says so, and the errors that follow from it; any of them may not be there yet."""

    harm: Harm
    code: str
    follow: frozenset[str] = field(default_factory=frozenset)


def _case(harm: Harm, code: str, *follow: str) -> Case:
    return Case(harm, code, frozenset(follow))


AWAY: Final = "apiservice/not-available"
CASES: dict[str, Case] = {
    "wrong CA bundle": _case(_other_authority, "certificate/untrusted", AWAY),
    "SAN missing": _case(_serving("somebody.svc"), "certificate/name", AWAY),
    "expired certificate": _case(_serving(HOST, ends=-_DAY), "certificate/expired", AWAY),
    "Service without endpoints": _case(_selector, "service/selector", "endpoints/none", AWAY),
    "no replica": _case(_no_replica, "pod/none", "endpoints/none", AWAY),
    "wrong port of the APIService": _case(_port, "service/port", AWAY),
    "wrong port of the Service": _case(_target_port, "service/target-port", AWAY),
    "APIService of another": _case(_keda, "apiservice/other-owner"),
    "no APIService": _case(_without("APIService", EXTERNAL), "apiservice/missing"),
    "no auth-delegator": _case(_without("ClusterRoleBinding", f"{NAME}-system-auth-delegator"), "account/auth-delegator"),
    "no authentication reader": _case(_no_authentication_reader, "account/authentication-reader"),
    "autoscaler without rights": _case(_no_rights_of_the_autoscaler, "hpa/may-not-read"),
    "role too small": _case(_small_role, "account/may-not-list"),
    "Prometheus down": _case(_prometheus_down, "prometheus/unreachable", "adapter/series-queries"),
    "Prometheus 403": _case(_prometheus_says_no, "prometheus/unauthorized", "adapter/series-queries"),
    "front proxy's name": _case(_front_proxy_of_another_name, "front-proxy/refused", "front-proxy/flags", AWAY),
    "absent kind": _case(_rules(_of_widgets()), "rules/absent-kind"),
    "bad rules": _case(_rules({**_PODS_RULE, "metricsQuery": "sum(<<.Series"}), "rules/problem", "adapter/rules-not-in-force"),
    "unknown flag": _case(_unknown_flag, "pod/crashing", "deployment/flags"),
    "wall": _case(_wall, "network-policy/ingress"),
    "proxy in between": _case(_proxy, "proxy/kube-apiserver", "pod/crashing", "pod/not-ready"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_is_broken_is_found(name: str, patient: Patient) -> None:
    """Each way to break an installation is found by its code, and other errors are only those that follow from it."""
    case = CASES[name]
    manifests = patient.copy()
    with contextlib.ExitStack() as stack:
        harm = case.harm(patient, manifests)
        if harm is not None:
            stack.enter_context(harm)
        patient.become(manifests)
        stack.callback(lambda: patient.become(patient.copy()))
        stack.callback(lambda: patient.site.delete(yaml.safe_dump_all(_added(patient, manifests))))

        def found() -> Seen | None:
            seen = patient.ask()
            return seen if case.code in seen.codes("error", "warning") else None

        seen = wait_until(f"{case.code} to be found", found, timeout_seconds=_SECONDS, interval_seconds=0.5)

    assert seen.code == 1
    assert seen.codes("error") - {case.code} <= case.follow, seen.text
    patient.wait_until_well()


def _added(patient: Patient, manifests: Manifests) -> list[Document]:
    known = patient.copy()
    return [one for key, one in manifests.items() if key not in known]


def test_a_healthy_installation_has_no_finding(patient: Patient) -> None:
    """Everything was looked at, and nothing is wrong; not even a note."""
    patient.wait_until_well()

    seen = patient.ask()

    assert seen.document["findings"] == []
    assert seen.document["summary"] == {"errors": 0, "warnings": 0, "notes": 0, "skipped": 0}


def test_who_may_see_nothing_is_told_so(patient: Patient) -> None:
    """With an account that may do nothing each check is left out with its reason, and no fault is made up."""
    site = patient.site
    site.apply(
        yaml.safe_dump(
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "nobody", "namespace": SPACE}}
        )
    )
    token = site.cluster.token("nobody", SPACE)
    kubeconfig = site.cluster.plane.kubeconfig_for("nobody", token_user(token))

    seen = patient.ask("--namespace", SPACE, "--service", NAME, kubeconfig=kubeconfig)

    assert seen.code == 0
    assert set(seen.results.values()) == {"skipped"}
    assert "you may not get apiservices.apiregistration.k8s.io" in seen.text
