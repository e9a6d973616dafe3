"""Who may read metrics: kube-apiserver in somebody's name, a certificate, a token; and nobody else."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from e2e.rig.front_proxy import FrontProxy
from e2e.rig.load import ask
from e2e.rig.pki import Authority, PairFiles
from e2e.rig.registration import CUSTOM, EXTERNAL, READER
from e2e.rig.stage import Stage

SPACE = "access"
_SECONDS = 30.0
PODS = f"{CUSTOM.path}/namespaces/{SPACE}/metrics/load"
QUEUE = f"{EXTERNAL.path}/namespaces/{SPACE}/queue_depth"
ROOT = {"X-Remote-User": "system:admin", "X-Remote-Group": "system:masters"}
UNAUTHORIZED = {
    "kind": "Status",
    "apiVersion": "v1",
    "metadata": {},
    "status": "Failure",
    "message": "Unauthorized",
    "reason": "Unauthorized",
    "code": 401,
}


@pytest.fixture(scope="module", autouse=True)
def world(stage: Stage) -> Iterator[None]:
    """A metric of each API, an account with rights and one without."""
    cluster = stage.cluster
    cluster.create_namespace(SPACE)
    cluster.create_account("reader", SPACE, READER)
    cluster.create_account("nobody", SPACE)
    stage.series.set({f'e2e_load{{namespace="{SPACE}"}}': 1, f'e2e_queue_depth{{namespace="{SPACE}",queue="a"}}': 1})
    for path in (PODS, QUEUE):
        stage.wait_for(path)
    yield
    stage.series.clear()
    cluster.delete_namespace(SPACE)


def _bearer(stage: Stage, account: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {stage.cluster.token(account, SPACE)}"}


@pytest.mark.parametrize("path", [PODS, QUEUE])
def test_an_account_with_rights(stage: Stage, path: str) -> None:
    """A ServiceAccount that may read is answered, through kube-apiserver and past it."""
    with (
        stage.cluster.as_account("reader", SPACE) as through,
        stage.adapter.client(headers=_bearer(stage, "reader")) as past,
    ):
        assert [ask(client, path).status for client in (through, past)] == [200, 200]


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (
            PODS,
            {
                "message": f'metrics.custom.metrics.k8s.io "load" is forbidden: User "system:serviceaccount:{SPACE}:nobody" cannot get '
                f'resource "metrics" in API group "custom.metrics.k8s.io" in the namespace "{SPACE}"',
                "details": {"name": "load", "group": "custom.metrics.k8s.io", "kind": "metrics"},
            },
        ),
        (
            QUEUE,
            {
                "message": f'queue_depth.external.metrics.k8s.io is forbidden: User "system:serviceaccount:{SPACE}:nobody" cannot list '
                f'resource "queue_depth" in API group "external.metrics.k8s.io" in the namespace "{SPACE}"',
                "details": {"group": "external.metrics.k8s.io", "kind": "queue_depth"},
            },
        ),
    ],
)
def test_an_account_without_rights(stage: Stage, path: str, wanted: dict[str, object]) -> None:
    """A ServiceAccount that may not read gets the same 403 from the adapter as from kube-apiserver."""
    document = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "reason": "Forbidden",
        "code": 403,
    }
    with (
        stage.cluster.as_account("nobody", SPACE) as through,
        stage.adapter.client(headers=_bearer(stage, "nobody")) as past,
    ):
        answers = [ask(client, path) for client in (through, past)]

    assert [one.status for one in answers] == [403, 403]
    assert [json.loads(one.text) for one in answers] == [{**document, **wanted}] * 2


def _pair(folder: Path, authority: Authority, user: str, *groups: str) -> PairFiles:
    files = PairFiles(certificate=folder / "client.crt", key=folder / "client.key")
    files.write(authority.client(user, *groups))
    return files


def test_forged_headers_without_a_certificate(stage: Stage) -> None:
    """Who says that he is an administrator, and shows no certificate, is anonymous."""
    with stage.adapter.client(headers=ROOT) as client:
        answered = ask(client, PODS)

    assert answered.status == 403
    assert 'User \\"system:anonymous\\" cannot get' in answered.text


def test_forged_headers_with_a_user_s_certificate(stage: Stage, tmp_path: Path) -> None:
    """A user's certificate says who he is, and his headers do not."""
    pair = _pair(tmp_path, stage.cluster.plane.authority, "alice", "developers")
    with stage.adapter.client(pair=pair, headers=ROOT) as client:
        answered = ask(client, PODS)

    assert answered.status == 403
    assert 'User \\"alice\\" cannot get' in answered.text


