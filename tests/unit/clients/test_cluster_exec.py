"""Exec plugins: what they are told, what they give, how often they run, and what goes wrong."""

from __future__ import annotations

import asyncio
import json
import os
import select
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cluster_login import ask, at
from rig.certificates import Authority

from adapter.errors import KubernetesUnavailable

pytestmark = pytest.mark.anyio

AUTHORITY = Authority("cluster")
V1 = "client.authentication.k8s.io/v1"
SCRIPT = """#!{python}
import json, os, sys
with open({folder!r} + "/runs", "a") as stream:
    stream.write(json.dumps([sys.argv[1:], os.environ["KUBERNETES_EXEC_INFO"], os.environ.get("EXTRA")]) + "\\n")
{code}
"""
GOOD = "print(json.dumps({'kind': 'ExecCredential', 'apiVersion': %r, 'status': json.load(open(%r))}))"


def plugin(folder: Path, *, code: str = "", version: str = V1, **more: Any) -> dict[str, Any]:
    """Write a plugin that gives what the file `status` holds, and return a kubeconfig's user who has it."""
    script = folder / "plugin"
    code = code or GOOD % (version, str(folder / "status"))
    script.write_text(SCRIPT.format(python=sys.executable, folder=str(folder), code=code))
    script.chmod(0o755)
    return {"exec": {"command": "./plugin", "apiVersion": version, **more}}


def give(folder: Path, **status: Any) -> None:
    """Say what the plugin gives from now on."""
    (folder / "status").write_text(json.dumps(status))


def runs(folder: Path) -> list[Any]:
    """Return arguments, information and variable of each run."""
    path = folder / "runs"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.parametrize("version", [V1, "client.authentication.k8s.io/v1beta1"])
async def test_a_plugin_gives_a_token(tmp_path: Path, version: str) -> None:
    """It is run once for many calls, with its arguments, its variables and what it must know."""
    more = {"args": ["get", "token"], "env": [{"name": "EXTRA", "value": "yes"}], "interactiveMode": "IfAvailable"}
    cluster = at(tmp_path, user=plugin(tmp_path, version=version, **more))
    give(tmp_path, token="t1")
    client = cluster.open()

    await asyncio.gather(*(ask(client) for _ in range(5)))

    ((arguments, information, extra),) = runs(tmp_path)
    assert (arguments, extra) == (["get", "token"], "yes")
    assert json.loads(information) == {"kind": "ExecCredential", "apiVersion": version, "spec": {"interactive": False}}
    assert set(cluster.header("authorization")) == {"Bearer t1"}
    assert cluster.told.lines[0] == "exec ok"
    await client.close()


async def test_a_plugin_may_be_told_of_the_cluster(tmp_path: Path) -> None:
    """The key provideClusterInfo hands over the address, the authorities and the plugin's own configuration."""
    (tmp_path / "ca.pem").write_bytes(AUTHORITY.pem)
    extension = {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "me"}}
    cluster = at(
        tmp_path,
        cluster={"certificate-authority": "ca.pem", "extensions": [extension]},
        user=plugin(tmp_path, provideClusterInfo=True),
    )
    give(tmp_path, token="t1")

    await ask(cluster.open())

    told = json.loads(runs(tmp_path)[0][1])["spec"]["cluster"]
    assert (told["server"], told["config"]) == ("https://kube:6443", {"audience": "me"})
    assert told["certificate-authority-data"]


async def test_a_token_is_renewed_before_it_expires(tmp_path: Path) -> None:
    """A plugin runs again some seconds before its token expires, and however short that is, not for each call."""
    cluster = at(tmp_path, user=plugin(tmp_path))
    cluster.now = 1_000_000_000.0
    give(tmp_path, token="t1", expirationTimestamp="2001-09-09T01:47:40Z")  # 60 s later
    client = cluster.open()
    await ask(client)
    give(tmp_path, token="t2", expirationTimestamp="2001-09-09T01:47:40Z")
    cluster.now += 49
    await ask(client)
    cluster.now += 2
    await ask(client)
    await ask(client)

    assert cluster.header("authorization") == ["Bearer t1", "Bearer t1", "Bearer t2", "Bearer t2"]
    assert len(runs(tmp_path)) == 2


async def test_a_token_that_is_not_accepted_is_renewed(tmp_path: Path) -> None:
    """A 401 runs the plugin once more, and the call is made again."""
    cluster = at(tmp_path, user=plugin(tmp_path))
    cluster.answer = lambda request: httpx2.Response(401 if "t1" in request.headers["authorization"] else 200, json={})
    give(tmp_path, token="t1")
    client = cluster.open()
    with pytest.raises(KubernetesUnavailable):
        await ask(client)
    give(tmp_path, token="t2")
    cluster.now += 60
    await ask(client)

    assert cluster.header("authorization") == ["Bearer t1", "Bearer t2"]
    assert len(runs(tmp_path)) == 2


