"""What people and programs get to read, and the page that explains it."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from doctor_cluster import SPACE, FakeCluster, outcomes_of

import adapter
from adapter.cli.doctor import Options, kubeconfig_of
from adapter.cli.doctor_report import Report, write_json_report, write_text_report
from adapter.cli.output import Streams
from adapter.doctor.codes import CODES
from adapter.doctor.locate import Wanted

PAGE = Path(adapter.__file__).parents[1] / "docs" / "doctor.md"

BROKEN = """\
   LOOKED AT                 SEEN
✓  adapter                   Service custom-metrics/tidegauge, Deployment custom-metrics/tidegauge
✓  pods                      1 of 1 ready
✓  rules                     2 rules for custom.metrics.k8s.io, external.metrics.k8s.io
✗  rights of the adapter     system:serviceaccount:custom-metrics:tidegauge; account/auth-delegator
✓  front proxy               allowed names: front-proxy-client
✓  Service                   custom-metrics/tidegauge, port 443 to https
✓  endpoints                 1 ready
-  NetworkPolicies           not looked at: you may not list networkpolicies.networking.k8s.io in namespace custom-metrics
✓  proxies                   what is inside is excepted
✓  certificate               /serving/tls.crt, until 2026-07-31
✓  APIServices               2 of 2 Available
✓  Prometheus                http://prometheus.monitoring.svc:9090 answers, asked over kube-apiserver
✓  state of the adapter      1 of 1 asked
✓  metrics                   custom.metrics.k8s.io 1, external.metrics.k8s.io 1
✓  rights of the autoscaler  2 of 2 allowed
✓  HPAs                      1 of 1 get their metrics

account/auth-delegator: error: system:serviceaccount:custom-metrics:tidegauge may not have callers checked
    seen:  create tokenreviews.authentication.k8s.io
    cause: The adapter has kube-apiserver check its callers' tokens and rights, and may not: callers get errors.
    cure:  kubectl auth can-i create tokenreviews.authentication.k8s.io --all-namespaces --as=system:serviceaccount:custom-metrics:tidegauge
    cure:  kubectl create clusterrolebinding tidegauge-auth-delegator --clusterrole=system:auth-delegator --serviceaccount=custom-metrics:tidegauge

https://kube:6443: 16 checks; 1 of them could not be made, or not whole: 1 error
"""


@pytest.mark.anyio
async def test_people_read_what_why_and_how_to_cure_it(tmp_path: Path) -> None:
    """The text has a line for each check, and for each finding what was seen, the cause, and commands that cure it."""
    cluster = FakeCluster(denied={"create tokenreviews"})
    cluster.documents[f"/apis/networking.k8s.io/v1/namespaces/{SPACE}/networkpolicies"] = 403
    report = Report(server="https://kube:6443", outcomes=await outcomes_of(cluster, tmp_path))
    out = io.StringIO()

    write_text_report(report, Streams(out=out, err=out))

    assert out.getvalue() == BROKEN
    assert report.exit_code == 1


@pytest.mark.anyio
async def test_programs_read_the_same(tmp_path: Path) -> None:
    """The document has the checks with their results, the findings with all their parts, and the counts."""
    cluster = FakeCluster(denied={"create tokenreviews"})
    report = Report(server="https://kube:6443", outcomes=await outcomes_of(cluster, tmp_path))
    out = io.StringIO()

    write_json_report(report, Streams(out=out, err=out))
    document = json.loads(out.getvalue())

    assert list(document) == ["server", "checks", "findings", "summary"]
    assert {one["result"] for one in document["checks"]} == {"ok", "findings"}
    assert document["findings"][0]["code"] == "account/auth-delegator"
    assert list(document["findings"][0]) == ["code", "severity", "symptom", "message", "seen", "cause", "cure"]
    assert document["summary"] == {"errors": 1, "warnings": 0, "notes": 0, "skipped": 0}


@pytest.mark.anyio
async def test_a_stream_without_such_characters_gets_words(tmp_path: Path) -> None:
    """Where marks cannot be written, words stand for them."""
    report = Report(server="x", outcomes=await outcomes_of(FakeCluster(), tmp_path))
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")

    write_text_report(report, Streams(out=out, err=out))
    out.flush()

    assert raw.getvalue().splitlines()[1].startswith(b"ok  adapter")
    assert raw.getvalue().endswith(b"x: 16 checks: healthy\n")


@pytest.mark.anyio
async def test_causes_go_before_symptoms(tmp_path: Path) -> None:
    """What has its cause in another finding stands below it, and says so."""
    cluster = FakeCluster(denied={"list pods"})
    slices = f"/apis/discovery.k8s.io/v1/namespaces/{SPACE}/endpointslices"
    cluster.documents[slices] = {"items": []}
    report = Report(server="x", outcomes=await outcomes_of(cluster, tmp_path, wanted=Wanted(namespace=SPACE)))

    assert [(one.code, one.symptom) for one in report.findings] == [
        ("account/may-not-list", False),
        ("endpoints/none", True),
    ]


def test_each_code_has_a_chapter() -> None:
    """The page has a chapter for each code, with how to look, the cause and the cure that findings name."""
    text = PAGE.read_text(encoding="utf-8")
    chapters = dict(re.findall(r"^### (\S+)\n(.*?)(?=^##|\Z)", text, flags=re.MULTILINE | re.DOTALL))

    assert set(chapters) == set(CODES)
    for code, info in CODES.items():
        assert f"- Cause: {info.cause}\n- Cure: {info.cure}\n" in chapters[code], code
        assert "- Look: `" in chapters[code], code


# Files there are with their contexts, the options, KUBECONFIG, and which file is taken ("" is the pod's own cluster).
CHOICES = [
    ("given", Options(kubeconfig="x"), "a:b", "x"),
    ("the first that has its context", Options(), "{0}/gone:{0}/empty:{0}/a:{0}/b", "{0}/a"),
    ("the one with the context", Options(context="b"), "{0}/a:{0}/b", "{0}/b"),
    ("the first there is", Options(context="c"), "{0}/gone:{0}/a:{0}/b", "{0}/a"),
    ("the first, though it is not there", Options(), "{0}/gone", "{0}/gone"),
    ("the home's", Options(), "", "{0}/.kube/config"),
]


@pytest.mark.parametrize(("_name", "options", "variable", "taken"), CHOICES)
def test_which_kubeconfig(_name: str, options: Options, variable: str, taken: str, tmp_path: Path) -> None:
    """The kubeconfig is the given one, one of KUBECONFIG that has the context, or the one at home."""
    for name in ("a", "b"):
        (tmp_path / name).write_text(f"current-context: {name}\ncontexts: [{{name: {name}}}]\n")
    (tmp_path / "empty").write_text("")
    environment = {"HOME": str(tmp_path), "KUBECONFIG": variable.format(tmp_path)}

    assert kubeconfig_of(options, environment) == taken.format(tmp_path)


def test_in_a_pod_its_own_cluster_is_looked_at(tmp_path: Path) -> None:
    """Where nothing names a kubeconfig, and this is a pod, its service account is used."""
    assert kubeconfig_of(Options(), {"HOME": str(tmp_path), "KUBERNETES_SERVICE_HOST": "10.0.0.1"}) == ""
