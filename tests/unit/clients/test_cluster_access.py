"""How the adapter finds its cluster and logs in there, also while files change."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cluster_login import Cluster, ask, at
from rig.certificates import Authority

from adapter.clients.kubernetes import ClusterOptions
from adapter.clients.kubernetes.access import read_access
from adapter.clients.kubernetes.proxies import proxy_of
from adapter.config.problems import ConfigError
from adapter.errors import KubernetesUnavailable

pytestmark = pytest.mark.anyio

AUTHORITY = Authority("cluster")
CLIENT = AUTHORITY.issue("client")
IN_CLUSTER = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}


def text_of(content: bytes) -> str:
    """Return data as a kubeconfig holds it."""
    return base64.b64encode(content).decode()


def account(folder: Path) -> Path:
    """Write a service account."""
    (folder / "token").write_text("one\n")
    (folder / "ca.crt").write_bytes(AUTHORITY.pem)
    return folder


async def test_a_pod_logs_in_with_its_token_as_it_is_now(tmp_path: Path) -> None:
    """A token that is rotated is used from the next call on."""
    folder = account(tmp_path)
    cluster = Cluster(ClusterOptions(service_account_directory=str(folder), environment=IN_CLUSTER))
    client = cluster.open()

    await ask(client)
    (folder / "token").write_text("another-one")
    await ask(client)

    assert cluster.header("authorization") == ["Bearer one", "Bearer another-one"]
    assert str(cluster.requests[0].url) == "https://10.0.0.1/api/v1/pods"


async def test_an_address_of_version_six_is_in_brackets(tmp_path: Path) -> None:
    """A cluster of IPv6 alone is reached."""
    options = ClusterOptions(
        service_account_directory=str(account(tmp_path)),
        environment={"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"},
    )

    assert read_access(options).server == "https://[fd00::1]:6443"


async def test_a_rotation_under_way_keeps_the_last_good_token(tmp_path: Path) -> None:
    """A file that is empty for a moment makes no call fail."""
    folder = account(tmp_path)
    cluster = Cluster(ClusterOptions(service_account_directory=str(folder), environment=IN_CLUSTER))
    client = cluster.open()

    (folder / "token").write_text("")
    await ask(client)
    (folder / "token").unlink()
    await ask(client)

    assert cluster.header("authorization") == ["Bearer one", "Bearer one"]


async def test_a_token_that_is_not_accepted_is_read_again(tmp_path: Path) -> None:
    """A 401 is tried once more when the file has another token by now, even one with the same time and size."""
    folder = account(tmp_path)
    cluster = Cluster(ClusterOptions(service_account_directory=str(folder), environment=IN_CLUSTER))
    client = cluster.open()
    stat = (folder / "token").stat()
    with (folder / "token").open("r+") as stream:
        stream.write("two")
    os.utime(folder / "token", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    cluster.answer = lambda request: httpx2.Response(200 if "two" in request.headers["authorization"] else 401, json={})

    await ask(client)

    assert cluster.header("authorization") == ["Bearer one", "Bearer two"]


async def test_a_token_that_stays_the_same_is_tried_once(tmp_path: Path) -> None:
    """A 401 that nothing can be done about is an error after one call."""
    cluster = at(tmp_path, user={"token": "mine"})
    cluster.answer = lambda _request: httpx2.Response(401, json={})

    with pytest.raises(KubernetesUnavailable, match="does not accept"):
        await ask(cluster.open())
    assert len(cluster.requests) == 1


LOGINS: list[tuple[dict[str, Any], str | None]] = [
    ({}, None),
    ({"token": "mine"}, "Bearer mine"),
    ({"token": "old", "tokenFile": "secret"}, "Bearer from-file"),
    ({"username": "me", "password": "it"}, f"Basic {base64.b64encode(b'me:it').decode()}"),
    ({"username": "me", "password": "it", "token": "mine"}, "Bearer mine"),
]


@pytest.mark.parametrize(("user", "expected"), LOGINS)
async def test_a_kubeconfig_says_how_to_log_in(tmp_path: Path, user: dict[str, Any], expected: str | None) -> None:
    """The order is client-go's: a token's file, a token, user and password; paths start from the kubeconfig's folder."""
    (tmp_path / "secret").write_text("from-file")
    cluster = at(tmp_path, user=user)

    await ask(cluster.open())

    assert cluster.header("authorization") == [expected]


