"""What is read of a kubeconfig, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapter.config.kubeconfig import read_kubeconfig

HOME = Path("/home/me")

FULL = """
current-context: b
contexts:
- {name: a, context: {cluster: none}}
- {name: b, context: {cluster: two, user: two}}
clusters:
- {name: one, cluster: {}}
- name: two
  cluster:
    server: https://ignored
    certificate-authority: ca.pem
    tls-server-name: prom
users:
- name: two
  user:
    client-certificate: /etc/client.pem
    client-key-data: a2V5
    client-key: not-this.key
    token: secret
    tokenFile: sub/token
    username: me
    password: it
"""


def context(cluster: str = "{}", user: str = "{}") -> str:
    """Return a kubeconfig with one context."""
    return (
        "current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n"
        f"clusters: [{{name: c, cluster: {cluster}}}]\nusers: [{{name: u, user: {user}}}]\n"
    )


def test_the_current_context_counts() -> None:
    """Paths start from the file's directory, inline data goes before a path, and all else is as written."""
    found = read_kubeconfig(FULL, directory=HOME)

    assert (found.authorities, found.certificate, found.key) == (HOME / "ca.pem", Path("/etc/client.pem"), b"key")
    assert (found.token, found.token_file) == ("secret", HOME / "sub/token")
    assert (found.username, found.password) == ("me", "it")
    assert (found.verify, found.server_name) == (True, "prom")


def test_a_context_needs_no_user() -> None:
    """A server without a login is a context without a user."""
    text = "current-context: x\ncontexts: [{name: x, context: {cluster: c}}]\nclusters: [{name: c, cluster: {}}]"

    assert read_kubeconfig(text, directory=HOME).token == ""


REFUSED = [
    ("", "the file is no mapping"),
    ("a: [", "line 1 is not YAML: expected the node content, but found '<stream end>'"),
    ("a: \0", "it is not YAML"),
    ("{}", "current-context is not set"),
    ("current-context: x", 'context "x" does not exist'),
    ("current-context: x\ncontexts: {}", 'context "x" does not exist'),
    ("current-context: x\ncontexts: [{name: x}]", 'context "x" is no mapping'),
    ("current-context: x\ncontexts: [{name: x, context: {}}]", "the current context names no cluster"),
    ("current-context: x\ncontexts: [{name: x, context: {cluster: c}}]", 'cluster "c" does not exist'),
    (context().replace("users", "others"), 'user "u" does not exist'),
    (context(user="{exec: {command: aws}}"), "key exec is not supported: give a token, a tokenFile or a client cert"),
    (context(user="{auth-provider: {name: gcp}}"), "key auth-provider is not supported"),
    (context(user="{as: admin}"), "the user's key as is not supported: remove it"),
    (context(cluster="{proxy-url: 'http://p'}"), "the cluster's key proxy-url is not supported: set HTTPS_PROXY"),
    (context(cluster="{certificate-authority-data: '***'}"), "certificate-authority-data is not base64"),
    (context(user="{token: 1}"), "token is no text"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_what_cannot_be_used_is_named(text: str, message: str) -> None:
    """A kubeconfig that cannot be used says why; what is not supported is never ignored."""
    with pytest.raises(ValueError, match=r".") as caught:
        read_kubeconfig(text, directory=HOME)

    assert message in str(caught.value)


def test_no_secret_is_told() -> None:
    """Neither the object nor a parser's error repeats a token or a password."""
    broken = context(user="{token: s3cret, password: s3cret") + "]"
    with pytest.raises(ValueError, match="is not YAML") as caught:
        read_kubeconfig(broken, directory=HOME)

    found = read_kubeconfig(
        context(user="{token: s3cret, password: s3cret, client-key-data: czNjcmV0}"), directory=HOME
    )

    assert "s3cret" not in f"{caught.value} {found!r}"
