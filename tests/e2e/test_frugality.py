"""What do the adapter's callers cost kube-apiserver in the steady state? Its audit log tells."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator

import pytest
from rig.processes import wait_until

from e2e.rig import objects
from e2e.rig.audit import access_reviews, lists, token_reviews
from e2e.rig.load import Load, ask
from e2e.rig.registration import CUSTOM, EXTERNAL, READER, RESOURCE, USER
from e2e.rig.stage import Stage

SPACE = "frugality"
ACCOUNTS = ("one", "two")
PATHS = [
    f"{CUSTOM.path}/namespaces/{SPACE}/pods/*/load?labelSelector=app%3Dweb",
    f"{CUSTOM.path}/namespaces/{SPACE}/deployments.apps/web/backlog",
    f"{EXTERNAL.path}/namespaces/{SPACE}/queue_depth",
    f"{RESOURCE.path}/namespaces/{SPACE}/pods?labelSelector=app%3Dweb",
]
_SECONDS = 30.0
_CACHE_SECONDS = 10.0  # the documented life of a review
_PERIODS = 2.5
_CLIENTS = 2  # of each account: that many ask the same at the same time, and one review is enough for them


@pytest.fixture(scope="module", autouse=True)
def world(stage: Stage) -> Iterator[None]:
    """A Deployment with series, and accounts that may read them."""
    cluster = stage.cluster
    cluster.create_namespace(SPACE)
    for account in ACCOUNTS:
        cluster.create_account(account, SPACE, READER)
    cluster.apply(objects.deployment("web", SPACE, replicas=3))
    stage.follow_load(SPACE, "web", lambda: 30, metric="e2e_load{{{}}}")
    stage.follow_load(SPACE, "web", lambda: 1, metric='e2e_cpu_cores{{container="main",{}}}')
    stage.follow_load(SPACE, "web", lambda: 1e6, metric='e2e_memory_bytes{{container="main",{}}}')
    stage.series.set({f'e2e_backlog{{namespace="{SPACE}",deployment="web"}}': 1})
    stage.series.set({f'e2e_queue_depth{{namespace="{SPACE}",queue="a"}}': 1})
    for path in PATHS:
        stage.wait_for(path)
    yield
    stage.series.clear()
    cluster.delete_namespace(SPACE)


def test_the_steady_state(stage: Stage) -> None:
    """No request makes a LIST; access is reviewed once a cache period for each user and path, a token once for each."""
    audit = stage.cluster.plane.audit
    with contextlib.ExitStack() as stack:
        clients = []
        for account in ACCOUNTS:
            token = stage.cluster.token(account, SPACE)
            headers = {"Authorization": f"Bearer {token}"}
            clients += [stack.enter_context(stage.adapter.client(headers=headers)) for _ in range(_CLIENTS)]
        for client in clients[::_CLIENTS]:
            assert [ask(client, path).status for path in PATHS] == [200] * len(PATHS)  # the watches are up
        audit.forget()
        begin = time.monotonic()
        with Load(clients, PATHS) as load:
            wait_until(
                "some cache periods", lambda: time.monotonic() - begin > _PERIODS * _CACHE_SECONDS, timeout_seconds=120
            )
        periods = math.ceil((time.monotonic() - begin) / _CACHE_SECONDS) + 1  # the first may have begun before
        found = {"LISTs": lists(USER), "access reviews": access_reviews(USER), "token reviews": token_reviews(USER)}
        counts = {what: audit.count(matches) for what, matches in found.items()}

    print(f"{load.summary()}; {counts} in {time.monotonic() - begin:.0f} s; all: {dict(audit.table(user=USER))}")  # noqa: T201 - figures
    assert load.failures == []
    assert counts["LISTs"] == 0
    assert 0 < counts["access reviews"] <= periods * len(ACCOUNTS) * len(PATHS)
    assert 0 < counts["token reviews"] <= periods * len(ACCOUNTS)