async def test_impersonation_is_sent_as_headers(tmp_path: Path) -> None:
    """Who a kubeconfig says to act as is who the adapter is for kube-apiserver."""
    user = {
        "token": "mine",
        "as": "jane",
        "as-uid": "7",
        "as-groups": ["dev", "ops"],
        "as-user-extra": {"example.com/scope": ["a", "b"]},
    }
    cluster = at(tmp_path, user=user)

    await ask(cluster.open())

    sent = [
        (name, value) for name, value in cluster.requests[0].headers.multi_items() if name.startswith("impersonate")
    ]
    assert sent == [
        ("impersonate-user", "jane"),
        ("impersonate-uid", "7"),
        ("impersonate-group", "dev"),
        ("impersonate-group", "ops"),
        ("impersonate-extra-example.com%2fscope", "a"),
        ("impersonate-extra-example.com%2fscope", "b"),
    ]


async def test_a_server_name_is_asked_for_and_checked(tmp_path: Path) -> None:
    """tls-server-name goes into the handshake of every call."""
    cluster = at(tmp_path, cluster={"tls-server-name": "kubernetes.default"})

    await ask(cluster.open())

    assert cluster.requests[0].extensions["sni_hostname"] == "kubernetes.default"


async def test_a_client_certificate_is_followed(tmp_path: Path) -> None:
    """A renewed certificate gives a new TLS context, and half a renewal none."""
    (tmp_path / "c.pem").write_bytes(CLIENT.certificate)
    (tmp_path / "c.key").write_bytes(CLIENT.key)
    user = {"client-certificate": "c.pem", "client-key": "c.key"}
    cluster = at(tmp_path, user=user, cluster={"certificate-authority-data": text_of(AUTHORITY.pem)})
    credentials = cluster.open()._credentials
    other = AUTHORITY.issue("other client, with another name")

    first = await credentials.now()
    (tmp_path / "c.pem").write_bytes(other.certificate)
    half = await credentials.now()
    (tmp_path / "c.key").write_bytes(other.key)
    renewed = await credentials.now()

    assert (half.context is first.context, renewed.context is first.context) == (True, False)
    assert (await credentials.now()).context is renewed.context


REFUSED: list[tuple[Mapping[str, Any], Mapping[str, Any], str]] = [
    ({}, {"auth-provider": {"name": "gcp"}}, "auth-provider is not supported"),
    ({}, {"as-groups": ["a"]}, "need `as`"),
    ({}, {"as": "jane", "as-groups": "dev"}, "as-groups is no list of texts"),
    ({}, {"as": "jane", "as-user-extra": ["a"]}, "as-user-extra is no mapping"),
    ({}, {"as": 5}, "as is no text"),
    ({}, {"client-certificate-data": text_of(CLIENT.certificate)}, "together or not at all"),
    ({}, {"client-certificate": "no", "client-key": "no"}, "no such file"),
    ({}, {"client-key-data": "%", "client-certificate-data": "%"}, "is not base64"),
    ({}, {"token": 5}, "Expected `str"),
    ({}, {"token": "se cret"}, "spaces or other characters"),
    ({}, {"tokenFile": "no"}, "no such file"),
    ({}, {"exec": {"apiVersion": "client.authentication.k8s.io/v1"}}, "command"),
    ({}, {"exec": {"command": "x", "apiVersion": "v1"}}, "apiVersion v1"),
    (
        {},
        {"exec": {"command": "x", "apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Always"}},
        "no terminal",
    ),
    ({"server": "ftp://kube"}, {}, "not an http or https address"),
    ({"server": "https://me:secret@kube"}, {}, "holds a user"),
    ({"proxy-url": "socks5://kube"}, {}, "proxy-url is not an http"),
    ({"insecure-skip-tls-verify": True, "certificate-authority": "x"}, {}, "either insecure"),
    ({"certificate-authority-data": text_of(b"nothing")}, {}, "no certificate to trust"),
    ({"certificate-authority": "no"}, {}, "no such file"),
]


