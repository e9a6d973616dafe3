"""From a cluster's documents to findings: each broken installation is found by its code, and a healthy one has none."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from certificate_files import BETWEEN, DAY, NOW, OTHER, authority, serving
from doctor_cluster import (
    API,
    CUSTOM,
    EXTERNAL,
    SPACE,
    FakeCluster,
    changed,
    codes_of,
    facts_of,
    hpa,
    outcomes_of,
)

from adapter.doctor.codes import CODES
from adapter.doctor.facts import Place
from adapter.doctor.gather import NotReachableError
from adapter.doctor.locate import Wanted

pytestmark = pytest.mark.anyio

NAME = "tidegauge.custom-metrics.svc"
CORE = f"/api/v1/namespaces/{SPACE}"
DEPLOYMENTS = f"/apis/apps/v1/namespaces/{SPACE}/deployments"
TEMPLATE: list[str | int] = ["items", 0, "spec", "template", "spec"]
CONTAINER: list[str | int] = [*TEMPLATE, "containers", 0]
POD: list[str | int] = ["items", 0, "status"]
POLICIES = f"/apis/networking.k8s.io/v1/namespaces/{SPACE}/networkpolicies"
PROXY = "/api/v1/namespaces/monitoring/services/prometheus:9090/proxy/api/v1"
READYZ = f"{CORE}/pods/https:tidegauge-1:6443/proxy/readyz"
HPAS = "/apis/autoscaling/v2/horizontalpodautoscalers"
TRUST = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
ARGS = [
    "--config=/etc/adapter/config.yaml",
    "--prometheus-url=http://prometheus.monitoring.svc:9090",
    "--secure-port=6443",
]

SERVING = ("--tls-cert-file=/serving/tls.crt", "--tls-private-key-file=/serving/tls.key")

Change = Callable[[FakeCluster], None]


def put(path: str, where: list[str | int], value: Any) -> Change:
    """Change one place of a document."""

    def change(cluster: FakeCluster) -> None:
        cluster.documents[path] = changed(cluster.documents[path], where, value)

    return change


def be(path: str, value: Any) -> Change:
    """Put a whole document, or a status, at a path."""
    return lambda cluster: cluster.documents.__setitem__(path, value)


def deny(*rights: str) -> Change:
    """Deny rights."""
    return lambda cluster: cluster.denied.update(rights)


def all_of(*changes: Change) -> Change:
    """Make several changes."""

    def change(cluster: FakeCluster) -> None:
        for one in changes:
            one(cluster)

    return change


def secret(pem: bytes) -> Change:
    """Let another certificate be served."""
    return put(f"{CORE}/secrets/serving", ["data", "tls.crt"], base64.b64encode(pem).decode())


def bundle(pem: bytes) -> Change:
    """Let the APIServices trust somebody else."""
    encoded = base64.b64encode(pem).decode()
    return all_of(*(put(f"{API}/{name}", ["spec", "caBundle"], encoded) for name in (CUSTOM, EXTERNAL)))


def unavailable(message: str, name: str = CUSTOM) -> Change:
    """Let kube-apiserver say why an API is not there."""
    said = {"type": "Available", "status": "False", "reason": "FailedDiscoveryCheck", "message": message}
    return put(f"{API}/{name}", ["status", "conditions", 0], said)


def args(*more: str, certificate: bool = True) -> Change:
    """Give the container flags besides those that it needs, with those of a given certificate or without."""
    return put(DEPLOYMENTS, [*CONTAINER, "args"], [*ARGS, *(SERVING if certificate else ()), *more])


def env(**variables: str) -> Change:
    """Give the container variables."""
    return put(DEPLOYMENTS, [*CONTAINER, "env"], [{"name": key, "value": value} for key, value in variables.items()])


def rules(text: str) -> Change:
    """Give the adapter other rules."""
    return put(f"{CORE}/configmaps/rules", ["data", "config.yaml"], text)


def policy(**spec: Any) -> Change:
    """Make a NetworkPolicy for all pods."""
    return be(POLICIES, {"items": [{"metadata": {"name": "wall"}, "spec": {"podSelector": {}, **spec}}]})


def waiting(reason: str, message: str = "") -> Change:
    """Let the pod's container wait."""
    return all_of(
        put(f"{CORE}/pods", [*POD, "conditions", 0, "status"], "False"),
        put(f"{CORE}/pods", [*POD, "containerStatuses", 0, "ready"], value=False),
        put(
            f"{CORE}/pods", [*POD, "containerStatuses", 0, "state"], {"waiting": {"reason": reason, "message": message}}
        ),
    )