def test_forged_headers_through_kube_apiserver(stage: Stage) -> None:
    """Headers that a caller sends to kube-apiserver do not reach us as his name."""
    headers = {**_bearer(stage, "nobody"), **ROOT}
    with stage.cluster.plane.client(headers=headers) as client:
        assert ask(client, PODS).status == 403


def test_an_administrator_s_certificate(stage: Stage, tmp_path: Path) -> None:
    """A certificate of the cluster's authority with the group system:masters may do everything."""
    pair = _pair(tmp_path, stage.cluster.plane.authority, "root", "system:masters")
    with stage.adapter.client(pair=pair) as client:
        assert ask(client, PODS).status == 200


def test_a_front_proxy_of_another_name(stage: Stage, tmp_path: Path) -> None:
    """A certificate of the front proxy's authority whose name is not allowed gets nowhere."""
    pair = _pair(tmp_path, stage.cluster.plane.front_proxy.authority, "somebody-else")
    with stage.adapter.client(pair=pair, headers=ROOT) as client:
        answered = ask(client, PODS)

    assert (answered.status, json.loads(answered.text)) == (401, UNAUTHORIZED)


def test_the_front_proxy_without_a_user(stage: Stage) -> None:
    """The front proxy itself is nobody."""
    with stage.adapter.client(pair=stage.cluster.plane.front_proxy.files) as client:
        assert ask(client, PODS).status == 401


def test_the_front_proxy_in_somebody_s_name(stage: Stage) -> None:
    """The front proxy speaks for whom it names, with his rights and no others."""
    codes = {}
    for account in ("reader", "nobody"):
        headers = {
            "X-Remote-User": f"system:serviceaccount:{SPACE}:{account}",
            "X-Remote-Group": "system:authenticated",
        }
        with stage.adapter.client(pair=stage.cluster.plane.front_proxy.files, headers=headers) as client:
            codes[account] = ask(client, PODS).status

    assert codes == {"reader": 200, "nobody": 403}


def test_a_stranger_s_certificate(stage: Stage, tmp_path: Path) -> None:
    """A certificate of an unknown authority gets no answer, whatever it says: the handshake fails, or the request is a 401."""
    pair = _pair(tmp_path, Authority("e2e-front-proxy-ca"), FrontProxy.USER)
    with stage.adapter.client(pair=pair, headers=ROOT) as client:
        answered = ask(client, PODS)

    assert answered.status in {0, 401}
    # With TLS 1.3 the refusal comes after the client's part of the handshake, and may be seen as a closed connection.
    assert "timeout" not in answered.text.lower()


def test_a_wrong_token(stage: Stage) -> None:
    """A token that kube-apiserver does not know is a 401, also on open paths."""
    with stage.adapter.client(headers={"Authorization": "Bearer nonsense"}) as client:
        assert [ask(client, path).status for path in (PODS, "/healthz")] == [401, 401]


def test_impersonation_is_not_obeyed(stage: Stage) -> None:
    """Headers of impersonation give nobody another name."""
    headers = {**_bearer(stage, "nobody"), "Impersonate-User": "root", "Impersonate-Group": "system:masters"}
    with stage.adapter.client(headers=headers) as client:
        assert ask(client, PODS).status == 403


def test_the_certificate_is_good_for_the_service(stage: Stage) -> None:
    """What is served can be verified with the caBundle alone, as the name that kube-apiserver asks for."""
    context = ssl.create_default_context(cadata=stage.adapter.authority.pem.decode())
    extensions = {"sni_hostname": "tidegauge.custom-metrics.svc"}
    with httpx.Client(verify=context, trust_env=False, headers=_bearer(stage, "reader")) as client:
        assert client.get(stage.adapter.url + PODS, extensions=extensions).is_success