@pytest.mark.parametrize(("cluster", "user", "text"), REFUSED)
def test_what_cannot_be_used_ends_the_start(
    tmp_path: Path, cluster: Mapping[str, Any], user: Mapping[str, Any], text: str
) -> None:
    """A kubeconfig that asks for what cannot be done is never half obeyed, and its secrets are not printed."""
    with pytest.raises(ConfigError) as caught:
        at(tmp_path, cluster=cluster, user=user).open()

    (problem,) = caught.value.problems
    assert text in problem.message
    assert problem.code == "serve/cluster"
    assert "cret" not in problem.message


BROKEN = [
    "",
    "[]",
    "a: b",
    "current-context: x",
    "{current-context: x, contexts: [], clusters: [], users: []}",
    "a: [secret",
    "clusters: 5",
]


@pytest.mark.parametrize("text", BROKEN)
def test_what_is_no_kubeconfig_ends_the_start(tmp_path: Path, text: str) -> None:
    """Whatever is in the file, there is a message and no traceback."""
    path = tmp_path / "config"
    path.write_text(text)

    with pytest.raises(ConfigError) as caught:
        Cluster(ClusterOptions(kubeconfig=str(path), environment={})).open()
    assert "secret" not in caught.value.problems[0].message


def test_outside_of_a_cluster_a_kubeconfig_is_needed(tmp_path: Path) -> None:
    """Without the variables, or without the token, the message says what to give."""
    for environment in ({}, IN_CLUSTER):
        with pytest.raises(ConfigError) as caught:
            Cluster(ClusterOptions(service_account_directory=str(tmp_path), environment=environment)).open()
        assert "--lister-kubeconfig" in (caught.value.problems[0].hint or "")


PROXIES: list[tuple[dict[str, str], str | None]] = [
    ({}, None),
    ({"HTTPS_PROXY": "http://proxy:1"}, "http://proxy:1"),
    ({"https_proxy": "proxy:1"}, "http://proxy:1"),
    ({"HTTP_PROXY": "http://proxy:1"}, None),
    ({"ALL_PROXY": "http://proxy:1"}, "http://proxy:1"),
    ({"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "10.0.0.0/8,.svc"}, None),
    ({"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "10.0.0.1"}, None),
    ({"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "10.0.0.1:443"}, None),
    ({"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "10.0.0.1:6443"}, "http://proxy:1"),
    ({"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "*"}, None),
    ({"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "192.168.0.0/16, kube"}, "http://proxy:1"),
]


@pytest.mark.parametrize(("environment", "expected"), PROXIES)
def test_the_environment_names_a_proxy(environment: dict[str, str], expected: str | None) -> None:
    """Ranges of addresses count in NO_PROXY, as for every Go program of the cluster."""
    assert proxy_of("https://10.0.0.1:443", environment) == expected


@pytest.mark.parametrize(
    ("entry", "excepted"),
    [
        ("example.com", True),
        (".example.com", True),
        ("*.example.com", True),
        ("ample.com", False),
        ("kube.example.com:443", True),
        ("fd00::/8", False),
    ],
)
def test_a_domain_excepts_its_hosts(entry: str, excepted: bool) -> None:  # noqa: FBT001 - a column of the table
    """A domain in NO_PROXY is one with all its hosts, and no other that ends alike."""
    found = proxy_of("https://kube.example.com", {"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": entry})
    assert (found is None) == excepted


def test_the_kubeconfig_may_name_the_proxy(tmp_path: Path) -> None:
    """proxy-url goes before the environment."""
    cluster = at(tmp_path, cluster={"proxy-url": "http://mine:1"}, environment={"HTTPS_PROXY": "http://proxy:1"})

    assert read_access(cluster.options).proxy == "http://mine:1"


def test_a_context_can_be_named(tmp_path: Path) -> None:
    """A person's kubeconfig has several contexts; the named one is taken, else the current one."""
    path = tmp_path / "kubeconfig"
    path.write_text(
        "current-context: a\n"
        "contexts: [{name: a, context: {cluster: a}}, {name: b, context: {cluster: b}}]\n"
        "clusters: [{name: a, cluster: {server: 'https://a'}}, {name: b, cluster: {server: 'https://b'}}]\n"
    )

    servers = [
        read_access(ClusterOptions(kubeconfig=str(path), context=context, environment={})).server
        for context in ("", "b")
    ]

    assert servers == ["https://a", "https://b"]