def hpa_failing(reason: str) -> Change:
    """Let the HPA fail."""
    state = {"type": "ScalingActive", "status": "False", "reason": reason, "message": "no"}
    return be(HPAS, {"items": [changed(hpa(), ["status", "conditions", 0], state)]})


def forbidden(resource: str) -> tuple[int, dict[str, str]]:
    """Answer as kube-apiserver's proxy does to whom it does not let through."""
    return 403, {"kind": "Status", "message": f'User "me" cannot get resource "{resource}" in API group ""'}


UNREADY_SLICE = put(
    f"/apis/discovery.k8s.io/v1/namespaces/{SPACE}/endpointslices",
    ["items", 0, "endpoints", 0, "conditions"],
    {"ready": False},
)
KEDA = {
    "items": [
        {
            "metadata": {"name": "keda-metrics", "namespace": "keda"},
            "spec": {
                "selector": {"matchLabels": {"app": "keda"}},
                "template": {
                    "metadata": {"labels": {"app": "keda"}},
                    "spec": {"containers": [{"name": "a", "image": "ghcr.io/kedacore/keda-metrics-apiserver:2"}]},
                },
            },
        }
    ]
}
OWNED_BY_KEDA = all_of(
    put(f"{API}/{EXTERNAL}", ["spec", "service"], {"namespace": "keda", "name": "keda-metrics", "port": 443}),
    be("/api/v1/namespaces/keda/services/keda-metrics", {"metadata": {"name": "keda-metrics", "namespace": "keda"}, "spec": {"selector": {"app": "keda"}}}),
    be("/apis/apps/v1/namespaces/keda/deployments", KEDA),
)  # fmt: skip

