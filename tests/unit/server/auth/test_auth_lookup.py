"""How the adapter learns whom to trust, and keeps up with it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from auth_rig import Cluster, Event, Observer, Sleeps, authority

from adapter.config.problems import ConfigError
from adapter.errors import ClusterGone, KubernetesForbidden, KubernetesUnavailable
from adapter.server.auth import HeaderNames, Trust, TrustKeeper, TrustOptions

pytestmark = pytest.mark.anyio

ONE, TWO, THREE = authority("one"), authority("two"), authority("three")
DOWN = KubernetesUnavailable("connection refused", kind="connection")
NAME = "extension-apiserver-authentication"
DATA = {
    "client-ca-file": ONE.pem.decode(),
    "requestheader-client-ca-file": TWO.pem.decode(),
    "requestheader-username-headers": '["X-Remote-User"]',
    "requestheader-uid-headers": '["X-Remote-Uid"]',
    "requestheader-group-headers": '["X-Remote-Group"]',
    "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
    "requestheader-allowed-names": '["front-proxy-client"]',
}


def config_map(**changes: str | None) -> dict[str, Any]:
    """Return the ConfigMap with other data; None takes a key away."""
    changed = {name.replace("_", "-"): value for name, value in changes.items()}
    data = {name: value for name, value in (DATA | changed).items() if value is not None}
    return {"metadata": {"name": NAME, "resourceVersion": "3"}, "data": data}


def listed(*items: dict[str, Any]) -> dict[str, Any]:
    """Return a list of ConfigMaps."""
    return {"metadata": {"resourceVersion": "7"}, "items": list(items) or None}


def keeper(cluster: Cluster | None, sleep: Sleeps | None = None, **options: Any) -> tuple[TrustKeeper, Observer]:
    """Return a keeper and what it reports."""
    observer = Observer()
    one = TrustKeeper(TrustOptions(**options), cluster, observer=observer, sleep=sleep or Sleeps(), chance=lambda: 0.5)
    return one, observer


async def followed(one: TrustKeeper, sleep: Sleeps, *, passes: int) -> None:
    """Let a keeper follow until it has paused so often."""
    reached = asyncio.Event()
    sleep.seconds.clear()
    sleep.at_most, sleep.then = passes - 1, reached.set
    task = asyncio.create_task(one.run())
    await reached.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_the_config_map() -> None:
    """Authorities, names and headers come from kube-apiserver's ConfigMap before anything is served."""
    cluster = Cluster([config_map()])
    one, observer = keeper(cluster)
    assert one.current() == Trust()

    await one.ready()

    trust = one.current()
    assert [asked.path for asked in cluster.asked] == [f"/api/v1/namespaces/kube-system/configmaps/{NAME}"]
    assert trust.front_proxy is not None
    assert trust.front_proxy.allowed_names == ("front-proxy-client",)
    assert trust.front_proxy.headers == HeaderNames(
        username=("X-Remote-User",), uid=("X-Remote-Uid",), group=("X-Remote-Group",), extra_prefix=("X-Remote-Extra-",)
    )
    assert one.current().pem == (ONE.pem + TWO.pem).decode()
    assert observer.seen == [("trust", "configmap", "ok")]


async def test_the_start_waits_for_the_front_proxy() -> None:
    """A cluster that is just starting has no front proxy in its ConfigMap yet: the start waits for it."""
    cluster = Cluster([DOWN, config_map(requestheader_client_ca_file=None), config_map()])
    one, _ = keeper(cluster)

    await one.ready()

    assert one.current().front_proxy is not None
    assert len(cluster.asked) == 3


async def test_a_cluster_without_a_front_proxy(caplog: pytest.LogCaptureFixture) -> None:
    """A cluster that never names a front proxy is served after a few seconds, with a warning."""
    one, _ = keeper(Cluster([config_map(requestheader_client_ca_file=None)]))

    await one.ready()

    assert one.current().front_proxy is None
    assert "names no front proxy" in caplog.text


FAILING = [
    (DOWN, 5),
    (KubernetesForbidden(verb="get", resource="configmaps", namespace="kube-system"), 1),
    ({"metadata": {"name": "another"}}, 5),
]


