"""What can be wrong with an installation, code by code; docs/doctor.md has a chapter for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from adapter.config.problems import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorCode:
    """What all findings of a code share; a symptom has its cause elsewhere."""

    severity: Severity
    cause: str
    cure: str
    symptom: bool = False


def _error(cause: str, cure: str) -> DoctorCode:
    return DoctorCode(severity=Severity.ERROR, cause=cause, cure=cure)


def _warning(cause: str, cure: str) -> DoctorCode:
    return DoctorCode(severity=Severity.WARNING, cause=cause, cure=cure)


def _note(cause: str, cure: str) -> DoctorCode:
    return DoctorCode(severity=Severity.INFO, cause=cause, cure=cure)


def _symptom(cause: str, cure: str, severity: Severity = Severity.ERROR) -> DoctorCode:
    return DoctorCode(severity=severity, cause=cause, cure=cure, symptom=True)


CODES: Final[Mapping[str, DoctorCode]] = {
    # ---- who is installed
    "adapter/not-found": _error(
        "No APIService of the metrics APIs leads to this adapter, and no Deployment looks like it.",
        "install it (docs/install.md), or name its Service with --namespace and --service",
    ),
    "adapter/not-ready": _symptom(
        "A replica says itself that it is not ready; kube-apiserver sends no requests there.",
        "look at the log of the pod",
    ),
    "adapter/rules-not-in-force": _error(
        "The rules files as they are now have an error, so the adapter goes on with the ones before.",
        "correct the rules; `tidegauge check` shows each problem with its line",
    ),
    "adapter/series-queries": _error(
        "Prometheus does not answer what the rules ask: no answer, no permission, or a query that it refuses.",
        "look at the log of the pod, which has Prometheus' own words",
    ),
    # ---- APIServices
    "apiservice/missing": _error(
        "The rules feed this API, and without an APIService kube-apiserver does not know whom to ask.",
        "create the APIService (docs/aggregation.md)",
    ),
    "apiservice/other-owner": _error(
        "An API has one owner in a cluster: requests go to the other program, which does not know these metrics.",
        "decide which program serves this API, and delete the other one's APIService",
    ),
    "apiservice/others": _note(
        "Another program serves this API, and no rule here feeds it.",
        "nothing, as long as that is what you want",
    ),
    "apiservice/no-rules": _error(
        "The adapter serves an API only if a rule feeds it. While an APIService fails, no namespace can be deleted.",
        "delete the APIService, or write rules for this API",
    ),
    "apiservice/not-available": _symptom(
        "kube-apiserver cannot use what stands behind the APIService; its own words say where it got stuck.",
        "cure the other findings first",
    ),
    "apiservice/insecure": _note(
        "kube-apiserver does not verify who answers: whoever can take the Service's place can give it any number.",
        "use --self-managed-certificate or cert-manager (docs/rbac-and-tls.md)",
    ),
    # ---- the way from kube-apiserver to a pod
    "service/missing": _error(
        "The APIService names a Service that does not exist.",
        "create the Service, or correct spec.service of the APIService",
    ),
    "service/port": _error(
        "The APIService names a port that the Service does not have.",
        "write the Service's port into spec.service.port of the APIService",
    ),
    "service/target-port": _error(
        "The Service leads to a port on which the adapter does not listen.",
        "make the Service's targetPort, the container's port and --secure-port the same",
    ),
    "service/selector": _error(
        "The Service picks its pods by labels, and no pod of the adapter has them.",
        "make the Service's selector equal to labels of the pods",
    ),
    "service/external-name": _note(
        "The Service is a name outside of the cluster, so what stands behind it cannot be looked at from here.",
        "give --address HOST:PORT to have the certificate looked at",
    ),
    "endpoints/none": _symptom(
        "There is nobody behind the Service whom kube-apiserver could ask.",
        "see why the pods are not ready",
    ),
    "network-policy/ingress": _error(
        "NetworkPolicies select the adapter's pods, and none of them lets anybody in to its port.",
        "allow ingress to the port from kube-apiserver",
    ),
    "network-policy/only-pods": _warning(
        "The policies let in pods only, and kube-apiserver is none in most clusters: it comes from a node's address.",
        "allow ingress to the port without `from`, or from the addresses of the control plane",
    ),
    "network-policy/egress": _error(
        "NetworkPolicies select the adapter's pods, and none of them lets anything out: not to Prometheus either.",
        "allow egress to kube-apiserver, DNS and Prometheus",
    ),
    # ---- pods
    "pod/none": _error(
        "The Deployment wants no pod, or is not allowed to make one.",
        "look at the events of the Deployment",
    ),
    "pod/pending": _error("No node takes the pod.", "look at the events of the pod"),
    "pod/not-starting": _error(
        "The container cannot be started: its image, a volume or its configuration is not there.",
        "look at the events of the pod",
    ),
    "pod/crashing": _error(
        "The adapter ends soon after its start. Exit code 2 means that flags or files are wrong; the log has them all.",
        "look at the log of the run before",
    ),
    "pod/not-ready": _symptom(
        "The pod runs, and its readiness probe fails.",
        "look at what the probe says, and at the log",
    ),
    "deployment/flags": _error(
        "The adapter does not start with these flags.",
        "correct the arguments of the Deployment",
    ),
    # ---- certificates
    "certificate/untrusted": _error(
        "The caBundle of the APIService has not signed the certificate that the adapter serves.",
        "write the authority that signed the certificate into caBundle",
    ),
    "certificate/name": _error(
        "kube-apiserver verifies the certificate for SERVICE.NAMESPACE.svc, and it is made out to other names.",
        "make a certificate with this name among its subjectAltNames",
    ),
    "certificate/expired": _error("The certificate is past its end.", "renew it"),
    "certificate/not-yet-valid": _error(
        "The certificate counts from later on: it was made by a clock that is ahead.",
        "set the clocks right, or make it again",
    ),
    "certificate/expires-soon": _warning(
        "The certificate is near its end, and has not been renewed as it should be by now.",
        "see who renews it",
    ),
    "certificate/bundle": _error(
        "The caBundle of the APIService holds no certificate that can be read.",
        "write the authority's certificate (PEM) into caBundle",
    ),
    "certificate/no-bundle": _error(
        "Without caBundle kube-apiserver trusts the authorities of its own system only.",
        "write the authority that signed the certificate into caBundle",
    ),
    # ---- the front proxy
    "front-proxy/configmap": _error(
        "kube-apiserver publishes there how the adapter can recognise it; the adapter does not start without.",
        "run kube-apiserver with --requestheader-client-ca-file and its companions (docs/aggregation.md)",
    ),
    "front-proxy/no-authority": _error(
        "kube-apiserver runs without --requestheader-client-ca-file, so its aggregation layer is not set up.",
        "run kube-apiserver with the --requestheader-* and --proxy-client-* flags (docs/aggregation.md)",
    ),
    "front-proxy/flags": _error(
        "The adapter's --requestheader-* flags take the place of what kube-apiserver publishes, and contradict it.",
        "leave the --requestheader-* flags out",
    ),
    "front-proxy/refused": _error(
        "The adapter does not take kube-apiserver's certificate for a front proxy's: another authority signed it, or "
        "its common name is not allowed.",
        "compare the certificate of --proxy-client-cert-file with the ConfigMap",
    ),
    "front-proxy/anonymous": _error(
        "The adapter sees kube-apiserver's requests as anonymous: it knows no front proxy.",
        "leave out --authentication-skip-lookup and --authentication-tolerate-lookup-failure",
    ),
    # ---- rights
    "hpa/may-not-read": _error(
        "The autoscaler's account may not read these metrics; its HPAs get a 403 and hold.",
        "bind a ClusterRole that may read them to the account horizontal-pod-autoscaler of kube-system",
    ),
    "hpa/failing": _symptom(
        "The autoscaler does not get what this HPA asks for, be it the installation's fault or that of the HPA.",
        "`tidegauge explain` shows why a metric is answered as it is",
        Severity.WARNING,
    ),
    "account/missing": _error(
        "The pods are to run as a ServiceAccount that does not exist, so none is made.",
        "create the ServiceAccount",
    ),
    "account/no-token": _error(
        "The pods get no token of their account, and cannot log in at kube-apiserver.",
        "set automountServiceAccountToken: true in the pod's template",
    ),
    "account/auth-delegator": _error(
        "The adapter has kube-apiserver check its callers' tokens and rights, and may not: callers get errors.",
        "bind the ClusterRole system:auth-delegator to the account",
    ),
    "account/authentication-reader": _error(
        "The adapter may not read how kube-apiserver shows itself, and does not start without that.",
        "bind the Role extension-apiserver-authentication-reader of kube-system to the account",
    ),
    "account/may-not-list": _error(
        "HPAs pick objects by labels, and the adapter may not look at the labels of this kind.",
        "grant list and watch of the kind in all namespaces",
    ),
    "account/may-not-watch": _warning(
        "Without watch each request with a selector costs kube-apiserver a LIST.",
        "grant watch of the kind in all namespaces",
    ),
    "account/self-managed": _error(
        "The adapter may not keep the certificate that it is to make for itself.",
        'grant the rules of docs/operations.md, "A serving certificate of its own"',
    ),
    # ---- rules
    "rules/missing": _error(
        "No volume gives the file that --config names.",
        "mount the ConfigMap with the rules there",
    ),
    "rules/none": _error("Without a rule no API is served.", "write rules (docs/rules.md)"),
    "rules/problem": _error(
        "The adapter does not start with rules that have an error, and does not take them over while it runs.",
        "correct the rules",
    ),
    "rules/absent-kind": _warning(
        "The cluster has no such kind, so nothing of it can be asked for.",
        "correct the name, with its group, or install the CustomResourceDefinition",
    ),
    "rules/no-metrics": _warning(
        "No series in Prometheus match the rules of this API, so it lists no metric at all.",
        "see which series there are: `tidegauge check --prometheus-url URL RULES`",
    ),
    # ---- Prometheus
    "prometheus/unreachable": _error(
        "Prometheus gives no answer at this address.",
        "correct --prometheus-url, or look after Prometheus",
    ),
    "prometheus/unauthorized": _error(
        "Prometheus, or what stands before it, wants a login that the adapter does not have.",
        "give --prometheus-token-file, --prometheus-header or a client certificate",
    ),
    "prometheus/not-prometheus": _error(
        "What answers at this address does not answer as Prometheus' HTTP API does.",
        "correct --prometheus-url; it may need a path, such as /prometheus",
    ),
    "prometheus/no-series": _error(
        "Prometheus answers and has no series at all: it has just started, scrapes nothing, or is another one.",
        "look at its targets",
    ),
    "prometheus/partial": _warning(
        "Prometheus says that data is missing from its answers; the adapter refuses such answers by default.",
        "look at the servers behind it",
    ),
    # ---- proxies
    "proxy/kube-apiserver": _error(
        "The variables of the container send what is for kube-apiserver to a proxy outside.",
        "add the range of the cluster's Services to NO_PROXY",
    ),
    "proxy/prometheus": _error(
        "The variables of the container send what is for Prometheus to a proxy, although it is inside the cluster.",
        "add .svc and .cluster.local, or the address, to NO_PROXY",
    ),
}