# What is changed, and the codes that come of it.
CASES: dict[str, tuple[Change, set[str]]] = {
    "healthy": (lambda _: None, set()),
    "no APIService": (be(f"{API}/{EXTERNAL}", 404), {"apiservice/missing"}),
    "older version only": (all_of(be(f"{API}/{CUSTOM}", 404), be(f"{API}/v1beta1.custom.metrics.k8s.io", {"spec": {"service": {"namespace": SPACE, "name": "tidegauge"}, "insecureSkipTLSVerify": True}, "status": {"conditions": [{"type": "Available", "status": "True"}]}})), {"apiservice/insecure"}),
    "KEDA's": (OWNED_BY_KEDA, {"apiservice/other-owner"}),
    "KEDA's, and no rule here": (all_of(OWNED_BY_KEDA, rules("rules: [{seriesQuery: 'a{namespace!=\"\"}', resources: {overrides: {namespace: {resource: namespace}}}, metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)'}]")), {"apiservice/others"}),
    "an API without rules": (rules("rules: [{seriesQuery: 'a{namespace!=\"\"}', resources: {overrides: {namespace: {resource: namespace}}}, metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)'}]"), {"apiservice/no-rules"}),
    "not available": (unavailable("failing or missing response: dial tcp: i/o timeout"), {"apiservice/not-available"}),
    "not looked at": (put(f"{API}/{CUSTOM}", ["status"], {}), {"apiservice/not-available"}),
    "no Service": (be(f"{CORE}/services/tidegauge", 404), {"service/missing"}),
    "wrong port": (put(f"{API}/{CUSTOM}", ["spec", "service", "port"], 8443), {"service/port"}),
    "target port by a name that is not": (put(f"{CORE}/services/tidegauge", ["spec", "ports", 0, "targetPort"], "web"), {"service/target-port"}),
    "target port of nobody": (put(f"{CORE}/services/tidegauge", ["spec", "ports", 0, "targetPort"], 8443), {"service/target-port"}),
    "target port by number": (put(f"{CORE}/services/tidegauge", ["spec", "ports", 0, "targetPort"], 6443), set()),
    "selector": (put(f"{CORE}/services/tidegauge", ["spec", "selector"], {"app": "x"}), {"service/selector"}),
    "a name outside": (put(f"{CORE}/services/tidegauge", ["spec", "type"], "ExternalName"), {"service/external-name"}),
    "no ready endpoint": (UNREADY_SLICE, {"endpoints/none"}),
    "no endpoint": (be(f"/apis/discovery.k8s.io/v1/namespaces/{SPACE}/endpointslices", {"items": []}), {"endpoints/none"}),
    "another bundle": (bundle(OTHER.pem), {"certificate/untrusted"}),
    "no bundle": (put(f"{API}/{CUSTOM}", ["spec", "caBundle"], ...), {"certificate/no-bundle"}),
    "nonsense for a bundle": (bundle(b"hello"), {"certificate/bundle"}),
    "both bundles": (bundle(OTHER.pem + b"\n"), {"certificate/untrusted"}),
    "expired": (secret(serving(NAME, ends=NOW - DAY).pem), {"certificate/expired"}),
    "not yet valid": (secret(serving(NAME, begins=NOW + DAY).pem), {"certificate/not-yet-valid"}),
    "ends soon": (secret(serving(NAME, ends=NOW + DAY).pem), {"certificate/expires-soon"}),
    "another name": (secret(serving("x.svc").pem), {"certificate/name"}),
    "a star": (secret(serving("*.custom-metrics.svc").pem), set()),
    "a certificate in between": (secret(serving(NAME, issuer=BETWEEN).pem + BETWEEN.pem), set()),
    "one in between that is missing": (secret(serving(NAME, issuer=BETWEEN).pem), {"certificate/untrusted"}),
    "an expired authority": (bundle(authority("serving-ca", ends=NOW - DAY).pem), {"certificate/expired", "certificate/untrusted"}),
    "kube-apiserver says expired": (all_of(args(certificate=False), unavailable('Get "https://x": x509: certificate has expired or is not yet valid: current time 2026 is after 2025')), {"apiservice/not-available", "certificate/expired"}),
    "kube-apiserver says unknown": (all_of(args(certificate=False), unavailable("tls: failed to verify certificate: x509: certificate signed by unknown authority")), {"apiservice/not-available", "certificate/untrusted"}),
    "kube-apiserver says names": (all_of(args(certificate=False), unavailable("x509: certificate is valid for a, not b")), {"apiservice/not-available", "certificate/name"}),
    "no ConfigMap": (be(TRUST, 404), {"front-proxy/configmap"}),
    "no front proxy": (put(TRUST, ["data", "requestheader-client-ca-file"], ""), {"front-proxy/no-authority"}),
    "other names allowed": (args("--requestheader-client-ca-file=/serving/ca.crt", "--requestheader-allowed-names=somebody"), {"front-proxy/flags"}),
    "names without an authority": (args("--requestheader-allowed-names=somebody"), set()),
    "turned away": (unavailable("bad status from https://10.0.0.2:443/apis: 401"), {"apiservice/not-available", "front-proxy/refused"}),
    "taken for nobody": (unavailable("bad status from https://10.0.0.2:443/apis: 403"), {"apiservice/not-available", "front-proxy/anonymous"}),
    "no delegation": (deny("create tokenreviews"), {"account/auth-delegator"}),
    "no authentication reader": (deny("watch configmaps"), {"account/authentication-reader"}),
    "no list": (deny("list pods", "watch pods"), {"account/may-not-list"}),
    "no watch": (deny("watch pods"), {"account/may-not-watch"}),
    "no metrics for the autoscaler": (deny("get pods"), {"hpa/may-not-read"}),
    "no external ones": (deny("list depth"), {"hpa/may-not-read"}),
    "no account": (be(f"{CORE}/serviceaccounts/tidegauge", 404), {"account/missing"}),
    "no token": (put(DEPLOYMENTS, [*TEMPLATE, "automountServiceAccountToken"], value=False), {"account/no-token"}),
    "self-managed": (all_of(args(f"--self-managed-certificate={SPACE}/tidegauge", certificate=False), deny("patch apiservices")), {"account/self-managed"}),
    "no pod wanted": (all_of(be(f"{CORE}/pods", {"items": []}), put(DEPLOYMENTS, ["items", 0, "spec", "replicas"], 0)), {"pod/none"}),
    "crash": (waiting("CrashLoopBackOff"), {"pod/crashing"}),
    "no image": (waiting("ImagePullBackOff", "not found"), {"pod/not-starting"}),
    "beginning": (waiting("ContainerCreating"), {"pod/not-ready"}),
    "beginning for long": (all_of(waiting("ContainerCreating"), put(f"{CORE}/pods", [*POD, "startTime"], "2026-05-31T23:00:00Z")), {"pod/not-ready"}),
    "beginning, nobody knows since when": (all_of(waiting("ContainerCreating"), put(f"{CORE}/pods", [*POD, "startTime"], "soon")), {"pod/not-ready"}),
    "no node": (all_of(waiting(""), put(f"{CORE}/pods", [*POD, "conditions", 1], {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"})), {"pod/pending"}),
    "unready": (all_of(waiting(""), be(READYZ, (500, "[-]first-relist-default failed: not yet\n[+]rules ok\n"))), {"pod/not-ready", "adapter/not-ready"}),
    "rules not in force": (be(READYZ, "[+]rules ok: the last good rules are in force; x.yaml:1\n"), {"adapter/rules-not-in-force"}),
    "series queries": (be(READYZ, "[+]series-queries-default ok: up{}: PrometheusUnavailable\n"), {"adapter/series-queries"}),
    "flags": (args("--nonsense"), {"deployment/flags"}),
    "no rules file": (be(f"{CORE}/configmaps/rules", 404), {"rules/missing", "apiservice/no-rules"}),
    "no rules": (rules("rules: []"), {"rules/none", "apiservice/no-rules"}),
    "bad rules": (rules("rules: 3"), {"rules/problem", "apiservice/no-rules"}),
    "absent kind": (rules("rules: [{seriesQuery: 'a{w!=\"\"}', resources: {overrides: {w: {resource: widget, group: x.io}}}, metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)'}]"), {"rules/absent-kind", "apiservice/no-rules"}),
    "no metric": (be("/apis/custom.metrics.k8s.io/v1beta2", {"kind": "APIResourceList", "resources": []}), {"rules/no-metrics"}),
    "no Prometheus": (be("/api/v1/namespaces/monitoring/services/prometheus", 404), {"prometheus/unreachable"}),
    "Prometheus down": (be(f"{PROXY}/query", 503), {"prometheus/unreachable"}),
    "Prometheus says no": (be(f"{PROXY}/query", (403, "no")), {"prometheus/unauthorized"}),
    "Prometheus says no, and the adapter logs in": (all_of(args("--prometheus-token-file=/t"), be(f"{PROXY}/query", (401, "no"))), set()),
    "no API of Prometheus": (be(f"{PROXY}/query", "<html>"), {"prometheus/not-prometheus"}),
    "no series": (be(f"{PROXY}/labels", {"status": "success", "data": []}), {"prometheus/no-series"}),
    "a part": (put(f"{PROXY}/labels", ["warnings"], ["store is away"]), {"prometheus/partial"}),
    "proxy for all": (env(HTTPS_PROXY="http://proxy:3128", HTTP_PROXY="http://proxy:3128"), {"proxy/kube-apiserver", "proxy/prometheus"}),
    "proxy with exceptions": (env(HTTPS_PROXY="http://proxy:3128", HTTP_PROXY="http://proxy:3128", NO_PROXY="10.0.0.0/8,.svc"), set()),
    "a wall": (policy(policyTypes=["Ingress"]), {"network-policy/ingress"}),
    "a gate elsewhere": (policy(ingress=[{"ports": [{"port": 8081}]}]), {"network-policy/ingress"}),
    "a gate for pods": (policy(ingress=[{"from": [{"podSelector": {}}]}]), {"network-policy/only-pods"}),
    "a gate by name": (policy(ingress=[{"ports": [{"port": "https"}]}]), set()),
    "a range of gates": (policy(ingress=[{"ports": [{"port": 6000, "endPort": 7000}], "from": [{"ipBlock": {}}]}]), set()),
    "no way out": (policy(policyTypes=["Egress"]), {"network-policy/egress"}),
    "an HPA fails": (hpa_failing("FailedGetPodsMetric"), {"hpa/failing"}),
    "an HPA rests": (hpa_failing("ScalingDisabled"), set()),
    "an HPA of another API": (hpa_failing("FailedGetResourceMetric"), set()),
    "no adapter": (all_of(*(be(f"{API}/{name}", 404) for name in (CUSTOM, EXTERNAL)), be("/apis/apps/v1/deployments", {"items": []})), {"adapter/not-found"}),
    "no Deployment": (be(DEPLOYMENTS, {"items": []}), {"adapter/not-found"}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
async def test_what_is_wrong_is_found(name: str, tmp_path: Path) -> None:
    """An installation that is broken in one way has the findings of that way, and no others."""
    change, expected = CASES[name]
    cluster = FakeCluster()
    change(cluster)

    wanted = {"wanted": Wanted(namespace=SPACE, service="tidegauge")} if name == "no Deployment" else {}
    outcomes = await outcomes_of(cluster, tmp_path, **wanted)

    assert codes_of(outcomes) == expected
    if not expected and "logs in" not in name:
        assert {outcome.result for outcome in outcomes.values()} == {"ok"}


@pytest.mark.parametrize(
    ("denied", "command"),
    [
        ("get pods", "kubectl get --raw '/apis/custom.metrics.k8s.io/v1beta1/namespaces/"),
        ("list depth", "kubectl get --raw '/apis/external.metrics.k8s.io/v1beta1/namespaces/"),
    ],
)
async def test_a_refusal_is_shown_by_a_command_that_can(denied: str, command: str, tmp_path: Path) -> None:
    """`kubectl auth can-i` says no to custom and external metrics whatever the roles say, so the metric is read."""
    cluster = FakeCluster()
    deny(denied)(cluster)

    outcomes = await outcomes_of(cluster, tmp_path)

    (finding,) = [one for outcome in outcomes.values() for one in outcome.findings if one.code == "hpa/may-not-read"]
    assert finding.cure[0].startswith(command)
    assert finding.cure[0].endswith("--as=system:serviceaccount:kube-system:horizontal-pod-autoscaler")


def test_every_code_is_found_somewhere() -> None:
    """The table has a case for each code."""
    assert set(CODES) == {code for _, codes in CASES.values() for code in codes}


# What the person may not do, or what has no answer, and which checks are left out then.
HIDDEN: dict[str, tuple[Change, set[str]]] = {
    "a pod that has just begun": (all_of(waiting("ContainerCreating"), put(f"{CORE}/pods", [*POD, "startTime"], "2026-06-01T00:00:00Z")), {"pods"}),
    "APIServices": (all_of(*(be(f"{API}/{name}", 403) for name in (CUSTOM, EXTERNAL))), {"APIServices", "certificate", "metrics", "Service"}),
    "Secret": (be(f"{CORE}/secrets/serving", 403), {"certificate"}),
    "ConfigMap of the rules": (be(f"{CORE}/configmaps/rules", 403), {"rules", "Prometheus", "metrics", "rights of the adapter"}),
    "ConfigMap of the front proxy": (be(TRUST, 403), {"front proxy"}),
    "Deployments": (all_of(*(be(f"/apis/apps/v1/namespaces/{SPACE}/{plural}", 403) for plural in ("deployments", "statefulsets", "daemonsets"))), {"adapter", "pods", "rules", "rights of the adapter", "NetworkPolicies", "proxies", "certificate", "Prometheus", "state of the adapter", "metrics"}),
    "pods": (be(f"{CORE}/pods", 403), {"pods", "state of the adapter"}),
    "proxy to pods": (be(READYZ, forbidden("pods/proxy")), {"state of the adapter"}),
    "access reviews": (be("/apis/authorization.k8s.io/v1/subjectaccessreviews", 403), {"rights of the adapter", "rights of the autoscaler"}),
    "HPAs": (be(HPAS, 403), {"HPAs"}),
    "policies": (be(POLICIES, 403), {"NetworkPolicies"}),
    "EndpointSlices": (be(f"/apis/discovery.k8s.io/v1/namespaces/{SPACE}/endpointslices", 403), {"endpoints"}),
    "Service": (be(f"{CORE}/services/tidegauge", 403), {"Service", "endpoints"}),
    "Prometheus in the pod": (args("--prometheus-url=http://localhost:9090"), {"Prometheus"}),
    "proxy to Services": (be(f"{PROXY}/query", forbidden("services/proxy")), {"Prometheus"}),
}  # fmt: skip


@pytest.mark.parametrize("name", HIDDEN)
async def test_what_cannot_be_looked_at_is_not_healthy(name: str, tmp_path: Path) -> None:
    """A check that could not be made is left out with a reason, and nothing is made up instead."""
    change, expected = HIDDEN[name]
    cluster = FakeCluster()
    change(cluster)

    outcomes = await outcomes_of(cluster, tmp_path, wanted=Wanted(namespace=SPACE, service="tidegauge"))

    skipped = {name for name, one in outcomes.items() if one.skipped}
    assert codes_of(outcomes) == set()
    assert skipped == expected
    assert {outcomes[name].result for name in expected} == {"skipped"}
    assert all(reason for one in outcomes.values() for reason in one.skipped)


@pytest.mark.parametrize("status", [401])
async def test_a_stranger_sees_nothing(status: int, tmp_path: Path) -> None:
    """Whom kube-apiserver does not know can look at nothing."""
    cluster = FakeCluster()
    cluster.documents["/version"] = status

    with pytest.raises(NotReachableError, match="does not accept your credentials"):
        await facts_of(cluster, tmp_path)


async def test_when_the_time_is_over_nothing_more_is_asked(tmp_path: Path) -> None:
    """What there was no time for is left out with that reason, and nothing is found."""
    times = itertools.chain([0.0, 0.0], itertools.repeat(61.0))

    outcomes = await outcomes_of(FakeCluster(), tmp_path, monotonic=lambda: next(times))

    assert codes_of(outcomes) <= {"adapter/not-found"}
    assert "ok" not in {one.result for one in outcomes.values()}
    assert "the time was over; give more with --timeout" in outcomes["HPAs"].skipped


async def test_the_adapter_is_found_where_no_api_service_leads(tmp_path: Path) -> None:
    """Where another program has taken all APIs over, the adapter is found by its Deployment."""
    cluster = FakeCluster()
    for name in (CUSTOM, EXTERNAL):
        cluster.documents[f"{API}/{name}"]["spec"]["service"] = {"namespace": "keda", "name": "keda-metrics"}
    cluster.documents[f"{CORE}/services"] = {"items": [cluster.documents[f"{CORE}/services/tidegauge"]]}

    facts = await facts_of(cluster, tmp_path)

    assert facts.target == Place(namespace=SPACE, name="tidegauge")


async def test_a_key_is_not_kept(tmp_path: Path) -> None:
    """Of a Secret only the certificate is kept."""
    facts = await facts_of(FakeCluster(), tmp_path)

    assert "/serving/tls.crt" in facts.files
    assert b"secret" not in facts.files.values()