@pytest.mark.parametrize(("answer", "times"), FAILING)
async def test_a_lookup_that_fails(answer: Any, times: int) -> None:
    """Without the ConfigMap the start ends, unless that is tolerated: then no certificate proves anything."""
    cluster = Cluster([answer])
    one, observer = keeper(cluster)
    tolerant, _ = keeper(Cluster([answer]), tolerate_lookup_failure=True)

    with pytest.raises(ConfigError) as raised:
        await one.ready()
    await tolerant.ready()

    (problem,) = raised.value.problems
    assert (problem.code, problem.location.file) == ("serve/callers", "--authentication-kubeconfig")
    assert NAME in problem.message
    assert len(cluster.asked) == times
    assert observer.seen[-1] == ("trust", "configmap", "failed")
    assert tolerant.current() == Trust()


async def test_a_tolerated_failure_heals() -> None:
    """What could not be looked up at the start is looked up later."""
    sleep = Sleeps()
    cluster = Cluster([DOWN] * 5 + [listed(config_map())])
    one, _ = keeper(cluster, sleep, tolerate_lookup_failure=True)
    await one.ready()

    await followed(one, sleep, passes=1)

    assert one.current().front_proxy is not None


@pytest.mark.parametrize(
    ("options", "asks", "pem"),
    [
        ({"client_ca_file": "three.pem"}, True, (THREE, TWO)),
        ({"front_proxy_ca_file": "three.pem"}, True, (ONE, THREE)),
        ({"client_ca_file": "three.pem", "front_proxy_ca_file": "three.pem"}, False, (THREE, THREE)),
        ({"skip_lookup": True}, False, ()),
        ({"skip_lookup": True, "client_ca_file": "three.pem"}, False, (THREE,)),
    ],
)
async def test_flags(options: dict[str, Any], asks: bool, pem: tuple[Any, ...], tmp_path: Path) -> None:  # noqa: FBT001 - a row of the table
    """A file takes the place of its half of the ConfigMap; with both of them, or on demand, nothing is looked up."""
    (tmp_path / "three.pem").write_bytes(THREE.pem)
    given = {name: str(tmp_path / value) if name.endswith("file") else value for name, value in options.items()}
    cluster = Cluster([config_map()])
    one, _ = keeper(cluster, **given)

    await one.ready()

    assert bool(cluster.asked) is asks
    assert one.current().pem == b"".join(made.pem for made in pem).decode()
    assert Trust().pem == ""


async def test_names_of_flags(tmp_path: Path) -> None:
    """With a front proxy's file, its names and headers are the flags' too."""
    (tmp_path / "ca.pem").write_bytes(THREE.pem)
    names = HeaderNames(username=("x-user",))
    one, _ = keeper(
        Cluster([config_map()]), front_proxy_ca_file=str(tmp_path / "ca.pem"), allowed_names=("proxy",), headers=names
    )

    await one.ready()

    proxy = one.current().front_proxy
    assert proxy is not None
    assert (proxy.allowed_names, proxy.headers) == (("proxy",), names)


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
async def test_files_that_cannot_be_used(content: bytes | None, tmp_path: Path) -> None:
    """A file that is not there, or holds no certificate, ends the start and names its flag."""
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    one, _ = keeper(None, client_ca_file=str(path), tolerate_lookup_failure=True)

    with pytest.raises(ConfigError) as raised:
        await one.ready()

    assert raised.value.problems[0].location.file == "--client-ca-file"