async def test_a_plugin_may_give_a_certificate(tmp_path: Path) -> None:
    """A certificate goes into the handshake, and a new one into a new context."""
    first, second = AUTHORITY.issue("one"), AUTHORITY.issue("two")
    cluster = at(tmp_path, user=plugin(tmp_path))
    give(tmp_path, clientCertificateData=first.certificate.decode(), clientKeyData=first.key.decode())
    credentials = cluster.open()._credentials

    one = await credentials.now()
    give(tmp_path, clientCertificateData=second.certificate.decode(), clientKeyData=second.key.decode())
    cluster.now += 60
    same = await credentials.now()
    other = await credentials.after_refusal(one)

    assert one.headers == ()
    assert same.context is one.context
    assert other is not None
    assert other.context is not one.context


FAULTS: list[tuple[str, str]] = [
    ("sys.exit(3)", "ended with code 3"),
    ("print('no')", "gave no JSON object"),
    ("print('[]')", "gave no JSON object"),
    ("print('{}')", "no ExecCredential with a status"),
    ("print(json.dumps({'kind': 'ExecCredential', 'apiVersion': 'v1', 'status': {'token': 'x'}}))", "another version"),
    ("print(json.dumps({'kind': 'ExecCredential', 'apiVersion': 'VERSION', 'status': {}}))", "neither a token nor"),
    (
        "print(json.dumps({'kind': 'ExecCredential', 'apiVersion': 'VERSION', 'status': {'token': 5}}))",
        "token that is no text",
    ),
    (
        "print(json.dumps({'kind': 'ExecCredential', 'apiVersion': 'VERSION', 'status': {'clientKeyData': 'x'}}))",
        "or a key alone",
    ),
    ("print(json.dumps({'kind': 'ExecCredential', 'apiVersion': 'VERSION', 'status': {'token': 'a b'}}))", "spaces"),
    (
        "print(json.dumps({'kind': 'ExecCredential', 'apiVersion': 'VERSION', 'status': {'token': 'a', 'expirationTimestamp': 'soon'}}))",
        "no time",
    ),
    (
        "print(json.dumps({'kind': 'ExecCredential', 'apiVersion': 'VERSION', 'status': {'clientCertificateData': 'x', 'clientKeyData': 'y'}}))",
        "cannot be used",
    ),
    ("print('x' * 3000000)", "gave no JSON object"),
]


@pytest.mark.parametrize(("code", "text"), FAULTS)
async def test_a_plugin_that_gives_nothing_of_use_fails_the_call(tmp_path: Path, code: str, text: str) -> None:
    """Whatever a plugin does, the call fails with a message that holds no secret."""
    cluster = at(tmp_path, user=plugin(tmp_path, code=code.replace("VERSION", V1)))

    with pytest.raises(KubernetesUnavailable, match=text):
        await ask(cluster.open())
    assert not cluster.requests


async def test_a_plugin_that_is_not_there_says_how_to_install_it(tmp_path: Path) -> None:
    """The kubeconfig's own hint is in the message."""
    cluster = at(tmp_path, user={"exec": {"command": "no-such-plugin", "apiVersion": V1, "installHint": "get\nit"}})

    with pytest.raises(KubernetesUnavailable, match="cannot be started: get it"):
        await ask(cluster.open())


async def test_a_failing_plugin_is_not_run_for_each_call(tmp_path: Path) -> None:
    """For some seconds its failure is the answer; then it gets another chance."""
    cluster = at(tmp_path, user=plugin(tmp_path, code="sys.exit(1)"))
    client = cluster.open()
    for _ in range(5):
        with pytest.raises(KubernetesUnavailable):
            await ask(client)
    cluster.now += 6
    with pytest.raises(KubernetesUnavailable):
        await ask(client)

    assert len(runs(tmp_path)) == 2


async def test_a_plugin_that_hangs_is_ended(tmp_path: Path) -> None:
    """After its time a plugin is killed, with what it has started and what holds its output open."""
    script = tmp_path / "plugin"
    script.write_text(f"#!/bin/sh\nsleep 1000 &\necho $! > {tmp_path}/child\n")
    script.chmod(0o755)
    cluster = at(tmp_path, user={"exec": {"command": "./plugin", "apiVersion": V1}})
    environment = {"PATH": os.environ["PATH"]}
    cluster.options = replace(cluster.options, environment=environment, exec_timeout_seconds=1)

    with pytest.raises(KubernetesUnavailable, match="not ended in time"):
        await ask(cluster.open())

    assert ends(int((tmp_path / "child").read_text()))
    assert cluster.told.lines[0] == "exec timeout"


def ends(process: int) -> bool:
    """Say whether a process has ended or ends now: a signal is there before it has its effect."""
    try:
        descriptor = os.pidfd_open(process)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], 10.0)[0])
    finally:
        os.close(descriptor)