async def test_files_are_followed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file is read again each minute; while it is spoilt the last good authorities count, and it is told once."""
    path, sleep = tmp_path / "ca.pem", Sleeps()
    path.write_bytes(ONE.pem)
    one, _ = keeper(None, sleep, client_ca_file=str(path))
    await one.ready()

    path.write_bytes(b"half a certif")
    await followed(one, sleep, passes=3)
    assert one.current().pem == ONE.pem.decode()
    assert caplog.text.count("could not be read") == 1

    path.write_bytes(TWO.pem)
    await followed(one, sleep, passes=2)
    assert one.current().pem == TWO.pem.decode()
    assert sleep.seconds == [60.0, 60.0]


async def test_the_watch() -> None:
    """Changes of the ConfigMap arrive at once; whoever listens is told the state and each change, once."""
    sleep, cluster = Sleeps(), Cluster([config_map(), listed(config_map())])
    cluster.watches = [
        [
            Event("MODIFIED", config_map(requestheader_client_ca_file=THREE.pem.decode())),
            Event("MODIFIED", config_map(requestheader_client_ca_file=THREE.pem.decode())),
            Event("BOOKMARK", {"metadata": {"resourceVersion": "9"}}),
            Event("DELETED", config_map()),
        ]
    ]
    one, _ = keeper(cluster, sleep)
    await one.ready()
    told: list[str] = []
    one.on_change(lambda trust: told.append(trust.pem))

    await followed(one, sleep, passes=1)

    assert told == [(ONE.pem + TWO.pem).decode(), (ONE.pem + THREE.pem).decode()]
    (watched,) = cluster.watched
    assert watched == {
        "fieldSelector": f"metadata.name={NAME}",
        "watch": "true",
        "resourceVersion": "7",
        "timeoutSeconds": "450",
    }
    assert cluster.asked[-1].parameters == {"fieldSelector": f"metadata.name={NAME}"}


async def test_names_may_change_alone() -> None:
    """New allowed names or headers count without a new authority."""
    sleep, cluster = Sleeps(), Cluster([config_map(), listed(config_map(requestheader_allowed_names='["a", "b"]'))])
    one, _ = keeper(cluster, sleep)
    await one.ready()

    await followed(one, sleep, passes=1)

    proxy = one.current().front_proxy
    assert proxy is not None
    assert proxy.allowed_names == ("a", "b")


SPOILT = [
    {"requestheader_client_ca_file": "rubbish"},
    {"requestheader_client_ca_file": None},
    {"requestheader_client_ca_file": ""},
    {"requestheader_username_headers": "X-Remote-User"},
    {"requestheader_allowed_names": '"front-proxy-client"'},
    {"requestheader_allowed_names": "[1]"},
    {"requestheader_allowed_names": '[""]'},
    {"requestheader_extra_headers_prefix": '[""]'},
    {"requestheader_allowed_names": json.dumps(["n"] * 101)},
    {"requestheader_allowed_names": "[" * 100_000},
]


@pytest.mark.parametrize("spoilt", SPOILT, ids=lambda row: next(iter(row)))
async def test_a_spoilt_half_stays_as_it_was(spoilt: dict[str, Any]) -> None:
    """What cannot be read changes nothing, and does not keep the other half from changing."""
    sleep = Sleeps()
    changed = config_map(client_ca_file=THREE.pem.decode(), **spoilt)
    one, _ = keeper(Cluster([config_map(), listed(changed)]), sleep)
    await one.ready()
    before = one.current().front_proxy

    await followed(one, sleep, passes=1)

    assert one.current().front_proxy is before
    assert one.current().pem == (THREE.pem + TWO.pem).decode()


@pytest.mark.parametrize(
    "answer",
    [
        listed(),
        {},
        {"items": "abc"},
        {"items": [1]},
        {"metadata": 1, "items": [{}]},
        {"items": [{}]},
        {"items": [{"metadata": {"name": NAME}, "data": []}]},
        DOWN,
    ],
)
async def test_what_cannot_be_read_changes_nothing(answer: Any) -> None:
    """An empty list, a broken one and a cluster that is away leave the last good state."""
    sleep = Sleeps()
    one, _ = keeper(Cluster([config_map(), answer]), sleep)
    await one.ready()

    await followed(one, sleep, passes=3)

    assert one.current().pem == (ONE.pem + TWO.pem).decode()


async def test_back_off(caplog: pytest.LogCaptureFixture) -> None:
    """While the cluster is away the pauses grow up to half a minute, and it is told once."""
    sleep, cluster = Sleeps(), Cluster([config_map(), DOWN])
    one, _ = keeper(cluster, sleep)
    await one.ready()

    await followed(one, sleep, passes=8)

    assert sleep.seconds == [2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 30.0]
    assert caplog.text.count("connection refused") == 1


async def test_a_watch_that_is_too_old() -> None:
    """A watch that cannot go on begins anew with a list."""
    sleep, cluster = Sleeps(), Cluster([config_map(), listed(config_map())])
    cluster.watches = [[ClusterGone("too old")], [ClusterGone("too old")]]
    one, _ = keeper(cluster, sleep)
    await one.ready()

    await followed(one, sleep, passes=3)

    assert (len(cluster.asked), sleep.seconds) == (1 + 3, [2.0, 2.0, 1.0])
